//! What one certificate says, for people who look at it. Nothing here is a judgement of trust; see [`crate::verify`].

use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer as _, public_key::PublicKey, x509::SubjectPublicKeyInfo,
};

use crate::{ChainFacts, FactsError, authority::modulus_bits};

/// One certificate, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Names, issuer, dates, serial number.
    pub facts: ChainFacts,
    /// The kind and size of its key: `P-256`, `RSA 2048`, `Ed25519`.
    pub key: String,
    /// Whether it says of itself that it is an authority (`CA:TRUE`).
    pub says_authority: bool,
}

impl Inspection {
    /// Reads one certificate.
    ///
    /// # Errors
    /// It is not X.509.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, FactsError> {
        let facts = ChainFacts::of(std::slice::from_ref(certificate))?;
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| FactsError::Malformed(1))?;
        let constraints = parsed.basic_constraints().ok().flatten();
        let says_authority = constraints.is_some_and(|constraints| constraints.value.ca);
        Ok(Self { facts, key: kind_of(parsed.public_key()), says_authority })
    }
}

/// Keys by the names that people give them; by number, where they have none.
fn kind_of(key: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = key.algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        "1.2.840.113549.1.1.1" => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => format!("RSA {}", modulus_bits(rsa.modulus)),
            _ => "RSA, malformed".to_owned(),
        },
        "1.2.840.10045.2.1" => {
            let parameters = key.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|curve| curve.as_oid().ok()).map(|curve| curve.to_id_string());
            match curve.as_deref() {
                Some("1.2.840.10045.3.1.7") => "P-256".to_owned(),
                Some("1.3.132.0.34") => "P-384".to_owned(),
                Some("1.3.132.0.35") => "P-521".to_owned(),
                Some(other) => format!("elliptic curve {other}"),
                None => "elliptic curve, unnamed".to_owned(),
            }
        }
        "1.3.101.112" => "Ed25519".to_owned(),
        _ => format!("algorithm {algorithm}"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::SystemTime;

    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};

    use super::*;
    use crate::testing::{ID, Root, leaf_params};

    #[test]
    fn a_certificate_tells_its_key_and_whether_it_is_an_authority() {
        let root = Root::new("corp");
        let told = Inspection::of(&root.certificate()).unwrap();
        assert_eq!((told.key.as_str(), told.says_authority), ("P-256", true));
        let kinds = [
            (&PKCS_ECDSA_P256_SHA256, "P-256"),
            (&PKCS_ECDSA_P384_SHA384, "P-384"),
            (&PKCS_ED25519, "Ed25519"),
            (&PKCS_RSA_SHA256, "RSA 2048"),
        ];
        for (algorithm, expected) in kinds {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let leaf = leaf_params(ID, SystemTime::now()).signed_by(&key, &root.0).unwrap();
            let told = Inspection::of(leaf.der()).unwrap();
            assert_eq!((told.key.as_str(), told.says_authority), (expected, false));
            assert_eq!(told.facts.spiffe_id.unwrap().as_str(), ID);
        }
    }

    #[test]
    fn what_is_no_certificate_is_not_told_of() {
        assert_eq!(Inspection::of(&CertificateDer::from(vec![1, 2, 3])), Err(FactsError::Malformed(1)));
    }
}
