//! A well-behaved client that keeps asking while something else goes on, and notices whether it is served as before.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::PATIENCE;

/// The pause between two exchanges.
const PAUSE: Duration = Duration::from_millis(2);
/// Exchanges that a measure has at least.
const EXCHANGES_MIN: usize = 25;

/// A client on a thread and a connection of its own.
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Probed>,
}

/// What a client met with.
#[derive(Debug, Clone)]
pub struct Probed {
    /// How long each exchange took, shortest first.
    pub latencies: Vec<Duration>,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Probed {
    /// The latency in the middle.
    pub fn median(&self) -> Duration {
        self.latencies.get(self.latencies.len() / 2).copied().unwrap_or_default()
    }
}

impl Probe {
    /// Begins to ask. The answer must be a 200 with a `content-length`.
    pub fn start(address: SocketAddr, request: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, request) = (Arc::clone(&stop), request.to_owned());
        let thread = thread::spawn(move || {
            let mut probed = Probed { latencies: Vec::new(), failures: Vec::new() };
            let mut client = None;
            while !stopped.load(SeqCst) || probed.latencies.len() + probed.failures.len() < EXCHANGES_MIN {
                let started = Instant::now();
                match exchange(&mut client, address, &request) {
                    Ok(()) => probed.latencies.push(started.elapsed()),
                    Err(error) => {
                        probed.failures.push(error);
                        client = None;
                    }
                }
                thread::sleep(PAUSE);
            }
            probed.latencies.sort();
            probed
        });
        Self { stop, thread }
    }

    /// Asks a few times and says how long it took.
    pub fn once(address: SocketAddr, request: &str) -> Probed {
        Self::start(address, request).stop()
    }

    /// Stops asking.
    pub fn stop(self) -> Probed {
        self.stop.store(true, SeqCst);
        self.thread.join().expect("the probe ends")
    }
}

fn exchange(client: &mut Option<TcpStream>, address: SocketAddr, request: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let stream = match client {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(told)?;
            stream.set_nodelay(true).map_err(told)?;
            stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
            client.insert(stream)
        }
    };
    stream.write_all(request.as_bytes()).map_err(told)?;
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece).map_err(told)? {
            0 => return Err(format!("closed after {:?}", String::from_utf8_lossy(&received))),
            n => received.extend_from_slice(&piece[..n]),
        }
        if is_whole(&received) {
            break;
        }
    }
    if received.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(String::from_utf8_lossy(&received).into_owned()) }
}

fn is_whole(received: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(received) else { return false };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    received.len() >= head + length.unwrap_or(0)
}
