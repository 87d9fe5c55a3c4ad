//! Streams as servers send them, read as clients read them.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod client;
mod endings;
mod facts;
mod properties;
mod random;
mod readings;
mod servers;

use std::sync::Arc;

use super::{EventStream, LANES_MAX, Scratch, Step, Unscreenable, splitter};
use crate::{
    guard::{
        engine::{Action, ByteSet, Rule},
        lanes::shape::Api,
        screen::{
            Detector, Direction, Flow, Guardrails, OnError, Origin, Reaction, Speaker, Speakers, Stage, Tell, Text,
            UnknownFields, Unscreened,
        },
    },
    snapshot::DocumentId,
};

/// Masks numbers of social security, e-mail addresses and keys; blocks `FORBIDDEN-` and four digits.
fn guardrails() -> Arc<Guardrails> {
    guardrails_that(UnknownFields::Scan, Unscreened::Refuse)
}

fn guardrails_that(unknown_fields: UnknownFields, unscreened: Unscreened) -> Arc<Guardrails> {
    let policy = DocumentId { group: "g".into(), kind: "k".into(), namespace: "n".into(), name: "p".into() };
    let stage = |reaction| Stage {
        policy: policy.clone(),
        name: "output".into(),
        detector: Detector::Patterns,
        reaction,
        speakers: Speakers::EVERYBODY,
        is_shadow: false,
        on_error: OnError::Block,
    };
    let origin = |stage, rule: &str| Origin { stage, rule: rule.into(), kind: rule.into() };
    let edged = |rule: Rule| Rule { not_after: ByteSet::word(), not_before: ByteSet::word(), ..rule };
    let mask = |name: &str, pattern: &str| {
        let rule = Rule { unicode: false, ..Rule::new(name, pattern, Action::Mask(format!("[{name}]").into())) };
        (origin(0, name), edged(rule))
    };
    let rules = vec![
        mask("ssn", "[0-9]{3}-[0-9]{2}-[0-9]{4}"),
        mask("email", r"[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"),
        mask("key", "AKIA[A-Z0-9]{16}"),
        mask("card", "[0-9]{16}"),
        (origin(0, "face"), Rule::new("face", "🙂é+🙃", Action::Mask("\"face\"\\".into()))),
        (
            origin(1, "forbidden"),
            Rule { unicode: false, ..Rule::new("forbidden", "FORBIDDEN-[0-9]{4}", Action::Block) },
        ),
    ];
    let output = Direction::new(vec![stage(Reaction::Mask), stage(Reaction::Block)], rules).unwrap();
    Arc::new(Guardrails {
        policies: vec![policy.clone()],
        input: Arc::new(Direction::nothing()),
        output: Arc::new(output),
        unknown_fields,
        unscreened,
        tell_verdict: Tell::Nothing,
    })
}

/// What goes to the client when these pieces come, and how it ended.
fn screen(api: Api, guardrails: &Arc<Guardrails>, pieces: &[&[u8]]) -> (Vec<u8>, Step) {
    let mut stream = EventStream::new(api, guardrails.clone());
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    for piece in pieces {
        let step = stream.push(piece, &mut scratch, &mut out);
        if step != Step::Continue {
            return (out, step);
        }
    }
    let step = stream.finish(&mut scratch, &mut out);
    (out, step)
}

/// The same, as text.
fn screened(api: Api, stream: &str) -> (String, Step) {
    let (out, step) = screen(api, &guardrails(), &[stream.as_bytes()]);
    (String::from_utf8(out).unwrap(), step)
}

/// What becomes of a whole text.
fn expected(guardrails: &Guardrails, text: &str) -> String {
    let mut written = Vec::new();
    let mut scratch = crate::guard::screen::Scratch::default();
    let mut screen = Text::new(&guardrails.output, Speaker::Assistant);
    for flow in [
        screen.push(&guardrails.output, text.as_bytes(), &mut scratch, &mut written),
        screen.finish(&guardrails.output, &mut scratch, &mut written),
    ] {
        if !matches!(flow, Flow::Untouched | Flow::Changed) {
            break;
        }
    }
    String::from_utf8(written).unwrap()
}
