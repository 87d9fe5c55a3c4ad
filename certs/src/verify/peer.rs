//! Peers of the mesh, in both directions: is this a workload that a trusted authority vouches for, and is it one that we
//! expect?
//!
//! The trust domain that the leaf names chooses the authorities, before anything is verified: an authority of one domain cannot
//! speak for another. What rustls asks at a handshake, [`PeerVerifier::judge`] answers again afterwards, because a resumed
//! connection was not judged by rustls at all, and [`PeerVerifier::judge_open`] as long as the connection lives.

use std::{
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{
    Revocation,
    trust::{MeshTrust, Trust, Unlisted},
};
use crate::{
    SpiffeId, SvidError, SvidFault, TrustBundle, TrustDomain, crypto_provider,
    svid::{self, Leaf},
};

/// How far the clocks of two hosts may be apart.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30);

/// Whom a peer may be. Compared byte for byte, or by trust domain, and never by pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ExpectedPeers {
    /// Whoever a known trust domain vouches for: a server decides by its policy, not at the handshake.
    #[default]
    AnyTrusted,
    /// One of these, and nobody if there are none.
    OneOf(BTreeSet<SpiffeId>),
    /// A member of this trust domain.
    MemberOf(TrustDomain),
}

impl ExpectedPeers {
    /// Exactly this one.
    pub fn exactly(id: SpiffeId) -> Self {
        Self::OneOf(BTreeSet::from([id]))
    }

    fn include(&self, id: &SpiffeId) -> bool {
        match self {
            Self::AnyTrusted => true,
            Self::OneOf(ids) => ids.contains(id),
            Self::MemberOf(domain) => domain.as_str() == id.trust_domain(),
        }
    }
}

/// Why a peer is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefusal {
    /// It showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// Its chain is too long or too large, or its leaf breaks a rule of X.509-SVID.
    #[error("the peer's certificate is refused: {0}")]
    Svid(#[from] SvidError),
    /// A certificate of the chain was not issued by the next one, or two have the same subject.
    #[error("the peer's chain is not in order: each certificate must be issued by the next, and all must differ")]
    Disordered,
    /// No bundle for its trust domain.
    #[error("the trust domain of `{0}` is not known")]
    UnknownTrustDomain(SpiffeId),
    /// The bundle of its trust domain has no authorities.
    #[error("the bundle of the trust domain of `{0}` is empty, so nobody of it is believed")]
    EmptyBundle(SpiffeId),
    /// No authority of its trust domain signed it.
    #[error("`{0}` is not vouched for by an authority of its trust domain")]
    Untrusted(SpiffeId),
    /// Past its time by more than clocks differ.
    #[error("the certificate of `{0}` has expired")]
    Expired(SpiffeId),
    /// Before its time by more than clocks differ.
    #[error("the certificate of `{0}` is not valid yet")]
    NotYetValid(SpiffeId),
    /// An authority of the chain is limited to names, and that cannot be judged for URIs.
    #[error("an authority in the chain of `{0}` has name constraints, which URIs cannot be judged by")]
    NameConstraints(SpiffeId),
    /// Revocation lists are given, and they do not let it pass.
    #[error("`{id}`: {why}")]
    Revocation {
        /// Whom the certificate names.
        id: SpiffeId,
        /// What the lists say.
        why: Revocation,
    },
    /// It is somebody, and somebody else than expected.
    #[error("`{0}` answered, which is not who is expected here")]
    Unexpected(SpiffeId),
    /// TLS 1.2 or below.
    #[error("peers speak TLS 1.3")]
    OldProtocol,
}

impl PeerRefusal {
    /// A short word for metrics; the set is fixed.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Svid(error) => error.label(),
            Self::Disordered => "chain_disordered",
            Self::UnknownTrustDomain(_) => "unknown_trust_domain",
            Self::EmptyBundle(_) => "empty_bundle",
            Self::Untrusted(_) => "untrusted",
            Self::Expired(_) => "expired",
            Self::NotYetValid(_) => "not_yet_valid",
            Self::NameConstraints(_) => "name_constraints",
            Self::Revocation { why, .. } => why.label(),
            Self::Unexpected(_) => "unexpected_identity",
            Self::OldProtocol => "old_protocol",
        }
    }

    /// The reason in the error with which rustls ended a handshake, where it was ours.
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
            Error::NoCertificatesPresented => Some(&Self::NoCertificate),
            _ => None,
        }
    }
}

impl From<PeerRefusal> for Error {
    fn from(refusal: PeerRefusal) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

/// Who the peer of a connection is. Only a [`PeerVerifier`] makes one.
#[derive(Clone)]
pub struct PeerId(Arc<Judged>);

struct Judged {
    leaf: Leaf,
    chain: Box<[CertificateDer<'static>]>,
    revision: u64,
}

impl PeerId {
    /// Its identity.
    pub fn id(&self) -> &SpiffeId {
        &self.0.leaf.id
    }

    /// When its certificate ceases to be valid. A connection may go on; whoever keeps it may want it to end.
    pub fn not_after(&self) -> SystemTime {
        self.0.leaf.not_after
    }

    /// What it showed, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerId").field(&self.id().as_str()).finish()
    }
}

impl PartialEq for PeerId {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.chain() == other.chain()
    }
}
impl Eq for PeerId {}

/// Judges peers with the trust that is in force when it is asked.
#[derive(Debug, Clone)]
pub struct PeerVerifier {
    trust: Arc<MeshTrust>,
    expected: ExpectedPeers,
}

impl PeerVerifier {
    /// Believes `trust`, and expects `expected`.
    pub fn new(trust: Arc<MeshTrust>, expected: ExpectedPeers) -> Self {
        Self { trust, expected }
    }

    /// What it believes.
    pub fn trust(&self) -> &Arc<MeshTrust> {
        &self.trust
    }

    /// Whom it expects.
    pub fn expected(&self) -> &ExpectedPeers {
        &self.expected
    }

    /// Who shows this chain, leaf first, at `now`.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<PeerId, PeerRefusal> {
        let trust = self.trust.load();
        let leaf = self.judge_by(&trust, chain, |leaf| within_skew(leaf, now))?;
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Ok(PeerId(Arc::new(Judged { leaf, chain, revision: trust.revision })))
    }

    /// Whether the peer of an open connection may go on: it is still vouched for, not revoked, and expected. That its
    /// certificate has expired since is no reason: it was valid when the connection was made, and what replaces it is shown
    /// on the next one.
    ///
    /// Cheap while nothing has changed; otherwise the chain is judged again. Keep what it returns for the next time.
    pub fn judge_open(&self, peer: &PeerId, now: SystemTime) -> Result<PeerId, PeerRefusal> {
        let trust = self.trust.load();
        let lists_hold = trust.lists.as_ref().is_none_or(|lists| now < lists.next_update());
        if trust.revision == peer.0.revision && lists_hold && self.expected.include(peer.id()) {
            return Ok(peer.clone());
        }
        self.judge_by(&trust, peer.chain(), |leaf| now.clamp(leaf.not_before, leaf.not_after.max(leaf.not_before)))?;
        if !lists_hold {
            return Err(PeerRefusal::Revocation { id: peer.id().clone(), why: Revocation::Expired });
        }
        let judged = Judged { leaf: peer.0.leaf.clone(), chain: peer.0.chain.clone(), revision: trust.revision };
        Ok(PeerId(Arc::new(judged)))
    }

    fn judge_by(
        &self,
        trust: &Trust,
        chain: &[CertificateDer<'_>],
        time: impl FnOnce(&Leaf) -> SystemTime,
    ) -> Result<Leaf, PeerRefusal> {
        let (first, intermediates) = chain.split_first().ok_or(PeerRefusal::NoCertificate)?;
        // INVARIANT: everything that costs comes after the chain has been bounded and put in order.
        svid::bound(chain)?;
        let leaf = svid::leaf_of(first).map_err(SvidError::Leaf)?;
        refuse_disorder(chain)?;
        let bundle = bundle_of(trust, &leaf.id)?;
        let time = time(&leaf).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = UnixTime::since_unix_epoch(time);
        judge_path(bundle, &leaf.id, first, intermediates, time)?;
        judge_revocation(trust, bundle, &leaf.id, first, intermediates, time)?;
        if self.expected.include(&leaf.id) { Ok(leaf) } else { Err(PeerRefusal::Unexpected(leaf.id)) }
    }
}

/// `now`, or where the leaf is outside its dates by no more than clocks differ, the nearest moment within.
fn within_skew(leaf: &Leaf, now: SystemTime) -> SystemTime {
    let nearest = now.clamp(leaf.not_before, leaf.not_after.max(leaf.not_before));
    let apart = now.duration_since(nearest).or_else(|_| nearest.duration_since(now)).unwrap_or_default();
    if apart <= CLOCK_SKEW_MAX { nearest } else { now }
}

/// One chain has one reading: no search among certificates, so that nobody can make it long.
fn refuse_disorder(chain: &[CertificateDer<'_>]) -> Result<(), PeerRefusal> {
    let mut names: Vec<(&[u8], &[u8])> = Vec::with_capacity(chain.len());
    for certificate in chain {
        let Ok(([], parsed)) = X509Certificate::from_der(certificate) else {
            return Err(SvidError::Leaf(SvidFault::Malformed).into());
        };
        names.push((parsed.tbs_certificate.subject.as_raw(), parsed.tbs_certificate.issuer.as_raw()));
    }
    let issued_by_the_next = names.iter().zip(names.iter().skip(1)).all(|((_, issuer), (next, _))| issuer == next);
    // The leaf's subject says nothing, and is often empty.
    let authorities = names.get(1..).unwrap_or_default();
    let subjects: BTreeSet<_> = authorities.iter().map(|(subject, _)| subject).collect();
    let all_differ = subjects.len() == authorities.len();
    if issued_by_the_next && all_differ { Ok(()) } else { Err(PeerRefusal::Disordered) }
}

fn bundle_of<'t>(trust: &'t Trust, id: &SpiffeId) -> Result<&'t TrustBundle, PeerRefusal> {
    let bundle = trust.bundles.of(id.trust_domain());
    let bundle = bundle.ok_or_else(|| PeerRefusal::UnknownTrustDomain(id.clone()))?;
    if bundle.is_empty() { Err(PeerRefusal::EmptyBundle(id.clone())) } else { Ok(bundle) }
}

fn judge_path(
    bundle: &TrustBundle,
    id: &SpiffeId,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), PeerRefusal> {
    let malformed = || PeerRefusal::Svid(SvidError::Leaf(SvidFault::Malformed));
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| malformed())?;
    // Two parsers must have read the same name.
    if !leaf.valid_uri_names().eq([id.as_str()]) {
        return Err(malformed());
    }
    let algorithms = crypto_provider().signature_verification_algorithms.all;
    let roots = &bundle.roots().roots;
    let path = leaf.verify_for_usage(algorithms, roots, intermediates, time, KeyUsage::client_auth(), None, None);
    path.map(|_| ()).map_err(|error| match error {
        webpki::Error::CertExpired { .. } => PeerRefusal::Expired(id.clone()),
        webpki::Error::CertNotValidYet { .. } => PeerRefusal::NotYetValid(id.clone()),
        webpki::Error::NameConstraintViolation
        | webpki::Error::MalformedNameConstraint
        | webpki::Error::MaximumNameConstraintComparisonsExceeded => PeerRefusal::NameConstraints(id.clone()),
        _ => PeerRefusal::Untrusted(id.clone()),
    })
}

fn judge_revocation(
    trust: &Trust,
    bundle: &TrustBundle,
    id: &SpiffeId,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), PeerRefusal> {
    let Some(lists) = &trust.lists else { return Ok(()) };
    let unlisted_counts = trust.unlisted == Unlisted::Accept;
    let verdict = lists.judge_path(leaf, intermediates, bundle.roots(), time, unlisted_counts);
    verdict.map_err(|why| PeerRefusal::Revocation { id: id.clone(), why })
}

fn system_time(now: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs())
}

fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = crypto_provider().signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
}

fn schemes() -> Vec<SignatureScheme> {
    crypto_provider().signature_verification_algorithms.supported_schemes()
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: hints would tell strangers whom we trust.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(&whole(end_entity, intermediates)?, system_time(now))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerRefusal::OldProtocol.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        // A peer is who its SVID says; the name that was dialled is how it was found.
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(&whole(end_entity, intermediates)?, system_time(now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerRefusal::OldProtocol.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

/// The chain as it was shown. Long ones are not even put together.
fn whole<'c>(
    end_entity: &CertificateDer<'c>,
    intermediates: &[CertificateDer<'c>],
) -> Result<Vec<CertificateDer<'c>>, PeerRefusal> {
    if intermediates.len() >= svid::CHAIN_CERTIFICATES_MAX {
        return Err(SvidError::TooLong.into());
    }
    Ok(std::iter::once(end_entity).chain(intermediates).cloned().collect())
}

#[cfg(test)]
mod tests;
