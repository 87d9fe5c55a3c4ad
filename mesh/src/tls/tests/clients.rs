//! Clients' certificates, and what a ticket is good for.

use portcullis_certs::verify::ClientMode;
use rustls::version::{TLS12, TLS13};

use super::*;

/// A port with one listener for any name.
fn asking(clients: Option<&Arc<ClientVerifier>>, tickets: &TicketKeys) -> PortTls {
    let certificates = certificates(&["a.test"]);
    let termination = Termination::new(certificates, clients.cloned(), Alpn::Http, tickets).unwrap();
    port([TlsListener { pattern: HostPattern::Any, listener: 0, action: TlsAction::Terminate(termination) }])
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Absent,
    Unverified,
    Verified,
    Refused,
}

fn outcome(seen: &Seen) -> Outcome {
    match &seen.server {
        Err(_) => {
            assert_eq!(seen.refused(), "client_certificate");
            assert!(seen.client.is_err());
            Outcome::Refused
        }
        Ok((_, peer)) => match peer.certificate {
            PeerCertificate::Absent => Outcome::Absent,
            PeerCertificate::Unverified { .. } => Outcome::Unverified,
            PeerCertificate::Verified(_) => Outcome::Verified,
        },
    }
}

#[tokio::test]
async fn clients_are_verified_as_the_listener_says() {
    let (ours, theirs) = (ClientAuthority::new("ours"), ClientAuthority::new("theirs"));
    let strict = ours.verifier(ClientMode::AllowValidOnly);
    let lax = ours.verifier(ClientMode::AllowInsecureFallback);
    let hour = Duration::from_hours(1);
    for version in [&TLS12, &TLS13] {
        for (verifier, certificate, expected) in [
            (None, None, Outcome::Absent),
            (None, Some(ours.client(hour)), Outcome::Absent),
            (Some(&strict), None, Outcome::Refused),
            (Some(&strict), Some(theirs.client(hour)), Outcome::Refused),
            (Some(&strict), Some(ours.client(hour)), Outcome::Verified),
            (Some(&lax), None, Outcome::Absent),
            (Some(&lax), Some(theirs.client(hour)), Outcome::Unverified),
            (Some(&lax), Some(ours.client(hour)), Outcome::Verified),
        ] {
            let port = asking(verifier, &TicketKeys::new());
            let config = Arc::new(client_config_as(&[version], certificate));
            let seen = handshake(&port, &config, "a.test").await;
            assert_eq!(outcome(&seen), expected, "{version:?} {verifier:?}");
            assert_eq!(seen.server.is_ok_and(|(_, peer)| peer.verified().is_some()), expected == Outcome::Verified);
        }
    }
}

#[tokio::test]
async fn connections_are_resumed_over_a_reload() {
    for version in [&TLS12, &TLS13] {
        let tickets = TicketKeys::new();
        let before = asking(None, &tickets);
        let config = Arc::new(client_config(&[version]));
        assert!(!handshake(&before, &config, "a.test").await.peer().resumed);
        assert!(handshake(&before, &config, "a.test").await.peer().resumed, "{version:?}");
        let after = asking(None, &tickets);
        drop(before);
        assert!(handshake(&after, &config, "a.test").await.peer().resumed, "{version:?}");
        let elsewhere = asking(None, &TicketKeys::new());
        assert!(!handshake(&elsewhere, &config, "a.test").await.peer().resumed);
    }
}

#[tokio::test]
async fn a_ticket_of_a_lax_listener_opens_no_strict_one() {
    let (ours, theirs) = (ClientAuthority::new("ours"), ClientAuthority::new("theirs"));
    let strict = ours.verifier(ClientMode::AllowValidOnly);
    let lax = ours.verifier(ClientMode::AllowInsecureFallback);
    for version in [&TLS12, &TLS13] {
        for certificate in [None, Some(theirs.client(Duration::from_hours(1)))] {
            for first in [None, Some(&lax)] {
                let tickets = TicketKeys::new();
                let (open, closed) = (asking(first, &tickets), asking(Some(&strict), &tickets));
                let shown = certificate.as_ref().map(|(chain, key)| (chain.clone(), key.clone_key()));
                let config = Arc::new(client_config_as(&[version], shown));
                assert!(handshake(&open, &config, "a.test").await.server.is_ok());
                assert!(handshake(&open, &config, "a.test").await.peer().resumed, "there are tickets to try");
                let seen = handshake(&closed, &config, "a.test").await;
                assert_eq!(outcome(&seen), Outcome::Refused, "{version:?} {first:?}");
            }
        }
        // The same policy twice is one policy.
        let tickets = TicketKeys::new();
        let again = ours.verifier(ClientMode::AllowValidOnly);
        let config = Arc::new(client_config_as(&[version], Some(ours.client(Duration::from_hours(1)))));
        let (one, two) = (asking(Some(&strict), &tickets), asking(Some(&again), &tickets));
        assert_eq!(outcome(&handshake(&one, &config, "a.test").await), Outcome::Verified);
        let seen = handshake(&two, &config, "a.test").await;
        assert!(seen.peer().resumed && outcome(&seen) == Outcome::Verified, "{version:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_expired_since_is_noticed_on_resumption() {
    let ours = ClientAuthority::new("ours");
    for (mode, expected) in
        [(ClientMode::AllowValidOnly, Outcome::Refused), (ClientMode::AllowInsecureFallback, Outcome::Unverified)]
    {
        let port = asking(Some(&ours.verifier(mode)), &TicketKeys::new());
        let life = Duration::from_secs(3);
        let begun = SystemTime::now();
        let config = Arc::new(client_config_as(&[&TLS13], Some(ours.client(life))));
        assert_eq!(outcome(&handshake(&port, &config, "a.test").await), Outcome::Verified);
        // Certificates have whole seconds; there is no condition to wait on but the clock.
        while begun.elapsed().unwrap() < life + Duration::from_millis(1100) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let seen = handshake(&port, &config, "a.test").await;
        match expected {
            Outcome::Refused => assert!(matches!(seen.server, Err(TlsRefusal::ClientCertificate(_)))),
            _ => assert!(seen.peer().resumed && outcome(&seen) == expected),
        }
    }
}
