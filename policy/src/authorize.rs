//! Only this module mints a [`Permit`]: nothing is forwarded without one.

use crate::snapshot::Access;

/// Who asks. Made by an authenticator, or [`Caller::anonymous`] where nobody was asked for a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Anonymous,
}

impl Caller {
    /// A caller who has shown nothing.
    pub fn anonymous() -> Self {
        Self(Kind::Anonymous)
    }
}

/// Proof that a rule admits a caller. Cannot be made elsewhere.
#[derive(Debug)]
pub struct Permit<'r> {
    access: &'r Access,
}

impl Permit<'_> {
    /// The document that permits.
    pub fn access(&self) -> &Access {
        self.access
    }
}

/// Why a rule does not admit a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The rule asks who it is, and nobody has said.
    #[error("authentication required")]
    Unauthenticated,
}

/// Whether `access` admits `caller`. Closed: what is not allowed in words is denied.
pub fn authorize<'r>(access: &'r Access, caller: &Caller) -> Result<Permit<'r>, Denial> {
    match (access, &caller.0) {
        (Access::Anonymous { .. }, Kind::Anonymous) => Ok(Permit { access }),
        (Access::Providers { .. }, Kind::Anonymous) => Err(Denial::Unauthenticated),
    }
}
