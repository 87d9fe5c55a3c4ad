//! Buffers that lie spare on a core. Most reads find nothing and most buffers are done with before the next is needed,
//! so a few serve every connection of a worker, and an idle connection keeps none.

use std::cell::RefCell;

use bytes::BytesMut;

/// The room of every buffer, in bytes, if no more is asked for. All are alike, so that each serves whoever comes.
const BYTES_MIN: usize = 4 * 1024;
/// Buffers kept for later, per thread.
const BUFFERS_MAX: usize = 8;
/// Larger ones are given back to the allocator, in bytes.
const BYTES_MAX: usize = 16 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with at least this much room, in bytes.
pub(crate) fn take(room: usize) -> BytesMut {
    let mut buffer = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    // If others still hold parts of it, this is a new one; else all of it is room again.
    buffer.reserve(room.max(BYTES_MIN));
    buffer
}

/// Takes a buffer whose content nobody needs.
pub(crate) fn give(mut buffer: BytesMut) {
    if buffer.capacity() > BYTES_MAX {
        return;
    }
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < BUFFERS_MAX {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_still_hold_is_not_written_over() {
        let mut buffer = take(4096);
        buffer.extend_from_slice(b"held, not held");
        let held = buffer.split_to(4).freeze();
        give(buffer);
        let mut next = take(4096);
        assert!(next.is_empty());
        next.extend_from_slice(&[b'x'; 4096]);
        assert_eq!(&held[..], b"held");
    }

    #[test]
    fn few_and_small_buffers_are_kept() {
        (0..2 * BUFFERS_MAX).for_each(|_| give(BytesMut::with_capacity(64)));
        give(BytesMut::with_capacity(BYTES_MAX + 1));
        SPARE.with_borrow(|spare| {
            assert!(spare.len() <= BUFFERS_MAX);
            assert!(spare.iter().all(|buffer| buffer.capacity() <= BYTES_MAX));
        });
    }
}
