//! What the admin pages say, in JSON. Field names are an interface: tests and tools read them.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use portcullis_mesh::endpoints::{BackendStatus, EndpointState, EndpointStatus};
use portcullis_policy::snapshot::{
    Condition, DocumentId, DocumentStatus, Listener, ListenerId, ListenerProtocol, ListenerStatus, ParentStatus,
    Revision, Snapshot,
};
use serde::Serialize;

use super::Readiness;

/// `/`.
pub(super) const INDEX: &str = "\
/livez      is the process alive
/readyz     does it serve (200) or not (503)
/metrics    Prometheus text, or OpenMetrics if asked for
/snapshot   the revision in force, and how each document fared
/endpoints  every backend's endpoints
/jwks       the keys that backends verify callers with
";

/// What `/snapshot` shows.
#[derive(Debug, Clone)]
pub struct SnapshotPage {
    /// The revision in force.
    pub snapshot: Arc<Snapshot>,
    /// Why the documents as they are were refused; then the revision in force is stale.
    pub error: Option<Arc<str>>,
    /// Where each listener is bound.
    pub bound: HashMap<ListenerId, Vec<SocketAddr>>,
    /// The second set of documents, if there is one.
    pub shadow: Option<ShadowPage>,
}

/// What `/snapshot` shows of the second set of documents.
#[derive(Debug, Clone)]
pub struct ShadowPage {
    /// The one that is asked.
    pub revision: Revision,
    /// Why its documents as they are were refused; then it is stale.
    pub error: Option<Arc<str>>,
}

/// `/readyz`.
pub(super) fn readiness(readiness: &Readiness) -> String {
    #[derive(Serialize)]
    struct Page<'a> {
        ready: bool,
        state: &'static str,
        error: Option<&'a str>,
    }
    print(&match readiness {
        Readiness::Ready => Page { ready: true, state: "current", error: None },
        Readiness::Stale(error) => Page { ready: true, state: "stale", error: Some(error) },
        Readiness::NotReady(error) => Page { ready: false, state: "unready", error: Some(error) },
    })
}

/// `/snapshot`.
pub(super) fn snapshot(page: &SnapshotPage) -> String {
    #[derive(Serialize)]
    struct Page<'a> {
        revision: &'a str,
        state: &'static str,
        error: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        shadow: Option<ShadowLine<'a>>,
        listeners: Vec<ListenerLine<'a>>,
        documents: Vec<DocumentLine<'a>>,
    }
    #[derive(Serialize)]
    struct ShadowLine<'a> {
        revision: &'a str,
        state: &'static str,
        error: Option<&'a str>,
    }
    let state = |error: &Option<Arc<str>>| if error.is_some() { "stale" } else { "current" };
    let listeners = page.snapshot.listeners.iter();
    print(&Page {
        revision: &page.snapshot.revision.0,
        state: state(&page.error),
        error: page.error.as_deref(),
        shadow: page.shadow.as_ref().map(|shadow| ShadowLine {
            revision: &shadow.revision.0,
            state: state(&shadow.error),
            error: shadow.error.as_deref(),
        }),
        listeners: listeners.map(|listener| ListenerLine::new(listener, page.bound.get(&listener.id))).collect(),
        documents: page.snapshot.documents.iter().map(DocumentLine::new).collect(),
    })
}

#[derive(Serialize)]
struct ListenerLine<'a> {
    id: String,
    port: u16,
    protocol: &'static str,
    bound: &'a [SocketAddr],
}

impl<'a> ListenerLine<'a> {
    fn new(listener: &Listener, bound: Option<&'a Vec<SocketAddr>>) -> Self {
        Self {
            id: listener.id.to_string(),
            port: listener.port,
            protocol: match listener.protocol {
                ListenerProtocol::Http => "HTTP",
                ListenerProtocol::Https => "HTTPS",
                ListenerProtocol::Tls => "TLS",
            },
            bound: bound.map_or(&[], Vec::as_slice),
        }
    }
}

#[derive(Serialize)]
struct DocumentName<'a> {
    group: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> DocumentName<'a> {
    fn new(id: &'a DocumentId) -> Self {
        Self { group: &id.group, kind: &id.kind, namespace: &id.namespace, name: &id.name }
    }
}

#[derive(Serialize)]
struct DocumentLine<'a> {
    #[serde(flatten)]
    document: DocumentName<'a>,
    location: String,
    conditions: Vec<ConditionLine<'a>>,
    parents: Vec<ParentLine<'a>>,
    listeners: Vec<ListenerStatusLine<'a>>,
}

impl<'a> DocumentLine<'a> {
    fn new(status: &'a DocumentStatus) -> Self {
        let listeners = status.listeners.iter();
        Self {
            document: DocumentName::new(&status.document),
            location: status.location.to_string(),
            conditions: conditions(&status.conditions, status.generation),
            parents: status.parents.iter().map(|parent| ParentLine::new(parent, status.generation)).collect(),
            listeners: listeners.map(|listener| ListenerStatusLine::new(listener, status.generation)).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParentLine<'a> {
    parent: DocumentName<'a>,
    section_name: Option<&'a str>,
    port: Option<u16>,
    conditions: Vec<ConditionLine<'a>>,
}

impl<'a> ParentLine<'a> {
    fn new(status: &'a ParentStatus, generation: Option<i64>) -> Self {
        Self {
            parent: DocumentName::new(&status.parent),
            section_name: status.section_name.as_deref(),
            port: status.port,
            conditions: conditions(&status.conditions, generation),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListenerStatusLine<'a> {
    name: &'a str,
    attached_routes: u32,
    supported_kinds: Vec<KindLine<'a>>,
    conditions: Vec<ConditionLine<'a>>,
}

#[derive(Serialize)]
struct KindLine<'a> {
    group: &'a str,
    kind: &'a str,
}

impl<'a> ListenerStatusLine<'a> {
    fn new(status: &'a ListenerStatus, generation: Option<i64>) -> Self {
        let kinds = status.supported_kinds.iter();
        Self {
            name: &status.name,
            attached_routes: status.attached_routes,
            supported_kinds: kinds.map(|(group, kind)| KindLine { group, kind }).collect(),
            conditions: conditions(&status.conditions, generation),
        }
    }
}

#[derive(Serialize)]
struct ConditionLine<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    status: &'static str,
    #[serde(rename = "observedGeneration", skip_serializing_if = "Option::is_none")]
    observed_generation: Option<i64>,
    reason: &'a str,
    message: &'a str,
}

fn conditions(conditions: &[Condition], generation: Option<i64>) -> Vec<ConditionLine<'_>> {
    let lines = conditions.iter().map(|condition| ConditionLine {
        kind: condition.kind,
        status: if condition.status { "True" } else { "False" },
        observed_generation: generation,
        reason: condition.reason,
        message: &condition.message,
    });
    lines.collect()
}

/// `/endpoints`.
pub(super) fn endpoints(backends: &[BackendStatus]) -> String {
    #[derive(Serialize)]
    struct Page<'a> {
        backends: Vec<BackendLine<'a>>,
    }
    print(&Page { backends: backends.iter().map(BackendLine::new).collect() })
}

#[derive(Serialize)]
struct BackendLine<'a> {
    name: &'a str,
    panic: bool,
    unresolved: Vec<&'a str>,
    endpoints: Vec<EndpointLine<'a>>,
}

impl<'a> BackendLine<'a> {
    fn new(status: &'a BackendStatus) -> Self {
        Self {
            name: &status.name,
            panic: status.panic,
            unresolved: status.unresolved.iter().map(AsRef::as_ref).collect(),
            endpoints: status.endpoints.iter().map(EndpointLine::new).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointLine<'a> {
    address: SocketAddr,
    grpc_address: SocketAddr,
    name: Option<&'a str>,
    capacity: f64,
    state: &'static str,
    /// While warming: the share of its capacity that it may use.
    share: Option<f64>,
    /// While ejected: how much longer.
    ejected_for_ms: Option<u64>,
    in_flight: u32,
    placed: u32,
    failures_in_a_row: u32,
    failures_total: u64,
    ejections_total: u32,
}

impl<'a> EndpointLine<'a> {
    fn new(status: &'a EndpointStatus) -> Self {
        let (share, ejected_for_ms) = match status.state {
            EndpointState::Warming(share) => (Some(share), None),
            EndpointState::Ejected(left) => (None, Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))),
            _ => (None, None),
        };
        Self {
            address: status.address,
            grpc_address: status.grpc_address,
            name: status.name.as_deref(),
            capacity: status.capacity,
            state: status.state.word(),
            share,
            ejected_for_ms,
            in_flight: status.in_flight,
            placed: status.placed,
            failures_in_a_row: status.failures_in_a_row,
            failures_total: status.failures_total,
            ejections_total: status.ejections_total,
        }
    }
}

/// JSON text. The pages' types cannot fail to serialize: their keys are text, and numbers that JSON lacks become null.
fn print(page: &impl Serialize) -> String {
    serde_json::to_string(page).unwrap_or_else(|_| "null".to_owned())
}
