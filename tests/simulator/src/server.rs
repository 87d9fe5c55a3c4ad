//! Connections: HTTP/1.1 and HTTP/2 on one port, and their ends, orderly or not.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use crate::{call, simulator::State};

/// The pause after a connection could not be accepted, as when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until aborted; they end with it.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How a connection is to end. Clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ending(Arc<EndingState>);

#[derive(Debug, Default)]
struct EndingState {
    with_reset: AtomicBool,
    now: Notify,
    after_this: Notify,
}

impl Ending {
    /// Resets the connection now.
    pub(crate) fn reset(&self) {
        self.0.with_reset.store(true, Relaxed);
        self.0.now.notify_one();
    }

    /// Closes the connection now, whatever was promised.
    pub(crate) fn close(&self) {
        self.0.now.notify_one();
    }

    /// Closes the connection when the answer is out.
    pub(crate) fn close_after_this(&self) {
        self.0.after_this.notify_one();
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let ending = Ending::default();
    let wire = Wire { stream, ending: ending.clone() };
    let service = service_fn(|request| {
        let (state, ending) = (Arc::clone(&state), ending.clone());
        async move { Ok::<_, Infallible>(call::call(state, ending, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().preserve_header_case(false);
    let served = builder.serve_connection(TokioIo::new(wire), service);
    let mut served = std::pin::pin!(served);
    let mut closing = false;
    loop {
        // The connection first: what was said before it ends is written before it ends.
        tokio::select! {
            biased;
            _ = served.as_mut() => return,
            () = ending.0.now.notified() => return,
            () = ending.0.after_this.notified(), if !closing => {
                closing = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A TCP stream that is reset when dropped, if that is how it is to end.
struct Wire {
    stream: TcpStream,
    ending: Ending,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.ending.0.with_reset.load(Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
