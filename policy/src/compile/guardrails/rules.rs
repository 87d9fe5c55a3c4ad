//! The rules of an engine, from what one rule of a document looks for.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    policy::{Draft, Way},
    rails,
};
use crate::{
    compile::status::arc,
    documents::{
        Kind, closest,
        kinds::{
            gateway_api::ObjectReference,
            ours::{ALL_KINDS, Canary, Exfiltration, GuardrailRule, Pii, Secrets},
        },
    },
    guard::{
        engine::{Action, Rule},
        rules::{self, AllowedHosts, Set, canary},
    },
};

/// One rule for the engine.
pub(super) struct RuleDraft {
    /// What it is called in findings.
    pub(super) name: Arc<str>,
    /// The kind of what it finds, for placeholders.
    pub(super) kind: Arc<str>,
    pub(super) rule: Rule,
    /// Two rules with the same key are the same for the engine.
    pub(super) key: String,
    /// Where it is written.
    pub(super) path: String,
}

/// The rules of an engine that a rule of a document, written at `path`, means.
pub(super) fn drafts(
    way: Way,
    rule: &GuardrailRule,
    path: &str,
    action: &Action,
    draft: &mut Draft<'_, '_>,
) -> Vec<RuleDraft> {
    let mut drafts = Vec::new();
    if let Some(pii) = &rule.pii {
        drafts.extend(personal(pii, path, action));
    }
    if let Some(secrets) = &rule.secrets {
        drafts.extend(credentials(secrets, path, action, draft));
    }
    if let Some(exfiltration) = &rule.exfiltration {
        drafts.extend(carried_out(exfiltration, path, action));
    }
    drafts.extend(
        rule.canaries.iter().enumerate().flat_map(|(index, canary)| {
            canaries(canary, &rule.name, &format!("{path}.canaries[{index}]"), action, draft)
        }),
    );
    drafts.extend(rule.patterns.iter().enumerate().map(|(index, pattern)| {
        let rule = Rule::new(&pattern.name, &pattern.regex, action.clone());
        written(rule, &pattern.name, format!("{path}.patterns[{index}].regex"))
    }));
    drafts.extend(rule.words.iter().enumerate().map(|(index, word)| {
        written(Rule::word(&rule.name, word, action.clone()), &rule.name, format!("{path}.words[{index}]"))
    }));
    if let Some(nemo) = &rule.nemo {
        drafts.extend(rails::drafts(way, rule, nemo, &format!("{path}.nemo"), action, draft));
    }
    drafts
}

/// A rule of which an admin wrote the expression.
pub(super) fn written(rule: Rule, name: &str, path: String) -> RuleDraft {
    // `not_after` and `not_before` follow from the pattern of a word.
    let key = format!("{name}\0{}\0{:?}\0{}", rule.pattern, rule.action, rule.unicode);
    RuleDraft { name: arc(name), kind: kind_word(name), rule, key, path }
}

pub(super) fn shipped(
    rule: &'static rules::Rule,
    kind: &str,
    path: &str,
    action: &Action,
    allowed: &[String],
) -> RuleDraft {
    let hosts = Arc::new(AllowedHosts::new(allowed.iter().map(String::as_str)));
    RuleDraft {
        name: arc(rule.id),
        kind: kind_word(kind),
        rule: rule.applied(action.clone(), &hosts),
        key: format!("\0{}\0{action:?}\0{}", rule.id, allowed.join("\0")),
        path: path.to_owned(),
    }
}

pub(super) fn of_set(set: Set) -> impl Iterator<Item = &'static rules::Rule> {
    rules::all().iter().copied().filter(move |rule| rule.set == set)
}

fn personal(pii: &Pii, path: &str, action: &Action) -> Vec<RuleDraft> {
    // Who asks for whole addresses has their domains.
    let of_all = |kind: &str| kind != "email-domain";
    let named = |kind: &str| pii.kinds.iter().any(|named| named == kind || named == ALL_KINDS && of_all(kind));
    let rules = of_set(Set::Pii).filter(|rule| named(rule.kind));
    rules.map(|rule| shipped(rule, rule.kind, &format!("{path}.pii"), action, &[])).collect()
}

fn credentials(secrets: &Secrets, path: &str, action: &Action, draft: &mut Draft<'_, '_>) -> Vec<RuleDraft> {
    let ids = || of_set(Set::Secrets).map(|rule| rule.id);
    let mut is_known = true;
    for (index, except) in secrets.except.iter().enumerate() {
        if ids().all(|id| id != except) {
            is_known = false;
            let help = match closest(except, ids()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "the page of guardrail rules lists them".to_owned(),
            };
            let path = format!("{path}.secrets.except[{index}]");
            draft.fail("unknown-value", &path, format!("there is no rule `{except}` for secrets"), "not a rule", &help);
        }
    }
    if !is_known {
        return Vec::new();
    }
    let rules = of_set(Set::Secrets).filter(|rule| secrets.except.iter().all(|except| except != rule.id));
    rules.map(|rule| shipped(rule, "secret", &format!("{path}.secrets"), action, &[])).collect()
}

fn carried_out(spec: &Exfiltration, path: &str, action: &Action) -> Vec<RuleDraft> {
    let named = |kind: &str| spec.kinds.is_empty() || spec.kinds.iter().any(|named| named == kind);
    let rules = of_set(Set::Exfiltration).filter(|rule| named(rule.kind));
    let path = format!("{path}.exfiltration");
    rules.map(|rule| shipped(rule, rule.kind, &path, action, &spec.allowed_hosts)).collect()
}

fn canaries(canary: &Canary, name: &str, path: &str, action: &Action, draft: &mut Draft<'_, '_>) -> Vec<RuleDraft> {
    let (path, words) = match canary {
        Canary { word: Some(word), .. } => (format!("{path}.word"), vec![word.clone()]),
        Canary { secret_ref: Some(reference), .. } => {
            let path = format!("{path}.secretRef");
            let words = draft.secret(reference, &path).unwrap_or_default();
            (path, words)
        }
        // The schema has said that exactly one belongs there.
        _ => return Vec::new(),
    };
    let mut drafts = Vec::new();
    for word in &words {
        match canary::expressions(word) {
            Ok(expressions) => drafts.extend(expressions.iter().map(|expression| {
                let rule = Rule { unicode: false, ..Rule::new(name, expression, action.clone()) };
                RuleDraft { kind: arc("CANARY"), ..written(rule, name, path.clone()) }
            })),
            Err(error) => draft.fail("invalid-value", &path, error.to_string(), "not a canary", ""),
        }
    }
    drafts
}

/// `us-ssn` → `US_SSN`.
fn kind_word(kind: &str) -> Arc<str> {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    kind.chars().map(letter).collect::<String>().into()
}

impl Draft<'_, '_> {
    /// The values of a Secret of the same namespace, without the white space around them.
    pub(super) fn secret(&mut self, reference: &ObjectReference, path: &str) -> Option<Vec<String>> {
        let found = self.local(reference, "Secret", path)?;
        let Kind::Secret(secret) = &found.value else { return None };
        let decode = |encoded: &String| {
            let compact: String = encoded.split_whitespace().collect();
            STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let overridden = |key: &&String| !secret.string_data.contains_key(*key);
        let encoded = secret.data.iter().filter(|(key, _)| overridden(key)).map(|(_, value)| decode(value));
        let values: Option<Vec<String>> = secret.string_data.values().cloned().map(Some).chain(encoded).collect();
        let values = values.map(|values| values.iter().map(|value| value.trim().to_owned()).collect::<Vec<_>>());
        match values {
            Some(values) if !values.is_empty() => Some(values),
            _ => {
                let message = format!("{} holds no text", found.id);
                self.fail(
                    "invalid-value",
                    path,
                    message,
                    "no value to be used",
                    "its values are text, in Base64 under `data`",
                );
                None
            }
        }
    }
}
