//! The certificates a listener shows, chosen by server name and by what the client can verify, and swapped live.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use foldhash::{HashMap, HashMapExt};
use portcullis_certs::{CertifiedPair, PemError};
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use smallvec::SmallVec;

/// The certificates of one listener. [`replace`](Self::replace) takes effect with the next handshake, on the same
/// listener, and touches no open connection.
pub struct Certificates {
    index: ArcSwap<Index>,
}

/// Immutable, so that one handshake sees one set.
#[derive(Default)]
struct Index {
    /// In the order given: the first that the client can verify is the answer to names that nothing matches.
    all: Vec<Arc<CertifiedKey>>,
    /// Positions in `all`, by name.
    exact: HashMap<Box<str>, Positions>,
    /// Positions in `all`, by what follows the `*` of a wildcard, with its leading dot.
    wildcard: HashMap<Box<str>, Positions>,
}

type Positions = SmallVec<[u32; 2]>;

impl Certificates {
    /// Shows these.
    pub fn new(pairs: &[CertifiedPair]) -> Result<Arc<Self>, PemError> {
        Ok(Arc::new(Self { index: ArcSwap::from_pointee(Index::new(pairs)?) }))
    }

    /// Shows these from now on, instead. On an error nothing changes.
    pub fn replace(&self, pairs: &[CertifiedPair]) -> Result<(), PemError> {
        self.index.store(Arc::new(Index::new(pairs)?));
        Ok(())
    }

    fn choose(&self, server_name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let index = self.index.load();
        let usable =
            |position: &u32| index.all.get(*position as usize).filter(|pair| pair.key.choose_scheme(schemes).is_some());
        let named = server_name.map(str::to_ascii_lowercase);
        let exact = named.as_deref().and_then(|name| index.exact.get(name));
        // A certificate's wildcard stands for exactly one label (RFC 9525 §6.3).
        let parent = named.as_deref().and_then(|name| name.get(name.find('.')?..));
        let wildcard = parent.and_then(|parent| index.wildcard.get(parent));
        let mut matching = exact.into_iter().chain(wildcard).flatten();
        let found = matching.find_map(usable);
        // The listener has been chosen already, so the name is one it answers for: let the client judge.
        found.or_else(|| index.all.iter().find(|pair| pair.key.choose_scheme(schemes).is_some())).cloned()
    }
}

impl Index {
    fn new(pairs: &[CertifiedPair]) -> Result<Self, PemError> {
        let mut index = Self { all: Vec::with_capacity(pairs.len()), exact: HashMap::new(), wildcard: HashMap::new() };
        for (position, pair) in (0_u32..).zip(pairs) {
            index.all.push(Arc::new(pair.certified_key()?));
            for name in &pair.facts().dns_names {
                match name.strip_prefix('*') {
                    Some(parent) => index.wildcard.entry(parent.into()).or_default().push(position),
                    None => index.exact.entry(name.as_str().into()).or_default().push(position),
                }
            }
        }
        Ok(index)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.choose(client_hello.server_name(), client_hello.signature_schemes());
        // With one that the client cannot use, the handshake fails as it should: with `handshake_failure`. Without any,
        // rustls would say that access is denied.
        chosen.or_else(|| self.index.load().all.first().cloned())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("count", &self.index.load().all.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    const EDDSA: SignatureScheme = SignatureScheme::ED25519;

    fn pair(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> CertifiedPair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        CertifiedPair::new(vec![certificate.der().clone()], PrivateKeyDer::from(key)).unwrap()
    }

    #[test]
    fn chosen_by_name_then_by_key_type_then_by_order() {
        let (p256, ed25519) = (&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519);
        let pairs = [
            pair(&["first.test"], p256),
            pair(&["*.w.test", "b.test"], ed25519),
            pair(&["*.w.test", "c.test"], p256),
            pair(&["x.w.test"], p256),
        ];
        let certificates = Certificates::new(&pairs).unwrap();
        for (name, schemes, expected) in [
            (Some("first.test"), &[ECDSA, EDDSA][..], Some(0)),
            (Some("b.test"), &[ECDSA, EDDSA], Some(1)),
            (Some("B.TEST"), &[ECDSA, EDDSA], Some(1)),
            (Some("y.w.test"), &[ECDSA, EDDSA], Some(1)),
            (Some("y.w.test"), &[ECDSA], Some(2)),
            (Some("x.w.test"), &[ECDSA, EDDSA], Some(3)),
            (Some("x.w.test"), &[EDDSA], Some(1)),
            (Some("a.y.w.test"), &[ECDSA, EDDSA], Some(0)),
            (Some("w.test"), &[ECDSA, EDDSA], Some(0)),
            (Some("b.test"), &[ECDSA], Some(0)),
            (Some("other.test"), &[EDDSA], Some(1)),
            (None, &[ECDSA, EDDSA], Some(0)),
            (None, &[SignatureScheme::RSA_PSS_SHA256], None),
        ] {
            let chosen = certificates.choose(name, schemes);
            let leaf = chosen.as_ref().and_then(|chosen| chosen.cert.first());
            let position = pairs.iter().position(|pair| pair.chain().first() == leaf);
            assert_eq!(chosen.is_some().then(|| position.unwrap()), expected, "{name:?} {schemes:?}");
        }
        certificates.replace(pairs.get(2..3).unwrap()).unwrap();
        let chosen = certificates.choose(Some("first.test"), &[ECDSA]).unwrap();
        assert_eq!(chosen.cert.first(), pairs.get(2).and_then(|pair| pair.chain().first()));
    }
}
