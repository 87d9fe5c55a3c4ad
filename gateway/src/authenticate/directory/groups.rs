//! Which groups a person is in, groups in groups included.
//!
//! Whatever fails, fails the whole: a list with some of the groups would open what a denied group closes. Bounds are
//! failures, too.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use ldap3::ldap_escape;
use portcullis_policy::snapshot::LdapGroups;

use super::{
    entry::Entry,
    failure::{Failure, code},
    messages::{Scope, Search},
    name::is_below,
    servers::Searcher,
};

/// Groups of one person.
const GROUPS_MAX: usize = 2_048;
/// Groups in groups, one in the other.
const DEPTH_MAX: usize = 64;
/// Groups that one search asks about.
const GROUPS_PER_SEARCH: usize = 32;
/// Names of groups that are remembered.
const NAMES_MAX: usize = 16_384;

/// Active Directory's matching rule that follows groups through groups (MS-ADTS 3.1.1.3.4.4.3).
pub(super) const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// How groups in groups are found, once that is known to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolver {
    TokenGroups,
    MemberOf,
    MatchingRule,
    Recursive,
    Direct,
}

impl Resolver {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TokenGroups => "token-groups",
            Self::MemberOf => "member-of",
            Self::MatchingRule => "matching-rule",
            Self::Recursive => "recursive",
            Self::Direct => "none",
        }
    }
}

/// Names of a set of groups.
pub(super) type GroupNames = BTreeSet<Arc<str>>;

/// Names of groups by what never changes of them (a SID) or what a person's entry says of them (a distinguished name).
#[derive(Default)]
pub(super) struct KnownNames(Mutex<NamesByGroup>);

type NamesByGroup = HashMap<Box<[u8]>, (Arc<[Arc<str>]>, SystemTime)>;

impl KnownNames {
    fn get(&self, group: &[u8], fresh: Duration, now: SystemTime) -> Option<Arc<[Arc<str>]>> {
        let known = self.lock();
        let (names, at) = known.get(group)?;
        now.duration_since(*at).is_ok_and(|age| age < fresh).then(|| Arc::clone(names))
    }

    fn keep(&self, group: &[u8], names: Arc<[Arc<str>]>, now: SystemTime) {
        let mut known = self.lock();
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(group.into(), (names, now));
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, NamesByGroup> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question for somebody's groups.
pub(super) struct Question<'q> {
    pub(super) spec: &'q LdapGroups,
    pub(super) resolver: Resolver,
    pub(super) known: &'q KnownNames,
    /// For how long names of groups are remembered.
    pub(super) fresh: Duration,
    pub(super) now: SystemTime,
}

impl Question<'_> {
    /// The names of the groups that the entry `dn` is in.
    pub(super) async fn ask(&self, searcher: &mut Searcher<'_>, dn: &str) -> Result<GroupNames, Failure> {
        match self.resolver {
            Resolver::TokenGroups => self.by_token_groups(searcher, dn).await,
            Resolver::MemberOf => self.by_member_of(searcher, dn).await,
            Resolver::MatchingRule => self.by_matching_rule(searcher, dn).await,
            Resolver::Recursive => self.step_by_step(searcher, dn, DEPTH_MAX).await,
            Resolver::Direct => self.direct(searcher, dn).await,
        }
    }

    /// Active Directory computes `tokenGroups`: the SIDs of all security groups, the primary group among them. Those
    /// that stand below the base of groups have names here.
    async fn by_token_groups(&self, searcher: &mut Searcher<'_>, dn: &str) -> Result<GroupNames, Failure> {
        let person = base(searcher, dn, &["tokenGroups"]).await?;
        let sids: Vec<&[u8]> = person.iter().flat_map(|person| person.values("tokenGroups")).collect();
        if sids.is_empty() {
            // Everybody has a primary group.
            return Err(Failure::Unfit(
                "`tokenGroups` is empty: the account of `bind` may not read it (it must be in `Windows Authorization Access Group`), \
                 or the directory has none"
                    .to_owned(),
            ));
        }
        within(sids.len(), GROUPS_MAX, "groups of one person")?;
        let mut names = GroupNames::new();
        let mut unknown = Vec::new();
        for sid in sids {
            match self.known.get(sid, self.fresh, self.now) {
                Some(known) => names.extend(known.iter().cloned()),
                None => unknown.push(sid),
            }
        }
        for sids in unknown.chunks(GROUPS_PER_SEARCH) {
            let mut found: HashMap<&[u8], Vec<Arc<str>>> = sids.iter().map(|sid| (*sid, Vec::new())).collect();
            let filter = any(sids.iter().map(|sid| format!("(objectSid={})", escape_bytes(sid))));
            for group in self.below(searcher, filter, &[&self.spec.name, "objectSid"]).await? {
                for sid in group.values("objectSid") {
                    if let Some(of_group) = found.get_mut(sid) {
                        of_group.extend(self.names(&group));
                    }
                }
            }
            for (sid, of_group) in found {
                names.extend(of_group.iter().cloned());
                self.known.keep(sid, of_group.into(), self.now);
            }
        }
        Ok(names)
    }

    /// A directory that follows groups through groups says them all in `memberOf`.
    async fn by_member_of(&self, searcher: &mut Searcher<'_>, dn: &str) -> Result<GroupNames, Failure> {
        let Some(person) = base(searcher, dn, &["memberOf"]).await? else {
            return Err(Failure::Code { code: code::NO_SUCH_OBJECT, text: "the person is gone".to_owned() });
        };
        if person.is_partial("memberOf") {
            return Err(Failure::TooMany(GROUPS_MAX, "groups of one person: they come in pieces"));
        }
        let groups: BTreeSet<&str> = person.texts("memberOf").collect();
        within(groups.len(), GROUPS_MAX, "groups of one person")?;
        let mut names = GroupNames::new();
        for group in groups.into_iter().filter(|group| is_below(group, &self.spec.base)) {
            let key = group.to_lowercase();
            if let Some(known) = self.known.get(key.as_bytes(), self.fresh, self.now) {
                names.extend(known.iter().cloned());
                continue;
            }
            let entry = base(searcher, group, &[&self.spec.name]).await?;
            let of_group: Arc<[Arc<str>]> = entry.iter().flat_map(|entry| self.names(entry)).collect();
            names.extend(of_group.iter().cloned());
            self.known.keep(key.as_bytes(), of_group, self.now);
        }
        Ok(names)
    }

    /// Active Directory follows groups through groups while it searches. Slow in large directories.
    async fn by_matching_rule(&self, searcher: &mut Searcher<'_>, dn: &str) -> Result<GroupNames, Failure> {
        let filter = format!("(member:{IN_CHAIN}:={})", ldap_escape(dn));
        let groups = self.below(searcher, filter, &[&self.spec.name]).await?;
        within(groups.len(), GROUPS_MAX, "groups of one person")?;
        Ok(groups.iter().flat_map(|group| self.names(group)).collect())
    }

    async fn direct(&self, searcher: &mut Searcher<'_>, dn: &str) -> Result<GroupNames, Failure> {
        let groups = self.below(searcher, members([dn]), &[&self.spec.name]).await?;
        within(groups.len(), GROUPS_MAX, "groups of one person")?;
        Ok(groups.iter().flat_map(|group| self.names(group)).collect())
    }

    /// Breadth first: the groups of the person, the groups of those, and so on; each one once, so that a circle ends.
    async fn step_by_step(
        &self,
        searcher: &mut Searcher<'_>,
        dn: &str,
        depth_max: usize,
    ) -> Result<GroupNames, Failure> {
        let (mut names, mut seen) = (GroupNames::new(), HashSet::from([dn.to_lowercase()]));
        let mut frontier = vec![dn.to_owned()];
        // One look beyond the deepest group, to see that nothing is there.
        for _ in 0..=depth_max {
            let mut next = Vec::new();
            for members_of in frontier.chunks(GROUPS_PER_SEARCH) {
                let filter = members(members_of.iter().map(String::as_str));
                for group in self.below(searcher, filter, &[&self.spec.name]).await? {
                    if seen.insert(group.dn.to_lowercase()) {
                        names.extend(self.names(&group));
                        next.push(group.dn);
                    }
                }
                within(seen.len(), GROUPS_MAX, "groups of one person")?;
            }
            if next.is_empty() {
                return Ok(names);
            }
            frontier = next;
        }
        Err(Failure::TooMany(depth_max, "groups in groups"))
    }

    async fn below(
        &self,
        searcher: &mut Searcher<'_>,
        filter: String,
        attributes: &[&str],
    ) -> Result<Vec<Entry>, Failure> {
        let scope = Scope::Subtree;
        searcher.search(&Search { base: &self.spec.base, scope, filter, attributes, entries_max: 0 }).await
    }

    fn names<'e>(&self, group: &'e Entry) -> impl Iterator<Item = Arc<str>> + use<'e> {
        let names: Vec<Arc<str>> = group.names(&self.spec.name).map(Arc::from).collect();
        names.into_iter()
    }
}

/// One entry by its name; `None`: it is not there (any more).
pub(super) async fn base(searcher: &mut Searcher<'_>, dn: &str, attributes: &[&str]) -> Result<Option<Entry>, Failure> {
    let filter = "(objectClass=*)".to_owned();
    match searcher.first(&Search { base: dn, scope: Scope::Base, filter, attributes, entries_max: 1 }).await {
        Ok((entries, _)) => Ok(entries.into_iter().next()),
        Err(Failure::Code { code: code::NO_SUCH_OBJECT, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A filter for the groups that have one of these as a member.
pub(super) fn members<'d>(dns: impl IntoIterator<Item = &'d str>) -> String {
    any(dns.into_iter().map(|dn| {
        let dn = ldap_escape(dn);
        format!("(member={dn})(uniqueMember={dn})")
    }))
}

fn any(filters: impl Iterator<Item = String>) -> String {
    format!("(|{})", filters.collect::<String>())
}

/// Any bytes as a value in a filter (RFC 4515 §3).
fn escape_bytes(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 3), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

fn within(count: usize, max: usize, what: &'static str) -> Result<(), Failure> {
    if count > max { Err(Failure::TooMany(max, what)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_stay_values_in_filters() {
        assert_eq!(members(["cn=a*)(x,dc=b"]), r"(|(member=cn=a\2a\29\28x,dc=b)(uniqueMember=cn=a\2a\29\28x,dc=b))");
        assert_eq!(escape_bytes(&[1, 0xff, b'*']), r"\01\ff\2a");
    }

    #[test]
    fn names_are_known_for_a_while_and_in_bounds() {
        let (known, fresh, now) = (KnownNames::default(), Duration::from_mins(1), SystemTime::UNIX_EPOCH);
        known.keep(b"sid", [Arc::from("a")].into(), now);
        assert!(known.get(b"sid", fresh, now + fresh / 2).is_some());
        assert!(known.get(b"sid", fresh, now + fresh).is_none());
        for group in 0..=NAMES_MAX {
            known.keep(&group.to_be_bytes(), [].into(), now);
        }
        assert!(known.lock().len() <= NAMES_MAX);
    }
}
