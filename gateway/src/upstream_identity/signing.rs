//! The keys that JWTs for backends are signed with: Ed25519, in the state folder, replaced by age.
//!
//! A new key is published before it signs, so that backends which keep the key set for a while know it by then; an old one
//! stays published until nothing that it signed is good any more.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::private_file;

/// The folder of the keys, in the state folder.
const FOLDER: &str = "upstream-identity";
/// How long a key signs before another is made.
pub const KEY_AGE_MAX: Duration = Duration::from_hours(720);
/// How long a key is published before it signs.
pub const PUBLISHED_BEFORE: Duration = Duration::from_hours(24);
/// How long a key is published after another has taken its place.
pub const PUBLISHED_AFTER: Duration = Duration::from_hours(24);
/// Keys that are read; further files are passed over, the oldest first.
pub const SIGNING_KEYS_MAX: usize = 16;
/// The ending of a key's file; before it stands the second in which it was made.
const ENDING: &str = ".pkcs8";

/// A key that signs.
pub struct SigningKey {
    id: String,
    made: SystemTime,
    pair: Ed25519KeyPair,
    path: PathBuf,
}

/// The keys of a gateway.
pub struct SigningKeys {
    folder: PathBuf,
    keys: ArcSwap<Published>,
}

/// What backends may have learnt.
#[derive(Default)]
struct Published {
    /// The newest first.
    all: Vec<Arc<SigningKey>>,
    /// That which signs.
    signs: Option<Arc<SigningKey>>,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder or one of its files.
    #[error("the keys of what backends are told, in `{path}`: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no key.
    #[error("`{0}` holds no Ed25519 key; remove it, and another is made")]
    Malformed(PathBuf),
    /// No key could be made.
    #[error("no key can be made")]
    Make,
}

impl SigningKeys {
    /// Reads the keys in a state folder, and makes the first if there is none.
    pub fn open(state: &Path, now: SystemTime) -> Result<Self, KeysError> {
        let folder = state.join(FOLDER);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| KeysError::File { path: folder.clone(), source })?;
        let keys = Self { folder, keys: ArcSwap::default() };
        keys.turn(now)?;
        Ok(keys)
    }

    /// Makes a new key when it is time, lets it sign when it has been published for long enough, and forgets old ones.
    pub fn turn(&self, now: SystemTime) -> Result<(), KeysError> {
        let mut keys = self.read()?;
        let newest = keys.first().map(|key| key.made);
        // The next key must have been published when this one has signed for as long as it may.
        let is_due = |made: SystemTime| made + KEY_AGE_MAX <= now + PUBLISHED_BEFORE;
        if newest.is_none_or(is_due) {
            self.make(now)?;
            keys = self.read()?;
        }
        let signs = signing(&keys, now);
        // What stopped signing long ago is of no use to anybody.
        let retired = |key: &SigningKey| {
            let successor = keys.iter().filter(|other| other.made > key.made).map(|other| other.made).min();
            successor.is_some_and(|made| made + PUBLISHED_BEFORE + PUBLISHED_AFTER <= now)
        };
        for key in keys.iter().filter(|key| retired(key)) {
            match fs::remove_file(&key.path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(KeysError::File { path: key.path.clone(), source });
                }
                _ => {}
            }
        }
        let all = keys.iter().filter(|key| !retired(key)).cloned().collect();
        self.keys.store(Arc::new(Published { all, signs }));
        Ok(())
    }

    /// The key that signs now.
    pub(super) fn current(&self) -> Option<Arc<SigningKey>> {
        self.keys.load().signs.clone()
    }

    /// A JWT with these claims. `None`: there is no key.
    pub fn sign(&self, claims: &Value) -> Option<String> {
        Some(self.current()?.sign(&claims.to_string()))
    }

    /// The key set (RFC 7517) that backends verify with.
    pub fn key_set(&self) -> Value {
        let keys: Vec<Value> = self.keys.load().all.iter().map(|key| key.public()).collect();
        json!({ "keys": keys })
    }

    fn read(&self) -> Result<Vec<Arc<SigningKey>>, KeysError> {
        let in_folder = |source| KeysError::File { path: self.folder.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(in_folder)? {
            let path = entry.map_err(in_folder)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(second) = name.strip_suffix(ENDING).and_then(|second| second.parse::<u64>().ok()) {
                found.push((second, path));
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(SIGNING_KEYS_MAX);
        found.into_iter().map(|(second, path)| SigningKey::read(second, path).map(Arc::new)).collect()
    }

    fn make(&self, now: SystemTime) -> Result<(), KeysError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeysError::Make)?;
        let der = pair.to_pkcs8().map_err(|_| KeysError::Make)?;
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = self.folder.join(format!("{second}{ENDING}"));
        match private_file::create(&path, der.as_ref()) {
            // A process beside us was first: its key is as good.
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(KeysError::File { path, source }),
            _ => Ok(()),
        }
    }
}

/// The newest key that has been published for long enough; the oldest, where none has been.
fn signing(keys: &[Arc<SigningKey>], now: SystemTime) -> Option<Arc<SigningKey>> {
    let is_published = |key: &&Arc<SigningKey>| key.made + PUBLISHED_BEFORE <= now;
    keys.iter().find(is_published).or(keys.last()).cloned()
}

impl SigningKey {
    fn read(second: u64, path: PathBuf) -> Result<Self, KeysError> {
        let der = fs::read(&path).map_err(|source| KeysError::File { path: path.clone(), source })?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeysError::Malformed(path.clone()))?;
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        // RFC 7638: the members that make the key, in the order of their names, without a blank.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()));
        Ok(Self { id, made: SystemTime::UNIX_EPOCH + Duration::from_secs(second), pair, path })
    }

    /// Its thumbprint (RFC 7638).
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A JWT with these claims.
    pub(super) fn sign(&self, claims: &str) -> String {
        let head = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id}).to_string();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id, "alg": "EdDSA", "use": "sig"})
    }
}
