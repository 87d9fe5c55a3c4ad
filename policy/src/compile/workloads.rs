//! WorkloadPolicies: from documents to what sidecars enforce.

use std::sync::Arc;

use http::Method;

use super::{
    backends::dialect,
    roles::{actions, is_workload, patterns},
};
use crate::{
    authorize::{WorkloadPolicy, WorkloadRule},
    diagnostics::Diagnostic,
    documents::{Document, Kind, kinds::ours},
    roles::{Effect, Pattern},
};

/// Every WorkloadPolicy, with what is wrong with them.
pub(super) fn compile(documents: &[Document], diagnostics: &mut Vec<Diagnostic>) -> Vec<Arc<WorkloadPolicy>> {
    documents.iter().filter_map(|document| policy(document, diagnostics)).collect()
}

fn policy(document: &Document, diagnostics: &mut Vec<Diagnostic>) -> Option<Arc<WorkloadPolicy>> {
    let Kind::WorkloadPolicy(policy) = &document.value else { return None };
    let workloads = identities(document, "spec.workloads", &policy.spec.workloads, diagnostics);
    let rules = policy.spec.rules.iter().enumerate();
    let rules = rules.filter_map(|(at, spec)| rule(document, at, spec, diagnostics)).collect();
    let protocol = policy.spec.protocol.map(dialect);
    Some(Arc::new(WorkloadPolicy { document: document.id.clone(), workloads, protocol, rules }))
}

fn rule(
    document: &Document,
    at: usize,
    spec: &ours::WorkloadRule,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<WorkloadRule> {
    let path = format!("spec.rules[{at}]");
    let before = diagnostics.len();
    let from = identities(document, &format!("{path}.from"), &spec.from, diagnostics);
    let methods = methods(document, &path, &spec.methods, diagnostics);
    let paths = paths(document, &path, &spec.paths, diagnostics);
    let actions = actions(document, &path, &spec.actions, diagnostics);
    let models = patterns(document, &format!("{path}.models"), &spec.models, diagnostics);
    if let Some(index) = spec.ports.iter().position(|port| *port == 0) {
        let span = document.span(&format!("{path}.ports[{index}]"));
        diagnostics.push(Diagnostic::error("invalid-value", "0 is not a port").at(span, "nobody can come by it"));
    }
    // A rule with a mistake in it might say more than it should.
    (diagnostics.len() == before).then(|| WorkloadRule {
        location: document.location(&path),
        effect: spec.effect.unwrap_or(Effect::Allow),
        from,
        ports: spec.ports.clone(),
        methods,
        paths,
        actions,
        models,
        relays_callers: spec.relays_callers,
    })
}

fn identities(document: &Document, path: &str, names: &[String], diagnostics: &mut Vec<Diagnostic>) -> Vec<Pattern> {
    for (index, name) in names.iter().enumerate() {
        if !is_workload(name) {
            diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{name}` is not the name of workloads"))
                    .at(document.span(&format!("{path}[{index}]")), "not a SPIFFE ID")
                    .help("write it like `spiffe://corp.example/ns/edge/sa/*`: `*` may stand anywhere but in the trust domain"),
            );
        }
    }
    names.iter().map(|name| Pattern::new(name)).collect()
}

fn methods(document: &Document, path: &str, words: &[String], diagnostics: &mut Vec<Diagnostic>) -> Vec<Method> {
    let mut methods = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        match Method::from_bytes(word.as_bytes()) {
            // Case counts (RFC 9110 §9.1): a rule for `post` would be about nothing that anybody sends.
            Ok(method) if !word.bytes().any(|byte| byte.is_ascii_lowercase()) => methods.push(method),
            _ => diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{word}` is not a method"))
                    .at(document.span(&format!("{path}.methods[{index}]")), "not a method")
                    .help("write it as it is sent, like `POST`"),
            ),
        }
    }
    methods
}

fn paths(document: &Document, path: &str, texts: &[String], diagnostics: &mut Vec<Diagnostic>) -> Vec<Pattern> {
    for (index, text) in texts.iter().enumerate() {
        if !text.starts_with('/') || text.contains("//") || text.contains(['?', '#', '%', '\\']) {
            diagnostics.push(
                Diagnostic::error("invalid-value", format!("`{text}` is not a canonical path"))
                    .at(document.span(&format!("{path}.paths[{index}]")), "matches nothing that is sent")
                    .help("begin with `/` and leave escapes, queries and doubled slashes out; `*` stands for any characters"),
            );
        }
    }
    texts.iter().map(|text| Pattern::new(text)).collect()
}
