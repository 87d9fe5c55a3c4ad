//! Bare TCP: a line of welcome, and answers to three words.

use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use super::Echo;

pub(in crate::conformance) const WELCOME: &str = "Gateway API Test TCP Server";

pub(super) async fn serve(wire: impl AsyncRead + AsyncWrite + Unpin, echo: &Echo, tls: Value) -> io::Result<()> {
    let mut wire = BufReader::new(wire);
    let is_tls = !tls.is_null();
    let facts = json!({"namespace": echo.namespace, "pod": echo.pod, "isTLS": is_tls, "tls": tls});
    let mut said = WELCOME.to_owned();
    loop {
        said.push('\n');
        wire.write_all(said.as_bytes()).await?;
        wire.flush().await?;
        said = loop {
            let mut line = String::new();
            if wire.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "TEST" => break facts.to_string(),
                "IS_TLS" => break is_tls.to_string(),
                "PING" => break "PONG".to_owned(),
                _ => {}
            }
        };
    }
}
