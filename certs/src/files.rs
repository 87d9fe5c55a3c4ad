//! Files that must never be seen half written, nor by others.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Tells apart the temporary files of one process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Only the owner reads and writes.
pub(crate) const SECRET_MODE: u32 = 0o600;
/// Only the owner enters.
const FOLDER_MODE: u32 = 0o700;
/// Everybody reads.
pub(crate) const PUBLIC_MODE: u32 = 0o644;

/// Creates `path` and the folders above it that are missing, closed to others from the first moment.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Replaces `path` as one step: a reader, or a crash, sees the old content or the new.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(path, content, mode)?;
    let renamed = fs::rename(&temporary, path);
    finish(path, &temporary, renamed)
}

/// Creates `path` as one step; `AlreadyExists` if somebody was first.
pub(crate) fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(path, content, mode)?;
    let linked = fs::hard_link(&temporary, path);
    finish(path, &temporary, linked)
}

fn write_temporary(path: &Path, content: &[u8], mode: u32) -> io::Result<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
    let temporary = path.with_file_name(name);
    // What a crashed process of the same id may have left.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    // The mode given at creation is subject to the umask.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(temporary)
}

fn finish(path: &Path, temporary: &Path, outcome: io::Result<()>) -> io::Result<()> {
    // After a rename it is gone already.
    let _ = fs::remove_file(temporary);
    outcome?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// The permission bits of `path`.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}
