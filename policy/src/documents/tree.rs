//! YAML text → a tree in which everything knows where it stands.
//!
//! Scalars keep their text and whether they were plain: what type they are is for the schema to say. Duplicate keys are
//! an error, as is anything beyond the bounds below: documents may come from people, and from machines.

use std::{ops::Range, sync::Arc};

use foldhash::HashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span as YamlSpan};

use crate::diagnostics::{Diagnostic, Source, Span};

/// The deepest nesting of one document.
pub(crate) const DEPTH_MAX: usize = 64;
/// The most nodes of one file, aliases expanded.
pub(crate) const NODES_MAX: usize = 5_000_000;
/// The most nodes of one file that stand there because of an alias: a few hundred bytes can ask for billions.
pub(crate) const ALIASED_NODES_MAX: usize = 100_000;

/// A node and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub at: Range<usize>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A scalar: its text, and whether it was written without quotes.
    Scalar {
        /// The text, unquoted.
        text: String,
        /// Whether it may be anything but a string.
        plain: bool,
    },
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order written.
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// The value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// A scalar's text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether it is an empty plain scalar, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads all documents of one file. What cannot be read at all is one diagnostic, and ends the file there.
pub(crate) fn parse(source: &Arc<Source>) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut builder = Builder {
        source,
        offsets: Offsets::new(source),
        anchors: HashMap::default(),
        nodes: 0,
        aliased_nodes: 0,
        diagnostics: Vec::new(),
    };
    let mut parser = Parser::new_from_str(&source.text);
    let mut documents = Vec::new();
    while let Ok((event, _)) = builder.next(&mut parser) {
        if let Event::DocumentStart(_) = event {
            builder.anchors.clear();
            match builder.root(&mut parser) {
                Ok(Some(node)) => documents.push(node),
                Ok(None) => {}
                Err(Stop) => break,
            }
        }
    }
    (documents, builder.diagnostics)
}

/// The rest of the file cannot be read; a diagnostic says why, unless the file has simply ended.
struct Stop;

struct Builder<'a> {
    source: &'a Arc<Source>,
    offsets: Offsets,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    aliased_nodes: usize,
    diagnostics: Vec<Diagnostic>,
}

type Input<'a> = saphyr_parser::StrInput<'a>;

impl Builder<'_> {
    fn root<'p>(&mut self, parser: &mut Parser<'p, Input<'p>>) -> Result<Option<Node>, Stop> {
        match self.next(parser)? {
            (Event::DocumentEnd, _) => Ok(None),
            (event, span) => {
                let node = self.node(parser, event, span, 0)?;
                // An empty document (`---` followed by nothing) says nothing.
                Ok(Some(node).filter(|node| !node.is_null()))
            }
        }
    }

    fn next<'p>(&mut self, parser: &mut Parser<'p, Input<'p>>) -> Result<(Event<'p>, YamlSpan), Stop> {
        match parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.offsets.byte(error.marker().index());
                self.report("yaml-syntax", format!("not valid YAML: {}", error.info()), at..at + 1, "here");
                Err(Stop)
            }
            None => Err(Stop),
        }
    }

    fn node<'p>(
        &mut self,
        parser: &mut Parser<'p, Input<'p>>,
        event: Event<'p>,
        span: YamlSpan,
        depth: usize,
    ) -> Result<Node, Stop> {
        let start = self.offsets.byte(span.start.index());
        self.nodes += 1;
        if depth > DEPTH_MAX {
            return Err(self.too_large(format!("nested deeper than {DEPTH_MAX} levels"), start));
        }
        if self.nodes > NODES_MAX {
            return Err(self.too_large(format!("more than {NODES_MAX} values in a file"), start));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next(parser)? {
                        (Event::SequenceEnd, end) => {
                            return Ok(self.finish(Value::Sequence(items), start, end, anchor));
                        }
                        (event, span) => items.push(self.node(parser, event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => return self.mapping(parser, start, anchor, depth),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    // An anchor around this alias is not finished yet.
                    self.report(
                        "yaml-syntax",
                        "the alias contains itself".into(),
                        start..start + 1,
                        "refers to itself",
                    );
                    return Err(Stop);
                };
                let size = count(node);
                self.nodes += size;
                self.aliased_nodes += size;
                // Before the copy is made.
                if self.aliased_nodes > ALIASED_NODES_MAX {
                    let message = format!("aliases stand for more than {ALIASED_NODES_MAX} values in a file");
                    return Err(self.too_large(message, start));
                }
                return Ok(node.clone());
            }
            _ => {
                self.report("yaml-syntax", "unexpected end".into(), start..start + 1, "here");
                return Err(Stop);
            }
        };
        Ok(self.finish(value, start, span, anchor))
    }

    fn mapping<'p>(
        &mut self,
        parser: &mut Parser<'p, Input<'p>>,
        start: usize,
        anchor: usize,
        depth: usize,
    ) -> Result<Node, Stop> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut keys: HashMap<String, Range<usize>> = HashMap::default();
        loop {
            let (event, span) = match self.next(parser)? {
                (Event::MappingEnd, end) => return Ok(self.finish(Value::Mapping(entries), start, end, anchor)),
                event => event,
            };
            let key = self.node(parser, event, span, depth + 1)?;
            let (event, span) = self.next(parser)?;
            let value = self.node(parser, event, span, depth + 1)?;
            let Some(name) = key.text() else {
                self.report("yaml-syntax", "a key must be a word".into(), key.at.clone(), "not a word");
                continue;
            };
            if let Some(first) = keys.get(name).cloned() {
                let diagnostic = Diagnostic::error("duplicate-key", format!("the key `{name}` stands here twice"))
                    .at(self.span(key.at.clone()), "again here")
                    .note(self.span(first), "first here")
                    .help("remove one of them");
                self.diagnostics.push(diagnostic);
                continue;
            }
            keys.insert(name.to_owned(), key.at.clone());
            entries.push((key, value));
        }
    }

    fn finish(&mut self, value: Value, start: usize, end: YamlSpan, anchor: usize) -> Node {
        let end = self.offsets.byte(end.end.index()).max(start);
        // Block collections end where the next thing begins: what is shown ends with their last line.
        let trimmed = self.source.text.get(start..end).map_or(end, |text| start + text.trim_end().len());
        let node = Node { value, at: start..trimmed };
        if anchor > 0 {
            self.nodes += count(&node);
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn span(&self, at: Range<usize>) -> Span {
        Span::new(self.source.clone(), at)
    }

    fn too_large(&mut self, message: String, start: usize) -> Stop {
        self.report("too-large", message, start..start + 1, "from here on");
        Stop
    }

    fn report(&mut self, code: &'static str, message: String, at: Range<usize>, label: &str) {
        let diagnostic = Diagnostic::error(code, message).at(self.span(at), label);
        self.diagnostics.push(diagnostic);
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Mapping(entries) => 1 + entries.iter().map(|(_, value)| 1 + count(value)).sum::<usize>(),
    }
}

/// The parser counts characters; everything else counts bytes.
struct Offsets {
    /// `None` while the two are the same.
    bytes: Option<Vec<u32>>,
    length: usize,
}

impl Offsets {
    fn new(source: &Source) -> Self {
        // Files are smaller than 4 GiB by far.
        let bytes = (!source.is_ascii()).then(|| source.text.char_indices().map(|(at, _)| at as u32).collect());
        Self { bytes, length: source.text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            None => character.min(self.length),
            Some(bytes) => bytes.get(character).map_or(self.length, |at| *at as usize),
        }
    }
}
