//! Typed documents → one [`Snapshot`], with everything that is wrong between documents, and how each of them fared.
//!
//! A reference that leads nowhere is a diagnostic *and* a value in the snapshot ([`Unresolved`](crate::snapshot::Unresolved)):
//! whoever runs it decides whether to refuse the revision or to answer 500 on that route, as a Gateway API controller does.

mod access;
mod backends;
mod filters;
mod gateways;
mod guardrails;
mod identity;
mod inventory;
mod roles;
mod routes;
mod status;
mod workloads;

use sha2::{Digest, Sha256};

use self::{
    access::AccessRules, backends::Backends, gateways::compile_gateways, guardrails::GuardrailRules,
    identity::Providers, inventory::Inventory, routes::attach_routes, status::Statuses,
};
use crate::{
    Snapshot,
    diagnostics::Diagnostic,
    documents::{Document, Kind, kinds::ours::StrategyWord},
    snapshot::Revision,
};

/// A snapshot, and what there is to say about the documents it was made from.
#[derive(Debug)]
pub struct Compiled {
    /// What the documents mean.
    pub snapshot: Snapshot,
    /// What is wrong between them.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles documents that parsed.
pub fn compile(documents: &[Document]) -> Compiled {
    let mut diagnostics = Vec::new();
    refuse_what_is_not_enforced(documents, &mut diagnostics);
    let inventory = Inventory::new(documents);
    let mut statuses = Statuses::default();
    let mut gateways = compile_gateways(&inventory, &mut statuses, &mut diagnostics);
    let providers = Providers::new(&inventory, &mut diagnostics);
    let access = AccessRules::new(&inventory, &providers, &mut diagnostics);
    let guardrails = GuardrailRules::new(&inventory, &mut diagnostics);
    let roles = roles::compile(&inventory, &providers, &mut diagnostics);
    let workloads = workloads::compile(documents, &mut diagnostics);
    let mut backends = Backends::new(&inventory, &mut statuses, &mut diagnostics);
    attach_routes(&inventory, &access, &guardrails, &mut backends, &mut gateways, &mut statuses, &mut diagnostics);
    let backends = backends.finish(&mut diagnostics, &mut statuses);
    let listeners = gateways.into_iter().flat_map(|gateway| gateway.finish(&mut statuses)).collect();
    let documents = statuses.finish(documents);
    let revision = revision(inventory.documents);
    Compiled {
        snapshot: Snapshot {
            revision,
            listeners,
            backends,
            providers: providers.finish(),
            roles,
            workloads,
            documents,
        },
        diagnostics,
    }
}

/// The same documents in any order, in any file, have the same revision.
fn revision(documents: &[Document]) -> Revision {
    let mut parts: Vec<_> = documents.iter().map(|document| (&document.id, document.source())).collect();
    parts.sort();
    let mut hash = Sha256::new();
    for (id, source) in parts {
        hash.update(id.to_string());
        hash.update([0]);
        hash.update(source);
        hash.update([0]);
    }
    let digits = hash.finalize().iter().take(8).fold(0_u64, |digits, byte| digits << 8 | u64::from(*byte));
    Revision(format!("{digits:016x}").into())
}

/// Guards that do not exist yet must not be believed in.
fn refuse_what_is_not_enforced(documents: &[Document], diagnostics: &mut Vec<Diagnostic>) {
    for document in documents {
        let what = match &document.value {
            Kind::GuardrailPolicy(_) if !guardrails::GUARDRAILS_ARE_ENFORCED => "guardrails",
            Kind::AuditSink(_) => "audit sinks",
            Kind::InferencePool(_) => "InferencePools",
            Kind::ListenerSet(_) => "ListenerSets",
            Kind::InferenceBackend(backend) => {
                let strategy = backend.spec.load_balancing.as_ref().and_then(|balancing| balancing.strategy);
                match strategy {
                    Some(StrategyWord::PrefixAffinity) => diagnostics.push(
                        Diagnostic::enforcement(
                            "not-enforced-yet",
                            "prefix affinity is not built yet, so `run` refuses it",
                        )
                        .at(document.span("spec.loadBalancing.strategy"), "not built yet")
                        .help("write `least-requests` or `round-robin`"),
                    ),
                    Some(StrategyWord::LoadAware) => diagnostics.push(
                        Diagnostic::warning(
                            "load-not-measured",
                            "no sidecar measures load yet: `load-aware` means `least-requests`",
                        )
                        .at(document.span("spec.loadBalancing.strategy"), "fewest in flight, for now"),
                    ),
                    _ => {}
                }
                continue;
            }
            _ => continue,
        };
        diagnostics.push(
            Diagnostic::enforcement(
                "not-enforced-yet",
                format!("{what} are not enforced yet, so `run` refuses {}", document.id),
            )
            .at(document.name_span(), "checked, not enforced")
            .help("take it out of the documents that `run` reads, so that nobody believes in it"),
        );
    }
}
