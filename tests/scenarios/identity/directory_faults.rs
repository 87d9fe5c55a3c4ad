//! Directories that are down, slow, stopped, lying or somebody else's: whoever was known stays known for a while, nobody
//! else gets in, and no password goes where it should not.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis_policy::snapshot::{LdapProvider, LdapServer, LdapUsers, Nested};
use portcullis_tests::harness::{
    Signal,
    directory::{PASSWORD, Slapd, SlapdSetup},
    eventually,
    pki::{Authority, Identity},
};
use rustls::{ServerConnection, StreamOwned};

use super::directory::{AtWork, FRESH, STALE, search_and_bind, server};

fn corp(setup: &SlapdSetup) -> Slapd {
    Slapd::corp(&Authority::new("corp"), setup)
}

/// Waits until the directory is asked again, and says what somebody's login came to.
async fn recovered(at_work: &AtWork, username: &str) {
    eventually("the server is asked again", async || at_work.login(username, PASSWORD).await.is_ok()).await;
}

#[tokio::test]
async fn while_no_server_answers_the_known_stay_known_until_stale_is_over() {
    let mut slapd = corp(&SlapdSetup::new());
    let mut at_work = AtWork::start(&search_and_bind(&slapd, Nested::Auto));
    let begun = at_work.now;
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 3);
    slapd.end();
    at_work.now = begun + FRESH;
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 3, "with the groups she had");
    assert_eq!(
        at_work.login("alice", "another").await.unwrap_err(),
        "no_server",
        "only with the password that was good"
    );
    assert_eq!(at_work.login("bob", PASSWORD).await.unwrap_err(), "no_server", "nobody is let in unasked");
    at_work.now = begun + STALE.saturating_sub(Duration::from_secs(1));
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
    let status = at_work.directory.status(at_work.now);
    assert_eq!((status.servers_up, status.oldest_in_use), (0, STALE.saturating_sub(Duration::from_secs(1))));
    at_work.now = begun + STALE;
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap_err(), "no_server");
    slapd.start_again();
    recovered(&at_work, "alice").await;
    assert_eq!(at_work.login("bob", PASSWORD).await.unwrap(), ["staff"]);
    assert_eq!(at_work.directory.status(at_work.now).servers_up, 1);
}

#[tokio::test]
async fn a_server_that_was_restarted_is_asked_on_new_connections() {
    let mut slapd = corp(&SlapdSetup::new());
    let mut at_work = AtWork::start(&search_and_bind(&slapd, Nested::Auto));
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
    slapd.end();
    slapd.start_again();
    at_work.now += STALE;
    let begun = Instant::now();
    recovered(&at_work, "alice").await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stopped_server_is_left_for_the_next_one() {
    let authority = Authority::new("corp");
    let (first, second) = (Slapd::corp(&authority, &SlapdSetup::new()), Slapd::corp(&authority, &SlapdSetup::new()));
    let spec = LdapProvider {
        servers: vec![server(&first.url()), server(&second.url())],
        ..search_and_bind(&first, Nested::Auto)
    };
    let mut at_work = AtWork::start(&spec);
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
    first.signal(Signal::STOP);
    at_work.now += FRESH;
    let begun = Instant::now();
    assert!(at_work.login("alice", PASSWORD).await.is_ok());
    assert!(begun.elapsed() < Duration::from_secs(3), "the known do not wait for a deadline: {:?}", begun.elapsed());
    assert_eq!(at_work.login("bob", PASSWORD).await.unwrap(), ["staff"], "the second answers");
    let begun = Instant::now();
    assert!(at_work.login("carol", PASSWORD).await.is_ok());
    assert!(begun.elapsed() < Duration::from_secs(2), "once it is known to be stopped, nobody waits for it");
    first.signal(Signal::CONT);
    eventually("both answer", async || at_work.directory.status(at_work.now).servers_up == 2).await;
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_told_nothing() {
    let authority = Authority::new("corp");
    let elsewhere =
        SlapdSetup { names: vec!["ldap.corp.example".to_owned(), "127.0.0.2".to_owned()], ..SlapdSetup::new() };
    let named_otherwise = Slapd::corp(&authority, &elsewhere);
    let of_others = Slapd::corp(&Authority::new("corp"), &SlapdSetup::new());
    let good = Slapd::corp(&authority, &SlapdSetup::new());
    for slapd in [&named_otherwise, &of_others] {
        for url in [slapd.url(), slapd.start_tls_url()] {
            let spec = LdapProvider { servers: vec![server(&url)], ..search_and_bind(&good, Nested::None) };
            let at_work = AtWork::start(&spec);
            let word = at_work.login("alice", PASSWORD).await.unwrap_err();
            assert!(["tls", "no_server"].contains(&word.as_str()), "{url}: {word}");
        }
        assert!(!slapd.log().contains("BIND"), "{}", slapd.log());
    }
    assert!(AtWork::start(&search_and_bind(&good, Nested::None)).login("alice", PASSWORD).await.is_ok());
}

/// A server that answers the first message with these bytes, and keeps what it was sent after that.
fn somebody_else(answer: Vec<u8>) -> (LdapServer, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let _ = stream.write_all(&answer);
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                kept.lock().unwrap().extend(&bytes[..count]);
            }
        }
    });
    (LdapServer { host: "127.0.0.1".into(), port, start_tls: true }, sent)
}

#[tokio::test]
async fn without_tls_nothing_is_said() {
    let slapd = corp(&SlapdSetup::new());
    let extended = |code: u8| vec![0x30, 12, 2, 1, 1, 0x78, 7, 0x0a, 1, code, 4, 0, 4, 0];
    let with_more = [extended(0), vec![0x30, 12, 2, 1, 2, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0]].concat();
    for (what, answer, tries_tls) in [
        ("StartTLS is refused", extended(52), false),
        ("StartTLS is unknown", extended(2), false),
        ("somebody slips an answer in", with_more, false),
        ("another message is answered", vec![0x30, 12, 2, 1, 9, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0], false),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), false),
        ("a message of two gigabytes", vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], false),
        ("nothing fits", vec![0x30, 3, 4, 1, 1], false),
        ("StartTLS is taken and no TLS follows", [extended(0)].concat(), true),
    ] {
        let (somebody, sent) = somebody_else(answer);
        let at_work = AtWork::start(&LdapProvider { servers: vec![somebody], ..search_and_bind(&slapd, Nested::None) });
        let refused = tokio::time::timeout(Duration::from_secs(8), at_work.login("alice", PASSWORD)).await;
        assert!(refused.expect("in time").is_err(), "{what}");
        let sent = sent.lock().unwrap().clone();
        if tries_tls {
            assert!(sent.first().is_none_or(|first| *first == 0x16), "{what}: a ClientHello, or nothing");
        } else {
            assert!(sent.is_empty(), "{what}: {sent:x?}");
        }
        for secret in [PASSWORD, "service secret", "portcullis"] {
            assert!(!sent.windows(secret.len()).any(|window| window == secret.as_bytes()), "{what}");
        }
    }
}

/// A server in good TLS that answers every message with these bytes.
fn liar(identity: &Identity, answers: Vec<u8>) -> (LdapServer, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(identity.server_config(&[]));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let (answers, counted) = (answers.clone(), Arc::clone(&counted));
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    if stream.write_all(&answers).and_then(|()| stream.flush()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (LdapServer { host: "127.0.0.1".into(), port, start_tls: false }, asked)
}

#[tokio::test]
async fn a_lying_server_is_refused_and_ends_nothing() {
    let authority = Authority::new("corp");
    let slapd = Slapd::corp(&authority, &SlapdSetup::new());
    let identity = authority.server(&["127.0.0.1"]);
    for (what, answers) in [
        ("garbage", vec![0xff; 64]),
        ("a result without a code", vec![0x30, 5, 2, 1, 1, 0x61, 0]),
        ("text that is not UTF-8 where a code belongs", vec![0x30, 8, 2, 1, 1, 0x61, 3, 4, 1, 0xff]),
        ("an entry as the answer to a bind", vec![0x30, 10, 2, 1, 1, 0x64, 5, 4, 1, b'x', 0x30, 0]),
        ("an operation that there is not", vec![0x30, 5, 2, 1, 1, 0x7e, 0]),
        ("a farewell", vec![0x30, 12, 2, 1, 0, 0x78, 7, 0x0a, 1, 52, 4, 0, 4, 0]),
        ("deep nesting", [0x30, 0x80].repeat(2_000)),
        ("a referral", vec![0x30, 12, 2, 1, 1, 0x61, 7, 0x0a, 1, 10, 4, 0, 4, 0]),
    ] {
        let (server, asked) = liar(&identity, answers);
        let at_work = AtWork::start(&LdapProvider { servers: vec![server], ..search_and_bind(&slapd, Nested::None) });
        assert!(at_work.login("alice", PASSWORD).await.is_err(), "{what}");
        assert!(asked.load(Ordering::Relaxed) > 0, "{what}: it was asked");
    }
}

/// A message of this operation and number, with a success (RFC 4511 §4.1.9) and perhaps the cookie of another page.
fn success(id: u8, operation: u8, cookie: bool) -> Vec<u8> {
    let mut content = vec![2, 1, id, operation, 7, 0x0a, 1, 0, 4, 0, 4, 0];
    if cookie {
        content.extend([0xa0, 36, 0x30, 34, 4, 22]);
        content.extend(b"1.2.840.113556.1.4.319");
        content.extend([4, 8, 0x30, 6, 2, 1, 0, 4, 1, b'x']);
    }
    [vec![0x30, content.len() as u8], content].concat()
}

/// A server that knows everybody, and has always one more page of groups, without a group on it.
fn endless(identity: &Identity) -> (LdapServer, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(identity.server_config(&[]));
    let pages = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pages);
    let answer = move |request: &[u8]| {
        let message =
            if request[1] & 0x80 == 0 { &request[2..] } else { &request[2 + usize::from(request[1] & 0x7f)..] };
        let (id, operation) = (message[2], message[3]);
        if operation == 0x60 {
            return success(id, 0x61, false);
        }
        if request.windows(22).any(|window| window == b"1.2.840.113556.1.4.319") {
            counted.fetch_add(1, Ordering::Relaxed);
            return success(id, 0x65, true);
        }
        let mut entry =
            vec![2, 1, id, 0x64, 23, 4, 4, b'c', b'n', b'=', b'a', 0x30, 15, 0x30, 13, 4, 3, b'u', b'i', b'd', 0x31];
        entry.extend([6, 4, 4, b'r', b'o', b'o', b't']);
        [vec![0x30, entry.len() as u8], entry, success(id, 0x65, false)].concat()
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&answer(&bytes[..count])).and_then(|()| stream.flush()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (LdapServer { host: "127.0.0.1".into(), port, start_tls: false }, pages)
}

#[tokio::test]
async fn pages_that_never_end_are_no_groups() {
    let authority = Authority::new("corp");
    let slapd = Slapd::corp(&authority, &SlapdSetup::new());
    let (server, pages) = endless(&authority.server(&["127.0.0.1"]));
    let at_work = AtWork::start(&LdapProvider { servers: vec![server], ..search_and_bind(&slapd, Nested::None) });
    assert_eq!(at_work.login("root", PASSWORD).await.unwrap_err(), "too_many");
    assert_eq!(pages.load(Ordering::Relaxed), 64);
}

#[tokio::test]
async fn codes_that_mean_trouble_are_never_no_groups() {
    let faults = "retcode-item \"cn=busy\" 0x33\nretcode-item \"cn=unavailable\" 0x34\nretcode-item \"cn=timelimit\" \
                  0x03\nretcode-item \"cn=sizelimit\" 0x04\nretcode-item \"cn=referral\" 0x0a \
                  ref=\"ldap://127.0.0.1:1/\"\nretcode-item \"cn=admin\" 0x0b\n";
    let slapd = corp(&SlapdSetup::new().with_faults(faults));
    for fault in ["busy", "unavailable", "timelimit", "sizelimit", "referral", "admin"] {
        let base: Arc<str> = format!("cn={fault},ou=faults,dc=corp,dc=example").into();
        let mut spec = search_and_bind(&slapd, Nested::None);
        if let Some(groups) = &mut spec.groups {
            groups.base = Arc::clone(&base);
        }
        let word = AtWork::start(&spec).login("alice", PASSWORD).await.unwrap_err();
        assert!(["busy", "refused", "no_server"].contains(&word.as_str()), "groups, {fault}: {word}");
        let mut spec = search_and_bind(&slapd, Nested::None);
        spec.users = spec.users.map(|users| LdapUsers { base, ..users });
        let word = AtWork::start(&spec).login("alice", PASSWORD).await.unwrap_err();
        assert!(
            ["busy", "refused", "no_server", "ambiguous_user", "unknown_user"].contains(&word.as_str()),
            "users, {fault}: {word}"
        );
    }
    assert!(AtWork::start(&search_and_bind(&slapd, Nested::None)).login("alice", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_reference_to_somebody_else_is_not_followed() {
    let rogue = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    rogue.set_nonblocking(true).unwrap();
    let entry = format!(
        "dn: cn=elsewhere,ou=people,dc=corp,dc=example\nobjectClass: referral\nobjectClass: extensibleObject\ncn: \
         elsewhere\nref: ldap://127.0.0.1:{}/ou=people,dc=corp,dc=example\n\n",
        rogue.local_addr().unwrap().port()
    );
    let slapd = corp(&SlapdSetup::new().with(&entry));
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::Recursive));
    assert_eq!(at_work.login("alice", PASSWORD).await.unwrap().len(), 3);
    assert_eq!(at_work.login("zoe", PASSWORD).await.unwrap_err(), "unknown_user");
    assert!(rogue.accept().is_err(), "nobody connects");
}

#[tokio::test]
async fn the_gateways_own_password_is_not_tried_until_its_account_is_locked() {
    let slapd = corp(&SlapdSetup::new());
    std::fs::write(slapd.service_password(), "not the password").unwrap();
    let at_work = AtWork::start(&search_and_bind(&slapd, Nested::None));
    for _ in 0..3 {
        let word = at_work.login("alice", PASSWORD).await.unwrap_err();
        assert!(["service_account", "no_server"].contains(&word.as_str()), "{word}");
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let tries = slapd.log().matches("BIND dn=\"cn=portcullis,ou=service,dc=corp,dc=example\" method=128").count();
    assert!((1..=2).contains(&tries), "{tries} tries:\n{}", slapd.log());
}
