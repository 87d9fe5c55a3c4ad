//! Screens an event stream as it goes by: bytes in, bytes out.
//!
//! # Texts
//! A text of an answer comes in parts, an event each; a stream has as many texts as it has choices, blocks, tool calls, and
//! fields that grow. Each is screened as one text, however it was cut. Strings that do not grow (names, copies of what was
//! said, comments, ids) are texts of their own.
//!
//! # What goes out
//! - An event of which nothing is held and nothing replaced goes out as it came, byte for byte.
//! - No event is dropped, and their order stays: where all of its text waits, an event goes out with an empty string, so that
//!   whoever counts events, or reads `role`, `usage` or a reason to end, misses nothing.
//! - What was held goes out with the next event of its text. Where the text ends first (`finish_reason`,
//!   `content_block_stop`, `…done`, `[DONE]`), it goes out in that event if that says something of the same text, otherwise
//!   right before it in an event of its own, made of the text's last one.
//! - Events of Responses count themselves (`sequence_number`). One that is put between two takes the next number, and those
//!   after it count on from there; until then numbers stay as they came.
//! - A stream that breaks off has no end: what is held is dropped.
//!
//! # Tokens
//! What a server tells of each token (`logprobs`) says the text once more. An entry goes out when its text does, and is left
//! out if any of it is replaced, or if an alternative says what must not be said. From where the tokens do not come to the
//! text, all are left out. What would go out in an event of the text's own making goes out without them.
//!
//! # Fields that no table knows
//! Whoever adds a field `x` to each event may add a text in parts, so a string at the same place of event after event is one
//! text: held back like any other, and flushed when its choice or the stream ends. Where a field only repeats a constant, a
//! part of it may move to the next event; [`UnknownFields`](crate::guard::screen::UnknownFields) says otherwise for a route.
//!
//! # What ends a stream
//! A rule that blocks: what was decided before the match goes out, then the dialect's own ending. What cannot be read as the
//! dialect says ([`Unscreenable`]): nothing more goes out, and the caller says why in the dialect's error event.

mod arguments;
mod compare;
mod data;
mod ending;
mod escapes;
mod kinds;
mod lane;
mod lines;
mod parts;
mod said;
pub mod splitter;
mod telling;
mod template;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::{
    data::Screening,
    splitter::{Bounds, Splitter, TooLong},
};
use crate::guard::{engine::Finding, lanes::shape::Api, placeholders::Values, screen::Guardrails};

/// Texts of one stream. What has more is refused.
pub const LANES_MAX: usize = 1024;

/// An event stream that is being screened.
#[derive(Debug)]
pub struct EventStream {
    splitter: Splitter,
    screening: Screening,
    is_over: bool,
}

/// What is used again for every stream: a worker needs one.
#[derive(Debug, Default)]
pub struct Scratch {
    buffers: lane::Buffers,
    said: said::Said,
    /// What is written in the place of strings.
    made: Vec<u8>,
    edits: Vec<data::Edit>,
}

impl Scratch {
    /// What was found since somebody took it, by rules of the output's engine.
    pub fn findings(&mut self) -> &mut Vec<Finding> {
        &mut self.buffers.screen.findings
    }
}

/// How a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Continue,
    /// A rule has ended it. The dialect's ending has been written; nothing comes after it.
    Blocked {
        /// Which rule, by its place in the engine of the output.
        rule: usize,
    },
    /// It cannot be screened. Nothing comes after what has been written; an error event of the dialect may.
    Failed(Unscreenable),
}

/// Why a stream cannot be screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unscreenable {
    /// A line or an event is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The data of an event is no JSON.
    #[error("an event has data that is not JSON")]
    NotJson,
    /// A comment or another line is not UTF-8.
    #[error("an event has a line that is not UTF-8")]
    NotUtf8,
    /// Nothing is known of events of this type.
    #[error("an event of a type that is not known")]
    UnknownEvent,
    /// What two readers would read differently: two types, two elements for one choice, two strings for one text.
    #[error("an event that can be read in two ways")]
    TwoReadings,
    /// A picture, a sound, ids of tokens.
    #[error("an event has content that cannot be screened")]
    Opaque,
    /// A text goes on that had ended.
    #[error("a text goes on after its end")]
    AfterEnd,
    /// More texts than [`LANES_MAX`].
    #[error("more than {LANES_MAX} texts")]
    TooManyTexts,
    /// The name of a tool in parts that say together what must not be said, or too long.
    #[error("the name of a tool comes in parts")]
    NameInParts,
    /// A text asks for more than is allowed of one.
    #[error("a text takes too much to screen")]
    Overrun,
    /// The stream ended before the text did.
    #[error("the stream ended in the middle")]
    CutShort,
}

impl EventStream {
    /// A stream of this API of which nothing has come yet.
    pub fn new(api: Api, guardrails: Arc<Guardrails>) -> Self {
        Self::with_bounds(api, guardrails, Bounds::default())
    }

    /// The same, with other bounds.
    pub fn with_bounds(api: Api, guardrails: Arc<Guardrails>, bounds: Bounds) -> Self {
        Self { splitter: Splitter::new(bounds), screening: Screening::new(api, guardrails), is_over: false }
    }

    /// The same stream, in which these values of the caller's are put back in the place of placeholders.
    #[must_use]
    pub fn restoring(mut self, values: Arc<Values>) -> Self {
        self.screening.values = Some(values);
        self
    }

    /// Takes the next bytes, and appends what may go to the client.
    pub fn push(&mut self, chunk: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        let mut rest = chunk;
        if !self.is_over && self.splitter.late_line_end(&mut rest) {
            out.push(b'\n');
        }
        while !self.is_over {
            let step = match self.splitter.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(event)) => self.screening.take(&event, scratch, out),
                Err(too_long) => Step::Failed(too_long.into()),
            };
            if step != Step::Continue {
                self.is_over = true;
                self.screening.forget();
                return step;
            }
        }
        Step::Continue
    }

    /// The body is over. Where the dialect has no last event, this is the end of its texts; elsewhere what is held has not
    /// been released by an end, and is dropped.
    pub fn finish(&mut self, scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        if std::mem::replace(&mut self.is_over, true) {
            return Step::Continue;
        }
        let step = if self.splitter.is_mid_event() {
            Step::Failed(Unscreenable::CutShort)
        } else {
            out.extend_from_slice(self.splitter.rest());
            self.screening.finish(scratch, out)
        };
        self.screening.forget();
        step
    }

    /// Somebody else refuses what comes next: appends the dialect's ending. Nothing comes after it.
    pub fn block(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.screening.end(out);
            self.screening.forget();
        }
    }

    /// Bytes that have come and of which nothing has gone out: of texts, and of the event that has not ended.
    pub fn held(&self) -> usize {
        self.screening.held() + self.splitter.rest().len()
    }
}
