//! The life of a trust domain's authorities: which is next, and when. Decides and does nothing; time is an argument.
//!
//! An authority is *prepared* at half of the active one's life, *published* in the bundle as soon as its key is safe on disk,
//! *active* at five sixths, when every workload has had time to hear of it, and then *retired*: it signs nothing more, and is
//! believed until the last certificate that it signed has expired. So no workload ever shows a chain that its peers do not know.
//! A *tainted* authority is replaced as fast as workloads can hear of its successor.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::verify::CLOCK_SKEW_MAX;

/// How long a workload's certificate lasts, if nothing else is asked for.
pub const SVID_LIFE: Duration = Duration::from_hours(1);
/// The longest that can be asked for.
pub const SVID_LIFE_MAX: Duration = Duration::from_hours(24);
/// How long an authority lasts, if nothing else is said.
pub const AUTHORITY_LIFE: Duration = Duration::from_hours(30 * 24);
/// How long until every workload has a bundle that was published, if nothing else is said.
pub const PROPAGATION: Duration = Duration::from_mins(10);

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// An authority of our own.
    pub authority: Duration,
    /// A workload's certificate, where nothing is asked for.
    pub svid: Duration,
    /// The longest that is given, whatever is asked for.
    pub svid_max: Duration,
    /// Until every workload has a bundle that was published.
    pub propagation: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { authority: AUTHORITY_LIFE, svid: SVID_LIFE, svid_max: SVID_LIFE_MAX, propagation: PROPAGATION }
    }
}

impl Lifetimes {
    /// What does not fit together, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.svid.is_zero() || self.svid > self.svid_max {
            return Some("a certificate's life is more than nothing and at most its longest");
        }
        if self.svid_max > SVID_LIFE_MAX {
            return Some("a certificate lasts 24 h at most");
        }
        if self.authority < 6 * self.svid_max {
            return Some("an authority lasts at least six times as long as the longest certificate");
        }
        if self.authority < 3 * self.propagation {
            return Some("an authority lasts at least three times as long as a bundle needs to reach everybody");
        }
        None
    }

    /// How often workloads are told to ask for the bundle (`spiffe_refresh_hint`): twice until it must have reached them.
    pub fn bundle_refresh(&self) -> Duration {
        self.propagation / 2
    }

    /// How long a retired authority is believed: as long as what it signed may be shown.
    fn overlap(&self, root: &RootStanding) -> Duration {
        // What a tainted one signed is replaced at once.
        let life = if root.tainted { self.propagation } else { self.svid_max };
        life + CLOCK_SKEW_MAX
    }
}

/// Where an authority is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootState {
    /// Its key is on disk, and nobody has been told.
    Prepared,
    /// It is in the bundle and does not sign yet.
    Published,
    /// It signs.
    Active,
    /// It signs no more, and is still in the bundle.
    Retired,
}

impl RootState {
    /// A short word for metrics; the set is fixed.
    pub fn label(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// An authority, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootStanding {
    /// Its key's identifier in hexadecimal, as certificates name it.
    pub id: String,
    /// Where it is in its life.
    pub state: RootState,
    /// Since when.
    pub since: SystemTime,
    /// Whether what it signed is to be replaced at once.
    pub tainted: bool,
    /// When it becomes valid.
    pub not_before: SystemTime,
    /// When it ceases to be valid.
    pub not_after: SystemTime,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A new authority was made.
    Prepare,
    /// This one was put into the bundle.
    Publish(String),
    /// This one signs from now on.
    Activate(String),
    /// This one left the bundle.
    Remove(String),
}

/// The next step at `now`, if there is one. Done one after the other, they come to an end.
pub(super) fn next_step(roots: &[RootStanding], lifetimes: &Lifetimes, now: SystemTime) -> Option<Step> {
    let of = |state: RootState| roots.iter().find(|root| root.state == state);
    let gone = |root: &&RootStanding| root.state == RootState::Retired && now >= root.since + lifetimes.overlap(root);
    if let Some(root) = roots.iter().find(gone) {
        return Some(Step::Remove(root.id.clone()));
    }
    if let Some(root) = of(RootState::Prepared) {
        return Some(Step::Publish(root.id.clone()));
    }
    let next = of(RootState::Published);
    let Some(active) = of(RootState::Active) else {
        // The first of all, or the only one left: nobody can be told beforehand.
        return Some(next.map_or(Step::Prepare, |next| Step::Activate(next.id.clone())));
    };
    let life = active.not_after.duration_since(active.not_before).unwrap_or_default();
    let Some(next) = next else {
        let due = active.tainted || now >= active.not_before + life / 2;
        return due.then_some(Step::Prepare);
    };
    let due = active.tainted || now >= active.not_before + life / 6 * 5;
    let everybody_knows = now >= next.since + lifetimes.propagation;
    let must = now >= active.not_after;
    (must || (due && everybody_knows)).then(|| Step::Activate(next.id.clone()))
}

#[cfg(test)]
mod tests;
