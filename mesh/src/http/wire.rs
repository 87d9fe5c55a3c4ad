//! A connection's two buffers: what has been read and not understood yet, what is to be written.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::spare;
use crate::io::{Io, advance};

/// How much is read at first, in bytes. Most heads and many bodies fit.
const READ_BYTES_MIN: usize = 4 * 1024;
/// How much is read at once when reads keep coming back full.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Chunks up to this size are copied behind what is queued already; larger ones are written from where they lie.
const COPY_BYTES_MAX: usize = 4 * 1024;
/// Above this, the queue must be written before more is put into it.
const QUEUE_BYTES_MAX: usize = 64 * 1024;

/// A stream, with what was read from it and what is to be written to it.
#[derive(Debug)]
pub(crate) struct Wire {
    io: Io,
    /// Read, not consumed yet.
    pub(crate) read: BytesMut,
    /// To be written.
    pub(crate) out: WriteQueue,
    read_bytes: usize,
    /// Bytes read so far, for telemetry.
    pub(crate) total_in: u64,
    /// Bytes written so far.
    pub(crate) total_out: u64,
}

impl Wire {
    pub(crate) fn new(io: Io) -> Self {
        Self {
            io,
            read: BytesMut::new(),
            out: WriteQueue::default(),
            read_bytes: READ_BYTES_MIN,
            total_in: 0,
            total_out: 0,
        }
    }

    /// The stream itself, with the bytes that were read and not consumed.
    pub(crate) fn into_parts(self) -> (Io, Bytes) {
        (self.io, self.read.freeze())
    }

    /// Reads once. Ready with 0 at the end of the stream. While nothing has been read, no buffer is kept.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let before = self.read.len();
        if self.read.is_empty() {
            spare::give(std::mem::replace(&mut self.read, spare::take(self.read_bytes)));
        } else {
            self.read.reserve(self.read_bytes);
        }
        let polled = tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.read);
        if self.read.is_empty() {
            spare::give(std::mem::take(&mut self.read));
        }
        ready!(polled)?;
        let n = self.read.len() - before;
        if n >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        } else if n < self.read_bytes / 4 {
            self.read_bytes = READ_BYTES_MIN;
        }
        self.total_in += n as u64;
        Poll::Ready(Ok(n))
    }

    /// Writes what is queued, and flushes.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let n = match self.out.slices() {
                (head, []) | ([], head) => ready!(Pin::new(&mut self.io).poll_write(cx, head))?,
                (head, chunk) => {
                    let slices = [IoSlice::new(head), IoSlice::new(chunk)];
                    ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices))?
                }
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.total_out += n as u64;
            self.out.advance(n);
        }
        if let Io::Tcp(_) = self.io { Poll::Ready(Ok(())) } else { Pin::new(&mut self.io).poll_flush(cx) }
    }

    /// Whether the peer has closed its side, though bytes before that may wait to be read.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        self.io.is_closed_by_peer()
    }

    /// Says that nothing more will be written.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// What is to be written: small pieces gathered in one buffer, then perhaps one large chunk and what follows it.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    small: BytesMut,
    chunk: Bytes,
    after: &'static [u8],
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.chunk.is_empty()
    }

    /// Whether it should be written before more is put in.
    pub(crate) fn is_full(&self) -> bool {
        !self.chunk.is_empty() || self.small.len() >= QUEUE_BYTES_MAX
    }

    /// The buffer of small pieces. Only while [`Self::is_full`] is false.
    pub(crate) fn small(&mut self) -> &mut BytesMut {
        self.settle();
        if self.small.capacity() == 0 {
            self.small = spare::take(0);
        }
        &mut self.small
    }

    pub(crate) fn put_slice(&mut self, bytes: &[u8]) {
        self.small().extend_from_slice(bytes);
    }

    /// `chunk`, and `after` it.
    pub(crate) fn put(&mut self, chunk: Bytes, after: &'static [u8]) {
        self.settle();
        if chunk.len() <= COPY_BYTES_MAX {
            self.small.extend_from_slice(&chunk);
            self.small.extend_from_slice(after);
        } else {
            self.chunk = chunk;
            self.after = after;
        }
    }

    /// `2a\r\n`.
    pub(crate) fn put_hex_line(&mut self, n: usize) {
        let mut digits = [0u8; 18];
        let mut at = digits.len();
        let mut rest = n;
        for byte in b"\n\r" {
            at -= 1;
            if let Some(slot) = digits.get_mut(at) {
                *slot = *byte;
            }
        }
        loop {
            at -= 1;
            if let (Some(slot), Some(digit)) = (digits.get_mut(at), b"0123456789ABCDEF".get(rest & 15)) {
                *slot = *digit;
            }
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        self.put_slice(digits.get(at..).unwrap_or_default());
    }

    /// A large chunk that still waits is copied: rare, since callers write before they put more.
    fn settle(&mut self) {
        if !self.chunk.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            self.small.extend_from_slice(&chunk);
            self.small.extend_from_slice(self.after);
            self.after = b"";
        }
    }

    fn slices(&self) -> (&[u8], &[u8]) {
        (&self.small, &self.chunk)
    }

    fn advance(&mut self, n: usize) {
        let had_chunk = !self.chunk.is_empty();
        advance(&mut self.small, &mut self.chunk, n);
        if self.small.is_empty() {
            spare::give(std::mem::take(&mut self.small));
        }
        if had_chunk && self.chunk.is_empty() {
            self.chunk = Bytes::new();
            self.small.extend_from_slice(self.after);
            self.after = b"";
        }
    }

    #[cfg(test)]
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        self.settle();
        self.small.split().to_vec()
    }
}

/// Reads at most `limit` bytes and throws them away, so that a peer that still sends can read our last words.
pub(crate) fn poll_discard(wire: &mut Wire, cx: &mut Context<'_>, limit: &mut usize) -> Poll<()> {
    let mut scratch = [std::mem::MaybeUninit::<u8>::uninit(); 4096];
    loop {
        let mut buffer = ReadBuf::uninit(&mut scratch);
        match ready!(Pin::new(&mut wire.io).poll_read(cx, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => return Poll::Ready(()),
            Err(_) => return Poll::Ready(()),
            Ok(()) => match limit.checked_sub(buffer.filled().len()) {
                Some(rest) => *limit = rest,
                None => return Poll::Ready(()),
            },
        }
    }
}
