//! The certificates that the suite makes before it applies its manifests, and the Secrets and ConfigMaps they lie in.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};

use super::{APP, INFRA, WEB};
use crate::harness::pki::{Authority, Identity, config_map};

/// The names that the suite's certificate for backends proves.
const BACKEND_NAMES: [&str; 3] = ["abc.example.com", "spiffe://abc.example.com/test-identity", "other.example.com"];

/// Every certificate, once for all tests.
pub(super) struct Certificates {
    /// What listeners show in most tests; trusted by itself.
    pub(super) listener: Identity,
    /// What clients show by default.
    pub(super) client: Identity,
    /// What clients show to the port that asks for another authority's.
    pub(super) client_per_port: Identity,
    /// The authority of backends.
    pub(super) backends_pem: String,
    /// What the gateway shows to backends.
    pub(super) gateway_client: Identity,
    backend: Identity,
    passthrough: Identity,
    terminate: Identity,
    web: Identity,
    client_authority: String,
    client_per_port_authority: String,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let clients = authority();
        let clients_per_port = authority();
        let backends = authority();
        Self {
            listener: self_signed(&["*.org", "*.wildcard.org"]),
            client: clients.client(&[]),
            client_per_port: clients_per_port.client(&[]),
            gateway_client: backends.client(&[]),
            backend: backends.server(&BACKEND_NAMES),
            passthrough: backends.server(&["abc.example.com"]),
            terminate: backends.server(&["tls.example.com"]),
            web: self_signed(&[]),
            backends_pem: backends.pem,
            client_authority: clients.pem,
            client_per_port_authority: clients_per_port.pem,
        }
    }

    /// What a server shows whose Secret has this name.
    pub(super) fn of_secret(&self, name: &str) -> &Identity {
        match name {
            "tls-checks-certificate" => &self.backend,
            "tls-passthrough-checks-certificate" => &self.passthrough,
            _ => panic!("no server has the Secret `{name}`"),
        }
    }

    /// The Secrets and ConfigMaps, as YAML documents.
    pub(super) fn documents(&self) -> Vec<String> {
        vec![
            self.web.secret(WEB, "certificate"),
            self.listener.secret(INFRA, "tls-validity-checks-certificate"),
            config_map(WEB, "web-backend-cm", &authority().pem),
            config_map(INFRA, "tls-validity-checks-ca-certificate", &self.client_authority),
            self.client.secret(INFRA, "tls-validity-checks-client-certificate"),
            config_map(INFRA, "tls-validity-checks-per-port-ca-certificate", &self.client_per_port_authority),
            self.client_per_port.secret(INFRA, "tls-validity-checks-per-port-client-certificate"),
            config_map(INFRA, "tls-checks-ca-certificate", &self.backends_pem),
            self.backend.secret(INFRA, "tls-checks-certificate"),
            self.gateway_client.secret(INFRA, "tls-checks-client-certificate"),
            self.passthrough.secret(INFRA, "tls-passthrough-checks-certificate"),
            self.passthrough.secret(APP, "tls-passthrough-checks-certificate"),
            self.terminate.secret(INFRA, "tls-terminate-checks-certificate"),
            config_map(INFRA, "mismatch-ca-certificate", &authority().pem),
        ]
    }
}

/// All authorities of the suite have the same name, so that only their keys tell them apart.
fn authority() -> Authority {
    Authority::new("gatewayapi")
}

/// A certificate that vouches for itself, for these names and, as the suite has it, for the URI `*`.
fn self_signed(names: &[&str]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "default");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
    params.subject_alt_names.push(SanType::URI("*".try_into().unwrap()));
    let certificate = params.self_signed(&key).unwrap();
    Identity { chain_pem: certificate.pem(), key_pem: key.serialize_pem() }
}
