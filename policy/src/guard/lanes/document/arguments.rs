//! JSON that is a text of another document: it is shown with its escapes decoded, and stays JSON when parts are replaced.

use std::{borrow::Cow, ops::Range};

use super::patches::{escapes, locate};
use crate::guard::lanes::json::{Fault, Path, Quoted, Visitor, escape, escaped_char, walk_any};

/// The text as it is shown: with escapes decoded. What is no JSON is decoded the same way.
pub(super) fn decoded(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let (char, len) = escaped_char(escaped).unwrap_or(('\\', 0));
        text.push(char);
        rest = escaped.get(len..).unwrap_or_default();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Whether it is JSON; a key may stand twice.
pub(super) fn is_json(inner: &str) -> bool {
    walk_any(inner.as_bytes(), &mut Tokens::default()).is_ok()
}

/// What stands in the place of what, in `inner`, so that the decoded text is edited: `edits` count in [`decoded`].
pub(super) fn replace(inner: &str, edits: &[(Range<usize>, String)]) -> Vec<(Range<usize>, String)> {
    let escapes = escapes(inner);
    let mut tokens = Tokens::default();
    let is_json = walk_any(inner.as_bytes(), &mut tokens).is_ok();
    let mut replaced = Vec::<(Range<usize>, String)>::new();
    for (range, with) in edits {
        let range = locate(&escapes, range);
        if !is_json {
            replaced.push((range, written(with)));
            continue;
        }
        let first = tokens.0.partition_point(|token| token.range.end <= range.start);
        let mut with = with.as_str();
        for token in tokens.0.get(first..).unwrap_or_default() {
            if token.range.start >= range.end {
                break;
            }
            if token.is_text {
                let part = token.range.start.max(range.start)..token.range.end.min(range.end);
                replaced.push((part, written(with)));
            } else if replaced.last().is_none_or(|(last, _)| last.start != token.range.start) {
                replaced.push((token.range.clone(), format!("\"{}\"", written(with))));
            }
            // One replacement stands for a span, however many values it goes over.
            with = "";
        }
    }
    replaced
}

fn written(text: &str) -> String {
    let mut raw = Vec::with_capacity(text.len());
    escape(text, &mut raw);
    String::from_utf8(raw).unwrap_or_default()
}

/// What may be replaced: what stands within quotes, and scalars.
#[derive(Default)]
struct Tokens(Vec<Token>);

struct Token {
    range: Range<usize>,
    is_text: bool,
}

impl<'b> Visitor<'b> for Tokens {
    fn string(&mut self, _: &Path<'b>, text: Quoted<'b>) -> Result<(), Fault> {
        text.text()?;
        self.0.push(Token { range: text.range(), is_text: true });
        Ok(())
    }

    fn key(&mut self, _: &Path<'b>, key: Quoted<'b>) -> Result<(), Fault> {
        self.0.push(Token { range: key.range(), is_text: true });
        Ok(())
    }

    fn scalar(&mut self, _: &Path<'b>, range: Range<usize>) -> Result<(), Fault> {
        self.0.push(Token { range, is_text: false });
        Ok(())
    }
}
