//! A certificate authority in a folder, for one machine: enough for demos, tests and closed networks.
//!
//! The folder holds `ca.key` (the authority's key and certificate, 0600), `ca.pem` (the certificate alone, for clients
//! to trust, 0644) and `issued/` (one file for each list of names, chain and key together so that they cannot part).

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls_pki_types::{CertificateDer, DnsName};

use super::{AuthorityError, exists, pem_of, refuse_mode};
use crate::{
    CertifiedPair, ChainFacts,
    facts::hex,
    files::{self, PUBLIC_MODE, SECRET_MODE},
    parse_key, parse_pair,
    verify::{Authorities, ServerVerifier},
};

/// How long the authority's own certificate lasts.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// How long an issued certificate lasts. It is replaced when two thirds are over.
pub const SERVER_CERTIFICATE_LIFE: Duration = Duration::from_hours(90 * 24);
/// Certificates begin this much earlier, for clients whose clocks are behind.
const BACKDATING: Duration = Duration::from_mins(5);
/// The most names one certificate may carry.
pub(super) const NAMES_MAX: usize = 100;
/// The longest common name (X.520 `ub-common-name`).
const COMMON_NAME_CHARS_MAX: usize = 64;

/// An authority that lives in a folder.
pub struct LocalAuthority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

impl LocalAuthority {
    /// Opens the authority in `directory`, or begins one there.
    pub fn open_or_create(directory: &Path, now: SystemTime) -> Result<Self, AuthorityError> {
        let issued = directory.join("issued");
        files::create_folders(&issued).map_err(|source| AuthorityError::Io { path: issued, source })?;
        refuse_mode(directory, 0o022, "write", "go-w")?;

        let key_path = directory.join("ca.key");
        let public_path = directory.join("ca.pem");
        if !exists(&key_path)? {
            if exists(&public_path)? {
                return Err(AuthorityError::KeyMissing(public_path));
            }
            match files::create(&key_path, begin(now)?.as_bytes(), SECRET_MODE) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {} // another process was first: use its key
                outcome => outcome.map_err(|source| AuthorityError::Io { path: key_path.clone(), source })?,
            }
        }
        let authority = Self::open(directory, &key_path, now)?;
        if fs::read(&public_path).ok().as_deref() != Some(authority.certificate_pem.as_bytes()) {
            files::replace(&public_path, authority.certificate_pem.as_bytes(), PUBLIC_MODE)
                .map_err(|source| AuthorityError::Io { path: public_path, source })?;
        }
        Ok(authority)
    }

    fn open(directory: &Path, key_path: &Path, now: SystemTime) -> Result<Self, AuthorityError> {
        refuse_mode(key_path, 0o077, "read", "600")?;
        let text = fs::read(key_path).map_err(|source| AuthorityError::Io { path: key_path.to_owned(), source })?;
        let corrupt = |reason: &dyn std::fmt::Display| AuthorityError::Corrupt {
            path: key_path.to_owned(),
            reason: reason.to_string(),
        };

        let pair = parse_pair(&text, &text).map_err(|e| corrupt(&e))?;
        let [certificate] = pair.chain() else {
            return Err(corrupt(&"it must hold exactly one certificate"));
        };
        if !pair.facts().is_current(now) {
            return Err(AuthorityError::Expired(directory.to_owned()));
        }
        let key = KeyPair::try_from(pair.key()).map_err(|e| corrupt(&e))?;
        let issuer = Issuer::from_ca_cert_der(certificate, key).map_err(|e| corrupt(&e))?;
        Ok(Self {
            directory: directory.to_owned(),
            issuer,
            certificate: certificate.clone(),
            certificate_pem: pem_of(certificate),
        })
    }

    /// The authority's certificate in PEM, as in `ca.pem`.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Where `ca.pem` is.
    pub fn certificate_path(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A certificate for a server with these names: DNS names, wildcards, IP addresses. The one issued before is
    /// given again while it is ours, names the same names, and has more than a third of its life before it.
    pub fn issue_server<N: AsRef<str>>(&self, names: &[N], now: SystemTime) -> Result<CertifiedPair, AuthorityError> {
        let names = Names::parse(names)?;
        let path = self.directory.join("issued").join(names.file_name());
        if let Some(pair) = self.kept(&path, &names, now)? {
            return Ok(pair);
        }
        let (text, pair) = self.sign(&names, now)?;
        files::replace(&path, text.as_bytes(), SECRET_MODE).map_err(|source| AuthorityError::Io { path, source })?;
        Ok(pair)
    }

    /// The pair in `path`, if it is still good. A broken file is no error: it is issued anew.
    fn kept(&self, path: &Path, names: &Names, now: SystemTime) -> Result<Option<CertifiedPair>, AuthorityError> {
        if !exists(path)? {
            return Ok(None);
        }
        refuse_mode(path, 0o077, "read", "600")?;
        let text = fs::read(path).map_err(|source| AuthorityError::Io { path: path.to_owned(), source })?;
        let Ok(pair) = parse_pair(&text, &text) else { return Ok(None) };
        let facts = pair.facts();
        let good = names.are_those_of(facts)
            && facts.not_before <= now
            && now < facts.renew_at()
            && self.signed(pair.chain(), now);
        Ok(good.then_some(pair))
    }

    fn signed(&self, chain: &[CertificateDer<'static>], now: SystemTime) -> bool {
        let ours = Authorities::Pem(vec![self.certificate_pem.as_bytes().into()]);
        let verifier = ServerVerifier::new(&ours, &[]);
        verifier.is_ok_and(|verifier| verifier.judge_chain(chain, now).is_ok())
    }

    fn sign(&self, names: &Names, now: SystemTime) -> Result<(String, CertifiedPair), AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.alternatives()?;
        params.distinguished_name = DistinguishedName::new();
        if names.first().chars().count() <= COMMON_NAME_CHARS_MAX {
            params.distinguished_name.push(DnType::CommonName, names.first());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - BACKDATING).into();
        params.not_after = (now - BACKDATING + SERVER_CERTIFICATE_LIFE).into();
        let leaf = params.signed_by(&key, &self.issuer)?;
        let text = format!("{}{}{}", leaf.pem(), self.certificate_pem, key.serialize_pem());
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        Ok((text.clone(), CertifiedPair::new(chain, parse_key(text.as_bytes())?)?))
    }
}

impl std::fmt::Debug for LocalAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalAuthority").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// A new key and its certificate, as `ca.key` holds them.
fn begin(now: SystemTime) -> Result<String, AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    // Two authorities must not share a name: a client that trusts both would try the wrong key.
    let mark = key.public_key_raw().last_chunk::<4>().map_or_else(String::new, |bytes| hex(bytes));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Portcullis local authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BACKDATING).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", key.serialize_pem(), pem_of(certificate.der())))
}

/// The names of one certificate, checked, sorted, without doubles. Never empty.
struct Names {
    dns: Vec<String>,
    ip: Vec<IpAddr>,
}

impl Names {
    fn parse<N: AsRef<str>>(names: &[N]) -> Result<Self, AuthorityError> {
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(AuthorityError::NameCount);
        }
        let mut parsed = Self { dns: Vec::new(), ip: Vec::new() };
        for name in names.iter().map(AsRef::as_ref) {
            if let Ok(ip) = name.parse() {
                parsed.ip.push(ip);
                continue;
            }
            if DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_err() || name.ends_with('.') {
                return Err(AuthorityError::Name(name.to_owned()));
            }
            parsed.dns.push(name.to_ascii_lowercase());
        }
        parsed.dns.sort_unstable();
        parsed.dns.dedup();
        parsed.ip.sort_unstable();
        parsed.ip.dedup();
        Ok(parsed)
    }

    /// A name to show to people.
    fn first(&self) -> String {
        self.dns.first().cloned().or_else(|| self.ip.first().map(ToString::to_string)).unwrap_or_default()
    }

    fn alternatives(&self) -> Result<Vec<SanType>, AuthorityError> {
        let dns = self.dns.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
        dns.chain(self.ip.iter().map(|ip| Ok(SanType::IpAddress(*ip)))).collect()
    }

    fn are_those_of(&self, facts: &ChainFacts) -> bool {
        let (mut dns, mut ip) = (facts.dns_names.clone(), facts.ip_names.clone());
        dns.sort_unstable();
        ip.sort_unstable();
        self.dns == dns && self.ip == ip
    }

    /// Readable, safe in a file system, and different for different names (FNV-1a, 64 bits; a collision would only
    /// cost a new issue, because what the file holds is checked).
    fn file_name(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let ips = self.ip.iter().map(ToString::to_string);
        for byte in self.dns.iter().cloned().chain(ips).flat_map(|name| format!("{name},").into_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let readable: String = self
            .first()
            .chars()
            .take(80)
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' })
            .collect();
        format!("{readable}-{hash:016x}.pem")
    }
}

#[cfg(test)]
mod tests;
