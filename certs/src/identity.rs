//! Who we are, as it is now: the [`Svid`] that this process proves its identity with, replaced while connections are open.
//!
//! rustls asks at each handshake, in both directions. A connection that is open keeps what it was made with. The last good SVID
//! stays until it expires; after that there is none, and handshakes fail rather than show something that nobody may believe.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwapOption;
use rustls::{
    ClientConfig, Error, ServerConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};

use crate::{
    SpiffeId, Svid, crypto_provider,
    verify::{CLOCK_SKEW_MAX, PeerVerifier},
};

/// The identity of this process.
#[derive(Debug, Default)]
pub struct Identity {
    held: ArcSwapOption<Svid>,
    changes: AtomicU64,
    /// One replacement at a time, so that an older SVID cannot slip in after a newer one was compared with what is held.
    replacing: Mutex<()>,
}

/// Why an SVID does not replace the one that is held. What is held stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// It names somebody else. Who we are does not change while we run.
    #[error("this process is `{held}` and cannot become `{offered}`; restart it")]
    OtherIdentity {
        /// Who we are.
        held: SpiffeId,
        /// Whom the SVID names.
        offered: SpiffeId,
    },
    /// It has expired.
    #[error("the offered certificate of `{0}` has expired")]
    Expired(SpiffeId),
    /// It is not valid yet, by more than clocks differ.
    #[error("the offered certificate of `{0}` is not valid yet; is a clock wrong?")]
    NotYetValid(SpiffeId),
}

impl Identity {
    /// One that has nothing to show yet.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Shows `svid` from the next handshake on.
    pub fn replace(&self, svid: Svid, now: SystemTime) -> Result<(), ReplaceError> {
        let _one = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= svid.not_after() {
            return Err(ReplaceError::Expired(svid.id().clone()));
        }
        if now + CLOCK_SKEW_MAX < svid.not_before() {
            return Err(ReplaceError::NotYetValid(svid.id().clone()));
        }
        if let Some(held) = self.held.load().as_ref()
            && held.id() != svid.id()
        {
            return Err(ReplaceError::OtherIdentity { held: held.id().clone(), offered: svid.id().clone() });
        }
        self.held.store(Some(Arc::new(svid)));
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// What is shown at `now`; nothing once it has expired.
    pub fn current(&self, now: SystemTime) -> Option<Arc<Svid>> {
        self.held.load_full().filter(|svid| now < svid.not_after())
    }

    /// Who we are, expired or not.
    pub fn id(&self) -> Option<SpiffeId> {
        self.held.load().as_ref().map(|svid| svid.id().clone())
    }

    /// When what is held expires, for metrics; also when that is past.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.held.load().as_ref().map(|svid| svid.not_after())
    }

    /// How often it was replaced: whoever keeps connections open compares, and makes new ones where it differs.
    pub fn changed(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A handshake has no clock but the system's.
    fn shown(&self) -> Option<Arc<CertifiedKey>> {
        self.current(SystemTime::now()).map(|svid| Arc::clone(svid.certified_key()))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.shown()
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.shown().filter(|certified| certified.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        self.held.load().is_some()
    }
}

/// TLS as a server of the mesh: 1.3 only, the client must prove who it is, and nothing is resumed. A resumption would spare a
/// signature and bring back a peer that has lost its permission since; connections are kept open instead.
pub fn mesh_server_config(identity: Arc<Identity>, verifier: Arc<PeerVerifier>) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// TLS as a client of the mesh: the same, in the other direction.
pub fn mesh_client_config(identity: Arc<Identity>, verifier: Arc<PeerVerifier>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity);
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

#[cfg(test)]
mod tests;
