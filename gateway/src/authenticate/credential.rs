//! The one credential of a request: where it stands, and what kind it is.
//!
//! Two credentials at once are refused, because whoever reads the other one may see another caller. Credentials in a URL
//! are refused, because URLs are written down everywhere (RFC 6750 §5.3, RFC 9700 §2.1).

use std::{borrow::Cow, fmt};

/// A credential in a request's headers. No `Debug` of what it holds.
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
