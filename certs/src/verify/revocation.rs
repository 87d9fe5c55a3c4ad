//! Certificates that do not count any more: revocation lists of authorities (RFC 5280 §5).
//!
//! Closed: where lists are given, a certificate counts only if a list of its issuer says so, signed by that issuer and not
//! past its `nextUpdate`. A list of an authority further up is heeded where there is one.

use std::{
    cmp::Reverse,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};

use super::client::VerifiedChain;
use crate::{crypto_provider, facts::system_time};

/// The most lists in one file.
pub const REVOCATION_LISTS_MAX: usize = 256;
/// The largest file of lists, in bytes.
pub const REVOCATION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long what was found out about a connection's certificate is kept: signatures are not checked at every request.
const STANDING_KEPT: Duration = Duration::from_mins(1);

/// Tells revisions of lists apart.
static READ: AtomicU64 = AtomicU64::new(0);

/// The revocation lists of one file.
pub struct RevocationLists {
    /// The newest first.
    lists: Vec<CertRevocationList<'static>>,
    next_update: SystemTime,
    id: u64,
}

impl fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationLists").field("lists", &self.lists.len()).finish_non_exhaustive()
    }
}

/// Why a file holds no lists that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// There is none.
    #[error("no revocation list found; expected `-----BEGIN X509 CRL-----`, or one list in DER")]
    None,
    /// The PEM is broken.
    #[error("malformed PEM")]
    Pem,
    /// More than anybody needs.
    #[error("more than {REVOCATION_LISTS_MAX} revocation lists")]
    TooMany,
    /// Larger than anybody needs.
    #[error("more than {REVOCATION_BYTES_MAX} bytes of revocation lists")]
    TooLarge,
    /// One of them.
    #[error("revocation list {index} cannot be used: {reason}")]
    List {
        /// Counted from 1.
        index: usize,
        /// Why.
        reason: String,
    },
}

/// Why a certificate does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Revocation {
    /// A list says so.
    #[error("the certificate is revoked")]
    Revoked,
    /// No list of its issuer is there.
    #[error("no revocation list of the certificate's issuer is there")]
    NoList,
    /// The list is past its `nextUpdate`.
    #[error("the revocation list of the certificate's issuer has expired")]
    Expired,
    /// The list is not signed by the issuer, or the chain itself is not valid any more.
    #[error("neither the chain nor its revocation lists hold")]
    Invalid,
}

impl Revocation {
    /// A short word for metrics; the set is fixed.
    pub fn label(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::NoList => "no_revocation_list",
            Self::Expired => "revocation_list_expired",
            Self::Invalid => "revocation_invalid",
        }
    }
}

/// What was found out about a chain, and by which lists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    lists: u64,
    checked: SystemTime,
    until: SystemTime,
    outcome: Result<(), Revocation>,
}

impl RevocationLists {
    /// Reads lists in PEM, or one in DER.
    pub fn parse(content: &[u8]) -> Result<Self, ListError> {
        if content.len() > REVOCATION_BYTES_MAX {
            return Err(ListError::TooLarge);
        }
        let mut ders: Vec<CertificateRevocationListDer<'static>> = Vec::new();
        // DER begins with a SEQUENCE.
        if content.first() == Some(&0x30) {
            ders.push(content.to_vec().into());
        } else {
            for list in CertificateRevocationListDer::pem_slice_iter(content) {
                if ders.len() == REVOCATION_LISTS_MAX {
                    return Err(ListError::TooMany);
                }
                ders.push(list.map_err(|_| ListError::Pem)?);
            }
        }
        let mut lists = Vec::with_capacity(ders.len());
        for (index, der) in ders.iter().enumerate() {
            let index = index + 1;
            let bad = |reason: String| ListError::List { index, reason };
            let list = OwnedCertRevocationList::from_der(der).map_err(|error| bad(error.to_string()))?;
            let (_, dates) = CertificateRevocationList::from_der(der).map_err(|error| bad(error.to_string()))?;
            let next = dates.next_update().ok_or_else(|| bad("it has no nextUpdate".to_owned()))?;
            lists.push((dates.last_update().timestamp(), system_time(next.timestamp()), list));
        }
        let next_update = lists.iter().map(|(_, next, _)| *next).min().ok_or(ListError::None)?;
        // Of two lists of one issuer the first is asked.
        lists.sort_by_key(|(this_update, ..)| Reverse(*this_update));
        let lists = lists.into_iter().map(|(.., list)| list.into()).collect();
        Ok(Self { lists, next_update, id: READ.fetch_add(1, Ordering::Relaxed) })
    }

    /// When the first list ceases to say anything.
    pub fn next_update(&self) -> SystemTime {
        self.next_update
    }

    /// Whether a chain still counts at `now`.
    pub fn check(&self, chain: &VerifiedChain, now: SystemTime) -> Result<(), Revocation> {
        let mut standing = chain.standing();
        if let Some(known) = *standing
            && known.lists == self.id
            && known.checked <= now
            && now < known.until
        {
            return known.outcome;
        }
        let outcome = self.judge(chain, now);
        let until = now + STANDING_KEPT;
        // What holds only until a list expires is not believed beyond.
        let until = if self.next_update > now { until.min(self.next_update) } else { until };
        *standing = Some(Standing { lists: self.id, checked: now, until, outcome });
        outcome
    }

    fn judge(&self, chain: &VerifiedChain, now: SystemTime) -> Result<(), Revocation> {
        let (leaf, intermediates) = chain.certificates().split_first().ok_or(Revocation::Invalid)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        self.judge_path(leaf, intermediates, chain.roots(), now, false)
    }

    /// Whether the lists let a chain pass. `unlisted_counts`: a leaf counts too if no list is of its issuer.
    pub(super) fn judge_path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        roots: &RootCertStore,
        now: UnixTime,
        unlisted_counts: bool,
    ) -> Result<(), Revocation> {
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| Revocation::Invalid)?;
        let algorithms = crypto_provider().signature_verification_algorithms.all;
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let of_leaves = if unlisted_counts { UnknownStatusPolicy::Allow } else { UnknownStatusPolicy::Deny };
        let depths =
            [(RevocationCheckDepth::EndEntity, of_leaves), (RevocationCheckDepth::Chain, UnknownStatusPolicy::Allow)];
        for (depth, unknown) in depths {
            let options = RevocationOptionsBuilder::new(&lists).map_err(|_| Revocation::NoList)?;
            let options = options
                .with_depth(depth)
                .with_status_policy(unknown)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build();
            let usage = KeyUsage::client_auth();
            leaf.verify_for_usage(algorithms, &roots.roots, intermediates, now, usage, Some(options), None).map_err(
                |error| match error {
                    webpki::Error::CertRevoked => Revocation::Revoked,
                    webpki::Error::UnknownRevocationStatus => Revocation::NoList,
                    webpki::Error::CrlExpired { .. } => Revocation::Expired,
                    _ => Revocation::Invalid,
                },
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;
    use crate::verify::{ClientMode, ClientVerifier};
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };

    type Authority = CertifiedIssuer<'static, KeyPair>;

    const HOUR: Duration = Duration::from_hours(1);

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn authority(name: &str) -> Authority {
        CertifiedIssuer::self_signed(params(name), KeyPair::generate().unwrap()).unwrap()
    }

    fn below(authority: &Authority, name: &str, serial: u64) -> Authority {
        let mut params = params(name);
        params.serial_number = Some(SerialNumber::from(serial));
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), authority).unwrap()
    }

    fn leaf(issuer: &Authority, serial: u64) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    fn list(issuer: &Authority, age: Duration, revoked: &[u64]) -> String {
        let this_update = SystemTime::now() - age;
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: this_update.into(),
            next_update: (this_update + 2 * HOUR).into(),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap().pem().unwrap()
    }

    fn judged(root: &Authority, chain: &[CertificateDer<'static>]) -> VerifiedChain {
        let pem: Arc<[u8]> = root.pem().into_bytes().into();
        let verifier = ClientVerifier::new(&[pem], ClientMode::AllowValidOnly).unwrap();
        verifier.judge(chain, SystemTime::now()).unwrap()
    }

    fn check(lists: &[String], chain: &VerifiedChain) -> Result<(), Revocation> {
        RevocationLists::parse(lists.concat().as_bytes()).unwrap().check(chain, SystemTime::now())
    }

    #[test]
    fn a_certificate_counts_unless_a_list_names_it() {
        let root = authority("root");
        let (good, bad) = (judged(&root, &[leaf(&root, 1)]), judged(&root, &[leaf(&root, 2)]));
        let lists = [list(&root, HOUR, &[2, 3])];
        assert_eq!(check(&lists, &good), Ok(()));
        assert_eq!(check(&lists, &bad), Err(Revocation::Revoked));
        assert_eq!(check(&[list(&root, HOUR, &[])], &bad), Ok(()), "another file is asked anew");
    }

    #[test]
    fn without_a_list_of_its_issuer_no_certificate_counts() {
        let (root, other) = (authority("root"), authority("other"));
        let chain = judged(&root, &[leaf(&root, 1)]);
        assert_eq!(check(&[list(&other, HOUR, &[])], &chain), Err(Revocation::NoList));
        let namesake = authority("root");
        assert_eq!(check(&[list(&namesake, HOUR, &[])], &chain), Err(Revocation::Invalid), "signed by another");
    }

    #[test]
    fn a_list_past_its_time_says_nothing() {
        let root = authority("root");
        let chain = judged(&root, &[leaf(&root, 1)]);
        assert_eq!(check(&[list(&root, 3 * HOUR, &[])], &chain), Err(Revocation::Expired));
        let lists = RevocationLists::parse(list(&root, HOUR, &[]).as_bytes()).unwrap();
        let now = SystemTime::now();
        assert_eq!(lists.check(&chain, now), Ok(()));
        assert_eq!(lists.check(&chain, lists.next_update() - Duration::from_secs(1)), Ok(()));
        assert_eq!(lists.check(&chain, lists.next_update()), Err(Revocation::Expired));
        assert_eq!(lists.check(&chain, now), Ok(()), "the clock was set back");
    }

    #[test]
    fn of_two_lists_of_an_issuer_the_newer_counts() {
        let root = authority("root");
        let chain = judged(&root, &[leaf(&root, 1)]);
        let (older, newer) = (list(&root, HOUR, &[]), list(&root, HOUR / 2, &[1]));
        for lists in [[older.clone(), newer.clone()], [newer, older]] {
            assert_eq!(check(&lists, &chain), Err(Revocation::Revoked));
        }
    }

    #[test]
    fn a_revoked_authority_takes_its_certificates_along() {
        let root = authority("root");
        let between = below(&root, "between", 7);
        let chain = judged(&root, &[leaf(&between, 1), between.der().clone()]);
        let of_leaves = list(&between, HOUR, &[]);
        assert_eq!(check(std::slice::from_ref(&of_leaves), &chain), Ok(()), "the root's list need not be there");
        assert_eq!(check(&[of_leaves.clone(), list(&root, HOUR, &[1])], &chain), Ok(()), "serials are an issuer's own");
        assert_eq!(check(&[of_leaves, list(&root, HOUR, &[7])], &chain), Err(Revocation::Revoked));
        assert_eq!(check(&[list(&root, HOUR, &[])], &chain), Err(Revocation::NoList));
    }

    #[test]
    fn files_without_lists_are_an_error() {
        let parse = |content: &[u8]| RevocationLists::parse(content).map(|_| ());
        assert_eq!(parse(b""), Err(ListError::None));
        assert_eq!(parse(authority("root").pem().as_bytes()), Err(ListError::None));
        assert_eq!(parse(b"-----BEGIN X509 CRL-----\nAAAA\n"), Err(ListError::Pem));
        assert!(matches!(parse(b"\x30\x00"), Err(ListError::List { index: 1, .. })));
        let text = list(&authority("root"), HOUR, &[]);
        let der = CertificateRevocationListDer::from_pem_slice(text.as_bytes()).unwrap();
        assert_eq!(parse(&der), Ok(()));
        let many = text.repeat(REVOCATION_LISTS_MAX + 1);
        assert_eq!(parse(many.as_bytes()), Err(ListError::TooMany));
    }
}
