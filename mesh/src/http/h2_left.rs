//! What nobody wanted of a request's body on an HTTP/2 stream: read and dropped after the answer, within bounds.
//!
//! `h2` resets a stream whose answer is complete while its request is not (RFC 9113 §8.1 allows it). Clients that are
//! still sending then may fail without having looked at the answer, as curl does; so they are let come to their end.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};

use super::{LINGER_BYTES_MAX, LINGER_TIMEOUT};
use crate::timer::LazyTimer;

type Slot = Rc<RefCell<Option<RecvStream>>>;

/// The stream of a body, which leaves itself to whoever wants to read its rest when the body is dropped.
pub(super) struct Stream {
    /// `Some` until it is dropped.
    recv: Option<RecvStream>,
    heir: Option<Slot>,
}

impl Stream {
    /// Nobody reads the rest of it.
    pub(super) fn new(recv: RecvStream) -> Self {
        Self { recv: Some(recv), heir: None }
    }

    /// What is left of it is in [`Left`].
    pub(super) fn leaving(recv: RecvStream) -> (Self, Left) {
        let slot = Slot::default();
        (Self { recv: Some(recv), heir: Some(Rc::clone(&slot)) }, Left { slot: Some(slot), read: 0 })
    }

    /// The stream itself.
    pub(super) fn recv(&mut self) -> Option<&mut RecvStream> {
        self.recv.as_mut()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.recv.as_ref().is_none_or(RecvStream::is_end_stream)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let unread = self.recv.take().filter(|recv| !recv.is_end_stream());
        if let Some(heir) = &self.heir {
            *heir.borrow_mut() = unread;
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.recv).finish()
    }
}

/// What is left of a body.
#[derive(Default)]
pub(super) struct Left {
    /// `None`: there was no body.
    slot: Option<Slot>,
    read: usize,
}

impl Left {
    /// Reads and drops what has come. Ready when the client has sent all of it, or nothing was left.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(slot) = &self.slot else { return Poll::Ready(()) };
        let mut slot = slot.borrow_mut();
        while let Some(recv) = slot.as_mut() {
            let Some(Ok(bytes)) = ready!(recv.poll_data(cx)) else {
                *slot = None;
                break;
            };
            let _ = recv.flow_control().release_capacity(bytes.len());
            self.read += bytes.len();
            if self.read > LINGER_BYTES_MAX {
                // From now on `h2` drops what comes, and gives no more window on this stream: its client has to stop, and
                // then reads.
                *slot = None;
            }
        }
        if self.read > LINGER_BYTES_MAX { Poll::Pending } else { Poll::Ready(()) }
    }

    /// After an answer: until the client has sent all, or resets the stream, or too long.
    pub(super) async fn linger(&mut self, respond: &RefCell<SendResponse<Bytes>>) {
        let mut timer = LazyTimer::default();
        timer.set(Instant::now() + LINGER_TIMEOUT);
        poll_fn(|cx| {
            if self.poll_discard(cx).is_ready() || respond.borrow_mut().poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            timer.poll_expired(cx)
        })
        .await;
    }
}
