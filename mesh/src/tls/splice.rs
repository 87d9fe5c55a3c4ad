//! Carries bytes between two connections until both have ended: for what is not terminated here, and for upgrades.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    io,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    select,
    time::{Instant, sleep_until, timeout},
};

use crate::http::websocket::Frames;

/// What one direction may hold at a time, in bytes.
pub const SPLICE_BUFFER_BYTES: usize = 16 * 1024;

/// What a splice did.
#[derive(Debug)]
pub struct Splice {
    /// Bytes from the client to the backend, the prelude included.
    pub sent_bytes: u64,
    /// Bytes from the backend to the client.
    pub received_bytes: u64,
    /// Why it ended.
    pub end: SpliceEnd,
}

/// Why a splice ended.
#[derive(Debug)]
pub enum SpliceEnd {
    /// Both sides said that they had no more to say.
    Finished,
    /// Neither side sent anything for too long.
    Idle,
    /// It was no longer wanted.
    Cut,
    /// One of the connections failed.
    Failed(io::Error),
}

/// Copies both ways. `prelude` goes to the backend first. When one side ends, the other is told so and may go on
/// (half-close). `idle` is the longest silence of both sides together; `None` allows any.
pub async fn splice<C, B>(client: C, backend: B, prelude: &[u8], idle: Option<Duration>) -> Splice
where
    C: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    splice_until(client, backend, prelude, idle, pending(), &[]).await
}

/// How long last words may take.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// As [`splice`], of a WebSocket, and no longer than until `cut` is ready. Then the client is told `last_words`, if the
/// backend's last frame has ended by then.
pub async fn splice_until<C, B>(
    client: C,
    backend: B,
    prelude: &[u8],
    idle: Option<Duration>,
    cut: impl Future<Output = ()>,
    last_words: &[u8],
) -> Splice
where
    C: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (client_read, mut client_write) = tokio::io::split(client);
    let (backend_read, mut backend_write) = tokio::io::split(backend);
    let (sent, received) = (Cell::new(0), Cell::new(0));
    let last = Cell::new(Instant::now());

    let passed = Passed::default();
    let up = pump(client_read, &mut backend_write, prelude, &sent, &last, None);
    let down =
        pump(backend_read, &mut client_write, &[], &received, &last, (!last_words.is_empty()).then_some(&passed));
    let both = async { futures_util::future::try_join(up, down).await };
    let end = select! {
        biased;
        () = cut => SpliceEnd::Cut,
        outcome = both => match outcome {
            Ok(_) => SpliceEnd::Finished,
            Err(error) => SpliceEnd::Failed(error),
        },
        () = silence(&last, idle) => SpliceEnd::Idle,
    };
    if matches!(end, SpliceEnd::Cut) && passed.is_whole() {
        let farewell = async {
            client_write.write_all(last_words).await?;
            client_write.shutdown().await
        };
        // Whoever does not take it is cut off without.
        let _ = timeout(LAST_WORDS_TIMEOUT, farewell).await;
    }
    Splice { sent_bytes: sent.get(), received_bytes: received.get(), end }
}

/// What a client has been given of a WebSocket.
#[derive(Debug, Default)]
struct Passed {
    frames: RefCell<Frames>,
    is_writing: Cell<bool>,
}

impl Passed {
    /// Whether the client has nothing but whole frames.
    fn is_whole(&self) -> bool {
        !self.is_writing.get() && self.frames.borrow().is_between()
    }
}

async fn pump<R, W>(
    mut from: R,
    to: &mut W,
    prelude: &[u8],
    count: &Cell<u64>,
    last: &Cell<Instant>,
    passed: Option<&Passed>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if !prelude.is_empty() {
        to.write_all(prelude).await?;
        to.flush().await?;
        count.set(prelude.len() as u64);
    }
    let mut buffer = vec![0; SPLICE_BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        last.set(Instant::now());
        let bytes = buffer.get(..read).unwrap_or_default();
        if let Some(passed) = passed {
            passed.is_writing.set(true);
            passed.frames.borrow_mut().push(bytes);
        }
        to.write_all(bytes).await?;
        // A TLS stream holds back what it could not send at once.
        to.flush().await?;
        if let Some(passed) = passed {
            passed.is_writing.set(false);
        }
        last.set(Instant::now());
        count.set(count.get() + read as u64);
    }
    match to.shutdown().await {
        // The other side closed first, which is what was wanted.
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
        outcome => outcome,
    }
}

/// Ready once nothing has moved for `idle`.
async fn silence(last: &Cell<Instant>, idle: Option<Duration>) {
    let Some(idle) = idle else { return pending().await };
    loop {
        let due = last.get() + idle;
        if due <= Instant::now() {
            return;
        }
        sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways_and_ends_are_passed_on() {
        let (mut client, client_far) = duplex(64);
        let (mut backend, backend_far) = duplex(64);
        let spliced = splice(client_far, backend_far, b"hello ", Some(Duration::from_secs(5)));
        let client_side = async {
            client.write_all(b"from client").await.unwrap();
            client.shutdown().await.unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            text
        };
        let backend_side = async {
            let mut text = String::new();
            backend.read_to_string(&mut text).await.unwrap();
            // The client has ended; the backend still answers, more than any buffer holds.
            backend.write_all(&vec![b'x'; 100_000]).await.unwrap();
            backend.shutdown().await.unwrap();
            text
        };
        let (spliced, at_client, at_backend) = tokio::join!(spliced, client_side, backend_side);
        assert!(matches!(spliced.end, SpliceEnd::Finished), "{spliced:?}");
        assert_eq!((spliced.sent_bytes, spliced.received_bytes), (17, 100_000));
        assert_eq!(at_backend, "hello from client");
        assert_eq!(at_client.len(), 100_000);
    }

    #[tokio::test]
    async fn whoever_is_cut_between_two_frames_is_told() {
        for (said, farewell) in [(&[0x81, 1, b'a'][..], &b"bye"[..]), (&[0x81, 2, b'a'], b"")] {
            let (mut client, client_far) = duplex(64);
            let (mut backend, backend_far) = duplex(64);
            let (cut, is_cut) = tokio::sync::oneshot::channel::<()>();
            let cut_off = async {
                let _ = is_cut.await;
            };
            let spliced = splice_until(client_far, backend_far, b"", None, cut_off, b"bye");
            let client_side = async {
                let mut begun = vec![0; said.len()];
                backend.write_all(said).await.unwrap();
                client.read_exact(&mut begun).await.unwrap();
                cut.send(()).unwrap();
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                rest
            };
            let (spliced, rest) = tokio::join!(spliced, client_side);
            assert!(matches!(spliced.end, SpliceEnd::Cut), "{spliced:?}");
            assert_eq!(rest, farewell);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_of_both_sides_ends_it_and_activity_of_one_does_not() {
        let idle = Duration::from_secs(10);
        let (mut client, client_far) = duplex(64);
        let (_backend, backend_far) = duplex(1024);
        let begun = Instant::now();
        let talk = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(8)).await;
                client.write_all(b"x").await.unwrap();
            }
        };
        let (spliced, ()) = tokio::join!(splice(client_far, backend_far, b"", Some(idle)), talk);
        assert!(matches!(spliced.end, SpliceEnd::Idle), "{spliced:?}");
        assert_eq!(spliced.sent_bytes, 5);
        assert_eq!(begun.elapsed().as_secs(), 50);
    }
}
