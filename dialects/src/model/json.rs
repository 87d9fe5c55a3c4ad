//! The model in a JSON body (OpenAI, Anthropic, and all who copied them).
//!
//! One pass, no recursion, no tree, no copy: the cursor is [`Scanner`], which is strict (RFC 8259): what any parser at a
//! backend might read otherwise is refused. Of the members of the top-level object only `model` and `stream` are looked
//! at, however their keys are escaped, and each may be there once. A key that is `model` but for case is refused, because
//! parsers that ignore case (Go's) would take its value.

use std::borrow::Cow;

use portcullis_policy::guard::lanes::json::{DEPTH_MAX, Fault, Quoted, Reason, Scanner};

use super::{check_name, duplicate, invalid_name};
use crate::refusal::Refusal;

/// No key we look for is longer, even if each of its characters is escaped (`\u0065`).
const ESCAPED_KEY_BYTES_MAX: usize = 6 * "stream".len();

/// What a JSON body says at its top level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt<'b> {
    /// `model`.
    pub model: Option<Cow<'b, str>>,
    /// `stream`; `None` where it is missing or null.
    pub stream: Option<bool>,
}

/// Reads a whole JSON body. A body that is valid and no object names no model.
pub fn from_json(body: &[u8]) -> Result<Prompt<'_>, Refusal> {
    let mut scanner = Scanner::new(body).map_err(|fault| invalid(fault, body))?;
    let mut members = Members { body, scanner: &mut scanner };
    let prompt = if members.scanner.token() == Some(b'{') {
        members.top_level()?
    } else {
        members.skip()?;
        Prompt::default()
    };
    scanner.end().map_err(|fault| invalid(fault, body))?;
    Ok(prompt)
}

/// What is wrong, for the caller.
#[cold]
fn invalid(fault: Fault, body: &[u8]) -> Refusal {
    if fault.reason == Reason::TooDeep {
        let message = format!("the request body is nested deeper than {DEPTH_MAX} levels");
        return Refusal::malformed("json_too_deep", message).detail(format!("at byte {}", fault.at));
    }
    let found = if fault.at >= body.len() { ", found the end" } else { "" };
    let message = match fault.reason {
        Reason::Expected(what) => format!("expected {what}{found} at byte {}", fault.at),
        _ => fault.to_string(),
    };
    Refusal::malformed("invalid_json", format!("the request body is not valid JSON: {message}"))
}

/// The members of the top-level object.
struct Members<'s, 'b> {
    body: &'b [u8],
    scanner: &'s mut Scanner<'b>,
}

impl<'b> Members<'_, 'b> {
    fn top_level(&mut self) -> Result<Prompt<'b>, Refusal> {
        let mut prompt = Prompt::default();
        let mut has_stream = false;
        self.scanner.advance();
        if self.scanner.token() == Some(b'}') {
            self.scanner.advance();
            return Ok(prompt);
        }
        loop {
            match self.key()? {
                Key::Model if prompt.model.is_some() => return Err(duplicate()),
                Key::Model => prompt.model = Some(self.model()?),
                Key::Stream if has_stream => {
                    return Err(Refusal::malformed("duplicate_stream", "the request body has `stream` twice"));
                }
                Key::Stream => {
                    has_stream = true;
                    prompt.stream = self.stream()?;
                }
                Key::Other => self.skip()?,
            }
            match self.scanner.token() {
                Some(b',') => self.scanner.advance(),
                Some(b'}') => break,
                _ => return Err(invalid(self.scanner.expected("`,` or `}`"), self.body)),
            }
        }
        self.scanner.advance();
        Ok(prompt)
    }

    fn model(&mut self) -> Result<Cow<'b, str>, Refusal> {
        if self.scanner.token() != Some(b'"') {
            return Err(invalid_name());
        }
        let name = self.scanner.string().map_err(|fault| invalid(fault, self.body))?;
        // The longest escape is six bytes for one.
        if name.raw.len() > 6 * super::NAME_BYTES_MAX {
            return Err(invalid_name());
        }
        check_name(name.text().map_err(|_| invalid_name())?)
    }

    fn stream(&mut self) -> Result<Option<bool>, Refusal> {
        let value = match self.scanner.token() {
            Some(b't') => Some(true),
            Some(b'f') => Some(false),
            Some(b'n') => None,
            _ => return Err(Refusal::malformed("invalid_stream", "`stream` must be true or false")),
        };
        self.skip()?;
        Ok(value)
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Key, Refusal> {
        let key = self.scanner.key().map_err(|fault| invalid(fault, self.body))?;
        Key::of(key)
    }

    /// One value with all that is in it.
    fn skip(&mut self) -> Result<(), Refusal> {
        self.scanner.skip_value().map_err(|fault| invalid(fault, self.body))
    }
}

/// What a key of the top-level object means to us.
enum Key {
    Model,
    Stream,
    Other,
}

impl Key {
    fn of(key: Quoted<'_>) -> Result<Self, Refusal> {
        if !key.is_escaped {
            return Self::named(key.raw);
        }
        if key.raw.len() > ESCAPED_KEY_BYTES_MAX {
            return Ok(Self::Other);
        }
        key.text().map_or(Ok(Self::Other), |key| Self::named(&key))
    }

    fn named(key: &str) -> Result<Self, Refusal> {
        match key {
            "model" => Ok(Self::Model),
            "stream" => Ok(Self::Stream),
            _ if key.eq_ignore_ascii_case("model") => {
                Err(Refusal::malformed(super::CASE, "the request body has a key that is `model` but for case"))
            }
            _ => Ok(Self::Other),
        }
    }
}
