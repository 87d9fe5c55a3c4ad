//! How a listener's handshakes are configured: versions, suites, tickets, and whom it asks for a certificate.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use foldhash::HashMap;
use portcullis_certs::{crypto_provider, verify::ClientVerifier};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    server::{NoServerSessionStorage, ProducesTickets},
};

use super::Certificates;

/// What is agreed on inside the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// `h2`, then `http/1.1`: an HTTPS listener. A client that offers only others is refused.
    Http,
    /// `h2` alone.
    Http2,
    /// `http/1.1` alone.
    Http1,
    /// Nothing is negotiated: a listener for any protocol over TLS.
    None,
}

impl Alpn {
    pub(super) fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::None => Vec::new(),
        }
    }
}

/// How one listener's TLS ends here.
pub struct Termination {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: Option<Arc<ClientVerifier>>,
}

/// Why a listener's TLS cannot be configured.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot configure TLS: {0}")]
pub struct TerminationError(#[from] rustls::Error);

/// The keys that session tickets are sealed with, one set for each policy towards clients. Keys rotate every 6 hours
/// and a ticket lives at most 12.
///
/// One of these lives as long as the process, so that a reload does not void every ticket.
#[derive(Default)]
pub struct TicketKeys {
    /// Weak: a policy's keys go when its last listener goes.
    by_policy: Mutex<HashMap<PolicyKey, Weak<SharedTicketer>>>,
}

/// What [`ClientVerifier::policy_key`] says; `None` where clients are not asked.
type PolicyKey = Option<Arc<[u8]>>;

/// A sized holder, since `Weak<dyn …>` cannot be made from rustls' `Arc<dyn …>`.
#[derive(Debug)]
struct SharedTicketer(Arc<dyn ProducesTickets>);

impl Termination {
    /// Terminates with these certificates. `clients`: `None` does not ask for a certificate.
    pub fn new(
        certificates: Arc<Certificates>,
        clients: Option<Arc<ClientVerifier>>,
        alpn: Alpn,
        tickets: &TicketKeys,
    ) -> Result<Arc<Self>, TerminationError> {
        // TLS 1.3 and 1.2 with forward secrecy and authenticated encryption only: rustls has nothing else.
        let builder = ServerConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(TerminationError)?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::<ClientVerifier>::clone(verifier)),
        };
        let mut config = builder.with_cert_resolver(certificates);
        config.alpn_protocols = alpn.protocols();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // INVARIANT: a ticket opens only under the policy it was given under. rustls does not ask the verifier when it
        // resumes, so a ticket of a lax listener would else be an entrance to a strict one.
        config.ticketer = tickets.of(clients.as_deref())?;
        // The defaults, written down because they matter: early data can be replayed by others, and data before the
        // client's Finished goes to somebody who has proved nothing.
        config.max_early_data_size = 0;
        config.send_half_rtt_data = false;
        Ok(Arc::new(Self { config: Arc::new(config), clients }))
    }
}

impl fmt::Debug for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Termination").field("clients", &self.clients).finish_non_exhaustive()
    }
}

impl TicketKeys {
    /// No keys yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&self, clients: Option<&ClientVerifier>) -> Result<Arc<dyn ProducesTickets>, TerminationError> {
        let policy = clients.map(|verifier| Arc::clone(verifier.policy_key()));
        let mut by_policy = self.by_policy.lock().unwrap_or_else(PoisonError::into_inner);
        by_policy.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = by_policy.get(&policy).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let shared = Arc::new(SharedTicketer(Ticketer::new().map_err(TerminationError)?));
        by_policy.insert(policy, Arc::downgrade(&shared));
        Ok(shared)
    }
}

impl ProducesTickets for SharedTicketer {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys")
    }
}
