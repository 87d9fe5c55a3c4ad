//! API keys of our own: who shows one is the user whose key it is.
//!
//! A key is never kept, only its HMAC with a secret that lies elsewhere (the pepper): whoever reads the file of keys can
//! neither use nor guess them. The file and its rules are `portcullis_policy`'s; the text of a key is [`key`]'s.

pub mod key;

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{hmac, rand};
use foldhash::HashMap;
use portcullis_policy::{
    authorize::{Caller, Method, Principal, PrincipalKind},
    diagnostics,
    documents::api_keys::{ApiKey, ApiKeyFile},
    snapshot::{ApiKeyProvider, DocumentId},
};
use serde_json::Map;

pub use self::key::is_api_key;
use super::{Known, Rejection};

/// The shortest pepper, in bytes.
pub const PEPPER_BYTES_MIN: usize = 32;
/// The largest file that is read as a pepper, in bytes.
pub const PEPPER_BYTES_MAX: u64 = 4096;

/// The keys of one provider.
pub struct KeyRing {
    document: Arc<DocumentId>,
    keys: HashMap<Arc<str>, ApiKey>,
    pepper: hmac::Key,
    /// Compared with where there is no such key, so that a stranger's guess costs what an owner's mistake does.
    decoy: [u8; 32],
    files: [PathBuf; 2],
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (document, keys) = (&self.document, self.keys.len());
        f.debug_struct("KeyRing").field("document", document).field("keys", &keys).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads the files of a provider. An error refuses the revision.
    pub fn new(spec: &ApiKeyProvider, document: Arc<DocumentId>) -> Result<Self, String> {
        let file = ApiKeyFile::read(&spec.file).map_err(|error| {
            let file = spec.file.display();
            format!(
                "{document}: cannot read the API keys in `{file}`: {error}; make the first one: `portcullis keys create \
                 --file {file} --owner NAME`"
            )
        })?;
        let file = file.map_err(|mistakes| diagnostics::text(&mistakes, false))?;
        let pepper = read_pepper(&spec.pepper).map_err(|error| format!("{document}: {error}"))?;
        let mut decoy = [0; 32];
        rand::fill(&mut decoy).map_err(|_| "the system gives no random numbers".to_owned())?;
        let keys = file.keys().map(|key| (key.id.clone(), key.clone())).collect();
        Ok(Self { document, keys, pepper, decoy, files: [spec.file.clone(), spec.pepper.clone()] })
    }

    /// Whose key it is, if it is good, now and from there.
    pub fn authenticate(&self, text: &str, source: IpAddr, now: SystemTime) -> Result<Known, Rejection> {
        let id = key::id(text).ok_or(Rejection::Invalid("key_malformed"))?;
        let known = self.keys.get(id);
        // INVARIANT: the same work for ids that are known and for those that are not, and a comparison in constant time.
        let hash = known.map_or(&self.decoy, |key| &key.hash);
        let fits = hmac::verify(&self.pepper, text.as_bytes(), hash).is_ok();
        match known {
            None => Err(Rejection::Invalid("key_unknown")),
            Some(_) if !fits => Err(Rejection::Invalid("key_wrong")),
            Some(key) => self.known(key, source, now),
        }
    }

    /// Whether the owner of a key that opened a stream may still go on: the key may have been revoked since.
    pub fn renew(&self, principal: &Principal, source: IpAddr, now: SystemTime) -> Result<Known, Rejection> {
        let key = principal.stable_id.as_ref().and_then(|id| self.keys.get(id));
        let key = key.ok_or(Rejection::Invalid("key_unknown"))?;
        if key.owner != principal.name {
            return Err(Rejection::Invalid("key_unknown"));
        }
        self.known(key, source, now)
    }

    /// Files whose change makes other keys.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.to_vec()
    }

    fn known(&self, key: &ApiKey, source: IpAddr, now: SystemTime) -> Result<Known, Rejection> {
        if key.revoked.is_some() {
            return Err(Rejection::Invalid("key_revoked"));
        }
        if key.expires.is_some_and(|expires| expires <= now) {
            return Err(Rejection::Invalid("key_expired"));
        }
        let source = source.to_canonical();
        if !key.cidrs.is_empty() && !key.cidrs.iter().any(|network| network.contains(&source)) {
            return Err(Rejection::Invalid("key_source"));
        }
        let group = |name: &Arc<str>| portcullis_policy::authorize::Group {
            provider: self.document.clone(),
            name: name.clone(),
        };
        let caller = Caller::known(Principal {
            provider: self.document.clone(),
            method: Method::ApiKey,
            kind: PrincipalKind::User,
            name: key.owner.clone(),
            stable_id: Some(key.id.clone()),
            groups: key.groups.iter().map(group).collect(),
            scopes: key.scopes.clone(),
            claims: Map::new(),
            expires: key.expires,
        });
        // It costs less to judge a key than to remember it; and where it may come from is judged each time.
        Ok(Known { caller, fresh: Duration::ZERO, lacks_groups: false })
    }
}

/// HMAC-SHA-256 of a key: what the file keeps of it.
pub fn hash(pepper: &hmac::Key, text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let tag = hmac::sign(pepper, text.as_bytes());
    for (byte, of_tag) in hash.iter_mut().zip(tag.as_ref()) {
        *byte = *of_tag;
    }
    hash
}

/// The secret that keys are hashed with. Blanks and line breaks at its end do not count, whoever wrote it.
pub fn read_pepper(path: &Path) -> Result<hmac::Key, String> {
    let shown = path.display();
    let read = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > PEPPER_BYTES_MAX {
            return Err(std::io::Error::other(format!("larger than {PEPPER_BYTES_MAX} bytes")));
        }
        fs::read(path)
    });
    let content = read.map_err(|error| format!("cannot read the pepper of API keys in `{shown}`: {error}"))?;
    let secret = content.trim_ascii_end();
    if secret.len() < PEPPER_BYTES_MIN {
        return Err(format!("the pepper in `{shown}` is shorter than {PEPPER_BYTES_MIN} bytes"));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
}

#[cfg(test)]
mod tests;
