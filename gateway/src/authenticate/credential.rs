//! The one credential of a request: where it stands, and what kind it is.
//!
//! Two credentials at once are refused, because whoever reads the other one may see another caller. Credentials in a URL
//! are refused, because URLs are written down everywhere (RFC 6750 §5.3, RFC 9700 §2.1).

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION};

use super::Rejection;
use crate::refusal::{Fault, Refusal};

/// The longest credential, in bytes; what is longer is refused before anybody looks at it.
pub const CREDENTIAL_BYTES_MAX: usize = 16 * 1024;
/// The longest name that a person logs in with, in bytes.
pub const USERNAME_BYTES_MAX: usize = 256;

/// Anthropic's SDKs.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Azure OpenAI's SDKs.
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// Proofs of possession (RFC 9449 §4).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Query parameters in which credentials are sent, lower case without `-` and `_`.
const IN_QUERY: [&str; 4] = ["accesstoken", "apikey", "xapikey", "bearertoken"];

/// A credential in a request's headers. No `Debug` of what it holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential<'r> {
    /// `Authorization: Bearer …`: a JWT, an opaque credential of an issuer, or an API key.
    Bearer(&'r str),
    /// `Authorization: DPoP …`, and the proof (RFC 9449). More than one `DPoP` header is refused before this.
    Dpop {
        /// The access credential.
        access: &'r str,
        /// The one `DPoP` header; `None`: there is none.
        proof: Option<&'r str>,
    },
    /// `Authorization: Basic …`, over TLS only.
    Basic {
        /// The name. Not empty, no control characters.
        username: Cow<'r, str>,
        /// The password. Not empty, no NUL.
        password: Cow<'r, str>,
    },
    /// `x-api-key`, or `api-key`: an API key.
    ApiKey(&'r str),
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer [secret]",
            Self::Dpop { .. } => "DPoP [secret]",
            Self::Basic { .. } => "Basic [secret]",
            Self::ApiKey(_) => "ApiKey [secret]",
        })
    }
}

impl Credential<'_> {
    /// The secret itself, that which whoever holds it may use, if it is one piece.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Bearer(secret) | Self::ApiKey(secret) | Self::Dpop { access: secret, .. } => Some(secret),
            Self::Basic { .. } => None,
        }
    }
}

/// Why the credential of a request cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The request itself is refused.
    Refusal(Refusal),
    /// There is something that is no credential; the client is told what every wrong credential is told.
    Rejection(Rejection),
}

impl From<Refusal> for Unfit {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// Finds the credential that a request shows, if it shows one. `is_tls`: nobody else has read it on the way.
pub fn find<'r>(headers: &'r HeaderMap, query: Option<&str>, is_tls: bool) -> Result<Option<Credential<'r>>, Unfit> {
    if query.is_some_and(is_in_query) {
        let message = "send the credential in a header: URLs are written down on the way";
        return Err(Refusal::malformed("credential_in_url", message).into());
    }
    let headers_with_one = [AUTHORIZATION, X_API_KEY, API_KEY].map(|name| headers.get_all(name));
    let mut shown = headers_with_one.iter().flat_map(http::header::GetAll::iter);
    let (first, second) = (shown.next(), shown.next());
    if second.is_some() || headers.get_all(DPOP).iter().nth(1).is_some() {
        let message = "the request shows more than one credential; send one";
        return Err(Refusal::malformed("several_credentials", message).into());
    }
    let Some(value) = first else {
        // A proof of nothing.
        return if headers.contains_key(DPOP) { Err(invalid("proof_without_credential")) } else { Ok(None) };
    };
    let text = text(value)?;
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(Some(Credential::ApiKey(text)));
    }
    let (scheme, rest) = text.split_once(' ').ok_or_else(|| invalid("malformed"))?;
    let rest = rest.trim_matches(' ');
    if rest.is_empty() {
        return Err(invalid("malformed"));
    }
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    match () {
        () if is("bearer") && headers.contains_key(DPOP) => Err(invalid("proof_without_dpop")),
        () if is("bearer") => Ok(Some(Credential::Bearer(rest))),
        () if is("dpop") => {
            let proof = headers.get(DPOP).map(self::text).transpose()?;
            Ok(Some(Credential::Dpop { access: rest, proof }))
        }
        () if is("basic") && !is_tls => {
            let message = "a password is taken over TLS only; it should be changed now";
            Err(Refusal::malformed("credential_in_clear", message).into())
        }
        () if is("basic") => basic(rest).map(Some),
        () => Err(invalid("unknown_scheme")),
    }
}

fn invalid(word: &'static str) -> Unfit {
    Unfit::Rejection(Rejection::Invalid(word))
}

/// Visible ASCII within the bound: all that a credential is made of.
fn text(value: &HeaderValue) -> Result<&str, Unfit> {
    if value.len() > CREDENTIAL_BYTES_MAX {
        let message = format!("the credential is longer than {CREDENTIAL_BYTES_MAX} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Refusal::new(Fault::Caller, status, "credential_too_large", message).into());
    }
    let text = value.to_str().map_err(|_| invalid("malformed"))?;
    if text.is_empty() { Err(invalid("malformed")) } else { Ok(text) }
}

/// RFC 7617, in UTF-8. A name without a password is refused here: to many directories it would be a login as nobody,
/// which succeeds.
fn basic(encoded: &str) -> Result<Credential<'static>, Unfit> {
    let bytes = STANDARD.decode(encoded).map_err(|_| invalid("malformed"))?;
    let pair = String::from_utf8(bytes).map_err(|_| invalid("malformed"))?;
    let (username, password) = pair.split_once(':').ok_or_else(|| invalid("malformed"))?;
    if username.is_empty() || username.len() > USERNAME_BYTES_MAX || username.chars().any(char::is_control) {
        return Err(invalid("malformed_username"));
    }
    if password.is_empty() || password.contains('\0') {
        return Err(invalid("empty_password"));
    }
    Ok(Credential::Basic { username: username.to_owned().into(), password: password.to_owned().into() })
}

/// Whether a query names a credential, however it is spelt.
fn is_in_query(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        // Longer names are others; escapes spell names that servers decode.
        name.len() <= 3 * 16 && {
            let plain: String = percent_decoded(name)
                .filter(|byte| !matches!(byte, b'-' | b'_' | b'.'))
                .map(|byte| char::from(byte.to_ascii_lowercase()))
                .collect();
            IN_QUERY.contains(&plain.as_str())
        }
    })
}

fn percent_decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(byte);
        }
        let mut digits = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(digits.next()), digit(digits.next())) {
            (Some(high), Some(low)) => {
                bytes = digits;
                Some((high << 4 | low) as u8)
            }
            _ => Some(byte),
        }
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn code(fields: &[(&'static str, &str)], query: Option<&str>, is_tls: bool) -> String {
        match find(&headers(fields), query, is_tls) {
            Ok(found) => format!("{found:?}"),
            Err(Unfit::Refusal(refusal)) => refusal.code.to_owned(),
            Err(Unfit::Rejection(Rejection::Invalid(word))) => word.to_owned(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_kind_is_found_where_it_stands() {
        let found = |fields: &[(&'static str, &str)]| code(fields, Some("model=x&key=v"), true);
        assert_eq!(found(&[]), "None");
        assert_eq!(found(&[("authorization", "Bearer abc")]), "Some(Bearer [secret])");
        assert_eq!(found(&[("authorization", "bEARER  abc ")]), "Some(Bearer [secret])");
        assert_eq!(found(&[("authorization", "DPoP abc"), ("dpop", "x.y.z")]), "Some(DPoP [secret])");
        assert_eq!(found(&[("authorization", "Basic YWxpY2U6cHc=")]), "Some(Basic [secret])");
        assert_eq!(found(&[("x-api-key", "k")]), "Some(ApiKey [secret])");
        assert_eq!(found(&[("api-key", "k")]), "Some(ApiKey [secret])");
    }

    #[test]
    fn two_credentials_are_refused() {
        for fields in [
            [("authorization", "Bearer a"), ("authorization", "Bearer a")],
            [("authorization", "Bearer a"), ("x-api-key", "k")],
            [("authorization", "Bearer a"), ("authorization", "Basic YWxpY2U6cHc=")],
            [("x-api-key", "k"), ("api-key", "k")],
            [("dpop", "a"), ("dpop", "b")],
        ] {
            assert_eq!(code(&fields, None, true), "several_credentials", "{fields:?}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_refused_however_they_are_spelt() {
        for query in ["access_token=x", "a=b&Access-Token=x", "api_key=x", "apikey", "api%5Fkey=x", "x-api-key=1"] {
            assert_eq!(code(&[], Some(query), true), "credential_in_url", "{query}");
        }
        for query in ["key=x", "token_count=1", "accesstokens=1", "%", "%zz=1", ""] {
            assert_eq!(code(&[], Some(query), true), "None", "{query}");
        }
    }

    #[test]
    fn passwords_that_are_none_and_passwords_in_the_clear_are_refused() {
        let basic =
            |pair: &str, is_tls| code(&[("authorization", &format!("Basic {}", STANDARD.encode(pair)))], None, is_tls);
        assert_eq!(basic("alice:pw", false), "credential_in_clear");
        assert_eq!(basic("alice:", true), "empty_password");
        assert_eq!(basic("alice:\0", true), "empty_password");
        assert_eq!(basic("alice:p\0w", true), "empty_password");
        assert_eq!(basic(":pw", true), "malformed_username");
        assert_eq!(basic("a\nb:pw", true), "malformed_username");
        assert_eq!(basic(&format!("{}:pw", "a".repeat(USERNAME_BYTES_MAX)), true), "Some(Basic [secret])");
        assert_eq!(basic(&format!("{}:pw", "a".repeat(USERNAME_BYTES_MAX + 1)), true), "malformed_username");
        assert_eq!(basic("alice", true), "malformed");
        assert_eq!(code(&[("authorization", "Basic ===")], None, true), "malformed");
        assert_eq!(code(&[("authorization", "Basic /w==")], None, true), "malformed");
    }

    #[test]
    fn what_is_no_credential_is_rejected() {
        assert_eq!(code(&[("authorization", "Bearer")], None, true), "malformed");
        assert_eq!(code(&[("authorization", "Bearer ")], None, true), "malformed");
        assert_eq!(code(&[("authorization", "")], None, true), "malformed");
        assert_eq!(code(&[("authorization", "Digest x")], None, true), "unknown_scheme");
        assert_eq!(code(&[("dpop", "x.y.z")], None, true), "proof_without_credential");
        assert_eq!(code(&[("authorization", "Bearer a"), ("dpop", "x.y.z")], None, true), "proof_without_dpop");
    }

    #[test]
    fn a_credential_beyond_the_bound_is_refused_unread() {
        let of = |length: usize| code(&[("x-api-key", &"k".repeat(length))], None, true);
        assert_eq!(of(CREDENTIAL_BYTES_MAX), "Some(ApiKey [secret])");
        assert_eq!(of(CREDENTIAL_BYTES_MAX + 1), "credential_too_large");
    }
}
