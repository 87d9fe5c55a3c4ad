//! What placeholders are made with: a secret of this gateway's, kept in its state folder so that the same value has the same
//! placeholder after a restart. Replicas that share it make the same ones, and prefix caches hit whichever is asked.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

use crate::private_file;

/// Below the state folder.
const FILE: &str = "placeholders.key";

/// The secret that placeholders are made with.
#[derive(Clone)]
pub struct PlaceholderSecret(pub(super) [u8; 32]);

impl std::fmt::Debug for PlaceholderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// The secret can be neither read nor made.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct SecretError {
    path: PathBuf,
    source: io::Error,
}

impl PlaceholderSecret {
    /// One that is none, for what nobody is sent.
    pub(super) fn known() -> Self {
        Self([0; 32])
    }

    /// That of this state folder; made if there is none yet.
    pub fn open(state: &Path) -> Result<Self, SecretError> {
        let path = state.join(FILE);
        let told = |source| SecretError { path: path.clone(), source };
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read.map_err(told),
        }
        DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(told)?;
        let mut secret = [0; 32];
        let random = SystemRandom::new().fill(&mut secret);
        random.map_err(|_| told(io::Error::other("the system has no random bytes")))?;
        match private_file::create(&path, &secret) {
            // A process beside us was first: its secret is as good.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(told(error)),
            _ => read(&path).map_err(told),
        }
    }
}

fn read(path: &Path) -> io::Result<PlaceholderSecret> {
    let mut secret = [0; 32];
    let mut file = File::open(path)?;
    file.read_exact(&mut secret)?;
    if file.read(&mut [0])? > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not 32 bytes long"));
    }
    Ok(PlaceholderSecret(secret))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn the_secret_outlives_the_process_and_is_nobody_elses() {
        let state = tempfile::tempdir().unwrap();
        let first = PlaceholderSecret::open(&state.path().join("deep")).unwrap();
        let again = PlaceholderSecret::open(&state.path().join("deep")).unwrap();
        assert_eq!(first.0, again.0);
        assert_ne!(first.0, [0; 32]);
        let file = state.path().join("deep").join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&file, "short").unwrap();
        let error = PlaceholderSecret::open(&state.path().join("deep")).unwrap_err().to_string();
        assert!(error.contains(FILE), "{error}");
        assert_eq!(fs::read_dir(state.path().join("deep")).unwrap().count(), 1);
    }
}
