//! Lines of events beside their data.

use super::{
    Scratch, Unscreenable,
    data::{Edit, Halt, Screening, under},
    parts::Parts,
};
use crate::guard::screen::{Flow, Sink};

impl Screening {
    /// Comments, ids and whatever else stands in lines of their own.
    pub(super) fn lines(&self, parts: &Parts<'_>, scratch: &mut Scratch) -> Result<(), Halt> {
        let under = under(&self.guardrails, self.values.as_ref());
        for range in &parts.others {
            let line = parts.bytes(range);
            std::str::from_utf8(line).map_err(|_| Unscreenable::NotUtf8)?;
            let from = scratch.made.len();
            let mut sink = Line { made: &mut scratch.made, is_altered: false };
            let mut text = under.text();
            let screen = &mut scratch.buffers.screen;
            let flow = match text.push(under.direction, line, screen, &mut sink) {
                Flow::Untouched | Flow::Changed => text.finish(under.direction, screen, &mut sink),
                flow => flow,
            };
            match flow {
                Flow::Untouched | Flow::Changed if sink.is_altered => {
                    scratch.edits.push(Edit { range: range.clone(), made: from..scratch.made.len() });
                }
                Flow::Untouched | Flow::Changed => scratch.made.truncate(from),
                Flow::Blocked(rule) => return Err(Halt::Blocked(rule)),
                Flow::Overrun => return Err(Unscreenable::Overrun.into()),
            }
        }
        Ok(())
    }
}

/// Writes a line. What stands in the place of something in it is in the same line.
struct Line<'m> {
    made: &'m mut Vec<u8>,
    is_altered: bool,
}

impl Sink for Line<'_> {
    fn pass(&mut self, bytes: &[u8]) {
        self.made.extend_from_slice(bytes);
    }

    fn replace(&mut self, _: &[u8], _: usize, with: Option<&str>) {
        self.is_altered = true;
        self.made.extend(with.unwrap_or_default().bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }

    fn restore(&mut self, _: &[u8], value: &str) {
        self.is_altered = true;
        self.made.extend(value.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    }
}
