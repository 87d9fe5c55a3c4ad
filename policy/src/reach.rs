//! The door is closed: everything that can be reached without being known, or without a role, and the words that say so.
//!
//! Two passes that know nothing of each other. [`reachable`] asks the gateway's own `authorize` about every rule of the
//! compiled snapshot, every action and every model, for somebody of whom no document speaks. [`prove`] looks for the words in
//! the documents as they are written. Where the first finds a way and the second no words for it, `check` fails: then it is
//! the compiler that opened a door.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr, sync::Arc};

use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    Snapshot,
    action::Action,
    authorize::{Caller, Method, Principal, PrincipalKind, Question, authorize},
    diagnostics::Diagnostic,
    documents::{Document, Kind, kinds::ours::AccessPolicy},
    resolve::about_model,
    snapshot::{
        Access, CertificateNames, DocumentId, IdentityProvider, Listener, Location, MtlsProvider, ProviderKind, Rule,
    },
};

/// Something that can be reached by somebody of whom no document speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// By whom.
    pub who: Stranger,
    /// The listener.
    pub listener: String,
    /// The Gateway's namespace and name.
    pub gateway: (Arc<str>, Arc<str>),
    /// The route.
    pub route: DocumentId,
    /// Which of its rules: ``rule `big-model` ``, `rule 1`, or `passthrough`.
    pub rule: String,
    /// What may be done, and with which models.
    pub what: BTreeMap<Action, Vec<AnyModel>>,
    /// The AccessPolicy.
    pub policy: DocumentId,
    /// Where it says so.
    pub location: Location,
    /// The role that lets them in, if it is one.
    pub role: Option<String>,
}

/// Somebody of whom no document speaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stranger {
    /// Anyone.
    Anyone,
    /// Somebody whom a provider knows, and no role names.
    KnownBy(DocumentId),
}

/// A model that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnyModel {
    /// No model is named.
    Unnamed,
    /// This one.
    Named(Arc<str>),
    /// Whatever name.
    Other,
}

/// A name that no document writes. Should one write it all the same, the rows are those of that name.
const NOBODY: &str = "nobody-of-whom-a-document-speaks";

/// Every (rule, action, model) that somebody reaches of whom no document speaks.
pub fn reachable(snapshot: &Snapshot) -> Vec<Reachable> {
    let mut all = Vec::new();
    for listener in &snapshot.listeners {
        for rule in listener.routes.rules() {
            // A rule without backends redirects, or answers 500: nothing is behind it.
            if rule.backends.is_empty() {
                continue;
            }
            let strangers = providers(snapshot, rule)
                .into_iter()
                .map(|provider| (Stranger::KnownBy(provider.document.clone()), Caller::known(stranger_of(provider))));
            let by_anyone = reached(snapshot, listener, rule, &Stranger::Anyone, &Caller::anonymous());
            let is_open = by_anyone.is_some();
            all.extend(by_anyone);
            if !is_open {
                all.extend(strangers.filter_map(|(who, caller)| reached(snapshot, listener, rule, &who, &caller)));
            }
        }
        for rule in listener.tls_routes.rules() {
            if let Access::Anonymous { policy, location, .. } = &rule.access {
                all.push(Reachable {
                    who: Stranger::Anyone,
                    listener: listener.id.to_string(),
                    gateway: (listener.id.namespace.clone(), listener.id.gateway.clone()),
                    route: rule.route.clone(),
                    rule: "passthrough".to_owned(),
                    what: BTreeMap::from([(Action::Access, vec![AnyModel::Unnamed])]),
                    policy: policy.clone(),
                    location: location.clone(),
                    role: None,
                });
            }
        }
    }
    all
}

/// Those that a rule takes, and one that it does not.
fn providers<'s>(snapshot: &'s Snapshot, rule: &Rule) -> Vec<&'s IdentityProvider> {
    let Access::Guarded(guard) = &rule.access else { return Vec::new() };
    let taken = guard.providers.iter().filter_map(|id| snapshot.providers.get(id.0 as usize));
    let foreign = snapshot.providers.iter().enumerate();
    let foreign = foreign.filter(|(index, _)| guard.providers.iter().all(|id| id.0 as usize != *index));
    taken.chain(foreign.map(|(_, provider)| provider).take(1)).collect()
}

fn reached(
    snapshot: &Snapshot,
    listener: &Listener,
    rule: &Rule,
    who: &Stranger,
    caller: &Caller,
) -> Option<Reachable> {
    let mut what: BTreeMap<Action, Vec<AnyModel>> = BTreeMap::new();
    let mut role = None;
    let models = models(snapshot, rule);
    for action in actions(snapshot, rule) {
        for model in &models {
            let named = match model {
                AnyModel::Unnamed => None,
                AnyModel::Named(name) => Some(&**name),
                AnyModel::Other => Some(NOBODY),
            };
            let Ok(resolved) = about_model(snapshot, rule, action, named) else { continue };
            let headers = HeaderMap::new();
            // Wherever it comes from: a rule that denies one network leaves the others.
            let sources =
                [None, Some(IpAddr::from([203, 0, 113, 1])), Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]))];
            for source in sources {
                let question = Question { action, model: resolved.about(), headers: &headers, source };
                if let Ok(permit) = authorize(snapshot, rule, caller, &question) {
                    role = role.or_else(|| permit.decided_by().map(|by| format!("{} ({})", by.binding, by.subject)));
                    what.entry(action).or_default().push(model.clone());
                    break;
                }
            }
        }
    }
    if what.is_empty() {
        return None;
    }
    let location = match &rule.access {
        Access::Guarded(guard) => guard.open_to_known.as_ref().unwrap_or(&guard.location),
        access @ Access::Anonymous { .. } => access.location(),
    };
    Some(Reachable {
        who: who.clone(),
        listener: listener.id.to_string(),
        gateway: (listener.id.namespace.clone(), listener.id.gateway.clone()),
        route: rule.route.clone(),
        rule: rule.name.as_deref().map_or_else(|| format!("rule {}", rule.index), |name| format!("rule `{name}`")),
        what,
        policy: rule.access.policy().clone(),
        location: location.clone(),
        role,
    })
}

/// What can be done at a rule: inference servers know no mere access.
fn actions(snapshot: &Snapshot, rule: &Rule) -> Vec<Action> {
    let mut backends =
        rule.backends.iter().filter_map(|reference| snapshot.backends.get(reference.target.as_ref().ok()?.0 as usize));
    let is_server = backends.any(|backend| backend.dialect.is_some());
    Action::ALL.into_iter().filter(|action| !is_server || *action != Action::Access).collect()
}

/// Every model that a rule's backends name, and another one where one of them does not say what it serves.
fn models(snapshot: &Snapshot, rule: &Rule) -> Vec<AnyModel> {
    let backends =
        rule.backends.iter().filter_map(|reference| snapshot.backends.get(reference.target.as_ref().ok()?.0 as usize));
    let mut models: Vec<AnyModel> = vec![AnyModel::Unnamed, AnyModel::Other];
    models.extend(backends.flat_map(|backend| &backend.models).cloned().map(AnyModel::Named));
    models.sort_unstable();
    models.dedup();
    models
}

/// Somebody whom a provider knows, without groups, scopes or claims.
fn stranger_of(provider: &IdentityProvider) -> Principal {
    let (kind, name) = match &provider.kind {
        ProviderKind::Mtls(MtlsProvider { names: CertificateNames::Workload { trust_domain }, .. }) => {
            (PrincipalKind::Workload, format!("{}/{NOBODY}", trust_domain.as_str().trim_end_matches('/')))
        }
        _ => (PrincipalKind::User, NOBODY.to_owned()),
    };
    Principal {
        provider: Arc::new(provider.document.clone()),
        method: Method::Supposed,
        kind,
        name: name.into(),
        stable_id: None,
        groups: Vec::new(),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
        expires: None,
    }
}

/// An error for each way in for which no document has words.
pub fn prove(documents: &[Document], snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let policies: Vec<(&Document, &AccessPolicy)> = documents
        .iter()
        .filter_map(|document| match &document.value {
            Kind::AccessPolicy(policy) => Some((document, &**policy)),
            _ => None,
        })
        .collect();
    for reachable in reachable(snapshot) {
        if is_said(&policies, &reachable) {
            continue;
        }
        let who = match &reachable.who {
            Stranger::Anyone => "anyone".to_owned(),
            Stranger::KnownBy(provider) => format!("whoever {provider} knows"),
        };
        let message = format!("{who} can reach {}, {}, and no document says so", reachable.route, reachable.rule);
        let mut diagnostic = Diagnostic::error("open-door", message);
        if let Some(route) = documents.iter().find(|document| document.id == reachable.route) {
            diagnostic = diagnostic.at(route.name_span(), "open");
        }
        found.push(diagnostic.help("this is a mistake of Portcullis, not of the documents: please report it"));
    }
    found
}

/// Whether the AccessPolicy that a way in stands under says so, as it is written.
fn is_said(policies: &[(&Document, &AccessPolicy)], reachable: &Reachable) -> bool {
    let (namespace, gateway) = &reachable.gateway;
    let targets = |kind: &str, namespace: &str, name: &str| {
        policies.iter().find(|(document, policy)| {
            let mut refs = policy.spec.target_refs.iter();
            *document.id.namespace == *namespace && refs.any(|target| target.kind == kind && target.name == name)
        })
    };
    // The route's own policy, else the Gateway's: as the documentation has it.
    let own = targets(&reachable.route.kind, &reachable.route.namespace, &reachable.route.name);
    let Some((document, policy)) = own.or_else(|| targets("Gateway", namespace, gateway)) else { return false };
    if document.id != reachable.policy {
        return false;
    }
    let authentication = &policy.spec.authentication;
    match (&reachable.who, &authentication.anonymous) {
        (Stranger::Anyone, Some(anonymous)) => reachable.what.keys().all(|action| {
            let words = &anonymous.actions;
            if words.is_empty() {
                return !matches!(action, Action::LoadModel | Action::Admin);
            }
            words.iter().any(|word| word == "*" || word == action.as_str())
        }),
        (Stranger::KnownBy(provider), None) => {
            let is_open = policy.spec.authorization.as_ref().is_some_and(|needs| needs.authenticated.is_some());
            let takes = authentication.providers.iter().any(|name| **name == *provider.name);
            takes && provider.namespace == document.id.namespace && (is_open || reachable.role.is_some())
        }
        (Stranger::Anyone, None) | (Stranger::KnownBy(_), Some(_)) => false,
    }
}

/// A table for people.
pub fn text(reachable: &[Reachable]) -> String {
    let mut text = String::new();
    let (mut anyone, mut known) = (0, 0);
    for row in reachable {
        let who = match (&row.who, &row.role) {
            (Stranger::Anyone, _) => {
                anyone += 1;
                "without authentication".to_owned()
            }
            (Stranger::KnownBy(provider), role) => {
                known += 1;
                let role = role.as_ref().map_or("without a role".to_owned(), |role| format!("by {role}"));
                format!("by whoever {}/{} knows, {role}", provider.namespace, provider.name)
            }
        };
        let _ = writeln!(text, "{}, {} ({}): {who}", row.route, row.rule, row.listener);
        for (action, models) in &row.what {
            let models: Vec<String> = models.iter().map(AnyModel::told).collect();
            let _ = writeln!(text, "    {:<14} {}", action.as_str(), models.join(", "));
        }
        let _ = writeln!(text, "    says {} ({})", row.policy, row.location);
    }
    if reachable.is_empty() {
        text.push_str("nothing can be reached without authentication, or without a role\n");
    } else {
        let _ = writeln!(text, "{anyone} rules without authentication, {known} without a role of one's own");
    }
    text
}

impl AnyModel {
    fn told(&self) -> String {
        match self {
            Self::Unnamed => "no model named".to_owned(),
            Self::Named(name) => name.to_string(),
            Self::Other => "any other model".to_owned(),
        }
    }
}

/// The same for programs.
pub fn json(reachable: &[Reachable]) -> Value {
    let rows = reachable.iter().map(|row| {
        let what = row.what.iter().map(|(action, models)| {
            let models: Vec<String> = models.iter().map(AnyModel::told).collect();
            json!({"action": action.as_str(), "models": models})
        });
        let who = match &row.who {
            Stranger::Anyone => json!("anyone"),
            Stranger::KnownBy(provider) => json!({"knownBy": provider.to_string()}),
        };
        json!({"who": who, "role": row.role, "route": row.route.to_string(), "rule": row.rule, "listener": row.listener,
               "what": what.collect::<Vec<_>>(), "policy": row.policy.to_string(), "at": row.location.to_string()})
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::{Report, check_sources},
        documents::Sources,
    };

    fn report(authentication: &str) -> Report {
        let text = format!(
            "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec: {{gatewayClassName: portcullis, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: sso}}
spec: {{oidc: {{issuer: \"https://id.test\", audiences: [edge]}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: IdentityProvider
metadata: {{name: partners}}
spec: {{oidc: {{issuer: \"https://partners.test\", audiences: [edge]}}}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]
  {authentication}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: chat}}
spec:
  parentRefs: [{{name: edge}}]
  rules:
  - backendRefs: [{{group: portcullis.dev, kind: InferenceBackend, name: small}}]
---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: small}}
spec:
  protocol: openai
  models: [small]
  transport: {{plaintext: {{}}}}
  endpoints: [{{address: 127.0.0.1, port: 1}}]
"
        );
        let report = check_sources(&Sources::of_text("all.yaml", &text));
        assert!(report.is_clean(), "{:?}", report.diagnostics);
        report
    }

    const CLOSED: &str = "authentication: {providers: [sso]}";
    const OPEN: &str = "authentication: {anonymous: {}}";
    const OPEN_TO_KNOWN: &str = "authentication: {providers: [sso]}\n  authorization: {authenticated: {}}";

    fn check(authentication: &str, expected: &[(Stranger, &[Action])]) {
        let report = report(authentication);
        let found = reachable(&report.snapshot);
        let found: Vec<_> =
            found.iter().map(|row| (row.who.clone(), row.what.keys().copied().collect::<Vec<_>>())).collect();
        let expected: Vec<_> = expected.iter().map(|(who, actions)| (who.clone(), actions.to_vec())).collect();
        assert_eq!(found, expected, "{authentication}");
        assert_eq!(prove(&report.documents, &report.snapshot), [], "{authentication}");
    }

    #[test]
    fn what_is_open_is_found_and_nothing_else() {
        let harmless = [Action::Infer, Action::ListModels, Action::ReadMetadata, Action::Metrics, Action::Files];
        let sso = report(CLOSED)
            .snapshot
            .providers
            .iter()
            .find(|it| &*it.document.name == "sso")
            .map(|it| it.document.clone());
        check(CLOSED, &[]);
        check(OPEN, &[(Stranger::Anyone, &harmless)]);
        check("authentication: {anonymous: {actions: [metrics]}}", &[(Stranger::Anyone, &[Action::Metrics])]);
        let all: Vec<Action> = Action::ALL.into_iter().filter(|action| *action != Action::Access).collect();
        check(OPEN_TO_KNOWN, &sso.map(|sso| (Stranger::KnownBy(sso), all.as_slice())).into_iter().collect::<Vec<_>>());
    }

    /// As if the compiler had made something else of the documents than they say.
    #[test]
    fn a_door_without_words_is_an_error() {
        let check = |documents: &str, snapshot: &str, is_open: bool| {
            let found = prove(&report(documents).documents, &report(snapshot).snapshot);
            let codes: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
            assert_eq!(codes, if is_open { vec!["open-door"] } else { vec![] }, "{documents} compiled to {snapshot}");
        };
        check(CLOSED, OPEN, true);
        check(CLOSED, OPEN_TO_KNOWN, true);
        check(OPEN_TO_KNOWN, OPEN, true);
        check(OPEN, OPEN_TO_KNOWN, true);
        check("authentication: {anonymous: {actions: [metrics]}}", OPEN, true);
        check(OPEN, "authentication: {anonymous: {actions: ['*']}}", true);
        check(
            OPEN_TO_KNOWN,
            "authentication: {providers: [sso, partners]}\n  authorization: {authenticated: {}}",
            true,
        );
        check(OPEN, CLOSED, false);
        check(OPEN_TO_KNOWN, CLOSED, false);
        check(OPEN, "authentication: {anonymous: {actions: [metrics]}}", false);
    }
}
