//! A rule of ours as the engine takes it.

use std::sync::Arc;

use super::{AllowedHosts, Rule, all};
use crate::guard::engine::{self, Action, ByteSet, Until};

impl Rule {
    /// The same rule for the engine, and what is to be done about what it finds.
    pub fn applied(&'static self, action: Action, allowed: &Arc<AllowedHosts>) -> engine::Rule {
        let allowed = allowed.clone();
        engine::Rule {
            unicode: false,
            not_after: ByteSet::of(|byte| self.before.forbids(byte)),
            not_before: ByteSet::of(|byte| self.after.forbids(byte)),
            lead: self.context.lead(all().iter().position(|rule| rule.id == self.id).unwrap_or(usize::MAX)),
            length_max: Some(self.length_max()),
            check: Some(Arc::new(move |candidate: &[u8]| self.check.passes(candidate, &allowed))),
            until: self
                .suppress
                .filter(|_| matches!(action, Action::Mask(_)))
                .map(|suppress| Until { pattern: suppress.until.into(), bytes_max: suppress.bytes_max }),
            ..engine::Rule::new(self.id, self.body, action)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::ops::Range;

    use super::*;
    use crate::guard::{
        engine::{Engine, Filter, Output},
        rules::assemble::example,
    };

    /// What an engine finds in a text that arrives in pieces of this size; findings that touch are joined, as the marks of
    /// examples are.
    fn found(engine: &Arc<Engine>, text: &str, piece: usize) -> Vec<Range<usize>> {
        let mut filter = Filter::new(engine.clone(), Arc::new(engine.everything()));
        let (mut output, mut findings) = (Output::default(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            filter.push(piece, &mut output);
            findings.append(&mut output.findings);
        }
        filter.finish(&mut output);
        findings.append(&mut output.findings);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in findings.iter().map(|finding| finding.range.start as usize..finding.range.end as usize) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }

    #[test]
    fn the_engine_finds_in_a_stream_what_examples_promise() {
        let mut faults = Vec::new();
        for rule in all() {
            let applied = rule.applied(Action::Flag, &Arc::new(AllowedHosts::default()));
            let engine = match Engine::compile(vec![applied]) {
                Ok(engine) => Arc::new(engine),
                Err(error) => {
                    faults.push(format!("{}: {error}", rule.id));
                    continue;
                }
            };
            for (written, finds) in
                rule.finds.iter().map(|it| (it, true)).chain(rule.leaves.iter().map(|it| (it, false)))
            {
                let example = example(written).unwrap();
                let expected = if finds { example.marked } else { Vec::new() };
                for piece in [1, 7, 4096] {
                    let found = found(&engine, &example.text, piece);
                    if found != expected {
                        faults.push(format!(
                            "{}: `{written}` in pieces of {piece}: {found:?}, not {expected:?}",
                            rule.id
                        ));
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    }
}
