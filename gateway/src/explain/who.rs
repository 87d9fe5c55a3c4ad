//! Who is supposed to ask: a user or a workload that the command line or a test names, or nobody.

use std::sync::Arc;

use portcullis_certs::SpiffeId;
use portcullis_policy::{
    Snapshot,
    authorize::{Caller, Group, Method, Principal, PrincipalKind},
    snapshot::{CertificateNames, IdentityProvider, MtlsProvider, ProviderKind},
};
use serde_json::{Map, Value};

use crate::{cli::WhoArgs, refusal::Refusal};

/// Who asks.
#[derive(Debug)]
pub enum Who {
    /// Nobody says.
    Nobody,
    /// This caller.
    Known(Caller),
    /// Whoever the credential of the request says, which is yet to be judged ([`super::credential`]).
    Shown,
    /// Somebody whose credential does not count.
    Rejected {
        /// What they are told.
        refusal: Refusal,
        /// Why.
        why: String,
    },
}

impl Who {
    /// The caller, as far as one is known.
    pub fn caller(&self) -> &Caller {
        const ANONYMOUS: &Caller = &Caller::anonymous();
        match self {
            Self::Known(caller) => caller,
            Self::Nobody | Self::Shown | Self::Rejected { .. } => ANONYMOUS,
        }
    }
}

/// What is supposed of a caller.
#[derive(Debug, Clone, Default)]
pub struct Supposed<'a> {
    /// A user's name.
    pub user: Option<&'a str>,
    /// A workload's SPIFFE ID.
    pub workload: Option<&'a str>,
    /// The provider that says so: its name, or `namespace/name`.
    pub provider: Option<&'a str>,
    /// Where names of providers are looked for first.
    pub namespace: Option<&'a str>,
    /// Groups of the provider, or `provider/group` of the one that enriches it.
    pub groups: Vec<&'a str>,
    /// Scopes of the credential.
    pub scopes: Vec<&'a str>,
    /// Claims of the credential.
    pub claims: Map<String, Value>,
}

/// Who the command line says.
pub fn of_arguments(arguments: &WhoArgs, snapshot: &Snapshot) -> Result<Who, String> {
    if arguments.credential.is_some() {
        return Ok(Who::Shown);
    }
    let mut claims = Map::new();
    for text in &arguments.claim {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not `name=value`"))?;
        claim(&mut claims, name, value);
    }
    let supposed = Supposed {
        user: arguments.r#as.as_deref(),
        workload: arguments.workload.as_deref(),
        provider: arguments.provider.as_deref(),
        namespace: None,
        groups: arguments.group.iter().map(String::as_str).collect(),
        scopes: arguments.scope.iter().map(String::as_str).collect(),
        claims,
    };
    supposed.known(snapshot).map(|caller| caller.map_or(Who::Nobody, Who::Known))
}

/// Adds a claim; a name that comes again makes a list, and a dot leads into an object.
fn claim(claims: &mut Map<String, Value>, name: &str, value: &str) {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let place = claims.entry(first.to_owned()).or_insert(Value::Null);
    match (rest, place) {
        (Some(rest), place) => {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            if let Value::Object(inner) = place {
                claim(inner, rest, value);
            }
        }
        (None, place @ Value::Null) => *place = value.into(),
        (None, Value::Array(values)) => values.push(value.into()),
        (None, place) => {
            let before = place.take();
            *place = Value::Array(vec![before, value.into()]);
        }
    }
}

impl Supposed<'_> {
    /// The caller; `None`: nobody is named.
    pub fn known(self, snapshot: &Snapshot) -> Result<Option<Caller>, String> {
        let (name, kind) = match (self.user, self.workload) {
            (Some(_), Some(_)) => return Err("a caller is a user or a workload, not both".to_owned()),
            (Some(user), None) => (user, PrincipalKind::User),
            (None, Some(workload)) => (workload, PrincipalKind::Workload),
            (None, None) if self.provider.is_some() || !self.groups.is_empty() || !self.scopes.is_empty() => {
                return Err("say who it is: a user or a workload".to_owned());
            }
            (None, None) => return Ok(None),
        };
        let provider = self.provider_of(snapshot, name, kind)?;
        let document = Arc::new(provider.document.clone());
        let groups = self.groups.iter().map(|group| group_of(snapshot, provider, &document, group)).collect();
        Ok(Some(Caller::known(Principal {
            provider: document,
            method: Method::Supposed,
            kind,
            name: name.into(),
            stable_id: None,
            groups,
            scopes: self.scopes.iter().map(|scope| (*scope).into()).collect(),
            claims: self.claims,
            expires: None,
        })))
    }

    /// The provider that is named, or the only one that could know such a caller.
    fn provider_of<'s>(
        &self,
        snapshot: &'s Snapshot,
        name: &str,
        kind: PrincipalKind,
    ) -> Result<&'s IdentityProvider, String> {
        let could = |provider: &&IdentityProvider| match (&provider.kind, kind) {
            (ProviderKind::Mtls(MtlsProvider { names: CertificateNames::Workload { trust_domain }, .. }), kind) => {
                let is_of = |id: &SpiffeId| id.trust_domain() == trust_domain.trust_domain();
                kind == PrincipalKind::Workload && name.parse::<SpiffeId>().ok().as_ref().is_some_and(is_of)
            }
            (_, kind) => kind == PrincipalKind::User,
        };
        let all: Vec<&IdentityProvider> = snapshot.providers.iter().filter(could).collect();
        let Some(wanted) = self.provider else {
            return match all.as_slice() {
                [only] => Ok(only),
                [] => Err(format!("no IdentityProvider could know `{name}`")),
                several => Err(format!("say which IdentityProvider knows `{name}`: {}", names(several))),
            };
        };
        let is_named = |provider: &&&IdentityProvider| match wanted.split_once('/') {
            Some((namespace, name)) => *provider.document.namespace == *namespace && *provider.document.name == *name,
            None => *provider.document.name == *wanted,
        };
        let mut found: Vec<&IdentityProvider> = all.iter().filter(is_named).copied().collect();
        if let Some(namespace) = self.namespace
            && found.iter().any(|provider| *provider.document.namespace == *namespace)
        {
            found.retain(|provider| *provider.document.namespace == *namespace);
        }
        match found.as_slice() {
            [only] => Ok(only),
            [] => Err(format!("no IdentityProvider `{wanted}` could know `{name}`; there are {}", names(&all))),
            several => Err(format!("say which IdentityProvider `{wanted}` it is: {}", names(several))),
        }
    }
}

fn names(providers: &[&IdentityProvider]) -> String {
    let names = providers.iter().map(|provider| format!("{}/{}", provider.document.namespace, provider.document.name));
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A group of the provider, or of the directory that enriches it where that is named before a `/`.
fn group_of(
    snapshot: &Snapshot,
    provider: &IdentityProvider,
    document: &Arc<portcullis_policy::snapshot::DocumentId>,
    text: &str,
) -> Group {
    let directory = provider.enriched_by.and_then(|id| snapshot.providers.get(id.0 as usize));
    if let (Some((before, name)), Some(directory)) = (text.split_once('/'), directory)
        && *directory.document.name == *before
    {
        return Group { provider: Arc::new(directory.document.clone()), name: name.into() };
    }
    let name = text.strip_prefix(&*provider.document.name).and_then(|rest| rest.strip_prefix('/')).unwrap_or(text);
    Group { provider: document.clone(), name: name.into() }
}
