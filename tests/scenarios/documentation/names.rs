//! Metrics, codes and flags that pages name exist, and none that exists is left out.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use portcullis_tests::harness::{
    Documents, Gateway, Options, RawClient, binary, eventually, simulated_backend, simulator,
};

use super::{files_below, pages, read, repository, rows, word, words};

const EDGE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: portcullis
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - name: https
    port: 443
    protocol: HTTPS
    tls: {certificateRefs: [{group: portcullis.dev, kind: Certificate, name: edge}]}
---
apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {name: edge}
spec: {dnsNames: [localhost], issuer: {local: {}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  authentication: {anonymous: {actions: ['*']}}
---
# Nobody is asked: what is counted of directories and issuers is shown all the same.
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: directory}
spec: {ldap: {urls: ['ldaps://127.0.0.1:1'], bindAs: '{username}@corp.example'}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso}
spec:
  oidc:
    issuer: https://127.0.0.1:1
    audiences: [llm]
    introspection: {endpoint: 'https://127.0.0.1:1/ask', clientId: gateway, clientSecret: {file: sso.secret}}
---
# One guard finds something, another does not answer.
apiVersion: portcullis.dev/v1alpha1
kind: GuardrailPolicy
metadata: {name: models}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: models}]
  unscreened: Pass
  input:
  - {name: greetings, words: [hi], action: Flag}
  - {name: nobody, service: {kind: webhook, url: 'http://127.0.0.1:1'}, action: Block, onError: Pass}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}}]
    filters:
    - {type: RequestMirror, requestMirror: {backendRef: {group: portcullis.dev, kind: InferenceBackend, name: m}}}
    backendRefs: [{group: portcullis.dev, kind: InferenceBackend, name: m}]
---
";

/// The names of a page of metrics.
fn names(metrics: &str) -> BTreeSet<String> {
    metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned)).collect()
}

/// The labels of a metric's samples.
fn labels(metrics: &str, name: &str) -> BTreeSet<String> {
    let samples = metrics.lines().filter_map(|line| line.strip_prefix(name)?.split_once('{'));
    let samples = samples.filter(|(suffix, _)| ["", "_bucket", "_sum", "_count"].contains(suffix));
    let names = samples.flat_map(|(_, labels)| labels.split("=\"").map(|part| part.rsplit([',', '{']).next().unwrap()));
    names.filter(|label| !label.contains(['"', '}']) && *label != "le").map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_on_the_pages_is_one_of_the_gateway() {
    let server = simulator(&["llama"]).await;
    let documents =
        Documents::new().with("edge.yaml", EDGE).with("m.yaml", simulated_backend("default", "m", "openai", &server));
    let documents = documents.with("sso.secret", "secret of a gateway");
    let gateway = Gateway::start(&documents, Options::default()).await;
    let plain = gateway.addr("default/edge", 80).await;
    let tls = portcullis_tests::harness::Tls::new().server_name("localhost");
    let address = gateway.addr("default/edge", 443).await;
    let mut client = RawClient::connect_tls(address, &tls).await.unwrap();
    let chat = r#"{"model": "llama", "messages": [{"role": "user", "content": "hi"}]}"#;
    let post = |length: usize| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for _ in ["a new connection", "one that was there"] {
        assert_eq!(client.exchange(post(chat.len()) + chat).await.status, 200);
    }
    // Too large to be mirrored, and nothing that is read for its model.
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    client.exchange(post(large.len()).replace("application/json", "application/octet-stream") + &large).await;
    assert_eq!(client.exchange("GET /v9 HTTP/1.1\r\nhost: localhost\r\n\r\n").await.status, 404);
    let mut rude = RawClient::connect(plain).await;
    assert_eq!(rude.exchange("GET / HTTP/1.1\r\nno colon\r\n\r\n").await.status, 400);
    gateway.signal(portcullis_tests::harness::Signal::HUP);
    eventually("the documents were read again", async || {
        gateway.metric("portcullis_config_reloads_total", &["unchanged"]).await > 0.0
    })
    .await;

    let page = gateway.metrics().await;
    let on_gateway = names(&page);
    let table: BTreeSet<String> = rows(&read("docs/operations.md"))
        .iter()
        .map(|row| word(row.first().unwrap()).to_owned())
        .filter(|name| name.starts_with("portcullis_") || name.starts_with("process_"))
        .collect();
    let missing: Vec<_> = on_gateway.difference(&table).collect();
    assert!(missing.is_empty(), "docs/operations.md does not explain {missing:?}");

    let rows = rows(&read("docs/operations.md"));
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| on_gateway.contains(word(&row[0])))
        .map(|row| (word(&row[0]), row[1].split(", ").map(|label| word(label).to_owned()).collect::<BTreeSet<_>>()))
        .map(|(name, told)| (name, told.into_iter().filter(|label| !label.is_empty()).collect::<BTreeSet<_>>()))
        .filter(|(name, told)| labels(&page, name) != *told)
        .collect();
    assert!(wrong.is_empty(), "docs/operations.md tells other labels: {wrong:?}\n{page}");

    // What this traffic cannot bring about is at least a name in the code.
    let rare = [
        "portcullis_authentications_total",
        "portcullis_authorizations_total",
        "portcullis_shadow_decisions_total",
        "portcullis_shadow_differences_unlogged_total",
        "portcullis_shadow_stale",
        "portcullis_connections_refused_total",
        "portcullis_accept_failures_total",
        "portcullis_upstream_retries_total",
        "portcullis_authentications_total",
    ];
    let code = read("mesh/src/telemetry/handles.rs")
        + &read("mesh/src/telemetry/catalogue.rs")
        + &read("gateway/src/metrics.rs");
    // The sidecar's own: its pages are looked at in `mesh::operations`.
    let sidecar = read("sidecar/src/metrics.rs") + &read("sidecar/src/report.rs");
    for (page, text) in pages() {
        for word in words(&text).iter().filter(|word| is_metric(word)) {
            let family = word.split('{').next().unwrap();
            let known = on_gateway.contains(family)
                || rare.contains(&family) && code.contains(&format!("\"{}\"", family.trim_end_matches("_total")))
                || sidecar.contains(&format!("\"{}\"", family.trim_end_matches("_total")));
            assert!(known, "{page} names `{word}`, which the gateway does not show:\n{on_gateway:#?}");
        }
    }
}

/// Whether a word in backticks is the name of a metric, and not that of a crate.
fn is_metric(word: &str) -> bool {
    const CRATES: [&str; 6] = ["mesh", "dialects", "gateway", "policy", "certs", "sidecar"];
    (word.starts_with("portcullis_") && !word.contains("::") && !word.contains('='))
        && !CRATES.iter().any(|name| word == format!("portcullis_{name}"))
        || word.starts_with("process_")
}

#[test]
fn every_refusal_is_explained() {
    let explained: BTreeSet<String> =
        rows(&read("docs/troubleshooting.md")).iter().map(|row| word(row.first().unwrap()).to_owned()).collect();
    let mut codes = BTreeSet::new();
    for file in sources_that_refuse() {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        if !file.ends_with("tests.rs") {
            codes.extend(codes_in(code));
        }
    }
    assert!(codes.len() >= 35, "only {} codes were found: {codes:?}", codes.len());
    let unexplained: Vec<_> = codes.difference(&explained).collect();
    assert!(unexplained.is_empty(), "docs/troubleshooting.md does not explain {unexplained:?}");
    let unknown: Vec<_> = explained.difference(&codes).collect();
    assert!(unknown.is_empty(), "docs/troubleshooting.md explains {unknown:?}, which nothing answers");
}

/// Both products, and what they share.
fn sources_that_refuse() -> Vec<PathBuf> {
    ["gateway/src", "dialects/src", "sidecar/src"]
        .iter()
        .flat_map(|source| files_below(&repository().join(source), ".rs"))
        .collect()
}

/// A refusal that nothing answers would be explained to people who can never meet it.
#[test]
fn every_refusal_of_the_catalogue_is_answered_somewhere() {
    let catalogue = read("dialects/src/refusal/catalogue.rs");
    let stages: String = sources_that_refuse()
        .iter()
        .filter(|file| !file.starts_with(repository().join("dialects/src/refusal")))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let made: Vec<&str> = catalogue.split("    pub fn ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
    assert!(made.len() >= 15, "only {made:?}");
    let unused: Vec<_> = made.iter().filter(|name| !stages.contains(&format!("Refusal::{name}"))).collect();
    assert!(unused.is_empty(), "nothing answers {unused:?}");
}

/// The codes that this source refuses with: the first such word behind what makes a refusal, constants that hold one, and
/// the arms of the one `match` that chooses one.
fn codes_in(code: &str) -> BTreeSet<String> {
    let makers = ["Refusal::new(", "Self::new(", "malformed(", "Refusal::unauthenticated(", "Refusal::forbidden("];
    let behind = makers.iter().flat_map(|maker| code.split(maker).skip(1));
    let arms = code.split("Unresolved::").skip(1).filter_map(|rest| rest.split_once(" => ").map(|(_, arm)| arm));
    let refused = code.split("code: ").skip(1);
    let constants = code.lines().filter_map(|line| line.strip_prefix("const ")).filter(|line| line.contains("&str = "));
    let first = |text: &str, within: usize| {
        let text: String = text.chars().take(within).collect();
        let quoted = text.split('"').nth(1).unwrap_or_default().to_owned();
        is_code(&quoted).then_some(quoted)
    };
    behind
        .filter_map(|text| first(text.split(");").next().unwrap_or_default(), 120))
        .chain(arms.filter_map(|text| first(text, 50)))
        .chain(refused.filter_map(|text| first(text.split(',').next().unwrap_or_default(), 50)))
        .chain(constants.filter_map(|text| first(text, 200)))
        .collect()
}

fn is_code(word: &str) -> bool {
    let single = ["internal", "misdirected", "unscreenable"];
    let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    plain && (word.contains('_') || single.contains(&word))
}

/// The long flags that a text names.
fn flags(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit();
    let behind = text.split("--").skip(1).map(|rest| rest.split(|c| !is_part(c)).next().unwrap_or_default());
    behind.filter(|flag| flag.len() > 1 && !flag.starts_with('-')).map(str::to_owned).collect()
}

fn help(command: &[&str]) -> String {
    let output = Command::new(binary("portcullis")).args(command).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn flags_on_the_pages_exist_and_every_flag_is_told() {
    let commands = ["run", "demo", "check", "explain", "schema"];
    let known: BTreeSet<String> = commands.iter().flat_map(|command| flags(&help(&[command]))).collect();
    let page = read("docs/operations.md");
    let of_run: BTreeSet<_> = flags(&help(&["run"])).into_iter().filter(|flag| flag != "help").collect();
    let told = flags(&page);
    let untold: Vec<_> = of_run.difference(&told).collect();
    assert!(untold.is_empty(), "docs/operations.md says nothing of {untold:?}");
    for name in ["docs/operations.md", "docs/quickstart.md", "docs/documents.md", "deploy/kubernetes/portcullis.yaml"] {
        for line in read(name).lines().filter(|line| line.contains("portcullis ") || name.ends_with("operations.md")) {
            // Those of other programs.
            if ["curl", "docker", "kubectl", "cargo", "systemd", "journalctl"].iter().any(|other| line.contains(other))
            {
                continue;
            }
            let unknown: Vec<_> = flags(line).difference(&known).cloned().collect();
            assert!(unknown.is_empty(), "{name} names {unknown:?}: {line}");
        }
    }
    for flag in flags(&read("deploy/kubernetes/portcullis.yaml")) {
        assert!(known.contains(&flag), "deploy/kubernetes/portcullis.yaml gives `--{flag}`");
    }
}
