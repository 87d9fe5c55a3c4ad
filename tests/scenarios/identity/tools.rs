//! `check`, `explain`, `test` and `diff` on the command line, on the documents of a whole company.

use std::{fs, path::Path};

use portcullis_tests::harness::{
    Signal,
    issuer::{HostileIssuer, oidc_provider},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::oidc::document;
use crate::{edge::portcullis, texts};

const CORP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/corp");
const CHAT: &str = "https://llm.corp.example/v1/chat/completions";

/// Exit code and standard output.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = portcullis(arguments);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The company's documents with one text replaced by another.
fn changed(from: &str, to: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut replaced = false;
    for entry in fs::read_dir(CORP).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        replaced |= text.contains(from);
        fs::write(folder.path().join(path.file_name().unwrap()), text.replace(from, to)).unwrap();
    }
    assert!(replaced, "`{from}` stands nowhere");
    folder
}

fn diff(new: &Path, more: &[&str]) -> (i32, Value) {
    let (code, said) = run(&[&["diff", CORP, new.to_str().unwrap(), "--format", "json"], more].concat());
    (code, serde_json::from_str(&said).unwrap())
}

#[test]
fn explain_says_who_may_and_what_is_missing() {
    let explain = |more: &[&str], code: i32, says: &str| {
        let (got, said) = run(&[&["explain", "--config", CORP, "POST", CHAT], more].concat());
        assert_eq!(got, code, "{more:?}: {said}");
        assert!(said.contains(says), "{more:?}: {said}");
    };
    let big = ["--model", "llama-3.3-70b", "--as", "alice", "--provider", "directory", "--group"];
    explain(&[&big[..], &["ai-research"]].concat(), 0, "allowed by RoleBinding inference/research");
    explain(&[&big[..], &["finance"]].concat(), 1, "Role inference/big-model-user");
    let both = ["ai-research", "--group", "contractors"];
    explain(&[&big[..], &both].concat(), 1, "denied by RoleBinding inference/contractors");
    explain(&["--model", "llama-3.1-8b"], 1, "refused: 401 authentication_required");
    let workload = ["--model", "llama-3.1-8b", "--workload"];
    explain(
        &[&workload[..], &["spiffe://corp.example/ns/agents/sa/x"]].concat(),
        0,
        "InferenceBackend inference/llama-8b",
    );
    explain(&[&workload[..], &["spiffe://corp.example/ns/other/sa/x"]].concat(), 1, "403 permission_denied");
    explain(&["--model", "gpt-9", "--as", "a", "--provider", "sso"], 1, "404 model_not_found");
}

#[test]
fn policy_tests_pass_and_fail() {
    let (code, said) = run(&["test", CORP]);
    assert_eq!(code, 0, "{said}");
    assert!(said.ends_with("4 passed, 0 failed\n"), "{said}");
    let wrong = changed("expect: {decision: Deny, status: 401}", "expect: {decision: Allow}");
    let (code, said) = run(&["test", wrong.path().to_str().unwrap()]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("FAILED") && said.ends_with("3 passed, 1 failed\n"), "{said}");
    let none = TempDir::new().unwrap();
    fs::copy(format!("{CORP}/40-identity.yaml"), none.path().join("identity.yaml")).unwrap();
    let (code, said) = run(&["test", none.path().to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (1, ""));
}

#[test]
fn check_tells_what_is_open() {
    let (code, said) = run(&["check", "--reachable", CORP]);
    assert_eq!((code, said.as_str()), (0, "nothing can be reached without authentication, or without a role\n"));
    let open =
        changed("authentication: {providers: [sso, directory, keys, workloads]}", "authentication: {anonymous: {}}");
    let (code, said) = run(&["check", "--reachable", open.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("HTTPRoute inference/triton") && said.contains("without authentication"), "{said}");
    assert!(!said.contains("load-model") && !said.contains("admin"), "{said}");
}

#[test]
fn diff_says_who_gains_and_who_loses() {
    let (code, same) = diff(Path::new(CORP), &[]);
    assert_eq!((code, same["changes"].as_array().unwrap().len()), (0, 0), "{same:#}");
    let wider = changed("models: [\"llama-3.1-*\"]", "models: [\"llama-*\"]");
    let (code, gained) = diff(wider.path(), &[]);
    let changes = gained["changes"].as_array().unwrap();
    assert_eq!((code, changes.len()), (1, 3), "{gained:#}");
    assert!(changes.iter().all(|change| change["direction"] == "gains" && change["rule"] == "rule `big-model`"));
    assert_eq!(changes[0]["witness"]["model"], "llama-3.3-70b", "{gained:#}");
    assert_eq!(diff(wider.path(), &["--fail-on", "loss"]).0, 0);
    assert_eq!(diff(wider.path(), &["--fail-on", "gain"]).0, 1);
    let fewer = changed(
        "subjects: [{kind: Group, provider: directory, name: ai-research}]",
        "subjects: [{kind: User, provider: sso, name: zoe}]",
    );
    let (_, moved) = diff(fewer.path(), &[]);
    let who: Vec<&str> = moved["changes"].as_array().unwrap().iter().filter_map(|it| it["who"].as_str()).collect();
    assert_eq!(who, ["User sso/zoe", "Group directory/ai-research"], "{moved:#}");
}

/// Documents with API keys, an issuer and a directory that nobody can reach, and a credential that is shown to them.
struct Shown(TempDir);

const ROLE: &str = "apiVersion: portcullis.dev/v1alpha1
kind: Role
metadata: {name: reader}
rules:
- {routes: ['*'], actions: ['*']}
---
apiVersion: portcullis.dev/v1alpha1
kind: RoleBinding
metadata: {name: engineers}
subjects:
- {kind: Group, provider: sso, name: ml-engineers}
- {kind: User, provider: keys, name: build}
roleRef: {kind: Role, name: reader}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: keys}
spec: {apiKeys: {file: keys/api-keys.yaml}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: directory}
spec: {ldap: {urls: ['ldaps://127.0.0.1:1'], trust: {file: none.pem}, bindAs: '{username}@corp.example'}}
---
";

impl Shown {
    fn new(sso: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let gateway = texts::PLAIN_GATEWAY.replace("{anonymous: {actions: ['*']}}", "{providers: [sso, keys]}");
        let service = texts::service("app", "", &["127.0.0.1:1".parse().unwrap()]);
        let text = gateway + &service + &texts::route("/v1", "app", "") + ROLE + sso;
        fs::write(folder.path().join("all.yaml"), text).unwrap();
        Self(folder)
    }

    fn key(&self, owner: &str, more: &[&str]) -> String {
        let folder = self.0.path().join("keys");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("api-keys.yaml");
        let create = ["keys", "create", "--file", file.to_str().unwrap(), "--owner", owner];
        let (code, said) = run(&[&create[..], more].concat());
        assert_eq!(code, 0, "{said}");
        said.trim().to_owned()
    }

    /// Exit code and explanation of a request that shows this.
    fn explained(&self, shown: &str, more: &[&str]) -> (i32, String) {
        let file = self.0.path().join("credential");
        fs::write(&file, shown).unwrap();
        let documents = self.0.path().join("all.yaml");
        let request = ["explain", "--config", documents.to_str().unwrap(), "GET", "http://llm.test/v1/things"];
        let output = portcullis(&[&request[..], &["--credential", file.to_str().unwrap()], more].concat());
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let secret = shown.rsplit([' ', '\n']).find(|text| !text.is_empty()).unwrap();
        assert!(!said.contains(secret), "the credential is printed: {said}");
        (output.status.code().unwrap(), said)
    }

    fn check(&self, shown: &str, code: i32, says: &str) {
        let (got, said) = self.explained(shown, &[]);
        assert!(got == code && said.contains(says), "{got}, not {code} with `{says}`:\n{said}");
    }
}

#[test]
fn explain_judges_an_api_key_and_says_why_one_is_not_good() {
    let shown = Shown::new(&document("sso", "https://127.0.0.1:1", Path::new("none.pem"), ""));
    let (good, other) = (shown.key("build", &[]), shown.key("visitor", &[]));
    let near = shown.key("build", &["--cidr", "10.0.0.0/8"]);
    for text in [good.clone(), format!("x-api-key: {good}\n"), format!("Authorization: Bearer {good}")] {
        shown.check(&text, 0, "`build`, known by IdentityProvider default/keys (api-key)");
    }
    shown.check(&good, 0, "allowed by RoleBinding default/engineers");
    shown.check(&other, 1, "refused: 403 permission_denied");
    shown.check(&format!("{}x", good.trim_end_matches('x')), 1, "refused: 401 invalid_credential: `key_malformed`");
    shown.check(&near, 1, "`key_source`, says IdentityProvider default/keys; say with `--source`");
    assert_eq!(shown.explained(&near, &["--source", "10.1.2.3"]).0, 0);
    // What the request shows besides counts as it does on the wire.
    let (code, said) = shown.explained(&good, &["-H", "api-key: k"]);
    assert!(code == 1 && said.contains("400 several_credentials"), "{said}");
    // No provider of the route takes a password, and the directory, which would, has no files here.
    shown.check("Authorization: Basic YWxpY2U6cHc=", 1, "400 credential_in_clear");
    shown.check("alice:correct horse", 1, "holds neither a bare credential nor header lines");
    let (code, _) = shown.explained(&good, &["--as", "alice"]);
    assert_eq!(code, 2, "one way to say who it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_judges_a_credential_of_a_certified_provider() {
    let provider = oidc_provider().await;
    let shown = Shown::new(&document("sso", &provider.issuer(), &provider.trust(), ""));
    shown.key("build", &[]);
    let member = provider.credential("RS256", "ml-engineers").await;
    shown.check(&member, 0, "known by IdentityProvider default/sso (jwt), in `ml-engineers`, until 2");
    shown.check(&provider.credential("ES256", "staff").await, 1, "refused: 403 permission_denied");
    let broken = format!("{}A", &member[..member.len() - 1]);
    let broken = if broken == member { format!("{}B", &member[..member.len() - 1]) } else { broken };
    let (code, said) = shown.explained(&broken, &["--format", "json"]);
    assert_eq!(code, 1, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["outcome"]["code"], "invalid_credential", "{said:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_why_a_credential_of_an_issuer_is_not_good() {
    let issuer = HostileIssuer::start().await;
    let of = |fields: &str| {
        let shown = Shown::new(&document("sso", &issuer.issuer(), &issuer.trust(), fields));
        shown.key("build", &[]);
        shown
    };
    let shown = of("");
    let good = issuer.credential(json!({})).await;
    shown.check(&good, 0, "`alice`, known by IdentityProvider default/sso (jwt), in `ml-engineers`");
    let now = issuer.claims()["iat"].as_u64().unwrap();
    let expired = issuer.credential(json!({"iat": now - 7200, "exp": now - 3600})).await;
    shown.check(&expired, 1, "refused: 401 invalid_credential: `expired`, says IdentityProvider default/sso");
    let foreign = issuer.credential(json!({"iss": "https://id.other.example"})).await;
    shown.check(&foreign, 1, "`unknown_issuer`, says every provider that is taken here");
    shown.check(&issuer.credential(json!({"aud": "https://other.example"})).await, 1, "`audience`");
    // Keys in a file: nobody is asked.
    let keys = shown.0.path().join("keys.json");
    fs::write(&keys, issuer.keys().await.to_string()).unwrap();
    let from_file = of(&format!("keys: {{file: {}}}", keys.display()));
    let asked = issuer.asked("/jwks").await;
    from_file.check(&good, 0, "allowed by RoleBinding default/engineers");
    assert_eq!(issuer.asked("/jwks").await, asked);
    // An issuer that cannot be asked: the reason, and no waiting for ever.
    let nowhere = Shown::new(&document("sso", "https://127.0.0.1:1", &issuer.trust(), ""));
    nowhere.key("build", &[]);
    let away = issuer.credential(json!({"iss": "https://127.0.0.1:1"})).await;
    let says = "refused: 503 identity_unavailable: `no_keys`, says IdentityProvider default/sso (cannot connect to 127.0.0.1:1";
    nowhere.check(&away, 1, says);
    // One that is stopped is not waited for either.
    issuer.signal(Signal::STOP);
    shown.check(&good, 1, "`no_keys`, says IdentityProvider default/sso (no answer in time)");
    issuer.signal(Signal::CONT);
}
