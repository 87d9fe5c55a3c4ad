//! Which model a request is about, once its rule is known: the one that would answer, not the one that was asked for.
//!
//! A backend that says which models it serves is sent requests for no other. So whoever names a model names one that is
//! served, and whoever names none is judged by all that could answer. The exchange, `explain`, `test`, `diff` and `check`
//! ask here, and so cannot disagree.

use std::{borrow::Cow, sync::Arc};

use crate::{
    Snapshot,
    action::Action,
    authorize::AboutModel,
    snapshot::{Backend, Rule, WeightedBackend},
};

/// The model that a request is about; see [`AboutModel`], which borrows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved<'s> {
    /// None.
    None,
    /// This one.
    Named(&'s str),
    /// Any of these, at least two.
    AnyOf(Cow<'s, [Arc<str>]>),
    /// One that cannot be known here.
    Unknown,
}

impl Resolved<'_> {
    /// As a [`Question`](crate::authorize::Question) takes it.
    pub fn about(&self) -> AboutModel<'_> {
        match self {
            Self::None => AboutModel::None,
            Self::Named(model) => AboutModel::Named(model),
            Self::AnyOf(models) => AboutModel::AnyOf(models),
            Self::Unknown => AboutModel::Unknown,
        }
    }
}

/// No backend of the rule serves the model that is named: 404 `model_not_found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no backend of this rule serves the model")]
pub struct NotServed;

/// The model that a request is about: `named` as the request names it, resolved among the backends that get requests.
pub fn about_model<'s>(
    snapshot: &'s Snapshot,
    rule: &'s Rule,
    action: Action,
    named: Option<&'s str>,
) -> Result<Resolved<'s>, NotServed> {
    if let Some(model) = named {
        let mut weighted = weighted(rule).peekable();
        // A rule without backends redirects, or answers 500: it is asked for no model.
        if weighted.peek().is_some() && !weighted.any(|reference| serves(snapshot, reference, Some(model))) {
            return Err(NotServed);
        }
        return Ok(Resolved::Named(model));
    }
    Ok(match action {
        Action::Infer => any_served(snapshot, rule),
        // What is loaded is another model than those that are served.
        Action::LoadModel => Resolved::Unknown,
        Action::ListModels
        | Action::ReadMetadata
        | Action::Metrics
        | Action::Files
        | Action::Admin
        | Action::Access => Resolved::None,
    })
}

/// Whether a backend may be sent a request that names this model. One that does not say what it serves may be sent any;
/// so may a reference that leads nowhere, which answers 500.
pub fn serves(snapshot: &Snapshot, reference: &WeightedBackend, model: Option<&str>) -> bool {
    let Some(model) = model else { return true };
    let Some(backend) = backend(snapshot, reference) else { return true };
    backend.models.is_empty() || backend.models.iter().any(|served| **served == *model)
}

/// The models that could answer a request that names none.
fn any_served<'s>(snapshot: &'s Snapshot, rule: &'s Rule) -> Resolved<'s> {
    let mut models: Cow<'s, [Arc<str>]> = Cow::Borrowed(&[]);
    for backend in weighted(rule).filter_map(|reference| backend(snapshot, reference)) {
        if backend.models.is_empty() {
            return Resolved::Unknown;
        }
        if models.is_empty() {
            models = Cow::Borrowed(&backend.models);
        } else if *models != *backend.models {
            let new = backend.models.iter().filter(|model| !models.contains(model)).cloned().collect::<Vec<_>>();
            models.to_mut().extend(new);
        }
    }
    match (models.first(), &models) {
        (None, _) => Resolved::Unknown,
        (Some(first), Cow::Borrowed(all)) if all.iter().all(|model| model == first) => {
            all.first().map_or(Resolved::Unknown, |model| Resolved::Named(model))
        }
        _ => Resolved::AnyOf(models),
    }
}

/// Those that get requests.
fn weighted(rule: &Rule) -> impl Iterator<Item = &WeightedBackend> {
    rule.backends.iter().filter(|reference| reference.weight > 0)
}

fn backend<'s>(snapshot: &'s Snapshot, reference: &WeightedBackend) -> Option<&'s Backend> {
    reference.target.as_ref().ok().and_then(|id| snapshot.backends.get(id.0 as usize))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{
        routes::{Facts, Found, Model},
        testing::{self, OPEN_GATEWAY},
    };

    /// A route to backends, each with a weight and the models it serves.
    fn snapshot(backends: &[(u32, &str)]) -> Snapshot {
        let route = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs:
";
        let mut text = format!("{OPEN_GATEWAY}{route}");
        for (index, (weight, _)) in backends.iter().enumerate() {
            let _ = writeln!(
                text,
                "    - {{group: portcullis.dev, kind: InferenceBackend, name: backend-{index}, weight: {weight}}}"
            );
        }
        for (index, (_, models)) in backends.iter().enumerate() {
            let _ = writeln!(
                text,
                "---
apiVersion: portcullis.dev/v1alpha1
kind: InferenceBackend
metadata: {{name: backend-{index}}}
spec:
  protocol: openai
  models: [{models}]
  transport: {{plaintext: {{}}}}
  endpoints: [{{address: 127.0.0.1, port: 1}}]"
            );
        }
        testing::snapshot(&text)
    }

    /// What a request for `named` is about.
    fn check(backends: &[(u32, &str)], action: Action, named: Option<&str>, expected: Result<&str, NotServed>) {
        let snapshot = snapshot(backends);
        let headers = http::HeaderMap::new();
        let facts = Facts {
            host: "any.test",
            method: &http::Method::POST,
            path: "/v1/chat/completions",
            query: None,
            headers: &headers,
            model: Model::Known(named),
        };
        let rule = snapshot.listeners.first().and_then(|listener| match listener.routes.find(&facts) {
            Found::Rule(matched) => Some(matched.rule),
            Found::NeedsModel(_) | Found::Nothing => None,
        });
        let Some(rule) = rule else { unreachable!("there is one rule") };
        let resolved = about_model(&snapshot, rule, action, named);
        let said = resolved.as_ref().map_err(|error| *error).map(|resolved| match resolved.about() {
            AboutModel::None => "none".to_owned(),
            AboutModel::Named(model) => model.to_owned(),
            AboutModel::AnyOf(models) => models.iter().map(|model| &**model).collect::<Vec<_>>().join(" or "),
            AboutModel::Unknown => "unknown".to_owned(),
        });
        assert_eq!(said.as_deref().map_err(|error| *error), expected, "{backends:?} {action} {named:?}");
    }

    #[test]
    fn a_model_that_is_named_must_be_served() {
        let served = |named, expected| check(&[(1, "small, big")], Action::Infer, Some(named), expected);
        served("big", Ok("big"));
        served("bigger", Err(NotServed));
        served("BIG", Err(NotServed));
        check(&[(1, "small"), (0, "big")], Action::Infer, Some("big"), Err(NotServed));
        check(&[(1, "small"), (1, "big")], Action::Infer, Some("big"), Ok("big"));
        check(&[(1, "")], Action::Infer, Some("anything"), Ok("anything"));
        check(&[(1, "small"), (1, "")], Action::Infer, Some("anything"), Ok("anything"));
        check(&[(1, "small")], Action::ReadMetadata, Some("big"), Err(NotServed));
    }

    #[test]
    fn who_names_no_model_is_judged_by_all_that_could_answer() {
        let unnamed = |backends, expected| check(backends, Action::Infer, None, Ok(expected));
        unnamed(&[(1, "small")], "small");
        unnamed(&[(9, "small"), (1, "small")], "small");
        unnamed(&[(1, "small, big")], "small or big");
        unnamed(&[(1, "small"), (1, "big")], "small or big");
        unnamed(&[(1, "small, big"), (1, "big, huge")], "small or big or huge");
        unnamed(&[(1, "small"), (0, "big")], "small");
        unnamed(&[(1, "")], "unknown");
        unnamed(&[(1, "small"), (1, "")], "unknown");
        unnamed(&[(0, "small")], "unknown");
    }

    #[test]
    fn what_is_about_no_model_names_none() {
        for action in [Action::ListModels, Action::ReadMetadata, Action::Metrics, Action::Files, Action::Admin] {
            check(&[(1, "small")], action, None, Ok("none"));
        }
        check(&[(1, "small")], Action::LoadModel, None, Ok("unknown"));
    }
}
