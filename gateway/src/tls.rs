//! From what documents say about TLS to what the data plane does: listeners' certificates and clients, backends' trust.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use foldhash::HashMap;
use portcullis_certs::{
    AuthorityError, CertifiedPair, ChainFacts, LocalAuthority, PemError, SpiffeId, parse_pair,
    verify::{Authorities, ClientMode, ClientVerifier, ExpectedName, TrustError},
};
use portcullis_mesh::{
    connections::TargetTls,
    tls::{
        Alpn, Certificates, ClientCertificatePem, ClientTls, ClientTlsError, ClientTlsSpec, HostPattern as TlsPattern,
        PortTls, PortTlsError, Termination as Terminated, TerminationError, TicketKeys, TlsAction, TlsListener,
    },
    workload::Workload,
};
use portcullis_policy::{
    Snapshot,
    snapshot::{
        Backend, BackendTls, CertificateSource, ClientValidationMode, HostPattern, Listener, ListenerProtocol,
        SubjectAltName, Termination, TlsMode, UpstreamHttp,
    },
};

use crate::live::PortKey;

/// The folder of the local authority below the state folder.
const AUTHORITY_FOLDER: &str = "authority";

/// What outlives revisions: the local authority, and the keys of session tickets.
#[derive(Debug)]
pub struct TlsState {
    directory: PathBuf,
    /// Who the gateway is among workloads, if it has been told.
    workload: Option<Workload>,
    authority: Mutex<Option<Arc<LocalAuthority>>>,
    tickets: TicketKeys,
}

/// Why TLS cannot be set up as documents say.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The local authority.
    #[error("local authority in `{directory}`: {error}")]
    Authority {
        /// Where it is.
        directory: String,
        /// What is wrong with it.
        error: AuthorityError,
    },
    /// A certificate in files.
    #[error("certificate of {document}: cannot read `{path}`: {error}")]
    Unreadable {
        /// The document.
        document: String,
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A certificate or key.
    #[error("certificate of {document}: {error}")]
    Pem {
        /// The document.
        document: String,
        /// What is wrong with it.
        error: PemError,
    },
    /// Clients' authorities.
    #[error("listener {listener}: clients' {error}")]
    Clients {
        /// The listener.
        listener: String,
        /// What is wrong with them.
        error: TrustError,
    },
    /// A listener's configuration.
    #[error("listener {listener}: {error}")]
    Listener {
        /// The listener.
        listener: String,
        /// Why.
        error: TerminationError,
    },
    /// Listeners that cannot share a port.
    #[error("port {port}: {error}")]
    Port {
        /// The port.
        port: PortKey,
        /// Why.
        error: PortTlsError,
    },
    /// A backend asks for mutual TLS, and we are nobody.
    #[error(
        "{document} is reached over mutual TLS, and this gateway has no identity among workloads; give it one with \
         `--mesh-certificate`, `--mesh-key` and `--mesh-bundle`"
    )]
    NoIdentity {
        /// The backend.
        document: String,
    },
    /// TLS towards a workload.
    #[error("TLS to `{peer}`: {error}")]
    Peer {
        /// Who it must prove to be.
        peer: SpiffeId,
        /// Why.
        error: rustls::Error,
    },
    /// TLS towards a backend.
    #[error("TLS to `{hostname}`: {error}")]
    Backend {
        /// The name it must prove.
        hostname: Arc<str>,
        /// Why.
        error: ClientTlsError,
    },
}

/// The TLS side of every port that has one.
#[derive(Debug, Default)]
pub struct PortsTls {
    /// By port.
    pub ports: HashMap<PortKey, Arc<PortTls>>,
    /// When the first certificate of the local authority is due to be replaced.
    pub renew_at: Option<SystemTime>,
    /// The documents that certificates come from, and when each ceases to be valid.
    pub expiries: BTreeMap<String, SystemTime>,
}

impl PortsTls {
    fn note(&mut self, source: &CertificateSource, facts: &ChainFacts) {
        let document = match source {
            CertificateSource::Secret { document, .. } | CertificateSource::Files { document, .. } => document,
            CertificateSource::Local { document, .. } => {
                let renew_at = facts.renew_at();
                self.renew_at = Some(self.renew_at.map_or(renew_at, |earliest| earliest.min(renew_at)));
                document
            }
        };
        self.expiries.insert(document.to_string(), facts.not_after);
    }
}

impl TlsState {
    /// State below this folder, made when it is needed.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            workload: None,
            authority: Mutex::new(None),
            tickets: TicketKeys::new(),
        }
    }

    /// With an identity among workloads, for backends that are reached over mutual TLS.
    #[must_use]
    pub fn as_workload(self, workload: Option<Workload>) -> Self {
        Self { workload, ..self }
    }

    /// Who the gateway is among workloads.
    pub fn workload(&self) -> Option<&Workload> {
        self.workload.as_ref()
    }

    /// TLS towards each of the peers that answer for a backend.
    pub fn peers(&self, backend: &Backend) -> Result<HashMap<SpiffeId, Arc<TargetTls>>, TlsError> {
        let nobody = || TlsError::NoIdentity { document: backend.document.to_string() };
        let workload = self.workload.as_ref().ok_or_else(nobody)?;
        let peers = backend.endpoints.iter().filter_map(|endpoint| endpoint.identity.as_ref());
        peers
            .map(|peer| {
                let failed = |error| TlsError::Peer { peer: peer.clone(), error };
                Ok((peer.clone(), workload.towards(peer).map_err(failed)?))
            })
            .collect()
    }

    /// The TLS side of every port that has one. Certificates in files are read, those of the local authority issued where
    /// they are due.
    pub fn ports(&self, snapshot: &Snapshot) -> Result<PortsTls, TlsError> {
        let mut all = PortsTls::default();
        let mut by_port: HashMap<PortKey, Vec<TlsListener>> = HashMap::default();
        for (index, listener) in snapshot.listeners.iter().enumerate() {
            let Some(mode) = &listener.tls else { continue };
            let action = match mode {
                TlsMode::Passthrough => TlsAction::Passthrough,
                TlsMode::Terminate(termination) => {
                    TlsAction::Terminate(self.terminated(listener, termination, &mut all)?)
                }
            };
            let pattern = match &listener.hostname {
                HostPattern::Any => TlsPattern::Any,
                HostPattern::Exact(host) => TlsPattern::Exact(host.clone()),
                HostPattern::Suffix(suffix) => TlsPattern::Suffix(suffix.clone()),
            };
            by_port.entry(PortKey::of(listener)).or_default().push(TlsListener { pattern, listener: index, action });
        }
        for (port, listeners) in by_port {
            let tls = PortTls::new(listeners).map_err(|error| TlsError::Port { port: port.clone(), error })?;
            all.ports.insert(port, Arc::new(tls));
        }
        Ok(all)
    }

    fn terminated(
        &self,
        listener: &Listener,
        termination: &Termination,
        all: &mut PortsTls,
    ) -> Result<Arc<Terminated>, TlsError> {
        let mut pairs = Vec::with_capacity(termination.certificates.len());
        for source in &termination.certificates {
            let pair = self.pair(source)?;
            all.note(source, pair.facts());
            pairs.push(pair);
        }
        let certificates =
            Certificates::new(&pairs).map_err(|error| TlsError::Pem { document: listener.id.to_string(), error })?;
        let clients = match &termination.client {
            None => None,
            Some(validation) => {
                let mode = match validation.mode {
                    ClientValidationMode::AllowValidOnly => ClientMode::AllowValidOnly,
                    ClientValidationMode::AllowInsecureFallback => ClientMode::AllowInsecureFallback,
                };
                let verifier = ClientVerifier::new(&validation.authorities_pem, mode)
                    .map_err(|error| TlsError::Clients { listener: listener.id.to_string(), error })?;
                Some(Arc::new(verifier))
            }
        };
        let alpn = if listener.protocol == ListenerProtocol::Https { Alpn::Http } else { Alpn::None };
        Terminated::new(certificates, clients, alpn, &self.tickets)
            .map_err(|error| TlsError::Listener { listener: listener.id.to_string(), error })
    }

    fn pair(&self, source: &CertificateSource) -> Result<CertifiedPair, TlsError> {
        let pem = |document: &dyn std::fmt::Display, result: Result<CertifiedPair, PemError>| {
            result.map_err(|error| TlsError::Pem { document: document.to_string(), error })
        };
        match source {
            CertificateSource::Secret { document, chain_pem, key_pem } => {
                pem(document, parse_pair(chain_pem, &key_pem.0))
            }
            CertificateSource::Files { document, chain, key } => {
                let read = |path: &Path| {
                    std::fs::read(path).map_err(|error| TlsError::Unreadable {
                        document: document.to_string(),
                        path: path.display().to_string(),
                        error,
                    })
                };
                pem(document, parse_pair(&read(chain)?, &read(key)?))
            }
            CertificateSource::Local { dns_names, .. } => {
                let failed = |error| TlsError::Authority { directory: self.directory.display().to_string(), error };
                let now = SystemTime::now();
                self.authority(now).map_err(failed)?.issue_server(dns_names, now).map_err(failed)
            }
        }
    }

    fn authority(&self, now: SystemTime) -> Result<Arc<LocalAuthority>, AuthorityError> {
        let mut slot = self.authority.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authority) = &*slot {
            return Ok(authority.clone());
        }
        let opened = Arc::new(LocalAuthority::open_or_create(&self.directory.join(AUTHORITY_FOLDER), now)?);
        Ok(slot.insert(opened).clone())
    }
}

/// The settings towards one backend.
pub fn target_tls(settings: &BackendTls, http: UpstreamHttp) -> Result<TargetTls, TlsError> {
    let spec = ClientTlsSpec {
        authorities: match &settings.authorities_pem {
            Some(pem) => Authorities::Pem(pem.clone()),
            None => Authorities::System,
        },
        hostname: settings.hostname.clone(),
        subject_alt_names: settings
            .subject_alt_names
            .iter()
            .map(|name| match name {
                SubjectAltName::Hostname(host) => ExpectedName::Dns(host.clone()),
                SubjectAltName::Uri(uri) => ExpectedName::Uri(uri.clone()),
            })
            .collect(),
        certificate: settings
            .client_certificate
            .as_ref()
            .map(|pair| ClientCertificatePem { chain_pem: pair.chain_pem.clone(), key_pem: pair.key_pem.0.clone() }),
        alpn: match http {
            UpstreamHttp::Auto => Alpn::Http,
            UpstreamHttp::Http1 => Alpn::Http1,
            UpstreamHttp::Http2 => Alpn::Http2,
        },
    };
    let failed = |error| TlsError::Backend { hostname: settings.hostname.clone(), error };
    let client = ClientTls::new(&spec).map_err(failed)?;
    Ok(TargetTls::new(client.config(), client.server_name().clone()))
}
