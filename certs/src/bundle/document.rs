//! The JSON of a bundle: a set of JWKs, as SPIFFE Trust Domain and Bundle §4 and X.509-SVID §6 have it.

use std::{fmt, time::Duration};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use rustls_pki_types::CertificateDer;
use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, public_key::PublicKey};

use super::{BUNDLE_AUTHORITIES_MAX, BundleError, TRUST_DOMAINS_MAX, TrustBundle};
use crate::TrustDomain;

/// The use of a key whose certificates are SVIDs.
const USE: &str = "x509-svid";

/// A member that stands there twice is an error; one that is not named here is passed over, as §4.1 asks for.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
    spiffe_sequence: Option<u64>,
    spiffe_refresh_hint: Option<u64>,
}

#[derive(Deserialize)]
struct Key {
    r#use: Option<String>,
    x5c: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Map {
    trust_domains: Entries,
}

/// In order and with doubles, so that these can be refused.
struct Entries(Vec<(String, KeySet)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of trust domains")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == TRUST_DOMAINS_MAX {
                        return Err(serde::de::Error::custom(BundleError::TooManyDomains));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

pub(super) fn read(domain: TrustDomain, text: &[u8]) -> Result<TrustBundle, BundleError> {
    let set: KeySet = serde_json::from_slice(text).map_err(|e| BundleError::Json(e.to_string()))?;
    of_set(domain, set)
}

pub(super) fn read_map(text: &[u8]) -> Result<Vec<TrustBundle>, BundleError> {
    let map: Map = serde_json::from_slice(text).map_err(|e| BundleError::Json(e.to_string()))?;
    let bundle = |(name, set): (String, KeySet)| {
        let domain = name.parse().map_err(|_| BundleError::Domain(name.chars().take(255).collect()))?;
        of_set(domain, set)
    };
    map.trust_domains.0.into_iter().map(bundle).collect()
}

fn of_set(domain: TrustDomain, set: KeySet) -> Result<TrustBundle, BundleError> {
    let mut authorities: Vec<CertificateDer<'static>> = Vec::new();
    for (index, key) in set.keys.into_iter().enumerate() {
        // §4.2.2: what the key is for must be known, or it is none of ours.
        if key.r#use.as_deref() != Some(USE) {
            continue;
        }
        let Some([certificate]) = key.x5c.as_deref() else { return Err(BundleError::Certificate(index + 1)) };
        let der = BASE64_STANDARD.decode(certificate).map_err(|_| BundleError::Certificate(index + 1))?;
        if authorities.len() == BUNDLE_AUTHORITIES_MAX {
            return Err(BundleError::TooManyAuthorities);
        }
        authorities.push(der.into());
    }
    let mut bundle = TrustBundle::new(domain, authorities)?;
    bundle.sequence = set.spiffe_sequence;
    bundle.refresh_hint = set.spiffe_refresh_hint.map(Duration::from_secs);
    Ok(bundle)
}

pub(super) fn write(bundle: &TrustBundle) -> Value {
    let mut set = json!({ "keys": bundle.authorities.iter().map(jwk).collect::<Vec<_>>() });
    if let Value::Object(set) = &mut set {
        set.extend(bundle.sequence.map(|sequence| ("spiffe_sequence".to_owned(), sequence.into())));
        set.extend(bundle.refresh_hint.map(|hint| ("spiffe_refresh_hint".to_owned(), hint.as_secs().into())));
    }
    set
}

pub(super) fn write_map<'b>(bundles: impl Iterator<Item = &'b TrustBundle>) -> Value {
    let domains: serde_json::Map<_, _> =
        bundles.map(|bundle| (bundle.domain.as_str().to_owned(), write(bundle))).collect();
    json!({ "trust_domains": domains })
}

/// A key and its certificate. Readers made for JWKs want the key itself too (RFC 7518 §6), not only its certificate.
fn jwk(authority: &CertificateDer<'_>) -> Value {
    let mut key = X509Certificate::from_der(authority).map_or_else(|_| json!({}), |(_, parsed)| key_of(&parsed));
    if let Value::Object(key) = &mut key {
        key.insert("use".to_owned(), USE.into());
        key.insert("x5c".to_owned(), json!([BASE64_STANDARD.encode(authority)]));
    }
    key
}

fn key_of(certificate: &X509Certificate<'_>) -> Value {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    match certificate.public_key().parsed() {
        Ok(PublicKey::EC(point)) => {
            // Uncompressed (SEC 1 §2.3.3): a byte 4, and two coordinates of the same length.
            let coordinates = point.data().get(1..).unwrap_or_default();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            let curve = match x.len() {
                32 => "P-256",
                48 => "P-384",
                _ => "P-521",
            };
            json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
        }
        Ok(PublicKey::RSA(key)) => {
            let number = |bytes: &[u8]| text(bytes.strip_prefix(&[0]).unwrap_or(bytes));
            json!({ "kty": "RSA", "n": number(key.modulus), "e": number(key.exponent) })
        }
        _ => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(&certificate.public_key().subject_public_key.data) }),
    }
}
