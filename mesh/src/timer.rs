//! One timer for a whole connection, so that a request costs no insertion into the runtime's timer wheel.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tokio::time::{Sleep, sleep_until};

/// A deadline that is moved often and rarely reached. Moving it later is one store; the sleep below is only re-armed
/// when it fires too early.
#[derive(Debug, Default)]
pub struct LazyTimer {
    deadline: Option<Instant>,
    armed: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// Expire at `deadline`.
    pub fn set(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Do not expire.
    pub fn clear(&mut self) {
        self.deadline = None;
    }

    /// Whether a deadline is set.
    pub fn is_set(&self) -> bool {
        self.deadline.is_some()
    }

    /// Ready once the deadline has passed; registers the task to be woken then.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                // Armed for later than the deadline: it would wake too late.
                if self.armed.is_none_or(|armed| armed > deadline) {
                    sleep.as_mut().reset(deadline.into());
                    self.armed = Some(deadline);
                }
                sleep
            }
            empty => {
                self.armed = Some(deadline);
                empty.insert(Box::pin(sleep_until(deadline.into())))
            }
        };
        loop {
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = None;
            if tokio::time::Instant::now().into_std() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline.into());
            self.armed = Some(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn moving_a_deadline_later_and_earlier_is_honoured() {
        let start = tokio::time::Instant::now();
        let mut timer = LazyTimer::default();
        timer.set(start.into_std() + Duration::from_secs(1));
        assert!(futures_util::poll!(std::pin::pin!(poll_fn(|cx| timer.poll_expired(cx)))).is_pending());
        timer.set(start.into_std() + Duration::from_secs(5));
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
        timer.set(start.into_std() + Duration::from_mins(1));
        assert!(futures_util::poll!(std::pin::pin!(poll_fn(|cx| timer.poll_expired(cx)))).is_pending());
        timer.set(start.into_std() + Duration::from_secs(7));
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 7);
    }
}
