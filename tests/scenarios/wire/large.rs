//! Large bodies: they pass whole, and whoever is slow holds back whoever is fast instead of filling our memory.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::Request;
use portcullis_tests::harness::{Gateway, H2Client, PATIENCE, RawClient, eventually};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::before;

/// The size of a large body, in bytes.
const LARGE: u64 = 128 * 1024 * 1024;
/// What one connection may cost besides what the gateway needs at rest, in KiB.
const GROWTH_KIB_MAX: u64 = 12 * 1024;

/// A server of HTTP/1.1 that sends or takes [`LARGE`] bodies, as fast as it is allowed to.
struct Bulk {
    address: SocketAddr,
    moved: Arc<AtomicU64>,
    /// Taken before it reads anything of an upload's body.
    leave: Arc<Semaphore>,
}

impl Bulk {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (moved, leave) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
        let bulk = Self { address, moved: Arc::clone(&moved), leave: Arc::clone(&leave) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (moved, leave) = (Arc::clone(&moved), Arc::clone(&leave));
                tokio::spawn(async move { serve(stream, &moved, &leave).await });
            }
        });
        bulk
    }

    fn moved(&self) -> u64 {
        self.moved.load(SeqCst)
    }

    /// Waits until nothing moves any more, and gives what has moved.
    async fn stalled(&self) -> u64 {
        let mut before = u64::MAX;
        let mut still = 0;
        eventually("back pressure stops the flow", async || {
            let now = self.moved();
            still = if now == before && now > 0 { still + 1 } else { 0 };
            before = now;
            still >= 20
        })
        .await;
        self.moved()
    }
}

async fn serve(mut stream: TcpStream, moved: &AtomicU64, leave: &Semaphore) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let piece = vec![b'x'; 64 * 1024];
    if head.starts_with(b"GET") {
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes()).await?;
        for _ in 0..LARGE / piece.len() as u64 {
            stream.write_all(&piece).await?;
            moved.fetch_add(piece.len() as u64, SeqCst);
        }
    } else {
        let _permit = leave.acquire().await;
        let mut buffer = piece;
        while moved.load(SeqCst) < LARGE {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            moved.fetch_add(read as u64, SeqCst);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
    }
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    Ok(())
}

async fn watched(bulk: &Bulk) -> (Gateway, SocketAddr, u64) {
    let (gateway, address) = before("", bulk.address).await;
    // Warm: what is made once is made before it is measured.
    let mut client = RawClient::connect(address).await;
    client.send("GET /none HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    drop(client);
    bulk.stalled().await;
    bulk.moved.store(0, SeqCst);
    let resident = gateway.resident_kib();
    (gateway, address, resident)
}

fn check_memory(gateway: &Gateway, before_kib: u64) {
    let grown = gateway.resident_kib().saturating_sub(before_kib);
    assert!(grown <= GROWTH_KIB_MAX, "{grown} KiB for one body");
}

#[tokio::test]
async fn a_large_answer_passes_over_http1_however_slow_its_reader() {
    let bulk = Bulk::start().await;
    let (gateway, address, resident) = watched(&bulk).await;
    let mut client = RawClient::connect(address).await;
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    let sent = bulk.stalled().await;
    assert!(sent < LARGE / 4, "{sent} bytes were taken for a client that reads nothing");
    check_memory(&gateway, resident);
    assert_eq!(client.head().await.status, 200);
    let mut length = 0;
    while length < LARGE {
        length += client.read().await.unwrap().len() as u64;
    }
    check_memory(&gateway, resident);
}

#[tokio::test]
async fn a_large_answer_passes_over_http2_however_slow_its_reader() {
    let bulk = Bulk::start().await;
    let (gateway, address, resident) = watched(&bulk).await;
    let mut sender = H2Client::connect(address).await.sender().ready().await.unwrap();
    let (answer, _) = sender.send_request(Request::get("http://a.test/").body(()).unwrap(), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    let sent = bulk.stalled().await;
    assert!(sent < LARGE / 4, "{sent} bytes were taken for a client that reads nothing");
    check_memory(&gateway, resident);
    let mut length = 0;
    while length < LARGE {
        let piece = timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        length += piece.len() as u64;
    }
    check_memory(&gateway, resident);
}

#[tokio::test]
async fn a_large_upload_passes_over_http1_however_slow_the_server() {
    let bulk = Bulk::start().await;
    let (gateway, address, resident) = watched(&bulk).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {LARGE}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        let piece = vec![b'x'; 64 * 1024];
        while counted.load(SeqCst) < LARGE {
            write.write_all(&piece).await.unwrap();
            counted.fetch_add(piece.len() as u64, SeqCst);
        }
        write
    });
    let (mut before, mut still) = (0, 0);
    eventually("back pressure stops the client", async || {
        let now = sent.load(SeqCst);
        still = if now == before && now > 0 { still + 1 } else { 0 };
        before = now;
        still >= 20
    })
    .await;
    assert!(before < LARGE / 4, "{before} bytes were taken for a server that reads nothing");
    check_memory(&gateway, resident);
    bulk.leave.add_permits(1);
    let _write = timeout(PATIENCE, sending).await.expect("the upload ends").unwrap();
    let mut answer = [0; 15];
    read.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(bulk.moved(), LARGE);
    check_memory(&gateway, resident);
}

#[tokio::test]
async fn a_large_upload_passes_over_http2_however_slow_the_server() {
    let bulk = Bulk::start().await;
    let (gateway, address, resident) = watched(&bulk).await;
    let mut sender = H2Client::connect(address).await.sender().ready().await.unwrap();
    let request = Request::post("http://a.test/").header("content-length", LARGE).body(()).unwrap();
    let (answer, mut stream) = sender.send_request(request, false).unwrap();
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut sent = 0;
    // Until the window is closed for a while: the server reads nothing.
    let mut send = async |within: Duration| {
        while sent < LARGE {
            stream.reserve_capacity(piece.len());
            let Ok(capacity) = timeout(within, poll_fn(|cx| stream.poll_capacity(cx))).await else { return sent };
            let length = capacity.unwrap().unwrap().min(piece.len()).min((LARGE - sent) as usize);
            sent += length as u64;
            stream.send_data(piece.slice(..length), sent >= LARGE).unwrap();
        }
        sent
    };
    let taken = send(Duration::from_millis(500)).await;
    assert!(taken < LARGE / 4, "{taken} bytes were taken for a server that reads nothing");
    check_memory(&gateway, resident);
    bulk.leave.add_permits(1);
    assert_eq!(send(PATIENCE).await, LARGE);
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 200);
    check_memory(&gateway, resident);
}
