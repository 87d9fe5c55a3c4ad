//! Many writes that leave as one.
//!
//! `h2` writes and flushes every data frame by itself, which costs a TLS record and a system call for each. Between it and
//! the stream stands a [`Corked`] that gathers what it writes and takes its flushes for done; whoever owns the
//! connection lets go of what was gathered with [`Cork::poll_release`], once all streams have had their turn.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::h2_meter::Meter;
use super::spare;
use crate::io::Io;

/// What is gathered at most before it is written, in bytes: as much as fills four TLS records.
const GATHERED_BYTES_MAX: usize = 64 * 1024;
/// Writes of this many bytes are not worth copying: they go out at once, behind what was gathered.
const DIRECT_BYTES_MIN: usize = 8 * 1024;
/// The room that is made at first, in bytes.
const ROOM_BYTES_MIN: usize = 1024;

/// The hand on the cork.
#[derive(Debug, Clone)]
pub(super) struct Cork(Rc<RefCell<Gathered>>);

/// A stream whose writes wait for [`Cork::poll_release`].
#[derive(Debug)]
pub(super) struct Corked(Rc<RefCell<Gathered>>);

#[derive(Debug)]
struct Gathered {
    io: Io,
    bytes: BytesMut,
    /// How much was gathered last time: as much room will be needed next time.
    usual_bytes: usize,
    /// A write waits until something of this has left.
    blocked: bool,
    meter: Meter,
}

/// Puts a cork on a stream.
pub(super) fn cork(io: Io) -> (Corked, Cork) {
    let gathered =
        Gathered { io, bytes: BytesMut::new(), usual_bytes: ROOM_BYTES_MIN, blocked: false, meter: Meter::new() };
    let shared = Rc::new(RefCell::new(gathered));
    (Corked(shared.clone()), Cork(shared))
}

impl Cork {
    /// Writes what was gathered, as far as the stream takes it. Ready when all of it has left.
    pub(super) fn poll_release(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.0.borrow_mut();
        let polled = gathered.poll_release(cx);
        if polled.is_ready() && std::mem::take(&mut gathered.blocked) {
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// Whether the client sends so much for nothing that it should be turned away. Nothing is read from it any more.
    pub(super) fn is_flooded(&self) -> bool {
        self.0.borrow().meter.is_exhausted()
    }
}

impl Gathered {
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.usual_bytes = self.bytes.len().max(ROOM_BYTES_MIN);
        while !self.bytes.is_empty() {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &self.bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.meter.wrote(n);
            self.bytes.advance(n);
        }
        spare::give(std::mem::take(&mut self.bytes));
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let total = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let direct = total >= DIRECT_BYTES_MIN;
        if direct || self.bytes.len() + total > GATHERED_BYTES_MAX {
            self.blocked = true;
            ready!(self.poll_release(cx))?;
            self.blocked = false;
        }
        if direct {
            let n = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, pieces))?;
            self.meter.wrote(n);
            return Poll::Ready(Ok(n));
        }
        if self.bytes.is_empty() {
            self.bytes = spare::take(self.usual_bytes.max(total));
        }
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        Poll::Ready(Ok(total))
    }
}

impl AsyncRead for Corked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.0.borrow_mut();
        if gathered.meter.is_exhausted() {
            // Whoever holds the cork has its turn now, and closes.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut gathered.io).poll_read(cx, into))?;
        gathered.meter.read(into.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Corked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once: what was gathered leaves when the cork is released.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.0.borrow_mut();
        ready!(gathered.poll_release(cx))?;
        Pin::new(&mut gathered.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn small_writes_wait_and_keep_their_order() {
        let (near, mut far) = tokio::io::duplex(256 * 1024);
        let (mut corked, cork) = cork(Io::other(near));
        corked.write_all(b"one ").await.unwrap();
        corked.write_all(b"two ").await.unwrap();
        corked.flush().await.unwrap();
        let mut read = [0; 64];
        assert!(futures_util::poll!(std::pin::pin!(far.read(&mut read))).is_pending());
        poll_fn(|cx| cork.poll_release(cx)).await.unwrap();
        assert_eq!(far.read(&mut read).await.unwrap(), 8);
        assert_eq!(&read[..8], b"one two ");
    }

    #[tokio::test]
    async fn large_writes_leave_at_once_behind_the_small_ones() {
        let (near, mut far) = tokio::io::duplex(256 * 1024);
        let (mut corked, _cork) = cork(Io::other(near));
        corked.write_all(b"small").await.unwrap();
        corked.write_all(&vec![b'x'; DIRECT_BYTES_MIN]).await.unwrap();
        let mut read = vec![0; 5 + DIRECT_BYTES_MIN];
        far.read_exact(&mut read).await.unwrap();
        assert!(read.starts_with(b"smallx"));
    }

    #[tokio::test]
    async fn a_full_cork_holds_its_writer_back_and_wakes_it() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (mut corked, cork) = cork(Io::other(near));
        let written = vec![b'x'; 3 * GATHERED_BYTES_MAX];
        let writer = async {
            for piece in written.chunks(1000) {
                corked.write_all(piece).await.unwrap();
            }
            poll_fn(|cx| cork.poll_release(cx)).await.unwrap();
            corked.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let ((), n) = tokio::join!(writer, far.read_to_end(&mut read));
        assert_eq!(n.unwrap(), written.len());
    }

    #[tokio::test]
    async fn shutting_down_writes_what_was_gathered() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (mut corked, _cork) = cork(Io::other(near));
        corked.write_all(b"last words").await.unwrap();
        corked.shutdown().await.unwrap();
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"last words");
    }
}
