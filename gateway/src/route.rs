//! The routing stage: which rule a request meets, before its body has been read and after.

use http::Method;
use portcullis_policy::{
    action::{self, Action},
    routes::{Choices, Facts, Found, Match, Model},
    snapshot::{Access, Listener, Rule, Snapshot},
};

use crate::{
    canonical::Canonical,
    prompt::Need,
    receive::{Line, Request},
    refusal::Refusal,
};

/// What a request can still become before its body has been read.
#[derive(Debug, Clone)]
pub enum Candidates<'t> {
    /// This rule, whatever the body says.
    Rule(Match<'t>),
    /// The body decides: it names the model. One of these it will be.
    ByModel(Choices<'t>),
}

/// The rules that a request can meet at a listener.
pub fn candidates<'t>(
    listener: &'t Listener,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &Request,
) -> Result<Candidates<'t>, Refusal> {
    // `OPTIONS *` is about the server as a whole, and no route is.
    if canonical.is_asterisk() {
        return Err(Refusal::route_not_found());
    }
    match listener.routes.find(&facts(line, canonical, request, Model::Unread)) {
        Found::Rule(matched) => Ok(Candidates::Rule(matched)),
        Found::NeedsModel(choices) => Ok(Candidates::ByModel(choices)),
        Found::Nothing => Err(Refusal::route_not_found()),
    }
}

impl<'t> Candidates<'t> {
    /// Who may use the rules that a request can still meet.
    pub fn each_access(&self, mut look: impl FnMut(&'t Access)) {
        match self {
            Candidates::Rule(matched) => look(&matched.rule.access),
            Candidates::ByModel(choices) => choices.iter().for_each(|rule| look(&rule.access)),
        }
    }

    /// How much it matters to know the model.
    pub fn need(&self, snapshot: &Snapshot, line: &Line, canonical: &Canonical<'_>) -> Need {
        match self {
            Candidates::ByModel(_) => Need::Required,
            // Who may use one model may not use all: a body from which it cannot be read could name any.
            Candidates::Rule(Match { rule, .. })
                if matches!(rule.access, Access::Guarded(_))
                    && action_of(snapshot, rule, &line.method, canonical.path()) == Action::Infer =>
            {
                Need::Required
            }
            Candidates::Rule(matched) => {
                let mut backends = matched.rule.backends.iter().filter_map(|backend| backend.target.as_ref().ok());
                let speaks_inference = backends
                    .any(|id| snapshot.backends.get(id.0 as usize).is_some_and(|backend| backend.dialect.is_some()));
                if speaks_inference { Need::Useful } else { Need::None }
            }
        }
    }

    /// The one rule, now that the model is known.
    pub fn choose(
        self,
        listener: &'t Listener,
        line: &Line,
        canonical: &Canonical<'_>,
        request: &Request,
        model: Option<&str>,
    ) -> Result<Match<'t>, Refusal> {
        match self {
            Candidates::Rule(matched) => Ok(matched),
            Candidates::ByModel(_) => match listener.routes.find(&facts(line, canonical, request, Model::Known(model)))
            {
                Found::Rule(matched) => Ok(matched),
                Found::NeedsModel(_) | Found::Nothing => Err(Refusal::route_not_found()),
            },
        }
    }
}

/// What a request does at a rule.
pub fn action_of(snapshot: &Snapshot, rule: &Rule, method: &Method, path: &str) -> Action {
    let targets = rule.backends.iter().filter_map(|reference| reference.target.as_ref().ok());
    let mut backends = targets.filter_map(|id| snapshot.backends.get(id.0 as usize));
    let dialect = backends.find_map(|backend| backend.dialect);
    action::classify(dialect, method, path)
}

fn facts<'r>(line: &'r Line, canonical: &'r Canonical<'_>, request: &'r Request, model: Model<'r>) -> Facts<'r> {
    Facts {
        host: canonical.host(),
        method: &line.method,
        path: canonical.path(),
        query: canonical.query(),
        headers: &request.headers,
        model,
    }
}
