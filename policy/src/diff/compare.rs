//! The questions: for each rule, each action, each class of models, whether one side allows what the other does not.

use std::{collections::BTreeSet, sync::Arc};

use foldhash::HashMap;

use super::{
    About, Cause, Change, Diff, Direction, NotEnumerated, Witness,
    classes::{Alphabet, classes, covers},
    guardrails,
    side::{RuleKey, Side, Term},
    solve::{Formula, TooHard, solve},
    universe::{Situation, Universe},
};
use crate::{
    action::Action,
    authorize::{AboutModel, Caller, Deciding, Question, authorize},
    check::Report,
    documents::Kind,
    resolve::about_model,
    roles::Effect,
    snapshot::{Access, DocumentId, Rule},
};

/// Compares two sets of documents, both of which are right.
pub fn compare(old: &Report, new: &Report) -> Diff {
    let (old, new) = (Side::new(&old.snapshot, &old.documents), Side::new(&new.snapshot, &new.documents));
    let mut diff = Diff { notes: notes(&old, &new), ..Diff::default() };
    let universe = match Universe::new(&old, &new) {
        Ok(universe) => universe,
        Err(beyond) => {
            diff.not_enumerated.push(beyond);
            return diff;
        }
    };
    let models = match Models::new(&old, &new) {
        Ok(models) => models,
        Err(beyond) => {
            diff.not_enumerated.push(beyond);
            return diff;
        }
    };
    let comparison = Comparison { old: &old, new: &new, universe: &universe, models: &models };
    let keys: BTreeSet<&RuleKey> = old.rules.keys().chain(new.rules.keys()).collect();
    for key in keys {
        comparison.rule(key, &mut diff);
    }
    diff
}

struct Comparison<'c, 'a> {
    old: &'c Side<'a>,
    new: &'c Side<'a>,
    universe: &'c Universe,
    models: &'c Models,
}

/// One side's answer to a question: when it allows, and by what.
struct Answer {
    allows: Formula,
    causes: Vec<(Cause, String, Formula)>,
    /// The same answers have the same key.
    key: String,
}

/// What one side says of one rule, as far as it does not depend on action and model.
struct AtRule<'a> {
    rule: Arc<Rule>,
    terms: Vec<Term<'a>>,
}

/// What is asked.
#[derive(Clone, Copy)]
struct Asking<'q> {
    key: &'q RuleKey,
    action: Action,
    about: &'q About,
}

/// Every difference one way, or too many steps.
type Outcome = Result<Vec<Found>, TooHard>;

/// What was found, before it is told of every action and model of which it is true.
#[derive(Clone)]
struct Found {
    cause: usize,
    situation: Situation,
}

impl Comparison<'_, '_> {
    fn rule(&self, key: &RuleKey, diff: &mut Diff) {
        let at = |side: &Side<'_>| side.rules.get(key).cloned();
        let (old, new) = (at(self.old), at(self.new));
        let is_asked = |rule: &Arc<Rule>| !rule.backends.is_empty();
        if !old.iter().chain(&new).any(is_asked) {
            // It redirects or answers 500: nobody needs permission for that.
            return;
        }
        let old = old.map(|rule| AtRule { terms: self.old.terms_of(&rule.route), rule });
        let new = new.map(|rule| AtRule { terms: self.new.terms_of(&rule.route), rule });
        let of = |side: &Side<'_>, at: &Option<AtRule<'_>>| {
            at.iter().flat_map(|at| side.actions(&at.rule).iter().collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let actions: BTreeSet<Action> = of(self.old, &old).into_iter().chain(of(self.new, &new)).collect();
        let mut known: HashMap<(String, String), [Outcome; 2]> = HashMap::default();
        for action in actions {
            for about in &self.models.all {
                let question = Asking { key, action, about };
                let old_answer = self.answer(self.old, old.as_ref(), action, about.name());
                let new_answer = self.answer(self.new, new.as_ref(), action, about.name());
                if old_answer.key == new_answer.key {
                    continue;
                }
                let memory = (old_answer.key.clone(), new_answer.key.clone());
                let [gains, losses] = known
                    .entry(memory)
                    .or_insert_with(|| {
                        [self.differences(&new_answer, &old_answer), self.differences(&old_answer, &new_answer)]
                    })
                    .clone();
                let at = (old.as_ref(), new.as_ref());
                self.tell(&question, at, Direction::Gains, gains, &new_answer, diff);
                self.tell(&question, at, Direction::Loses, losses, &old_answer, diff);
            }
        }
    }

    /// Asks the gateway itself about each situation that was found, and adds it to the differences.
    fn tell(
        &self,
        asking: &Asking<'_>,
        (old, new): (Option<&AtRule<'_>>, Option<&AtRule<'_>>),
        direction: Direction,
        found: Outcome,
        allowing: &Answer,
        diff: &mut Diff,
    ) {
        let Asking { key, action, about } = *asking;
        let Ok(found) = found else {
            diff.not_enumerated.push(NotEnumerated::Question { route: key.route.clone(), action });
            return;
        };
        for Found { cause, situation } in found {
            let Some((cause, who, _)) = allowing.causes.get(cause) else { continue };
            let before = judge(self.old, old, &situation.old, action, about.name(), &situation);
            let now = judge(self.new, new, &situation.new, action, about.name(), &situation);
            let ((Direction::Gains, Err(because), Ok(())) | (Direction::Loses, Ok(()), Err(because))) =
                (direction, before, now)
            else {
                diff.not_enumerated.push(NotEnumerated::Disagreement { route: key.route.clone(), action });
                continue;
            };
            add(diff, asking, direction, (who, cause), because, witness(direction, &situation, action, about.name()));
        }
    }

    /// For each cause on one side, a situation in which it counts and the other side does not allow.
    fn differences(&self, allowing: &Answer, refusing: &Answer) -> Outcome {
        let mut found = Vec::new();
        let refused = refusing.allows.not();
        let possible = self.universe.possible();
        for (index, (by, _, cause)) in allowing.causes.iter().enumerate() {
            let question =
                Formula::All(vec![cause.clone(), allowing.allows.clone(), refused.clone(), possible.clone()]);
            if let Some(values) = solve(&question, &self.universe.domains)? {
                let situation = self.universe.situation(&values, self.old, self.new);
                found.push(Found { cause: index, situation });
                if matches!(by, Cause::Policy(..)) {
                    // Whoever has a role is among them.
                    break;
                }
            }
        }
        Ok(found)
    }

    fn answer(&self, side: &Side<'_>, at: Option<&AtRule<'_>>, action: Action, named: Option<&str>) -> Answer {
        let refused = |key: &str| Answer { allows: Formula::FALSE, causes: Vec::new(), key: key.to_owned() };
        let Some(AtRule { rule, terms }) = at else { return refused("nothing") };
        let Ok(resolved) = about_model(side.snapshot, rule, action, named) else { return refused("nothing") };
        match &rule.access {
            Access::Anonymous { actions, .. } if !actions.contains(action) => refused("nothing"),
            Access::Anonymous { policy, location, .. } => {
                let cause = Cause::Policy(policy.clone(), location.clone());
                let causes = vec![(cause, "anyone, without a credential".to_owned(), Formula::TRUE)];
                Answer { allows: Formula::TRUE, causes, key: "anyone".to_owned() }
            }
            Access::Guarded(guard) => {
                let providers: Vec<&DocumentId> = guard
                    .providers
                    .iter()
                    .filter_map(|id| side.snapshot.providers.get(id.0 as usize))
                    .map(|provider| &provider.document)
                    .collect();
                let known = self.universe.known_by(side, &providers);
                let mut answer = Answer { allows: Formula::TRUE, causes: Vec::new(), key: format!("{known:?}") };
                let mut all = vec![known.clone()];
                let models: Vec<AboutModel<'_>> = match resolved.about() {
                    AboutModel::AnyOf(models) => models.iter().map(|model| AboutModel::Named(model)).collect(),
                    about => vec![about],
                };
                if let Some(location) = &guard.open_to_known {
                    let names: Vec<&str> = providers.iter().map(|provider| &*provider.name).collect();
                    let who = format!("whoever {} knows", names.join(" or "));
                    answer.causes.push((Cause::Policy(guard.policy.clone(), location.clone()), who, known));
                }
                for about in models {
                    let (mut allowing, mut denying) = (Vec::new(), Vec::new());
                    for term in terms.iter().filter(|term| term.speaks_of(action, about)) {
                        let formula = self.universe.term(side, term);
                        if term.rule.effect == Effect::Deny {
                            denying.push(formula.not());
                        } else {
                            let (cause, who) = (cause(term), term.subject.to_string());
                            if !answer.causes.iter().any(|(other, _, _)| *other == cause) {
                                answer.causes.push((cause, who, formula.clone()));
                            }
                            allowing.push(formula);
                        }
                    }
                    if guard.open_to_known.is_some() {
                        allowing = vec![Formula::TRUE];
                    }
                    let mut said: Vec<String> = allowing.iter().map(|it| format!("+{it:?}")).collect();
                    said.extend(denying.iter().map(|it| format!("-{it:?}")));
                    said.sort_unstable();
                    said.dedup();
                    answer.key.push_str(&said.join(";"));
                    answer.key.push('|');
                    all.push(Formula::Any(allowing));
                    all.push(Formula::All(denying));
                }
                answer.allows = Formula::All(all);
                answer
            }
        }
    }
}

/// What the gateway itself says.
fn judge(
    side: &Side<'_>,
    at: Option<&AtRule<'_>>,
    caller: &Caller,
    action: Action,
    named: Option<&str>,
    situation: &Situation,
) -> Result<(), String> {
    let Some(AtRule { rule, .. }) = at else { return Err("there is no such rule".to_owned()) };
    let resolved = about_model(side.snapshot, rule, action, named).map_err(|error| error.to_string())?;
    let question =
        Question { action, model: resolved.about(), headers: &situation.headers, source: Some(situation.source) };
    match authorize(side.snapshot, rule, caller, &question) {
        Ok(_) => Ok(()),
        Err(crate::authorize::Denial::Denied(deciding)) => Err(format!("denied by {}", told(&deciding))),
        Err(denial) => Err(format!("{denial}, says {} ({})", rule.access.policy(), rule.access.location())),
    }
}

fn cause(term: &Term<'_>) -> Cause {
    Cause::Role(Deciding {
        binding: term.binding.document.clone(),
        role: term.role.document.clone(),
        rule: term.rule.location.clone(),
        subject: term.subject.location.clone(),
    })
}

/// `RoleBinding inference/research (50-access.yaml:45:12), Role inference/big-model-user (50-access.yaml:20:3)`
pub(super) fn told(deciding: &Deciding) -> String {
    format!("{} ({}), {} ({})", deciding.binding, deciding.subject, deciding.role, deciding.rule)
}

fn add(
    diff: &mut Diff,
    asking: &Asking<'_>,
    direction: Direction,
    (who, by): (&str, &Cause),
    because: String,
    witness: Witness,
) {
    let Asking { key, action, about } = *asking;
    let what = (action, about.clone());
    let same = diff.changes.iter_mut().rev().find(|change| {
        change.direction == direction
            && change.route == key.route
            && change.rule == key.rule
            && change.gateway == key.gateway
            && change.by == *by
            && change.because == because
    });
    match same {
        Some(change) => {
            change.what.push(what);
            // A request that names its model is the plainer example.
            if change.witness.model.is_none() && witness.model.is_some() {
                change.witness = witness;
            }
        }
        None => diff.changes.push(Change {
            direction,
            route: key.route.clone(),
            rule: key.rule.clone(),
            gateway: key.gateway.clone(),
            who: who.to_owned(),
            by: by.clone(),
            because,
            what: vec![what],
            witness,
        }),
    }
}

fn witness(direction: Direction, situation: &Situation, action: Action, named: Option<&str>) -> Witness {
    let caller = match direction {
        Direction::Gains => &situation.new,
        Direction::Loses => &situation.old,
    };
    let principal = caller.principal();
    let headers = situation
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Witness {
        caller: principal.map(|principal| (principal.name.clone(), (*principal.provider).clone())),
        groups: principal.map_or_else(Vec::new, |principal| {
            principal.groups.iter().map(|group| (group.name.clone(), (*group.provider).clone())).collect()
        }),
        scopes: principal.map_or_else(Vec::new, |principal| principal.scopes.clone()),
        claims: principal.map_or_else(serde_json::Map::new, |principal| principal.claims.clone()),
        headers: headers.collect(),
        source: situation.source_matters.then_some(situation.source),
        action,
        model: named.map(Into::into),
    }
}

/// Classes of models: names that no pattern of either side, and no backend, can tell apart.
struct Models {
    all: Vec<About>,
}

impl Models {
    fn new(old: &Side<'_>, new: &Side<'_>) -> Result<Self, NotEnumerated> {
        let mut patterns: BTreeSet<Arc<str>> = BTreeSet::new();
        for side in [old, new] {
            for term in &side.terms {
                patterns.extend(term.rule.models.iter().map(|pattern| Arc::from(pattern.as_str())));
            }
            patterns.extend(side.snapshot.backends.iter().flat_map(|backend| &backend.models).cloned());
        }
        let texts: Vec<&str> = patterns.iter().map(|pattern| &**pattern).collect();
        let names = classes(&texts, Alphabet::Model).map_err(|_| NotEnumerated::Models)?;
        let mut all = vec![About::None];
        for name in names {
            all.push(if patterns.contains(name.as_str()) {
                About::Model(name.into())
            } else {
                let met = patterns.iter().filter(|pattern| covers(pattern, &name)).cloned().collect();
                About::Like(met, name.into())
            });
        }
        all.sort();
        Ok(Self { all })
    }
}

impl About {
    /// The name that a request gives.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Model(name) | Self::Like(_, name) => Some(name),
        }
    }
}

/// What changed, and is not compared.
fn notes(old: &Side<'_>, new: &Side<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for document in new.documents {
        let Some(before) = old.documents.iter().find(|before| before.id == document.id) else { continue };
        if before.source().trim() == document.source().trim() {
            continue;
        }
        let not_compared = match &document.value {
            Kind::HttpRoute(_) | Kind::GrpcRoute(_) | Kind::Gateway(_) => "which requests meet its rules",
            Kind::TlsRoute(_) => "who may use it",
            Kind::IdentityProvider(_) => "whom it knows, and by which names and groups,",
            _ => continue,
        };
        let at = document.location("metadata.name");
        notes.push(format!("{} is written otherwise ({at}); {not_compared} is not compared", document.id));
    }
    let gone_or_new = |these: &Side<'_>, others: &Side<'_>, word: &str| {
        let kinds = |kind: &Kind| matches!(kind, Kind::TlsRoute(_));
        let documents = these.documents.iter().filter(|document| kinds(&document.value));
        let only = documents.filter(|document| others.documents.iter().all(|other| other.id != document.id));
        only.map(|document| format!("{} {word}; whoever reaches it is not compared", document.id)).collect::<Vec<_>>()
    };
    notes.extend(gone_or_new(new, old, "is new"));
    notes.extend(gone_or_new(old, new, "is gone"));
    notes.extend(guardrails::notes(old, new));
    notes
}
