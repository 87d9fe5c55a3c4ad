//! `explain` on the command line: what it prints, and how it ends. That it agrees with the gateway is tested beside the
//! matches themselves.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::edge::{GATEWAY, inference_backend, portcullis, to_inference};

/// Ports behind a load balancer, a redirect, a canary, and a route for one model.
fn documents(folder: &Path) {
    let backend = |name: &str| inference_backend(name, "openai", "127.0.0.1:1".parse().unwrap(), "");
    let gateway = GATEWAY.replace(
        "[{name: http, protocol: HTTP, port: 80}]",
        "
  - {name: http, protocol: HTTP, port: 8080}
  - name: https
    protocol: HTTPS
    port: 8443
    hostname: '*.corp.test'
    tls: {certificateRefs: [{group: portcullis.dev, kind: Certificate, name: edge}]}",
    );
    let text = format!(
        "{gateway}---
apiVersion: portcullis.dev/v1alpha1
kind: Certificate
metadata: {{name: edge, namespace: default}}
spec: {{dnsNames: [llm.corp.test], issuer: {{local: {{}}}}}}
{}{}---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: chat, namespace: default}}
spec:
  parentRefs: [{{name: edge, sectionName: https}}]
  rules:
  - name: big
    matches: [{{path: {{value: /v1}}, headers: [{{name: X-Gateway-Model-Name, value: big}}]}}]
    backendRefs: [{2}]
  - matches: [{{path: {{value: /v1}}}}]
    backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, name: main, weight: 9}}, {2}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: to-https, namespace: default}}
spec:
  parentRefs: [{{name: edge, sectionName: http}}]
  rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{scheme: https, statusCode: 308}}}}]}}]
",
        backend("main"),
        backend("canary"),
        to_inference("canary"),
    );
    fs::write(folder.join("all.yaml"), text).unwrap();
}

/// Exit code, standard output and standard error.
fn explain(arguments: &[&str]) -> (i32, String, String) {
    let output = portcullis(&[&["explain"], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn each_stage_says_what_it_decides_and_which_line_says_so() {
    let folder = TempDir::new().unwrap();
    documents(folder.path());
    let config = folder.path().to_str().unwrap();
    let file = folder.path().join("all.yaml");
    let url = "https://LLM.corp.test/v1/./chat/completions";
    let (code, said, error) = explain(&["--config", config, "POST", url, "--model", "small"]);
    let text = fs::read_to_string(&file).unwrap();
    let line_of = |needle: &str| 1 + text.lines().position(|line| line.contains(needle)).unwrap();
    let line = line_of("matches: [{path: {value: /v1}}]");
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    let expected = format!(
        "canonical    POST llm.corp.test /v1/chat/completions
listener     default/edge/https (port 8443)
route        HTTPRoute default/chat, rule 1 ({file}:{line}:5)
authenticate anyone, says AccessPolicy default/open ({file}:{access}:31)
model        small
action       infer
authorize    allowed by AccessPolicy default/open ({file}:{access}:31)
backend       90 % InferenceBackend default/main, 1 endpoints
backend       10 % InferenceBackend default/canary, 1 endpoints
",
        file = file.display(),
        access = line_of("anonymous"),
    );
    assert_eq!(said, expected);
}

#[test]
fn the_exit_code_says_what_would_become_of_the_request() {
    let folder = TempDir::new().unwrap();
    documents(folder.path());
    let config = folder.path().to_str().unwrap();
    // Not beside the documents: a JSON file is one of them.
    let elsewhere = TempDir::new().unwrap();
    let body = elsewhere.path().join("body.json");
    let body = body.to_str().unwrap();
    fs::write(body, r#"{"model":"big"}"#).unwrap();
    let check = |arguments: &[&str], code: i32, says: &str| {
        let (got, said, error) = explain(&[&["--config", config], arguments].concat());
        assert_eq!(got, code, "{arguments:?}: {said}{error}");
        assert!(format!("{said}{error}").contains(says), "{arguments:?}: {said}{error}");
    };
    let chat = "https://llm.corp.test/v1/chat/completions";
    check(&["POST", chat, "--body", body], 0, "`big`");
    check(&["--body", body, "POST", chat], 0, "`big`");
    check(&["POST", chat], 1, "invalid_json");
    check(&["GET", chat], 0, "rule 1");
    check(&["POST", chat, "--body", body, "-H", "x-gateway-model-name: other"], 1, "refused: 400 model_conflict");
    check(&["POST", chat, "--body", body, "-H", "content-encoding: gzip"], 1, "refused: 415");
    check(&["GET", "https://llm.corp.test:8443/v1/models"], 0, "port 8443");
    check(&["GET", "https://llm.corp.test:9443/v1/models"], 1, "refused: 404");
    check(&["GET", "https://elsewhere.test/v1/models"], 1, "refused: 404");
    check(&["GET", "https://llm.corp.test/v2"], 1, "refused: 404 route_not_found");
    check(&["GET", "http://llm.corp.test/v2"], 0, "redirect, 308");
    check(&["get", "https://llm.corp.test/v1/models"], 1, "refused: 405");
    check(&["GET", "https://llm.corp.test/v1/%2e%2e/%2e%2e/admin"], 1, "refused: 400");
    check(&["GET", "llm.corp.test/v1"], 1, "not a URL");
    check(&["GET", "/v1"], 1, "does not begin with");
    check(&["POST", chat, "--body", "/nowhere/at/all"], 1, "/nowhere/at/all");
    check(&["POST"], 2, "METHOD URL");
    check(&[], 2, "METHOD URL");
    let broken = folder.path().join("broken.yaml");
    fs::write(&broken, "kind: Nothing\n").unwrap();
    let (code, said, error) = explain(&["--config", broken.to_str().unwrap(), "GET", chat]);
    assert_eq!((code, said.as_str()), (1, ""), "{error}");
    assert!(error.contains("broken.yaml:1"), "{error}");
}
