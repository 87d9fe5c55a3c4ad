//! Which roles a caller holds.

use std::sync::Arc;

use foldhash::HashMap;

use super::{All, Binding, Pattern, RoleId, Roles, Subject, SubjectKind};
use crate::{
    authorize::{Caller, Principal, PrincipalKind},
    snapshot::DocumentId,
};

/// The roles that a caller holds: what does not change from one request to the next. It is good for the caller and the
/// [`Roles`] it was made of; with others it counts for nothing and is made anew. Keep it beside a credential that is
/// remembered: making one costs a few lookups for each group, a decision with one less than a microsecond.
#[derive(Debug, Clone)]
pub struct Standing {
    of: Arc<All>,
    caller: Caller,
    pub(super) held: Box<[Held]>,
}

/// A role, and the first binding that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) binding: u32,
    pub(super) subject: u32,
    pub(super) role: RoleId,
}

/// A subject of a binding.
type Place = (u32, u32);

/// Subjects of bindings by what they are called.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    users: ByProvider,
    groups: ByProvider,
    workloads: HashMap<Box<str>, Vec<Place>>,
    /// Workloads with wildcards, by the text before the first of them.
    wild_workloads: HashMap<Box<str>, Vec<(Pattern, Place)>>,
    /// How long those texts are, each length once.
    prefix_lengths: Vec<usize>,
}

type ByProvider = HashMap<DocumentId, HashMap<Box<str>, Vec<Place>>>;

impl Subjects {
    pub(super) fn new(bindings: &[Binding]) -> Self {
        let mut subjects = Self::default();
        for (binding, document) in (0..).zip(bindings) {
            for (at, subject) in (0..).zip(&document.subjects) {
                subjects.insert(subject, (binding, at));
            }
        }
        subjects.prefix_lengths.sort_unstable();
        subjects.prefix_lengths.dedup();
        subjects
    }

    fn insert(&mut self, subject: &Subject, place: Place) {
        let name = subject.name.as_str();
        let by_provider = match subject.kind {
            SubjectKind::User => &mut self.users,
            SubjectKind::Group => &mut self.groups,
            SubjectKind::Workload => {
                if subject.name.exact().is_some() {
                    self.workloads.entry(name.into()).or_default().push(place);
                } else {
                    let prefix = subject.name.literal_prefix();
                    self.prefix_lengths.push(prefix.len());
                    self.wild_workloads.entry(prefix.into()).or_default().push((subject.name.clone(), place));
                }
                return;
            }
        };
        // Whoever says so must be said: a subject without a provider is nobody.
        let Some(provider) = &subject.provider else { return };
        by_provider.entry(provider.clone()).or_default().entry(name.into()).or_default().push(place);
    }

    fn places_of(&self, principal: &Principal) -> Vec<Place> {
        let mut places = Vec::new();
        match principal.kind {
            PrincipalKind::User => {
                places.extend(found(&self.users, &principal.provider, &principal.name));
            }
            PrincipalKind::Workload => {
                places.extend(self.workloads.get(&*principal.name).into_iter().flatten().copied());
                for prefix in self.prefix_lengths.iter().map_while(|length| principal.name.get(..*length)) {
                    let patterns = self.wild_workloads.get(prefix).into_iter().flatten();
                    places.extend(patterns.filter(|(it, _)| it.matches(&principal.name)).map(|(_, place)| *place));
                }
            }
        }
        for group in &principal.groups {
            places.extend(found(&self.groups, &group.provider, &group.name));
        }
        places
    }
}

fn found<'s>(subjects: &'s ByProvider, provider: &DocumentId, name: &str) -> impl Iterator<Item = Place> + 's {
    subjects.get(provider).and_then(|names| names.get(name)).into_iter().flatten().copied()
}

impl Subject {
    /// Whether a caller is this, looked at on its own.
    pub fn is(&self, principal: &Principal) -> bool {
        let says_so = |provider: &DocumentId| self.provider.as_ref().is_some_and(|expected| expected == provider);
        match self.kind {
            SubjectKind::User => {
                principal.kind == PrincipalKind::User
                    && says_so(&principal.provider)
                    && self.name.as_str() == &*principal.name
            }
            SubjectKind::Group => {
                let mut groups = principal.groups.iter();
                groups.any(|group| says_so(&group.provider) && self.name.as_str() == &*group.name)
            }
            SubjectKind::Workload => {
                principal.kind == PrincipalKind::Workload
                    && (self.provider.is_none() || says_so(&principal.provider))
                    && self.name.matches(&principal.name)
            }
        }
    }
}

impl Roles {
    /// The roles that a caller holds.
    pub fn standing(&self, caller: &Caller) -> Standing {
        let mut held = Vec::new();
        if let Some(principal) = caller.principal() {
            for (binding, subject) in self.0.subjects.places_of(principal) {
                let Some(document) = self.0.bindings.get(binding as usize) else { continue };
                let is_meant = document.subjects.get(subject as usize).is_some_and(|subject| subject.is(principal));
                if is_meant {
                    held.push(Held { binding, subject, role: document.role });
                }
            }
        }
        // Of several ways to one role the first counts, as documents are written.
        held.sort_unstable_by_key(|held| (held.role, *held));
        held.dedup_by_key(|held| held.role);
        held.sort_unstable();
        Standing { of: self.0.clone(), caller: caller.clone(), held: held.into() }
    }
}

impl Standing {
    /// Whether it was made of these roles, for this caller.
    pub fn is_of(&self, roles: &Roles, caller: &Caller) -> bool {
        Arc::ptr_eq(&self.of, &roles.0) && self.caller.is_same(caller)
    }

    /// How many roles.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether it is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
