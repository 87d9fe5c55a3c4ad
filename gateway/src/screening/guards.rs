//! Guards elsewhere, as stages: who asks which, all of them at once, and what their opinions come to.

use std::{borrow::Cow, collections::HashMap, rc::Rc, sync::Arc, time::Instant};

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

/// Asks all guards of a direction about these texts, at the same time. One that would write over what another has written is
/// asked about that.
pub(super) async fn ask(
    asked: &[Asked],
    way: Way,
    texts: &[(Speaker, String)],
    model: Option<&Arc<str>>,
    tally: &Rc<Tally>,
) -> Opinions {
    let asking = Asking { way, direction: tally.direction(way), model, tally };
    let opinions = join_all(asked.iter().map(|asked| asking.about(asked, texts))).await;
    let (mut now, mut no) = (Cow::Borrowed(texts), None);
    for (asked, mut opinions) in asked.iter().zip(opinions) {
        if let Opinions::Pass(Some(instead)) = &opinions
            && instead
                .iter()
                .zip(texts.iter().zip(&*now))
                .any(|(instead, (came, now))| instead.is_some() && came != now)
        {
            opinions = asking.about(asked, &now).await;
        }
        match opinions {
            Opinions::Pass(None) => {}
            Opinions::Pass(Some(instead)) => {
                for ((_, text), instead) in now.to_mut().iter_mut().zip(instead) {
                    *text = instead.unwrap_or_else(|| std::mem::take(text));
                }
            }
            // A refusal counts more than no answer, and the first of them is told.
            refused @ Opinions::Refused(_) if !matches!(no, Some(Opinions::Refused(_))) => no = Some(refused),
            other => no = no.or(Some(other)),
        }
    }
    let written = |now: Vec<(Speaker, String)>| {
        now.into_iter().zip(texts).map(|((_, now), (_, came))| (now != *came).then_some(now)).collect()
    };
    no.unwrap_or_else(|| Opinions::Pass(if let Cow::Owned(now) = now { Some(written(now)) } else { None }))
}

/// What guards of one direction are asked.
struct Asking<'a> {
    way: Way,
    direction: &'a Direction,
    model: Option<&'a Arc<str>>,
    tally: &'a Tally,
}

impl Asking<'_> {
    /// What one guard's opinion about these texts comes to.
    async fn about(&self, asked: &Asked, texts: &[(Speaker, String)]) -> Opinions {
        let Some(stage) = self.direction.stages.get(asked.stage) else {
            return Opinions::Unanswered(NoOpinion::Failed);
        };
        let is_shown = |speaker: Speaker| {
            stage.speakers.has(speaker) || (self.way == Way::Output && speaker != Speaker::Assistant)
        };
        // Positions matter to a guard that rewrites, so what a stage does not look at is shown as nothing.
        let shown = |(speaker, text): &(Speaker, String)| {
            (*speaker, if is_shown(*speaker) { text.clone() } else { String::new() })
        };
        let question = Question { way: self.way, texts: texts.iter().map(shown).collect(), model: self.model.cloned() };
        let started = Instant::now();
        let opinion = asked.asker.ask(question).await;
        self.tally.worker().metrics.guardrail_took([self.way.as_str(), &stage.name], started.elapsed());
        match judge(asked.stage, stage, opinion, self.way, self.tally) {
            Opinions::Pass(Some(instead)) => {
                let changes = |(instead, (speaker, text)): (Option<String>, &(Speaker, String))| {
                    instead.filter(|instead| is_shown(*speaker) && instead != text)
                };
                Opinions::Pass(Some(instead.into_iter().zip(texts).map(changes).collect()))
            }
            opinions => opinions,
        }
    }
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
