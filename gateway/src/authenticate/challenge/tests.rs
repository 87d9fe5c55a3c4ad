#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;

use portcullis_policy::{check::check_sources, documents::Sources};

use super::*;

const OIDC: &str = "oidc: {issuer: 'https://id.corp.example', audiences: [x]}";
const PROOF: &str = "oidc: {issuer: 'https://id.corp.example', audiences: [x], proof: Required}";
const KEYS: &str = "apiKeys: {file: keys.yaml}";
const LDAP: &str = "ldap: {urls: ['ldaps://dc1.corp.example'], bindAs: '{username}@corp.example'}";
const MTLS: &str = "mtls: {trustDomain: corp.example}";

/// The challenges of a policy with these providers.
fn challenges(providers: &[&str], resource: &str, cause: Cause) -> Vec<String> {
    let mut text = String::from(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: portcullis, listeners: [{name: http, protocol: HTTP, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat}
spec: {parentRefs: [{name: edge}], rules: [{matches: [{path: {value: /v1}}]}]}
",
    );
    let names: Vec<_> = (0..providers.len()).map(|index| format!("p{index}")).collect();
    write!(
        text,
        "---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: secret-plans}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]
  authentication: {{providers: [{}]}}
{resource}
",
        names.join(", ")
    )
    .unwrap();
    for (name, spec) in names.iter().zip(providers) {
        write!(
            text,
            "---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: {name}}}
spec: {{{spec}}}
"
        )
        .unwrap();
    }
    let snapshot = check_sources(&Sources::of_text("all.yaml", &text)).snapshot;
    let challenges = Challenges::new(&snapshot);
    let rule = snapshot.listeners.first().unwrap().routes.rules().first().unwrap();
    let Access::Guarded(guard) = &rule.access else { unreachable!("{:?}", rule.access) };
    let refusal = Refusal::new(crate::refusal::Fault::Caller, http::StatusCode::UNAUTHORIZED, "x", "x");
    let refusal = challenges.add(refusal, guard, cause);
    refusal.headers.iter().map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
}

const ALGS: &str = r#"algs="ES256 ES384 EdDSA Ed25519 RS256 RS384 RS512 PS256 PS384 PS512""#;

#[test]
fn each_provider_has_its_scheme() {
    let dpop = format!(r#"DPoP realm="portcullis", {ALGS}"#);
    for (providers, expected) in [
        (&[OIDC][..], &[r#"Bearer realm="portcullis""#, &*dpop][..]),
        (&[PROOF], &[&*dpop, r#"Bearer realm="portcullis""#]),
        (&[PROOF, KEYS], &[r#"Bearer realm="portcullis""#, &*dpop]),
        (&[KEYS], &[r#"Bearer realm="portcullis""#]),
        (&[LDAP], &[r#"Basic realm="portcullis", charset="UTF-8""#]),
        (&[LDAP, KEYS], &[r#"Bearer realm="portcullis""#, r#"Basic realm="portcullis", charset="UTF-8""#]),
        (&[MTLS], &[r#"Certificate realm="portcullis""#]),
        (&[MTLS, KEYS], &[r#"Bearer realm="portcullis""#]),
    ] {
        assert_eq!(challenges(providers, "", Cause::NothingShown), expected, "{providers:?}");
    }
}

#[test]
fn an_error_is_told_after_a_credential_was_shown() {
    let bad = [
        r#"Bearer realm="portcullis", error="invalid_token""#.to_owned(),
        format!(r#"DPoP realm="portcullis", {ALGS}, error="invalid_token""#),
        r#"Basic realm="portcullis", charset="UTF-8""#.to_owned(),
    ];
    assert_eq!(challenges(&[OIDC, LDAP], "", Cause::Invalid), bad);
    let no_proof = [
        format!(r#"DPoP realm="portcullis", {ALGS}, error="invalid_dpop_proof""#),
        r#"Bearer realm="portcullis", error="invalid_token""#.to_owned(),
    ];
    assert_eq!(challenges(&[OIDC], "", Cause::InvalidProof), no_proof);
}

#[test]
fn the_metadata_of_a_resource_is_named() {
    let resource = "  resource: {url: 'https://llm.corp.example:8443/v1'}";
    let metadata = r#"resource_metadata="https://llm.corp.example:8443/.well-known/oauth-protected-resource/v1""#;
    for challenge in challenges(&[OIDC], resource, Cause::NothingShown) {
        assert!(challenge.ends_with(metadata), "{challenge}");
    }
}

#[test]
fn the_names_of_documents_are_not_told() {
    for cause in [Cause::NothingShown, Cause::Invalid, Cause::InvalidProof] {
        for challenge in challenges(&[OIDC, LDAP, KEYS, MTLS], "", cause) {
            assert!(!challenge.contains("secret-plans") && !challenge.contains("p0"), "{challenge}");
        }
    }
}
