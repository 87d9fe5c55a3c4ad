//! Clients' certificates, as Gateway API's frontend validation wants them judged (GEP-91).

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Authorities, TrustError, revocation::Standing};
use crate::{ChainFacts, crypto_provider};

/// What happens to a client without a valid certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientMode {
    /// The handshake fails.
    AllowValidOnly,
    /// The handshake goes on and the client counts as unauthenticated.
    AllowInsecureFallback,
}

/// Judges the certificates of a listener's clients.
///
/// Plugged into rustls it decides the handshake; [`judge`](Self::judge) then says whether the client is verified. The
/// two differ under [`ClientMode::AllowInsecureFallback`], and for resumed connections, which rustls does not verify.
#[derive(Debug)]
pub struct ClientVerifier {
    /// `None` when there are no authorities: then nobody is valid.
    strict: Option<Arc<dyn ClientCertVerifier>>,
    roots: Arc<RootCertStore>,
    mode: ClientMode,
    key: Arc<[u8]>,
}

/// A chain that was judged, and found to lead to a trusted authority. Only [`ClientVerifier::judge`] makes one.
#[derive(Clone)]
pub struct VerifiedChain(Arc<Judged>);

struct Judged {
    chain: Box<[CertificateDer<'static>]>,
    /// What the leaf says of itself.
    leaf: ChainFacts,
    /// The authorities that it was judged by.
    roots: Arc<RootCertStore>,
    /// What revocation lists said of it. Of one connection, so that hardly ever two threads want it at once.
    standing: Mutex<Option<Standing>>,
}

impl VerifiedChain {
    /// Leaf first. Never empty.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// What the leaf says of itself; its dates are its own and not those of the whole chain.
    pub fn leaf(&self) -> &ChainFacts {
        &self.0.leaf
    }

    pub(super) fn roots(&self) -> &RootCertStore {
        &self.0.roots
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Option<Standing>> {
        self.0.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for VerifiedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedChain").field("leaf", self.leaf()).finish_non_exhaustive()
    }
}

impl PartialEq for VerifiedChain {
    fn eq(&self, other: &Self) -> bool {
        self.certificates() == other.certificates()
    }
}
impl Eq for VerifiedChain {}

impl ClientVerifier {
    /// Authorities may be none at all (no reference resolved): then no client is valid.
    pub fn new(authorities_pem: &[Arc<[u8]>], mode: ClientMode) -> Result<Self, TrustError> {
        let roots = Authorities::Pem(authorities_pem.to_vec()).roots()?;
        let mut key = vec![match mode {
            ClientMode::AllowValidOnly => 1,
            ClientMode::AllowInsecureFallback => 2,
        }];
        for root in &roots.roots {
            // Each part is a whole DER value, which says its own length, so that the key is unambiguous.
            key.extend_from_slice(&root.subject);
            key.extend_from_slice(&root.subject_public_key_info);
            key.extend_from_slice(root.name_constraints.as_deref().unwrap_or_default());
        }
        let roots = Arc::new(roots);
        let strict = if roots.is_empty() {
            None
        } else {
            let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), crypto_provider());
            Some(builder.build().map_err(|e| TrustError::Verifier(e.to_string()))?)
        };
        Ok(Self { strict, roots, mode, key: key.into() })
    }

    /// What happens to a client without a valid certificate.
    pub fn mode(&self) -> ClientMode {
        self.mode
    }

    /// The same for verifiers that decide the same. Resumption must not cross from one to another.
    pub fn policy_key(&self) -> &Arc<[u8]> {
        &self.key
    }

    /// Whether this chain, leaf first, leads to one of the authorities at `now`, whatever the mode.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<VerifiedChain, Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(Error::NoCertificatesPresented);
        };
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self.judge_at(leaf, intermediates, now)?;
        let leaf = ChainFacts::of(std::slice::from_ref(leaf))
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Ok(VerifiedChain(Arc::new(Judged { chain, leaf, roots: self.roots.clone(), standing: Mutex::new(None) })))
    }

    fn judge_at(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let strict = self.strict.as_ref().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        strict.verify_client_cert(leaf, rest, now).map(|_| ())
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mode == ClientMode::AllowValidOnly
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: hints would tell strangers whom we trust, and make clients with another certificate hide it.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.mode {
            ClientMode::AllowValidOnly => self.judge_at(end_entity, intermediates, now)?,
            // INVARIANT: whoever reads the peer asks `judge`; that the handshake went on proves nothing.
            ClientMode::AllowInsecureFallback => {}
        }
        Ok(ClientCertVerified::assertion())
    }

    // In either mode the client proves that it holds the key of the certificate it shows.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = crypto_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = crypto_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto_provider().signature_verification_algorithms.supported_schemes()
    }
}
