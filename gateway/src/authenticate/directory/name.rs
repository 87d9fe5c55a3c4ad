//! Names that people type, and what is sent of them: nothing that could be read as anything but a name.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Bytes of a name that a person types.
const USERNAME_BYTES_MAX: usize = 256;
/// Bytes of a password.
const PASSWORD_BYTES_MAX: usize = 1024;

/// A name that may be looked up: in normal form C, without what cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Username {
    typed: Box<str>,
    key: Box<str>,
}

impl Username {
    /// Takes a name, or says in a word why not.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > USERNAME_BYTES_MAX {
            return Err("username_length");
        }
        let typed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
        if typed.trim() != typed || typed.chars().any(is_unseen) || typed.len() > USERNAME_BYTES_MAX {
            return Err("username_characters");
        }
        Ok(Self { key: typed.to_lowercase().into(), typed: typed.into() })
    }

    /// As it was typed, normalised.
    pub(super) fn as_str(&self) -> &str {
        &self.typed
    }

    /// In lower case, for tables of this process.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The filter that finds this person: the parts of a document's filter with the name between them.
    pub(super) fn filter(&self, parts: &[std::sync::Arc<str>]) -> String {
        let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
        parts.join(&*ldap3::ldap_escape(self.as_str()))
    }

    /// The name that is bound with by a template, split at the place of the name.
    ///
    /// Without a look at the directory nobody can tell which spellings it takes for the same name (case, accents,
    /// width), and a rule that denies `alice` must not be met by `ALICE`: so only names with one spelling are taken,
    /// unless the directory is asked for the name afterwards (`looked_up`).
    pub(super) fn bind_name(&self, (before, after): (&str, &str), looked_up: bool) -> Result<String, &'static str> {
        let one_spelling = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !looked_up && !self.typed.chars().all(one_spelling) {
            return Err("username_characters");
        }
        let is_dn = before.contains('=');
        if is_dn {
            return Ok(format!("{before}{}{after}", ldap3::dn_escape(self.as_str())));
        }
        // `CORP\alice` and `alice@corp.example`: what separates the parts may not be in the name.
        if self.typed.contains(['\\', '@', '/', ',', '=', '"', ';', '+', '<', '>']) {
            return Err("username_characters");
        }
        Ok(format!("{before}{}{after}", self.typed))
    }
}

/// Control characters, and those that change how others are shown or show nothing themselves.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether this may be sent as a password. An empty one makes a bind anonymous, which directories answer with success
/// (RFC 4513 §5.1.2); some read one with a NUL up to there.
pub(super) fn is_password(password: &str) -> Result<(), &'static str> {
    match password {
        "" => Err("password_empty"),
        _ if password.contains('\0') => Err("password_characters"),
        _ if password.len() > PASSWORD_BYTES_MAX => Err("password_length"),
        _ => Ok(()),
    }
}

/// Whether `dn` stands below `base`, or is it. Spaces around separators and case do not matter.
pub(super) fn is_below(dn: &str, base: &str) -> bool {
    let (dn, base) = (parts(dn), parts(base));
    dn.ends_with(&base)
}

/// The relative names of a distinguished name, comparable.
fn parts(dn: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = dn.chars();
    while let Some(c) = characters.next() {
        match (c, parts.last_mut()) {
            ('\\', Some(part)) => part.extend(std::iter::once(c).chain(characters.next())),
            (',' | ';', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    let trimmed = parts.iter().map(|part| match part.split_once('=') {
        Some((attribute, value)) => format!("{}={}", attribute.trim(), value.trim()).to_lowercase(),
        None => part.trim().to_lowercase(),
    });
    trimmed.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_that_can_be_seen_are_taken() {
        for name in
            ["alice", "Alice B", "J\u{fc}rgen", "ju\u{308}rgen", "*)(uid=*", "a\\2a", "alice,ou=admins", "#a", "王"]
        {
            assert!(Username::new(name).is_ok(), "{name}");
        }
        assert_eq!(Username::new("ju\u{308}rgen").unwrap().as_str(), "j\u{fc}rgen");
        for name in
            ["", " alice", "alice ", "a\0", "a\nb", "a\u{200b}b", "a\u{202e}b", &"x".repeat(USERNAME_BYTES_MAX + 1)]
        {
            assert!(Username::new(name).is_err(), "{name:?}");
        }
        assert!(Username::new(&"x".repeat(USERNAME_BYTES_MAX)).is_ok());
    }

    #[test]
    fn a_name_stays_a_name_in_a_filter() {
        let parts = ["(&(objectClass=user)(uid=".into(), "))".into()];
        let filter = |name: &str| Username::new(name).unwrap().filter(&parts);
        assert_eq!(filter("alice"), "(&(objectClass=user)(uid=alice))");
        assert_eq!(filter("*)(uid=*"), r"(&(objectClass=user)(uid=\2a\29\28uid=\2a))");
        assert_eq!(filter(r"\2a"), r"(&(objectClass=user)(uid=\5c2a))");
    }

    #[test]
    fn a_name_stays_a_name_in_what_is_bound_with() {
        let dn = ("uid=", ",ou=people,dc=corp,dc=example");
        let name = |name: &str| Username::new(name).unwrap();
        assert_eq!(
            name("alice,ou=admins").bind_name(dn, true).unwrap(),
            r"uid=alice\2cou\3dadmins,ou=people,dc=corp,dc=example"
        );
        assert_eq!(name("#a+b").bind_name(dn, true).unwrap(), r"uid=\23a\2bb,ou=people,dc=corp,dc=example");
        assert_eq!(name("alice").bind_name(("", "@corp.example"), false).unwrap(), "alice@corp.example");
        for bad in ["alice@evil.example", "CORP\\alice", "j\u{fc}rgen", "a b"] {
            assert!(name(bad).bind_name(("", "@corp.example"), false).is_err(), "{bad}");
        }
        assert!(name("alice@evil.example").bind_name(("", "@corp.example"), true).is_err());
    }

    #[test]
    fn passwords_that_would_bind_anonymously_are_refused() {
        assert_eq!(is_password(""), Err("password_empty"));
        assert_eq!(is_password("\0"), Err("password_characters"));
        assert_eq!(is_password("good\0"), Err("password_characters"));
        assert_eq!(is_password(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err("password_length"));
        assert_eq!(is_password(" "), Ok(()));
    }

    #[test]
    fn distinguished_names_are_compared_by_their_parts() {
        let base = "OU=Groups,DC=corp,DC=example";
        assert!(is_below("cn=a, ou=groups , dc=corp,dc=example", base));
        assert!(is_below(base, base));
        assert!(!is_below(r"cn=a\,OU=Groups,DC=corp,DC=example", base));
        assert!(!is_below("cn=a,ou=more-groups,dc=corp,dc=example", base));
        assert!(!is_below("dc=corp,dc=example", base));
        assert!(is_below("cn=anything", ""));
    }
}
