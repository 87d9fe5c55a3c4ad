//! One text under a direction, in pieces.

use super::{Direction, Speaker};
use crate::guard::engine::{Filter, Finding, Output, Piece, Verdict};

/// One text that is being screened. It holds back what may yet become a match, and nothing else.
#[derive(Debug)]
pub struct Text {
    /// `None`: no rule looks at what this speaker says.
    filter: Option<Filter>,
}

/// What is used again for every text: of an exchange, one is enough.
#[derive(Debug, Default)]
pub struct Scratch {
    output: Output,
    /// What was found since somebody took it, by rules of the direction's engine.
    pub findings: Vec<Finding>,
}

/// Takes what is decided, in order. The lengths of what it is given add up to what was pushed.
pub trait Sink {
    /// These bytes go on unchanged.
    fn pass(&mut self, bytes: &[u8]);

    /// These bytes are part of a span. `with` stands in its place, where the span begins; `None` if it began earlier.
    fn replace(&mut self, bytes: &[u8], rule: usize, with: Option<&str>);
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// Exactly what was pushed goes on, and nothing is held: whoever has it in another form may forward that.
    Untouched,
    /// Something is held, was held, or is replaced.
    Changed,
    /// A rule ended the text, by its place in the engine; nothing more comes of it.
    Blocked(usize),
    /// The text asked for more than is allowed of one. Nothing more comes of it.
    Overrun,
}

impl Text {
    /// A text of which nothing has come yet.
    pub fn new(direction: &Direction, speaker: Speaker) -> Self {
        let rules = direction.engine().zip(direction.selection(speaker));
        Self { filter: rules.map(|(engine, selection)| Filter::new(engine.clone(), selection.clone())) }
    }

    /// Takes the next bytes, and gives what is decided now.
    pub fn push(&mut self, direction: &Direction, bytes: &[u8], scratch: &mut Scratch, sink: &mut impl Sink) -> Flow {
        let Some(filter) = &mut self.filter else {
            sink.pass(bytes);
            return Flow::Untouched;
        };
        filter.push(bytes, &mut scratch.output);
        scratch.give(direction, bytes, sink)
    }

    /// Gives what is left when the text is over.
    pub fn finish(&mut self, direction: &Direction, scratch: &mut Scratch, sink: &mut impl Sink) -> Flow {
        let Some(filter) = &mut self.filter else { return Flow::Untouched };
        filter.finish(&mut scratch.output);
        scratch.give(direction, &[], sink)
    }

    /// Bytes that have come and of which nothing has been said.
    pub fn held(&self) -> usize {
        self.filter.as_ref().map_or(0, Filter::held)
    }
}

impl Scratch {
    fn give(&mut self, direction: &Direction, pushed: &[u8], sink: &mut impl Sink) -> Flow {
        self.findings.extend_from_slice(&self.output.findings);
        let untouched = self.output.is_untouched();
        for piece in &self.output.pieces {
            let (range, masked) = match piece {
                Piece::Pass(range) => (range, None),
                Piece::Mask { range, rule, begins } => (range, Some((*rule, *begins))),
            };
            let (before, here) = self.output.text(range, pushed);
            match masked {
                None => [before, here].into_iter().filter(|part| !part.is_empty()).for_each(|part| sink.pass(part)),
                Some((rule, begins)) => {
                    let with = begins.then(|| direction.replacement(rule));
                    if before.is_empty() {
                        sink.replace(here, rule, with);
                    } else {
                        sink.replace(before, rule, with);
                        if !here.is_empty() {
                            sink.replace(here, rule, None);
                        }
                    }
                }
            }
        }
        match &self.output.verdict {
            Verdict::Pass if untouched => Flow::Untouched,
            Verdict::Pass => Flow::Changed,
            Verdict::Block(finding) => Flow::Blocked(finding.rule),
            Verdict::Overrun => Flow::Overrun,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{
        guard::{
            engine::{Action, Rule},
            screen::{Detector, OnError, Origin, Reaction, Speakers, Stage},
        },
        snapshot::DocumentId,
    };

    #[derive(Default)]
    struct Written {
        text: Vec<u8>,
        taken: usize,
    }

    impl Sink for Written {
        fn pass(&mut self, bytes: &[u8]) {
            self.taken += bytes.len();
            self.text.extend_from_slice(bytes);
        }

        fn replace(&mut self, bytes: &[u8], _: usize, with: Option<&str>) {
            self.taken += bytes.len();
            self.text.extend_from_slice(with.unwrap_or_default().as_bytes());
        }
    }

    fn direction(reaction: Reaction, action: Action, speakers: Speakers) -> Direction {
        let policy = DocumentId { group: "g".into(), kind: "k".into(), namespace: "n".into(), name: "p".into() };
        let stage = Stage {
            policy,
            name: "numbers".into(),
            detector: Detector::Patterns,
            reaction,
            speakers,
            is_shadow: false,
            on_error: OnError::Block,
        };
        let origin = Origin { stage: 0, rule: "number".into(), kind: "NUMBER".into() };
        Direction::new(vec![stage], vec![(origin, Rule::new("number", "[0-9]{3}-[0-9]{3}", action))]).unwrap()
    }

    fn run(direction: &Direction, speaker: Speaker, pieces: &[&str]) -> (String, Flow, usize) {
        let (mut text, mut scratch, mut sink) = (Text::new(direction, speaker), Scratch::default(), Written::default());
        for piece in pieces {
            let flow = text.push(direction, piece.as_bytes(), &mut scratch, &mut sink);
            if !matches!(flow, Flow::Untouched | Flow::Changed) {
                return (String::from_utf8(sink.text).unwrap(), flow, scratch.findings.len());
            }
        }
        let flow = text.finish(direction, &mut scratch, &mut sink);
        assert_eq!(sink.taken, pieces.concat().len());
        (String::from_utf8(sink.text).unwrap(), flow, scratch.findings.len())
    }

    #[test]
    fn a_span_is_replaced_once_however_it_comes() {
        let masks = direction(Reaction::Mask, Action::Mask("[numbers]".into()), Speakers::EVERYBODY);
        for pieces in [&["call 555-123 now"][..], &["call 5", "55-", "12", "3 now"], &["call 555-12", "3", " now"]] {
            let (text, _, findings) = run(&masks, Speaker::User, pieces);
            assert_eq!((text.as_str(), findings), ("call [numbers] now", 1));
        }
        let (text, flow, _) = run(&masks, Speaker::User, &["call 555-12"]);
        assert_eq!((text.as_str(), flow), ("call 555-12", Flow::Changed));
    }

    #[test]
    fn a_text_that_is_blocked_says_nothing_of_the_match() {
        let blocks = direction(Reaction::Block, Action::Block, Speakers::EVERYBODY);
        let (text, flow, findings) = run(&blocks, Speaker::User, &["call 5", "55-123 now"]);
        assert_eq!((text.as_str(), flow, findings), ("call ", Flow::Blocked(0), 1));
    }

    #[test]
    fn a_stage_looks_only_at_what_its_speakers_say() {
        let masks = direction(Reaction::Mask, Action::Mask("*".into()), Speakers::of([Speaker::Tool]));
        assert_eq!(run(&masks, Speaker::Tool, &["555-123"]).0, "*");
        let (text, flow, _) = run(&masks, Speaker::System, &["555-123"]);
        assert_eq!((text.as_str(), flow), ("555-123", Flow::Untouched));
    }
}
