//! Which way of finding groups in groups works with this directory.
//!
//! A directory that does not know a way says so by finding nothing (OpenLDAP answers Active Directory's matching rule
//! with success and no entry), and nothing would be read as "no groups". So a way is used only when it was seen to work,
//! or when the directory declares what it is.

use portcullis_policy::snapshot::{LdapGroups, Nested};

use super::{
    failure::{Failure, code},
    groups::{IN_CHAIN, Resolver, base, members},
    messages::{Scope, Search},
    servers::Searcher,
};

/// `supportedCapabilities` of Active Directory (MS-ADTS 3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &[u8] = b"1.2.840.113556.1.4.800";
/// Groups that are looked at for one that stands in another.
const GROUPS_LOOKED_AT: u32 = 256;
/// Of these, so many in one search.
const GROUPS_PER_SEARCH: usize = 32;
/// Members of a group that are looked at.
const MEMBERS_LOOKED_AT: usize = 8;

/// A person (or a group) in a group in a group.
struct Chain {
    outer: String,
    inner: String,
    member: String,
}

/// The way to find groups, or why the one that the document names cannot be used.
pub(super) async fn probe(searcher: &mut Searcher<'_>, spec: &LdapGroups) -> Result<Resolver, Failure> {
    match spec.nested {
        Nested::None => Ok(Resolver::Direct),
        Nested::Recursive => Ok(Resolver::Recursive),
        Nested::TokenGroups | Nested::Auto if is_active_directory(searcher).await? => Ok(Resolver::TokenGroups),
        Nested::TokenGroups => Err(unfit("token-groups", "it is not Active Directory")),
        Nested::MatchingRule if follows_in_chain(searcher, spec).await? => Ok(Resolver::MatchingRule),
        Nested::MatchingRule => Err(unfit("matching-rule", "it answers the rule with nothing")),
        Nested::MemberOf => match nested_member_of(searcher, spec).await? {
            Some(false) => Err(unfit("member-of", "`memberOf` says direct groups only")),
            Some(true) | None => Ok(Resolver::MemberOf),
        },
        Nested::Auto => match nested_member_of(searcher, spec).await? {
            Some(true) => Ok(Resolver::MemberOf),
            // Right for every directory, if not the fastest.
            Some(false) | None => Ok(Resolver::Recursive),
        },
    }
}

fn unfit(way: &str, why: &str) -> Failure {
    Failure::Unfit(format!(
        "`nested: {way}` does not work with this directory: {why}; leave `nested` out, or say `recursive`"
    ))
}

async fn is_active_directory(searcher: &mut Searcher<'_>) -> Result<bool, Failure> {
    let root = base(searcher, "", &["supportedCapabilities"]).await?;
    Ok(root.is_some_and(|root| root.values("supportedCapabilities").any(|value| value == ACTIVE_DIRECTORY)))
}

/// Whether the matching rule finds an inner group's member in the outer one. Where no group stands in another, whether
/// the directory is one that has the rule.
async fn follows_in_chain(searcher: &mut Searcher<'_>, spec: &LdapGroups) -> Result<bool, Failure> {
    let Some(chain) = chain(searcher, spec).await? else { return is_active_directory(searcher).await };
    let filter = format!("(member:{IN_CHAIN}:={})", ldap3::ldap_escape(chain.member.as_str()));
    let search = Search { base: &chain.outer, scope: Scope::Base, filter, attributes: &["1.1"], entries_max: 1 };
    Ok(!searcher.first(&search).await?.0.is_empty())
}

/// Whether `memberOf` names the outer group; `None`: no group stands in another.
async fn nested_member_of(searcher: &mut Searcher<'_>, spec: &LdapGroups) -> Result<Option<bool>, Failure> {
    let Some(chain) = chain(searcher, spec).await? else { return Ok(None) };
    let Some(member) = base(searcher, &chain.member, &["memberOf"]).await? else { return Ok(None) };
    let says = |group: &str| member.texts("memberOf").any(|dn| dn.eq_ignore_ascii_case(group));
    Ok(Some(says(&chain.outer) && says(&chain.inner)))
}

/// Looks for a member of a group that is a member of another one, and is not a member of that one itself.
async fn chain(searcher: &mut Searcher<'_>, spec: &LdapGroups) -> Result<Option<Chain>, Failure> {
    let below = |filter: String, entries_max| Search {
        base: &spec.base,
        scope: Scope::Subtree,
        filter,
        attributes: &["1.1"],
        entries_max,
    };
    let groups = below("(|(member=*)(uniqueMember=*))".to_owned(), GROUPS_LOOKED_AT);
    let (groups, _) = searcher.first(&groups).await?;
    for some in groups.chunks(GROUPS_PER_SEARCH) {
        let any = members(some.iter().map(|group| group.dn.as_str()));
        if searcher.first(&below(any, 1)).await?.0.is_empty() {
            continue;
        }
        for inner in some {
            let (outer, _) = searcher.first(&below(members([inner.dn.as_str()]), 1)).await?;
            let Some(outer) = outer.into_iter().next().filter(|outer| outer.dn != inner.dn) else { continue };
            let Some(entry) = base(searcher, &inner.dn, &["member", "uniqueMember"]).await? else { continue };
            let all = entry.texts("member").chain(entry.texts("uniqueMember"));
            for member in all.take(MEMBERS_LOOKED_AT) {
                if !is_member(searcher, &outer.dn, member).await? {
                    let (outer, inner) = (outer.dn.clone(), inner.dn.clone());
                    return Ok(Some(Chain { outer, inner, member: member.to_owned() }));
                }
            }
        }
    }
    Ok(None)
}

async fn is_member(searcher: &mut Searcher<'_>, group: &str, member: &str) -> Result<bool, Failure> {
    let filter = members([member]);
    let search = Search { base: group, scope: Scope::Base, filter, attributes: &["1.1"], entries_max: 1 };
    match searcher.first(&search).await {
        Ok((entries, _)) => Ok(!entries.is_empty()),
        Err(Failure::Code { code: code::NO_SUCH_OBJECT, .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}
