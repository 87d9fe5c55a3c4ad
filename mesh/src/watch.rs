//! Noticing that documents or certificates have changed since they were read.
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
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, timeout},
};

/// How often every file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long changes must have been quiet: editors and links come in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Changes that never end are read all the same.
const UNQUIET_MAX: Duration = Duration::from_secs(2);
/// The deepest folder that is looked into.
const FOLDER_DEPTH_MAX: usize = 16;

/// What was read, as it looked just before. So whatever changes while it is read, or after, is noticed.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    parts: Vec<(Vec<PathBuf>, u64)>,
}

impl Watched {
    /// Looks at these paths, which are read next.
    pub fn look(&mut self, paths: Vec<PathBuf>) {
        let look = fingerprint(&paths);
        self.parts.push((paths, look));
    }

    fn looks_now(&self) -> Vec<u64> {
        self.parts.iter().map(|(paths, _)| fingerprint(paths)).collect()
    }

    fn is_as_read(&self, looks: &[u64]) -> bool {
        self.parts.iter().map(|(_, look)| look).eq(looks)
    }

    /// The folders to be notified of.
    fn folders(&self) -> BTreeSet<PathBuf> {
        self.parts.iter().flat_map(|(paths, _)| paths).map(|path| folder_of(path)).collect()
    }
}

/// Tells `changed` whenever something is not as it was when it was read, until the reader is gone. Whoever is told reads
/// again, and says what.
pub async fn watch(mut watched: watch::Receiver<Watched>, changed: mpsc::Sender<()>) {
    let hint = Arc::new(Notify::new());
    loop {
        let read = watched.borrow_and_update().clone();
        let _notifications = notifications(&read.folders(), &hint);
        tokio::select! {
            () = until_changed(&read, &hint) => {
                if changed.send(()).await.is_err() || watched.changed().await.is_err() {
                    return;
                }
            }
            // Read again for another reason.
            read = watched.changed() => if read.is_err() {
                return;
            },
        }
    }
}

/// Ready when something is not as it was read, and has come to rest.
async fn until_changed(read: &Watched, hint: &Notify) {
    let mut now = read.looks_now();
    while read.is_as_read(&now) {
        let _ = timeout(LOOK_INTERVAL, hint.notified()).await;
        now = read.looks_now();
    }
    let deadline = Instant::now() + UNQUIET_MAX;
    while Instant::now() < deadline {
        sleep(QUIET).await;
        let next = read.looks_now();
        if next == now {
            break;
        }
        now = next;
    }
}

/// Notifies `hint` of whatever happens in the folders, as long as the result is kept.
fn notifications(folders: &BTreeSet<PathBuf>, hint: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let hint = hint.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            hint.notify_one();
        }
    });
    let watcher = watcher.and_then(|mut watcher| {
        for folder in folders {
            // One that is missing is looked for from time to time.
            if folder.is_dir() {
                watcher.watch(folder, RecursiveMode::Recursive)?;
            }
        }
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| {
            tracing::warn!(%error, "no notifications of changed files; they are looked at every {LOOK_INTERVAL:?}");
        })
        .ok()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        _ if path.is_dir() => path.to_owned(),
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
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
    if metadata.is_dir() && depth < FOLDER_DEPTH_MAX {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{fs, os::unix::fs::symlink};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn watched(path: &Path) -> Watched {
        let mut watched = Watched::default();
        watched.look(vec![path.to_owned()]);
        watched
    }

    #[tokio::test]
    async fn what_changed_since_it_was_looked_at_is_told_once_for_each_reading() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "1").unwrap();
        let before = watched(folder.path());
        // While it is read, before anybody watches.
        fs::write(&file, "22").unwrap();
        let (reading, read) = watch::channel(before);
        let (tell, mut told) = mpsc::channel(1);
        let watching = tokio::spawn(watch(read, tell));
        timeout(LONG, told.recv()).await.unwrap().unwrap();
        reading.send_replace(watched(folder.path()));
        fs::remove_file(&file).unwrap();
        timeout(LONG, told.recv()).await.unwrap().unwrap();
        drop(reading);
        timeout(LONG, watching).await.unwrap().unwrap();
        assert!(told.try_recv().is_err(), "nothing else is told");
    }

    #[test]
    fn a_swapped_link_looks_different_and_a_touched_look_does_not() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("tls.crt"), "x").unwrap();
        }
        let (data, link) = (folder.path().join("..data"), folder.path().join("tls.crt"));
        symlink("..1", &data).unwrap();
        symlink("..data/tls.crt", &link).unwrap();
        let before = watched(&link);
        assert!(before.is_as_read(&before.looks_now()));
        symlink("..2", folder.path().join("next")).unwrap();
        fs::rename(folder.path().join("next"), data).unwrap();
        assert!(!before.is_as_read(&before.looks_now()));
    }

    #[test]
    fn a_plain_file_name_is_in_the_working_folder() {
        assert_eq!(folder_of(Path::new("documents.yaml")), Path::new("."));
    }
}
