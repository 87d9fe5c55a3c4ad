//! The few messages of LDAP that are spoken here (RFC 4511): bind, search, StartTLS; pages of results (RFC 2696).

use ldap3::asn1::{ASNTag as _, write};

use super::{
    ber::{Malformed, Reader, element, holding, number, tag},
    entry::Entry,
};

const VERSION: u32 = 3;
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// What a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The entry of the base alone.
    Base = 0,
    /// Everything below it, and itself.
    Subtree = 2,
}

/// A search.
#[derive(Debug, Clone)]
pub(super) struct Search<'s> {
    pub(super) base: &'s str,
    pub(super) scope: Scope,
    /// As RFC 4515 writes it; values of strangers are escaped in it.
    pub(super) filter: String,
    pub(super) attributes: &'s [&'s str],
    /// The server stops after so many entries; 0: it does not.
    pub(super) entries_max: u32,
}

/// One message of a server.
#[derive(Debug)]
pub(super) enum Answer {
    /// A bind, a search or StartTLS is over.
    Done(Outcome),
    /// One entry of a search.
    Entry(Entry),
    /// Where else the server thinks one should search: counted, never followed.
    Reference,
    /// Says nothing for us.
    Intermediate,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: u32,
    /// What the server says about it; for logs.
    pub(super) text: String,
    /// Leads to the next page; empty: there is none.
    pub(super) cookie: Vec<u8>,
}

/// The filter of a search cannot be read: a document says so, not a stranger.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a filter (RFC 4515)")]
pub(super) struct FilterError(pub(super) String);

/// A simple bind. An empty name or password would be an anonymous one: whoever calls has refused those.
pub(super) fn bind(id: u32, dn: &str, password: &[u8]) -> Vec<u8> {
    message(id, holding(0x60, &[number(tag::INTEGER, VERSION), text(dn), element(0x80, password)]), None)
}

/// Asks for TLS (RFC 4511 §4.14).
pub(super) fn start_tls(id: u32) -> Vec<u8> {
    message(id, holding(0x77, &[element(0x80, START_TLS.as_bytes())]), None)
}

/// A filter in bytes.
pub(super) fn filter(filter: &str) -> Result<Vec<u8>, FilterError> {
    let error = || FilterError(filter.to_owned());
    let parsed = ldap3::parse_filter(filter).map_err(|()| error())?;
    let mut bytes = bytes::BytesMut::new();
    write::encode_into(&mut bytes, parsed.into_structure()).map_err(|_| error())?;
    Ok(bytes.to_vec())
}

/// A search, in pages of `page` entries unless that is 0; `cookie` leads to the next one.
pub(super) fn search(id: u32, search: &Search<'_>, page: u32, cookie: &[u8]) -> Result<Vec<u8>, FilterError> {
    let attributes: Vec<_> = search.attributes.iter().map(|attribute| text(attribute)).collect();
    let request = holding(
        0x63,
        &[
            text(search.base),
            number(tag::ENUMERATED, search.scope as u32),
            // Aliases are never followed.
            number(tag::ENUMERATED, 0),
            number(tag::INTEGER, search.entries_max),
            number(tag::INTEGER, 0),
            element(tag::BOOLEAN, &[0]),
            filter(&search.filter)?,
            holding(tag::SEQUENCE, &attributes),
        ],
    );
    let paged = (page > 0).then(|| {
        let value = holding(tag::SEQUENCE, &[number(tag::INTEGER, page), element(tag::OCTET_STRING, cookie)]);
        let control = [text(PAGED_RESULTS), element(tag::BOOLEAN, &[0xff]), element(tag::OCTET_STRING, &value)];
        element(0xa0, &holding(tag::SEQUENCE, &control))
    });
    Ok(message(id, request, paged))
}

fn message(id: u32, operation: Vec<u8>, controls: Option<Vec<u8>>) -> Vec<u8> {
    let mut elements = vec![number(tag::INTEGER, id), operation];
    elements.extend(controls);
    holding(tag::SEQUENCE, &elements)
}

fn text(text: &str) -> Vec<u8> {
    element(tag::OCTET_STRING, text.as_bytes())
}

/// Reads a whole message: what it answers, and what it says. Number 0 is what nobody asked for: the server hangs up.
pub(super) fn read(message: &[u8]) -> Result<(u32, Answer), Malformed> {
    let mut message = Reader::new(Reader::new(message).expect(tag::SEQUENCE)?);
    let id = message.number(tag::INTEGER)?;
    let operation = message.element()?;
    let answer = match operation.tag {
        0x61 | 0x65 | 0x78 => Answer::Done(outcome(operation.content, message)?),
        0x64 => Answer::Entry(Entry::read(operation.content)?),
        0x73 => Answer::Reference,
        0x79 => Answer::Intermediate,
        _ => return Err(Malformed),
    };
    Ok((id, answer))
}

/// An LDAPResult, and the cookie in the controls that follow it.
fn outcome(result: &[u8], mut rest: Reader<'_>) -> Result<Outcome, Malformed> {
    let mut result = Reader::new(result);
    let code = result.number(tag::ENUMERATED)?;
    let _matched = result.expect(tag::OCTET_STRING)?;
    let text = String::from_utf8_lossy(result.expect(tag::OCTET_STRING)?).into_owned();
    let mut cookie = Vec::new();
    while !rest.is_empty() {
        let element = rest.element()?;
        // Active Directory writes the name of its last farewell where controls stand; it is none.
        if element.tag == 0xa0 {
            cookie = paged_cookie(element.content)?.unwrap_or(cookie);
        }
    }
    Ok(Outcome { code, text, cookie })
}

fn paged_cookie(controls: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut controls = Reader::new(controls);
    while !controls.is_empty() {
        let mut control = Reader::new(controls.expect(tag::SEQUENCE)?);
        let is_paged = control.expect(tag::OCTET_STRING)? == PAGED_RESULTS.as_bytes();
        let mut value = None;
        while !control.is_empty() {
            let element = control.element()?;
            value = (element.tag == tag::OCTET_STRING).then_some(element.content).or(value);
        }
        if let (true, Some(value)) = (is_paged, value) {
            let mut value = Reader::new(Reader::new(value).expect(tag::SEQUENCE)?);
            let _estimate = value.expect(tag::INTEGER)?;
            return value.expect(tag::OCTET_STRING).map(|cookie| Some(cookie.to_vec()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    /// An LDAPResult in a message, with or without the control of pages.
    fn done(id: u32, tag_of: u8, code: u32, diagnostic: &[u8], cookie: Option<&[u8]>) -> Vec<u8> {
        let result = holding(
            tag_of,
            &[number(tag::ENUMERATED, code), element(tag::OCTET_STRING, b""), element(tag::OCTET_STRING, diagnostic)],
        );
        let controls = cookie.map(|cookie| {
            let value = holding(tag::SEQUENCE, &[number(tag::INTEGER, 0), element(tag::OCTET_STRING, cookie)]);
            let other = holding(tag::SEQUENCE, &[text("1.2.3.4"), element(tag::OCTET_STRING, b"x")]);
            let paged = holding(tag::SEQUENCE, &[text(PAGED_RESULTS), element(tag::OCTET_STRING, &value)]);
            holding(0xa0, &[other, paged])
        });
        message(id, result, controls)
    }

    #[test]
    fn results_are_read_with_their_cookie() {
        let (id, answer) = read(&done(7, 0x65, 0, b"", Some(b"next"))).unwrap();
        let Answer::Done(outcome) = answer else { panic!("{answer:?}") };
        assert_eq!((id, outcome.code, outcome.cookie.as_slice()), (7, 0, &b"next"[..]));
        let (_, answer) = read(&done(7, 0x61, 49, b"\xff data 52e, v1db1", None)).unwrap();
        let Answer::Done(outcome) = answer else { panic!("{answer:?}") };
        assert_eq!((outcome.code, outcome.text.as_str()), (49, "\u{fffd} data 52e, v1db1"));
    }

    #[test]
    fn what_ldap3_would_panic_at_is_malformed_here() {
        for bad in [
            &[0x30, 0][..],                                 // nothing in it
            &[0x30, 3, 4, 1, 1],                            // no number
            &[0x30, 3, 2, 1, 1],                            // no operation
            &message(1, holding(0x7e, &[]), None),          // no such operation
            &message(1, holding(0x65, &[]), None),          // no result code
            &message(1, holding(0x61, &[text("0")]), None), // a result code that is none
            &message(1, holding(0x64, &[]), None),          // an entry without a name
            &message(1, holding(0x64, &[element(tag::OCTET_STRING, b"\xff\xfe")]), None),
        ] {
            assert!(read(bad).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn filters_keep_what_is_escaped_in_them() {
        let bytes = filter(r"(uid=\2a\29\28uid=\2a)").unwrap();
        assert_eq!(bytes, [&[0xa3, 15, 4, 3][..], b"uid", &[4, 8], b"*)(uid=*"].concat());
        assert!(filter("(uid=*").is_err());
    }
}
