//! Backends' certificates, as a BackendTLSPolicy wants them judged (GEP-1897, RFC 9525).

use std::{sync::Arc, time::SystemTime};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use webpki::EndEntityCert;

use super::{Authorities, TrustError};
use crate::crypto_provider;

/// A name that a backend's certificate may carry instead of the name it is reached by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExpectedName {
    /// A DNS name. A certificate's wildcard stands for one label of it (RFC 9525 §6.3). With a leading `*.` it is met by
    /// that same wildcard, and by every name with exactly one label in its place.
    Dns(Arc<str>),
    /// A URI, byte for byte (as SPIFFE IDs are compared).
    Uri(Arc<str>),
}

impl ExpectedName {
    fn as_str(&self) -> &str {
        match self {
            Self::Dns(name) | Self::Uri(name) => name,
        }
    }
}

/// Judges the certificate that a backend shows.
#[derive(Debug)]
pub struct ServerVerifier {
    roots: RootCertStore,
    /// Empty: the certificate must carry the name that is dialled.
    expected: Vec<ExpectedName>,
}

/// None of the names a policy lists is in the certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate carries none of the expected names ({expected}); it carries {presented}")]
pub struct NameError {
    expected: String,
    presented: String,
}

impl ServerVerifier {
    /// Trusts `authorities`. `expected` replaces the dialled name unless it is empty.
    pub fn new(authorities: &Authorities, expected: &[ExpectedName]) -> Result<Self, TrustError> {
        let roots = authorities.roots()?;
        if roots.is_empty() {
            return Err(TrustError::None);
        }
        Ok(Self { roots, expected: expected.to_vec() })
    }

    /// Whether this chain, leaf first, leads to one of the authorities at `now`, whatever its names.
    pub fn judge_chain(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self.judge_at(&ParsedCertificate::try_from(leaf)?, intermediates, now)
    }

    fn judge_at(&self, leaf: &ParsedCertificate<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let algorithms = crypto_provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(leaf, &self.roots, rest, now, algorithms.all)
    }

    fn judge_expected(&self, leaf: &CertificateDer<'_>, parsed: &ParsedCertificate<'_>) -> Result<(), Error> {
        let names =
            EndEntityCert::try_from(leaf).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let meets = |expected: &ExpectedName| match expected {
            ExpectedName::Uri(uri) => names.valid_uri_names().any(|presented| presented == &**uri),
            ExpectedName::Dns(name) => match name.strip_prefix("*.") {
                Some(parent) => names.valid_dns_names().any(|presented| is_child(presented, parent)),
                None => DnsName::try_from(&**name)
                    .is_ok_and(|name| verify_server_name(parsed, &ServerName::DnsName(name)).is_ok()),
            },
        };
        if self.expected.iter().any(meets) {
            return Ok(());
        }
        let expected = self.expected.iter().map(ExpectedName::as_str);
        let presented = names.valid_dns_names().chain(names.valid_uri_names());
        let error = NameError { expected: quoted(expected), presented: quoted(presented) };
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error)))))
    }
}

/// Whether `name` is `parent` with exactly one label (perhaps `*`) before it.
fn is_child(name: &str, parent: &str) -> bool {
    name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
}

/// The first few, for an error that people read.
fn quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let shown: Vec<_> = names.take(5).map(|name| format!("`{name}`")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = ParsedCertificate::try_from(end_entity)?;
        self.judge_at(&leaf, intermediates, now)?;
        if self.expected.is_empty() {
            verify_server_name(&leaf, server_name)?;
        } else {
            self.judge_expected(end_entity, &leaf)?;
        }
        Ok(ServerCertVerified::assertion())
    }

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
