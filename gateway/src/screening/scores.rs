//! How likely what is said is an attempt to take over the model: the scores of one document, and second opinions on them.

use std::{sync::Arc, time::Instant};

use portcullis_policy::guard::{
    injection::{
        Scorer, Source,
        embedding::{DOUBT_FROM, EMBEDDED_TEXTS_MAX, NotEmbedded},
    },
    lanes::shape::Field,
    screen::{Detector, Direction, OnError, SecondOpinion, Stage, Thresholds},
};

use super::{Tally, Way, content::Content};

/// Of a text whose score reaches the threshold.
const BY_SCORE: &str = "prompt-injection";
/// Of a text in doubt that the second opinion is against, or that nobody could judge.
const BY_EMBEDDING: &str = "prompt-injection-embedding";

/// What came of scoring a document.
#[derive(Debug, Default)]
pub(super) struct Scored {
    /// Which stages count a text as an attack, and by what. A text that a stage wanted a second opinion on and got none is
    /// one, unless `onError` says otherwise.
    pub(super) found: Vec<(usize, Arc<str>)>,
    /// Which stages got no second opinion, and why.
    unanswered: Vec<(usize, &'static str)>,
    /// How often the models were asked, or would have been.
    doubted: usize,
}

impl Scored {
    /// Tells what was found, and who could not answer.
    pub(super) fn tell(&self, way: Way, tally: &Tally) {
        for (stage, rule) in &self.found {
            tally.add(way, *stage, rule);
        }
        for (stage, why) in &self.unanswered {
            if let Some(stage) = tally.direction(way).stages.get(*stage) {
                tally.failed(way, &stage.name, why);
            }
        }
    }
}

/// Whether a stage asks an embedding model about what is in doubt.
pub(super) fn has_second_opinion(stage: &Stage) -> bool {
    matches!(stage.detector, Detector::Injection(_, Some(_)))
}

/// A stage that scores.
struct Scoring<'d> {
    place: usize,
    stage: &'d Stage,
    thresholds: Thresholds,
    second: Option<&'d SecondOpinion>,
}

/// Scores what is said, text by text, and message by message where one is said in several. Second opinions have their time
/// from `now` on.
pub(super) fn score(direction: &Direction, content: &Content<'_>, now: Instant) -> Scored {
    let mut scored = Scored::default();
    let stages = direction.stages.iter().enumerate();
    let scoring: Vec<Scoring<'_>> = stages
        .filter_map(|(place, stage)| match &stage.detector {
            Detector::Injection(thresholds, second) => {
                Some(Scoring { place, stage, thresholds: *thresholds, second: second.as_ref() })
            }
            _ => None,
        })
        .collect();
    if scoring.is_empty() {
        return scored;
    }
    let joined = content.joined();
    let joined = joined.iter().map(|(place, text)| (*place, text.as_str()));
    for (place, text) in content.texts().into_iter().chain(joined) {
        // Words of the protocol and names that it made say nothing to a model.
        let Some(source) = place.speaker.source().filter(|_| place.field != Field::Structure) else { continue };
        let mut value = None;
        for scoring in scoring.iter().filter(|scoring| scoring.stage.speakers.has(place.speaker)) {
            let value = *value.get_or_insert_with(|| Scorer::shipped().score(text, source).value);
            scoring.judge(text, source, value, now, &mut scored);
        }
    }
    scored
}

impl Scoring<'_> {
    fn judge(&self, text: &str, source: Source, value: f32, now: Instant, scored: &mut Scored) {
        if value >= self.thresholds.of(source) {
            scored.found.push((self.place, BY_SCORE.into()));
        } else if let Some(second) = self.second
            && value >= DOUBT_FROM
        {
            scored.doubted += 1;
            let opinion = if scored.doubted > EMBEDDED_TEXTS_MAX {
                // Why nobody judged it: so many others were in doubt.
                Err("too_many")
            } else {
                second.model.score(text, source, now + second.timeout).map_err(NotEmbedded::as_str)
            };
            let is_attack = match opinion {
                Ok(value) => value >= second.threshold,
                Err(why) => {
                    scored.unanswered.push((self.place, why));
                    self.stage.on_error == OnError::Block
                }
            };
            if is_attack {
                scored.found.push((self.place, BY_EMBEDDING.into()));
            }
        }
    }
}
