//! Who may use a rule.

use std::{sync::Arc, time::Duration};

use http::HeaderName;

use super::{DocumentId, Location, ProviderId};
use crate::action::ActionSet;

/// Who may use a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Anyone, because this AccessPolicy says so in words.
    Anonymous {
        /// The AccessPolicy.
        policy: DocumentId,
        /// Where it says so.
        location: Location,
        /// What anyone may do.
        actions: ActionSet,
    },
    /// Callers that a provider knows.
    Guarded(Arc<Guard>),
}

/// What it takes to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The AccessPolicy.
    pub policy: DocumentId,
    /// Where it names the providers.
    pub location: Location,
    /// Those whose callers are taken, in order. Empty where none of those named exists: nobody comes in.
    pub providers: Vec<ProviderId>,
    /// Where it says that whoever is known may do everything that no role denies; `None`: a role must allow it.
    pub open_to_known: Option<Location>,
    /// What a backend is told of the caller.
    pub upstream: Upstream,
    /// The routes as an OAuth 2 resource.
    pub resource: Option<ProtectedResource>,
}

/// What a backend is told of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// Nothing; the caller's credential is dropped.
    Nothing,
    /// A JWT that the gateway signs.
    Jwt {
        /// Who it is for.
        audience: Arc<str>,
        /// How long it is good for.
        lifetime: Duration,
        /// The header that carries it; `authorization` carries it as `Bearer`.
        header: HeaderName,
    },
    /// Headers that name the caller.
    Headers {
        /// The caller's name.
        user: Option<HeaderName>,
        /// The groups, separated by commas.
        groups: Option<HeaderName>,
        /// The provider's name.
        provider: Option<HeaderName>,
    },
    /// The caller's own credential, because the document says so in words.
    Credential,
}

/// An OAuth 2 resource (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    /// Its URL as clients know it.
    pub url: Arc<str>,
    /// The path of `url`, `/` where it has none.
    pub path: Arc<str>,
    /// Scopes that clients may ask for.
    pub scopes: Vec<Arc<str>>,
}

impl Access {
    /// The AccessPolicy that says so.
    pub fn policy(&self) -> &DocumentId {
        match self {
            Self::Anonymous { policy, .. } => policy,
            Self::Guarded(guard) => &guard.policy,
        }
    }

    /// Where it says so.
    pub fn location(&self) -> &Location {
        match self {
            Self::Anonymous { location, .. } => location,
            Self::Guarded(guard) => &guard.location,
        }
    }
}
