//! What is wrong with documents: said all at once, underlined, with what to do.

use std::{borrow::Cow, fmt::Write as _, ops::Range, sync::Arc};

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use serde_json::json;

use crate::{documents::API_KEY_PREFIX, snapshot::Location};

/// Diagnostics that are printed; the rest are counted.
pub const PRINTED_MAX: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The documents are refused.
    Error,
    /// They are taken, but probably do not mean what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// `error`, `warning`, `note`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What kind of fault it is: decides who may go on in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The document itself.
    Document,
    /// A reference that leads nowhere. A Gateway API controller goes on, answers 500 and says so in conditions.
    Reference,
    /// It asks for something that does not exist in this version. It checks clean, and does not run.
    Enforcement,
}

/// A file and its text, which knows where its lines begin: ten thousand documents in one file are ordinary, and each of
/// them is asked where it stands.
#[derive(Debug)]
pub struct Source {
    /// As it was named, or found below a folder that was.
    pub name: Arc<str>,
    /// What it holds.
    pub text: Box<str>,
    line_starts: Vec<usize>,
    is_ascii: bool,
}

impl Source {
    /// A text, and what to call it.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { name: name.into(), line_starts, is_ascii: text.is_ascii(), text }
    }

    /// Whether characters and bytes are counted alike.
    pub fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    fn location(&self, at: usize) -> Location {
        let line = self.line_of(at);
        let start = self.line_starts.get(line).copied().unwrap_or(0);
        let column = if self.is_ascii {
            at.saturating_sub(start)
        } else {
            self.text.get(start..at).unwrap_or_default().chars().count()
        };
        Location { file: self.name.clone(), line: line as u32 + 1, column: column as u32 + 1 }
    }

    /// Whether a byte stands in a document that holds secrets, or may: what diagnostics quote goes to logs and pages.
    fn is_secret(&self, at: usize) -> bool {
        const BREAK: &str = "\n---";
        let begin = self.text.get(..at).and_then(|before| before.rfind(BREAK)).unwrap_or(0);
        let rest = self.text.get(begin..).unwrap_or_default();
        let from_at = rest.get(at - begin..).unwrap_or_default();
        let document = rest.get(..from_at.find(BREAK).map_or(rest.len(), |end| at - begin + end)).unwrap_or(rest);
        let plain = |text: &str| text.trim_matches([' ', '\t', '\r', '"', '\'', '-', '[', ']']).to_owned();
        let pairs = || {
            let parts = document.lines().flat_map(|line| line.split(['{', '}', ',']));
            parts.filter_map(|part| part.split_once(':')).map(|(key, value)| (plain(key), plain(value)))
        };
        let of_kind =
            document.lines().any(|line| line.strip_prefix("kind:").is_some_and(|kind| plain(kind) == "Secret"));
        let has = |name: &str| pairs().any(|(key, _)| key == name);
        // A reference to a Secret also says `kind: Secret`, but it has no data.
        // An API key has no business in a file at all, and may be there by mistake.
        let has_key = document.contains(API_KEY_PREFIX);
        of_kind
            || has_key
            || has("stringData")
            || (has("data") && pairs().any(|pair| pair == ("kind".into(), "Secret".into())))
    }

    /// The line that a byte stands in, from 0.
    fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at).saturating_sub(1)
    }
}

/// A place in a file.
#[derive(Debug, Clone)]
pub struct Span {
    source: Arc<Source>,
    /// The bytes.
    pub range: Range<usize>,
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        self.file() == other.file() && self.range == other.range
    }
}
impl Eq for Span {}

impl Span {
    /// These bytes of this file.
    pub fn new(source: Arc<Source>, range: Range<usize>) -> Self {
        // What renders a span panics where it does not begin and end between two characters.
        let start = source.text.floor_char_boundary(range.start);
        let end = source.text.ceil_char_boundary(range.end.max(start));
        Self { source, range: start..end }
    }

    /// The file, as it was named.
    pub fn file(&self) -> &Arc<str> {
        &self.source.name
    }

    /// Line and column of its beginning.
    pub fn location(&self) -> Location {
        self.source.location(self.range.start)
    }

    /// The same span, cut to its first line: a whole block underlined says less than its beginning.
    fn first_line(&self) -> Range<usize> {
        let text = self.source.text.get(self.range.clone()).unwrap_or_default();
        let length = text.find('\n').unwrap_or(text.len());
        let first = self.source.text.get(self.range.start..).and_then(|rest| rest.chars().next());
        self.range.start..self.range.start + length.max(first.map_or(1, char::len_utf8))
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// What kind of fault.
    pub class: Class,
    /// A stable word for it: `unknown-field`.
    pub code: &'static str,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What to write beside the place.
    pub label: String,
    /// Other places that matter.
    pub notes: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
    /// The documents of which one would have to be there for this not to be said.
    pub wanting: Vec<Wanted>,
}

/// A document that is not there. If it was written, and could not be read for a mistake of its own, that mistake is what
/// people want to read of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Its kind.
    pub kind: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name; `None` means any.
    pub name: Option<Box<str>>,
}

impl Diagnostic {
    /// An error in a document.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            class: Class::Document,
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            notes: Vec::new(),
            help: None,
            wanting: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// A note.
    pub fn remark(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, message) }
    }

    /// A reference that leads nowhere.
    pub fn reference(code: &'static str, message: impl Into<String>) -> Self {
        Self { class: Class::Reference, ..Self::error(code, message) }
    }

    /// Something that does not exist in this version.
    pub fn enforcement(code: &'static str, message: impl Into<String>) -> Self {
        Self { class: Class::Enforcement, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.span = Some(span);
        self.label = label.into();
        self
    }

    /// Says where else.
    #[must_use]
    pub fn note(mut self, span: Span, label: impl Into<String>) -> Self {
        self.notes.push((span, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which document is wanting.
    #[must_use]
    pub fn for_want_of(mut self, kind: &str, namespace: &str, name: Option<&str>) -> Self {
        self.wanting.push(Wanted { kind: kind.into(), namespace: namespace.into(), name: name.map(Into::into) });
        self
    }

    /// Whether documents are refused for it by `check`: features of later versions check clean.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error && self.class != Class::Enforcement
    }
}

/// Files in order, then lines, then the graver first.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| {
            let span = d.span.as_ref();
            (span.map(|s| s.file().clone()), span.map_or(0, |s| s.range.start), d.severity, d.code)
        };
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
}

/// As people read them, in a terminal.
pub fn text(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(PRINTED_MAX) {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code).elements(
            diagnostic.span.iter().map(|span| {
                let mut marks = vec![(AnnotationKind::Primary, span, diagnostic.label.as_str())];
                let here = diagnostic.notes.iter().filter(|(other, _)| other.file() == span.file());
                marks.extend(here.map(|(other, label)| (AnnotationKind::Context, other, label.as_str())));
                excerpt(&span.source, &marks)
            }),
        );
        let elsewhere = |other: &Span| diagnostic.span.as_ref().is_none_or(|span| span.file() != other.file());
        for (other, label) in diagnostic.notes.iter().filter(|(other, _)| elsewhere(other)) {
            group = group.element(excerpt(&other.source, &[(AnnotationKind::Context, other, label.as_str())]));
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    if diagnostics.len() > PRINTED_MAX {
        let _ = writeln!(out, "and {} more", diagnostics.len() - PRINTED_MAX);
    }
    out
}

/// The lines that are marked, and none before or after: the renderer reads all that it is given.
fn excerpt<'s>(source: &'s Source, marks: &[(AnnotationKind, &'s Span, &'s str)]) -> Snippet<'s, Annotation<'s>> {
    let spans = || marks.iter().map(|(_, span, _)| span.first_line());
    let first = source.line_of(spans().map(|span| span.start).min().unwrap_or(0));
    let start = source.line_starts.get(first).copied().unwrap_or(0);
    let last = source.line_of(spans().map(|span| span.end).max().unwrap_or(0));
    let end = source.line_starts.get(last + 1).copied().unwrap_or(source.text.len());
    let annotations = marks.iter().map(|(kind, span, label)| {
        let at = span.first_line();
        kind.span(at.start - start..at.end - start).label(*label)
    });
    let lines = source.text.get(start..end).unwrap_or_default();
    let is_secret = spans().any(|span| source.is_secret(span.start));
    let shown =
        if is_secret { Cow::Owned(lines.split_inclusive('\n').map(without_values).collect()) } else { lines.into() };
    Snippet::source(shown).line_start(first + 1).path(&*source.name).annotations(annotations)
}

/// A line of a Secret: its key if it has one, and `*` for every letter of what follows. Lengths stay, and with them marks.
fn without_values(line: &str) -> String {
    let is_key = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_' | '"'));
    let key = line.split_once(": ").or(line.trim_end().split_once(':')).map(|(key, _)| key).filter(|key| is_key(key));
    let kept = key.map_or(0, str::len);
    let masked =
        |c: char| if c.is_alphanumeric() || matches!(c, '+' | '/' | '=') { "*".repeat(c.len_utf8()) } else { c.into() };
    let (key, rest) = line.split_at(kept);
    key.to_owned() + &rest.chars().map(masked).collect::<String>()
}

/// `2 errors, 1 warning`.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let now = || diagnostics.iter().filter(|d| d.class != Class::Enforcement);
    let count = |severity| now().filter(|d| d.severity == severity).count();
    let noun = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let later = diagnostics.len() - now().count();
    let errors = noun(count(Severity::Error), "error");
    let warnings = noun(count(Severity::Warning), "warning");
    if later == 0 { format!("{errors}, {warnings}") } else { format!("{errors}, {warnings}, {later} not enforced yet") }
}

/// A list of objects.
pub fn json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    let place = |span: &Span, label: &str| {
        let location = span.location();
        json!({"file": &*location.file, "line": location.line, "column": location.column,
               "start": span.range.start, "end": span.range.end, "label": label})
    };
    diagnostics
        .iter()
        .map(|d| {
            json!({
                "severity": d.severity.as_str(),
                "class": format!("{:?}", d.class).to_lowercase(),
                "code": d.code,
                "message": d.message,
                "at": d.span.as_ref().map(|span| place(span, &d.label)),
                "notes": d.notes.iter().map(|(span, label)| place(span, label)).collect::<Vec<_>>(),
                "help": d.help,
            })
        })
        .collect()
}

/// SARIF 2.1.0, for code scanning.
pub fn sarif(diagnostics: &[Diagnostic], version: &str) -> serde_json::Value {
    let region = |span: &Span| {
        let location = span.location();
        json!({"physicalLocation": {
            "artifactLocation": {"uri": &*location.file},
            "region": {"startLine": location.line, "startColumn": location.column,
                       "byteOffset": span.range.start, "byteLength": span.range.len()}}})
    };
    let results: Vec<_> = diagnostics
        .iter()
        .map(|d| {
            let help = d.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            json!({
                "ruleId": d.code,
                "level": d.severity.as_str(),
                "message": {"text": format!("{}{help}", d.message)},
                "locations": d.span.iter().map(region).collect::<Vec<_>>(),
                "relatedLocations": d.notes.iter().map(|(span, _)| region(span)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let mut rules: Vec<_> = diagnostics.iter().map(|d| d.code).collect();
    rules.sort_unstable();
    rules.dedup();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "portcullis", "version": version,
                                "rules": rules.iter().map(|code| json!({"id": code})).collect::<Vec<_>>()}},
            "results": results,
        }]
    })
}
