//! Whom a certificate names, and when it names nobody.

#![expect(clippy::unwrap_used, reason = "tests")]

use portcullis_certs::verify::{ClientMode, ClientVerifier};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
};
use tempfile::TempDir;

use super::*;

const SERIAL: u64 = 7;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A connection's certificate: `subject` parts, alternative names.
    fn shown(&self, subject: &[(DnType, &str)], names: &[SanType]) -> PeerCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = names.to_vec();
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = (SystemTime::now() - Duration::from_hours(1)).into();
        params.not_after = (SystemTime::now() + Duration::from_hours(1)).into();
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().clone();
        let pem: Arc<[u8]> = self.0.pem().into_bytes().into();
        let verifier = ClientVerifier::new(&[pem], ClientMode::AllowInsecureFallback).unwrap();
        PeerCertificate::Verified(verifier.judge(&[leaf], SystemTime::now()).unwrap())
    }

    fn list(&self, revoked: &[u64]) -> String {
        let this_update = SystemTime::now() - Duration::from_mins(1);
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: this_update.into(),
            next_update: (this_update + Duration::from_mins(10)).into(),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

fn provider(names: CertificateNames, crl: Option<&Path>) -> Result<Certificates, String> {
    let id = DocumentId {
        group: "portcullis.dev".into(),
        kind: "IdentityProvider".into(),
        namespace: "default".into(),
        name: "machines".into(),
    };
    Certificates::new(&MtlsProvider { names, crl: crl.map(Path::to_owned) }, Arc::new(id))
}

fn workloads() -> CertificateNames {
    CertificateNames::Workload { trust_domain: "spiffe://corp.example".parse().unwrap() }
}

fn users(name: SubjectNameWord) -> CertificateNames {
    CertificateNames::User { name, units_are_groups: true }
}

fn named(provider: &Certificates, shown: &PeerCertificate) -> Result<String, Rejection> {
    let known = provider.authenticate(shown, SystemTime::now())?;
    Ok(known.caller.principal().unwrap().name.to_string())
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn a_workload_is_its_one_spiffe_id_in_the_trust_domain() {
    let (authority, provider) = (Authority::new(), provider(workloads(), None).unwrap());
    let check = |names: &[&str], expected: Result<&str, &'static str>| {
        let names: Vec<_> = names.iter().map(|name| uri(name)).collect();
        let outcome = named(&provider, &authority.shown(&[(DnType::CommonName, "spiffe://corp.example/cn")], &names));
        assert_eq!(outcome, expected.map(str::to_owned).map_err(Rejection::Invalid), "{names:?}");
    };
    check(&["spiffe://corp.example/ns/agents/sa/a"], Ok("spiffe://corp.example/ns/agents/sa/a"));
    check(&["spiffe://evil.example/ns/agents/sa/a"], Err("certificate_trust_domain"));
    check(&["spiffe://corp.example.evil.example/a"], Err("certificate_trust_domain"));
    check(&["spiffe://corp.example"], Err("certificate_no_spiffe_id"));
    check(&["spiffe://corp.example/a", "spiffe://corp.example/b"], Err("certificate_no_spiffe_id"));
    check(&["https://corp.example/a"], Err("certificate_no_spiffe_id"));
    check(&["spiffe://corp.example/a/../b"], Err("certificate_no_spiffe_id"));
    check(&[], Err("certificate_no_spiffe_id"));
}

#[test]
fn a_user_is_the_one_name_of_the_sort_that_is_asked_for() {
    let authority = Authority::new();
    let email = |address: &str| SanType::Rfc822Name(address.try_into().unwrap());
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let unit = DnType::OrganizationalUnitName;
    let shown = authority.shown(
        &[(DnType::OrganizationName, "Corp"), (unit, "ml"), (DnType::CommonName, "Alice, the first")],
        &[email("alice@corp.example"), dns("Alice.corp.example")],
    );
    let check = |word: SubjectNameWord, expected: &str| {
        assert_eq!(named(&provider(users(word), None).unwrap(), &shown).unwrap(), expected);
    };
    check(SubjectNameWord::DistinguishedName, "CN=Alice\\, the first,OU=ml,O=Corp");
    check(SubjectNameWord::CommonName, "Alice, the first");
    check(SubjectNameWord::Email, "alice@corp.example");
    check(SubjectNameWord::Dns, "alice.corp.example");
    let known = provider(users(SubjectNameWord::Email), None).unwrap().authenticate(&shown, SystemTime::now()).unwrap();
    let principal = known.caller.principal().unwrap();
    assert_eq!((principal.method, principal.kind), (Method::Certificate, PrincipalKind::User));
    assert_eq!(principal.groups.iter().map(|group| &*group.name).collect::<Vec<_>>(), ["ml"]);
    assert!(principal.expires.unwrap() > SystemTime::now());

    let none = |word: SubjectNameWord, shown: &PeerCertificate| {
        let refused = named(&provider(users(word), None).unwrap(), shown).unwrap_err();
        assert_eq!(refused, Rejection::Invalid("certificate_name"));
    };
    let two = [email("a@corp.example"), email("b@corp.example"), dns("a.test"), dns("b.test")];
    let two = authority.shown(&[], &two);
    let odd = authority.shown(&[(DnType::CommonName, "a\nb")], &[]);
    for word in [SubjectNameWord::Email, SubjectNameWord::Dns, SubjectNameWord::CommonName] {
        none(word, &two);
        none(word, &odd);
    }
    none(SubjectNameWord::DistinguishedName, &two);
    none(SubjectNameWord::CommonName, &authority.shown(&[(DnType::CommonName, " ")], &[]));
}

#[test]
fn certificates_that_were_not_verified_are_nobody() {
    let provider = provider(workloads(), None).unwrap();
    let unverified =
        PeerCertificate::Unverified { chain: Arc::new([]), error: rustls::Error::General("unknown".to_owned()) };
    assert_eq!(named(&provider, &unverified), Err(Rejection::Invalid("certificate_unverified")));
    assert_eq!(named(&provider, &PeerCertificate::Absent), Err(Rejection::Invalid("certificate_absent")));
}

#[test]
fn an_open_connection_ends_with_its_certificate() {
    let (authority, provider) = (Authority::new(), provider(workloads(), None).unwrap());
    let shown = authority.shown(&[], &[uri("spiffe://corp.example/a")]);
    let known = provider.authenticate(&shown, SystemTime::now()).unwrap();
    let principal = known.caller.principal().unwrap();
    assert!(provider.renew(principal, &shown, SystemTime::now()).is_ok());
    let later = SystemTime::now() + Duration::from_hours(2);
    assert_eq!(provider.renew(principal, &shown, later).unwrap_err(), Rejection::Invalid("certificate_expired"));
    let other = authority.shown(&[], &[uri("spiffe://corp.example/b")]);
    let refused = provider.renew(principal, &other, SystemTime::now()).unwrap_err();
    assert_eq!(refused, Rejection::Invalid("certificate_name"));
}

#[test]
fn a_certificate_that_is_revoked_since_is_refused_by_the_lists_that_say_so() {
    let authority = Authority::new();
    let shown = authority.shown(&[], &[uri("spiffe://corp.example/a")]);
    let file = TempDir::new().unwrap();
    let file = file.path().join("lists.pem");
    let outcome = |lists: &str| {
        fs::write(&file, lists).unwrap();
        named(&provider(workloads(), Some(&file)).unwrap(), &shown).map(|_| ())
    };
    assert_eq!(outcome(&authority.list(&[SERIAL + 1])), Ok(()));
    assert_eq!(outcome(&authority.list(&[SERIAL])), Err(Rejection::Invalid("certificate_revoked")));
    assert_eq!(outcome(&Authority::new().list(&[])), Err(Rejection::Invalid("crl_invalid")), "of a namesake");
    fs::write(&file, "no list").unwrap();
    assert!(provider(workloads(), Some(&file)).unwrap_err().contains("no revocation list found"));
    fs::remove_file(&file).unwrap();
    assert!(provider(workloads(), Some(&file)).unwrap_err().contains("cannot read the revocation lists"));
}
