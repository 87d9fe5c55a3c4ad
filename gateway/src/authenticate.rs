//! Authentication: who asks, shown by a credential that a provider of the route vouches for.
//!
//! A request shows at most one credential ([`credential`]); the route's AccessPolicy says which providers it may be shown
//! to ([`providers`]); what a provider says is a [`Caller`] or a [`Rejection`], and may be remembered for a while
//! ([`remembered`]). The reason of a rejection is for logs and metrics: the client hears one uniform 401.

pub mod api_keys;
pub mod bound;
pub mod certificates;
pub mod challenge;
pub mod credential;
pub mod directory;
pub mod dpop;
pub mod failures;
pub mod introspection;
pub mod json;
pub mod oidc;
pub mod providers;
pub mod remembered;

use std::{
    borrow::Cow,
    cell::RefCell,
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use http::Method;
use portcullis_mesh::tls::PeerCertificate;
use portcullis_policy::{
    authorize::Caller,
    roles::{Roles, Standing},
    snapshot::{Access, Guard, ProviderId, Scheme},
};
use smallvec::SmallVec;

use self::{
    challenge::Cause,
    credential::{Credential, Unfit},
    introspection::Held,
    remembered::Fingerprint,
};
use crate::{
    canonical::Canonical,
    connection::Connection,
    live::Live,
    receive::{Line, Request},
    refusal::Refusal,
    route::Candidates,
};

/// What a request shows of who sends it, and what a proof may be bound to.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'r> {
    /// The credential in its headers, if there is one.
    pub credential: Option<&'r Credential<'r>>,
    /// The certificate of its connection.
    pub certificate: &'r PeerCertificate,
    /// Its method, for proofs of possession.
    pub method: &'r Method,
    /// Where it goes, as the client sees it, for proofs of possession.
    pub target: ShownTarget<'r>,
    /// Where it comes from.
    pub source: IpAddr,
    /// When.
    pub now: SystemTime,
}

/// A URL without its query, in parts: nobody puts it together unless a proof is bound to it.
#[derive(Debug, Clone, Copy)]
pub struct ShownTarget<'r> {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host, with its port if one was sent.
    pub authority: &'r str,
    /// The path, as it was sent.
    pub path: &'r str,
}

impl ShownTarget<'_> {
    /// `https://llm.corp.example/v1/models`
    pub fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

/// A caller, and how long what a provider said of them may be remembered.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who it is.
    pub caller: Caller,
    /// Within this time the same credential need not be judged again; zero where it must be each time, as whatever is
    /// bound to a key or to a certificate must ([`bound::Possession`]).
    pub fresh: Duration,
    /// The credential says that it does not hold all groups of its caller. They are those that a directory says, and without
    /// an answer of the directory the caller is refused ([`Rejection::groups_overage`]).
    pub lacks_groups: bool,
}

/// Why a credential does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It is not good. The word is for logs and metrics (a fixed list), never for the client.
    Invalid(&'static str),
    /// A proof of possession is missing or not good (RFC 9449 §7.1: the client is told `invalid_dpop_proof`).
    InvalidProof(&'static str),
    /// It is good, and its caller is refused all the same, with a reason that the client is told: `groups_overage`.
    Refused {
        /// A code for programs.
        code: &'static str,
        /// A sentence for the caller.
        message: Cow<'static, str>,
    },
    /// Too many failures: nobody is asked any more for a while.
    Throttled {
        /// After which time to try again.
        retry_after: Duration,
    },
    /// Whoever could tell cannot be asked: 503. The word is for logs and metrics.
    Unavailable(&'static str),
}

impl Rejection {
    /// A word for logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Invalid(word) | Self::InvalidProof(word) | Self::Unavailable(word) => word,
            Self::Refused { code, .. } => code,
            Self::Throttled { .. } => "throttled",
        }
    }
}

/// The roles that a caller holds, made once for as long as the caller is remembered.
#[derive(Debug)]
struct Standings {
    live: Standing,
    /// In the second set of documents (`--shadow`), once it has been asked.
    shadow: RefCell<Option<Rc<Standing>>>,
}

/// Who asks, as the stage found out. Only [`authenticate`] makes it.
#[derive(Debug, Clone)]
pub struct Authenticated {
    caller: Caller,
    /// The roles that the caller holds; `None` where nobody has to be known.
    standings: Option<Rc<Standings>>,
    fresh: Duration,
    held: Option<Held>,
}

impl Authenticated {
    /// Who it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The roles that the caller holds.
    pub fn standing(&self) -> Option<&Standing> {
        self.standings.as_ref().map(|standings| &standings.live)
    }

    /// The roles that the caller holds in another set of documents than the one in force.
    pub fn standing_under(&self, roles: &Roles) -> Option<Rc<Standing>> {
        let mut shadow = self.standings.as_ref()?.shadow.borrow_mut();
        match &*shadow {
            Some(standing) if standing.is_of(roles, &self.caller) => Some(standing.clone()),
            _ => Some(shadow.insert(Rc::new(roles.standing(&self.caller))).clone()),
        }
    }

    /// How long what the provider said holds before it is asked again.
    pub fn fresh(&self) -> Duration {
        self.fresh
    }

    /// What it is asked about again, where the caller is not enough.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    fn of(known: Known, credential: Option<&Credential<'_>>, roles: &Roles) -> Self {
        let Known { caller, fresh, .. } = known;
        let live = roles.standing(&caller);
        let standings = Some(Rc::new(Standings { live, shadow: RefCell::default() }));
        let held = Held::of(&caller, credential);
        Self { caller, standings, fresh, held }
    }

    fn nobody() -> Self {
        Self { caller: Caller::anonymous(), standings: None, fresh: Duration::MAX, held: None }
    }
}

/// Who may be asked about a request, before it is known which of its candidates it meets.
pub(crate) struct Taken<'s> {
    /// Any of these may know the caller.
    pub(crate) providers: SmallVec<[ProviderId; 4]>,
    /// Says how a client is told what it lacks.
    guard: &'s Guard,
    /// One of the candidates is open to everyone.
    is_optional: bool,
}

/// Finds out who asks. Where nobody has to be known, nobody is.
pub async fn authenticate(
    connection: &Connection,
    live: &Live,
    candidates: &Candidates<'_>,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &Request,
) -> Result<Authenticated, Refusal> {
    let Some(taken) = taken(candidates) else { return Ok(Authenticated::nobody()) };
    let now = SystemTime::now();
    let outcome = match credential::find(&request.headers, canonical.query(), connection.scheme == Scheme::Https) {
        Err(Unfit::Refusal(refusal)) => return Err(refusal),
        Err(Unfit::Rejection(rejection)) => Err(rejection),
        Ok(credential) => {
            let shown = Shown {
                credential: credential.as_ref(),
                certificate: &connection.certificate,
                method: &line.method,
                target: ShownTarget { scheme: connection.scheme, authority: line.authority(), path: line.uri.path() },
                source: connection.source,
                now,
            };
            // What does not count is not remembered either, or another caller could show the same.
            judge(connection, live, &taken, &live.providers.heeded(&taken.providers, shown)).await
        }
    };
    let metrics = &connection.worker.metrics;
    match outcome {
        Ok(Some(authenticated)) => Ok(authenticated),
        Ok(None) if taken.is_optional => Ok(Authenticated::nobody()),
        Ok(None) => {
            metrics.authentication("none", "missing");
            Err(live.providers.challenge(taken.guard, Cause::NothingShown))
        }
        Err(rejection) => {
            tracing::debug!(reason = rejection.word(), source = %connection.source, "credential rejected");
            Err(refuse(connection, live, &taken, rejection))
        }
    }
}

fn refuse(connection: &Connection, live: &Live, taken: &Taken<'_>, rejection: Rejection) -> Refusal {
    let word = rejection.word();
    let refusal = match rejection {
        Rejection::Invalid(_) => match connection.worker.failures.failed(connection.source, Instant::now()) {
            Some(retry_after) => Refusal::too_many_failures(retry_after),
            None => live.providers.challenge(taken.guard, Cause::Invalid),
        },
        Rejection::InvalidProof(_) => live.providers.challenge(taken.guard, Cause::InvalidProof),
        Rejection::Refused { code, message } => Refusal::caller_refused(code, message),
        Rejection::Throttled { retry_after } => Refusal::too_many_failures(retry_after),
        Rejection::Unavailable(_) => Refusal::identity_unavailable(),
    };
    refusal.detail(word)
}

/// `None`: whatever the request meets is open to everyone.
pub(crate) fn taken<'s>(candidates: &Candidates<'s>) -> Option<Taken<'s>> {
    let mut taken: Option<Taken<'s>> = None;
    let mut is_optional = false;
    candidates.each_access(|access| match access {
        Access::Anonymous { .. } => is_optional = true,
        Access::Guarded(guard) => {
            let all = taken.get_or_insert_with(|| Taken { providers: SmallVec::new(), guard, is_optional: false });
            for provider in &guard.providers {
                if !all.providers.contains(provider) {
                    all.providers.push(*provider);
                }
            }
        }
    });
    taken.map(|taken| Taken { is_optional, ..taken })
}

/// Asks those who may know; what was learnt of the same credential a moment ago counts. `None`: nothing was shown.
async fn judge(
    connection: &Connection,
    live: &Live,
    taken: &Taken<'_>,
    shown: &Shown<'_>,
) -> Result<Option<Authenticated>, Rejection> {
    let worker = &connection.worker;
    // Where nothing is ever remembered, hashing a credential would be work for nothing.
    let fingerprint = if live.providers.remember(&taken.providers) {
        Fingerprint::of(shown, || connection.certificate_hash())
    } else {
        None
    };
    if let Some(fingerprint) = &fingerprint {
        let remembered = worker.remembered.borrow_mut().find(fingerprint, live, Instant::now(), shown.now);
        if let Some((provider, authenticated)) = remembered
            && taken.providers.contains(&provider)
        {
            worker.metrics.authentication(live.providers.label(provider), "remembered");
            return Ok(Some(authenticated));
        }
    }
    let begun = worker.remembered.borrow().begin();
    let Some((provider, judged)) = live.providers.judge(&taken.providers, shown).await else { return Ok(None) };
    let label = provider.map_or("none", |provider| live.providers.label(provider));
    worker.metrics.authentication(label, judged.as_ref().map_or_else(Rejection::word, |_| "ok"));
    let authenticated = Authenticated::of(judged?, shown.credential, &live.snapshot.roles);
    if let (Some(fingerprint), Some(provider)) = (fingerprint, provider)
        && !authenticated.fresh.is_zero()
    {
        let known = (provider, &authenticated);
        worker.remembered.borrow_mut().keep(fingerprint, known, begun, live, Instant::now());
    }
    Ok(Some(authenticated))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "tests")]

    use std::{fmt::Write as _, sync::Arc};

    use portcullis_policy::{
        authorize::{Method, Principal, PrincipalKind},
        check::check_sources,
        documents::Sources,
        snapshot::DocumentId,
    };

    use super::*;

    /// Documents that give alice so many roles.
    fn roles(count: usize) -> Roles {
        let head = |kind: &str, name: &str| {
            format!("---\napiVersion: portcullis.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
        };
        let mut text =
            head("IdentityProvider", "sso") + "spec: {oidc: {issuer: \"https://id.test\", audiences: [edge]}}\n";
        for role in (0..count).map(|number| format!("role-{number}")) {
            let (rules, binding) = (head("Role", &role), head("RoleBinding", &role));
            let _ = write!(
                text,
                "{rules}rules: [{{routes: ['*'], actions: [infer]}}]\n{binding}subjects: [{{kind: User, provider: sso, \
                 name: alice}}]\nroleRef: {{kind: Role, name: {role}}}\n"
            );
        }
        check_sources(&Sources::of_text("all.yaml", &text)).snapshot.roles
    }

    fn alice() -> Known {
        let part = |text: &str| Arc::from(text);
        let (group, kind) = (part("portcullis.dev"), part("IdentityProvider"));
        let provider = DocumentId { group, kind, namespace: part("default"), name: part("sso") };
        let caller = Caller::known(Principal {
            provider: Arc::new(provider),
            method: Method::Jwt,
            kind: PrincipalKind::User,
            name: part("alice"),
            stable_id: None,
            groups: Vec::new(),
            scopes: Vec::new(),
            claims: serde_json::Map::new(),
            expires: None,
        });
        Known { caller, fresh: Duration::from_mins(1), lacks_groups: false }
    }

    #[test]
    fn whoever_is_remembered_is_looked_up_once_in_each_set_of_documents() {
        let (live, shadow, next) = (roles(1), roles(2), roles(3));
        let authenticated = Authenticated::of(alice(), None, &live);
        let remembered = authenticated.clone();
        let lookup = |of: &Authenticated, roles: &Roles| of.standing_under(roles).expect("alice is known");
        let first = lookup(&authenticated, &shadow);
        assert!(Rc::ptr_eq(&first, &lookup(&remembered, &shadow)), "it is made once");
        let second = lookup(&remembered, &next);
        assert!(Rc::ptr_eq(&second, &lookup(&authenticated, &next)), "and once more for other documents");
        let of_live = remembered.standing().map(Standing::len);
        assert_eq!((of_live, first.len(), second.len()), (Some(1), 2, 3));
        assert!(Authenticated::nobody().standing_under(&shadow).is_none());
    }
}
