//! The encoding of LDAP's messages (BER, as RFC 4511 §5.1 restricts it): a reader that borrows, and what writes.
//!
//! The reader looks at a message that is there in full and knows what it expects, so it never recurses; whatever does not
//! fit is [`Malformed`]. `ldap3` reads with `expect`, which would let a server, or before StartTLS anybody, end the process.

/// The first byte of an element.
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const OCTET_STRING: u8 = 0x04;
    pub(in super::super) const ENUMERATED: u8 = 0x0a;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;
}

/// Bytes that are no message of LDAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// How many bytes of a length follow its first byte, at most: lengths of messages are bounded far below this.
const LENGTH_BYTES_MAX: usize = 4;

/// One element: its first byte, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'b> {
    pub(super) tag: u8,
    pub(super) content: &'b [u8],
}

/// Elements, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is.
    pub(super) fn element(&mut self) -> Result<Element<'b>, Malformed> {
        let (header, length) = header(self.0)?.ok_or(Malformed)?;
        let (tag, rest) = (*self.0.first().ok_or(Malformed)?, self.0.get(header..).ok_or(Malformed)?);
        let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Element { tag, content })
    }

    /// The content of the next element, which must be one of these.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'b [u8], Malformed> {
        let element = self.element()?;
        if element.tag == tag { Ok(element.content) } else { Err(Malformed) }
    }

    /// The next element, an integer or an enumerated value, which must not be negative.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let digits = self.expect(tag)?;
        let (Some(first), ..=5) = (digits.first(), digits.len()) else { return Err(Malformed) };
        if first & 0x80 != 0 {
            return Err(Malformed);
        }
        let value = digits.iter().fold(0_u64, |value, digit| value << 8 | u64::from(*digit));
        u32::try_from(value).map_err(|_| Malformed)
    }
}

/// Length of the first element's header and of its content; `None`: not all of the header is there.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(tag) = bytes.first() else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        // LDAP has no tags of several bytes.
        return Err(Malformed);
    }
    let Some(length) = bytes.get(1) else { return Ok(None) };
    if length & 0x80 == 0 {
        return Ok(Some((2, usize::from(*length))));
    }
    let count = usize::from(length & 0x7f);
    if count == 0 || count > LENGTH_BYTES_MAX {
        return Err(Malformed);
    }
    // Lengths with leading zeros are legal here (Active Directory writes four bytes always).
    let Some(digits) = bytes.get(2..2 + count) else { return Ok(None) };
    Ok(Some((2 + count, digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))))
}

/// How long the message is that `bytes` begin with; `None`: that cannot be known yet. More than `bytes_max` are refused
/// before they are waited for.
pub(super) fn message_length(bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, Malformed> {
    if bytes.first().is_some_and(|first| *first != tag::SEQUENCE) {
        return Err(Malformed);
    }
    let Some((header, content)) = header(bytes)? else { return Ok(None) };
    let length = header + content;
    if length > bytes_max { Err(Malformed) } else { Ok(Some(length)) }
}

/// An element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 6);
    bytes.push(tag);
    let digits = (content.len() as u64).to_be_bytes();
    let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
    if content.len() >= 0x80 {
        bytes.push(0x80 | digits.len() as u8);
        bytes.extend(digits);
    } else {
        bytes.push(content.len() as u8);
    }
    bytes.extend(content);
    bytes
}

/// An element that holds others.
pub(super) fn holding(tag: u8, elements: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &elements.concat())
}

/// A number, as an integer or an enumerated value.
pub(super) fn number(tag: u8, value: u32) -> Vec<u8> {
    let digits = u64::from(value).to_be_bytes();
    // One zero stays where the first bit would be taken for a sign.
    let start = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len() - 1);
    let start = if digits.get(start).is_some_and(|digit| digit & 0x80 != 0) { start - 1 } else { start };
    element(tag, digits.get(start..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for value in [0, 1, 127, 128, 255, 256, 65_535, 65_536, i32::MAX as u32, u32::MAX] {
            let bytes = number(tag::INTEGER, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number(tag::INTEGER), Ok(value), "{bytes:x?}");
            assert!(reader.is_empty());
        }
        assert_eq!(number(tag::INTEGER, 128), [2, 2, 0, 128]);
        assert_eq!(Reader::new(&[2, 1, 0x80]).number(tag::INTEGER), Err(Malformed), "negative");
        assert_eq!(Reader::new(&[2, 0]).number(tag::INTEGER), Err(Malformed), "no digits");
        assert_eq!(Reader::new(&[2, 5, 1, 0, 0, 0, 0]).number(tag::INTEGER), Err(Malformed), "33 bits");
    }

    #[test]
    fn lengths_are_read_in_every_legal_form() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let bytes = element(tag::OCTET_STRING, &vec![7; length]);
            assert_eq!(Reader::new(&bytes).expect(tag::OCTET_STRING).map(<[u8]>::len), Ok(length));
        }
        let padded = [4, 0x84, 0, 0, 0, 2, b'h', b'i'];
        assert_eq!(Reader::new(&padded).expect(tag::OCTET_STRING), Ok(&b"hi"[..]));
        for bad in [&[0x1f, 1, 0][..], &[4, 0x80], &[4, 0x85, 0, 0, 0, 0, 1, 7], &[4, 3, 1, 2], &[4], &[]] {
            assert_eq!(Reader::new(bad).element(), Err(Malformed), "{bad:x?}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_before_it_is_waited_for() {
        assert_eq!(message_length(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], 1024), Err(Malformed));
        assert_eq!(message_length(b"HTTP/1.1 400 Bad Request", 1024), Err(Malformed));
        assert_eq!(message_length(&[0x30, 0x82, 1], 1024), Ok(None));
        assert_eq!(message_length(&[0x30, 0x82, 1, 0], 1024), Ok(Some(260)));
    }
}
