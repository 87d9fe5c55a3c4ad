//! Everything that is wrong with documents, at once. Touches files, never the network.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Snapshot,
    compile::compile,
    diagnostics::{self, Class, Diagnostic, Severity, Span},
    documents::{Document, Parsed, Sources, api_keys::ApiKeyFile, not_a_document, parse_all, read_paths},
    reach::prove,
    snapshot::ProviderKind,
};

/// What reading, checking and compiling came to.
#[derive(Debug)]
pub struct Report {
    /// In the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// Every document that could be read.
    pub documents: Vec<Document>,
    /// What they mean. Only to be used if [`Self::refusals`] has nothing against it.
    pub snapshot: Snapshot,
}

/// Reads, checks and compiles the documents below `paths`.
pub fn check(paths: &[PathBuf]) -> Report {
    check_sources(&read_paths(paths))
}

/// Checks and compiles documents that have been read.
pub fn check_sources(sources: &Sources) -> Report {
    let Parsed { documents, mut diagnostics, unread, lists } = parse_all(sources);
    let compiled = compile(&documents);
    // What only follows from a mistake that has been told already is not told: nothing is hidden by that, since an error
    // stands in its place.
    diagnostics.extend(compiled.diagnostics.into_iter().filter(|diagnostic| !unread.explains(diagnostic)));
    check_keys(&compiled.snapshot, lists, &mut diagnostics);
    diagnostics.extend(prove(&documents, &compiled.snapshot));
    if documents.is_empty() && diagnostics.is_empty() {
        // Most likely a file that was cut short. Served, it would close every port.
        diagnostics.push(Diagnostic::error("no-documents", "the files hold no documents").help("remove empty files"));
    }
    diagnostics::sort(&mut diagnostics);
    Report { diagnostics, documents, snapshot: compiled.snapshot }
}

/// Says what is wrong with the files of API keys that are there. They may lie among the documents, where any other list is
/// a mistake.
fn check_keys(snapshot: &Snapshot, lists: Vec<Span>, diagnostics: &mut Vec<Diagnostic>) {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let files = snapshot.providers.iter().filter_map(|provider| match &provider.kind {
        ProviderKind::ApiKeys(keys) => Some(keys.file.as_path()),
        _ => None,
    });
    let mut read = BTreeSet::new();
    for file in files.filter(|file| file.is_file()) {
        if read.insert(real(file)) {
            match ApiKeyFile::read(file) {
                Ok(keys) => diagnostics.extend(keys.err().unwrap_or_default()),
                Err(error) => diagnostics
                    .push(Diagnostic::error("unreadable", format!("cannot read `{}`: {error}", file.display()))),
            }
        }
    }
    let strange = lists.into_iter().filter(|list| !read.contains(&real(Path::new(&**list.file()))));
    diagnostics.extend(strange.map(not_a_document));
}

impl Report {
    /// Whether `check` succeeds: what a later version will enforce is no mistake.
    pub fn is_clean(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// What `check` prints: there, what a later version will enforce is a warning. `run` refuses it.
    pub fn told(&self) -> Vec<Diagnostic> {
        let as_told = |diagnostic: &Diagnostic| {
            let mut told = diagnostic.clone();
            if told.class == Class::Enforcement {
                told.severity = Severity::Warning;
            }
            told
        };
        self.diagnostics.iter().map(as_told).collect()
    }

    /// What forbids to serve the snapshot. `references_may_fail`: a rule whose reference leads nowhere answers 500.
    pub fn refusals(&self, references_may_fail: bool) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(move |diagnostic| {
            diagnostic.severity == Severity::Error && !(references_may_fail && diagnostic.class == Class::Reference)
        })
    }
}
