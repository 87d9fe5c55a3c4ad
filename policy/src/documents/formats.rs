//! The formats that strings of documents have: each is checked where it stands, with what is wrong and what is right.

use std::{net::IpAddr, time::Duration};

use portcullis_certs::SpiffeId;

/// What is wrong with a string.
#[derive(Debug)]
pub struct Fault {
    /// One sentence.
    pub message: String,
    /// Beside the place.
    pub label: &'static str,
    /// What is right.
    pub help: Option<String>,
}

fn fault(message: String, label: &'static str, help: &str) -> Result<(), Fault> {
    Err(Fault { message, label, help: Some(help.to_owned()) })
}

/// The longest regular expression, in bytes.
pub const REGEX_BYTES_MAX: usize = 4096;
/// Characters of the id of an API key.
pub const KEY_ID_LENGTH: usize = 12;

/// Checks a string against a format of ours; formats that are not ours are not checked.
pub fn check(format: &str, text: &str) -> Result<(), Fault> {
    match format {
        "duration" if duration(text).is_none() => {
            fault(format!("`{text}` is not a duration"), "not a duration", "write it like `30s`, `500ms` or `1h30m`")
        }
        "quantity" if quantity(text).is_none() => {
            fault(format!("`{text}` is not a quantity"), "not a quantity", "write it like `256Mi` or `2Gi`")
        }
        "hostname" if !is_hostname(text) => fault(
            format!("`{text}` is not a host name"),
            "not a host name",
            "lower-case labels of letters, digits and `-`, separated by dots; no port and no address",
        ),
        "hostname-pattern" if !is_hostname(text.strip_prefix("*.").unwrap_or(text)) => fault(
            format!("`{text}` is not a host name"),
            "not a host name",
            "a lower-case host name, perhaps with `*.` before it; no port and no address",
        ),
        "address" if text.parse::<IpAddr>().is_err() && !is_hostname(text) => fault(
            format!("`{text}` is neither an IP address nor a host name"),
            "not an address",
            "the port has a field of its own",
        ),
        "port-name" if !is_label(text) => {
            fault(format!("`{text}` is neither a port nor the name of one"), "not a port", "write a number or a name")
        }
        "label" if !is_label(text) => fault(
            format!("`{text}` is not the name of a namespace"),
            "not a name",
            "lower-case letters, digits and `-`, with a letter or digit at both ends, at most 63 characters",
        ),
        "trust-domain" if format!("spiffe://{text}").parse::<SpiffeId>().is_err() || text.contains('/') => fault(
            format!("`{text}` is not a trust domain"),
            "not a trust domain",
            "write it without `spiffe://` and without a path, like `corp.example`",
        ),
        "url" | "https-url" | "ldap-url" => url(format, text),
        "host-port" if !is_host_port(text) => fault(
            format!("`{text}` is not a host and a port"),
            "not a host and a port",
            "write it like `siem.corp.example:6514`",
        ),
        "absolute-path" if !text.starts_with('/') => {
            fault(format!("`{text}` is not a path"), "not a path", "paths begin with `/`")
        }
        "header-value" if http::HeaderValue::from_str(text).is_err() => fault(
            format!("`{}` cannot be the value of a header", text.escape_debug()),
            "not a header value",
            "no line breaks and no other control characters",
        ),
        "object-name" | "section-name" if !is_object_name(text) => fault(
            format!("`{text}` is not a name"),
            "not a name",
            "names have lower-case letters, digits, `-` and `.`, begin and end with a letter or digit, and at most 253 characters",
        ),
        "timestamp" if crate::timestamp::parse(text).is_none() => {
            fault(format!("`{text}` is not a time"), "not a time", "write it as RFC 3339 does: `2027-01-31T12:00:00Z`")
        }
        "network" if network(text).is_none() => fault(
            format!("`{text}` is not a network"),
            "not a network",
            "write it like `10.0.0.0/8` or `2001:db8::/32`, with no bit set behind the prefix; or write one address",
        ),
        // Not quoted: what is wrong here may be a secret in the wrong place.
        "key-hash" if key_hash(text).is_none() => fault(
            "this is not the hash of a key".to_owned(),
            "not a hash",
            "`portcullis keys create` writes it: `hmac-sha256:` and 64 hexadecimal digits; if it is a key, revoke the key",
        ),
        "key-id" if !is_key_id(text) => fault(
            format!("`{text}` is not the id of a key"),
            "not an id",
            "lower-case letters and digits, 12 of them, the first a letter",
        ),
        "header-name" if text.is_empty() || http::HeaderName::from_bytes(text.as_bytes()).is_err() => {
            fault(format!("`{text}` is not a header name"), "not a header name", "letters, digits and `-`")
        }
        "regex" => match regex(text) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Fault {
                message: format!("not a regular expression that can be used: {reason}"),
                label: "this expression",
                help: Some(
                    "the syntax is that of https://docs.rs/regex; it has neither look-around nor back-references"
                        .into(),
                ),
            }),
        },
        "spiffe-id" => match text.parse::<SpiffeId>() {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault {
                message: format!("`{text}` is not a SPIFFE ID: {error}"),
                label: "not a SPIFFE ID",
                help: None,
            }),
        },
        _ => Ok(()),
    }
}

/// The scheme that is meant, a host, and nothing that no server needs.
fn url(format: &str, text: &str) -> Result<(), Fault> {
    let (schemes, example): (&[&str], _) = match format {
        "url" => (&["https", "http"], "https://guard.corp.example/v1"),
        "https-url" => (&["https"], "https://id.corp.example"),
        _ => (&["ldaps", "ldap"], "ldaps://dc1.corp.example"),
    };
    let parsed = text.parse::<http::Uri>().ok();
    let has_host = parsed.as_ref().and_then(http::Uri::host).is_some_and(|host| !host.is_empty());
    let scheme = parsed.as_ref().and_then(http::Uri::scheme_str);
    if has_host && scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        return Ok(());
    }
    let what = if format == "https-url" { "an https URL" } else { "a URL that can be used here" };
    fault(format!("`{text}` is not {what}"), "not such a URL", &format!("write it like `{example}`"))
}

/// The regular expression of a format, for those who check documents without us; it may let more pass than [`check`]
/// does, never less.
pub fn pattern(format: &str) -> Option<&'static str> {
    Some(match format {
        "duration" => "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
        "quantity" => "^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$",
        "hostname" => r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "hostname-pattern" => r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "object-name" | "section-name" => r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "label" => "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        "header-name" => r"^[-A-Za-z0-9!#$%&'*+.^_`|~]+$",
        "header-value" => r"^[^\x00-\x08\x0a-\x1f\x7f]*$",
        "spiffe-id" => r"^spiffe://[-a-z0-9._]+(/[-A-Za-z0-9._]+)*$",
        "trust-domain" => "^[-a-z0-9._]+$",
        "url" => r"^https?://[^\s/]+",
        "https-url" => r"^https://[^\s/]+",
        "ldap-url" => r"^ldaps?://[^\s/]+",
        "absolute-path" => "^/",
        "host-port" => r"^.+:[0-9]{1,5}$",
        _ => return None,
    })
}

/// A network in CIDR notation without a bit behind its prefix, or one address.
pub fn network(text: &str) -> Option<ipnet::IpNet> {
    let network: ipnet::IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse().ok()?,
    };
    (network == network.trunc()).then_some(network)
}

/// The hash of an API key: `hmac-sha256:` and 64 hexadecimal digits.
pub fn key_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("hmac-sha256:").filter(|digits| digits.len() == 64 && digits.is_ascii())?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}

/// The id of an API key.
pub fn is_key_id(text: &str) -> bool {
    text.len() == KEY_ID_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

/// A regular expression that matches whole values, with its size bounded.
pub fn regex(text: &str) -> Result<regex::Regex, String> {
    if text.len() > REGEX_BYTES_MAX {
        return Err(format!("longer than {REGEX_BYTES_MAX} bytes"));
    }
    let last_line = |error: String| error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // Parsed on its own first: `a)|(b` must not become valid by what is put around it.
    regex_syntax::parse(text).map_err(|error| last_line(error.to_string()))?;
    regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).dfa_size_limit(1 << 20).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(limit) => format!("compiled it would be larger than {limit} bytes"),
            error => last_line(error.to_string()),
        },
    )
}

/// A duration of GEP-2257: up to four groups of up to five digits and a unit.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut groups = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        groups += 1;
        if !(1..=5).contains(&digits) || groups > 4 {
            return None;
        }
        let (number, after) = rest.split_at_checked(digits)?;
        let amount: u64 = number.parse().ok()?;
        let (unit, after) = if let Some(after) = after.strip_prefix("ms") {
            (Duration::from_millis(amount), after)
        } else if let Some(after) = after.strip_prefix('s') {
            (Duration::from_secs(amount), after)
        } else if let Some(after) = after.strip_prefix('m') {
            (Duration::from_secs(amount * 60), after)
        } else {
            (Duration::from_secs(amount * 3600), after.strip_prefix('h')?)
        };
        total += unit;
        rest = after;
    }
    (groups > 0).then_some(total)
}

/// A size in bytes, as Kubernetes writes quantities.
pub fn quantity(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "T" => 1000_u64.pow(4),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// RFC 1123, lower case; an IP address is none.
pub fn is_hostname(text: &str) -> bool {
    text.len() <= 253
        && text.parse::<IpAddr>().is_err()
        && text.split('.').all(|label| {
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_object_name(text) && !text.contains('.')
}

fn is_host_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.parse::<std::net::Ipv4Addr>().is_ok() || is_hostname(host),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_object_name(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let bytes = text.as_bytes();
    text.len() <= 253 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| inner(*b))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn durations_are_those_of_the_standard() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(duration(text).map(|d| d.as_millis() as u64), expected, "{text}");
        };
        check("0s", Some(0));
        check("10s", Some(10_000));
        check("500ms", Some(500));
        check("1h30m", Some(5_400_000));
        check("1h1m1s1ms", Some(3_661_001));
        for wrong in ["", "s", "1", "1d", "1.5s", "-1s", "100000s", "1s1s1s1s1s", "1 s"] {
            check(wrong, None);
        }
    }

    #[test]
    fn patterns_let_pass_what_is_right() {
        let check = |format: &str, right: &[&str], wrong: &[&str]| {
            let pattern = regex::Regex::new(pattern(format).unwrap()).unwrap();
            for text in right {
                assert!(check(format, text).is_ok() && pattern.is_match(text), "{format}: {text}");
            }
            for text in wrong {
                assert!(check(format, text).is_err(), "{format}: {text}");
            }
        };
        check("duration", &["30s", "1h30m", "500ms"], &["", "1.5s"]);
        check("quantity", &["0", "256Mi", "2Gi"], &["", "Mi", "1.5Gi", "99999999999Ti"]);
        check("hostname", &["a", "llm.corp.example"], &["", "A", "a.", "-a", "10.0.0.1", "a:1", "*.a"]);
        check("hostname-pattern", &["a", "*.corp.example"], &["*", "*a.b", "*.*.a", "*.10.0.0.1"]);
        check("object-name", &["a", "a-b.c"], &["", "A", "a_b", "-a", "a."]);
        check("label", &["a", "team-1"], &["", "a.b", "A"]);
        check("header-name", &["x-tenant", "ETag", "x_y!"], &["", "x y", "x:y", "ü"]);
        check("header-value", &["", "a b\t;c"], &["a\nb", "a\rb", "\u{7f}"]);
        check("spiffe-id", &["spiffe://corp.example/ns/a/sa/b"], &["corp.example", "spiffe://", "spiffe://A/b"]);
        check("trust-domain", &["corp.example"], &["", "spiffe://corp.example", "corp.example/a", "Corp"]);
        check("url", &["http://guard:8080/v1", "https://guard.example"], &["guard", "ftp://guard", "http://"]);
        check("https-url", &["https://id.corp.example/realm"], &["http://id.corp.example", "https://", "id"]);
        check("ldap-url", &["ldaps://dc1.corp.example", "ldap://dc1:389"], &["dc1", "https://dc1", "ldaps://"]);
        check("absolute-path", &["/", "/health"], &["", "health"]);
        check(
            "host-port",
            &["siem.corp.example:6514", "10.0.0.1:1", "[::1]:514"],
            &["siem", "siem:0", "::1:514", ":1"],
        );
    }

    #[test]
    fn expressions_match_whole_values_and_nothing_breaks_out() {
        assert!(regex("a|b").is_ok_and(|r| r.is_match("b") && !r.is_match("ab")));
        assert!(regex("a)|(b").is_err());
        assert!(regex("(?=a)").is_err());
        assert!(regex(&"(a{1000}){1000}".repeat(2)).is_err());
    }
}
