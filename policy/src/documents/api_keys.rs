//! The file of API keys: a list of hashes, and for each whose key it is and how far it goes.
//!
//! It is no document: `portcullis keys` writes it, and an `IdentityProvider` names it. It is read as strictly as documents
//! are. It can also be edited here, as text, so that what people wrote around the entries stays.

use std::{
    fmt::Write as _,
    fs, io,
    path::Path,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use foldhash::HashMap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    formats,
    kinds::schema_of,
    tree::{self, Node, Value},
    validate::validate,
};
use crate::{
    diagnostics::{Diagnostic, Source, Span},
    timestamp,
};

/// The largest file of keys, in bytes: some 200 000 of them.
pub const KEY_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A key, or rather what is known of it: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is known by.
    pub id: Arc<str>,
    /// The name of the user whose key it is.
    pub owner: Arc<str>,
    /// HMAC-SHA-256 of the key with the pepper.
    pub hash: [u8; 32],
    /// Since when there is the key.
    pub created: SystemTime,
    /// When it ceases to be good; `None`: never.
    pub expires: Option<SystemTime>,
    /// Its scopes.
    pub scopes: Vec<Arc<str>>,
    /// Networks that it may be used from; empty: everywhere.
    pub cidrs: Vec<IpNet>,
    /// The groups of its owner.
    pub groups: Vec<Arc<str>>,
    /// What people say of it.
    pub note: Option<Arc<str>>,
    /// When it was revoked.
    pub revoked: Option<SystemTime>,
}

/// An entry as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[schemars(extend("format" = "key-id"))]
    id: String,
    #[schemars(length(min = 1))]
    owner: String,
    #[schemars(extend("format" = "key-hash"))]
    hash: String,
    #[schemars(extend("format" = "timestamp"))]
    created: String,
    #[schemars(extend("format" = "timestamp"))]
    expires: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    #[schemars(extend("items" = {"type": "string", "format": "network"}))]
    cidrs: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    note: Option<String>,
    #[schemars(extend("format" = "timestamp"))]
    revoked: Option<String>,
}

/// A file of keys that has been read.
#[derive(Debug)]
pub struct ApiKeyFile {
    source: Arc<Source>,
    entries: Vec<(ApiKey, Node)>,
    root: Option<Node>,
}

/// Why a file of keys cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No key has this id.
    #[error("there is no key `{0}`")]
    UnknownId(String),
    /// The list is written in a way that cannot be added to.
    #[error(
        "the list is not written as `portcullis keys` writes it: put each entry behind a `- ` on a line of its own"
    )]
    Shape,
}

impl ApiKeyFile {
    /// Reads a text. What is wrong with it is said all at once.
    pub fn parse(source: &Arc<Source>) -> Result<Self, Vec<Diagnostic>> {
        let (mut roots, mut diagnostics) = tree::parse(source);
        let span = |node: &Node| Span::new(source.clone(), node.at.clone());
        if let Some(second) = roots.get(1) {
            diagnostics.push(
                Diagnostic::error("not-a-list", "a file of API keys holds one list").at(span(second), "a second one"),
            );
        }
        let root = if roots.is_empty() { None } else { Some(roots.remove(0)) };
        let items = match root.as_ref().map(|root| (root, &root.value)) {
            None => &[],
            Some((_, Value::Sequence(items))) => items.as_slice(),
            Some((root, _)) => {
                diagnostics.push(
                    Diagnostic::error("not-a-list", "a file of API keys holds a list, and this is none")
                        .at(span(root), "not a list")
                        .help("`portcullis keys create` writes such a file"),
                );
                &[]
            }
        };
        let mut entries: Vec<(ApiKey, Node)> = Vec::with_capacity(items.len());
        let mut ids: HashMap<Arc<str>, Span> = HashMap::default();
        for item in items {
            let Some(key) = read(source, item, &mut diagnostics) else { continue };
            let at = span(item.get("id").unwrap_or(item));
            if let Some(first) = ids.get(&key.id) {
                diagnostics.push(
                    Diagnostic::error("duplicate-key-id", format!("two keys have the id `{}`", key.id))
                        .at(at, "again here")
                        .note(first.clone(), "first here")
                        .help("remove one of them"),
                );
                continue;
            }
            ids.insert(key.id.clone(), at);
            entries.push((key, item.clone()));
        }
        if diagnostics.is_empty() { Ok(Self { source: source.clone(), entries, root }) } else { Err(diagnostics) }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> io::Result<Result<Self, Vec<Diagnostic>>> {
        let size = fs::metadata(path)?.len();
        if size > KEY_FILE_BYTES_MAX {
            return Err(io::Error::other(format!("larger than {KEY_FILE_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(path)?;
        Ok(Self::parse(&Arc::new(Source::new(path.display().to_string(), text))))
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &ApiKey> + Clone {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The text with one more entry at its end.
    pub fn with_entry(&self, key: &ApiKey) -> Result<String, EditError> {
        let mut text = self.source.text.trim_end().to_owned();
        if !text.is_empty() {
            text.push('\n');
        }
        let indent = match &self.root {
            // A list that flows over, or an empty one.
            Some(root) if self.source.text.get(root.at.clone()).is_some_and(|list| !list.starts_with('-')) => {
                return Err(EditError::Shape);
            }
            Some(root) => self.column(root.at.start),
            None => 0,
        };
        text.push_str(&print(key, indent));
        self.checked(text, |keys| keys.push(key.clone()))
    }

    /// The text with the time at which a key was revoked.
    pub fn with_revoked(&self, id: &str, revoked: SystemTime) -> Result<String, EditError> {
        self.with_time(id, "revoked", revoked, |key| key.revoked = Some(revoked))
    }

    /// The text with the time at which a key expires.
    pub fn with_expires(&self, id: &str, expires: SystemTime) -> Result<String, EditError> {
        self.with_time(id, "expires", expires, |key| key.expires = Some(expires))
    }

    fn with_time(
        &self,
        id: &str,
        field: &str,
        time: SystemTime,
        change: impl FnOnce(&mut ApiKey),
    ) -> Result<String, EditError> {
        let index = self.entries.iter().position(|(key, _)| &*key.id == id);
        let (index, (_, node)) = index
            .zip(index.and_then(|index| self.entries.get(index)))
            .ok_or_else(|| EditError::UnknownId(id.into()))?;
        let time = timestamp::print(time);
        let mut text = self.source.text.to_string();
        match node.get(field) {
            Some(value) if !value.at.is_empty() && !value.is_null() => text.replace_range(value.at.clone(), &time),
            // Nothing at all stands there: `expires:`.
            Some(_) => self.insert_behind_name(&mut text, node, field, &time)?,
            None => self.insert_behind_id(&mut text, node, field, &time)?,
        }
        self.checked(text, |keys| {
            if let Some(key) = keys.get_mut(index) {
                change(key);
            }
        })
    }

    /// Gives a field that says nothing a value.
    fn insert_behind_name(&self, text: &mut String, node: &Node, field: &str, value: &str) -> Result<(), EditError> {
        let Value::Mapping(fields) = &node.value else { return Err(EditError::Shape) };
        let (name, old) = fields.iter().find(|(name, _)| name.text() == Some(field)).ok_or(EditError::Shape)?;
        let rest = self.source.text.get(name.at.end..).ok_or(EditError::Shape)?;
        let colon = name.at.end + rest.find(':').ok_or(EditError::Shape)? + 1;
        // `~` or `null`.
        let word = old.text().unwrap_or_default();
        let end = if word.is_empty() { colon } else { old.at.end };
        text.replace_range(colon..end, &format!(" {value}"));
        Ok(())
    }

    /// Writes a further field behind the id, in the manner of the entry.
    fn insert_behind_id(&self, text: &mut String, node: &Node, field: &str, value: &str) -> Result<(), EditError> {
        let Value::Mapping(fields) = &node.value else { return Err(EditError::Shape) };
        let (name, id) = fields.iter().find(|(name, _)| name.text() == Some("id")).ok_or(EditError::Shape)?;
        if text.get(node.at.clone()).is_some_and(|entry| entry.starts_with('{')) {
            text.insert_str(id.at.end, &format!(", {field}: {value}"));
            return Ok(());
        }
        let column = self.column(name.at.start);
        let rest = text.get(id.at.end..).ok_or(EditError::Shape)?;
        match rest.find('\n') {
            Some(line_end) => text.insert_str(id.at.end + line_end + 1, &format!("{:column$}{field}: {value}\n", "")),
            None => {
                let _ = write!(text, "\n{:column$}{field}: {value}\n", "");
            }
        }
        Ok(())
    }

    /// How far a byte stands from the beginning of its line, in characters.
    fn column(&self, at: usize) -> usize {
        let before = self.source.text.get(..at).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default().chars().count()
    }

    /// An edited text, if it says what it shall: all that it said before, but for the change.
    fn checked(&self, text: String, change: impl FnOnce(&mut Vec<ApiKey>)) -> Result<String, EditError> {
        let mut expected: Vec<ApiKey> = self.keys().cloned().collect();
        change(&mut expected);
        let source = Arc::new(Source::new(self.source.name.clone(), text.as_str()));
        let edited = Self::parse(&source).map_err(|_| EditError::Shape)?;
        if edited.keys().eq(&expected) { Ok(text) } else { Err(EditError::Shape) }
    }
}

fn read(source: &Arc<Source>, node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<ApiKey> {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    let mut mistakes = Vec::new();
    let json = validate(node, SCHEMA.get_or_init(schema_of::<Written>), &mut mistakes);
    for mistake in mistakes {
        let span = Span::new(source.clone(), mistake.at);
        let mut diagnostic = Diagnostic::error(mistake.code, mistake.message).at(span, mistake.label);
        diagnostic.help = mistake.help;
        diagnostics.push(diagnostic);
    }
    // The schema has let it through: what follows succeeds.
    let written: Written = serde_json::from_value(json?).ok()?;
    let arcs = |texts: Vec<String>| texts.into_iter().map(Arc::from).collect();
    let time = |text: Option<String>| text.as_deref().and_then(timestamp::parse);
    Some(ApiKey {
        id: written.id.into(),
        owner: written.owner.into(),
        hash: formats::key_hash(&written.hash)?,
        created: timestamp::parse(&written.created)?,
        expires: time(written.expires),
        scopes: arcs(written.scopes),
        cidrs: written.cidrs.iter().filter_map(|text| formats::network(text)).collect(),
        groups: arcs(written.groups),
        note: written.note.map(Into::into),
        revoked: time(written.revoked),
    })
}

/// An entry as it is written, its dash `indent` characters from the left.
fn print(key: &ApiKey, indent: usize) -> String {
    let mut text = format!("{:indent$}- id: {}\n", "", key.id);
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "{:indent$}  {name}: {value}", "");
    };
    field("owner", &quoted(&key.owner));
    let hash = key.hash.iter().fold("hmac-sha256:".to_owned(), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    });
    field("hash", &hash);
    field("created", &timestamp::print(key.created));
    if let Some(expires) = key.expires {
        field("expires", &timestamp::print(expires));
    }
    let list = |texts: &mut dyn Iterator<Item = String>| {
        let texts: Vec<String> = texts.collect();
        (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
    };
    let lists = [
        ("scopes", list(&mut key.scopes.iter().map(|scope| quoted(scope)))),
        ("cidrs", list(&mut key.cidrs.iter().map(|network| quoted(&network.to_string())))),
        ("groups", list(&mut key.groups.iter().map(|group| quoted(group)))),
    ];
    for (name, list) in lists {
        if let Some(list) = list {
            field(name, &list);
        }
    }
    if let Some(note) = &key.note {
        field("note", &quoted(note));
    }
    if let Some(revoked) = key.revoked {
        field("revoked", &timestamp::print(revoked));
    }
    text
}

/// A string as YAML reads it back: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use super::*;

    const HASH: &str = "hmac-sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn parse(text: &str) -> Result<ApiKeyFile, Vec<Diagnostic>> {
        ApiKeyFile::parse(&Arc::new(Source::new("api-keys.yaml", text)))
    }

    fn entry(id: &str) -> ApiKey {
        ApiKey {
            id: id.into(),
            owner: "Älice: \"the\" {first} #1\n".into(),
            hash: [0xab; 32],
            created: timestamp::parse("2026-11-25T20:45:00Z").unwrap(),
            expires: timestamp::parse("2027-11-25T20:45:00Z"),
            scopes: vec!["chat".into(), "true".into()],
            cidrs: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            groups: vec!["ml, engineers".into(), "-".into()],
            note: Some("1".into()),
            revoked: None,
        }
    }

    #[test]
    fn what_is_printed_is_read() {
        let mut text = "# our keys\n".to_owned();
        let mut expected = Vec::new();
        for id in ["aaaaaaaaaaaa", "b00000000000", "nullnullnull"] {
            text = parse(&text).unwrap().with_entry(&entry(id)).unwrap();
            expected.push(entry(id));
            assert_eq!(parse(&text).unwrap().keys().cloned().collect::<Vec<_>>(), expected, "{text}");
        }
        assert!(text.starts_with("# our keys\n- id: aaaaaaaaaaaa\n"), "{text}");
    }

    #[test]
    fn comments_and_the_manner_of_people_survive_edits() {
        let text = format!(
            "# top\n  # second\n  - owner: alice   # who left\n    id: aaaaaaaaaaaa   # the first\n    hash: {HASH}\n    created: \
             2026-01-01T00:00:00Z\n    expires:\n  - {{id: bbbbbbbbbbbb, owner: bob, hash: \"{HASH}\", created: \
             2026-01-01T00:00:00Z, expires: 2026-02-01T00:00:00Z}}   # flows\n  # end\n"
        );
        let then = timestamp::parse("2026-03-04T05:06:07Z").unwrap();
        let mut edited = text.clone();
        for id in ["aaaaaaaaaaaa", "bbbbbbbbbbbb"] {
            edited = parse(&edited).unwrap().with_revoked(id, then).unwrap();
            edited = parse(&edited).unwrap().with_expires(id, then + Duration::from_secs(1)).unwrap();
        }
        let keys = parse(&edited).unwrap();
        assert!(keys.keys().all(|key| key.revoked == Some(then) && key.expires > Some(then)), "{edited}");
        for comment in ["# top", "  # second", "alice   # who left", "# the first", "# flows", "  # end"] {
            assert!(edited.contains(comment), "{edited}");
        }
        let edited = keys.with_entry(&entry("cccccccccccc")).unwrap();
        assert_eq!(parse(&edited).unwrap().keys().len(), 3, "{edited}");
        assert_eq!(keys.with_revoked("dddddddddddd", then), Err(EditError::UnknownId("dddddddddddd".into())));
    }

    #[test]
    fn a_list_in_brackets_is_read_and_not_added_to() {
        let text = format!("[{{id: aaaaaaaaaaaa, owner: a, hash: \"{HASH}\", created: 2026-01-01T00:00:00Z}}]\n");
        let file = parse(&text).unwrap();
        assert_eq!(file.keys().len(), 1);
        assert_eq!(file.with_entry(&entry("bbbbbbbbbbbb")), Err(EditError::Shape));
        assert!(parse(&file.with_revoked("aaaaaaaaaaaa", SystemTime::UNIX_EPOCH).unwrap()).is_ok());
    }

    #[test]
    fn every_mistake_is_told_where_it_stands() {
        let codes = |text: &str| -> Vec<&str> {
            parse(text).err().unwrap_or_default().iter().map(|diagnostic| diagnostic.code).collect()
        };
        let good = format!("- id: aaaaaaaaaaaa\n  owner: a\n  hash: {HASH}\n  created: 2026-01-01T00:00:00Z\n");
        assert!(codes(&good).is_empty() && codes("").is_empty() && codes("# nothing yet\n").is_empty());
        assert_eq!(codes(&good.replace("owner", "ownr")), ["unknown-field", "missing-field"]);
        assert_eq!(codes(&good.replace("owner: a", "owner: ''")), ["invalid-value"]);
        assert_eq!(codes(&good.replace("aaaaaaaaaaaa", "AAAAAAAAAAAA")), ["invalid-value"]);
        assert_eq!(codes(&good.replace("hmac-sha256", "sha256")), ["invalid-value"]);
        assert_eq!(codes(&good.replace("2026-01-01T00:00:00Z", "2026-01-01")), ["invalid-value"]);
        assert_eq!(
            codes(&format!("{good}  cidrs: [10.0.0.1/8, 10.0.0.0/33, 10.0.0.1, '::1']\n")),
            ["invalid-value"; 2]
        );
        assert_eq!(codes(&format!("{good}{good}")), ["duplicate-key-id"]);
        assert_eq!(codes(&format!("{good}---\n{good}")), ["not-a-list"]);
        assert_eq!(codes("apiVersion: v1\n"), ["not-a-list"]);
        assert_eq!(codes("- id: [\n"), ["yaml-syntax"]);
    }

    #[test]
    fn a_key_in_the_place_of_its_hash_is_not_repeated() {
        let text = "- id: aaaaaaaaaaaa\n  owner: a\n  hash: pcl_aaaaaaaaaaaa_SECRETSECRET\n  created: \
                    2026-01-01T00:00:00Z\n";
        let told = crate::diagnostics::text(&parse(text).unwrap_err(), false);
        assert!(told.contains("not a hash") && !told.contains("SECRET"), "{told}");
        let typed = crate::diagnostics::text(&parse(&text.replace("hash:", "hsh:")).unwrap_err(), false);
        assert!(!typed.contains("SECRET"), "{typed}");
    }
}
