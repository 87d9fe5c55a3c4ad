//! Reading what a match compares with: a header's value, a query parameter's value.
//!
//! Values are appended to a buffer on the stack, because a header may come in several lines and a query parameter may
//! be percent-encoded. A value longer than the buffer costs an allocation, and nothing else.

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Room for what ordinary requests say.
pub(super) type Buffer = SmallVec<[u8; 256]>;

/// Appends the value of a header, several lines joined by a comma (RFC 9110 §5.3). False: there is none.
pub(super) fn append_header(headers: &HeaderMap, name: &HeaderName, to: &mut Buffer) -> bool {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else { return false };
    to.extend_from_slice(first.as_bytes());
    for line in lines {
        to.push(b',');
        to.extend_from_slice(line.as_bytes());
    }
    true
}

/// Appends the decoded value of the first query parameter of that name. False: there is none.
pub(super) fn append_query(query: Option<&str>, name: &str, to: &mut Buffer) -> bool {
    let Some(query) = query else { return false };
    for pair in query.split('&') {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !pair.is_empty() && decoded(found).eq(name.bytes()) {
            to.extend(decoded(value));
            return true;
        }
    }
    false
}

/// The bytes of `text` with `%41` and `+` decoded. A `%` that no two hexadecimal digits follow stands for itself.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        Some(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => byte,
        })
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn query_values_are_decoded_and_the_first_counts() {
        let cases = [
            ("a=1&a=2", "a", Some("1")),
            ("b=&a", "b", Some("")),
            ("b=&a", "a", Some("")),
            ("x%20y=a%2Bb+c", "x y", Some("a+b c")),
            ("x+y=%", "x y", Some("%")),
            ("a=%4", "a", Some("%4")),
            ("a=%zz%41", "a", Some("%zzA")),
            ("a=b=c", "a", Some("b=c")),
            ("aa=1", "a", None),
            ("A=1", "a", None),
            ("&&=1", "a", None),
            ("", "", None),
            ("=1", "", Some("1")),
        ];
        for (query, name, expected) in cases {
            let mut value = Buffer::new();
            let found = append_query(Some(query), name, &mut value);
            assert_eq!(found.then_some(&*value), expected.map(str::as_bytes), "{query} {name}");
        }
        assert!(!append_query(None, "a", &mut Buffer::new()));
    }

    #[test]
    fn lines_of_a_header_are_joined() {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_static("2"));
        let mut value = Buffer::new();
        assert!(append_header(&headers, &HeaderName::from_static("a"), &mut value));
        assert_eq!(&*value, b"1,2");
        assert!(!append_header(&headers, &HeaderName::from_static("b"), &mut value));
    }
}
