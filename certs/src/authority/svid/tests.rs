//! What the authority of a trust domain signs, keeps, rotates and refuses.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::{
    CertifiedPair, Svid, files,
    testing::{HOUR, ID, Root, authority_params, der_of, domain, trust},
    verify::{RevocationLists, Unlisted},
};

const DAY: Duration = Duration::from_hours(24);

fn open(folder: &Path, now: SystemTime) -> SvidAuthority {
    SvidAuthority::open_or_create(folder, &domain("corp.example"), Lifetimes::default(), now).unwrap()
}

fn refusal(folder: &Path) -> AuthorityError {
    let now = SystemTime::now();
    SvidAuthority::open_or_create(folder, &domain("corp.example"), Lifetimes::default(), now).unwrap_err()
}

fn asking(uris: &[&str]) -> (SigningRequest, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())).collect();
    (SigningRequest::parse(params.serialize_request(&key).unwrap().der()).unwrap(), key)
}

fn issue(authority: &SvidAuthority, now: SystemTime) -> (Issued, Svid) {
    let (request, key) = asking(&[]);
    let issued = authority.issue(&request, &ID.parse().unwrap(), None, now).unwrap();
    let svid = Svid::new(issued.chain.clone(), der_of(&key)).unwrap();
    (issued, svid)
}

fn believed(authority: &SvidAuthority, chain: &[CertificateDer<'_>], now: SystemTime) -> bool {
    let trust = trust([(*authority.bundle()).clone()]);
    PeerVerifier::new(trust, ExpectedPeers::AnyTrusted).judge(chain, now).is_ok()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn seconds_between(earlier: SystemTime, later: SystemTime) -> u64 {
    later.duration_since(earlier).unwrap().as_secs()
}

#[test]
fn a_leaf_says_what_was_attested_and_lasts_an_hour() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let (issued, svid) = issue(&authority, now);
    assert_eq!(svid.id().as_str(), ID);
    assert!((3600..=3601 + 30).contains(&seconds_between(svid.not_before(), svid.not_after())));
    assert!((29..=31).contains(&seconds_between(svid.not_before(), now)), "clocks differ");
    assert_eq!(svid.serial(), issued.serial);
    assert!(believed(&authority, svid.chain(), now));
    assert!(!authority.should_renew(svid.chain()));

    let (_, parsed) = x509_parser::parse_x509_certificate(issued.chain.first().unwrap()).unwrap();
    let mut known: Vec<_> = parsed.extensions().iter().map(|extension| extension.oid.to_id_string()).collect();
    known.sort();
    // Its key, key usage, names, basic constraints, its authority's key, purposes. Nothing to be fetched, nothing that limits.
    assert_eq!(known, ["2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37"]);
    let serials: std::collections::HashSet<_> = (0..50).map(|_| issue(&authority, now).0.serial).collect();
    assert_eq!(serials.len(), 50);
    assert!(serials.iter().all(|serial| serial.len() == 2 * 17), "128 random bits, and a first byte");
}

#[test]
fn lives_are_bounded_by_the_longest_and_by_the_authoritys_own() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let life = |asked: Option<Duration>, at: SystemTime| {
        let issued = authority.issue(&asking(&[]).0, &ID.parse().unwrap(), asked, at).unwrap();
        issued.not_after.duration_since(at).unwrap()
    };
    assert_eq!(life(None, now), HOUR);
    assert_eq!(life(Some(Duration::ZERO), now), HOUR);
    assert_eq!(life(Some(2 * HOUR), now), 2 * HOUR);
    assert_eq!(life(Some(DAY), now), DAY);
    assert_eq!(life(Some(365 * DAY), now), DAY);
    let ends = authority.authorities().first().unwrap().not_after;
    assert_eq!(life(None, ends - HOUR / 2), HOUR / 2, "nothing outlives its authority");
    let issue_at = |at| authority.issue(&asking(&[]).0, &ID.parse().unwrap(), None, at);
    assert!(matches!(issue_at(ends), Err(IssueError::NoAuthority(_))));
    assert!(matches!(issue_at(now - DAY), Err(IssueError::NoAuthority(_))), "a clock that is wrong by a day");
}

#[test]
fn a_request_gets_the_attested_name_or_none() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let ask = |uris: &[&str], id: &str| authority.issue(&asking(uris).0, &id.parse().unwrap(), None, now);
    assert!(ask(&[ID], ID).is_ok());
    let other = "spiffe://corp.example/ns/inference/sa/other";
    assert_eq!(ask(&[other], ID).unwrap_err().label(), "other_identity");
    assert_eq!(ask(&[], "spiffe://far.example/ns/a/sa/b").unwrap_err().label(), "foreign");
    assert_eq!(ask(&[], "spiffe://corp.example").unwrap_err().label(), "foreign");
    assert_eq!(ask(&[], "spiffe://corp.example.evil/a").unwrap_err().label(), "foreign");
}

#[test]
fn one_key_is_not_certified_for_two_workloads() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let request = asking(&[]).0;
    let ask = |id: &str| authority.issue(&request, &id.parse().unwrap(), None, now);
    assert!(ask(ID).is_ok() && ask(ID).is_ok());
    assert_eq!(ask("spiffe://corp.example/ns/inference/sa/other").unwrap_err().label(), "key_of_another");
}

#[test]
fn an_authoritys_own_key_is_not_certified_for_a_workload() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let state: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("authority.json")).unwrap()).unwrap();
    let pem = state.pointer("/authorities/0/pem").unwrap().as_str().unwrap().to_owned();
    let key = KeyPair::try_from(&crate::parse_key(pem.as_bytes()).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = SigningRequest::parse(params.serialize_request(&key).unwrap().der()).unwrap();
    assert_eq!(authority.issue(&request, &ID.parse().unwrap(), None, now).unwrap_err().label(), "authority_key");
}

#[test]
fn what_is_kept_survives_a_restart_and_others_cannot_read_it() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let path = folder.path().join("authority");
    let first = open(&path, now);
    let (bundle, (_, svid)) = (first.bundle(), issue(&first, now));
    assert_eq!(files::mode(&path).unwrap(), 0o700);
    assert_eq!(files::mode(&path.join("authority.json")).unwrap(), 0o600);
    for public in ["bundle.pem", "bundle.json"] {
        assert_eq!(files::mode(&path.join(public)).unwrap(), 0o644);
        assert!(!fs::read_to_string(path.join(public)).unwrap().contains("PRIVATE"));
    }
    let read = TrustBundle::from_jwk_set(domain("corp.example"), &fs::read(path.join("bundle.json")).unwrap()).unwrap();
    assert_eq!((&read, read.sequence()), (&*bundle, bundle.sequence()));
    drop(first);
    let again = open(&path, now + HOUR / 2);
    assert_eq!(*again.bundle(), *bundle);
    assert!(believed(&again, svid.chain(), now));
    let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "no temporary file stays: {names:?}");
}

#[test]
fn whoever_else_could_read_or_write_is_a_reason_not_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), SystemTime::now()));
    let state = folder.path().join("authority.json");
    set_mode(&state, 0o640);
    let text = refusal(folder.path()).to_string();
    assert!(text.contains("has mode 0640") && text.contains("chmod 600"), "{text}");
    set_mode(&state, 0o600);
    set_mode(folder.path(), 0o770);
    let text = refusal(folder.path()).to_string();
    assert!(text.contains("others may write it"), "{text}");
    set_mode(folder.path(), 0o700);
    open(folder.path(), SystemTime::now());
}

#[test]
fn corrupt_state_is_an_error_and_not_a_new_authority() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), SystemTime::now()));
    let state = folder.path().join("authority.json");
    let good = fs::read_to_string(&state).unwrap();
    let pem_cut = good.replacen("-----BEGIN PRIVATE KEY-----", "-----BEGIN", 1);
    let two_active: serde_json::Value = serde_json::from_str(&good).unwrap();
    let mut doubled = two_active.clone();
    let root = two_active.pointer("/authorities/0").unwrap().clone();
    doubled.pointer_mut("/authorities").unwrap().as_array_mut().unwrap().push(root);
    for bad in [
        "",
        "{}",
        good.get(..good.len() / 2).unwrap(),
        &good.replacen("\"format\": 1", "\"format\": 2", 1),
        &pem_cut,
        &doubled.to_string(),
        &" ".repeat(2 * 1024 * 1024),
    ] {
        fs::write(&state, bad).unwrap();
        let error = refusal(folder.path());
        assert!(matches!(error, AuthorityError::Corrupt { .. }), "{error}");
        assert!(!error.to_string().contains("MIGH"), "no key in an error: {error}");
        assert_eq!(fs::read_to_string(&state).unwrap(), bad, "nothing was overwritten");
    }
    fs::write(&state, &good).unwrap();
    open(folder.path(), SystemTime::now());
    let error =
        SvidAuthority::open_or_create(folder.path(), &domain("b.example"), Lifetimes::default(), SystemTime::now());
    assert!(matches!(error, Err(AuthorityError::OtherDomain { .. })));
}

#[test]
fn two_processes_do_not_rotate_one_authority() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), SystemTime::now());
    assert!(matches!(refusal(folder.path()), AuthorityError::InUse(_)));
    drop(first);
    open(folder.path(), SystemTime::now());
}

#[test]
fn nobody_is_cut_off_while_every_root_is_replaced() {
    let (folder, begun) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let step = Duration::from_mins(5);
    let lifetimes = Lifetimes { authority: 12 * HOUR, svid: HOUR, svid_max: 2 * HOUR, propagation: 2 * step };
    let domain = domain("corp.example");
    let authority = SvidAuthority::open_or_create(folder.path(), &domain, lifetimes, begun).unwrap();
    // A workload that renews at half life, and peers that hear of each bundle as late as may be.
    let (mut svid, mut heard) = (issue(&authority, begun).1, vec![(*authority.bundle()).clone(); 2]);
    let mut roots = std::collections::HashSet::new();
    let (mut now, mut next_renewal) = (begun, begun);
    while now < begun + 60 * HOUR {
        authority.advance(now).unwrap();
        if now >= next_renewal {
            svid = issue(&authority, now).1;
            next_renewal = now + HOUR / 2;
        }
        let late = heard.remove(0);
        let verdict = PeerVerifier::new(trust([late]), ExpectedPeers::AnyTrusted).judge(svid.chain(), now);
        assert!(verdict.is_ok(), "{verdict:?} after {:?}", now.duration_since(begun));
        roots.extend(authority.authorities().into_iter().map(|root| root.id));
        heard.push((*authority.bundle()).clone());
        now += step;
    }
    assert!(roots.len() >= 5, "{roots:?}");
    assert!(authority.authorities().len() <= 3);
}

#[test]
fn a_tainted_authority_gives_way_and_its_workloads_are_told() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let (_, svid) = issue(&authority, now);
    let [root]: [RootStanding; 1] = authority.authorities().try_into().unwrap();
    let sequence = authority.bundle().sequence();
    let steps = authority.taint(&root.id, now).unwrap();
    assert!(matches!(steps.as_slice(), [Step::Prepare, Step::Publish(_)]), "{steps:?}");
    assert!(authority.bundle().sequence() > sequence);
    assert!(!authority.should_renew(svid.chain()), "its successor does not sign yet");
    let propagated = now + Lifetimes::default().propagation;
    authority.advance(propagated).unwrap();
    assert!(authority.should_renew(svid.chain()));
    assert!(believed(&authority, svid.chain(), propagated), "until it has renewed");
    let (_, new) = issue(&authority, propagated);
    assert!(!authority.should_renew(new.chain()));
    drop(authority);
    let authority = open(folder.path(), propagated);
    assert!(authority.should_renew(svid.chain()), "over a restart");
    authority.advance(propagated + HOUR).unwrap();
    assert!(!believed(&authority, svid.chain(), propagated));
    assert!(believed(&authority, new.chain(), propagated));
    assert!(matches!(authority.taint("ff", now), Err(AuthorityError::Unknown(_))));
}

#[test]
fn a_distrusted_authority_is_gone_at_once() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let (_, svid) = issue(&authority, now);
    let [root]: [RootStanding; 1] = authority.authorities().try_into().unwrap();
    authority.distrust(&root.id, now).unwrap();
    assert!(!believed(&authority, svid.chain(), now));
    assert!(authority.should_renew(svid.chain()));
    let (_, new) = issue(&authority, now);
    assert!(believed(&authority, new.chain(), now));
}

#[test]
fn a_disk_that_takes_nothing_changes_nothing() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let (bundle, standings) = (authority.bundle(), authority.authorities());
    // A folder where the file should be: no rename can replace it.
    let state = folder.path().join("authority.json");
    let kept = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    fs::create_dir_all(state.join("x")).unwrap();
    assert!(matches!(authority.advance(now + 16 * DAY), Err(AuthorityError::Io { .. })));
    assert_eq!((authority.authorities(), &*authority.bundle()), (standings, &*bundle));
    issue(&authority, now);
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, kept).unwrap();
    set_mode(&state, 0o600);
    assert_eq!(authority.advance(now + 16 * DAY).unwrap().len(), 2);
}

#[test]
fn a_crash_before_the_rename_loses_nothing() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let first = open(folder.path(), now);
    let bundle = first.bundle();
    drop(first);
    // What a crash in the middle of writing leaves.
    fs::write(folder.path().join(".authority.json.1.0"), "{\"format\": 1, \"trust").unwrap();
    fs::remove_file(folder.path().join("bundle.json")).unwrap();
    fs::write(folder.path().join("bundle.pem"), "-----BEGIN").unwrap();
    let again = open(folder.path(), now);
    assert_eq!(*again.bundle(), *bundle);
    assert_eq!(fs::read_to_string(folder.path().join("bundle.pem")).unwrap(), bundle.to_pem());
    assert_eq!(fs::read_to_string(folder.path().join("bundle.json")).unwrap(), bundle.to_jwk_set());
}

#[test]
fn openssl_believes_what_is_issued() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let (_, svid) = issue(&authority, now);
    let leaf = folder.path().join("leaf.pem");
    fs::write(&leaf, svid.chain_pem()).unwrap();
    let verify = |purpose: &str, authorities: &Path| {
        let run = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
            .args([authorities, &leaf])
            .output()
            .unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let bundle = folder.path().join("bundle.pem");
    for purpose in ["sslserver", "sslclient"] {
        let (good, said) = verify(purpose, &bundle);
        assert!(good, "{purpose}: {said}");
    }
    let other = tempfile::tempdir().unwrap();
    drop(open(other.path(), now));
    assert!(!verify("sslserver", &other.path().join("bundle.pem")).0);
}

#[test]
fn a_revoked_certificate_is_named_by_the_lists_of_every_root() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let authority = open(folder.path(), now);
    let ((bad, bad_svid), (_, good_svid)) = (issue(&authority, now), issue(&authority, now));
    let later = now + 16 * DAY;
    authority.advance(later).unwrap();
    let text = authority.revocation_lists(std::slice::from_ref(&bad.serial), now, now + DAY).unwrap();
    assert_eq!(text.matches("BEGIN X509 CRL").count(), 2, "the successor's too");
    let trust = trust([(*authority.bundle()).clone()]);
    trust.replace_lists(Some(&Arc::new(RevocationLists::parse(text.as_bytes()).unwrap())), Unlisted::Refuse);
    let peers = PeerVerifier::new(trust, ExpectedPeers::AnyTrusted);
    assert_eq!(peers.judge(bad_svid.chain(), now).unwrap_err().label(), "revoked");
    assert!(peers.judge(good_svid.chain(), now).is_ok());
    for junk in ["", "abc", "zz", "+1", &"00".repeat(22)] {
        assert!(authority.revocation_lists(&[junk.to_owned()], now, now + DAY).is_err(), "{junk}");
    }
}

/// A company's root and what cert-manager would put into a Secret.
struct Company {
    folder: TempDir,
    root: Root,
}

impl Company {
    fn new() -> Self {
        let company = Self { folder: tempfile::tempdir().unwrap(), root: Root::new("company") };
        company.write(&company.root, "mesh");
        company
    }

    fn files(&self) -> UpstreamFiles {
        let at = |name: &str| self.folder.path().join(name);
        UpstreamFiles { chain: at("tls.crt"), key: at("tls.key"), roots: at("ca.crt") }
    }

    /// A new intermediate below `root`.
    fn write(&self, root: &Root, name: &str) {
        let key = KeyPair::generate().unwrap();
        let intermediate = authority_params(name).signed_by(&key, &*root.0).unwrap();
        fs::write(self.files().chain, format!("{}{}", intermediate.pem(), root.0.pem())).unwrap();
        fs::write(self.files().key, key.serialize_pem()).unwrap();
        set_mode(&self.files().key, 0o400);
        fs::write(self.files().roots, root.0.pem()).unwrap();
    }

    fn open(&self, now: SystemTime) -> Result<SvidAuthority, AuthorityError> {
        SvidAuthority::upstream(self.files(), &domain("corp.example"), Lifetimes::default(), now)
    }
}

#[test]
fn below_a_company_root_leaves_bring_the_intermediate_along() {
    let (company, now) = (Company::new(), SystemTime::now());
    let authority = company.open(now).unwrap();
    let (issued, svid) = issue(&authority, now);
    assert_eq!(issued.chain.len(), 2, "the root is in the bundle and not in the chain");
    assert_eq!(authority.bundle().authorities(), [company.root.certificate()]);
    assert!(believed(&authority, svid.chain(), now));
    assert!(!authority.should_renew(svid.chain()));
    assert!(matches!(authority.taint("any", now), Err(AuthorityError::Upstream)));
}

#[test]
fn files_from_upstream_are_read_again_when_they_change() {
    let (company, now) = (Company::new(), SystemTime::now());
    let authority = company.open(now).unwrap();
    let (_, before) = issue(&authority, now);
    let sequence = authority.bundle().sequence();
    authority.advance(now).unwrap();
    assert_eq!(authority.bundle().sequence(), sequence, "nothing has changed");

    fs::remove_file(company.files().key).unwrap();
    company.write(&company.root, "mesh-2");
    authority.advance(now).unwrap();
    let (_, after) = issue(&authority, now);
    assert_ne!(before.chain().get(1), after.chain().get(1));
    assert!(believed(&authority, before.chain(), now) && believed(&authority, after.chain(), now));
    assert!(authority.should_renew(before.chain()));

    // Another root: the one before stays until nobody can show what it vouched for.
    fs::remove_file(company.files().key).unwrap();
    let next = Root::new("company-2");
    company.write(&next, "mesh-3");
    authority.advance(now).unwrap();
    assert!(believed(&authority, after.chain(), now));
    authority.advance(now + DAY + HOUR).unwrap();
    assert!(!believed(&authority, after.chain(), now));
    assert!(believed(&authority, issue(&authority, now).1.chain(), now));
}

#[test]
fn files_that_do_not_hold_together_leave_the_last_good_ones() {
    let (company, now) = (Company::new(), SystemTime::now());
    let authority = company.open(now).unwrap();
    let bundle = authority.bundle();
    let refused = |expected: &str| {
        let error = authority.advance(now).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(believed(&authority, issue(&authority, now).1.chain(), now));
        assert_eq!(*authority.bundle(), *bundle);
    };
    let good = fs::read(company.files().chain).unwrap();
    fs::write(company.files().chain, Root::new("other").0.pem()).unwrap();
    refused("does not belong");
    fs::write(company.files().chain, "").unwrap();
    refused("no certificate found");
    fs::write(company.files().chain, &good).unwrap();
    fs::write(company.files().roots, Root::new("other").0.pem()).unwrap();
    refused("would be refused");
    fs::remove_file(company.files().roots).unwrap();
    refused("ca.crt");
    fs::write(company.files().roots, company.root.0.pem()).unwrap();
    set_mode(&company.files().key, 0o644);
    refused("chmod o-rwx");
    set_mode(&company.files().key, 0o440);
    authority.advance(now).unwrap();
}

#[test]
fn a_leaf_from_upstream_signs_nothing() {
    let (company, now) = (Company::new(), SystemTime::now());
    let (leaf, key) = company.root.sign(&crate::testing::leaf_params(ID, now));
    fs::write(company.files().chain, crate::authority::pem_of(&leaf)).unwrap();
    set_mode(&company.files().key, 0o600);
    fs::write(company.files().key, key.serialize_pem()).unwrap();
    let text = company.open(now).unwrap_err().to_string();
    assert!(text.contains("not an authority's"), "{text}");
    assert!(CertifiedPair::new(vec![leaf], der_of(&key)).is_ok());
}
