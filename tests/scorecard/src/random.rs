//! Texts of a format, from a seed: the same ones each time.

use regex_syntax::{
    Parser, ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use crate::Failure;

/// Numbers that look random and are the same each time (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// An expression whose texts can be made.
pub(crate) struct Format(Hir);

impl Format {
    pub(crate) fn new(expression: &str) -> Result<Self, Failure> {
        let mut parser: Parser = ParserBuilder::new().unicode(true).build();
        Ok(Self(parser.parse(expression)?))
    }

    /// A text of this format.
    pub(crate) fn text(&self, random: &mut Random) -> String {
        let mut text = String::new();
        write(&self.0, random, &mut text);
        text
    }
}

fn write(part: &Hir, random: &mut Random, text: &mut String) {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let count = class.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
            let mut at = random.below(count);
            for range in class.iter() {
                if at < range.len() {
                    text.extend(char::from_u32(range.start() as u32 + at as u32));
                    break;
                }
                at -= range.len();
            }
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min + 40);
            let times = repetition.min as usize + random.below((most - repetition.min) as usize + 1);
            for _ in 0..times {
                write(&repetition.sub, random, text);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, random, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, random, text)),
        HirKind::Alternation(ways) => {
            if let Some(way) = ways.get(random.below(ways.len())) {
                write(way, random, text);
            }
        }
    }
}
