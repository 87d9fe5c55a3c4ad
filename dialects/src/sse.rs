//! Server-sent events: where one ends, and whether a stream ended as it should.
//!
//! Streams that pass through are only followed: a [`Tail`] keeps their last bytes, so that an answer that breaks off is
//! never taken for a complete one. Streams that are looked into are cut into events by a [`Splitter`], which gives the
//! same events whatever pieces the bytes come in.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>: lines end with LF, CR or
//! CR LF, an empty line ends an event, one byte order mark at the beginning is ignored.

mod tail;

pub use portcullis_policy::guard::lanes::stream::splitter::{Bounds, Event, Splitter, TooLong};

pub use self::tail::{Ending, Tail};

/// Whether a content type is that of an event stream.
pub fn is_event_stream(content_type: &[u8]) -> bool {
    const NAME: &[u8] = b"text/event-stream";
    content_type.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
}
