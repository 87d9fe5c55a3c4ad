//! Authorities and leaves for tests, good ones and bad ones.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{
    Svid, TrustBundle, TrustBundles, TrustDomain,
    verify::{ExpectedPeers, MeshTrust, PeerVerifier},
};

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const ID: &str = "spiffe://corp.example/ns/inference/sa/llama";

pub(crate) fn domain(name: &str) -> TrustDomain {
    name.parse().unwrap()
}

/// A root of a trust domain.
pub(crate) struct Root(pub(crate) CertifiedIssuer<'static, KeyPair>);

pub(crate) fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What a good leaf says. Tests change it.
pub(crate) fn leaf_params(id: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from(7u64));
    params.not_before = (now - HOUR).into();
    params.not_after = (now + HOUR).into();
    params
}

impl Root {
    pub(crate) fn new(name: &str) -> Self {
        Self::of(authority_params(name))
    }

    pub(crate) fn of(params: CertificateParams) -> Self {
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn below(&self, params: CertificateParams) -> Self {
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().der().clone(), key)
    }

    pub(crate) fn chain(&self, id: &str, now: SystemTime) -> Vec<CertificateDer<'static>> {
        vec![self.sign(&leaf_params(id, now)).0]
    }

    pub(crate) fn svid(&self, id: &str, now: SystemTime) -> Svid {
        let (leaf, key) = self.sign(&leaf_params(id, now));
        Svid::new(vec![leaf], der_of(&key)).unwrap()
    }

    pub(crate) fn bundle(&self, name: &str) -> TrustBundle {
        TrustBundle::new(domain(name), vec![self.certificate()]).unwrap()
    }
}

pub(crate) fn der_of(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

pub(crate) fn trust(bundles: impl IntoIterator<Item = TrustBundle>) -> Arc<MeshTrust> {
    Arc::new(MeshTrust::new(TrustBundles::new(bundles).unwrap()))
}

pub(crate) fn verifier(bundles: impl IntoIterator<Item = TrustBundle>) -> PeerVerifier {
    PeerVerifier::new(trust(bundles), ExpectedPeers::AnyTrusted)
}
