//! Why a directory gave no answer, and what an answer of "no" means.

use super::{ber::Malformed, messages::FilterError};

/// Result codes of RFC 4511, appendix A, that mean something here.
pub(super) mod code {
    pub(in super::super) const SUCCESS: u32 = 0;
    pub(in super::super) const OPERATIONS_ERROR: u32 = 1;
    pub(in super::super) const TIME_LIMIT_EXCEEDED: u32 = 3;
    pub(in super::super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(in super::super) const CONSTRAINT_VIOLATION: u32 = 19;
    pub(in super::super) const NO_SUCH_OBJECT: u32 = 32;
    pub(in super::super) const INVALID_DN_SYNTAX: u32 = 34;
    pub(in super::super) const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub(in super::super) const INVALID_CREDENTIALS: u32 = 49;
    pub(in super::super) const BUSY: u32 = 51;
    pub(in super::super) const UNAVAILABLE: u32 = 52;
    pub(in super::super) const UNWILLING_TO_PERFORM: u32 = 53;
}

/// Why there is no answer. Never "no groups": whoever asked hears 503, or what was answered before.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no server can be asked: {0}")]
    NoServer(String),
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    #[error("StartTLS was refused (result code {0})")]
    StartTls(u32),
    #[error("the gateway's own bind was refused (result code {code}): {text}")]
    Account { code: u32, text: String },
    #[error("connection: {0}")]
    Connection(std::io::Error),
    #[error("no answer in time")]
    Timeout,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("result code {code}: {text}")]
    Code { code: u32, text: String },
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("{0}")]
    Unfit(String),
}

impl Failure {
    /// Whether another server may do better, and this connection is not to be used again.
    pub(super) fn is_of_server(&self) -> bool {
        match self {
            Self::NoServer(_) | Self::TooMany(..) | Self::Filter(_) | Self::Unfit(_) => false,
            Self::Connect(_)
            | Self::Tls(_)
            | Self::StartTls(_)
            | Self::Account { .. }
            | Self::Connection(_)
            | Self::Timeout
            | Self::Malformed(_) => true,
            // A server that has forgotten our bind says 1; the others say of themselves that they cannot.
            Self::Code { code, .. } => {
                matches!(*code, code::OPERATIONS_ERROR | code::TIME_LIMIT_EXCEEDED | code::BUSY | code::UNAVAILABLE)
            }
        }
    }

    /// Whether the connection broke, as one does that the server closed while it lay idle.
    pub(super) const fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Connection(_))
    }

    /// A word for logs and metrics.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::NoServer(_) => "no_server",
            Self::Connect(_) => "connect",
            Self::Tls(_) | Self::StartTls(_) => "tls",
            Self::Account { .. } => "service_account",
            Self::Connection(_) => "connection",
            Self::Timeout => "timeout",
            Self::Malformed(_) => "malformed",
            Self::Code { code: code::BUSY | code::UNAVAILABLE, .. } => "busy",
            Self::Code { .. } => "refused",
            Self::TooMany(..) => "too_many",
            Self::Filter(_) | Self::Unfit(_) => "unfit",
        }
    }
}

/// The word for why a bind was not taken, if that says something of the person; else the server could not judge.
pub(super) fn bind_word(code: u32, text: &str) -> Option<&'static str> {
    match code {
        code::INVALID_CREDENTIALS => Some(active_directory_word(text).unwrap_or("wrong_password")),
        // Locked by 389 Directory Server; an account without a password; a name that is none here.
        code::CONSTRAINT_VIOLATION | code::UNWILLING_TO_PERFORM => Some("account_closed"),
        code::INAPPROPRIATE_AUTHENTICATION => Some("no_password"),
        code::NO_SUCH_OBJECT | code::INVALID_DN_SYNTAX => Some("unknown_user"),
        _ => None,
    }
}

/// What Active Directory adds to "invalid credentials": `…, data 52e, v1db1`, a Windows error code in hexadecimal.
fn active_directory_word(text: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once("data ")?;
    match rest.split([',', ' ', '\0']).next()? {
        "525" => Some("unknown_user"),
        "52e" | "52E" => Some("wrong_password"),
        "530" | "531" => Some("not_now_or_here"),
        "532" => Some("password_expired"),
        "533" => Some("account_disabled"),
        "701" => Some("account_expired"),
        "773" => Some("password_must_change"),
        "775" => Some("account_locked"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_codes_of_active_directory_become_words() {
        let check = |sub_code: &str, word: &str| {
            let text = format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {sub_code}, v1db1"
            );
            assert_eq!(bind_word(code::INVALID_CREDENTIALS, &text), Some(word));
        };
        check("52e", "wrong_password");
        check("533", "account_disabled");
        check("701", "account_expired");
        check("773", "password_must_change");
        check("775", "account_locked");
        check("999", "wrong_password");
        assert_eq!(bind_word(code::INVALID_CREDENTIALS, ""), Some("wrong_password"));
        assert_eq!(bind_word(code::BUSY, ""), None);
        assert_eq!(bind_word(code::SUCCESS, ""), None);
    }
}
