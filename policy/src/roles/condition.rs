//! `when`: what must hold besides. A condition holds or it does not; it never fails.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use serde_json::Value;

use crate::{
    authorize::{Principal, Question},
    documents::kinds::ours::Effect,
    snapshot::ClaimPath,
};

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Values of a header of the request.
    Header {
        /// Its name.
        name: HeaderName,
        /// `Allow`: it is there, and each of its values is one of these. `Deny`: one of them is.
        values: Vec<Arc<str>>,
    },
    /// A claim of the credential.
    Claim {
        /// The steps into it.
        path: ClaimPath,
        /// It is, or contains, one of these.
        values: Vec<Arc<str>>,
    },
    /// A scope of the credential.
    Scope(Arc<str>),
    /// Networks, one of which the caller comes from. Where nobody knows where that is, no `Allow` holds and every `Deny`.
    Source(Vec<IpNet>),
}

impl Condition {
    /// Whether it holds, for a rule with this effect.
    pub fn holds(&self, effect: Effect, principal: &Principal, question: &Question<'_>) -> bool {
        match self {
            Self::Header { name, values } => header_holds(effect, question.headers, name, values),
            Self::Claim { path, values } => {
                let claim = path.split_first().and_then(|(first, rest)| {
                    let first = principal.claims.get(&**first)?;
                    rest.iter().try_fold(first, |value, step| value.as_object()?.get(&**step))
                });
                claim.is_some_and(|claim| claim_holds(claim, values))
            }
            Self::Scope(scope) => principal.scopes.iter().any(|has| has == scope),
            Self::Source(networks) => match question.source {
                Some(source) => is_within(source, networks),
                None => effect == Effect::Deny,
            },
        }
    }
}

fn is_within(source: IpAddr, networks: &[IpNet]) -> bool {
    // An IPv4 client of a dual-stack socket is an IPv4 client.
    let source = source.to_canonical();
    networks.iter().any(|network| network.contains(&source))
}

fn header_holds(effect: Effect, headers: &HeaderMap, name: &HeaderName, values: &[Arc<str>]) -> bool {
    let is_listed = |value: &[u8]| values.iter().any(|listed| listed.as_bytes() == value);
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes).map(<[u8]>::trim_ascii);
    match effect {
        // A line that is written down as a whole is one value, commas and all.
        Effect::Deny => lines.any(|line| is_listed(line) || parts(line).any(is_listed)),
        Effect::Allow => {
            let mut found = false;
            let all = lines.all(|line| {
                // Commas alone are no value: they neither stand for one nor against one.
                let has_any = parts(line).next().is_some();
                found |= has_any;
                !has_any || is_listed(line) || parts(line).all(is_listed)
            });
            found && all
        }
    }
}

/// The values of a list (RFC 9110 section 5.6.1): empty ones do not count.
fn parts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|value| !value.is_empty())
}

fn claim_holds(claim: &Value, values: &[Arc<str>]) -> bool {
    let is_listed = |text: &str| values.iter().any(|listed| **listed == *text);
    match claim {
        Value::String(text) => is_listed(text),
        Value::Number(number) => is_listed(&number.to_string()),
        Value::Bool(value) => is_listed(if *value { "true" } else { "false" }),
        // An array in an array says nothing.
        Value::Array(items) => items.iter().any(|item| !item.is_array() && claim_holds(item, values)),
        Value::Null | Value::Object(_) => false,
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { name, values } => write!(f, "header `{name}` is {}", list(values)),
            Self::Claim { path, values } => write!(f, "claim `{}` is {}", path.join("."), list(values)),
            Self::Scope(scope) => write!(f, "scope `{scope}`"),
            Self::Source(networks) => write!(f, "it comes from {}", list(networks)),
        }
    }
}

fn list<T: fmt::Display>(values: &[T]) -> String {
    values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ")
}
