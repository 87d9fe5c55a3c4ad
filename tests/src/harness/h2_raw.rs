//! A client of HTTP/2 that sends exactly the frames it is given, lawful or not, and writes down what comes back.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::PATIENCE;

/// What a client says first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much of a flood is sent at once, in bytes.
const FLOOD_BATCH_BYTES: usize = 1024;
/// How much of a flood is sent at most, in bytes: more than a sender's and a receiver's buffers hold (4 MiB and 32 MiB
/// where the kernel is generous), so that not all of it can leave while the other end has yet to wake up.
const FLOOD_BYTES_MAX: usize = 64 << 20;

/// Types of frames (RFC 9113 §6).
pub mod kind {
    #![expect(missing_docs, reason = "they are named in the RFC")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![expect(missing_docs, reason = "they are named in the RFC")]
    pub const NONE: u8 = 0;
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
}

/// Error codes (RFC 9113 §7).
pub mod reason {
    #![expect(missing_docs, reason = "they are named in the RFC")]
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        frame(self.kind, self.flags, self.stream, &self.payload)
    }

    /// The error code of a `RST_STREAM` or a `GOAWAY`.
    fn reason(&self) -> Option<u32> {
        let at = match self.kind {
            kind::RST_STREAM => 0,
            kind::GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A `WINDOW_UPDATE`.
pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, flag::NONE, stream, &increment.to_be_bytes())
}

/// A `RST_STREAM`.
pub fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, flag::NONE, stream, &reason.to_be_bytes())
}

/// A `SETTINGS`.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(kind::SETTINGS, flag::NONE, 0, &payload)
}

/// A field section, every field a literal that nobody indexes and nobody checked (RFC 7541 §6.2.2).
pub fn fields(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// A string without Huffman coding (RFC 7541 §5.2).
fn string(block: &mut Vec<u8>, text: &[u8]) {
    integer(block, 0, 7, text.len());
    block.extend_from_slice(text);
}

/// An integer with a prefix (RFC 7541 §5.1).
pub fn integer(block: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let max = (1_usize << prefix) - 1;
    if value < max {
        return block.push(pattern | value as u8);
    }
    block.push(pattern | max as u8);
    let mut rest = value - max;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// An answer began with this status.
    Answered(u16),
    /// The stream was reset for this reason.
    Reset(u32),
    /// The connection is to end, for this reason.
    GoneAway(u32),
    /// The connection ended without a word.
    Closed,
}

#[derive(Debug, Default)]
struct Heard {
    frames: Vec<Frame>,
    closed: bool,
}

/// One connection.
pub struct RawH2 {
    write: WriteHalf<Box<dyn Wire>>,
    heard: Arc<Mutex<Heard>>,
    changed: watch::Receiver<usize>,
    reading: JoinHandle<()>,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl RawH2 {
    /// Connects without TLS, and says what a client says first. Nobody may index fields of answers.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[(1, 0)]).await
    }

    /// The same with these settings.
    pub async fn connect_with(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(address).await;
        raw.send([PREFACE, &settings(values)].concat()).await.expect("a preface can be sent");
        raw.frame(|frame| frame.kind == kind::SETTINGS).await;
        // The server's settings hold from when they are acknowledged.
        raw.send(frame(kind::SETTINGS, flag::ACK, 0, b"")).await.expect("settings can be acknowledged");
        raw
    }

    /// Connects and says nothing.
    pub async fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Talks over a connection that is there already.
    pub fn over(wire: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let wire: Box<dyn Wire> = Box::new(wire);
        let (read, write) = split(wire);
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (announce, changed) = watch::channel(0);
        let reading = tokio::spawn(listen(read, Arc::clone(&heard), announce));
        Self { write, heard, changed, reading }
    }

    /// Stops to read: what comes stays in the kernel's buffers.
    pub fn turn_deaf(&self) {
        self.reading.abort();
    }

    /// Sends bytes; an error if the other end is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let sent = async {
            self.write.write_all(bytes.as_ref()).await?;
            self.write.flush().await
        };
        timeout(PATIENCE, sent).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends the same frame until the other end is gone. Panics if more is taken than the kernel holds between two
    /// sockets: then somebody reads it all.
    pub async fn flood(&mut self, frame: &[u8]) {
        let batch = frame.repeat((FLOOD_BATCH_BYTES / frame.len()).max(1));
        for _ in 0..FLOOD_BYTES_MAX / batch.len() {
            if self.is_closed() || self.send(&batch).await.is_err() {
                return;
            }
            // Let the reader have its turn: a GOAWAY ends this.
            tokio::task::yield_now().await;
        }
        panic!("all of {FLOOD_BYTES_MAX} bytes were taken, of frames like {:02x?}", &frame[..frame.len().min(16)]);
    }

    /// Sends a request of these fields without a body.
    pub async fn request(&mut self, stream: u32, request: &[(&[u8], &[u8])]) -> io::Result<()> {
        let flags = flag::END_HEADERS | flag::END_STREAM;
        self.send(frame(kind::HEADERS, flags, stream, &fields(request))).await
    }

    /// Every frame so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.heard.lock().unwrap().frames.clone()
    }

    /// Whether the other end closed the connection, as far as is known.
    pub fn is_closed(&self) -> bool {
        self.heard.lock().unwrap().closed
    }

    /// What becomes of a stream: the first that tells.
    pub async fn fate(&mut self, stream: u32) -> Fate {
        self.wait("the fate of a stream", |heard| {
            let told = heard.frames.iter().find_map(|frame| match frame.kind {
                kind::HEADERS if frame.stream == stream => Some(Fate::Answered(status(&frame.payload))),
                kind::RST_STREAM if frame.stream == stream => frame.reason().map(Fate::Reset),
                kind::GOAWAY => frame.reason().map(Fate::GoneAway),
                _ => None,
            });
            told.or(heard.closed.then_some(Fate::Closed))
        })
        .await
    }

    /// Waits until the other end closes the connection: the reason that it gave in its last GOAWAY.
    pub async fn end(&mut self) -> Option<u32> {
        self.wait("the end of the connection", |heard| {
            let last = heard.frames.iter().rev().find(|frame| frame.kind == kind::GOAWAY);
            heard.closed.then(|| last.and_then(Frame::reason))
        })
        .await
    }

    /// Waits for a frame.
    pub async fn frame(&mut self, fits: impl Fn(&Frame) -> bool) -> Frame {
        let found = self
            .wait("a frame", |heard| {
                let found = heard.frames.iter().find(|frame| fits(frame)).cloned();
                found.map(Some).or(heard.closed.then_some(None))
            })
            .await;
        found.unwrap_or_else(|| panic!("the connection ended after {:?}", self.frames()))
    }

    /// Whether nothing ends the connection within this time.
    pub async fn stays_open(&mut self, within: Duration) -> bool {
        timeout(within, self.end()).await.is_err()
    }

    async fn wait<T>(&mut self, what: &str, told: impl Fn(&Heard) -> Option<T>) -> T {
        let waited = timeout(PATIENCE, async {
            loop {
                self.changed.borrow_and_update();
                if let Some(told) = told(&self.heard.lock().unwrap()) {
                    return told;
                }
                if self.changed.changed().await.is_err() {
                    let heard = self.heard.lock().unwrap();
                    return told(&heard).unwrap_or_else(|| panic!("no {what} will come"));
                }
            }
        });
        match waited.await {
            Ok(told) => told,
            Err(_) => {
                let heard = self.heard.lock().unwrap();
                let last = &heard.frames[heard.frames.len().saturating_sub(5)..];
                panic!("waited {PATIENCE:?} for {what}; {} frames, at last {last:?}", heard.frames.len())
            }
        }
    }
}

impl Drop for RawH2 {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn listen(mut read: ReadHalf<Box<dyn Wire>>, heard: Arc<Mutex<Heard>>, announce: watch::Sender<usize>) {
    let mut head = [0; 9];
    while read.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if read.read_exact(&mut payload).await.is_err() {
            break;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        heard.lock().unwrap().frames.push(Frame { kind: head[3], flags: head[4], stream, payload });
        announce.send_modify(|count| *count += 1);
    }
    heard.lock().unwrap().closed = true;
    announce.send_modify(|count| *count += 1);
}

/// The status of an answer, which is the first of its fields: indexed, or a literal with an indexed name.
fn status(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        // Servers may say first that the table has shrunk (RFC 7541 §6.3).
        [update, rest @ ..] if update & 0xe0 == 0x20 => status(rest),
        [index @ 0x88..=0x8e, ..] => INDEXED[usize::from(index - 0x88)],
        [0x48 | 0x08 | 0x18, length, text @ ..] => {
            let text = text.get(..usize::from(length & 0x7f)).unwrap_or_default();
            let digits = if length & 0x80 == 0 { text.to_vec() } else { huffman_digits(text) };
            String::from_utf8_lossy(&digits).parse().unwrap_or_else(|_| panic!("status {digits:?}"))
        }
        _ => panic!("no status in {block:?}"),
    }
}

/// Digits in Huffman's coding (RFC 7541 appendix B): `0` to `2` are 5 bits, `3` to `9` are 6.
fn huffman_digits(coded: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | bit);
    let (mut digits, mut rest) = (Vec::new(), &bits[..]);
    while rest.len() >= 5 {
        match value(&rest[..5]) {
            short @ 0..=2 => {
                digits.push(b'0' + short);
                rest = &rest[5..];
            }
            _ if rest.len() >= 6 && (25..=31).contains(&value(&rest[..6])) => {
                digits.push(b'3' + value(&rest[..6]) - 25);
                rest = &rest[6..];
            }
            _ => break,
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_however_they_are_written() {
        assert_eq!(status(&[0x88]), 200);
        assert_eq!(status(&[0x20, 0x8d]), 404);
        assert_eq!(status(&[0x08, 3, b'4', b'3', b'1', 0]), 431);
        // 421: 011010 00010 00001 and padding.
        assert_eq!(status(&[0x48, 0x82, 0b0110_1000, 0b0100_0001]), 421);
    }

    #[test]
    fn integers_have_prefixes() {
        let check = |prefix, value, expected: &[u8]| {
            let mut block = Vec::new();
            integer(&mut block, 0, prefix, value);
            assert_eq!(block, expected);
        };
        check(5, 10, &[10]);
        check(5, 1337, &[31, 154, 10]);
        check(7, 127, &[127, 0]);
    }
}
