//! What of gRPC the edge must know: its content type, its deadline, its statuses.
//!
//! Messages are not decoded here; [`crate::model`] looks into the first field of a few of them.

use std::{fmt::Write as _, time::Duration};

use http::StatusCode;

use crate::refusal::Refusal;

/// The longest deadline that `grpc-timeout` may set; a longer one is cut to it. The header can say 99,999,999 hours.
pub const TIMEOUT_MAX: Duration = Duration::from_hours(24);

/// Longest `grpc-message` that is sent, in bytes before encoding. Clients bound their trailers at 8 KiB.
const MESSAGE_BYTES_MAX: usize = 1024;

/// gRPC's status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "named and explained by gRPC's own documentation")]
pub enum Status {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Status {
    /// What a client makes of an HTTP status that carries no gRPC status
    /// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
    pub fn from_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// The number, as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "0",
            Self::Cancelled => "1",
            Self::Unknown => "2",
            Self::InvalidArgument => "3",
            Self::DeadlineExceeded => "4",
            Self::NotFound => "5",
            Self::AlreadyExists => "6",
            Self::PermissionDenied => "7",
            Self::ResourceExhausted => "8",
            Self::FailedPrecondition => "9",
            Self::Aborted => "10",
            Self::OutOfRange => "11",
            Self::Unimplemented => "12",
            Self::Internal => "13",
            Self::Unavailable => "14",
            Self::DataLoss => "15",
            Self::Unauthenticated => "16",
        }
    }
}

/// Whether a `Content-Type` says gRPC: `application/grpc`, alone or followed by `+` or `;`. gRPC-Web is another thing.
pub fn is_grpc(content_type: &[u8]) -> bool {
    const NAME: &[u8] = b"application/grpc";
    content_type.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        && matches!(content_type.get(NAME.len()), None | Some(b'+' | b';' | b' ' | b'\t'))
}

/// The deadline of a `grpc-timeout` header: one to eight digits and a unit. Cut to [`TIMEOUT_MAX`].
pub fn timeout(value: &[u8]) -> Result<Duration, Refusal> {
    let refuse = || Refusal::malformed("invalid_grpc_timeout", "grpc-timeout is not one to eight digits and a unit");
    let (unit, digits) = value.split_last().ok_or_else(refuse)?;
    if digits.is_empty() || digits.len() > 8 {
        return Err(refuse());
    }
    let mut amount = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(refuse());
        }
        amount = amount * 10 + u64::from(digit - b'0');
    }
    let duration = match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return Err(refuse()),
    };
    Ok(duration.min(TIMEOUT_MAX))
}

/// A text as `grpc-message` carries it: printable ASCII but for `%`, the rest percent-encoded; cut at
/// [`MESSAGE_BYTES_MAX`].
pub fn encode_message(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len().min(MESSAGE_BYTES_MAX) + 8);
    for byte in text.bytes().take(MESSAGE_BYTES_MAX) {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The text that a `grpc-message` carries. A `%` that encodes nothing stands for itself.
pub fn decode_message(encoded: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        text.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn content_types_of_grpc_are_told_from_its_relatives() {
        for yes in ["application/grpc", "application/grpc+proto", "Application/gRPC+json", "application/grpc; a=b"] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in ["application/grpc-web", "application/grpc-web+proto", "application/grpcx", "application/grp", ""] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn timeouts_are_bounded_and_strict() {
        let check = |value: &str, expected: Option<Duration>| {
            assert_eq!(timeout(value.as_bytes()).ok(), expected, "{value:?}");
        };
        check("1H", Some(Duration::from_hours(1)));
        check("2M", Some(Duration::from_mins(2)));
        check("30S", Some(Duration::from_secs(30)));
        check("250m", Some(Duration::from_millis(250)));
        check("1u", Some(Duration::from_micros(1)));
        check("99999999n", Some(Duration::from_nanos(99_999_999)));
        check("0S", Some(Duration::ZERO));
        check("99999999H", Some(TIMEOUT_MAX));
        for bad in ["", "S", "1", "123456789S", "-1S", "+1S", " 1S", "1S ", "1.5S", "1s", "1h", "1ms", "１S", "0x1S"] {
            check(bad, None);
        }
    }

    #[test]
    fn statuses_follow_the_mapping() {
        let check = |http: u16, expected| {
            assert_eq!(Status::from_http(StatusCode::from_u16(http).unwrap()), expected, "{http}");
        };
        check(400, Status::Internal);
        check(401, Status::Unauthenticated);
        check(403, Status::PermissionDenied);
        check(404, Status::Unimplemented);
        for unavailable in [429, 502, 503, 504] {
            check(unavailable, Status::Unavailable);
        }
        for unknown in [200, 405, 418, 500, 501] {
            check(unknown, Status::Unknown);
        }
        for code in 0..=16_u8 {
            assert_eq!(format!("{code}").len(), if code < 10 { 1 } else { 2 });
        }
        assert_eq!(Status::Unauthenticated.as_str(), (Status::Unauthenticated as u8).to_string());
        assert_eq!(Status::Unimplemented.as_str(), (Status::Unimplemented as u8).to_string());
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(encode_message("no route matches"), "no route matches");
        assert_eq!(encode_message("100% é\r\n"), "100%25 %C3%A9%0D%0A");
        assert_eq!(encode_message(&"x".repeat(5000)).len(), MESSAGE_BYTES_MAX);
    }

    #[test]
    fn a_message_decodes_to_what_was_encoded() {
        for text in ["", "plain", "100 % größer\n", "%41"] {
            assert_eq!(decode_message(encode_message(text).as_bytes()), text.as_bytes());
        }
        for (encoded, text) in [("%41%6a", "Aj"), ("%", "%"), ("%4", "%4"), ("%+1", "%+1"), ("%%41", "%A")] {
            assert_eq!(decode_message(encoded.as_bytes()), text.as_bytes(), "{encoded}");
        }
    }
}
