//! A provider for unit tests: TLS by an authority of its own, and whatever answers a test wants.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use portcullis_certs::{LocalAuthority, crypto_provider};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What it says to a request (head and body as text): bytes, and whether it then leaves the connection open for ever.
type Handler = dyn Fn(&str) -> (Vec<u8>, bool) + Send + Sync;

/// A provider on `https://localhost:PORT`. Ends when it is dropped.
pub(crate) struct Provider {
    port: u16,
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Provider {
    pub(crate) async fn start(handler: impl Fn(&str) -> (Vec<u8>, bool) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = LocalAuthority::open_or_create(folder.path(), SystemTime::now()).unwrap();
        let pair = authority.issue_server(&["localhost"], SystemTime::now()).unwrap();
        let config = ServerConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(pair.chain().to_vec(), pair.key().clone_key())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        let handler: Arc<Handler> = Arc::new(handler);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, handler, heard) = (acceptor.clone(), Arc::clone(&handler), Arc::clone(&heard));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                    let Some(text) = read_request(&mut stream).await else { return };
                    heard.lock().unwrap().push(text.clone());
                    let (answer, hang) = handler(&text);
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.flush().await;
                    if hang {
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, folder, requests, task }
    }

    /// `path` of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// The file of its authority.
    pub(crate) fn trust(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// An answer with this status line, these further fields (each ended by CRLF) and this body.
pub(crate) fn answer(status: &str, fields: &str, body: impl AsRef<[u8]>) -> (Vec<u8>, bool) {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{fields}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    (bytes, false)
}

/// 200 with JSON.
pub(crate) fn json(value: &serde_json::Value) -> (Vec<u8>, bool) {
    answer("200 OK", "content-type: application/json\r\n", value.to_string())
}
