//! Distinguished names as RFC 4514 writes them: one text for one name, so that texts can be compared.

use std::fmt::Write as _;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names that RFC 4514 §3 asks for, and those that everybody uses; others are written as numbers.
const SHORT_NAMES: [(&str, &str); 12] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "EMAIL"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.12", "TITLE"),
];

/// The name, the last part first (RFC 4514 §2.1). `None`: a value is no text, or there is no name at all.
pub(crate) fn print(name: &X509Name<'_>) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.iter() {
        let attributes = part.iter().map(attribute).collect::<Option<Vec<_>>>()?;
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// The values that are texts.
pub(crate) fn texts<'a>(attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Vec<String> {
    attributes.filter_map(|attribute| attribute.as_str().ok()).map(str::to_owned).collect()
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let oid = attribute.attr_type().to_id_string();
    let name = SHORT_NAMES.iter().find(|(number, _)| **number == oid).map_or(oid.as_str(), |(_, name)| *name);
    Some(format!("{name}={}", escaped(attribute.as_str().ok()?)))
}

/// RFC 4514 §2.4.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, character) in value.char_indices() {
        let is_first = at == 0;
        let is_last = at + character.len_utf8() == value.len();
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' if is_first => text.push_str("\\#"),
            ' ' if is_first || is_last => text.push_str("\\ "),
            // Only NUL must be; others would break a line of a log, or hide in it.
            character if character.is_control() => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing into a `String` cannot fail.
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            character => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use crate::ChainFacts;

    fn facts(parts: &[(DnType, &str)]) -> ChainFacts {
        let mut name = DistinguishedName::new();
        for (kind, value) in parts {
            name.push(kind.clone(), *value);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        ChainFacts::of(&[params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()]).unwrap()
    }

    #[test]
    fn names_are_written_as_rfc_4514_says() {
        let check = |parts: &[(DnType, &str)], expected: Option<&str>| {
            assert_eq!(facts(parts).distinguished_name.as_deref(), expected);
        };
        let unit = DnType::OrganizationalUnitName;
        check(
            &[(DnType::CountryName, "DE"), (DnType::OrganizationName, "Corp"), (DnType::CommonName, "Älice")],
            Some("CN=Älice,O=Corp,C=DE"),
        );
        check(&[(DnType::CommonName, "a,OU=admins")], Some("CN=a\\,OU=admins"));
        check(&[(DnType::CommonName, "#a+b"), (unit.clone(), " x ")], Some("OU=\\ x\\ ,CN=\\#a\\+b"));
        check(&[(DnType::CommonName, "a\nb\0")], Some("CN=a\\0Ab\\00"));
        check(&[(DnType::CustomDnType(vec![1, 2, 3, 4]), "x")], Some("1.2.3.4=x"));
        check(&[], None);
        let facts = facts(&[(unit, "ml"), (DnType::CommonName, "alice")]);
        assert_eq!((facts.common_names, facts.units), (vec!["alice".to_owned()], vec!["ml".to_owned()]));
    }
}
