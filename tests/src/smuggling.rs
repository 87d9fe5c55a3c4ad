//! A corpus of requests that two servers in a row may read in two ways (`tests/smuggling/cases.txt`): how it is written,
//! how a case is replayed, and an origin that says what reached it and what was wrong with that.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use crate::harness::PATIENCE;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Its place in the corpus; part of every target, so that cases can be told apart.
    pub number: usize,
    /// What must become of it.
    pub expected: Outcome,
    /// What is sent; each piece after the answer to the one before has begun.
    pub pieces: Vec<Vec<u8>>,
}

/// What becomes of a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The statuses of the answers.
    pub statuses: Vec<u16>,
    /// Whether the connection is closed after them.
    pub closed: bool,
    /// The targets that reached the origin.
    pub reached: Vec<String>,
}

/// Reads the corpus.
pub fn corpus() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("smuggling/cases.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("\n== ").skip(1).enumerate().map(|(number, text)| case(number, text)).collect()
}

fn case(number: usize, text: &str) -> Case {
    let mut lines = text.lines();
    let name = lines.next().unwrap_or_default().to_owned();
    let expected = lines.next().and_then(|line| line.strip_prefix("=> ")).unwrap_or_else(|| panic!("{name} expects"));
    let bytes = unescaped(&lines.collect::<String>());
    let marked = |bytes: &[u8]| {
        let bytes = replaced(bytes, b"/case", format!("/case-{number:03}").as_bytes());
        replaced(&bytes, b"/smuggled", format!("/smuggled-{number:03}").as_bytes())
    };
    let pieces = split(&bytes, WAIT).into_iter().map(marked).collect();
    Case { name, number, expected: outcome(expected), pieces }
}

/// `200 400 closed | /case`.
fn outcome(text: &str) -> Outcome {
    let (answers, reached) = text.split_once('|').unwrap_or((text, ""));
    Outcome {
        statuses: answers.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        closed: answers.split_whitespace().any(|word| word == "closed"),
        reached: reached.split_whitespace().map(str::to_owned).collect(),
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words: Vec<String> = self.statuses.iter().map(u16::to_string).collect();
        if self.closed {
            words.push("closed".to_owned());
        }
        if !self.reached.is_empty() {
            words.push("|".to_owned());
            words.extend(self.reached.iter().cloned());
        }
        f.write_str(&words.join(" "))
    }
}

const WAIT: &[u8] = b"\xff{wait}";

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' => {
                let code = rest.chars().next().unwrap_or_else(|| panic!("an escape ends: {text}"));
                rest = &rest[code.len_utf8()..];
                bytes.push(match code {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '0' => 0,
                    '\\' => b'\\',
                    'x' => {
                        let (digits, after) = rest.split_at(2);
                        rest = after;
                        u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("\\x{digits}"))
                    }
                    other => panic!("\\{other} in {text}"),
                });
            }
            '{' => {
                let (inside, after) = rest.split_once('}').unwrap_or_else(|| panic!("an open brace in {text}"));
                rest = after;
                match inside {
                    "H" => bytes.extend(b"Host: a.example\r\nX-Case: /case\r\n"),
                    "next" => bytes.extend(b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\nX-Case: /smuggled\r\n\r\n"),
                    "wait" => bytes.extend(WAIT),
                    _ => {
                        let (what, times) = inside.rsplit_once('*').unwrap_or_else(|| panic!("{{{inside}}}"));
                        bytes.extend(unescaped(what).repeat(times.parse().unwrap()));
                    }
                }
            }
            other => bytes.extend(other.to_string().as_bytes()),
        }
    }
    bytes
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    split(bytes, from).join(to)
}

fn split<'b>(bytes: &'b [u8], by: &[u8]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(bytes, by) {
        pieces.push(&bytes[start..at]);
        start = at + by.len();
    }
    pieces.push(&bytes[start..]);
    pieces
}

/// When the answers to a case are all there.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// When the connection is closed.
    Closed,
    /// After so many; then a request like any other must be answered with 200, or there was something else.
    Answers(usize),
    /// When the connection is closed, or nothing was said for so long.
    Quiet(Duration),
}

/// Replays a case: the statuses of the answers, and whether the connection was closed.
pub async fn replay(address: SocketAddr, case: &Case, until: Until) -> Outcome {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut answers =
        Answers { buffer: BytesMut::new(), to_head: case.pieces[0].starts_with(b"HEAD "), statuses: Vec::new() };
    let mut outcome = Outcome::default();
    let patience = match until {
        Until::Quiet(quiet) => quiet,
        _ => PATIENCE,
    };
    for (number, piece) in case.pieces.iter().enumerate() {
        // Whoever has heard enough closes.
        let _ = write.write_all(piece).await;
        let more = number + 1 < case.pieces.len();
        let enough = match until {
            _ if more => 1,
            Until::Answers(count) => count,
            Until::Closed | Until::Quiet(_) => usize::MAX,
        };
        while answers.statuses.len() < enough {
            match timeout(patience, read.read_buf(&mut answers.buffer)).await {
                Ok(Ok(1..)) => answers.parse(),
                Ok(Ok(0) | Err(_)) => {
                    answers.ended();
                    outcome.closed = true;
                    break;
                }
                Err(_) => break,
            }
        }
    }
    if matches!(until, Until::Answers(_)) && !outcome.closed {
        let sentinel = b"GET /sentinel HTTP/1.1\r\nHost: a.example\r\n\r\n";
        let before = answers.statuses.len();
        let _ = write.write_all(sentinel).await;
        while answers.statuses.len() <= before {
            match timeout(PATIENCE, read.read_buf(&mut answers.buffer)).await {
                Ok(Ok(1..)) => answers.parse(),
                _ => {
                    outcome.closed = true;
                    break;
                }
            }
        }
        if answers.statuses.get(before..) == Some(&[200]) {
            answers.statuses.truncate(before);
        }
    }
    outcome.statuses = answers.statuses;
    outcome
}

/// What a server says, read as leniently as servers read requests.
struct Answers {
    buffer: BytesMut,
    to_head: bool,
    statuses: Vec<u16>,
}

impl Answers {
    fn parse(&mut self) {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let Ok(httparse::Status::Complete(head)) = response.parse(&self.buffer) else { return };
            let header = |name: &str| {
                let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                found.map(|header| String::from_utf8_lossy(header.value).trim().to_lowercase())
            };
            let status = response.code.unwrap_or_default();
            let is_first = self.statuses.iter().all(|status| *status < 200);
            let bodiless = matches!(status, 100..=199 | 204 | 304) || (self.to_head && is_first);
            let length = match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
                _ if bodiless => Some(0),
                _ if header("transfer-encoding").is_some() => {
                    memchr::memmem::find(&self.buffer[head..], b"0\r\n\r\n").map(|at| at + 5)
                }
                Some(length) => Some(length),
                // Until the connection is closed.
                None => None,
            };
            match length {
                Some(length) if self.buffer.len() >= head + length => {
                    self.buffer.advance(head + length);
                    self.statuses.push(status);
                }
                _ => return,
            }
        }
    }

    /// The connection is closed: an answer that ends with it is over.
    fn ended(&mut self) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        if let Ok(httparse::Status::Complete(_)) = response.parse(&self.buffer) {
            self.statuses.push(response.code.unwrap_or_default());
        }
    }
}

/// One request as an origin read it that forgives everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The target.
    pub target: String,
    /// The head.
    pub head: Vec<u8>,
    /// What others might read in another way.
    pub faults: Vec<&'static str>,
}

/// An origin that forgives everything, as the worst of them do, and writes it down.
pub struct Sink {
    address: SocketAddr,
    reached: Arc<Mutex<Vec<Reached>>>,
    accepting: JoinHandle<()>,
}

impl Sink {
    /// Listens on a port of the system's choice.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reached = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&reached);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(swallow(stream, Arc::clone(&written)));
            }
        });
        Self { address, reached, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What of a case reached it.
    pub fn reached(&self, case: &Case) -> Vec<Reached> {
        let marks = ["/case", "/smuggled"].map(|path| format!("{path}-{:03}", case.number));
        let of_case = |reached: &&Reached| {
            marks.iter().any(|mark| memchr::memmem::find(&reached.head, mark.as_bytes()).is_some())
        };
        self.reached.lock().unwrap().iter().filter(of_case).cloned().collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Reached {
    /// Its path, without what tells cases apart.
    pub fn path(&self, case: &Case) -> String {
        let target = self.target.strip_prefix("http://a.example").unwrap_or(&self.target);
        target.replace(&format!("-{:03}", case.number), "")
    }
}

async fn swallow(mut stream: TcpStream, written: Arc<Mutex<Vec<Reached>>>) {
    let mut buffer = BytesMut::new();
    loop {
        while let Some((reached, length)) = request(&buffer) {
            buffer.advance(length);
            written.lock().unwrap().push(reached);
            let answer: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// A whole request, read leniently, and how long it is with its body.
fn request(buffer: &[u8]) -> Option<(Reached, usize)> {
    let skipped = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let text = &buffer[skipped..];
    let end = [&b"\r\n\r\n"[..], b"\n\n", b"\n\r\n"]
        .iter()
        .filter_map(|end| memchr::memmem::find(text, end).map(|at| at + end.len()))
        .min()?;
    let head = &text[..end];
    let lossy = String::from_utf8_lossy(head).into_owned();
    let mut lines = lossy.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let target = lines.next()?.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let fields: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim()))
        .collect();
    let values =
        |wanted: &str| fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect::<Vec<_>>();
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let body = if codings.iter().any(|coding| coding.to_lowercase().contains("chunked")) {
        chunked_length(&text[end..])?
    } else {
        lengths.first().and_then(|length| length.parse::<usize>().ok()).unwrap_or(0)
    };
    (text.len() >= end + body).then(|| {
        let faults = faults(head, &lengths, &codings, values("host").len());
        (Reached { target, head: head.to_vec(), faults }, skipped + end + body)
    })
}

fn chunked_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = memchr::memchr(b'\n', &text[at..])?;
        let digits: String =
            text[at..at + line].iter().map(|byte| *byte as char).take_while(char::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        at += line + 1;
        if size == 0 {
            break;
        }
        at += size + 2;
        if at > text.len() {
            return None;
        }
    }
    loop {
        let line = memchr::memchr(b'\n', &text[at..])?;
        let is_empty = matches!(&text[at..at + line], b"" | b"\r");
        at += line + 1;
        if is_empty {
            return Some(at);
        }
    }
}

/// What of a head the next server might read in another way.
fn faults(head: &[u8], lengths: &[&str], codings: &[&str], hosts: usize) -> Vec<&'static str> {
    let bare_lf = memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r');
    let bare_cr = memchr::memchr_iter(b'\r', head).any(|at| head.get(at + 1) != Some(&b'\n'));
    let lines = || head.split(|byte| *byte == b'\n').skip(1);
    let found = [
        (!lengths.is_empty() && !codings.is_empty(), "both framings"),
        (lengths.len() > 1 || lengths.iter().any(|length| !length.bytes().all(|b| b.is_ascii_digit())), "odd length"),
        (codings.len() > 1 || codings.iter().any(|coding| !coding.eq_ignore_ascii_case("chunked")), "odd coding"),
        (hosts != 1, "not one host"),
        (bare_lf, "bare LF"),
        (bare_cr, "bare CR"),
        (head.contains(&0), "NUL"),
        (lines().any(|line| line.starts_with(b" ") || line.starts_with(b"\t")), "folded field"),
        (
            lines().any(|line| {
                let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
                name.len() < line.len() && name.last().is_some_and(u8::is_ascii_whitespace)
            }),
            "space before colon",
        ),
    ];
    found.into_iter().filter(|(is, _)| *is).map(|(_, fault)| fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_can_be_read() {
        let cases = corpus();
        assert!(cases.len() >= 80, "{} cases", cases.len());
        let names: std::collections::BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), cases.len(), "each has a name of its own");
        assert!(cases.iter().all(|case| !case.expected.statuses.is_empty()));
        let post = cases.iter().find(|case| case.name == "plain-post").unwrap();
        let text = String::from_utf8_lossy(&post.pieces[0]).into_owned();
        assert!(text.starts_with(&format!("POST /case-{:03} HTTP/1.1\r\nHost: a.example\r\n", post.number)), "{text}");
    }

    #[test]
    fn a_forgiving_origin_says_what_it_forgave() {
        let text = b"POST /x HTTP/1.1\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\n1\r\na\r\n0\r\n\r\nrest";
        let (reached, length) = request(text).unwrap();
        assert_eq!(reached.faults, ["both framings", "bare LF", "space before colon"]);
        assert_eq!(&text[length..], b"rest");
    }
}
