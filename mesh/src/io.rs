//! One byte stream, whatever carries it: so that codecs need no type parameter and dispatch costs one `match`.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::{TcpStream, UnixStream},
};

/// A byte stream that is none of the usual ones: tests, and streams with bytes already read.
pub trait ByteStream: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> ByteStream for T {}

/// A connected byte stream.
pub enum Io {
    /// TCP in the clear.
    Tcp(TcpStream),
    /// TLS that clients began.
    TlsServer(Box<tokio_rustls::server::TlsStream<Socket>>),
    /// TLS that we began.
    TlsClient(Box<tokio_rustls::client::TlsStream<Socket>>),
    /// A Unix socket.
    Unix(UnixStream),
    /// Anything else.
    Other(Pin<Box<dyn ByteStream>>),
}

impl std::fmt::Debug for Io {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Io::Tcp(_) => "Io::Tcp",
            Io::TlsServer(_) => "Io::TlsServer",
            Io::TlsClient(_) => "Io::TlsClient",
            Io::Unix(_) => "Io::Unix",
            Io::Other(_) => "Io::Other",
        })
    }
}

impl Io {
    /// Wraps any other stream.
    pub fn other(stream: impl ByteStream + 'static) -> Self {
        Io::Other(Box::pin(stream))
    }

    /// The stream with `prelude` before it: bytes that were read too early.
    #[must_use]
    pub fn rewound(self, prelude: Bytes) -> Self {
        if prelude.is_empty() { self } else { Io::other(Rewound { prelude, io: self }) }
    }

    /// Whether the peer has closed its side, as far as the kernel knows: true even while bytes before that wait to be read.
    /// `false` where it cannot be known without reading.
    pub(crate) fn is_closed_by_peer(&self) -> bool {
        let tcp = match self {
            Io::Tcp(tcp) => tcp,
            Io::TlsServer(tls) => &tls.get_ref().0.0,
            Io::TlsClient(tls) => &tls.get_ref().0.0,
            Io::Unix(_) | Io::Other(_) => return false,
        };
        // Of all interests only this one does not become ready with bytes to read. Nobody registers for urgent data.
        let ready = tcp.ready(Interest::PRIORITY).now_or_never();
        ready.is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
    }

    /// Whether what travels is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Io::TlsServer(_) | Io::TlsClient(_))
    }
}

macro_rules! each {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Io::Tcp($io) => {
                let $io = Pin::new($io);
                $call
            }
            Io::TlsServer($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
            Io::TlsClient($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
            Io::Unix($io) => {
                let $io = Pin::new($io);
                $call
            }
            Io::Other($io) => {
                let $io = $io.as_mut();
                $call
            }
        }
    };
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// TCP below TLS. rustls always writes vectors, nearly always of one record; `writev` costs the kernel more than `send`.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Socket {
    /// Wraps a connected socket.
    pub fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// The socket itself.
    pub fn into_inner(self) -> TcpStream {
        self.0
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            [only] => Pin::new(&mut self.0).poll_write(cx, only),
            several => Pin::new(&mut self.0).poll_write_vectored(cx, several),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// A stream whose first bytes were read already.
struct Rewound {
    prelude: Bytes,
    io: Io,
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prelude.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.prelude.len().min(buf.remaining());
        buf.put_slice(&self.prelude.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Chunks of a vectored write, advanced by what was written.
pub(crate) fn advance(first: &mut impl Buf, second: &mut Bytes, mut n: usize) {
    let from_first = n.min(first.remaining());
    first.advance(from_first);
    n -= from_first;
    second.advance(n.min(second.len()));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_peer_is_known_before_its_bytes_are_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let io = Io::Tcp(listener.accept().await.unwrap().0);
        assert!(!io.is_closed_by_peer());
        peer.write_all(b"unread").await.unwrap();
        if let Io::Tcp(tcp) = &io {
            tcp.readable().await.unwrap();
        }
        assert!(!io.is_closed_by_peer(), "bytes are no end");
        drop(peer);
        let known = async {
            while !io.is_closed_by_peer() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), known).await.unwrap();
    }
}
