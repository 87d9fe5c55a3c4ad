//! Telling connections to finish, and knowing when they have.
//!
//! One [`Drain`] per worker: everything here is on one thread, so a seat costs no atomic and no lock.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Asks every seat to finish, and waits for them.
#[derive(Debug, Clone, Default)]
pub struct Drain(Rc<Room>);

#[derive(Debug, Default)]
struct Room {
    draining: Cell<bool>,
    taken: Cell<usize>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
    empty: RefCell<Option<Waker>>,
}

/// One connection's place. Free again when dropped.
#[derive(Debug)]
pub struct DrainSeat {
    room: Rc<Room>,
    seat: usize,
}

impl Drain {
    /// Takes a seat.
    pub fn seat(&self) -> DrainSeat {
        let seat = self.0.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut wakers = self.0.wakers.borrow_mut();
            wakers.push(None);
            wakers.len() - 1
        });
        self.0.taken.set(self.0.taken.get() + 1);
        DrainSeat { room: self.0.clone(), seat }
    }

    /// Asks everyone to finish.
    pub fn begin(&self) {
        self.0.draining.set(true);
        let wakers: Vec<Waker> = self.0.wakers.borrow_mut().iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether everyone has been asked to finish.
    pub fn has_begun(&self) -> bool {
        self.0.draining.get()
    }

    /// How many seats are taken.
    pub fn taken(&self) -> usize {
        self.0.taken.get()
    }

    /// Ready when no seat is taken.
    pub fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.taken.get() == 0 {
            return Poll::Ready(());
        }
        *self.0.empty.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl DrainSeat {
    /// Whether the connection has been asked to finish.
    pub fn is_draining(&self) -> bool {
        self.room.draining.get()
    }

    /// Ready when the connection is asked to finish; registers the task to be woken then.
    pub fn poll_draining(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.room.draining.get() {
            return Poll::Ready(());
        }
        if let Some(slot) = self.room.wakers.borrow_mut().get_mut(self.seat)
            && !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *slot = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for DrainSeat {
    fn drop(&mut self) {
        if let Some(slot) = self.room.wakers.borrow_mut().get_mut(self.seat) {
            *slot = None;
        }
        self.room.free.borrow_mut().push(self.seat);
        let left = self.room.taken.get().saturating_sub(1);
        self.room.taken.set(left);
        if left == 0
            && let Some(waker) = self.room.empty.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_drain_ends_when_the_last_seat_is_free() {
        let drain = Drain::default();
        let (first, second) = (drain.seat(), drain.seat());
        assert!(futures_util::poll!(std::pin::pin!(poll_fn(|cx| first.poll_draining(cx)))).is_pending());
        drain.begin();
        poll_fn(|cx| first.poll_draining(cx)).await;
        drop(first);
        assert!(futures_util::poll!(std::pin::pin!(poll_fn(|cx| drain.poll_empty(cx)))).is_pending());
        drop(second);
        poll_fn(|cx| drain.poll_empty(cx)).await;
        assert_eq!(drain.taken(), 0);
    }
}
