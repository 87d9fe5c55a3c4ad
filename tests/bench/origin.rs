//! The server behind every proxy: one thread, raw epoll, no allocation per request, so that core 1 is left to the load.
//!
//! `GET /events?rate=N` is a stream of N events a second, each with the time it was written; `rate=0` is one event and
//! then silence. `GET /count` tells how many of the other requests it has answered. Everything else gets the same answer
//! of 1 KiB, shaped as a chat completion.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use clap::Args;
use memchr::memmem;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    time::{ClockId, clock_gettime},
};
use socket2::{Domain, Socket, Type};

use crate::Outcome;

/// The size of the answer's body in bytes.
const BODY_BYTES: usize = 1024;
/// The size of one event in bytes, blank line included.
const EVENT_BYTES: usize = 100;
const LISTENER: u64 = u64::MAX;

#[derive(Args)]
pub(crate) struct Options {
    /// The port to listen on, on loopback.
    #[arg(long)]
    port: u16,
}

/// Asks a running origin how many requests it has answered.
pub(crate) fn answered(origin: SocketAddr) -> Outcome<u64> {
    let mut stream = TcpStream::connect(origin)?;
    stream.write_all(b"GET /count HTTP/1.1\r\nhost: origin\r\n\r\n")?;
    let mut answer = Vec::new();
    // Twenty digits end the answer, which comes in one piece of less than a segment.
    while answer.rsplit(|byte| *byte == b'\n').next().is_none_or(|last| last.len() != 20) {
        let mut piece = [0; 256];
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Err("the origin did not say its count".into());
        }
        answer.extend_from_slice(&piece[..length]);
    }
    let digits = &answer[answer.len() - 20..];
    Ok(String::from_utf8_lossy(digits).parse()?)
}

/// Nanoseconds on the clock that all processes of this machine share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Serves until it is killed.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let listener = listen(options.port)?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut origin = Origin::new();
    let mut ready = Vec::with_capacity(1024);
    loop {
        let timeout = origin.until_next_event().map(|wait| Timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(wait.as_millis()).unwrap_or(1).clamp(1, 900) * 1_000_000,
        });
        epoll::wait(&poll, spare_capacity(&mut ready), timeout.as_ref())?;
        for event in ready.drain(..) {
            match event.data.u64() {
                LISTENER => {
                    while let Ok((stream, _)) = listener.accept() {
                        stream.set_nonblocking(true)?;
                        stream.set_nodelay(true)?;
                        let id = origin.next_id;
                        epoll::add(&poll, &stream, epoll::EventData::new_u64(id), epoll::EventFlags::IN)?;
                        origin.next_id += 1;
                        origin.connections.insert(id, Connection { stream, input: Vec::new(), period_ms: 0 });
                    }
                }
                id => origin.serve(id),
            }
        }
        origin.write_due_events();
    }
}

fn listen(port: u16) -> Outcome<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a request whose end has not come yet. Almost always empty.
    input: Vec<u8>,
    /// How often this connection's stream gets an event; 0 for a connection without one.
    period_ms: u64,
}

struct Origin {
    connections: HashMap<u64, Connection>,
    next_id: u64,
    /// The next event of each paced stream: when, in milliseconds, and whose.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    scratch: Box<[u8]>,
    answer: Vec<u8>,
    answered: u64,
}

enum Request {
    /// `GET /count`.
    Count,
    /// `GET /events?rate=N`.
    Events { per_second: u64 },
    /// Anything else.
    Answer,
}

impl Origin {
    fn new() -> Self {
        let answer = answer();
        Self {
            connections: HashMap::new(),
            next_id: 0,
            due: BinaryHeap::new(),
            scratch: vec![0; 65_536].into_boxed_slice(),
            answer,
            answered: 0,
        }
    }

    fn until_next_event(&self) -> Option<Duration> {
        let Reverse((due_ms, _)) = self.due.peek()?;
        Some(Duration::from_millis(due_ms.saturating_sub(monotonic_ns() / 1_000_000)))
    }

    /// Reads what has come on a connection and answers every request that is complete.
    fn serve(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let length = match connection.stream.read(&mut self.scratch) {
            Ok(0) => {
                self.connections.remove(&id);
                return;
            }
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => {
                self.connections.remove(&id);
                return;
            }
        };
        connection.input.extend_from_slice(&self.scratch[..length]);
        let mut used = 0;
        while let Some((request, end)) = parse(&connection.input[used..]) {
            used += end;
            let written = match request {
                Request::Answer => {
                    self.answered += 1;
                    connection.stream.write_all(&self.answer)
                }
                Request::Count => {
                    let count = format!("{:020}", self.answered);
                    write!(connection.stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{count}", count.len())
                }
                Request::Events { per_second } => {
                    if let Some(period_ms) = 1000_u64.checked_div(per_second) {
                        connection.period_ms = period_ms.max(1);
                        // Streams start at different places of their period, so that events come evenly.
                        let first = monotonic_ns() / 1_000_000 + id * 7 % connection.period_ms;
                        self.due.push(Reverse((first, id)));
                    }
                    connection.stream.write_all(EVENTS_HEAD).and_then(|()| write_event(&connection.stream))
                }
            };
            if written.is_err() {
                self.connections.remove(&id);
                return;
            }
        }
        connection.input.drain(..used);
    }

    fn write_due_events(&mut self) {
        while let Some(&Reverse((due_ms, id))) = self.due.peek() {
            if due_ms > monotonic_ns() / 1_000_000 {
                return;
            }
            self.due.pop();
            let Some(connection) = self.connections.get(&id) else { continue };
            match write_event(&connection.stream) {
                Ok(()) => self.due.push(Reverse((due_ms + connection.period_ms, id))),
                // A proxy that does not keep up loses its stream, and the load reports it.
                Err(_) => drop(self.connections.remove(&id)),
            }
        }
    }
}

const EVENTS_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\
    x-origin: bench\r\ntransfer-encoding: chunked\r\n\r\n";

/// Writes one event as one chunk: `data: {"t":NANOSECONDS,"delta":"xxx…"}`.
fn write_event(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut event = format!("{EVENT_BYTES:x}\r\ndata: {{\"t\":{:020},\"delta\":\"", monotonic_ns());
    let head = format!("{EVENT_BYTES:x}\r\n").len();
    let tail = "\"}\n\n";
    while event.len() - head < EVENT_BYTES - tail.len() {
        event.push('x');
    }
    event.push_str(tail);
    event.push_str("\r\n");
    stream.write_all(event.as_bytes())
}

/// The 1 KiB answer: four headers, and a chat completion filled up to its size.
fn answer() -> Vec<u8> {
    let before = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"llama-3.1-8b","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let after =
        r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":180,"total_tokens":380}}"#;
    let filling = "word ".repeat(BODY_BYTES);
    let body = format!("{before}{}{after}", &filling[..BODY_BYTES - before.len() - after.len()]);
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\
         cache-control: no-store\r\nx-origin: bench\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A complete request at the start of `input`, and where it ends. Knows just the framing that proxies use here.
fn parse(input: &[u8]) -> Option<(Request, usize)> {
    let head_end = memmem::find(input, b"\r\n\r\n")? + 4;
    let head = &input[..head_end];
    let body = if let Some(at) = find_ignore_case(head, b"\r\ncontent-length:") {
        let digits = head[at + 17..].iter().skip_while(|byte| **byte == b' ').take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    } else if find_ignore_case(head, b"\r\ntransfer-encoding: chunked").is_some() {
        memmem::find(&input[head_end..], b"0\r\n\r\n")? + 5
    } else {
        0
    };
    let end = head_end + body;
    if input.len() < end {
        return None;
    }
    let request = match head.strip_prefix(b"GET /events?rate=") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            Request::Events { per_second: digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')) }
        }
        None if head.starts_with(b"GET /count ") => Request::Count,
        None => Request::Answer,
    };
    Some((request, end))
}

fn find_ignore_case(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    // Requests without a body have neither header, so the common case is a scan for carriage returns alone.
    memchr::memchr_iter(b'\r', haystack)
        .find(|at| haystack.get(*at..at + needle.len()).is_some_and(|found| found.eq_ignore_ascii_case(needle)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_of(input: &[u8]) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut used = 0;
        while let Some((_, end)) = parse(&input[used..]) {
            used += end;
            ends.push(used);
        }
        ends
    }

    #[test]
    fn requests_end_where_their_framing_says() {
        assert_eq!(ends_of(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n\r\nGET"), [27, 45]);
        assert_eq!(ends_of(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbodyGET"), [42]);
        assert!(ends_of(b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbod").is_empty());
        assert_eq!(ends_of(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"), [58]);
    }

    #[test]
    fn the_answer_has_the_size_it_says() {
        let answer = answer();
        let head = memmem::find(&answer, b"\r\n\r\n").map(|at| at + 4);
        assert_eq!(head.map(|head| answer.len() - head), Some(BODY_BYTES));
        assert!(serde_json::from_slice::<serde_json::Value>(&answer[head.unwrap_or(0)..]).is_ok());
    }
}
