//! Everything by which two callers, or two of their requests, could be told apart by either set of documents: the variables
//! of the question who gains and who loses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{
    NotEnumerated,
    classes::{Alphabet, Bits, classes, covers},
    networks,
    side::{Side, Term, indices},
    solve::{Formula, Variable},
};
use crate::{
    authorize::{Caller, Group, Method, Principal, PrincipalKind},
    roles::{Condition, Effect, SubjectKind},
    snapshot::{CertificateNames, DocumentId, IdentityProvider, MtlsProvider, ProviderKind},
};

/// The variables, and what their values mean.
pub(super) struct Universe {
    /// How many values each variable has.
    pub(super) domains: Vec<u32>,
    /// Values of the variable [`WHO`].
    callers: Vec<Named>,
    /// Values of the variable [`SOURCE`].
    sources: Vec<IpAddr>,
    groups: BTreeMap<(DocumentId, Arc<str>), Variable>,
    scopes: BTreeMap<Arc<str>, Variable>,
    claims: BTreeMap<(Path, Arc<str>), Variable>,
    /// Lines of a header; `None` is one that no condition names.
    headers: BTreeMap<(Box<str>, Option<Arc<str>>), Variable>,
}

type Path = Vec<Box<str>>;

/// A caller who is known by name; the first of all is nobody.
#[derive(Debug, Clone)]
struct Named {
    provider: Option<DocumentId>,
    kind: PrincipalKind,
    name: Arc<str>,
    has_scopes: bool,
    has_claims: bool,
    user_claim: Option<Path>,
    groups_claim: Option<Path>,
}

pub(super) const WHO: Variable = Variable(0);
const SOURCE: Variable = Variable(1);

/// What it takes for a difference to show.
#[derive(Debug, Clone)]
pub(super) struct Situation {
    pub(super) old: Caller,
    pub(super) new: Caller,
    pub(super) headers: HeaderMap,
    pub(super) source: IpAddr,
    /// Whether any condition looks at where a request comes from.
    pub(super) source_matters: bool,
}

impl Universe {
    pub(super) fn new(old: &Side<'_>, new: &Side<'_>) -> Result<Self, NotEnumerated> {
        let terms: Vec<&Term<'_>> = old.terms.iter().chain(&new.terms).collect();
        let conditions: Vec<&Condition> = terms.iter().flat_map(|term| &term.rule.when).collect();
        let mut universe = Self {
            domains: Vec::new(),
            callers: callers(old, new, &terms, &conditions)?,
            sources: sources(&conditions),
            groups: BTreeMap::new(),
            scopes: BTreeMap::new(),
            claims: BTreeMap::new(),
            headers: BTreeMap::new(),
        };
        universe.domains = vec![universe.callers.len() as u32, universe.sources.len() as u32];
        for term in &terms {
            if let (SubjectKind::Group, Some(provider)) = (term.subject.kind, &term.subject.provider) {
                universe.group(provider, term.subject.name.as_str());
            }
        }
        for condition in conditions {
            universe.learn(condition);
        }
        Ok(universe)
    }

    fn fresh(domains: &mut Vec<u32>) -> Variable {
        domains.push(2);
        Variable(domains.len() as u32 - 1)
    }

    fn group(&mut self, provider: &DocumentId, name: &str) {
        let domains = &mut self.domains;
        self.groups.entry((provider.clone(), name.into())).or_insert_with(|| Self::fresh(domains));
    }

    fn learn(&mut self, condition: &Condition) {
        match condition {
            Condition::Scope(scope) => {
                let domains = &mut self.domains;
                self.scopes.entry(scope.clone()).or_insert_with(|| Self::fresh(domains));
            }
            Condition::Claim { path, values } => {
                // A claim that holds groups says nothing that the groups do not say.
                let of_groups = |caller: &Named| caller.groups_claim.as_deref() == Some(&**path);
                let providers: BTreeSet<DocumentId> = self
                    .callers
                    .iter()
                    .filter(|caller| of_groups(caller))
                    .filter_map(|it| it.provider.clone())
                    .collect();
                for value in values {
                    let domains = &mut self.domains;
                    self.claims.entry((path.to_vec(), value.clone())).or_insert_with(|| Self::fresh(domains));
                    for provider in &providers {
                        self.group(provider, value);
                    }
                }
            }
            Condition::Header { name, values } => {
                for value in values.iter().map(Some).chain([None]) {
                    if value.is_some_and(|value| value.trim() != &**value || HeaderValue::from_str(value).is_err()) {
                        continue;
                    }
                    let domains = &mut self.domains;
                    let key = (name.as_str().into(), value.cloned());
                    self.headers.entry(key).or_insert_with(|| Self::fresh(domains));
                }
            }
            Condition::Source(_) => {}
        }
    }

    /// Callers who fit.
    fn who(&self, fits: impl Fn(&Named) -> bool) -> Formula {
        Formula::Is(WHO, indices(&self.callers, fits))
    }

    /// Callers of these providers.
    pub(super) fn known_by(&self, side: &Side<'_>, providers: &[&DocumentId]) -> Formula {
        self.who(|caller| {
            caller.provider.as_ref().is_some_and(|of| providers.contains(&of))
                && caller.provider.as_ref().and_then(|of| side.provider(of)).is_some_and(|of| knows(of, caller))
        })
    }

    /// The caller is the subject of a term, and its conditions hold.
    pub(super) fn term(&self, side: &Side<'_>, term: &Term<'_>) -> Formula {
        let mut all = vec![self.subject(side, term)];
        all.extend(term.rule.when.iter().map(|condition| self.condition(condition, term.rule.effect)));
        Formula::All(all)
    }

    fn subject(&self, side: &Side<'_>, term: &Term<'_>) -> Formula {
        let subject = term.subject;
        let name = subject.name.as_str();
        match (subject.kind, &subject.provider) {
            (SubjectKind::User, Some(provider)) => self.who(|caller| {
                caller.kind == PrincipalKind::User
                    && caller.provider.as_ref() == Some(provider)
                    && *caller.name == *name
            }),
            (SubjectKind::Group, Some(provider)) => self.in_group(side, provider, name),
            (SubjectKind::Workload, provider) => self.who(|caller| {
                caller.kind == PrincipalKind::Workload
                    && caller.provider.is_some()
                    && (provider.is_none() || caller.provider == *provider)
                    && covers(name, &caller.name)
            }),
            (SubjectKind::User | SubjectKind::Group, None) => Formula::FALSE,
        }
    }

    /// A provider says so of its own callers, and of those it enriches.
    fn in_group(&self, side: &Side<'_>, provider: &DocumentId, name: &str) -> Formula {
        let Some(variable) = self.groups.get(&(provider.clone(), name.into())) else { return Formula::FALSE };
        let can_say = |caller: &Named| {
            caller.provider.as_ref().is_some_and(|of| of == provider || side.enricher(of) == Some(provider))
        };
        Formula::All(vec![self.who(can_say), yes(*variable)])
    }

    fn condition(&self, condition: &Condition, effect: Effect) -> Formula {
        match condition {
            Condition::Scope(scope) => {
                let has = self.scopes.get(scope).map_or(Formula::FALSE, |variable| yes(*variable));
                Formula::All(vec![self.who(|caller| caller.has_scopes), has])
            }
            Condition::Claim { path, values } => self.claim(path, values),
            Condition::Header { name, values } => self.header(name, values, effect),
            Condition::Source(networks) => {
                let is_in = |source: &IpAddr| networks.iter().any(|network| network.contains(source));
                Formula::Is(SOURCE, indices(&self.sources, is_in))
            }
        }
    }

    /// A claim is a thing of its own, unless it is the one that names the user, or the groups.
    fn claim(&self, path: &[Box<str>], values: &[Arc<str>]) -> Formula {
        let is = |claim: &Option<Path>| claim.as_deref() == Some(path);
        let of_its_own = |caller: &Named| caller.has_claims && !is(&caller.user_claim) && !is(&caller.groups_claim);
        let any = values.iter().filter_map(|value| self.claims.get(&(path.to_vec(), value.clone())));
        let mut ways = vec![
            Formula::All(vec![self.who(of_its_own), Formula::Any(any.map(|variable| yes(*variable)).collect())]),
            self.who(|caller| caller.has_claims && is(&caller.user_claim) && values.contains(&caller.name)),
        ];
        for ((provider, name), variable) in &self.groups {
            if values.contains(name) {
                let says = |caller: &Named| is(&caller.groups_claim) && caller.provider.as_ref() == Some(provider);
                ways.push(Formula::All(vec![self.who(says), yes(*variable)]));
            }
        }
        Formula::Any(ways)
    }

    fn header(&self, name: &HeaderName, values: &[Arc<str>], effect: Effect) -> Formula {
        let listed = |text: &str| values.iter().any(|value| **value == *text);
        let parts = |line: &str| -> Vec<String> {
            line.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let lines = self.headers.iter().filter(|((of, _), _)| **of == *name.as_str());
        let lines: Vec<(Option<&Arc<str>>, Variable)> = lines.map(|((_, line), at)| (line.as_ref(), *at)).collect();
        match effect {
            Effect::Deny => {
                let counts = |line: &str| listed(line) || parts(line).iter().any(|part| listed(part));
                let any = lines.iter().filter(|(line, _)| line.is_some_and(|line| counts(line)));
                Formula::Any(any.map(|(_, variable)| yes(*variable)).collect())
            }
            Effect::Allow => {
                let counts = |line: &str| {
                    let parts = parts(line);
                    listed(line) || !parts.is_empty() && parts.iter().all(|part| listed(part))
                };
                let (good, bad): (Vec<_>, Vec<_>) =
                    lines.iter().partition(|(line, _)| line.is_some_and(|line| counts(line)));
                let there = good.iter().filter(|(line, _)| line.is_some_and(|line| !line.is_empty()));
                let mut all = vec![Formula::Any(there.map(|(_, variable)| yes(*variable)).collect())];
                all.extend(bad.iter().map(|(_, variable)| yes(*variable).not()));
                Formula::All(all)
            }
        }
    }

    /// What cannot be, whoever asks: a claim that is a text and has something in it.
    pub(super) fn possible(&self) -> Formula {
        let mut all = Vec::new();
        let claims: Vec<(&Path, Variable)> =
            self.claims.iter().map(|((path, _), variable)| (path, *variable)).collect();
        for (outer, at) in &claims {
            for (inner, within) in &claims {
                if inner.len() > outer.len() && inner.starts_with(outer) {
                    all.push(Formula::Any(vec![yes(*at).not(), yes(*within).not()]));
                }
            }
        }
        Formula::All(all)
    }

    /// The caller and the request that values stand for.
    pub(super) fn situation(&self, values: &[u32], old: &Side<'_>, new: &Side<'_>) -> Situation {
        let value = |variable: &Variable| values.get(variable.0 as usize).copied().unwrap_or(0);
        let source = self.sources.get(value(&SOURCE) as usize).copied();
        let mut headers = HeaderMap::new();
        for ((name, line), variable) in &self.headers {
            let other = self.other_line(name);
            let line = line.as_deref().unwrap_or(&other);
            if value(variable) == 1
                && let (Ok(name), Ok(line)) = (HeaderName::try_from(&**name), HeaderValue::from_str(line))
            {
                headers.append(name, line);
            }
        }
        let caller = self.callers.get(value(&WHO) as usize).filter(|caller| caller.provider.is_some());
        let on = |side| caller.map_or_else(Caller::anonymous, |caller| self.caller(caller, side, values));
        Situation {
            old: on(old),
            new: on(new),
            headers,
            source: source.unwrap_or(IpAddr::from([127, 0, 0, 1])),
            source_matters: self.sources.len() > 2,
        }
    }

    /// A line of a header that no condition names.
    fn other_line(&self, name: &str) -> String {
        let mut other = "something-else".to_owned();
        while self.headers.contains_key(&(name.into(), Some(other.as_str().into()))) {
            other.push('x');
        }
        other
    }

    fn caller(&self, caller: &Named, side: &Side<'_>, values: &[u32]) -> Caller {
        let Some(provider) = &caller.provider else { return Caller::anonymous() };
        let is_set = |variable: &Variable| values.get(variable.0 as usize) == Some(&1);
        let own = self.groups.iter().filter(|(_, variable)| is_set(variable)).map(|(group, _)| group);
        let groups: Vec<Group> = own
            .filter(|(of, _)| of == provider || side.enricher(provider) == Some(of))
            .map(|(of, name)| Group { provider: Arc::new(of.clone()), name: name.clone() })
            .collect();
        let mut claims = Map::new();
        if caller.has_claims {
            let is_own =
                |path: &Path| caller.user_claim.as_ref() != Some(path) && caller.groups_claim.as_ref() != Some(path);
            for ((path, value), variable) in &self.claims {
                if is_set(variable) && is_own(path) {
                    put(&mut claims, path, Value::String(value.to_string()));
                }
            }
            if let Some(path) = &caller.user_claim {
                put(&mut claims, path, Value::String(caller.name.to_string()));
            }
            if let Some(path) = &caller.groups_claim {
                for ((of, name), variable) in &self.groups {
                    if of == provider && is_set(variable) {
                        put(&mut claims, path, Value::String(name.to_string()));
                    }
                }
            }
        }
        let scopes = self.scopes.iter().filter(|(_, variable)| caller.has_scopes && is_set(variable));
        Caller::known(Principal {
            provider: Arc::new(provider.clone()),
            method: Method::Supposed,
            kind: caller.kind,
            name: caller.name.clone(),
            stable_id: None,
            groups,
            scopes: scopes.map(|(scope, _)| scope.clone()).collect(),
            claims,
            expires: None,
        })
    }
}

/// The variable of something that is or is not.
fn yes(variable: Variable) -> Formula {
    Formula::Is(variable, Bits::from_iter([1]))
}

/// Adds a value to a claim: the first is a text, more are a list.
fn put(claims: &mut Map<String, Value>, path: &[Box<str>], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    let place = claims.entry(first.to_string()).or_insert(Value::Null);
    if !rest.is_empty() {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        if let Value::Object(inner) = place {
            put(inner, rest, value);
        }
        return;
    }
    match place {
        Value::Null => *place = value,
        Value::Array(values) => values.push(value),
        before => *before = Value::Array(vec![before.take(), value]),
    }
}

fn sources(conditions: &[&Condition]) -> Vec<IpAddr> {
    let networks = conditions.iter().filter_map(|condition| match condition {
        Condition::Source(networks) => Some(networks),
        _ => None,
    });
    let networks: Vec<_> = networks.flatten().copied().collect();
    networks::classes(&networks)
}

/// Whether a provider, as one set of documents has it, knows callers of this kind.
fn knows(provider: &IdentityProvider, caller: &Named) -> bool {
    match &provider.kind {
        ProviderKind::Mtls(MtlsProvider { names: CertificateNames::Workload { trust_domain }, .. }) => {
            let domain = caller.name.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next());
            caller.kind == PrincipalKind::Workload && domain == Some(trust_domain.trust_domain())
        }
        _ => caller.kind == PrincipalKind::User,
    }
}

/// Nobody, and of each provider one caller of every name that something is said of, and one of every other kind.
fn callers(
    old: &Side<'_>,
    new: &Side<'_>,
    terms: &[&Term<'_>],
    conditions: &[&Condition],
) -> Result<Vec<Named>, NotEnumerated> {
    let nobody = Named {
        provider: None,
        kind: PrincipalKind::User,
        name: "".into(),
        has_scopes: false,
        has_claims: false,
        user_claim: None,
        groups_claim: None,
    };
    let mut callers = vec![nobody];
    let mut seen: BTreeSet<(DocumentId, Arc<str>)> = BTreeSet::new();
    for provider in old.snapshot.providers.iter().chain(&new.snapshot.providers) {
        let names = names(provider, terms, conditions)?;
        // What the new documents say of a provider counts.
        let said = new.provider(&provider.document).unwrap_or(provider);
        let (user_claim, groups_claim, has_claims) = match &said.kind {
            ProviderKind::Oidc(oidc) => {
                (Some(oidc.user_claim.to_vec()), oidc.groups_claim.as_ref().map(|path| path.to_vec()), true)
            }
            _ => (None, None, false),
        };
        let kind = match &provider.kind {
            ProviderKind::Mtls(MtlsProvider { names: CertificateNames::Workload { .. }, .. }) => {
                PrincipalKind::Workload
            }
            _ => PrincipalKind::User,
        };
        for name in names {
            if seen.insert((provider.document.clone(), name.clone())) {
                callers.push(Named {
                    provider: Some(provider.document.clone()),
                    kind,
                    name,
                    has_scopes: has_claims || matches!(said.kind, ProviderKind::ApiKeys(_)),
                    has_claims,
                    user_claim: user_claim.clone(),
                    groups_claim: groups_claim.clone(),
                });
            }
        }
    }
    Ok(callers)
}

fn names(
    provider: &IdentityProvider,
    terms: &[&Term<'_>],
    conditions: &[&Condition],
) -> Result<Vec<Arc<str>>, NotEnumerated> {
    if let ProviderKind::Mtls(MtlsProvider { names: CertificateNames::Workload { trust_domain }, .. }) = &provider.kind
    {
        let subjects = terms.iter().map(|term| term.subject).filter(|subject| subject.kind == SubjectKind::Workload);
        let patterns: BTreeSet<&str> = subjects.map(|subject| subject.name.as_str()).collect();
        let patterns: Vec<&str> = patterns.into_iter().collect();
        let found = classes(&patterns, Alphabet::Workload(trust_domain.as_str()));
        let found = found.map_err(|_| NotEnumerated::Workloads(provider.document.clone()))?;
        return Ok(found.into_iter().map(Into::into).collect());
    }
    let of_provider = |term: &&&Term<'_>| {
        term.subject.kind == SubjectKind::User && term.subject.provider.as_ref() == Some(&provider.document)
    };
    let mut names: BTreeSet<Arc<str>> =
        terms.iter().filter(of_provider).map(|term| term.subject.name.as_str().into()).collect();
    if let ProviderKind::Oidc(oidc) = &provider.kind {
        for condition in conditions {
            if let Condition::Claim { path, values } = condition
                && *path == oidc.user_claim
            {
                names.extend(values.iter().cloned());
            }
        }
    }
    let mut other = "somebody".to_owned();
    while names.contains(other.as_str()) {
        other.push('x');
    }
    Ok([Arc::from(other)].into_iter().chain(names).collect())
}
