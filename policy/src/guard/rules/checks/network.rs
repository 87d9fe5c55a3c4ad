//! Addresses of machines and of mailboxes.

use std::net::{Ipv4Addr, Ipv6Addr};

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// RFC 5321, section 4.5.3.1: a local part of 64 bytes, a domain of 255, labels of 63; and a top level of letters.
pub fn email(text: &[u8]) -> bool {
    let Some((local, domain)) = utf8(text).split_once('@') else { return false };
    let labels = || domain.split('.');
    let is_label =
        |label: &str| !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-');
    local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.len() <= 255
        && labels().count() >= 2
        && labels().all(is_label)
        // `icon@2x.png` is a picture, `serde@1.0.rs` a version of something.
        && labels().next_back().is_some_and(|top| !["png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css", "ts"].contains(&top))
}

/// The same of the domain of an address alone.
pub fn email_domain(text: &[u8]) -> bool {
    email(&[b"a@".as_slice(), text].concat())
}

/// Whether a local part of an address stands at the end of a text, and `@`.
pub fn is_behind_local_part(text: &[u8]) -> bool {
    let in_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    text.strip_suffix(b"@").and_then(<[u8]>::last).is_some_and(in_local)
}

/// An address that may be somebody's: not this host, nobody's, or everybody's.
pub fn ipv4(text: &[u8]) -> bool {
    utf8(text).parse::<Ipv4Addr>().is_ok_and(|address| {
        // An object identifier of the internet begins so, and goes on behind the fourth number.
        address != Ipv4Addr::new(1, 3, 6, 1)
            && !(address.is_loopback()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.octets().starts_with(&[0])
                || address.is_multicast()
                || address.octets().starts_with(&[255]))
    })
}

/// An address that may be somebody's, and no path of a programming language (`a::b`).
pub fn ipv6(text: &[u8]) -> bool {
    let text = utf8(text);
    let groups = text.split([':', '.']).filter(|group| !group.is_empty());
    let telling = groups.clone().count() >= 3
        && groups.clone().any(|group| group.bytes().any(|byte| byte.is_ascii_digit()))
        || groups.clone().any(|group| group.len() >= 3 && group.bytes().any(|byte| byte.is_ascii_digit()));
    // `2008::` ends a line of reStructuredText.
    let is_year = groups.clone().count() == 1
        && text.ends_with("::")
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    telling
        && !is_year
        && text
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| !(address.is_loopback() || address.is_unspecified() || address.is_multicast()))
}

/// Of one interface: not all zeros, not the broadcast, one kind of separator.
pub fn mac(text: &[u8]) -> bool {
    let hex: Vec<u8> = text.iter().filter(|byte| byte.is_ascii_hexdigit()).map(u8::to_ascii_lowercase).collect();
    let one_separator = [b':', b'-', b'.'].iter().filter(|separator| text.contains(separator)).count() == 1;
    let first = hex.first().copied().unwrap_or_default();
    hex.len() == 12 && one_separator && !hex.iter().all(|digit| *digit == first)
}
