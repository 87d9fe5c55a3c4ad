//! Python's expressions (`re`, searched for in text) as ours: what means the same is taken, what means the same when
//! written otherwise is written so, and what means something else is refused.
//!
//! | Python | here |
//! |---|---|
//! | `$` without `m` also stands before a last line break | `\n?$` |
//! | `\w` is letters, all numbers and `_` | `[\p{L}\p{N}_]` |
//! | `\s` has the separators U+001C to U+001F | `[\s\x1C-\x1F]` |
//! | `\b` where one of those is at an end | `\b`: it differs beside combining marks and numbers such as `²` |
//! | looking around, back references, conditions, atomic groups | refused: no automaton finds them |
//! | `a*+` (possessive), `[[…]]`, `[a&&b]`, `[[:alpha:]]`, `\<` | refused: they read differently |

use std::ops::Range;

use regex_syntax::ast::{
    AssertionKind, Ast, ClassPerlKind, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, HexLiteralKind, LiteralKind,
    Span, parse::Parser,
};

/// The expression as we write it, or why there is none.
pub(super) fn translated(python: &str, is_insensitive: bool) -> Result<String, String> {
    let ast = Parser::new().parse(python).map_err(|error| match lookaround(python) {
        Some(what) => format!("{what}: no automaton finds that"),
        None => format!("not an expression of ours: {}", error.kind()),
    })?;
    let mut reader = Reader { edits: Vec::new(), is_multi_line: false };
    reader.read(&ast)?;
    let mut regex = python.to_owned();
    reader.edits.sort_by_key(|(at, _)| at.start);
    for (at, with) in reader.edits.into_iter().rev() {
        regex.replace_range(at, with);
    }
    Ok(if is_insensitive { format!("(?i){regex}") } else { regex })
}

/// What Python has and automata do not.
fn lookaround(python: &str) -> Option<&'static str> {
    [
        ("(?=", "it looks ahead"),
        ("(?!", "it looks ahead"),
        ("(?<=", "it looks back"),
        ("(?<!", "it looks back"),
        ("(?P=", "it refers to a group"),
        ("(?(", "it has a condition"),
        ("(?>", "it has an atomic group"),
        ("(?#", "it has a comment"),
    ]
    .into_iter()
    .find_map(|(sign, what)| python.contains(sign).then_some(what))
}

struct Reader {
    /// What is written otherwise here.
    edits: Vec<(Range<usize>, &'static str)>,
    is_multi_line: bool,
}

fn otherwise(what: &str) -> Result<(), String> {
    Err(format!("{what} reads differently in Python"))
}

impl Reader {
    fn read(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) => Ok(()),
            Ast::Flags(set) => self.flags(&set.flags),
            Ast::Literal(literal) => literal_kind(&literal.kind),
            Ast::Assertion(assertion) => self.assertion(&assertion.kind, assertion.span),
            Ast::ClassUnicode(_) => otherwise("`\\p`"),
            Ast::ClassPerl(class) => {
                let with = match (&class.kind, class.negated) {
                    (ClassPerlKind::Digit, _) => return Ok(()),
                    (ClassPerlKind::Word, false) => r"[\p{L}\p{N}_]",
                    (ClassPerlKind::Word, true) => r"[^\p{L}\p{N}_]",
                    (ClassPerlKind::Space, false) => r"[\s\x1C-\x1F]",
                    (ClassPerlKind::Space, true) => r"[^\s\x1C-\x1F]",
                };
                self.write(class.span, with);
                Ok(())
            }
            Ast::ClassBracketed(class) => self.set(&class.kind),
            Ast::Repetition(repetition) => {
                if matches!(*repetition.ast, Ast::Repetition(_)) {
                    return otherwise("a repetition that follows a repetition");
                }
                self.read(&repetition.ast)
            }
            Ast::Group(group) => {
                if let Some(flags) = group.flags() {
                    self.flags(flags)?;
                    // It would hold in the group alone.
                    if flags.flag_state(Flag::MultiLine).is_some() {
                        return otherwise("`m` for a group");
                    }
                }
                self.read(&group.ast)
            }
            Ast::Alternation(alternation) => alternation.asts.iter().try_for_each(|ast| self.read(ast)),
            Ast::Concat(concat) => concat.asts.iter().try_for_each(|ast| self.read(ast)),
        }
    }

    fn flags(&mut self, flags: &Flags) -> Result<(), String> {
        flags.items.iter().try_for_each(|item| match item.kind {
            FlagsItemKind::Flag(Flag::CaseInsensitive | Flag::DotMatchesNewLine) => Ok(()),
            FlagsItemKind::Flag(Flag::MultiLine) => {
                self.is_multi_line = true;
                Ok(())
            }
            FlagsItemKind::Negation | FlagsItemKind::Flag(_) => otherwise("a flag besides `i`, `m` and `s`"),
        })
    }

    fn assertion(&mut self, kind: &AssertionKind, span: Span) -> Result<(), String> {
        match kind {
            AssertionKind::StartLine
            | AssertionKind::StartText
            | AssertionKind::WordBoundary
            | AssertionKind::NotWordBoundary => Ok(()),
            AssertionKind::EndLine => {
                if !self.is_multi_line {
                    self.write(span, r"\n?$");
                }
                Ok(())
            }
            _ => otherwise("an assertion besides `^`, `$`, `\\A`, `\\b` and `\\B`"),
        }
    }

    fn set(&mut self, set: &ClassSet) -> Result<(), String> {
        match set {
            ClassSet::Item(item) => self.item(item),
            ClassSet::BinaryOp(_) => otherwise("`&&`, `--` or `~~` in a class"),
        }
    }

    fn item(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Empty(_) => Ok(()),
            ClassSetItem::Literal(literal) => literal_kind(&literal.kind),
            ClassSetItem::Range(range) => literal_kind(&range.start.kind).and_then(|()| literal_kind(&range.end.kind)),
            ClassSetItem::Perl(class) => {
                let with = match (&class.kind, class.negated) {
                    (ClassPerlKind::Digit, _) => return Ok(()),
                    (ClassPerlKind::Word, false) => r"\p{L}\p{N}_",
                    (ClassPerlKind::Space, false) => r"\s\x1C-\x1F",
                    (_, true) => return otherwise("`\\W` or `\\S` in a class"),
                };
                self.write(class.span, with);
                Ok(())
            }
            ClassSetItem::Ascii(_) | ClassSetItem::Unicode(_) | ClassSetItem::Bracketed(_) => {
                otherwise("a class in a class")
            }
            ClassSetItem::Union(union) => union.items.iter().try_for_each(|item| self.item(item)),
        }
    }

    fn write(&mut self, span: Span, with: &'static str) {
        self.edits.push((span.start.offset..span.end.offset, with));
    }
}

fn literal_kind(kind: &LiteralKind) -> Result<(), String> {
    match kind {
        LiteralKind::Verbatim
        | LiteralKind::Meta
        | LiteralKind::Superfluous
        | LiteralKind::Special(_)
        | LiteralKind::HexFixed(HexLiteralKind::X | HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
            Ok(())
        }
        LiteralKind::HexBrace(_) | LiteralKind::Octal => otherwise("`\\x{…}` or `\\0…`"),
    }
}
