//! Heads of HTTP/1.1 messages: parsed strictly, once, without copying values; written in one go.
//!
//! Where RFC 9112 lets a recipient be lenient, this is not: two framings, two lengths, a bare line feed or a fold are
//! what smuggling is made of, and no client that matters sends them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE},
};
use memchr::memchr_iter;

/// The longest head (request line and fields), in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The longest request target, in bytes.
pub const TARGET_BYTES_MAX: usize = 32 * 1024;
/// The most fields in one head or trailer section.
pub const FIELDS_MAX: usize = 100;

/// Why a head cannot be understood, or will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP.
    #[error("malformed HTTP message")]
    Malformed,
    /// A line that ends in a bare line feed.
    #[error("a line must end in CR LF")]
    BareLineFeed,
    /// More than [`HEAD_BYTES_MAX`] bytes or [`FIELDS_MAX`] fields.
    #[error("the header section is too large")]
    FieldsTooLarge,
    /// More than [`TARGET_BYTES_MAX`] bytes.
    #[error("the request target is too long")]
    TargetTooLong,
    /// Both, in any order.
    #[error("content-length and transfer-encoding must not stand together")]
    BothFramings,
    /// Twice, or not a plain number.
    #[error("content-length must be one decimal number")]
    ContentLength,
    /// Anything but one `chunked`, or with HTTP/1.0.
    #[error("transfer-encoding must be `chunked`, once, in HTTP/1.1")]
    TransferEncoding,
    /// None or several, in HTTP/1.1.
    #[error("there must be exactly one host field")]
    Host,
    /// Neither 1.0 nor 1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// Anything but `100-continue`.
    #[error("unknown expectation")]
    Expect,
    /// The client took too long over its head.
    #[error("the request head took too long")]
    TooSlow,
    /// Too many interim answers, or one that was not asked for.
    #[error("unexpected interim answer")]
    Interim,
}

impl HeadError {
    /// The status that says so to a client.
    pub fn status(self) -> StatusCode {
        match self {
            HeadError::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HeadError::TargetTooLong => StatusCode::URI_TOO_LONG,
            HeadError::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            HeadError::Expect => StatusCode::EXPECTATION_FAILED,
            HeadError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 for none.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends (answers only).
    UntilClose,
}

/// A parsed request head.
#[derive(Debug)]
pub struct RequestHead {
    /// Method, target, version, fields.
    pub request: http::Request<()>,
    /// How long its body is.
    pub framing: Framing,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
}

/// A parsed response head.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status, version, fields.
    pub response: http::Response<()>,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    noted: Noted,
}

impl ResponseHead {
    /// How long the body of an answer to `method` is (RFC 9112 §6.3).
    pub fn framing(&self, method: &Method) -> Result<Framing, HeadError> {
        let status = self.response.status();
        if method == Method::HEAD
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
        {
            return Ok(Framing::Length(0));
        }
        match self.noted.framing()? {
            (true, _) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::UntilClose),
        }
    }

    /// How long the server says that it keeps the connection open (`Keep-Alive: timeout=5, max=100`).
    pub fn keep_alive_timeout(&self) -> Option<Duration> {
        let text = self.response.headers().get(KEEP_ALIVE).filter(|_| self.noted.keep_alive_field)?.to_str().ok()?;
        let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
        seconds.parse().ok().map(Duration::from_secs)
    }
}

/// Finds the end of a head in a buffer that grows, looking at each byte once.
#[derive(Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    /// How long the first line is, once it has ended.
    first_line: Option<usize>,
}

impl HeadScanner {
    /// The length of the head including the empty line; `None` until it is there.
    pub fn find_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, HeadError> {
        let from = self.scanned;
        for offset in memchr_iter(b'\n', buffer.get(from..).unwrap_or_default()) {
            let end = from + offset;
            let line_ended = end.checked_sub(1).and_then(|i| buffer.get(i)) == Some(&b'\r');
            if !line_ended {
                return Err(HeadError::BareLineFeed);
            }
            if end >= 3 && buffer.get(end - 3..end - 1) == Some(b"\r\n") {
                let found = if end < HEAD_BYTES_MAX { Ok(Some(end + 1)) } else { Err(self.too_large()) };
                *self = Self::default();
                return found;
            }
            self.first_line.get_or_insert(end);
        }
        self.scanned = buffer.len();
        if buffer.len() >= HEAD_BYTES_MAX { Err(self.too_large()) } else { Ok(None) }
    }

    fn too_large(&self) -> HeadError {
        match self.first_line {
            Some(..=TARGET_BYTES_MAX) => HeadError::FieldsTooLarge,
            _ => HeadError::TargetTooLong,
        }
    }
}

/// Drops the empty lines that some clients send after a body (RFC 9112 §2.2).
pub fn skip_empty_line(buffer: &mut BytesMut) {
    if buffer.starts_with(b"\r\n") {
        let _ = buffer.split_to(2);
    }
}

/// Parses a whole request head, as [`HeadScanner`] found it.
pub fn parse_request(head: &Bytes) -> Result<RequestHead, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::FieldsTooLarge),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Ok(httparse::Status::Partial) | Err(_) => return Err(HeadError::Malformed),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HeadError::Malformed);
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(HeadError::TargetTooLong);
    }
    // `Uri` drops fragments silently; a fragment in a request target is not HTTP (RFC 9112 §3.2).
    if target.contains('#') {
        return Err(HeadError::Malformed);
    }
    let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let (headers, noted) = to_header_map(head, parsed.headers)?;
    let framing = noted.request_framing(version)?;
    if noted.hosts > 1 || (noted.hosts == 0 && version == Version::HTTP_11) {
        return Err(HeadError::Host);
    }
    let expects_continue = match noted.expectation {
        Expectation::None => false,
        Expectation::Continue => version == Version::HTTP_11,
        Expectation::Unknown => return Err(HeadError::Expect),
    };
    let mut request = http::Request::new(());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Malformed)?;
    *request.uri_mut() = Uri::from_maybe_shared(head.slice_ref(target.as_bytes())).map_err(|_| HeadError::Malformed)?;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    Ok(RequestHead { request, framing, keep_alive: noted.connection.keep_alive(version), expects_continue })
}

/// Parses a whole response head.
pub fn parse_response(head: &Bytes) -> Result<ResponseHead, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::FieldsTooLarge),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Ok(httparse::Status::Partial) | Err(_) => return Err(HeadError::Malformed),
    }
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else { return Err(HeadError::Malformed) };
    let version = if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let (headers, noted) = to_header_map(head, parsed.headers)?;
    let keep_alive = noted.connection.keep_alive(version);
    let mut response = http::Response::new(());
    *response.status_mut() = StatusCode::from_u16(code).map_err(|_| HeadError::Malformed)?;
    *response.version_mut() = version;
    *response.headers_mut() = headers;
    Ok(ResponseHead { response, keep_alive, noted })
}

/// What frames a message or concerns its connection, noted while its fields are read: looking fields up by name
/// afterwards costs more than the rest of parsing.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    /// `Transfer-Encoding` fields, and whether the first is `chunked` and nothing else.
    codings: u8,
    chunked: bool,
    /// `Content-Length` fields, and the first one's number.
    lengths: u8,
    length: Option<u64>,
    hosts: u8,
    expectation: Expectation,
    connection: ConnectionOptions,
    keep_alive_field: bool,
}

/// What the `Expect` field says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expectation {
    #[default]
    None,
    Continue,
    Unknown,
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

impl Noted {
    fn field(&mut self, name: &HeaderName, value: &[u8]) {
        // Comparing with a well-known name is comparing two bytes; [`FIELDS_MAX`] keeps the counts in theirs.
        if *name == TRANSFER_ENCODING {
            self.codings += 1;
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if *name == CONTENT_LENGTH {
            self.lengths += 1;
            self.length = length_of(value);
        } else if *name == HOST {
            self.hosts += 1;
        } else if *name == CONNECTION {
            self.connection.read(value);
        } else if *name == EXPECT && self.expectation != Expectation::Unknown {
            let is_continue = value.eq_ignore_ascii_case(b"100-continue");
            self.expectation = if is_continue { Expectation::Continue } else { Expectation::Unknown };
        } else if *name == KEEP_ALIVE {
            self.keep_alive_field = true;
        }
    }

    /// Whether the body is chunked, and the length that is announced; never both. Any coding but `chunked`, or that
    /// twice, is refused.
    fn framing(&self) -> Result<(bool, Option<u64>), HeadError> {
        match (self.codings, self.lengths) {
            (0, 0) => Ok((false, None)),
            (0, 1) => self.length.map(|length| (false, Some(length))).ok_or(HeadError::ContentLength),
            (0, _) => Err(HeadError::ContentLength),
            (1, 0) if self.chunked => Ok((true, None)),
            (_, 0) => Err(HeadError::TransferEncoding),
            // A length beside a coding is the graver fault, and the one to name.
            (..) => Err(HeadError::BothFramings),
        }
    }

    fn request_framing(&self, version: Version) -> Result<Framing, HeadError> {
        match self.framing()? {
            (true, _) if version == Version::HTTP_10 => Err(HeadError::TransferEncoding),
            (true, _) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// The one content length, digits only (RFC 9110 §8.6).
pub fn content_length(headers: &HeaderMap) -> Result<Option<u64>, HeadError> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeadError::ContentLength);
    }
    length_of(value.as_bytes()).map(Some).ok_or(HeadError::ContentLength)
}

fn length_of(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn to_header_map(head: &Bytes, fields: &[httparse::Header<'_>]) -> Result<(HeaderMap, Noted), HeadError> {
    // Room for what the gateway adds.
    let mut headers = HeaderMap::with_capacity(fields.len() + 6);
    let mut noted = Noted::default();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Malformed)?;
        if matches!(name, TRANSFER_ENCODING | CONTENT_LENGTH) && !is_plainly_written(head, field.value) {
            let framing = if name == CONTENT_LENGTH { HeadError::ContentLength } else { HeadError::TransferEncoding };
            return Err(framing);
        }
        noted.field(&name, field.value);
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(|_| HeadError::Malformed)?;
        headers.append(name, value);
    }
    Ok((headers, noted))
}

/// Whether a value follows its colon after at most one space, and the line ends right after it. Optional whitespace is
/// legal elsewhere; around what frames a message, parsers have disagreed about it too often.
fn is_plainly_written(head: &Bytes, value: &[u8]) -> bool {
    let start = (value.as_ptr() as usize).saturating_sub(head.as_ptr() as usize);
    let before = head.get(start.saturating_sub(2)..start).unwrap_or_default();
    let after = head.get(start + value.len()..).unwrap_or_default();
    (before.ends_with(b":") || before == b": ") && after.starts_with(b"\r\n")
}

/// The options of the `Connection` field that matter here.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionOptions {
    /// `close`.
    pub close: bool,
    /// `keep-alive`.
    pub keep_alive: bool,
    /// `upgrade`.
    pub upgrade: bool,
}

impl ConnectionOptions {
    /// Reads every `Connection` field.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut options = Self::default();
        headers.get_all(CONNECTION).iter().for_each(|value| options.read(value.as_bytes()));
        options
    }

    fn read(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn keep_alive(self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}

/// The protocol a message wants to change to, if `Connection: upgrade` nominates it.
pub fn upgrade_of(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(UPGRADE).filter(|_| ConnectionOptions::of(headers).upgrade)
}

/// Writes `METHOD target HTTP/1.1` and the fields, with the empty line.
pub fn write_request_head(out: &mut BytesMut, method: &Method, target: &str, headers: &HeaderMap, framing: Framing) {
    out.reserve(target.len() + 64 + headers.len() * 48);
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(out, headers);
    let body_expected = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    match framing {
        Framing::Length(0) if !body_expected => {}
        framing => write_framing(out, framing),
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the status line and the fields, without the empty line: the caller adds `connection` if it must.
pub fn write_response_head(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    out.reserve(64 + headers.len() * 48);
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    write_fields(out, headers);
}

/// Writes the field that announces a body's length.
pub fn write_framing(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::UntilClose => {}
    }
}

/// Writes fields, but for those that frame the message: the codec says these itself.
pub fn write_fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        if matches!(*name, CONTENT_LENGTH | TRANSFER_ENCODING) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Framing, HeadError>) {
        let mut scanner = HeadScanner::default();
        let parsed = scanner.find_end(text.as_bytes()).and_then(|end| {
            let end = end.ok_or(HeadError::Malformed)?;
            parse_request(&Bytes::copy_from_slice(text.as_bytes().get(..end).unwrap_or_default()))
        });
        assert_eq!(parsed.map(|head| head.framing), expected, "{text:?}");
    }

    #[test]
    fn framing_is_never_ambiguous() {
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Length(0)));
        check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", Ok(Framing::Length(5)));
        check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Ok(Framing::Chunked));
        for pair in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding: identity\r\nContent-Length: 5",
        ] {
            check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{pair}\r\n\r\n"), Err(HeadError::BothFramings));
        }
        for length in ["+5", "5,5", "0x5", "-1", "", "5 5", "99999999999999999999", "5\r\nContent-Length: 5"] {
            check(
                &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
                Err(HeadError::ContentLength),
            );
        }
        for coding in [
            "chunked, identity",
            "identity",
            "chunked\r\nTransfer-Encoding: chunked",
            "xchunked",
            "gzip, chunked",
            "chunked\t",
            " chunked",
            "\tchunked",
            "",
        ] {
            check(
                &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n"),
                Err(HeadError::TransferEncoding),
            );
        }
        check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(HeadError::TransferEncoding));
    }

    #[test]
    fn heads_that_smuggle_are_refused() {
        check("GET / HTTP/1.1\nHost: a\n\n", Err(HeadError::BareLineFeed));
        check("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", Err(HeadError::BareLineFeed));
        check("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(HeadError::Malformed));
        check("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", Err(HeadError::Malformed));
        check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(HeadError::Host));
        check("GET / HTTP/1.1\r\nX: a\r\n\r\n", Err(HeadError::Host));
        check("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Err(HeadError::Malformed));
        check("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Err(HeadError::Malformed));
        check("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadError::Malformed));
        check("GET / HTTP/3.0\r\nHost: a\r\n\r\n", Err(HeadError::Version));
        check("GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", Err(HeadError::Expect));
        check("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n", Err(HeadError::Expect));
    }

    #[test]
    fn sizes_are_bounded() {
        let long = "a".repeat(TARGET_BYTES_MAX);
        check(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), Err(HeadError::TargetTooLong));
        let huge = "a".repeat(HEAD_BYTES_MAX);
        check(&format!("GET /{huge}"), Err(HeadError::TargetTooLong));
        check(&format!("GET /{huge} HTTP/1.1\r\nHost: a\r\n\r\n"), Err(HeadError::TargetTooLong));
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {huge}"), Err(HeadError::FieldsTooLarge));
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {huge}\r\n\r\n"), Err(HeadError::FieldsTooLarge));
        let many = "X: y\r\n".repeat(FIELDS_MAX);
        check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), Err(HeadError::FieldsTooLarge));
    }

    #[test]
    fn the_end_is_found_however_bytes_arrive() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut scanner = HeadScanner::default();
        for n in 0..text.len() - 4 {
            assert_eq!(scanner.find_end(text.get(..n).unwrap_or_default()), Ok(None));
        }
        assert_eq!(scanner.find_end(text), Ok(Some(text.len() - 4)));
    }
}
