//! The authority, its files, and what it issues.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn open(directory: &Path) -> LocalAuthority {
    LocalAuthority::open_or_create(directory, SystemTime::now()).unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn refusal(directory: &Path) -> String {
    LocalAuthority::open_or_create(directory, SystemTime::now()).unwrap_err().to_string()
}

#[test]
fn the_key_is_secret_and_the_certificate_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path());
    authority.issue_server(&["a.test"], SystemTime::now()).unwrap();
    assert_eq!(files::mode(&folder.path().join("ca.key")).unwrap(), 0o600);
    assert_eq!(files::mode(&authority.certificate_path()).unwrap(), 0o644);
    let public = fs::read_to_string(authority.certificate_path()).unwrap();
    assert_eq!(public, authority.certificate_pem());
    assert!(!public.contains("PRIVATE"));
    let issued: Vec<_> = fs::read_dir(folder.path().join("issued")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(issued.len(), 1, "no temporary file stays: {issued:?}");
    assert_eq!(files::mode(issued.first().unwrap()).unwrap(), 0o600);
}

#[test]
fn folders_that_it_makes_are_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let state = folder.path().join("state");
    open(&state.join("authority"));
    for made in [state.clone(), state.join("authority"), state.join("authority/issued")] {
        assert_eq!(files::mode(&made).unwrap(), 0o700, "{}", made.display());
    }
    assert_eq!(files::mode(folder.path()).unwrap(), 0o755, "what was there keeps its mode");
}

#[test]
fn what_was_issued_is_given_again_until_two_thirds_of_its_life() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let first = open(folder.path()).issue_server(&["b.test", "*.a.test", "127.0.0.1", "::1"], now).unwrap();
    assert_eq!(first.facts().dns_names, ["*.a.test", "b.test"]);
    assert_eq!(first.facts().ip_names.len(), 2);
    assert!(first.facts().not_before <= now - Duration::from_mins(4));

    let again = |names: &[&str], now| open(folder.path()).issue_server(names, now).unwrap();
    let serial = |pair: &CertifiedPair| pair.facts().serial.clone();
    let names = ["*.A.test", "b.test", "127.0.0.1", "::1"];
    assert_eq!(serial(&again(&names, now)), serial(&first), "over a restart, in any order");
    assert_ne!(serial(&again(&["b.test"], now)), serial(&first), "other names");
    let day = Duration::from_hours(24);
    assert_eq!(serial(&again(&names, now + 59 * day)), serial(&first));
    let second = again(&names, now + 60 * day);
    assert_ne!(serial(&second), serial(&first));
    assert_eq!(serial(&again(&names, now + 61 * day)), serial(&second));
    assert_ne!(serial(&again(&names, now)), serial(&second), "not valid yet");
}

#[test]
fn a_certificate_of_another_authority_or_a_broken_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let first = open(folder.path()).issue_server(&["a.test"], now).unwrap();
    fs::remove_file(folder.path().join("ca.key")).unwrap();
    fs::remove_file(folder.path().join("ca.pem")).unwrap();
    let authority = open(folder.path());
    let second = authority.issue_server(&["a.test"], now).unwrap();
    assert_ne!(first.facts().issuer, second.facts().issuer);

    let path = fs::read_dir(folder.path().join("issued")).unwrap().next().unwrap().unwrap().path();
    fs::write(&path, "rubbish").unwrap();
    let third = authority.issue_server(&["a.test"], now).unwrap();
    assert_ne!(second.facts().serial, third.facts().serial);
}

#[test]
fn open_permissions_and_corrupt_files_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path());
    let key = folder.path().join("ca.key");

    set_mode(&key, 0o640);
    let text = refusal(folder.path());
    assert!(text.contains("has mode 0640") && text.contains("chmod 600"), "{text}");
    set_mode(&key, 0o600);

    set_mode(folder.path(), 0o777);
    let text = refusal(folder.path());
    assert!(text.contains("others may write it") && text.contains("chmod go-w"), "{text}");
    set_mode(folder.path(), 0o755);

    let good = fs::read(&key).unwrap();
    fs::write(&key, good.get(..good.len() / 2).unwrap()).unwrap();
    let text = refusal(folder.path());
    assert!(text.contains("is corrupt"), "{text}");

    fs::remove_file(&key).unwrap();
    let text = refusal(folder.path());
    assert!(text.contains("`ca.key` is not"), "{text}");

    fs::write(&key, &good).unwrap();
    set_mode(&key, 0o600);
    fs::remove_file(folder.path().join("ca.pem")).unwrap();
    open(folder.path());
    assert!(folder.path().join("ca.pem").exists(), "the public copy is written again");

    let later = SystemTime::now() + AUTHORITY_LIFE + BACKDATING;
    let expired = LocalAuthority::open_or_create(folder.path(), later).unwrap_err();
    assert!(matches!(expired, AuthorityError::Expired(_)));
}

#[test]
fn names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path());
    for name in ["", "*", "a b", "*.*.test", "a.*.test", "https://a.test", "a.test.", "-a.test", "*.127.0.0.1"] {
        let refused = authority.issue_server(&[name], SystemTime::now());
        assert!(matches!(refused, Err(AuthorityError::Name(_))), "{name}: {refused:?}");
    }
    let none: [&str; 0] = [];
    assert!(matches!(authority.issue_server(&none, SystemTime::now()), Err(AuthorityError::NameCount)));
}

#[test]
fn two_processes_that_begin_together_agree() {
    let folder = tempfile::tempdir().unwrap();
    let pems: Vec<_> = std::thread::scope(|scope| {
        let begin = || open(folder.path()).certificate_pem().to_owned();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(pems.windows(2).all(|pair| pair.first() == pair.last()), "{pems:?}");
}
