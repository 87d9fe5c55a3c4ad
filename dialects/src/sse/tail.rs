//! How a stream of events ended, from its last bytes.

use std::fmt;

use memchr::{memmem, memrchr2};

use crate::refusal::Dialect;

/// How many of the last bytes are kept: enough for the events that end streams.
const KEPT_BYTES: usize = 128;

/// How a stream of events stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its last event was the one that ends a stream of this dialect.
    Complete,
    /// It stands between two events.
    BetweenEvents,
    /// It stands inside an event.
    MidEvent,
}

/// Follows a stream that passes through; costs the same for a chunk of any length, and holds its last bytes only.
#[derive(Clone)]
pub struct Tail {
    dialect: Dialect,
    kept: [u8; KEPT_BYTES],
    len: usize,
    is_complete: bool,
}

impl Tail {
    /// At the beginning of a stream of this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, kept: [0; KEPT_BYTES], len: 0, is_complete: false }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        let new = chunk.get(chunk.len().saturating_sub(KEPT_BYTES)..).unwrap_or_default();
        let old = self.len.min(KEPT_BYTES - new.len());
        self.kept.copy_within(self.len - old..self.len, 0);
        if let Some(place) = self.kept.get_mut(old..old + new.len()) {
            place.copy_from_slice(new);
        }
        self.len = old + new.len();
        // Comments of any length may follow the last event, so once seen is seen.
        self.is_complete = self.is_complete || self.ends_complete();
    }

    /// How the stream stands.
    pub fn ending(&self) -> Ending {
        if !self.is_between_events() {
            Ending::MidEvent
        } else if self.is_complete {
            Ending::Complete
        } else {
            Ending::BetweenEvents
        }
    }

    /// Whether a stream that ends here was cut off. `by_close`: nothing but the end of the connection ended it (neither
    /// a length nor a last chunk), so a backend that died looks the same as one that was done. Then streams of dialects
    /// that have a last event must have had it. What ends properly in the middle of an event is no stream of any dialect
    /// that we know; in an unknown one, it is its author's affair.
    pub fn is_truncated(&self, by_close: bool) -> bool {
        match self.ending() {
            Ending::Complete => false,
            Ending::BetweenEvents => by_close && matches!(self.dialect, Dialect::OpenAi | Dialect::Anthropic),
            Ending::MidEvent => by_close || self.dialect != Dialect::Plain,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.kept.get(..self.len).unwrap_or_default()
    }

    /// Two line ends in a row, or nothing at all.
    fn is_between_events(&self) -> bool {
        let Some(line) = without_line_end(self.bytes()) else { return self.len == 0 };
        matches!(line.last(), None | Some(b'\n' | b'\r'))
    }

    /// Whether the last bytes are the event that ends a stream of this dialect.
    fn ends_complete(&self) -> bool {
        // No scan where none can match: nearly all chunks of nearly all streams end here.
        if !matches!(self.bytes().last(), Some(b'\n' | b'\r')) || !self.is_between_events() {
            return false;
        }
        let (text, last_line) = without_comments(self.bytes());
        match self.dialect {
            Dialect::OpenAi => matches!(last_line, b"data: [DONE]" | b"data:[DONE]"),
            // In the last event alone: quotes inside of a text would be escaped.
            Dialect::Anthropic => {
                // Nearly every event is another one.
                if memmem::find(text, b"message_stop").is_none() && memmem::find(text, b"event: error").is_none() {
                    return false;
                }
                let event = text.get(start_of_last_event(text)..).unwrap_or_default();
                event.starts_with(b"event: message_stop")
                    || event.starts_with(b"event: error")
                    || [&b"\"type\":\"message_stop\""[..], b"\"type\": \"message_stop\""]
                        .iter()
                        .any(|mark| memmem::find(event, mark).is_some())
            }
            // The last event of a response holds all of it, and Triton's streams have no last event.
            Dialect::OpenAiResponses | Dialect::KserveHttp | Dialect::Grpc | Dialect::Plain => false,
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: they are what a model said to someone.
        f.debug_struct("Tail").field("dialect", &self.dialect).field("ending", &self.ending()).finish_non_exhaustive()
    }
}

fn without_line_end(text: &[u8]) -> Option<&[u8]> {
    text.strip_suffix(b"\r\n").or_else(|| text.strip_suffix(b"\n")).or_else(|| text.strip_suffix(b"\r"))
}

/// The text up to its last line that is neither empty nor a comment, and that line.
fn without_comments(mut text: &[u8]) -> (&[u8], &[u8]) {
    loop {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        text = text.get(..end).unwrap_or_default();
        let start = memrchr2(b'\n', b'\r', text).map_or(0, |at| at + 1);
        match text.split_at_checked(start) {
            Some((before, [b':', ..])) => text = before,
            Some((_, line)) => return (text, line),
            None => return (text, &[]),
        }
    }
}

/// Behind the last empty line.
fn start_of_last_event(text: &[u8]) -> usize {
    let ends = [&b"\n\n"[..], b"\r\r", b"\r\n\r\n"];
    ends.iter().filter_map(|end| memmem::rfind(text, end).map(|at| at + end.len())).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(dialect: Dialect, chunks: &[&str]) -> Ending {
        let mut tail = Tail::new(dialect);
        for chunk in chunks {
            tail.push(chunk.as_bytes());
        }
        tail.ending()
    }

    /// However the bytes come.
    fn check(dialect: Dialect, stream: &str, expected: Ending) {
        assert_eq!(ending(dialect, &[stream]), expected, "{stream:?}");
        for at in (0..=stream.len()).filter(|at| stream.is_char_boundary(*at)) {
            let (head, rest) = stream.split_at(at);
            assert_eq!(ending(dialect, &[head, rest]), expected, "{head:?} {rest:?}");
        }
        let bytes: Vec<_> = stream.split("").collect();
        assert_eq!(ending(dialect, &bytes), expected, "{stream:?} by characters");
    }

    #[test]
    fn streams_end_between_events_or_within_one() {
        for dialect in [Dialect::OpenAi, Dialect::Plain] {
            for whole in [
                "",
                "data: a\n\n",
                "data: a\r\n\r\n",
                "data: a\r\r",
                "data: a\n\r\n",
                "data: a\r\n\n",
                ": ping\n\n",
                "data: a\n\n\n",
                "\n",
            ] {
                check(dialect, whole, Ending::BetweenEvents);
            }
            for cut in [
                "d",
                "data: a",
                "data: a\n",
                "data: a\r\n",
                "data: a\r",
                "data: a\n\ndata: b",
                "data: a\n\nd",
                "data: a\n\ndata: b\r\n",
                ": ping",
            ] {
                check(dialect, cut, Ending::MidEvent);
            }
        }
        let long = format!("data: {}", "x".repeat(1000));
        assert_eq!(ending(Dialect::Plain, &[&long]), Ending::MidEvent);
        assert_eq!(ending(Dialect::Plain, &[&long, "\n", "\n"]), Ending::BetweenEvents);
    }

    #[test]
    fn openai_streams_end_with_done() {
        for whole in
            ["data: {}\n\ndata: [DONE]\n\n", "data:[DONE]\n\n", "data: [DONE]\r\n\r\n", "data: [DONE]\n\n: bye\n\n"]
        {
            check(Dialect::OpenAi, whole, Ending::Complete);
        }
        for open in
            ["data: {\"content\":\"data: [DONE]\"}\n\n", "data: [DONE] \n\n", "xdata: [DONE]\n\n", ": data: [DONE]\n\n"]
        {
            check(Dialect::OpenAi, open, Ending::BetweenEvents);
        }
        check(Dialect::OpenAi, "data: [DONE]\n", Ending::MidEvent);
        check(Dialect::OpenAi, "data: [DONE]\n\ndata: more", Ending::MidEvent);
    }

    #[test]
    fn anthropic_streams_end_with_message_stop() {
        for whole in [
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "event: ping\ndata: {}\n\nevent: message_stop\ndata: {\"type\": \"message_stop\"      }\n\n",
            "data: {\"type\":\"message_stop\"}\r\n\r\n",
            "event: error\ndata: {\"type\":\"error\"}\n\n",
        ] {
            check(Dialect::Anthropic, whole, Ending::Complete);
        }
        for open in [
            "event: content_block_delta\ndata: {\"text\":\"event: message_stop\"}\n\n",
            "data: {\"text\":\"{\\\"type\\\":\\\"message_stop\\\"}\"}\n\n",
            "event: message_delta\ndata: {}\n\n",
        ] {
            check(Dialect::Anthropic, open, Ending::BetweenEvents);
        }
    }

    #[test]
    fn what_counts_as_truncated_depends_on_how_it_ended() {
        let check = |dialect, stream: &str, by_close, expected| {
            let mut tail = Tail::new(dialect);
            tail.push(stream.as_bytes());
            assert_eq!(tail.is_truncated(by_close), expected, "{dialect:?} {stream:?} {by_close}");
        };
        check(Dialect::OpenAi, "data: {}\n\n", true, true);
        check(Dialect::OpenAi, "data: {}\n\n", false, false);
        check(Dialect::OpenAi, "data: [DONE]\n\n", true, false);
        check(Dialect::OpenAi, "data: {", false, true);
        check(Dialect::KserveHttp, "data: {}\n\n", true, false);
        check(Dialect::KserveHttp, "data: {}\n", true, true);
        check(Dialect::Plain, "", true, false);
        check(Dialect::Plain, "data: {", true, true);
        check(Dialect::Plain, "data: {", false, false);
    }

    #[test]
    fn what_was_said_is_not_printed() {
        let mut tail = Tail::new(Dialect::OpenAi);
        tail.push(b"data: secret\n\n");
        assert!(!format!("{tail:?}").contains("secret"));
    }
}
