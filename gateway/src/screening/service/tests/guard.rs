//! A guard on loopback that says what a test wants, hostile things included.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::PATIENCE;

/// What a guard says to one request.
pub(super) enum Says {
    /// These bytes, and the connection stays.
    Bytes(Vec<u8>),
    /// These bytes, and the connection ends.
    Last(Vec<u8>),
    /// These bytes, and then spaces until nobody takes them any more.
    Endless(Vec<u8>),
    /// These bytes, and then one space at a time.
    Drip(Vec<u8>),
    /// Nothing, for ever.
    Nothing,
}

impl Says {
    /// A whole answer.
    pub(super) fn status(status: &str, fields: &str, body: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len()).into_bytes())
    }

    /// 200 with this.
    pub(super) fn json(body: &str) -> Self {
        Self::status("200 OK", "content-type: application/json\r\n", body)
    }
}

type Handler = dyn Fn(&str) -> Says + Send + Sync;

#[derive(Default)]
struct Heard {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    /// Bytes that were taken of endless answers.
    taken: AtomicUsize,
}

pub(super) struct Guard {
    port: u16,
    heard: Arc<Heard>,
    closing: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Guard {
    pub(super) async fn start(handler: impl Fn(&str) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Heard::default());
        let (closing, closed) = watch::channel(0);
        let (handler, all): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (handler, heard, mut closed) = (Arc::clone(&handler), Arc::clone(&all), closed.clone());
                tokio::spawn(async move {
                    heard.connections.fetch_add(1, SeqCst);
                    heard.open.fetch_add(1, SeqCst);
                    closed.mark_unchanged();
                    tokio::select! {
                        () = serve(tcp, &*handler, &heard) => {}
                        _ = closed.changed() => {}
                    }
                    heard.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { port, heard, closing, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Heads and bodies that it heard.
    pub(super) fn requests(&self) -> Vec<String> {
        self.heard.requests.lock().unwrap().clone()
    }

    /// Bodies that it heard.
    pub(super) fn bodies(&self) -> Vec<serde_json::Value> {
        let body = |request: &String| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        self.requests().iter().map(body).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.heard.connections.load(SeqCst)
    }

    pub(super) fn open(&self) -> usize {
        self.heard.open.load(SeqCst)
    }

    pub(super) fn taken(&self) -> usize {
        self.heard.taken.load(SeqCst)
    }

    pub(super) async fn close_connections(&self) {
        self.closing.send_modify(|closed| *closed += 1);
        self.until(|guard| guard.open() == 0).await;
    }

    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.unwrap();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut tcp: TcpStream, handler: &Handler, heard: &Heard) {
    while let Some(request) = read_request(&mut tcp).await {
        heard.requests.lock().unwrap().push(request.clone());
        match handler(&request) {
            Says::Bytes(bytes) => {
                if tcp.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Says::Last(bytes) => {
                let _ = tcp.write_all(&bytes).await;
                return;
            }
            Says::Endless(bytes) => {
                let _ = tcp.write_all(&bytes).await;
                let spaces = vec![b' '; 64 * 1024];
                while let Ok(taken) = tcp.write(&spaces).await {
                    heard.taken.fetch_add(taken, SeqCst);
                }
                return;
            }
            Says::Drip(bytes) => {
                let _ = tcp.write_all(&bytes).await;
                while tcp.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            Says::Nothing => {
                // Until the other side goes.
                let _ = tcp.read(&mut [0; 1]).await;
                return;
            }
        }
    }
}

async fn read_request(tcp: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        let mut chunk = [0; 4096];
        let count = tcp.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&chunk[..count]);
    }
}
