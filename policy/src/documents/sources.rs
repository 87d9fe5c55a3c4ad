//! Which files hold documents, and what is in them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::diagnostics::{Diagnostic, Source};

/// The largest file that is read, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The deepest folder below one that was named.
const FOLDER_DEPTH_MAX: usize = 16;

/// All files.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// In a stable order.
    pub files: Vec<Arc<Source>>,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

impl Sources {
    /// One text, for tests and tools.
    pub fn of_text(name: &str, text: &str) -> Self {
        Self { files: vec![Arc::new(Source::new(name, text))], diagnostics: Vec::new() }
    }
}

/// Reads files, and folders recursively: `*.yaml`, `*.yml` and `*.json`. Entries that begin with a dot are passed over:
/// among them are the `..data` folders of Kubernetes' volumes, whose files are reached by the links beside them.
pub fn read_paths(paths: &[PathBuf]) -> Sources {
    let mut sources = Sources::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        let found = if path.is_dir() { files_below(path, 0) } else { Ok(vec![path.clone()]) };
        match found {
            Ok(files) => {
                for file in files {
                    // A file that two links lead to is one file.
                    let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
                    if seen.insert(real) {
                        read_file(&file, &mut sources);
                    }
                }
            }
            Err(error) => sources.diagnostics.push(unreadable(path, &error)),
        }
    }
    if sources.files.is_empty() && sources.diagnostics.is_empty() {
        let named = paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ");
        let message = format!("there are no documents in {named}");
        sources
            .diagnostics
            .push(Diagnostic::error("no-documents", message).help("documents are in *.yaml, *.yml and *.json"));
    }
    sources
}

fn files_below(folder: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    if depth > FOLDER_DEPTH_MAX {
        return Err(io::Error::other("folders are nested too deep"));
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            files.extend(files_below(&path, depth + 1)?);
        } else if [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(files)
}

fn read_file(path: &Path, sources: &mut Sources) {
    let read = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        fs::read_to_string(path)
    });
    match read {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            sources.files.push(Arc::new(Source::new(path.display().to_string(), text)));
        }
        Err(error) => sources.diagnostics.push(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error("unreadable", format!("cannot read `{}`: {error}", path.display()))
        .help("check that it exists and may be read")
}
