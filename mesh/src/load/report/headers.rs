//! Reports in headers and trailers: which field holds one, and in which encoding.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{LoadReport, REPORT_BYTES_MAX, Rejection};

/// The report of an HTTP answer: `TEXT …`, `JSON …` or `BIN …`.
pub const HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics");
/// The report in a gRPC answer's trailers, in base64.
pub const BINARY_HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");
/// The report in JSON, as Envoy once read it.
pub const JSON_HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics-json");
/// In a request: a report is wanted, in this format.
pub const FORMAT_HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics-format");

/// Padded when written, because Envoy reads nothing else; either way when read, as gRPC demands.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An encoding of a report in [`HEADER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pairs of names and values.
    Text,
    /// JSON.
    Json,
    /// The message in base64.
    Binary,
}

impl Format {
    /// What a request asks for, if it asks for a report in an encoding that there is.
    pub fn asked(request: &HeaderMap) -> Option<Self> {
        Self::named(request.get(FORMAT_HEADER)?.to_str().ok()?.trim())
    }

    fn named(name: &str) -> Option<Self> {
        let names = [("text", Self::Text), ("json", Self::Json), ("bin", Self::Binary)];
        names.into_iter().find_map(|(known, format)| known.eq_ignore_ascii_case(name).then_some(format))
    }
}

impl LoadReport {
    /// Reads the report of an answer's headers or trailers; `None` if there is none.
    pub fn from_headers(headers: &HeaderMap) -> Option<Result<Self, Rejection>> {
        let fields = [HEADER, BINARY_HEADER, JSON_HEADER];
        let mut reports =
            fields.iter().flat_map(|field| headers.get_all(field).iter().map(move |value| (field, value)));
        let (field, value) = reports.next()?;
        if reports.next().is_some() {
            return Some(Err(Rejection::Several));
        }
        Some(Self::from_field(field, value))
    }

    fn from_field(field: &HeaderName, value: &HeaderValue) -> Result<Self, Rejection> {
        if value.len() > REPORT_BYTES_MAX {
            return Err(Rejection::TooLong);
        }
        let value = value.to_str().map_err(|_| Rejection::Malformed)?.trim();
        if *field == BINARY_HEADER {
            Self::from_base64(value)
        } else if *field == JSON_HEADER {
            Self::from_json(value)
        } else {
            Self::from_value(value)
        }
    }

    /// Reads a value of [`HEADER`]. Some servers leave the encoding out.
    pub fn from_value(value: &str) -> Result<Self, Rejection> {
        if value.len() > REPORT_BYTES_MAX {
            return Err(Rejection::TooLong);
        }
        let value = value.trim();
        let (word, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        match Format::named(word) {
            Some(Format::Text) => Self::from_text(rest.trim_start()),
            Some(Format::Json) => Self::from_json(rest),
            Some(Format::Binary) => Self::from_base64(rest.trim_start()),
            None if value.is_empty() => Err(Rejection::Empty),
            None if value.starts_with('{') => Self::from_json(value),
            None if word.contains(['=', ':', ',']) => Self::from_text(value),
            None => Err(Rejection::UnknownEncoding),
        }
    }

    fn from_base64(text: &str) -> Result<Self, Rejection> {
        if text.is_empty() {
            return Err(Rejection::Empty);
        }
        Self::from_binary(&BASE64.decode(text).map_err(|_| Rejection::Malformed)?)
    }

    /// The value of [`HEADER`] in this encoding; `None` where nothing is known that could be told.
    pub fn to_value(&self, format: Format) -> Option<HeaderValue> {
        let text = match format {
            _ if self.keys() == 0 => return None,
            Format::Text => match self.to_text() {
                text if text.is_empty() => return None,
                text => format!("TEXT {text}"),
            },
            Format::Json => format!("JSON {}", self.to_json()),
            Format::Binary => format!("BIN {}", self.to_base64()?),
        };
        HeaderValue::try_from(text).ok()
    }

    /// The value of [`BINARY_HEADER`].
    pub fn to_trailer(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_base64()?).ok()
    }

    /// `None` for a message that is empty, as one is that says nothing but zeros.
    fn to_base64(&self) -> Option<String> {
        let message = self.to_binary();
        (!message.is_empty()).then(|| BASE64.encode(message))
    }
}
