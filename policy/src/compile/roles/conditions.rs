//! `when`.

use std::net::IpAddr;

use http::HeaderName;
use ipnet::IpNet;

use crate::{
    compile::{identity::claim_path, status::arc},
    diagnostics::Diagnostic,
    documents::{Document, kinds::ours},
    roles::Condition,
};

/// Headers that no condition is about: secrets, and what the gateway itself decides by.
const NOT_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-gateway-model-name"];

/// `None`: it has a mistake.
pub(super) fn compile(
    document: &Document,
    path: &str,
    spec: &ours::Condition,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Condition> {
    let values: Vec<_> = spec.values.iter().map(|value| arc(value)).collect();
    let needs_values = spec.header.is_some() || spec.claim.is_some();
    if needs_values == values.is_empty() {
        let (message, label) = if needs_values {
            ("which values are meant?", "`values` belongs here")
        } else {
            ("`values` are of headers and claims", "not used")
        };
        let place = if needs_values { path.to_owned() } else { format!("{path}.values") };
        diagnostics.push(Diagnostic::error("condition-values", message).at(document.span(&place), label));
        return None;
    }
    match spec {
        ours::Condition { header: Some(name), .. } => {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            if NOT_HEADERS.contains(&name.as_str()) {
                diagnostics.push(
                    Diagnostic::error("reserved-header", format!("`{name}` cannot be a condition"))
                        .at(document.span(&format!("{path}.header")), "not for conditions")
                        .help("`models` are for models, `claim` and `scope` for what a credential says"),
                );
                return None;
            }
            Some(Condition::Header { name, values })
        }
        ours::Condition { claim: Some(claim), .. } => {
            let Some(path) = claim_path(claim) else {
                diagnostics.push(
                    Diagnostic::error("invalid-value", format!("`{claim}` is not the name of a claim"))
                        .at(document.span(&format!("{path}.claim")), "an empty step")
                        .help("a dot leads into an object, as in `realm_access.roles`"),
                );
                return None;
            };
            Some(Condition::Claim { path, values })
        }
        ours::Condition { scope: Some(scope), .. } => Some(Condition::Scope(arc(scope))),
        _ => {
            let networks = spec.source.iter().enumerate();
            let networks = networks.map(|(index, text)| match network(text) {
                Ok(network) => Some(network),
                Err(help) => {
                    diagnostics.push(
                        Diagnostic::error("invalid-value", format!("`{text}` is not a network"))
                            .at(document.span(&format!("{path}.source[{index}]")), "not a network")
                            .help(help),
                    );
                    None
                }
            });
            let networks: Vec<_> = networks.collect();
            networks.into_iter().collect::<Option<_>>().map(Condition::Source)
        }
    }
}

/// A network in CIDR notation, or one address; or what to write instead.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network: IpNet = text.parse().map_err(|_| "write it like `10.0.0.0/8` or `fd00::/8`".to_owned())?;
    if network.trunc() != network {
        return Err(format!("it begins at `{}`", network.trunc()));
    }
    match network {
        IpNet::V6(v6) if v6.network().to_ipv4_mapped().is_some() && v6.prefix_len() >= 96 => {
            Err("write it as a network of IPv4".to_owned())
        }
        network => Ok(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_begin_where_they_say() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(network(text).ok().map(|network| network.to_string()).as_deref(), expected, "{text}");
        };
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("10.0.0.1", Some("10.0.0.1/32"));
        check("::ffff:10.0.0.1", Some("10.0.0.1/32"));
        check("fd00::/8", Some("fd00::/8"));
        for wrong in ["10.0.0.1/8", "::ffff:10.0.0.0/104", "10.0.0.0/33", "corp", ""] {
            check(wrong, None);
        }
    }
}
