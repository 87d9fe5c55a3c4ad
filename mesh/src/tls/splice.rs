//! Carries bytes between two connections until both have ended: for what is not terminated here, and for upgrades.

use std::{cell::Cell, future::pending, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    select,
    time::{Instant, sleep_until},
};

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
    let (client_read, client_write) = tokio::io::split(client);
    let (backend_read, backend_write) = tokio::io::split(backend);
    let (sent, received) = (Cell::new(0), Cell::new(0));
    let last = Cell::new(Instant::now());

    let up = pump(client_read, backend_write, prelude, &sent, &last);
    let down = pump(backend_read, client_write, &[], &received, &last);
    let both = async { futures_util::future::try_join(up, down).await };
    let end = select! {
        biased;
        outcome = both => match outcome {
            Ok(_) => SpliceEnd::Finished,
            Err(error) => SpliceEnd::Failed(error),
        },
        () = silence(&last, idle) => SpliceEnd::Idle,
    };
    Splice { sent_bytes: sent.get(), received_bytes: received.get(), end }
}

async fn pump<R, W>(mut from: R, mut to: W, prelude: &[u8], count: &Cell<u64>, last: &Cell<Instant>) -> io::Result<()>
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
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
        // A TLS stream holds back what it could not send at once.
        to.flush().await?;
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
