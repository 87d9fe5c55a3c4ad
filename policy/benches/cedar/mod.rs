//! Roles as Cedar policies: the reference that our own evaluator is compared with.
//!
//! From documents, not from what they compile to, so that the compiler is compared as well: one policy for each rule and
//! binding, whose `@id` is the file and line of the rule. What Cedar cannot evaluate is a denial.

use std::{fmt::Write as _, net::IpAddr};

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet, Request};
use portcullis_policy::{
    authorize::{AboutModel, Principal, PrincipalKind, Question},
    documents::{
        Document, Kind,
        kinds::ours::{Condition, Effect, RoleRule, Subject, SubjectKind},
    },
    snapshot::DocumentId,
};
use serde_json::{Value, json};

/// A policy, and the namespace that it is about.
pub(crate) struct Scoped {
    /// Its `@id`.
    pub(crate) id: String,
    pub(crate) namespace: String,
    /// Routes; empty: all of the namespace.
    pub(crate) routes: Vec<String>,
    pub(crate) text: String,
}

/// Every rule of every role by way of every binding.
pub(crate) fn policies(documents: &[Document]) -> Vec<Scoped> {
    let mut policies = Vec::new();
    for document in documents {
        let Kind::RoleBinding(binding) = &document.value else { continue };
        let role = documents.iter().find(|other| {
            *other.id.kind == *"Role"
                && other.id.namespace == document.id.namespace
                && *other.id.name == *binding.role_ref.name
        });
        let Some((role, Kind::Role(rules))) = role.map(|role| (role, &role.value)) else { continue };
        for (at, rule) in rules.rules.iter().enumerate() {
            let namespace = &*document.id.namespace;
            let location = role.location(&format!("rules[{at}]"));
            let id = format!("{}:{}/{}/{at}", location.file, location.line, document.id.name);
            let is_every = rule.routes.iter().any(|route| route == "*");
            policies.push(Scoped {
                namespace: namespace.to_owned(),
                routes: if is_every { Vec::new() } else { rule.routes.clone() },
                text: policy(namespace, rule, &binding.subjects, &id),
                id,
            });
        }
    }
    policies
}

/// Those policies, parsed.
pub(crate) fn policy_set<'s>(policies: impl IntoIterator<Item = &'s Scoped>) -> PolicySet {
    let parsed = |policy: &Scoped| Policy::parse(Some(PolicyId::new(&policy.id)), &policy.text).unwrap();
    PolicySet::from_policies(policies.into_iter().map(parsed)).unwrap()
}

fn policy(namespace: &str, rule: &RoleRule, subjects: &[Subject], id: &str) -> String {
    let effect = rule.effect.unwrap_or(Effect::Allow);
    let word = if effect == Effect::Deny { "forbid" } else { "permit" };
    let mut text = format!("@id({}) {word} (principal, action, resource) when {{ ", quoted(id));
    let mut parts = vec![any(subjects.iter().map(|subject| subject_test(namespace, subject)))];
    if rule.routes.iter().any(|route| route == "*") {
        parts.push(format!("resource in Namespace::{}", quoted(namespace)));
    } else {
        let route = |name: &String| format!("resource == Route::{}", quoted(&format!("{namespace}/{name}")));
        parts.push(any(rule.routes.iter().map(route)));
    }
    if !rule.actions.iter().any(|action| action == "*") {
        parts.push(any(rule.actions.iter().map(|action| format!("action == Action::{}", quoted(action)))));
    }
    if !rule.models.is_empty() {
        let mut ways: Vec<String> = rule
            .models
            .iter()
            .map(|model| format!("(context has model && context.model like {})", quoted(model)))
            .collect();
        match effect {
            Effect::Allow => ways.push("(context.about == \"none\" && action == Action::\"list-models\")".to_owned()),
            Effect::Deny => ways.push("context.about == \"unknown\"".to_owned()),
        }
        parts.push(any(ways.into_iter()));
    }
    parts.extend(rule.when.iter().map(|condition| condition_test(effect, condition)));
    let _ = write!(text, "{} }};", parts.join(" && "));
    text
}

fn subject_test(namespace: &str, subject: &Subject) -> String {
    let provider = subject.provider.as_ref().map(|provider| format!("{namespace}/{provider}"));
    let named =
        |provider: Option<&String>| quoted(&format!("{}|{}", provider.map_or("", String::as_str), subject.name));
    match subject.kind {
        SubjectKind::User => format!("principal == User::{}", named(provider.as_ref())),
        SubjectKind::Group => format!("principal in Group::{}", named(provider.as_ref())),
        SubjectKind::Workload => {
            let test = format!("principal is Workload && principal.name like {}", quoted(&subject.name));
            match provider {
                Some(provider) => format!("({test} && principal.provider == {})", quoted(&provider)),
                None => format!("({test})"),
            }
        }
    }
}

fn condition_test(effect: Effect, condition: &Condition) -> String {
    let values = format!("[{}]", condition.values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", "));
    if let Some(header) = &condition.header {
        let header = quoted(&header.to_lowercase());
        let test = match effect {
            Effect::Allow => format!("{values}.containsAll(context.headers[{header}])"),
            Effect::Deny => format!("{values}.containsAny(context.headers[{header}])"),
        };
        return format!("(context.headers has {header} && {test})");
    }
    if let Some(claim) = &condition.claim {
        let claim = quoted(claim);
        return format!("(context.claims has {claim} && {values}.containsAny(context.claims[{claim}]))");
    }
    if let Some(scope) = &condition.scope {
        return format!("context.scopes.contains({})", quoted(scope));
    }
    let network = |text: &String| format!("context.source.isInRange(ip({}))", quoted(text));
    let within = any(condition.source.iter().map(network));
    match effect {
        Effect::Allow => format!("(context has source && {within})"),
        Effect::Deny => format!("(!(context has source) || {within})"),
    }
}

fn any(ways: impl Iterator<Item = String>) -> String {
    format!("({})", ways.collect::<Vec<_>>().join(" || "))
}

fn quoted(text: &str) -> String {
    assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'), "{text}");
    format!("\"{text}\"")
}

/// One question, as Cedar takes it.
pub(crate) struct Asked {
    requests: Vec<Request>,
    entities: Entities,
}

impl Asked {
    /// Where any of several models may answer, one request for each.
    pub(crate) fn new(principal: &Principal, route: &DocumentId, question: &Question<'_>) -> Self {
        let models: Vec<AboutModel<'_>> = match question.model {
            AboutModel::AnyOf([]) => vec![AboutModel::Unknown],
            AboutModel::AnyOf(models) => models.iter().map(|model| AboutModel::Named(model)).collect(),
            about => vec![about],
        };
        let who = uid_of(principal);
        let what = json!({"type": "Route", "id": format!("{}/{}", route.namespace, route.name)});
        let groups: Vec<Value> = principal
            .groups
            .iter()
            .map(|group| json!({"type": "Group", "id": name_of(&group.provider, &group.name)}))
            .collect();
        let provider = format!("{}/{}", principal.provider.namespace, principal.provider.name);
        let entities = json!([
            {"uid": who, "attrs": {"name": &*principal.name, "provider": provider}, "parents": groups},
            {"uid": what, "attrs": {}, "parents": [{"type": "Namespace", "id": &*route.namespace}]},
        ]);
        let requests = models.into_iter().map(|about| {
            let uid = |value: &Value| EntityUid::from_json(value.clone()).unwrap();
            let action = json!({"type": "Action", "id": question.action.as_str()});
            let context = Context::from_json_value(context(principal, question, about), None).unwrap();
            Request::new(uid(&who), uid(&action), uid(&what), context, None).unwrap()
        });
        Self { requests: requests.collect(), entities: Entities::from_json_value(entities, None).unwrap() }
    }

    /// Whether Cedar allows it. What it cannot evaluate is a denial.
    pub(crate) fn is_allowed(&self, authorizer: &Authorizer, policies: &PolicySet) -> bool {
        self.requests.iter().all(|request| {
            let response = authorizer.is_authorized(request, policies, &self.entities);
            response.decision() == Decision::Allow && response.diagnostics().errors().next().is_none()
        })
    }
}

fn name_of(provider: &DocumentId, name: &str) -> String {
    format!("{}/{}|{name}", provider.namespace, provider.name)
}

fn uid_of(principal: &Principal) -> Value {
    match principal.kind {
        PrincipalKind::User => json!({"type": "User", "id": name_of(&principal.provider, &principal.name)}),
        PrincipalKind::Workload => json!({"type": "Workload", "id": &*principal.name}),
    }
}

fn context(principal: &Principal, question: &Question<'_>, about: AboutModel<'_>) -> Value {
    let mut context = json!({
        "about": match about {
            AboutModel::None => "none",
            AboutModel::Named(_) => "named",
            AboutModel::Unknown | AboutModel::AnyOf(_) => "unknown",
        },
        "scopes": principal.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
        "claims": claims(principal),
        "headers": headers(question),
    });
    if let AboutModel::Named(model) = about {
        context["model"] = model.into();
    }
    if let Some(source) = question.source {
        context["source"] = json!({"__extn": {"fn": "ip", "arg": IpAddr::to_canonical(&source).to_string()}});
    }
    context
}

/// Each claim by its dotted name, as the set of its values.
fn claims(principal: &Principal) -> Value {
    fn add(name: &str, value: &Value, found: &mut serde_json::Map<String, Value>) {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| add(&format!("{name}.{key}"), value, found)),
            Value::Array(items) => {
                found.insert(name.to_owned(), items.iter().filter_map(text).collect());
            }
            other => {
                found.insert(name.to_owned(), text(other).into_iter().collect());
            }
        }
    }
    let mut found = serde_json::Map::new();
    principal.claims.iter().for_each(|(name, value)| add(name, value, &mut found));
    found.into()
}

/// Each header that has a value, as the set of its values.
fn headers(question: &Question<'_>) -> Value {
    let mut found = serde_json::Map::new();
    for name in question.headers.keys() {
        let lines = question.headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        let values: Vec<&str> =
            lines.flat_map(|line| line.split(',')).map(str::trim).filter(|v| !v.is_empty()).collect();
        if !values.is_empty() {
            found.insert(name.as_str().to_owned(), values.into());
        }
    }
    found.into()
}
