//! Noticing that documents or certificates have changed.
//!
//! The system's notifications are quick; a look at every file from time to time catches what they miss (network file
//! systems, links swapped by Kubernetes). What changed does not matter: everything is read again.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::FixedState;
use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

/// How often every file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long changes must have been quiet: editors and links come in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// Notifies `changed` whenever something below `paths` does, until it is dropped.
pub async fn watch(paths: Vec<PathBuf>, changed: Arc<Notify>) {
    let hint = Arc::new(Notify::new());
    let sender = hint.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            sender.notify_one();
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, "no notifications of changed files; they are looked at every {LOOK_INTERVAL:?}");
            None
        }
    };
    if let Some(watcher) = &mut watcher {
        let folders: BTreeSet<PathBuf> = paths.iter().map(|path| folder_of(path)).collect();
        for folder in folders {
            let _ = watcher.watch(&folder, RecursiveMode::Recursive);
        }
    }
    let mut before = fingerprint(&paths);
    loop {
        let _ = tokio::time::timeout(LOOK_INTERVAL, hint.notified()).await;
        let mut now = fingerprint(&paths);
        if now == before {
            continue;
        }
        // Wait until two looks agree.
        loop {
            tokio::time::sleep(QUIET).await;
            let next = fingerprint(&paths);
            if next == now {
                break;
            }
            now = next;
        }
        before = now;
        changed.notify_one();
    }
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_owned() } else { path.parent().map(Path::to_owned).unwrap_or_default() }
}

/// Names, sizes, times and inodes of everything below the paths.
fn fingerprint(paths: &[PathBuf]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    for path in paths {
        visit(path, 0, &mut hasher);
    }
    hasher.finish()
}

fn visit(path: &Path, depth: usize, hasher: &mut impl Hasher) {
    use std::os::unix::fs::MetadataExt;
    path.hash(hasher);
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_dir() && depth < 16 {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.sort();
        for entry in entries {
            visit(&entry, depth + 1, hasher);
        }
    } else {
        (metadata.len(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec()).hash(hasher);
    }
}
