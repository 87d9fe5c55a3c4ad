//! Who asks.

use std::{sync::Arc, time::SystemTime};

use serde_json::{Map, Value};

use crate::snapshot::DocumentId;

/// Who asks. An authenticator makes it, or [`Caller::anonymous`] where nobody was asked for a credential. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller(Option<Arc<Principal>>);

/// A caller who is known, and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// The provider that knows them. By its document, because an index means another one in the next snapshot.
    pub provider: Arc<DocumentId>,
    /// How.
    pub method: Method,
    /// A person or program, or a workload.
    pub kind: PrincipalKind,
    /// What roles know them by: the user's name, or a SPIFFE ID.
    pub name: Arc<str>,
    /// What never changes when the name does: `sub`, `objectSid`, `entryUUID`, the id of an API key.
    pub stable_id: Option<Arc<str>>,
    /// Their groups, and the provider that says so.
    pub groups: Vec<Group>,
    /// The scopes of the credential.
    pub scopes: Vec<Arc<str>>,
    /// The claims of the credential; empty where it has none.
    pub claims: Map<String, Value>,
    /// When the credential ceases to be good, if it says.
    pub expires: Option<SystemTime>,
}

/// A group, and the provider that says that the caller is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Who says so.
    pub provider: Arc<DocumentId>,
    /// Its name.
    pub name: Arc<str>,
}

/// How a caller was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A signed credential of an issuer.
    Jwt,
    /// An opaque credential that its issuer vouched for.
    Introspection,
    /// Name and password, to a directory.
    Password,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
    /// Nobody was asked: a test or an explanation says so.
    Supposed,
}

impl Method {
    /// A word for logs and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Introspection => "introspection",
            Self::Password => "password",
            Self::ApiKey => "api-key",
            Self::Certificate => "certificate",
            Self::Supposed => "supposed",
        }
    }
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person, or a program that goes by a name.
    User,
    /// A workload, by its SPIFFE ID.
    Workload,
}

impl Caller {
    /// A caller who has shown nothing.
    pub const fn anonymous() -> Self {
        Self(None)
    }

    /// A caller whom a provider knows.
    pub fn known(principal: Principal) -> Self {
        Self(Some(Arc::new(principal)))
    }

    /// Whether both are one and the same: not another one who is like them.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(this), Some(other)) => Arc::ptr_eq(this, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Who it is; `None`: nobody was asked.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.as_deref()
    }
}
