//! A snapshot at work: what the documents mean, with the state of the backends they name.
//!
//! Built off the hot path, once per revision, and shared by every worker. Endpoints that stay keep their state.

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use foldhash::HashMap;
use portcullis_certs::SpiffeId;
use portcullis_mesh::{
    connections::{Target, TargetTls, Version},
    endpoints::{self, Address, BackendSpec, Endpoint, EndpointSpec, Endpoints, HealthCheckSpec},
    http::h1_client::Clocks,
    tls::PortTls,
};
use portcullis_policy::{
    Snapshot,
    snapshot::{
        Backend, BackendId, DocumentId, EndpointAddress, HostPattern, Listener, ListenerProtocol, Strategy, Transport,
        UpstreamHttp,
    },
};

use crate::{
    authenticate::providers::Providers,
    resource::Resources,
    same_rule::RulesByName,
    screening::Guards,
    tls::{PortsTls, TlsError, TlsState, target_tls},
};

/// A compiled revision with its backends' state.
#[derive(Debug)]
pub struct Live {
    /// What the documents mean.
    pub snapshot: Arc<Snapshot>,
    /// Counts revisions; never the same twice in a process.
    pub generation: u64,
    backends: Vec<LiveBackend>,
    ports: HashMap<PortKey, Vec<usize>>,
    tls: PortsTls,
    /// Who knows callers.
    pub providers: Providers,
    /// Who asks guards elsewhere.
    pub guards: Guards,
    /// Where clients learn who gives out credentials.
    pub resources: Resources,
    /// Rules by what they are known by, once somebody asks.
    rules: OnceLock<RulesByName>,
}

/// One socket address's worth of listeners: a Gateway and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortKey {
    /// The Gateway's namespace.
    pub namespace: Arc<str>,
    /// The Gateway's name.
    pub gateway: Arc<str>,
    /// The port as the document names it.
    pub port: u16,
}

impl std::fmt::Display for PortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.gateway, self.port)
    }
}

/// Why a snapshot cannot be brought to life.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Certificates, keys, trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An identity provider.
    #[error("{0}")]
    Provider(String),
    /// A guard elsewhere.
    #[error("{0}")]
    Guard(String),
}

/// How bytes travel to the endpoints of a backend.
#[derive(Debug, Clone)]
enum Towards {
    /// In the clear, because a document says so.
    Plaintext,
    /// To all of them alike.
    Tls(Arc<TargetTls>),
    /// To each by whom it must prove to be.
    Mutual(HashMap<SpiffeId, Arc<TargetTls>>),
}

/// A backend and the state of its endpoints.
#[derive(Debug)]
pub struct LiveBackend {
    /// What the documents say.
    pub spec: Backend,
    /// Who is there and how they are.
    pub endpoints: Arc<Endpoints>,
    /// How bytes travel to them.
    towards: Towards,
    /// The HTTP version to speak when it is not gRPC.
    pub version: Version,
    /// Its clocks.
    pub clocks: Clocks,
}

impl Live {
    /// Brings a snapshot to life. What `previous` knows of endpoints that stay is kept.
    pub fn build(
        snapshot: Arc<Snapshot>,
        previous: Option<&Live>,
        tls: &TlsState,
        now: Instant,
    ) -> Result<Self, LiveError> {
        let mut earlier: HashMap<(&DocumentId, Option<u16>), &LiveBackend> = HashMap::default();
        for backend in previous.iter().flat_map(|live| &live.backends) {
            earlier.insert((&backend.spec.document, backend.spec.port), backend);
        }
        let backends = snapshot
            .backends
            .iter()
            .map(|spec| LiveBackend::build(spec, earlier.get(&(&spec.document, spec.port)).copied(), tls, now))
            .collect::<Result<_, _>>()?;
        let mut ports: HashMap<PortKey, Vec<usize>> = HashMap::default();
        for (index, listener) in snapshot.listeners.iter().enumerate() {
            ports.entry(PortKey::of(listener)).or_default().push(index);
        }
        let generation = previous.map_or(1, |live| live.generation + 1);
        let tls = tls.ports(&snapshot)?;
        let providers =
            Providers::build(&snapshot, previous.map(|live| &live.providers)).map_err(LiveError::Provider)?;
        let guards = Guards::build(&snapshot, previous.map(|live| &live.guards)).map_err(LiveError::Guard)?;
        let resources = Resources::new(&snapshot);
        Ok(Self { snapshot, generation, backends, ports, tls, providers, guards, resources, rules: OnceLock::new() })
    }

    /// Its rules by what they are known by.
    pub fn rules(&self) -> &RulesByName {
        self.rules.get_or_init(|| RulesByName::new(&self.snapshot))
    }

    /// A backend of this revision.
    pub fn backend(&self, id: BackendId) -> Option<&LiveBackend> {
        self.backends.get(id.0 as usize)
    }

    /// Every backend.
    pub fn backends(&self) -> &[LiveBackend] {
        &self.backends
    }

    /// Every port, with the indices of its listeners.
    pub fn ports(&self) -> impl Iterator<Item = (&PortKey, &[usize])> {
        self.ports.iter().map(|(key, listeners)| (key, listeners.as_slice()))
    }

    /// The listener of a port that answers for a host: the most specific one.
    pub fn listener(&self, port: &PortKey, host: Option<&str>) -> Option<usize> {
        let candidates = self.ports.get(port)?;
        candidates
            .iter()
            .filter_map(|index| Some((*index, specificity(&self.snapshot.listeners.get(*index)?.hostname, host)?)))
            .max_by_key(|(index, specificity)| (*specificity, std::cmp::Reverse(*index)))
            .map(|(index, _)| index)
    }

    /// What is spoken on a port: all its listeners agree on whether it is TLS.
    pub fn protocol(&self, port: &PortKey) -> Option<ListenerProtocol> {
        let first = *self.ports.get(port)?.first()?;
        self.snapshot.listeners.get(first).map(|listener| listener.protocol)
    }

    /// The TLS side of a port; `None` for plain ones.
    pub fn tls(&self, port: &PortKey) -> Option<&Arc<PortTls>> {
        self.tls.ports.get(port)
    }

    /// When the first certificate of the local authority is due to be replaced.
    pub fn renew_at(&self) -> Option<SystemTime> {
        self.tls.renew_at
    }

    /// The documents that certificates come from, and when each ceases to be valid.
    pub fn certificate_expiries(&self) -> impl Iterator<Item = (&str, SystemTime)> {
        self.tls.expiries.iter().map(|(document, expiry)| (document.as_str(), *expiry))
    }
}

impl PortKey {
    /// The port of a listener.
    pub fn of(listener: &Listener) -> Self {
        Self { namespace: listener.id.namespace.clone(), gateway: listener.id.gateway.clone(), port: listener.port }
    }
}

/// How specifically a pattern matches a host; `None` if it does not. Exact before wildcard, longer before shorter.
pub fn specificity(pattern: &HostPattern, host: Option<&str>) -> Option<(u8, usize)> {
    match (pattern, host) {
        (HostPattern::Any, _) => Some((0, 0)),
        (HostPattern::Suffix(suffix), Some(host)) if host.len() > suffix.len() && host.ends_with(&**suffix) => {
            Some((1, suffix.len()))
        }
        (HostPattern::Exact(exact), Some(host)) if **exact == *host => Some((2, 0)),
        _ => None,
    }
}

impl LiveBackend {
    fn build(spec: &Backend, previous: Option<&LiveBackend>, tls: &TlsState, now: Instant) -> Result<Self, TlsError> {
        let towards = match (&spec.transport, previous) {
            (Transport::Plaintext, _) => Towards::Plaintext,
            (Transport::Mtls, _) => Towards::Mutual(tls.peers(spec)?),
            // The same settings keep their value, and with it their open connections.
            (transport @ Transport::Tls(_), Some(before)) if before.spec.transport == *transport => {
                before.towards.clone()
            }
            (Transport::Tls(settings), _) => Towards::Tls(Arc::new(target_tls(settings, spec.http)?)),
        };
        let endpoints = Endpoints::new(endpoints_spec(spec), previous.map(|before| &*before.endpoints), now);
        let version = match (spec.http, &towards) {
            (UpstreamHttp::Http2, _) => Version::Http2,
            // A sidecar speaks both, and HTTP/1.1 costs less.
            (UpstreamHttp::Http1, _) | (UpstreamHttp::Auto, Towards::Plaintext | Towards::Mutual(_)) => Version::Http1,
            (UpstreamHttp::Auto, Towards::Tls(_)) => Version::Either,
        };
        let clocks = Clocks { first_byte: spec.timeouts.first_byte, idle: spec.timeouts.idle };
        Ok(Self { spec: spec.clone(), endpoints: Arc::new(endpoints), towards, version, clocks })
    }

    /// Where a connection to an endpoint leads, and how; `None` if nobody has said who must answer there.
    pub fn target(&self, endpoint: &Endpoint, grpc: bool) -> Option<Target> {
        let address = if grpc { endpoint.grpc_address() } else { endpoint.address() };
        let tls = match &self.towards {
            Towards::Plaintext => None,
            Towards::Tls(tls) => Some(Arc::clone(tls)),
            Towards::Mutual(peers) => Some(Arc::clone(peers.get(endpoint.identity()?)?)),
        };
        Some(Target { address, tls })
    }
}

fn endpoints_spec(spec: &Backend) -> BackendSpec {
    let name = match spec.port {
        Some(port) => format!("{}:{port}", spec.document),
        None => spec.document.to_string(),
    };
    let endpoints = spec.endpoints.iter().map(|endpoint| EndpointSpec {
        address: match &endpoint.address {
            EndpointAddress::Ip(ip) => Address::Ip(*ip),
            EndpointAddress::Name(name) => Address::Name(name.clone()),
        },
        port: endpoint.port,
        grpc_port: endpoint.grpc_port,
        capacity: endpoint.capacity,
        identity: endpoint.identity.clone(),
    });
    BackendSpec {
        strategy: match spec.strategy {
            Strategy::RoundRobin => endpoints::Strategy::RoundRobin,
            Strategy::LeastRequests | Strategy::LoadAware | Strategy::PrefixAffinity => {
                endpoints::Strategy::LeastRequests
            }
        },
        health_check: spec.health_check.as_ref().map(|check| HealthCheckSpec {
            interval: check.interval,
            timeout: check.timeout,
            unhealthy_after: check.unhealthy_after,
            healthy_after: check.healthy_after,
        }),
        ..BackendSpec::new(name, endpoints.collect())
    }
}
