//! What a body is by its headers, the same of requests and of answers.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use portcullis_policy::guard::lanes::{
    plain::{is_in_utf8, is_text},
    shape::Shape,
};

use super::content::Kind;

/// How long the JSON is that stands before tensors (KServe v2 over HTTP).
pub(super) const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What a body is.
#[derive(Debug)]
pub(super) enum Media {
    /// A document, which is read whole.
    Document(Kind),
    /// Server-sent events.
    Events,
    /// One text.
    Text,
    /// `multipart/form-data`.
    Multipart,
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// Nobody says.
    Unsaid,
    /// Nothing that can be read: another type, several types, an encoding of bytes or of characters.
    Other,
}

impl Media {
    /// What these headers say.
    pub(super) fn of(headers: &HeaderMap, shape: Shape) -> Self {
        let readable = |content_type: &&[u8]| is_in_utf8(content_type) && !is_encoded(headers);
        let Some(content_type) = content_type(headers).filter(readable) else { return Self::Other };
        if headers.contains_key(HEADER_LENGTH) {
            return header_length(headers).map_or(Self::Other, |length| Self::Document(Kind::Binary(shape, length)));
        }
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match essence.to_ascii_lowercase().as_slice() {
            b"" if content_type.is_empty() => Self::Unsaid,
            b"application/json" | b"text/json" => Self::Document(Kind::Json(shape)),
            essence if essence.ends_with(b"+json") => Self::Document(Kind::Json(shape)),
            b"text/event-stream" => Self::Events,
            b"multipart/form-data" => Self::Multipart,
            b"application/x-www-form-urlencoded" => Self::Urlencoded,
            _ if is_text(content_type) => Self::Text,
            _ => Self::Other,
        }
    }
}

/// The content type; empty if there is none. `None`: there are several, and whoever reads the other reads something else.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let first = values.next().unwrap_or_default();
    values.next().is_none().then_some(first)
}

/// Whether a body is other than as it is read.
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
    codings.any(|coding| !coding.is_empty() && !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// The value of [`HEADER_LENGTH`], if there is exactly one that is a number.
fn header_length(headers: &HeaderMap) -> Option<usize> {
    let mut values = headers.get_all(HEADER_LENGTH).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use portcullis_policy::guard::lanes::shape::Api;

    use super::*;

    fn media(headers: &[(&'static str, &'static str)]) -> Media {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Media::of(&map, Shape::request(Api::Chat))
    }

    #[test]
    fn one_type_says_what_a_body_is_and_two_say_nothing() {
        assert!(matches!(
            media(&[("content-type", "Application/JSON; charset=utf-8")]),
            Media::Document(Kind::Json(_))
        ));
        assert!(matches!(media(&[("content-type", "application/problem+json")]), Media::Document(Kind::Json(_))));
        assert!(matches!(media(&[("content-type", "text/event-stream")]), Media::Events));
        assert!(matches!(media(&[("content-type", "text/plain")]), Media::Text));
        assert!(matches!(media(&[]), Media::Unsaid));
        for headers in [
            &[("content-type", "text/plain"), ("content-type", "text/event-stream")][..],
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            &[("content-type", "application/json; charset=utf-7")],
            &[("content-type", "text/event-stream; charset=utf-16")],
            &[("content-type", "image/png")],
            &[("content-type", ";")],
            &[("inference-header-content-length", "x")],
        ] {
            assert!(matches!(media(headers), Media::Other), "{headers:?}");
        }
        let binary = [("content-type", "application/octet-stream"), ("inference-header-content-length", "9")];
        assert!(matches!(media(&binary), Media::Document(Kind::Binary(_, 9))));
    }
}
