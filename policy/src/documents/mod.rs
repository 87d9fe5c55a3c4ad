//! Documents: from files to typed values that know where each of their fields was written.

pub mod api_keys;
pub mod formats;
pub mod kinds;
mod sources;
pub(crate) mod tree;
mod validate;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use foldhash::{HashMap, HashSet};

pub(crate) use self::validate::words;
use self::{
    kinds::api_version,
    tree::{Node, Value},
    validate::validate,
};
pub use self::{
    kinds::{KINDS, Kind, KindInfo},
    sources::{Sources, read_paths},
    validate::closest,
};
use crate::{
    diagnostics::{Diagnostic, Source, Span, Wanted},
    snapshot::{DocumentId, Location},
};

/// What every API key begins with: scanners for secrets find them by it.
pub const API_KEY_PREFIX: &str = "pcl_";

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Which.
    pub id: DocumentId,
    /// What it says.
    pub value: Kind,
    origin: Arc<Source>,
    root: Arc<Node>,
}

impl Document {
    /// Where a field was written: `spec.rules[0].backendRefs[1].name`. Where the path leads nowhere, its last step that
    /// leads somewhere.
    pub fn span(&self, path: &str) -> Span {
        let mut node = &*self.root;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let (name, indices) = step.split_once('[').unwrap_or((step, ""));
            let Some(next) = node.get(name) else { break };
            node = next;
            for index in indices.split('[').filter_map(|index| index.strip_suffix(']')) {
                let Value::Sequence(items) = &node.value else { break };
                let Some(item) = index.parse::<usize>().ok().and_then(|index| items.get(index)) else { break };
                node = item;
            }
        }
        Span::new(self.origin.clone(), node.at.clone())
    }

    /// Where the document's name is written.
    pub fn name_span(&self) -> Span {
        self.span("metadata.name")
    }

    /// Line and column of a field.
    pub fn location(&self, path: &str) -> Location {
        self.span(path).location()
    }

    /// A file that the document names: a relative path begins where the document's own file is.
    pub fn beside(&self, path: &str) -> PathBuf {
        let folder = Path::new(&*self.origin.name).parent();
        folder.map_or_else(|| path.into(), |folder| folder.join(path))
    }

    /// The text of the document, as it was written.
    pub fn source(&self) -> &str {
        self.origin.text.get(self.root.at.clone()).unwrap_or_default()
    }
}

/// What reading came to.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The documents that are right.
    pub documents: Vec<Document>,
    /// Whatever is wrong with the others.
    pub diagnostics: Vec<Diagnostic>,
    /// What the others would have been.
    pub unread: Unread,
    /// Lists in the place of documents. A provider may name the file: then they are API keys, and none of this module's
    /// business.
    pub lists: Vec<Span>,
}

/// Documents that were written, and could not be read.
#[derive(Debug, Default)]
pub struct Unread {
    documents: HashSet<Wanted>,
    /// A file ended before its end: nobody knows what else it holds.
    has_unread_files: bool,
}

impl Unread {
    /// Whether something is said for want of one of these only.
    pub fn explains(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.wanting.iter().any(|wanted| self.has_unread_files || self.documents.contains(wanted))
    }

    fn insert(&mut self, kind: &str, node: &Node) {
        let word = |field: &str| node.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Node::text);
        let (kind, namespace): (Box<str>, Box<str>) = (kind.into(), word("namespace").unwrap_or("default").into());
        for name in [None, word("name").map(Into::into)] {
            self.documents.insert(Wanted { kind: kind.clone(), namespace: namespace.clone(), name });
        }
    }
}

/// Reads every document of every file. Whatever is wrong with any of them is said; those that are right are there.
pub fn parse(sources: &Sources) -> (Vec<Document>, Vec<Diagnostic>) {
    let mut parsed = parse_all(sources);
    parsed.diagnostics.extend(parsed.lists.into_iter().map(not_a_document));
    (parsed.documents, parsed.diagnostics)
}

/// As [`parse`], and says which documents were written but could not be read.
pub fn parse_all(sources: &Sources) -> Parsed {
    let mut parsed = Parsed { diagnostics: sources.diagnostics.clone(), ..Parsed::default() };
    parsed.unread.has_unread_files = !sources.diagnostics.is_empty();
    for source in &sources.files {
        let (nodes, mut faults) = tree::parse(source);
        parsed.unread.has_unread_files |= !faults.is_empty();
        parsed.diagnostics.append(&mut faults);
        for node in nodes {
            read(source, node, &mut parsed);
        }
    }
    refuse_duplicates(&parsed.documents, &mut parsed.diagnostics);
    parsed
}

/// What a text says to a reader who knows no schema.
#[cfg(test)]
pub(crate) fn read_untyped(text: &str) -> Vec<serde_json::Value> {
    let (nodes, diagnostics) = tree::parse(&Arc::new(Source::new("text", text)));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    nodes.iter().map(validate::untyped).collect()
}

fn read(source: &Arc<Source>, node: Node, parsed: &mut Parsed) {
    let Parsed { documents, diagnostics, unread, lists } = parsed;
    let span = |at: &std::ops::Range<usize>| Span::new(source.clone(), at.clone());
    match node.value {
        Value::Mapping(_) => {}
        Value::Sequence(_) => return lists.push(span(&node.at)),
        Value::Scalar { .. } => return diagnostics.push(not_a_document(span(&node.at))),
    }
    let word = |key: &str| node.get(key).and_then(Node::text).filter(|word| !word.is_empty());
    let (Some(version), Some(kind)) = (word("apiVersion"), word("kind")) else {
        let missing = if word("apiVersion").is_none() { "apiVersion" } else { "kind" };
        let message = format!("missing field `{missing}`");
        diagnostics.push(
            Diagnostic::error("missing-field", message)
                .at(span(&node.at), "a document begins here")
                .help("every document says its `apiVersion` and its `kind`"),
        );
        return;
    };
    if kind.ends_with("List")
        && let Some(Node { value: Value::Sequence(items), .. }) = node.get("items")
    {
        for item in items {
            read(source, item.clone(), parsed);
        }
        return;
    }
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let Some(info) = KINDS.iter().find(|info| info.group == group && info.kind == kind) else {
        let of_group = KINDS.iter().filter(|info| info.group == group).map(|info| info.kind);
        unread.insert(closest(kind, of_group).unwrap_or(kind), &node);
        diagnostics.push(unknown_kind(group, kind, &node, span));
        return;
    };
    if !info.versions.contains(&version) {
        let at = node.get("apiVersion").map_or(&node.at, |node| &node.at);
        let known: Vec<String> = info.versions.iter().map(|v| format!("`{}`", api_version(group, v))).collect();
        diagnostics.push(
            Diagnostic::error("unknown-version", format!("`{kind}` has no version `{version}` that is read here"))
                .at(span(at), "unknown version")
                .help(format!("write {}", known.join(" or "))),
        );
        unread.insert(kind, &node);
        return;
    }
    let mut mistakes = Vec::new();
    let json = validate(&node, (info.schema)(), &mut mistakes);
    for mistake in mistakes {
        let mut diagnostic = Diagnostic::error(mistake.code, mistake.message).at(span(&mistake.at), mistake.label);
        diagnostic.help = mistake.help;
        diagnostics.push(diagnostic);
    }
    let Some(json) = json else {
        unread.insert(kind, &node);
        return;
    };
    match (info.read)(json) {
        Ok(value) => {
            let metadata = value.metadata();
            let id = DocumentId {
                group: info.group.into(),
                kind: info.kind.into(),
                namespace: metadata.namespace.as_deref().unwrap_or("default").into(),
                name: metadata.name.as_str().into(),
            };
            documents.push(Document { id, value, origin: source.clone(), root: Arc::new(node) });
        }
        // The schema lets through what only serde can tell (a choice of types).
        Err(error) => diagnostics
            .push(Diagnostic::error("invalid-document", error.to_string()).at(span(&node.at), "in this document")),
    }
}

/// What is said of something that is no document.
pub(crate) fn not_a_document(at: Span) -> Diagnostic {
    Diagnostic::error("not-a-document", "a document must be a mapping").at(at, "this is none")
}

/// A kind of a group that we read is a mistake; other groups' documents are none of our business.
fn unknown_kind(group: &str, kind: &str, node: &Node, span: impl Fn(&std::ops::Range<usize>) -> Span) -> Diagnostic {
    let at = span(&node.get("kind").map_or_else(|| node.at.clone(), |node| node.at.clone()));
    let of_group: Vec<&str> = KINDS.iter().filter(|info| info.group == group).map(|info| info.kind).collect();
    if group == kinds::OUR_GROUP || group == kinds::GATEWAY_GROUP && closest(kind, of_group.iter().copied()).is_some() {
        let message = match closest(kind, of_group.iter().copied()) {
            Some(meant) => format!("unknown kind `{kind}`, did you mean `{meant}`?"),
            None => format!("unknown kind `{kind}` in `{group}`"),
        };
        return Diagnostic::error("unknown-kind", message)
            .at(at, "unknown kind")
            .help(format!("the kinds of `{group}` are {}", of_group.join(", ")));
    }
    if let Some(info) =
        KINDS.iter().find(|info| info.kind == kind && group != info.group && group.ends_with("portcullis.dev"))
    {
        return Diagnostic::error("unknown-kind", format!("`{kind}` is of the group `{}`", info.group))
            .at(at, "of another group");
    }
    let name = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    Diagnostic::remark("passed-over", format!("`{name}` is not a kind that Portcullis reads: passed over"))
        .at(at, "passed over")
}

fn refuse_duplicates(documents: &[Document], diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<&DocumentId, &Document> = HashMap::default();
    for document in documents {
        if let Some(first) = seen.get(&document.id) {
            diagnostics.push(
                Diagnostic::error("duplicate-document", format!("{} is written twice", document.id))
                    .at(document.name_span(), "again here")
                    .note(first.name_span(), "first here")
                    .help("remove one of them, or give it another name or namespace"),
            );
        } else {
            seen.insert(&document.id, document);
        }
    }
}
