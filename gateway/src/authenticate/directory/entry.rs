//! What an entry of a directory says: attributes, bytes of anybody's making, become names, ids and account states.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use super::ber::{Malformed, Reader, tag};

/// Bytes of a name that is taken from a directory. No document can say a longer one.
const NAME_BYTES_MAX: usize = 256;
/// Between 1601, where Windows begins to count, and 1970.
const WINDOWS_EPOCH: Duration = Duration::from_hours(3_234_576);
/// `userAccountControl` (MS-ADTS 2.2.16): ADS_UF_ACCOUNT_DISABLE.
const ACCOUNT_DISABLE: u32 = 2;

/// An entry, as the server sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its distinguished name.
    pub dn: String,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// Reads a SearchResultEntry (RFC 4511 §4.5.2).
    pub fn read(content: &[u8]) -> Result<Self, Malformed> {
        let mut entry = Reader::new(content);
        let dn = text(entry.expect(tag::OCTET_STRING)?)?;
        let mut list = Reader::new(entry.expect(tag::SEQUENCE)?);
        let mut attributes = Vec::new();
        while !list.is_empty() {
            let mut attribute = Reader::new(list.expect(tag::SEQUENCE)?);
            let name = text(attribute.expect(tag::OCTET_STRING)?)?;
            let mut set = Reader::new(attribute.expect(tag::SET)?);
            let mut values = Vec::new();
            while !set.is_empty() {
                values.push(set.expect(tag::OCTET_STRING)?.to_vec());
            }
            attributes.push((name, values));
        }
        Ok(Self { dn, attributes })
    }

    /// The values of an attribute, whose name's case does not matter.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.attributes.iter().filter(move |(attribute, _)| attribute.eq_ignore_ascii_case(name));
        named.flat_map(|(_, values)| values.iter().map(Vec::as_slice))
    }

    /// Whether the server sends the values of an attribute piece by piece (`memberOf;range=0-1499`, MS-ADTS 3.1.1.3.1.3.3),
    /// so that not all of them are here.
    pub(super) fn is_partial(&self, name: &str) -> bool {
        let options = self.attributes.iter().filter_map(|(attribute, _)| attribute.split_once(';'));
        options.into_iter().any(|(attribute, options)| {
            attribute.eq_ignore_ascii_case(name) && options.to_ascii_lowercase().contains("range=")
        })
    }

    /// The values that are names. One that no document can say (too long, not UTF-8, with control characters) is left
    /// out: no rule can allow or deny it.
    pub fn names(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute).filter_map(name)
    }

    /// The one name in this attribute; none where there are several, or one that is no name.
    pub fn one_name(&self, attribute: &str) -> Option<&str> {
        let mut values = self.values(attribute);
        let value = values.next()?;
        if values.next().is_some() { None } else { name(value) }
    }

    /// The values that are text: distinguished names may be longer than the names that documents say.
    pub(super) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute).filter_map(|value| str::from_utf8(value).ok())
    }

    fn text(&self, attribute: &str) -> Option<&str> {
        self.values(attribute).next().and_then(|value| str::from_utf8(value).ok())
    }
}

/// What is asked of a person's entry beside its name, for [`stable_id`] and [`closed`].
pub(super) const PERSON_ATTRIBUTES: [&str; 7] = [
    "objectSid",
    "entryUUID",
    "nsUniqueId",
    "userAccountControl",
    "accountExpires",
    "pwdAccountLockedTime",
    "nsAccountLock",
];

/// What never changes when names do.
pub fn stable_id(entry: &Entry) -> Option<String> {
    let sid = entry.values("objectSid").next().and_then(sid);
    let uuid = || entry.text("entryUUID").or_else(|| entry.text("nsUniqueId"));
    sid.or_else(|| uuid().filter(|id| is_name(id)).map(str::to_owned))
}

/// The word for why this account is closed; `None`: it is not, as far as its entry says.
pub fn closed(entry: &Entry, now: SystemTime) -> Option<&'static str> {
    let control = entry.text("userAccountControl").and_then(|text| text.parse::<i64>().ok());
    if control.is_some_and(|control| control as u32 & ACCOUNT_DISABLE != 0) {
        return Some("account_disabled");
    }
    if entry.text("nsAccountLock").is_some_and(|locked| locked.eq_ignore_ascii_case("true")) {
        return Some("account_disabled");
    }
    // The time that means "for ever, by an administrator" (draft-behera-ldap-password-policy §5.3.3). Other times are
    // locks after failures, which somebody else may have caused.
    if entry.text("pwdAccountLockedTime") == Some("000001010000Z") {
        return Some("account_disabled");
    }
    let expires = entry.text("accountExpires").and_then(|text| text.parse::<i64>().ok());
    // 0 and the largest number mean never.
    let expires = expires.filter(|ticks| *ticks > 0 && *ticks < i64::MAX).map(|ticks| {
        let since_1601 = Duration::from_micros(ticks.unsigned_abs() / 10);
        SystemTime::UNIX_EPOCH.checked_add(since_1601.saturating_sub(WINDOWS_EPOCH))
    });
    let expired = expires.flatten().is_some_and(|expires| expires <= now);
    expired.then_some("account_expired")
}

/// A security identifier in words: `S-1-5-21-…` (MS-DTYP 2.4.2).
pub fn sid(bytes: &[u8]) -> Option<String> {
    let [1, count, authority @ ..] = bytes else { return None };
    let (authority, parts) = authority.split_at_checked(6)?;
    if parts.len() != usize::from(*count) * 4 || *count > 15 {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let mut text = format!("S-1-{authority}");
    for part in parts.chunks_exact(4) {
        let part = part.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        let _ = write!(text, "-{part}");
    }
    Some(text)
}

fn name(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok().filter(|name| is_name(name))
}

/// Whether a document could say this name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed)
}

#[cfg(test)]
impl Entry {
    /// An entry of these attributes.
    pub(super) fn of(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Self {
        let attributes = attributes
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| value.to_vec()).collect()));
        Self { dn: dn.to_owned(), attributes: attributes.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_written_as_windows_writes_it() {
        let bytes = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x51, 4, 0, 0];
        assert_eq!(sid(&bytes).as_deref(), Some("S-1-5-21-1-2-3-1105"));
        for bad in [&bytes[..27], &[], &[1], &[2, 0, 0, 0, 0, 0, 0, 5], &[1, 1, 0, 0, 0, 0, 0, 5]] {
            assert_eq!(sid(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn names_that_no_document_can_say_are_left_out() {
        let long = [b'x'; NAME_BYTES_MAX + 1];
        let entry = Entry::of("cn=a", &[("CN", &[b"a", b"", b"\xff", b"a\0b", &long, b"b"])]);
        assert_eq!(entry.names("cn").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(entry.one_name("cn"), None, "several");
        assert_eq!(Entry::of("cn=a", &[("cn", &[b"a"])]).one_name("CN"), Some("a"));
    }

    #[test]
    fn values_in_pieces_are_known_as_such() {
        let of =
            |attribute: &str| Entry::of("cn=a", &[("memberOf", &[]), (attribute, &[b"cn=b"])]).is_partial("memberof");
        assert!(of("memberOf;range=0-1499"));
        assert!(of("MEMBEROF;Range=1500-*"));
        assert!(!of("memberOf"));
        assert!(!of("memberOf;lang-de"));
        assert!(!of("member;range=0-1499"));
    }

    #[test]
    fn closed_accounts_are_told_apart() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let check = |attribute: &str, value: &str, expected: Option<&str>| {
            let entry = Entry::of("cn=a", &[(attribute, &[value.as_bytes()])]);
            assert_eq!(closed(&entry, at), expected, "{attribute}={value}");
        };
        check("userAccountControl", "514", Some("account_disabled"));
        check("userAccountControl", "512", None);
        check("nsAccountLock", "TRUE", Some("account_disabled"));
        check("nsAccountLock", "false", None);
        check("pwdAccountLockedTime", "000001010000Z", Some("account_disabled"));
        check("pwdAccountLockedTime", "20261125204100Z", None);
        check("accountExpires", "0", None);
        check("accountExpires", "9223372036854775807", None);
        check("accountExpires", "133000000000000000", Some("account_expired"));
        check("accountExpires", "143000000000000000", None);
        check("accountExpires", "soon", None);
    }
}
