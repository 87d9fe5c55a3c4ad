#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use portcullis_policy::{check::check_sources, documents::Sources};
use serde_json::Value;

use super::*;

/// Two listeners; the routes of one are a resource.
const DOCUMENTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: portcullis, listeners: [{name: http, protocol: HTTP, port: 80}, {name: other, protocol: HTTP, port: 81}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat}
spec: {parentRefs: [{name: edge, sectionName: http}], rules: [{matches: [{path: {value: /v1}}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: images}
spec: {parentRefs: [{name: edge, sectionName: http}], rules: [{matches: [{path: {value: /images}}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: open}
spec: {parentRefs: [{name: edge, sectionName: other}], rules: [{matches: [{path: {value: /v1}}]}]}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: chat}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: chat}]
  authentication: {providers: [sso, strict]}
  resource: {url: 'https://llm.corp.example/v1', scopes: [ai.chat, ai.tools]}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: images}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: images}]
  authentication: {providers: [strict]}
  resource: {url: 'https://LLM.corp.example:8443/'}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {name: open}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: open}]
  authentication: {anonymous: {}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: sso}
spec: {oidc: {issuer: 'https://id.corp.example', audiences: ['https://llm.corp.example/v1']}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {name: strict}
spec: {oidc: {issuer: 'https://strict.corp.example/realm', audiences: ['https://llm.corp.example/v1'], proof: Required}}
";

fn answered(listener: &str, method: &Method, host: &str, path: &str) -> Option<Response<Bytes>> {
    let snapshot = check_sources(&Sources::of_text("all.yaml", DOCUMENTS)).snapshot;
    let mut listeners = snapshot.listeners.iter();
    let listener = listeners.find(|candidate| *candidate.id.listener == *listener).unwrap();
    Resources::new(&snapshot).answer(&listener.id, method, host, path)
}

const V1: &str = "/.well-known/oauth-protected-resource/v1";

#[test]
fn a_document_says_what_the_policy_says() {
    let answer = answered("http", &Method::GET, "llm.corp.example", V1).unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers().get(CONTENT_TYPE).unwrap(), "application/json");
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        document,
        json!({
            "resource": "https://llm.corp.example/v1",
            "authorization_servers": ["https://id.corp.example", "https://strict.corp.example/realm"],
            "bearer_methods_supported": ["header"],
            "tls_client_certificate_bound_access_tokens": false,
            "scopes_supported": ["ai.chat", "ai.tools"],
            "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
            "dpop_bound_access_tokens_required": false,
        })
    );
}

#[test]
fn a_resource_without_a_path_has_its_document_without_one() {
    let path = "/.well-known/oauth-protected-resource";
    let answer = answered("http", &Method::GET, "llm.corp.example", path).unwrap();
    let document: Value = serde_json::from_slice(answer.body()).unwrap();
    // To the byte, as the document has it.
    assert_eq!(document["resource"], "https://LLM.corp.example:8443/");
    assert_eq!(document["authorization_servers"], json!(["https://strict.corp.example/realm"]));
    assert_eq!(document["dpop_bound_access_tokens_required"], true);
    assert!(document.get("scopes_supported").is_none());
}

#[test]
fn other_hosts_paths_and_listeners_have_none() {
    for (listener, host, path) in [
        ("http", "evil.example", V1),
        ("http", "llm.corp.example", "/.well-known/oauth-protected-resource/v2"),
        ("http", "llm.corp.example", "/.well-known/oauth-protected-resource/v1/"),
        ("http", "llm.corp.example", "/.well-known/oauth-protected-resource/"),
        ("http", "llm.corp.example", "/v1"),
        ("other", "llm.corp.example", V1),
    ] {
        assert!(answered(listener, &Method::GET, host, path).is_none(), "{listener} {host} {path}");
    }
}

#[test]
fn a_document_is_only_read() {
    let head = answered("http", &Method::HEAD, "llm.corp.example", V1).unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = answered("http", &method, "llm.corp.example", V1).unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers().get(ALLOW).unwrap(), "GET, HEAD");
        assert!(answer.body().is_empty());
    }
}

#[test]
fn the_url_of_a_document_stands_between_host_and_path() {
    for (url, expected) in [
        ("https://h.example", "https://h.example/.well-known/oauth-protected-resource"),
        ("https://h.example/", "https://h.example/.well-known/oauth-protected-resource"),
        ("https://h.example:8443/a/b", "https://h.example:8443/.well-known/oauth-protected-resource/a/b"),
        ("https://h.example/a/", "https://h.example/.well-known/oauth-protected-resource/a/"),
    ] {
        let resource = ProtectedResource { url: url.into(), path: "/".into(), scopes: Vec::new() };
        assert_eq!(metadata_url(&resource).as_deref(), Some(expected));
    }
}
