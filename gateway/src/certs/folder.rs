//! An identity as files: `tls.crt`, `tls.key` and `ca.crt`, replaced together.
//!
//! As Kubernetes does it: the three names are links into `..data`, itself a link to a folder that holds one issue. Swapping that
//! one link replaces all of them, so a crash never leaves a key beside the certificate of another. A reader who opens one file
//! before and one after sees that they do not belong together, and reads again.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use portcullis_certs::{SpiffeId, Svid, TrustBundle};

use super::input;
use crate::run::RunError;

/// The chain, leaf first.
const CERTIFICATE: &str = "tls.crt";
/// Its key.
const KEY: &str = "tls.key";
/// Whom to believe.
const BUNDLE: &str = "ca.crt";
/// The link that is swapped.
const CURRENT: &str = "..data";
/// What names of folders with one issue begin with.
const ISSUE: &str = "..issued-";

/// Refuses a folder whose key is not of `id`: what is there is somebody's, and would be lost.
pub(super) fn refuse_another(folder: &Path, id: &SpiffeId) -> Result<(), RunError> {
    refuse_open(folder)?;
    let Some(present) = [KEY, CERTIFICATE, BUNDLE].into_iter().find(|name| folder.join(name).exists()) else {
        return Ok(());
    };
    let path = folder.join(present);
    let stays = |why: &str| {
        let path = path.display();
        Err(input(format!("`{path}` is there already and {why}; give another folder, or move what is in it away")))
    };
    let read = |name: &str| fs::read(folder.join(name));
    match (read(CERTIFICATE), read(KEY)) {
        (Ok(chain), Ok(key)) => match Svid::from_pem(&chain, &key) {
            Ok(svid) if svid.id() == id => Ok(()),
            Ok(svid) => stays(&format!("is that of `{}`", svid.id())),
            Err(error) => stays(&format!("is not known to be that of `{id}` ({error})")),
        },
        _ => stays(&format!("is not known to be that of `{id}` (`{CERTIFICATE}` and `{KEY}` cannot both be read)")),
    }
}

/// Who can write to the folder can put another identity there.
fn refuse_open(folder: &Path) -> Result<(), RunError> {
    let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
    let path = folder.display();
    if !metadata.is_dir() {
        return Err(input(format!("`{path}` is not a folder; give one with `--out`")));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(input(format!("`{path}` has mode {mode:04o}, so others may write it; run `chmod go-w {path}`")));
    }
    Ok(())
}

/// Replaces what the folder holds by this identity, as one step.
pub(super) fn install(folder: &Path, svid: &Svid, bundle: &TrustBundle) -> Result<(), RunError> {
    let (chain, key, bundle) = (svid.chain_pem(), svid.key_pem(), bundle.to_pem());
    let files = [(CERTIFICATE, chain, 0o644), (KEY, key, 0o600), (BUNDLE, bundle, 0o644)];
    let issue = format!("{ISSUE}{}", svid.serial());
    let installed = write_issue(&folder.join(&issue), &files).and_then(|()| swap(folder, &issue));
    installed.map_err(|error| {
        // Nobody has seen it, unless the link leads there already.
        if fs::read_link(folder.join(CURRENT)).ok().as_deref() != Some(Path::new(&issue)) {
            let _ = fs::remove_dir_all(folder.join(&issue));
        }
        input(format!("cannot write to `{}`: {error}", folder.display()))
    })
}

fn write_issue(issue: &Path, files: &[(&str, String, u32)]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(issue)?;
    for (name, text, mode) in files {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(*mode).open(issue.join(name))?;
        // The mode given at creation is subject to the umask.
        file.set_permissions(Permissions::from_mode(*mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    // Who may enter the folder above may read the two files that are no secret.
    fs::set_permissions(issue, Permissions::from_mode(0o755))?;
    File::open(issue)?.sync_all()
}

fn swap(folder: &Path, issue: &str) -> io::Result<()> {
    let names = [CERTIFICATE, KEY, BUNDLE];
    // Names that are new lead nowhere until the swap, and then all at once.
    for name in names.into_iter().filter(|name| folder.join(name).symlink_metadata().is_err()) {
        symlink(target(name), folder.join(name))?;
    }
    link(folder, CURRENT, Path::new(issue))?;
    // Files of the same identity that were not links.
    for name in names.into_iter().filter(|name| fs::read_link(folder.join(name)).ok() != Some(target(name))) {
        link(folder, name, &target(name))?;
    }
    File::open(folder)?.sync_all()?;
    remove_others(folder, issue)
}

fn target(name: &str) -> PathBuf {
    Path::new(CURRENT).join(name)
}

/// Makes or replaces a link as one step.
fn link(folder: &Path, name: &str, target: &Path) -> io::Result<()> {
    let temporary = folder.join(format!("..{name}.{}", std::process::id()));
    // What a crashed process of the same id may have left.
    let _ = fs::remove_file(&temporary);
    symlink(target, &temporary)?;
    fs::rename(&temporary, folder.join(name))
}

/// Removes the issues that nothing leads to any more: the one before, and what a crash may have left.
fn remove_others(folder: &Path, issue: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_issue = name.to_str().is_some_and(|name| name.starts_with(ISSUE) && name != issue);
        if is_issue && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
