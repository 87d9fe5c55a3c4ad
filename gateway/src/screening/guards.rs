//! Guards elsewhere, as stages: who asks which, all of them at once, and what their opinions come to.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use futures_util::future::join_all;
use portcullis_policy::{
    Snapshot,
    guard::screen::{Detector, Direction, OnError, Reaction, Speaker, Stage},
};
use tokio::runtime::Handle;

use super::{
    Tally, Way,
    service::{Asker, NoOpinion, Opinion, Question},
};

/// Who asks the guards of a revision.
#[derive(Debug, Default)]
pub struct Guards(HashMap<usize, Asker>);

impl Guards {
    /// Everybody that the documents name. Who was asked before is asked over the same connections.
    pub fn build(snapshot: &Snapshot, previous: Option<&Self>) -> Result<Self, String> {
        let rules = snapshot.listeners.iter().flat_map(|listener| listener.routes.rules());
        let guarded = rules.filter_map(|rule| rule.guardrails.as_ref());
        let stages = guarded.flat_map(|guardrails| guardrails.input.stages.iter().chain(&guardrails.output.stages));
        let mut askers = HashMap::new();
        for stage in stages {
            let Detector::Service(service) = &stage.detector else { continue };
            let key = Arc::as_ptr(service) as usize;
            if askers.contains_key(&key) {
                continue;
            }
            let known = previous.and_then(|previous| previous.0.values().find(|asker| asker.service() == service));
            let asker = match known {
                Some(asker) => asker.clone(),
                None => {
                    let runtime = Handle::try_current().map_err(|error| error.to_string())?;
                    let told = |reason| format!("the guard `{}` of {}: {reason}", stage.name, stage.policy);
                    Asker::new(service.clone(), runtime).map_err(told)?
                }
            };
            askers.insert(key, asker);
        }
        Ok(Self(askers))
    }

    /// Who asks for the stages of a direction.
    pub(super) fn of(&self, direction: &Direction) -> Vec<Asked> {
        let stages = direction.stages.iter().enumerate();
        stages
            .filter_map(|(place, stage)| {
                let Detector::Service(service) = &stage.detector else { return None };
                let asker = self.0.get(&(Arc::as_ptr(service) as usize))?.clone();
                Some(Asked { stage: place, asker })
            })
            .collect()
    }
}

/// A stage, and who asks for it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) stage: usize,
    pub(super) asker: Asker,
}

/// What the guards elsewhere come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opinions {
    /// All pass, or say what to write instead of some texts: in the order of the question's.
    Pass(Option<Vec<Option<String>>>),
    /// This stage refuses.
    Refused(usize),
    /// A guard that had to answer has not.
    Unanswered(NoOpinion),
}

/// Asks all guards of a direction about these texts, at the same time.
pub(super) async fn ask(
    asked: &[Asked],
    way: Way,
    texts: &[(Speaker, String)],
    model: Option<&Arc<str>>,
    tally: &Rc<Tally>,
) -> Opinions {
    let direction = tally.direction(way).clone();
    let questions = asked.iter().filter_map(|asked| {
        let stage = direction.stages.get(asked.stage)?;
        // Positions matter to a guard that rewrites, so what a stage does not look at is shown as nothing.
        let shown = |(speaker, text): &(Speaker, String)| {
            let is_shown = stage.speakers.has(*speaker) || (way == Way::Output && *speaker != Speaker::Assistant);
            (*speaker, if is_shown { text.clone() } else { String::new() })
        };
        let shown: Vec<_> = texts.iter().map(shown).collect();
        let question = Question { way, texts: shown.clone(), model: model.cloned() };
        Some(async move { (asked.stage, stage, shown, timed(asked, question, way, stage, tally).await) })
    });
    let mut instead = None;
    let mut no = None;
    for (place, stage, shown, opinion) in join_all(questions).await {
        match judge(place, stage, opinion, way, tally) {
            Opinions::Pass(None) => {}
            Opinions::Pass(Some(texts)) => {
                let changed = texts.into_iter().zip(&shown);
                instead = Some(changed.map(|(new, (_, old))| new.filter(|new| new != old)).collect());
            }
            // A refusal counts more than no answer, and the first of them is told.
            refused @ Opinions::Refused(_) if !matches!(no, Some(Opinions::Refused(_))) => no = Some(refused),
            other => no = no.or(Some(other)),
        }
    }
    no.unwrap_or(Opinions::Pass(instead))
}

async fn timed(
    asked: &Asked,
    question: Question,
    way: Way,
    stage: &Stage,
    tally: &Tally,
) -> Result<Opinion, NoOpinion> {
    let started = std::time::Instant::now();
    let opinion = asked.asker.ask(question).await;
    tally.worker().metrics.guardrail_took([way.as_str(), &stage.name], started.elapsed());
    opinion
}

/// What one opinion comes to. It is told in any case.
pub(super) fn judge(
    place: usize,
    stage: &Stage,
    opinion: Result<Opinion, NoOpinion>,
    way: Way,
    tally: &Tally,
) -> Opinions {
    match opinion {
        Ok(Opinion::Passes) => Opinions::Pass(None),
        Ok(Opinion::Refuses { rule }) => {
            tally.opinion(way, place, &rule);
            if stage.is_shadow || stage.reaction == Reaction::Flag {
                return Opinions::Pass(None);
            }
            Opinions::Refused(place)
        }
        Ok(Opinion::Rewrites { rule, texts }) => {
            tally.opinion(way, place, &rule);
            match stage.reaction {
                _ if stage.is_shadow => Opinions::Pass(None),
                Reaction::Flag => Opinions::Pass(None),
                Reaction::Mask => Opinions::Pass(Some(texts.into_iter().map(Some).collect())),
                Reaction::Block | Reaction::Tokenize | Reaction::StripTools => Opinions::Refused(place),
            }
        }
        Err(no) => {
            tally.failed(way, &stage.name, no.as_str());
            if stage.is_shadow || stage.on_error == OnError::Pass {
                return Opinions::Pass(None);
            }
            Opinions::Unanswered(no)
        }
    }
}
