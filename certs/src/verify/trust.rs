//! What peers are judged by, as it is now: bundles and revocation lists that change while connections are open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;

use super::RevocationLists;
use crate::TrustBundles;

/// Tells revisions of all [`MeshTrust`]s apart.
static REVISIONS: AtomicU64 = AtomicU64::new(1);

/// What to think of a certificate whose issuer none of the revocation lists is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unlisted {
    /// It does not count. The default: an authority without a list might have revoked anything.
    #[default]
    Refuse,
    /// It counts: only what a list names is refused. For meshes where not every authority writes lists.
    Accept,
}

/// The trust of one process, shared by all its verifiers. A replacement acts on the next handshake, and on every open
/// connection that is asked about again.
#[derive(Debug)]
pub struct MeshTrust(ArcSwap<Trust>);

/// One revision of it.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) bundles: TrustBundles,
    pub(super) lists: Option<Arc<RevocationLists>>,
    pub(super) unlisted: Unlisted,
    pub(super) revision: u64,
}

impl MeshTrust {
    /// Trusts these bundles; there are no revocation lists yet.
    pub fn new(bundles: TrustBundles) -> Self {
        let trust = Trust { bundles, lists: None, unlisted: Unlisted::default(), revision: next() };
        Self(ArcSwap::from_pointee(trust))
    }

    /// Trusts these bundles from now on.
    pub fn replace_bundles(&self, bundles: &TrustBundles) {
        self.replace(|trust| trust.bundles = bundles.clone());
    }

    /// Heeds these lists from now on; `None`: none are heeded.
    pub fn replace_lists(&self, lists: Option<&Arc<RevocationLists>>, unlisted: Unlisted) {
        self.replace(|trust| {
            trust.lists = lists.cloned();
            trust.unlisted = unlisted;
        });
    }

    /// The bundles in force.
    pub fn bundles(&self) -> TrustBundles {
        self.0.load().bundles.clone()
    }

    /// When the first revocation list ceases to say anything.
    pub fn next_update(&self) -> Option<SystemTime> {
        self.0.load().lists.as_ref().map(|lists| lists.next_update())
    }

    /// Another number after each replacement: whoever keeps connections open compares, and asks again where it differs.
    pub fn revision(&self) -> u64 {
        self.0.load().revision
    }

    pub(super) fn load(&self) -> Arc<Trust> {
        self.0.load_full()
    }

    fn replace(&self, change: impl Fn(&mut Trust)) {
        self.0.rcu(|trust| {
            let mut trust = Trust::clone(trust);
            change(&mut trust);
            trust.revision = next();
            trust
        });
    }
}

fn next() -> u64 {
    REVISIONS.fetch_add(1, Ordering::Relaxed)
}
