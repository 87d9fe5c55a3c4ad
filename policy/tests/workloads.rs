//! Who may call a workload behind the edge: documents in, decisions out.
#![expect(clippy::unwrap_used, reason = "tests")]

use http::Method;
use portcullis_certs::SpiffeId;
use portcullis_policy::{
    Snapshot,
    action::Action,
    authorize::{WorkloadDenial, WorkloadQuestion, WorkloadRules},
    check::check_sources,
    documents::Sources,
};

const LLAMA: &str = "spiffe://corp.example/ns/inference/sa/llama";
const EDGE: &str = "spiffe://corp.example/ns/edge/sa/portcullis";

const DOCUMENTS: &str = "
apiVersion: portcullis.dev/v1alpha1
kind: WorkloadPolicy
metadata: {name: llama, namespace: inference}
spec:
  workloads: ['spiffe://corp.example/ns/inference/sa/llama']
  protocol: openai
  rules:
  - from: ['spiffe://corp.example/ns/edge/sa/portcullis']
    ports: [8000]
    actions: [infer]
    models: [llama-*]
  - from: ['spiffe://corp.example/ns/edge/sa/portcullis', 'spiffe://corp.example/ns/monitoring/sa/*']
    methods: [GET]
    paths: [/metrics, '/v1/models*']
    actions: [metrics, list-models, read-metadata]
  - effect: Deny
    from: ['spiffe://corp.example/ns/*']
    actions: [infer]
    models: [llama-secret]
  - from: ['spiffe://corp.example/ns/operations/sa/loader']
    actions: ['*']
";

fn snapshot(text: &str) -> Snapshot {
    let report = check_sources(&Sources::of_text("test.yaml", text));
    assert!(report.is_clean(), "{:?}", report.told());
    report.snapshot
}

fn ask(peer: &str, port: u16, method: &Method, path: &str, model: Option<&str>) -> Result<Action, String> {
    let rules = WorkloadRules::of(&snapshot(DOCUMENTS), &LLAMA.parse().unwrap());
    let peer: SpiffeId = peer.parse().unwrap();
    let question = WorkloadQuestion { peer: &peer, port, method, path, model };
    rules.permit(&question).map(|permit| permit.action()).map_err(|denial| match denial {
        WorkloadDenial::NotAllowed { action, .. } => format!("{action} is not allowed"),
        WorkloadDenial::Denied { rule } => format!("denied at line {}", rule.line),
    })
}

#[test]
fn what_no_rule_allows_is_refused() {
    let chat = "/v1/chat/completions";
    assert_eq!(ask(EDGE, 8000, &Method::POST, chat, Some("llama-8b")), Ok(Action::Infer));
    let not = |what: &str| Err(format!("{what} is not allowed"));
    assert_eq!(ask(EDGE, 8001, &Method::POST, chat, Some("llama-8b")), not("infer"), "another port");
    assert_eq!(ask(EDGE, 8000, &Method::POST, chat, Some("qwen")), not("infer"), "another model");
    let denied = Err("denied at line 17".to_owned());
    assert_eq!(ask(EDGE, 8000, &Method::POST, chat, None), denied, "no model might be the one that is denied");
    let other = "spiffe://corp.example/ns/edge/sa/portcullis2";
    assert_eq!(ask(other, 8000, &Method::POST, chat, Some("llama-8b")), not("infer"), "another caller");
    let foreign = "spiffe://other.example/ns/edge/sa/portcullis";
    assert_eq!(ask(foreign, 8000, &Method::POST, chat, Some("llama-8b")), not("infer"), "another trust domain");
}

#[test]
fn what_changes_a_server_is_no_inference() {
    let check = |path: &str, expected: &str| {
        let got = ask(EDGE, 8000, &Method::POST, path, None);
        assert_eq!(got, Err(format!("{expected} is not allowed")), "{path}");
        let loader = "spiffe://corp.example/ns/operations/sa/loader";
        assert!(ask(loader, 8000, &Method::POST, path, None).is_ok(), "{path}");
    };
    check("/v2/repository/models/m/unload", "load-model");
    check("/v1/load_lora_adapter", "load-model");
    check("/sleep", "admin");
    check("/flush_cache", "admin");
    check("/v2/systemsharedmemory/region/r/register", "admin");
    check("/what/nobody/knows", "admin");
}

#[test]
fn a_rule_that_denies_wins() {
    let got = ask(EDGE, 8000, &Method::POST, "/v1/chat/completions", Some("llama-secret"));
    assert_eq!(got, Err("denied at line 17".to_owned()));
}

#[test]
fn methods_and_paths_narrow_a_rule() {
    let scraper = "spiffe://corp.example/ns/monitoring/sa/prometheus";
    assert_eq!(ask(scraper, 8000, &Method::GET, "/metrics", None), Ok(Action::Metrics));
    assert_eq!(ask(scraper, 8000, &Method::GET, "/v1/models/llama-8b", None), Ok(Action::ReadMetadata));
    assert!(ask(scraper, 8000, &Method::POST, "/metrics", None).is_err());
    assert!(ask(scraper, 8000, &Method::GET, "/v2/models/llama/config", None).is_err());
}

#[test]
fn a_workload_that_no_policy_names_is_called_by_nobody() {
    let rules =
        WorkloadRules::of(&snapshot(DOCUMENTS), &"spiffe://corp.example/ns/inference/sa/llama2".parse().unwrap());
    assert!(rules.is_empty());
    let peer = EDGE.parse().unwrap();
    let question = WorkloadQuestion { peer: &peer, port: 8000, method: &Method::GET, path: "/v1/models", model: None };
    assert!(rules.permit(&question).is_err());
}

#[test]
fn rules_that_name_models_need_the_body() {
    assert!(WorkloadRules::of(&snapshot(DOCUMENTS), &LLAMA.parse().unwrap()).names_models());
    let without = DOCUMENTS.replace("    models: [llama-*]\n", "").replace("    models: [llama-secret]\n", "");
    assert!(!WorkloadRules::of(&snapshot(&without), &LLAMA.parse().unwrap()).names_models());
}
