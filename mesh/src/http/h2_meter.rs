//! Counts the frames of an HTTP/2 client that ask for nothing, in passing, before they are parsed.
//!
//! A `PING`, a `SETTINGS`, a `PRIORITY` cost their sender nine bytes and us a turn; nobody needs many of them
//! (CVE-2019-9512, -9513, -9515). What a client needs comes with requests, with bodies, or with what it was sent: a
//! window's growth, the pings by which gRPC measures a path. Those earn credit, and so does time. Padding is nothing that
//! anyone needs either. `h2` itself bounds what this does not look at: continuations, empty data, resets.

use std::time::{Duration, Instant};

/// Frames that a client may send for nothing, at most at once.
const CREDIT_MAX: usize = 2_000;
/// How long it takes to earn one.
const REFILL_INTERVAL: Duration = Duration::from_millis(2);
/// What is sent to a client earns it one frame for so many bytes.
const BYTES_PER_CREDIT: usize = 512;

/// A piece of a body earns one if it has so many bytes.
const EARNING_BYTES_MIN: usize = 64;

const HEAD_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 8;

/// What is known of one client.
#[derive(Debug)]
pub(super) struct Meter {
    /// The head of the frame that is being read.
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Bytes of the preface or of a payload that are still to come.
    skip: usize,
    credit: usize,
    refilled: Option<Instant>,
    written: usize,
    exhausted: bool,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            skip: PREFACE_BYTES,
            credit: CREDIT_MAX,
            refilled: None,
            written: 0,
            exhausted: false,
        }
    }

    /// Whether the client has sent more for nothing than anyone needs to.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// The client has sent these bytes.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            while self.skip == 0
                && let Some((&byte, rest)) = bytes.split_first()
            {
                bytes = rest;
                if let Some(slot) = self.head.get_mut(self.head_bytes) {
                    *slot = byte;
                }
                self.head_bytes += 1;
                if self.head_bytes == HEAD_BYTES {
                    self.head_bytes = 0;
                    self.frame();
                }
            }
        }
    }

    /// The client was sent so many bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= BYTES_PER_CREDIT {
            self.earn(self.written / BYTES_PER_CREDIT);
            self.written %= BYTES_PER_CREDIT;
        }
    }

    fn earn(&mut self, credit: usize) {
        self.credit = (self.credit + credit).min(CREDIT_MAX);
    }

    /// A whole head is there.
    fn frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS => return self.earn(1),
            DATA if flags & PADDED == 0 => return self.earn(usize::from(self.skip >= EARNING_BYTES_MIN)),
            CONTINUATION => return,
            _ => {}
        }
        if self.credit == 0 {
            self.refill();
        }
        match self.credit.checked_sub(1) {
            Some(left) => self.credit = left,
            None => self.exhausted = true,
        }
    }

    /// What time has earned. The clock is only asked when nothing else is left.
    fn refill(&mut self) {
        let now = Instant::now();
        // The first time it is not known since when: one frame, and from now on.
        let since = self.refilled.replace(now).map_or(REFILL_INTERVAL, |then| now - then);
        self.earn(usize::try_from(since.as_millis() / REFILL_INTERVAL.as_millis()).unwrap_or(CREDIT_MAX));
        if self.credit == 0 {
            // Too short a time to earn anything: it goes on counting.
            self.refilled = now.checked_sub(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap_or_default().to_be_bytes();
        let [_, high, middle, low] = length;
        let mut bytes = vec![high, middle, low, kind, 0, 0, 0, 0, 0];
        bytes.resize(HEAD_BYTES + payload, kind);
        bytes
    }

    /// How many of a frame are taken, in pieces of `step` bytes.
    fn taken(kind: u8, payload: usize, step: usize) -> usize {
        let mut meter = Meter::new();
        meter.read(&[b'P'; PREFACE_BYTES]);
        let bytes = frame(kind, payload);
        (0..10 * CREDIT_MAX)
            .find(|_| {
                bytes.chunks(step).for_each(|piece| meter.read(piece));
                meter.is_exhausted()
            })
            .unwrap_or(usize::MAX)
    }

    #[test]
    fn frames_for_nothing_are_bounded_however_they_arrive() {
        for (kind, payload) in [(2, 5), (4, 0), (6, 8), (8, 4), (0x77, 0)] {
            for step in [1, 4, 9, 100] {
                let taken = taken(kind, payload, step);
                assert!((CREDIT_MAX..2 * CREDIT_MAX).contains(&taken), "{kind} in pieces of {step}: {taken}");
            }
        }
    }

    #[test]
    fn requests_and_bodies_are_not_counted() {
        for kind in [DATA, HEADERS, CONTINUATION] {
            assert_eq!(taken(kind, 6, 4), usize::MAX);
        }
    }

    #[test]
    fn padded_bodies_are_bounded() {
        let mut meter = Meter::new();
        meter.read(&[b'P'; PREFACE_BYTES]);
        let mut bytes = frame(DATA, 257);
        bytes.iter_mut().skip(4).take(1).for_each(|flags| *flags = PADDED);
        (0..2 * CREDIT_MAX).for_each(|_| meter.read(&bytes));
        assert!(meter.is_exhausted());
    }

    #[test]
    fn what_is_sent_earns_credit() {
        let mut meter = Meter::new();
        meter.read(&[b'P'; PREFACE_BYTES]);
        for _ in 0..10 * CREDIT_MAX {
            meter.read(&frame(8, 4));
            meter.read(&frame(6, 8));
            meter.wrote(1024);
        }
        assert!(!meter.is_exhausted());
    }
}
