//! The engine against the definition: an oracle that knows nothing of automata, on whole texts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

use std::sync::Arc;

use super::{Engine, Filter, Finding, Output, Piece, Rule, Selection, Verdict};

mod bounds;
mod expression;
mod facts;
mod oracle;
mod properties;
mod witnesses;

/// What comes out for one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Pass,
    /// It is the first of a span, which is labelled by this rule.
    Begins(usize),
    /// It is a further one of a span.
    Inside,
    /// It is at or behind the beginning of a match that blocks.
    Cut,
}

/// All that an engine says of a text that comes in some pieces.
#[derive(Debug, PartialEq)]
struct Said {
    fates: Vec<Fate>,
    text: Vec<u8>,
    findings: Vec<Finding>,
    verdict: Verdict,
}

fn compiled(rules: Vec<Rule>) -> Arc<Engine> {
    Arc::new(Engine::compile(rules).unwrap())
}

/// Adds the fates that pieces say, which must follow each other without gaps.
fn add_fates(pieces: &[Piece], fates: &mut Vec<Fate>) {
    for piece in pieces {
        let (range, first, rest) = match piece {
            Piece::Pass(range) => (range, Fate::Pass, Fate::Pass),
            Piece::Mask { range, rule, begins: true } => (range, Fate::Begins(*rule), Fate::Inside),
            Piece::Mask { range, .. } => (range, Fate::Inside, Fate::Inside),
        };
        assert_eq!(range.start, fates.len() as u64, "{pieces:?} leave a gap");
        assert!(!range.is_empty());
        fates.push(first);
        fates.resize(range.end as usize, rest);
    }
}

fn said<'t>(engine: &Arc<Engine>, selection: Selection, pieces: impl IntoIterator<Item = &'t [u8]>) -> Said {
    let mut filter = Filter::new(engine.clone(), Arc::new(selection));
    let mut output = Output::default();
    let mut said = Said { fates: Vec::new(), text: Vec::new(), findings: Vec::new(), verdict: Verdict::Pass };
    let mut take = |output: &Output, pushed: &[u8]| {
        add_fates(&output.pieces, &mut said.fates);
        output.write(engine, pushed, &mut said.text);
        said.findings.extend(output.findings.iter().cloned());
        said.verdict = output.verdict.clone();
    };
    for piece in pieces {
        filter.push(piece, &mut output);
        take(&output, piece);
    }
    filter.finish(&mut output);
    take(&output, b"");
    said
}

fn said_of(engine: &Arc<Engine>, text: &[u8]) -> Said {
    said(engine, engine.everything(), [text])
}

/// The text that comes out.
fn filtered(rules: Vec<Rule>, text: &str) -> String {
    let engine = compiled(rules);
    let whole = said_of(&engine, text.as_bytes());
    let bytes = said(&engine, engine.everything(), text.as_bytes().chunks(1));
    assert_eq!(whole, bytes, "whole and byte by byte");
    String::from_utf8(whole.text).unwrap()
}
