//! Certificates for tests, and the Secrets and ConfigMaps that carry them.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber,
};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
    /// The certificates between it and the root, itself included unless it is the root.
    chain: String,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate and those between it and the root.
    pub chain_pem: String,
    /// The private key.
    pub key_pem: String,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// To be shown by servers.
    Server,
    /// To be shown by clients.
    Client,
    /// Both.
    Both,
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem, chain: String::new() }
    }

    /// An authority that this one vouches for.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), chain: format!("{pem}{}", self.chain), pem }
    }

    /// A server's certificate for these names: DNS names, IP addresses or URIs.
    pub fn server(&self, names: &[&str]) -> Identity {
        self.issue(names, Usage::Server, |_| {})
    }

    /// A client's certificate for these names.
    pub fn client(&self, names: &[&str]) -> Identity {
        self.issue(names, Usage::Client, |_| {})
    }

    /// An X.509-SVID for this SPIFFE ID.
    pub fn workload(&self, id: &str) -> Identity {
        self.issue(&[id], Usage::Both, |_| {})
    }

    /// A certificate with whatever else the test wants of it.
    pub fn issue(&self, names: &[&str], usage: Usage, adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(names.first().copied().unwrap_or("nobody"));
        params.subject_alt_names = names.iter().map(|name| subject(name)).collect();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if usage != Usage::Client {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if usage != Usage::Server {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        adjust(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain_pem: format!("{}{}", certificate.pem(), self.chain), key_pem: key.serialize_pem() }
    }
}

impl Authority {
    /// Its list of revoked certificates in PEM, made so long ago, good for an hour from then on.
    pub fn revocation_list(&self, serials: &[u64], age: Duration) -> String {
        let this_update = SystemTime::now() - age;
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: this_update.into(),
            next_update: (this_update + Duration::from_hours(1)).into(),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Identity {
    /// The chain for rustls.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).map(|certificate| certificate.unwrap()).collect()
    }

    /// The key for rustls.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }

    /// How a server shows it, agreeing on one of these protocols (ALPN).
    pub fn server_config(&self, alpn: &[&str]) -> ServerConfig {
        let builder = server_builder().with_no_client_auth();
        with_alpn(builder.with_single_cert(self.chain(), self.key()).unwrap(), alpn)
    }

    /// The same for a server that takes only clients whom these authorities (PEM) vouch for.
    pub fn server_config_for_clients(&self, alpn: &[&str], authorities_pem: &str) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities_pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let builder = server_builder().with_client_cert_verifier(clients);
        with_alpn(builder.with_single_cert(self.chain(), self.key()).unwrap(), alpn)
    }

    /// A `kubernetes.io/tls` Secret.
    pub fn secret(&self, namespace: &str, name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ntype: kubernetes.io/tls\n\
             stringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
            indented(&self.chain_pem),
            indented(&self.key_pem)
        )
    }
}

/// A ConfigMap with certificates of authorities below `ca.crt`.
pub fn config_map(namespace: &str, name: &str, authorities_pem: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata:\n  ca.crt: |\n{}",
        indented(authorities_pem)
    )
}

fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

fn with_alpn(mut config: ServerConfig, alpn: &[&str]) -> ServerConfig {
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

fn indented(pem: &str) -> String {
    pem.split_inclusive('\n').flat_map(|line| ["    ", line]).collect()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn subject(name: &str) -> SanType {
    if let Ok(address) = name.parse::<IpAddr>() {
        SanType::IpAddress(address)
    } else if name.contains("://") {
        SanType::URI(name.try_into().unwrap())
    } else {
        SanType::DnsName(name.try_into().unwrap())
    }
}
