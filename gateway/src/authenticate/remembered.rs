//! Credentials that were judged a moment ago.
//!
//! A worker remembers who showed a credential by the SHA-256 of all of it, for as long as its provider allows: that is
//! how much later a revocation takes effect. What was learnt under another revision of the documents, or with other keys
//! of the issuer, does not count. Nothing is remembered of credentials that were refused.

use std::time::{Instant, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use foldhash::HashMap;
use portcullis_policy::snapshot::ProviderId;

use super::{Authenticated, Shown, credential::Credential, oidc::issuer::generations};
use crate::live::Live;

/// How many credentials a worker remembers; twice as many are held while the older half is forgotten.
pub const REMEMBERED_MAX: usize = 8192;

/// The SHA-256 of a credential, with its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of what is shown; `None` where nothing is, or where each request must be judged for itself (a proof of possession).
    /// `certificate`: the hash of the connection's verified certificate.
    pub fn of(shown: &Shown<'_>, certificate: impl FnOnce() -> Option<[u8; 32]>) -> Option<Self> {
        let mut hash = Context::new(&SHA256);
        match shown.credential {
            Some(Credential::Bearer(secret)) => {
                hash.update(b"b");
                hash.update(secret.as_bytes());
            }
            Some(Credential::ApiKey(secret)) => {
                hash.update(b"k");
                hash.update(secret.as_bytes());
            }
            Some(Credential::Basic { username, password }) => {
                hash.update(b"p");
                hash.update(&(username.len() as u64).to_le_bytes());
                hash.update(username.as_bytes());
                hash.update(password.as_bytes());
            }
            Some(Credential::Dpop { .. }) => return None,
            None => return certificate().map(Self),
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.finish().as_ref());
        Some(Self(bytes))
    }
}

/// Who showed what, on one worker.
#[derive(Debug, Default)]
pub struct Remembered {
    /// The revision of the documents under which all of it was learnt.
    generation: u64,
    /// How often everything was forgotten.
    forgotten: u64,
    young: HashMap<Fingerprint, Entry>,
    old: HashMap<Fingerprint, Entry>,
}

/// When a judgement began: what it comes to counts for later requests only if nothing it was made of has changed since.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    forgotten: u64,
    /// The number that the next change of any issuer's keys gets.
    keys: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    provider: ProviderId,
    /// Of the provider's keys.
    keys: u64,
    authenticated: Authenticated,
    until: Instant,
}

impl Remembered {
    /// Who showed this credential, if that still counts.
    pub fn find(
        &mut self,
        fingerprint: &Fingerprint,
        live: &Live,
        now: Instant,
        time: SystemTime,
    ) -> Option<(ProviderId, Authenticated)> {
        self.follow(live);
        let entry = match self.young.get(fingerprint) {
            Some(entry) => entry,
            None => {
                let entry = self.old.remove(fingerprint)?;
                self.make_room();
                self.young.entry(*fingerprint).or_insert(entry)
            }
        };
        let expires = entry.authenticated.caller().principal().and_then(|principal| principal.expires);
        let is_good = now < entry.until
            && live.providers.keys_generation(entry.provider) == entry.keys
            && expires.is_none_or(|expires| time < expires);
        if !is_good {
            self.young.remove(fingerprint);
            return None;
        }
        Some((entry.provider, entry.authenticated.clone()))
    }

    /// A judgement begins.
    pub fn begin(&self) -> Begun {
        Begun { forgotten: self.forgotten, keys: generations() }
    }

    /// Remembers who showed this credential.
    pub fn keep(
        &mut self,
        fingerprint: Fingerprint,
        (provider, authenticated): (ProviderId, &Authenticated),
        begun: Begun,
        live: &Live,
        now: Instant,
    ) {
        let keys = live.providers.keys_generation(provider);
        if self.forgotten != begun.forgotten || keys >= begun.keys {
            return;
        }
        self.follow(live);
        self.make_room();
        // Beyond what a clock can tell there is no end.
        let Some(until) = now.checked_add(authenticated.fresh()) else { return };
        self.young.insert(fingerprint, Entry { provider, keys, authenticated: authenticated.clone(), until });
    }

    /// Forgets everything, and what is being judged now.
    pub fn forget(&mut self) {
        self.forgotten += 1;
        self.clear();
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn follow(&mut self, live: &Live) {
        if self.generation != live.generation {
            self.generation = live.generation;
            self.clear();
        }
    }

    fn make_room(&mut self) {
        if self.young.len() >= REMEMBERED_MAX {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{path::Path, sync::Arc, time::Duration};

    use portcullis_policy::{check::check_sources, documents::Sources};

    use super::*;
    use crate::tls::TlsState;

    fn live() -> Live {
        let report = check_sources(&Sources::default());
        let tls = TlsState::new(Path::new("/nonexistent"));
        Live::build(Arc::new(report.snapshot), None, &tls, Instant::now()).unwrap()
    }

    #[test]
    fn what_was_being_judged_while_all_was_forgotten_is_not_remembered() {
        let (live, now, time) = (live(), Instant::now(), SystemTime::UNIX_EPOCH);
        let known = Authenticated { fresh: Duration::from_secs(30), ..Authenticated::nobody() };
        let (mut remembered, fingerprint, provider) = (Remembered::default(), Fingerprint([7; 32]), ProviderId(0));
        let begun = remembered.begin();
        remembered.forget();
        remembered.keep(fingerprint, (provider, &known), begun, &live, now);
        assert!(remembered.find(&fingerprint, &live, now, time).is_none());
        let begun = remembered.begin();
        remembered.keep(fingerprint, (provider, &known), begun, &live, now);
        assert!(remembered.find(&fingerprint, &live, now, time).is_some());
        assert!(remembered.find(&fingerprint, &live, now + Duration::from_secs(30), time).is_none());
    }

    #[test]
    fn what_was_judged_by_keys_that_changed_meanwhile_is_not_remembered() {
        let (live, now, time) = (live(), Instant::now(), SystemTime::UNIX_EPOCH);
        let known = Authenticated { fresh: Duration::from_secs(30), ..Authenticated::nobody() };
        let (mut remembered, fingerprint, provider) = (Remembered::default(), Fingerprint([7; 32]), ProviderId(0));
        // As if the provider's keys had got the next number while its answer was waited for.
        let begun = Begun { keys: live.providers.keys_generation(provider), ..remembered.begin() };
        remembered.keep(fingerprint, (provider, &known), begun, &live, now);
        assert!(remembered.find(&fingerprint, &live, now, time).is_none());
    }
}
