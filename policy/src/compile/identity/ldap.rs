//! A directory.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::Checks;
use crate::{
    compile::status::arc,
    documents::{formats::is_hostname, kinds::ours},
    snapshot::{CacheTimes, LdapGroups, LdapProvider, LdapServer, LdapUsers, Nested},
};

const PLACEHOLDER: &str = "{username}";
const PORT_LDAPS: u16 = 636;
const PORT_LDAP: u16 = 389;
const CACHE_DEFAULT: CacheTimes = CacheTimes { fresh: Duration::from_mins(1), stale: Duration::from_mins(15) };
const FAILURES_MAX_DEFAULT: u32 = 3;
const FAILURES_WINDOW_DEFAULT: Duration = Duration::from_mins(15);

/// `enriches`: whether it looks up people who have not shown it a password.
pub(super) fn compile(spec: &ours::Ldap, enriches: bool, checks: &mut Checks<'_>) -> LdapProvider {
    let mut servers = Vec::with_capacity(spec.urls.len());
    for (index, url) in spec.urls.iter().enumerate() {
        match server(url) {
            Ok(server) => servers.push(server),
            Err(fault) => checks.fail(
                &format!("spec.ldap.urls[{index}]"),
                format!("`{url}` {fault}"),
                "not a directory's URL",
                "write it like `ldaps://dc1.corp.example` or `ldap://dc1.corp.example:389`",
            ),
        }
    }
    who_is_found(spec, enriches, checks);
    let throttle = spec.throttle.as_ref();
    LdapProvider {
        servers,
        trust: spec.trust.as_ref().map(|trust| checks.file("spec.ldap.trust.file", &trust.file)),
        service_account: spec.bind.as_ref().map(|bind| {
            // An empty name binds as nobody (RFC 4513 section 5.1.1).
            checks.filled("spec.ldap.bind.dn", &bind.dn);
            (arc(&bind.dn), checks.file("spec.ldap.bind.password.file", &bind.password.file))
        }),
        users: spec.users.as_ref().map(|spec| users(spec, checks)),
        bind_as: spec.bind_as.as_deref().and_then(|template| bind_as(template, checks)),
        groups: spec.groups.as_ref().map(|groups| LdapGroups {
            base: arc(&groups.base),
            nested: groups.nested.unwrap_or(Nested::Auto),
            name: attribute("spec.ldap.groups.name", groups.name.as_deref(), "cn", checks),
        }),
        cache: checks.cache("spec.ldap.cache", spec.cache.as_ref(), CACHE_DEFAULT),
        failures_max: throttle.and_then(|throttle| throttle.failures).unwrap_or(FAILURES_MAX_DEFAULT),
        failures_window: checks.positive(
            "spec.ldap.throttle.window",
            throttle.and_then(|throttle| throttle.window.as_deref()),
            FAILURES_WINDOW_DEFAULT,
        ),
    }
}

/// Whether what is written is enough to find people.
fn who_is_found(spec: &ours::Ldap, enriches: bool, checks: &mut Checks<'_>) {
    let template = spec.bind_as.as_deref();
    match (&spec.users, template) {
        (None, None) => checks.fail_as(
            "incomplete-provider",
            "spec.ldap",
            "nobody can be found here: neither `users` nor `bindAs` is given",
            "one of them belongs here",
            "write `users: {base, filter}` to look people up, or `bindAs: \"{username}@corp.example\"`",
        ),
        (Some(_), None) if spec.bind.is_none() => checks.fail_as(
            "incomplete-provider",
            "spec.ldap.users",
            "`users` are looked up by nobody: `bind` is not given",
            "needs a service account, or `bindAs`",
            "write `bind: {dn, password: {file}}`, or `bindAs` if people may look themselves up",
        ),
        // A distinguished name is an entry: its groups can be looked for.
        (None, Some(template)) if spec.groups.is_some() && !template.contains('=') => checks.fail_as(
            "incomplete-provider",
            "spec.ldap.groups",
            "`groups` are looked up by a person's entry, and nothing says where that is",
            "needs `users`",
            "write `users: {base, filter}`",
        ),
        _ => {}
    }
    if enriches && (spec.users.is_none() || spec.bind.is_none()) {
        checks.fail_as(
            "incomplete-provider",
            "spec.enriches",
            "a directory that enriches callers of others must look them up itself",
            "needs `ldap.users` and `ldap.bind`",
            "write `bind: {dn, password: {file}}` and `users: {base, filter}`",
        );
    }
    if enriches && spec.groups.is_none() {
        checks.fail_as(
            "incomplete-provider",
            "spec.enriches",
            "a directory that looks for no groups has none to add",
            "needs `ldap.groups`",
            "write `groups: {base}`",
        );
    }
}

fn users(spec: &ours::LdapUsers, checks: &mut Checks<'_>) -> LdapUsers {
    let filter: Vec<Arc<str>> = spec.filter.split(PLACEHOLDER).map(arc).collect();
    let path = "spec.ldap.users.filter";
    if filter.len() < 2 {
        let help = "without it everyone is found at once: `(&(objectClass=person)(uid={username}))`";
        checks.fail(path, "the filter has no `{username}`", "finds anyone", help);
    } else if !is_balanced(&spec.filter) {
        let help = "RFC 4515: a filter stands in parentheses, as `(uid={username})`";
        checks.fail(path, format!("`{}` is not a filter", spec.filter), "not a filter", help);
    }
    LdapUsers {
        base: arc(&spec.base),
        filter,
        name: attribute("spec.ldap.users.name", spec.name.as_deref(), "uid", checks),
    }
}

/// Whether it is one thing in parentheses, with as many opened as closed.
fn is_balanced(filter: &str) -> bool {
    let mut depth = 0_usize;
    for (at, c) in filter.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            _ if depth == 0 => return false,
            _ => {}
        }
        if depth == 0 && at + 1 != filter.len() {
            return false;
        }
    }
    depth == 0 && !filter.is_empty()
}

fn bind_as(template: &str, checks: &mut Checks<'_>) -> Option<(Arc<str>, Arc<str>)> {
    match template.split(PLACEHOLDER).collect::<Vec<_>>().as_slice() {
        [before, after] => Some((arc(before), arc(after))),
        _ => {
            let help = "write it like `{username}@corp.example` or `uid={username},ou=people,dc=corp,dc=example`";
            checks.fail("spec.ldap.bindAs", "`{username}` belongs here exactly once", "not once", help);
            None
        }
    }
}

/// The name of an attribute (RFC 4512 section 1.4), or its number.
fn attribute(path: &str, text: Option<&str>, default: &str, checks: &mut Checks<'_>) -> Arc<str> {
    let name = text.unwrap_or(default);
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    if name.is_empty() || !name.bytes().all(fits) {
        let help = "letters, digits and `-`, as in `sAMAccountName`";
        checks.fail(path, format!("`{name}` is not the name of an attribute"), "not an attribute", help);
    }
    arc(name)
}

/// A host, and the port that its scheme means where none is written.
fn server(url: &str) -> Result<LdapServer, &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("has no scheme")?;
    let start_tls = scheme.eq_ignore_ascii_case("ldap");
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        return Err("says more than a host and a port: `users` and `groups` say where to look");
    }
    if authority.contains('@') {
        return Err("names a user: `bind` does that");
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or("has something behind its host")?)),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let host = host.to_ascii_lowercase();
    if host.parse::<IpAddr>().is_err() && !is_hostname(&host) {
        return Err("does not name a host");
    }
    let port = match port {
        None if start_tls => PORT_LDAP,
        None => PORT_LDAPS,
        Some(text) => text.parse().ok().filter(|port| *port != 0).ok_or("has a port that is none: from 1 to 65535")?,
    };
    Ok(LdapServer { host: arc(&host), port, start_tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_a_port() {
        let check = |url: &str, expected: Option<(&str, u16, bool)>| {
            let found = server(url).ok();
            let found = found.as_ref().map(|server| (&*server.host, server.port, server.start_tls));
            assert_eq!(found, expected, "{url}");
        };
        check("ldaps://dc1.corp.example", Some(("dc1.corp.example", 636, false)));
        check("ldap://DC1.corp.example/", Some(("dc1.corp.example", 389, true)));
        check("ldaps://10.0.0.1:3269", Some(("10.0.0.1", 3269, false)));
        check("ldap://[fd00::1]:1389", Some(("fd00::1", 1389, true)));
        check("ldap://[fd00::1]", Some(("fd00::1", 389, true)));
        for wrong in [
            "ldaps://dc1:0",
            "ldaps://dc1:65536",
            "ldaps://dc1:",
            "ldaps://dc1:636/dc=corp",
            "ldaps://user@dc1",
            "ldaps://[fd00::1]636",
            "ldaps://dc_1",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn filters_are_one_thing_in_parentheses() {
        for right in ["(uid={username})", "(&(a=b)(uid={username}))"] {
            assert!(is_balanced(right), "{right}");
        }
        for wrong in ["", "uid={username}", "(uid={username}", "(a=b))", "(a=b)(uid={username})", "(a=b)x"] {
            assert!(!is_balanced(wrong), "{wrong}");
        }
    }
}
