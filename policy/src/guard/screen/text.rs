//! One text under a direction, in pieces.

use std::sync::Arc;

use super::{Direction, Speaker};
use crate::guard::{
    engine::{Filter, Finding, Output, Piece, Verdict, Witness},
    placeholders::{self, Restorer, Values},
};

/// One text that is being screened. It holds back what may yet become a match or a placeholder, and nothing else.
#[derive(Debug)]
pub struct Text {
    /// `None`: no rule looks at what this speaker says.
    filter: Option<Filter>,
    /// After the rules: what is the caller's own is nothing that rules are for, and what was replaced is not read again.
    restorer: Option<Restorer>,
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

    /// A placeholder stood here, and the caller's own value has to.
    fn restore(&mut self, placeholder: &[u8], value: &str);
}

/// What goes on, as it goes on.
impl Sink for Vec<u8> {
    fn pass(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn replace(&mut self, _: &[u8], _: usize, with: Option<&str>) {
        self.extend_from_slice(with.unwrap_or_default().as_bytes());
    }

    fn restore(&mut self, _: &[u8], value: &str) {
        self.extend_from_slice(value.as_bytes());
    }
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
        let filter = rules.map(|(engine, selection)| Filter::new(engine.clone(), selection.clone()));
        Self { filter, restorer: None }
    }

    /// The same text, in which these values of the caller's are put back.
    #[must_use]
    pub fn restoring(mut self, values: &Arc<Values>) -> Self {
        self.restorer = (!values.is_empty()).then(|| Restorer::new(values.clone()));
        self
    }

    /// Takes the next bytes, and gives what is decided now.
    pub fn push(&mut self, direction: &Direction, bytes: &[u8], scratch: &mut Scratch, sink: &mut impl Sink) -> Flow {
        let Some(restorer) = &mut self.restorer else {
            return filtered(&mut self.filter, direction, bytes, scratch, sink);
        };
        let mut restoring = Restoring { restorer, sink, is_untouched: true };
        match filtered(&mut self.filter, direction, bytes, scratch, &mut restoring) {
            Flow::Untouched if restoring.is_untouched => Flow::Untouched,
            Flow::Untouched => Flow::Changed,
            flow => flow,
        }
    }

    /// Gives what is left when the text is over.
    pub fn finish(&mut self, direction: &Direction, scratch: &mut Scratch, sink: &mut impl Sink) -> Flow {
        let Some(restorer) = &mut self.restorer else { return ended(&mut self.filter, direction, scratch, sink) };
        let held = restorer.held() > 0;
        let mut restoring = Restoring { restorer, sink, is_untouched: true };
        let flow = ended(&mut self.filter, direction, scratch, &mut restoring);
        if !matches!(flow, Flow::Untouched | Flow::Changed) {
            return flow;
        }
        restoring.end();
        if held { Flow::Changed } else { flow }
    }

    /// Why the rules hold the first byte that they hold.
    pub fn witness(&self) -> Option<Witness> {
        self.filter.as_ref()?.witness()
    }

    /// Bytes that have come and of which nothing has been said.
    pub fn held(&self) -> usize {
        self.filter.as_ref().map_or(0, Filter::held) + self.restorer.as_ref().map_or(0, Restorer::held)
    }
}

fn filtered(
    filter: &mut Option<Filter>,
    direction: &Direction,
    bytes: &[u8],
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Flow {
    let Some(filter) = filter else {
        sink.pass(bytes);
        return Flow::Untouched;
    };
    filter.push(bytes, &mut scratch.output);
    scratch.give(direction, bytes, sink)
}

fn ended(filter: &mut Option<Filter>, direction: &Direction, scratch: &mut Scratch, sink: &mut impl Sink) -> Flow {
    let Some(filter) = filter else { return Flow::Untouched };
    filter.finish(&mut scratch.output);
    scratch.give(direction, &[], sink)
}

/// Puts values back into what rules let go.
struct Restoring<'s, S> {
    restorer: &'s mut Restorer,
    sink: &'s mut S,
    is_untouched: bool,
}

impl<S: Sink> Restoring<'_, S> {
    fn end(&mut self) {
        self.restorer.finish(&mut Onward(self.sink));
    }
}

impl<S: Sink> Sink for Restoring<'_, S> {
    fn pass(&mut self, bytes: &[u8]) {
        self.is_untouched &= self.restorer.restore(bytes, &mut Onward(self.sink));
    }

    fn replace(&mut self, bytes: &[u8], rule: usize, with: Option<&str>) {
        // No placeholder reaches across what is replaced.
        self.end();
        self.sink.replace(bytes, rule, with);
    }

    fn restore(&mut self, placeholder: &[u8], value: &str) {
        self.end();
        self.sink.restore(placeholder, value);
    }
}

/// What a restorer says, said to a sink.
struct Onward<'s, S>(&'s mut S);

impl<S: Sink> placeholders::Sink for Onward<'_, S> {
    fn pass(&mut self, bytes: &[u8]) {
        self.0.pass(bytes);
    }

    fn value(&mut self, placeholder: &[u8], value: &str) {
        self.0.restore(placeholder, value);
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
            placeholders::{ConversationKey, Placeholders},
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
            self.text.pass(bytes);
        }

        fn replace(&mut self, bytes: &[u8], rule: usize, with: Option<&str>) {
            self.taken += bytes.len();
            self.text.replace(bytes, rule, with);
        }

        fn restore(&mut self, placeholder: &[u8], value: &str) {
            self.taken += placeholder.len();
            self.text.restore(placeholder, value);
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
    fn the_callers_own_values_come_back_and_others_do_not() {
        let masks = direction(Reaction::Mask, Action::Mask("[numbers]".into()), Speakers::EVERYBODY);
        let mut made = Placeholders::new(ConversationKey::derive(&[7; 32], "acme", b"hello"));
        let placeholder = made.placeholder("phone", "555-123").unwrap().to_owned();
        let values = made.into_values();
        let said = format!("call {placeholder}, not 555-999, on {placeholder}");
        for size in 1..=said.len() {
            let mut text = Text::new(&masks, Speaker::Assistant).restoring(&values);
            let (mut scratch, mut sink) = (Scratch::default(), Written::default());
            for piece in said.as_bytes().chunks(size) {
                text.push(&masks, piece, &mut scratch, &mut sink);
            }
            text.finish(&masks, &mut scratch, &mut sink);
            assert_eq!(String::from_utf8(sink.text).unwrap(), "call 555-123, not [numbers], on 555-123");
            assert_eq!((sink.taken, text.held()), (said.len(), 0));
        }
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
