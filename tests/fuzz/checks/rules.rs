//! Rules of anybody on texts of anybody: the body of the fuzz target `guard_engine`.

use std::sync::Arc;

use portcullis_policy::guard::engine::{
    Action, ByteSet, Engine, Filter, Finding, HELD_BYTES_MAX, Lead, Output, Piece, Rule, Selection, Unusable, Verdict,
    reference,
};

/// Patterns of an engine are this long at most here, and texts this, so that the definition can be tried.
const PATTERN_BYTES_MAX: usize = 48;
const TEXT_BYTES_MAX: usize = 256;
const RULES_MAX: usize = 4;
/// So often a text is said that is to go beyond the bounds of the engine.
const OFTEN: usize = 40;
/// What stands in the place of a span.
const MASK: &str = "[masked]";

/// Up to four lines: letters for what a rule asks for (see [`rule`]), a colon, and its pattern. After an empty line, the
/// lengths of parts as one byte each up to a line's end, then the text.
///
/// What comes out is the definition, however the text is cut; what has come out at any time would have been right had the text
/// ended there; nothing of a span is written, and nothing of a match that blocks; rules that do not count might as well not be
/// there. Where the lengths begin with `*` the text is said often, so that bounds are met, and two ways of cutting it compared.
pub fn guard_engine(input: &[u8]) {
    let Some(head) = input.windows(2).position(|two| two == b"\n\n") else { return };
    let (patterns, rest) = (&input[..head], &input[head + 2..]);
    let Some(line) = rest.iter().position(|byte| *byte == b'\n') else { return };
    let (lengths, text) = (&rest[..line], &rest[line + 1..]);
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    let rules: Vec<Rule> = patterns.split(|byte| *byte == b'\n').filter_map(rule).take(RULES_MAX).collect();
    let Ok(engine) = Engine::compile(rules.clone()) else { return };
    let engine = Arc::new(engine);
    if let Some((b'*', lengths)) = lengths.split_first() {
        let often = text.repeat(OFTEN);
        let whole = Said::of(&engine, engine.everything(), &[&often]);
        assert_eq!(whole, Said::of(&engine, engine.everything(), &parts(&often, lengths)), "whole, and in parts");
        return;
    }
    let parts = parts(text, lengths);
    let whole = Said::of(&engine, engine.everything(), &[text]);
    assert_eq!(whole, Said::of(&engine, engine.everything(), &parts), "whole, and in {parts:?}");
    whole.is_written(text);
    is_defined(&rules, text, &whole);
    let middle = parts.len() / 2;
    was_right_before_the_end(&engine, &rules, &parts[..middle]);
    rules_that_do_not_count_are_not_there(&engine, &rules, &parts);
}

/// A rule that masks, but for these letters: `b` blocks, `f` flags; `w` stands alone between words, `s` behind a space or at the
/// beginning, `l` is of six bytes at most, `e` has an even number of odd bytes, `u` knows Unicode.
fn rule(line: &[u8]) -> Option<Rule> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (letters, pattern) = (&line[..colon], &line[colon + 1..]);
    let pattern = std::str::from_utf8(pattern).ok().filter(|pattern| pattern.len() <= PATTERN_BYTES_MAX)?;
    let mut rule = Rule { unicode: false, ..Rule::new("fuzzed", pattern, Action::Mask(MASK.into())) };
    for letter in letters {
        match letter {
            b'b' => rule.action = Action::Block,
            b'f' => rule.action = Action::Flag,
            b'w' => (rule.not_after, rule.not_before) = (ByteSet::word(), ByteSet::word()),
            b's' => rule.lead = Lead::Context(Arc::new(|before: &[u8]| before.last().is_none_or(|byte| *byte == b' '))),
            b'l' => rule.length_max = Some(6),
            b'e' => {
                rule.check = Some(Arc::new(|bytes: &[u8]| bytes.iter().filter(|byte| *byte % 2 == 1).count() % 2 == 0));
            }
            b'u' => rule.unicode = true,
            _ => {}
        }
    }
    Some(rule)
}

/// The text in parts of these lengths, and then in parts of one byte, over and over.
fn parts<'t>(text: &'t [u8], lengths: &[u8]) -> Vec<&'t [u8]> {
    let (mut parts, mut rest) = (Vec::new(), text);
    for length in lengths.iter().chain(&[1]).cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, others) = rest.split_at(rest.len().min(usize::from(*length).max(1)));
        parts.push(part);
        rest = others;
    }
    parts
}

/// What becomes of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    Begins(usize),
    GoesOn,
}

/// All that an engine says of a text.
#[derive(Debug, PartialEq)]
struct Said {
    fates: Vec<Fate>,
    text: Vec<u8>,
    findings: Vec<Finding>,
    verdict: Verdict,
}

impl Said {
    fn of(engine: &Arc<Engine>, selection: Selection, parts: &[&[u8]]) -> Self {
        let mut filter = Filter::new(engine.clone(), Arc::new(selection));
        let (mut said, mut output) = (Self::nothing(), Output::default());
        for part in parts {
            filter.push(part, &mut output);
            said.take(engine, &output, part);
            assert!(filter.held() <= HELD_BYTES_MAX || said.verdict != Verdict::Pass);
        }
        filter.finish(&mut output);
        said.take(engine, &output, &[]);
        said
    }

    fn nothing() -> Self {
        Self { fates: Vec::new(), text: Vec::new(), findings: Vec::new(), verdict: Verdict::Pass }
    }

    fn take(&mut self, engine: &Engine, output: &Output, pushed: &[u8]) {
        for piece in &output.pieces {
            let (range, first, rest) = match piece {
                Piece::Pass(range) => (range, Fate::Passes, Fate::Passes),
                Piece::Mask { range, rule, begins: true } => (range, Fate::Begins(*rule), Fate::GoesOn),
                Piece::Mask { range, .. } => (range, Fate::GoesOn, Fate::GoesOn),
            };
            assert_eq!(range.start, self.fates.len() as u64, "{:?} leave a gap", output.pieces);
            self.fates.push(first);
            self.fates.resize(range.end as usize, rest);
        }
        output.write(engine, pushed, &mut self.text);
        self.findings.extend(output.findings.iter().cloned());
        self.verdict = output.verdict.clone();
    }

    fn is_masked(&self) -> Vec<bool> {
        self.fates.iter().map(|fate| *fate != Fate::Passes).collect()
    }

    /// How many bytes there are up to the last that passes.
    fn passed(&self) -> usize {
        self.fates.iter().rposition(|fate| *fate == Fate::Passes).map_or(0, |last| last + 1)
    }

    /// What is written is what passes, and one mask for each span.
    fn is_written(&self, text: &[u8]) {
        let mut written = Vec::new();
        for (fate, byte) in self.fates.iter().zip(text) {
            match fate {
                Fate::Passes => written.push(*byte),
                Fate::Begins(_) => written.extend_from_slice(MASK.as_bytes()),
                Fate::GoesOn => {}
            }
        }
        assert_eq!(self.text, written);
    }
}

/// What the definition says; nothing, if its automata are larger than the engine's.
fn defined(rules: &[Rule], text: &[u8]) -> Option<reference::Said> {
    match reference::said(rules, text) {
        Err(Unusable::RuleTooLarge { .. }) => None,
        said => Some(said.expect("it could be compiled")),
    }
}

fn is_defined(rules: &[Rule], text: &[u8], said: &Said) {
    let Some(defined) = defined(rules, text) else { return };
    match &said.verdict {
        Verdict::Pass => {
            assert_eq!(defined.blocked, None);
            assert_eq!(defined.masked, said.is_masked());
        }
        Verdict::Block(finding) => {
            // Of two that end together, one is known first.
            assert_eq!(defined.blocked.map(|blocked| blocked.range.end), Some(finding.range.end));
            assert_eq!(defined.masked.get(..said.fates.len()), Some(&said.is_masked()[..]));
            assert!(said.passed() as u64 <= finding.range.start, "nothing of what blocks passes");
        }
        Verdict::Overrun => {}
    }
}

/// Before it is known how a text goes on, nothing comes out that would be wrong if it did not.
fn was_right_before_the_end(engine: &Arc<Engine>, rules: &[Rule], parts: &[&[u8]]) {
    let mut filter = Filter::new(engine.clone(), Arc::new(engine.everything()));
    let (mut said, mut output) = (Said::nothing(), Output::default());
    for part in parts {
        filter.push(part, &mut output);
        said.take(engine, &output, part);
    }
    let text = parts.concat();
    // Whatever is asked for, and whoever asks: it is answered.
    let _ = (filter.witness(), filter.waits_for());
    let Some(defined) = defined(rules, &text).filter(|_| said.verdict != Verdict::Overrun) else { return };
    assert_eq!(defined.masked.get(..said.fates.len()), Some(&said.is_masked()[..]));
    let blocked = defined.blocked.map_or(u64::MAX, |finding| finding.range.start);
    assert!(said.passed() as u64 <= blocked, "nothing of what blocks passes");
}

fn rules_that_do_not_count_are_not_there(engine: &Arc<Engine>, rules: &[Rule], parts: &[&[u8]]) {
    let some = Said::of(engine, engine.select(|rule| rule % 2 == 0), parts);
    let alone = Engine::compile(rules.iter().step_by(2).cloned().collect()).expect("all of them could be compiled");
    let alone = Arc::new(alone);
    let alone = Said::of(&alone, alone.everything(), parts);
    if some.verdict != Verdict::Overrun && alone.verdict != Verdict::Overrun {
        assert_eq!((some.is_masked(), some.text), (alone.is_masked(), alone.text));
    }
}
