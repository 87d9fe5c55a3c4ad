//! A NeMo Guardrails server (`POST /v1/checks`, 0.24): it runs the rails of one of its configurations, without a model of
//! its own having to answer.
//!
//! Its rails judge the last message of a conversation, so each text is asked about alone. Of a long conversation the
//! oldest texts are asked about together. The kind of rail is named: a configuration without rails of that kind is an error
//! there, and no opinion here. The name of a model is our document's and never the caller's, because the server compiles its
//! rails anew for each name and keeps them for ever.

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use portcullis_policy::guard::screen::Speaker;
use serde_json::{Map, Value, json};

use super::{Inner, NoOpinion, Opinion, Question, Way, rule, text};

/// Texts of one question that are asked about one by one.
const TEXTS_MAX: usize = 16;
/// What the server says in the place of an answer when one of its rails broke; it calls the text blocked then.
const FAILED: &str = "I'm sorry, an internal error has occurred.";
/// The name of what a server does that says it in other words without saying which of its rails did.
const MODIFIED: &str = "modified";
/// What stands between texts that are asked about together.
const BETWEEN: &str = "\n\n";

/// Texts that are asked about as one, by their places in the question.
struct Asked {
    places: Vec<usize>,
    text: String,
}

pub(super) async fn opinion(inner: &Inner, question: &Question) -> Result<Opinion, NoOpinion> {
    let asked = asked(question);
    let mut answers: FuturesUnordered<_> = asked
        .iter()
        .map(|asked| {
            let (places, body, copy) = (asked.places.as_slice(), body(inner, question, &asked.text), asked.text.len());
            async move { (places, inner.post(&body, copy).await.and_then(|answer| verdict(&answer))) }
        })
        .collect();
    let (mut rewritten, mut unanswered) = (None, None);
    while let Some((places, verdict)) = answers.next().await {
        match (verdict, places) {
            (Ok(Verdict::Passed), _) => {}
            // INVARIANT: what one text is refused for counts at once, whether or not there is an answer about the others.
            (Ok(Verdict::Blocked(rule)), _) => return Ok(Opinion::Refuses { rule }),
            (Ok(Verdict::Modified(said)), &[place]) => {
                let whole = || question.texts.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
                if let Some(text) = rewritten.get_or_insert_with(whole).get_mut(place) {
                    *text = said;
                }
            }
            // Which of them it means, nobody can say.
            (Ok(Verdict::Modified(_)), _) => return Ok(Opinion::Refuses { rule: MODIFIED.into() }),
            (Err(none), _) => unanswered = Some(none),
        }
    }
    match (unanswered, rewritten) {
        (Some(none), _) => Err(none),
        (None, Some(texts)) => Ok(Opinion::Rewrites { rule: MODIFIED.into(), texts }),
        (None, None) => Ok(Opinion::Passes),
    }
}

/// What is judged, the oldest together if it is much.
fn asked(question: &Question) -> Vec<Asked> {
    let is_judged = |speaker: Speaker| question.way == Way::Input || speaker == Speaker::Assistant;
    let judged = question.texts.iter().enumerate();
    let judged: Vec<_> = judged.filter(|(_, (speaker, text))| is_judged(*speaker) && !text.is_empty()).collect();
    let together = if judged.len() > TEXTS_MAX { judged.len() - (TEXTS_MAX - 1) } else { 0 };
    let (old, new) = judged.split_at(together.min(judged.len()));
    let old = (!old.is_empty()).then(|| Asked {
        places: old.iter().map(|(place, _)| *place).collect(),
        text: old.iter().map(|(_, (_, text))| text.as_str()).collect::<Vec<_>>().join(BETWEEN),
    });
    let new = new.iter().map(|(place, (_, text))| Asked { places: vec![*place], text: text.clone() });
    old.into_iter().chain(new).collect()
}

fn body(inner: &Inner, question: &Question, text: &str) -> Value {
    let messages = match question.way {
        Way::Input => json!([{"role": "user", "content": text}]),
        Way::Output => {
            json!([{"role": "user", "content": prompt(question)}, {"role": "assistant", "content": text}])
        }
    };
    json!({
        "model": inner.service.model.as_deref().unwrap_or_default(),
        "messages": messages,
        "guardrails": {"config_id": inner.service.config.as_deref(), "rail_types": [question.way.as_str()]},
    })
}

/// What an answer answers: the last that a person said.
fn prompt(question: &Question) -> &str {
    let said = question.texts.iter().rev().find(|(speaker, _)| *speaker == Speaker::User);
    said.map_or("", |(_, text)| text.as_str())
}

enum Verdict {
    Passed,
    Modified(String),
    Blocked(Arc<str>),
}

fn verdict(answer: &Map<String, Value>) -> Result<Verdict, NoOpinion> {
    let content = text(answer, "content")?;
    match text(answer, "status")? {
        "passed" => Ok(Verdict::Passed),
        "modified" => Ok(Verdict::Modified(content.to_owned())),
        "blocked" if content == FAILED => Err(NoOpinion::Failed),
        "blocked" => Ok(Verdict::Blocked(rule(answer.get("rail")))),
        _ => Err(NoOpinion::WrongVerdict),
    }
}
