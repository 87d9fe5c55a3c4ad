//! Connections of TLS without HTTP: to the suite's TCP servers, and to nobody.

use std::{io, net::SocketAddr};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{CONSECUTIVE, INFRA, echo::WELCOME};
use crate::harness::{Tls, TlsStream};

/// What a TCP server must say of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct TcpEcho {
    /// Whether TLS ended at the server.
    pub(super) is_tls: bool,
    /// The name that the server was asked for, if it is looked at.
    pub(super) server_name: Option<&'static str>,
}

/// Talks with the suite's TCP server, behind a name, and demands what it says.
pub(super) async fn expect_tcp_echo(door: SocketAddr, name: &str, authorities_pem: &str, expected: TcpEcho) {
    for _ in 0..CONSECUTIVE {
        let stream = Tls::new().server_name(name).trusting(authorities_pem).connect(door).await;
        let mut wire = BufReader::new(stream.unwrap_or_else(|error| panic!("{name} at {door}: {error}")));
        assert_eq!(line(&mut wire).await, WELCOME);
        assert_eq!(ask(&mut wire, "PING").await, "PONG");
        assert_eq!(ask(&mut wire, "IS_TLS").await, expected.is_tls.to_string());
        let facts: Value = serde_json::from_str(&ask(&mut wire, "TEST").await).unwrap();
        assert_eq!(facts["namespace"], INFRA);
        assert!(facts["pod"].as_str().is_some_and(|pod| pod.starts_with("tcp-backend-")), "{facts}");
        if let Some(name) = expected.server_name {
            assert_eq!(facts["tls"]["serverName"], name, "{facts}");
        }
    }
}

/// Demands that a handshake for this name is cut off: the end of the connection, and not an alert.
pub(super) async fn expect_rejection(door: SocketAddr, name: &str) {
    for _ in 0..CONSECUTIVE {
        match Tls::new().server_name(name).connect(door).await {
            Ok(_) => panic!("{name} can connect"),
            Err(error) => assert!(
                matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset),
                "{name}: {error:?}"
            ),
        }
    }
}

async fn ask(wire: &mut BufReader<TlsStream>, word: &str) -> String {
    wire.write_all(format!("{word}\n").as_bytes()).await.unwrap();
    wire.flush().await.unwrap();
    line(wire).await
}

async fn line(wire: &mut BufReader<TlsStream>) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(crate::harness::PATIENCE, wire.read_line(&mut line)).await;
    read.expect("the server answers").unwrap();
    line.trim_end().to_owned()
}
