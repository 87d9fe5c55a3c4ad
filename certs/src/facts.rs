//! What a chain says about itself: for logs, metrics and renewal. Nothing here is a judgement; see [`crate::verify`].

use std::{
    fmt::Write,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rustls_pki_types::CertificateDer;
use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate};

use crate::{SpiffeId, distinguished_name};

/// What a chain's leaf says about itself, and for how long the whole chain may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFacts {
    /// DNS names of the leaf, lower case, wildcards included.
    pub dns_names: Vec<String>,
    /// IP addresses of the leaf.
    pub ip_names: Vec<IpAddr>,
    /// URIs of the leaf, as written.
    pub uri_names: Vec<String>,
    /// The SPIFFE ID, where the leaf has exactly one URI and that is one (X.509-SVID §2).
    pub spiffe_id: Option<SpiffeId>,
    /// E-mail addresses among the alternative names of the leaf, as written.
    pub email_names: Vec<String>,
    /// The leaf's subject, as text.
    pub subject: String,
    /// The leaf's subject, as RFC 4514 writes it: comparable byte for byte. `None` where it cannot be written so.
    pub distinguished_name: Option<String>,
    /// The common names of the subject.
    pub common_names: Vec<String>,
    /// The organizational units of the subject.
    pub units: Vec<String>,
    /// The leaf's issuer, as text.
    pub issuer: String,
    /// The leaf's serial number, in hexadecimal.
    pub serial: String,
    /// When every certificate of the chain has become valid.
    pub not_before: SystemTime,
    /// When the first certificate of the chain ceases to be valid.
    pub not_after: SystemTime,
}

/// Why nothing can be said about a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// There is no certificate.
    #[error("the chain is empty")]
    Empty,
    /// This one, counted from 1, is not X.509.
    #[error("certificate {0} cannot be parsed")]
    Malformed(usize),
}

impl ChainFacts {
    /// Reads a chain, leaf first.
    pub fn of(chain: &[CertificateDer<'_>]) -> Result<Self, FactsError> {
        let mut facts: Option<Self> = None;
        for (index, certificate) in chain.iter().enumerate() {
            let (rest, parsed) =
                X509Certificate::from_der(certificate).map_err(|_| FactsError::Malformed(index + 1))?;
            if !rest.is_empty() {
                return Err(FactsError::Malformed(index + 1));
            }
            let not_before = system_time(parsed.validity().not_before.timestamp());
            let not_after = system_time(parsed.validity().not_after.timestamp());
            match &mut facts {
                None => facts = Some(Self::of_leaf(&parsed, not_before, not_after)),
                Some(facts) => {
                    facts.not_before = facts.not_before.max(not_before);
                    facts.not_after = facts.not_after.min(not_after);
                }
            }
        }
        facts.ok_or(FactsError::Empty)
    }

    fn of_leaf(leaf: &X509Certificate<'_>, not_before: SystemTime, not_after: SystemTime) -> Self {
        let (mut dns_names, mut ip_names, mut uri_names) = (Vec::new(), Vec::new(), Vec::new());
        let mut email_names = Vec::new();
        let names = leaf.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => dns_names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => ip_names.extend(ip_address(bytes)),
                GeneralName::RFC822Name(address) => email_names.push((*address).to_owned()),
                GeneralName::URI(uri) => uri_names.push((*uri).to_owned()),
                _ => {}
            }
        }
        let spiffe_id = match uri_names.as_slice() {
            [uri] => uri.parse().ok(),
            _ => None,
        };
        Self {
            dns_names,
            ip_names,
            uri_names,
            spiffe_id,
            email_names,
            subject: leaf.subject().to_string(),
            distinguished_name: distinguished_name::print(leaf.subject()),
            common_names: distinguished_name::texts(leaf.subject().iter_common_name()),
            units: distinguished_name::texts(leaf.subject().iter_organizational_unit()),
            issuer: leaf.issuer().to_string(),
            serial: hex(leaf.raw_serial()),
            not_before,
            not_after,
        }
    }

    /// When two thirds of the chain's life are over: the time to replace it.
    pub fn renew_at(&self) -> SystemTime {
        let life = self.not_after.duration_since(self.not_before).unwrap_or_default();
        self.not_before + life / 3 * 2
    }

    /// Whether every certificate of the chain is within its dates at `now`.
    pub fn is_current(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Dates before 1970 count as 1970: no certificate in use is that old, and no arithmetic can then overflow.
pub(crate) fn system_time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn made(uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["A.test".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 4, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn facts_are_read() {
        let facts = ChainFacts::of(&[made(&["spiffe://corp.example/ns/a/sa/b"])]).unwrap();
        assert_eq!(facts.dns_names, ["a.test"]);
        assert_eq!(facts.ip_names, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(facts.spiffe_id.as_ref().unwrap().as_str(), "spiffe://corp.example/ns/a/sa/b");
        let days = |n: u64| Duration::from_hours(24 * n);
        assert_eq!(facts.not_after.duration_since(facts.not_before).unwrap(), days(90));
        assert_eq!(facts.renew_at(), facts.not_before + days(60));
        assert!(facts.is_current(facts.not_before) && !facts.is_current(facts.not_after));
    }

    #[test]
    fn two_uris_are_no_spiffe_id() {
        let facts = ChainFacts::of(&[made(&["spiffe://a/b", "spiffe://a/c"])]).unwrap();
        assert_eq!(facts.spiffe_id, None);
        assert_eq!(facts.uri_names.len(), 2);
    }

    #[test]
    fn junk_is_refused() {
        assert_eq!(ChainFacts::of(&[]), Err(FactsError::Empty));
        assert_eq!(ChainFacts::of(&[made(&[]), vec![0x30, 0].into()]), Err(FactsError::Malformed(2)));
        let mut trailing = made(&[]).to_vec();
        trailing.push(0);
        assert_eq!(ChainFacts::of(&[trailing.into()]), Err(FactsError::Malformed(1)));
    }
}
