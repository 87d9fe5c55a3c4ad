//! A webhook: our own small form, for guards that nobody else's form fits. `docs/external-guards.md` describes it.
//!
//! Asked `{"direction": "input", "model": "m", "texts": [{"speaker": "user", "text": "…"}]}`, it answers
//! `{"verdict": "pass"}`, `{"verdict": "block", "rule": "…"}` or `{"verdict": "mask", "rule": "…", "texts": ["…"]}`, with as
//! many texts as it was asked about. Other members of the answer are an error: who writes them means something by it.

use serde_json::{Map, Value, json};

use super::{NoOpinion, Opinion, Question, rule, text};

pub(super) fn question(question: &Question) -> Value {
    let texts = question.texts.iter().map(|(speaker, text)| json!({"speaker": speaker.as_str(), "text": text}));
    json!({
        "direction": question.way.as_str(),
        "model": question.model.as_deref(),
        "texts": texts.collect::<Vec<_>>(),
    })
}

/// `count`: how many texts were asked about.
pub(super) fn read(answer: &Map<String, Value>, count: usize) -> Result<Opinion, NoOpinion> {
    let members: &[&str] = match text(answer, "verdict")? {
        "pass" => &["verdict"],
        "block" => &["verdict", "rule"],
        "mask" => &["verdict", "rule", "texts"],
        _ => return Err(NoOpinion::WrongVerdict),
    };
    if answer.keys().any(|name| !members.contains(&name.as_str())) {
        return Err(NoOpinion::WrongVerdict);
    }
    match members.len() {
        1 => Ok(Opinion::Passes),
        2 => Ok(Opinion::Refuses { rule: rule(answer.get("rule")) }),
        _ => Ok(Opinion::Rewrites { rule: rule(answer.get("rule")), texts: texts(answer, count)? }),
    }
}

fn texts(answer: &Map<String, Value>, count: usize) -> Result<Vec<String>, NoOpinion> {
    let texts = answer.get("texts").and_then(Value::as_array).ok_or(NoOpinion::WrongVerdict)?;
    let texts: Option<Vec<_>> = texts.iter().map(|text| text.as_str().map(str::to_owned)).collect();
    texts.filter(|texts| texts.len() == count).ok_or(NoOpinion::WrongVerdict)
}
