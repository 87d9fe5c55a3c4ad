//! Conditions, collected document by document.

use std::sync::Arc;

use foldhash::HashMap;

use crate::{
    documents::{Document, Kind},
    snapshot::{Condition, DocumentId, DocumentStatus, ListenerStatus, ParentStatus},
};

/// Conditions by document.
#[derive(Debug, Default)]
pub(super) struct Statuses(HashMap<DocumentId, Collected>);

#[derive(Debug, Default)]
struct Collected {
    conditions: Vec<Condition>,
    parents: Vec<ParentStatus>,
    listeners: Vec<ListenerStatus>,
}

/// A condition.
pub(super) fn condition(
    kind: &'static str,
    status: bool,
    reason: &'static str,
    message: impl Into<String>,
) -> Condition {
    Condition { kind, status, reason, message: message.into() }
}

impl Statuses {
    pub(super) fn condition(&mut self, document: &DocumentId, condition: Condition) {
        self.0.entry(document.clone()).or_default().conditions.push(condition);
    }

    pub(super) fn parent(&mut self, document: &DocumentId, status: ParentStatus) {
        let parents = &mut self.0.entry(document.clone()).or_default().parents;
        let same = |other: &ParentStatus| {
            other.parent == status.parent && other.section_name == status.section_name && other.port == status.port
        };
        if !parents.iter().any(same) {
            parents.push(status);
        }
    }

    pub(super) fn listener(&mut self, document: &DocumentId, status: ListenerStatus) {
        self.0.entry(document.clone()).or_default().listeners.push(status);
    }

    /// In the order of the documents. What nobody said anything about is accepted.
    pub(super) fn finish(mut self, documents: &[Document]) -> Vec<DocumentStatus> {
        documents
            .iter()
            .map(|document| {
                let mut collected = self.0.remove(&document.id).unwrap_or_default();
                let by_parents = matches!(
                    document.value,
                    Kind::HttpRoute(_) | Kind::GrpcRoute(_) | Kind::TlsRoute(_) | Kind::BackendTlsPolicy(_)
                );
                if collected.conditions.is_empty() && !by_parents {
                    collected.conditions.push(condition("Accepted", true, "Accepted", "accepted"));
                }
                DocumentStatus {
                    document: document.id.clone(),
                    location: document.location("metadata.name"),
                    generation: document.value.metadata().generation,
                    conditions: collected.conditions,
                    parents: collected.parents,
                    listeners: collected.listeners,
                }
            })
            .collect()
    }
}

/// The two conditions of a route towards a parent.
pub(super) fn route_conditions(
    accepted: Result<(), &'static str>,
    resolved: Result<(), (&'static str, String)>,
) -> Vec<Condition> {
    vec![
        match accepted {
            Ok(()) => condition("Accepted", true, "Accepted", "the route is attached"),
            Err(reason) => condition("Accepted", false, reason, "the route is not attached"),
        },
        match resolved {
            Ok(()) => condition("ResolvedRefs", true, "ResolvedRefs", "every reference leads somewhere"),
            Err((reason, message)) => condition("ResolvedRefs", false, reason, message),
        },
    ]
}

/// A shared text.
pub(super) fn arc(text: &str) -> Arc<str> {
    text.into()
}
