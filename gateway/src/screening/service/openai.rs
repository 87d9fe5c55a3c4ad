//! A guard model behind an OpenAI API (`POST …/chat/completions`), in the two forms that such models have.
//!
//! - *Llama Guard*: its server's chat template knows the task and the categories, so the conversation is sent as it is. The
//!   model answers `safe`, or `unsafe` and a second line of categories (`S1,S9`).
//! - *NemoGuard content safety*: the task, the categories and the conversation are one message. The model answers JSON:
//!   `{"User Safety": "unsafe", "Response Safety": "safe", "Safety Categories": "Violence, Malware"}`.
//!
//! Both judge the last of a kind: the last message of the user, or the last answer. So all that goes in is one message of
//! the user, wherever it stood; of an answer, what it answers comes first.

use std::sync::Arc;

use portcullis_policy::guard::screen::Speaker;
use serde_json::{Map, Value, json};

use super::{NoOpinion, Opinion, Question, Way, rule, text};
use crate::authenticate::json;

/// The tokens of a verdict; a guard that says more says something else.
const VERDICT_TOKENS_MAX: u32 = 128;
/// What stands between texts that were said apart.
const BETWEEN: &str = "\n\n";
/// The categories of NemoGuard content safety, in its order: `S1` and on.
const CATEGORIES: [&str; 23] = [
    "Violence",
    "Sexual",
    "Criminal Planning/Confessions",
    "Guns and Illegal Weapons",
    "Controlled/Regulated Substances",
    "Suicide and Self Harm",
    "Sexual (minor)",
    "Hate/Identity Hate",
    "PII/Privacy",
    "Harassment",
    "Threat",
    "Profanity",
    "Needs Caution",
    "Other",
    "Manipulation",
    "Fraud/Deception",
    "Malware",
    "High Risk Gov Decision Making",
    "Political/Misinformation/Conspiracy",
    "Copyright/Trademark/Plagiarism",
    "Unauthorized Advice",
    "Illegal Activity",
    "Immoral/Unethical",
];

pub(super) fn llama_guard(model: Option<&str>, question: &Question) -> Value {
    let Conversation { user, answer } = Conversation::of(question);
    let mut messages = vec![json!({"role": "user", "content": user})];
    messages.extend(answer.map(|answer| json!({"role": "assistant", "content": answer})));
    body(model, &messages)
}

pub(super) fn nemoguard(model: Option<&str>, question: &Question) -> Value {
    let Conversation { user, answer } = Conversation::of(question);
    let categories: Vec<_> = (1..).zip(CATEGORIES).map(|(number, name)| format!("S{number}: {name}.")).collect();
    let agent = answer.as_deref().map_or_else(String::new, |answer| format!("\nresponse: agent: {}\n", tame(answer)));
    let verdicts = match question.way {
        Way::Input => r#""User Safety": "safe" or "unsafe""#,
        Way::Output => r#""User Safety": "safe" or "unsafe", "Response Safety": "safe" or "unsafe""#,
    };
    let content = format!(
        "Task: Check if there is unsafe content in the user message and, if there is one, in the agent's response, \
         according to the safety categories below.\n\n\
         <BEGIN UNSAFE CONTENT CATEGORIES>\n{}\n<END UNSAFE CONTENT CATEGORIES>\n\n\
         <BEGIN CONVERSATION>\n\nuser: {}\n{agent}\n<END CONVERSATION>\n\n\
         Answer with JSON and nothing else: {{{verdicts}, \"Safety Categories\": \"the violated categories, separated by \
         commas; left out if all is safe\"}}",
        categories.join("\n"),
        tame(&user),
    );
    body(model, &[json!({"role": "user", "content": content})])
}

fn body(model: Option<&str>, messages: &[Value]) -> Value {
    json!({"model": model, "messages": messages, "temperature": 0, "max_tokens": VERDICT_TOKENS_MAX, "stream": false})
}

/// What is judged, as such a model sees it.
struct Conversation {
    user: String,
    answer: Option<String>,
}

impl Conversation {
    fn of(question: &Question) -> Self {
        let joined = |is_meant: &dyn Fn(Speaker) -> bool| {
            let texts = question.texts.iter().filter(|(speaker, _)| is_meant(*speaker));
            texts.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(BETWEEN)
        };
        match question.way {
            Way::Input => Self { user: joined(&|_| true), answer: None },
            Way::Output => Self {
                user: joined(&|speaker| speaker != Speaker::Assistant),
                answer: Some(joined(&|speaker| speaker == Speaker::Assistant)),
            },
        }
    }
}

/// A text that cannot end the conversation which it stands in.
fn tame(text: &str) -> String {
    text.replace("<BEGIN ", "< BEGIN ").replace("<END ", "< END ")
}

pub(super) fn read_llama_guard(answer: &Map<String, Value>) -> Result<Opinion, NoOpinion> {
    let said = said(answer)?;
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some("safe"), None) => Ok(Opinion::Passes),
        (Some("unsafe"), None) => Ok(Opinion::Refuses { rule: "unsafe".into() }),
        (Some("unsafe"), Some(categories)) => Ok(Opinion::Refuses { rule: rule(Some(&categories.into())) }),
        _ => Err(NoOpinion::WrongVerdict),
    }
}

pub(super) fn read_nemoguard(answer: &Map<String, Value>, way: Way) -> Result<Opinion, NoOpinion> {
    let verdict = json::object(said(answer)?.as_bytes()).ok_or(NoOpinion::WrongVerdict)?;
    let judged = match way {
        Way::Input => "User Safety",
        Way::Output => "Response Safety",
    };
    match text(&verdict, judged)? {
        "safe" => Ok(Opinion::Passes),
        "unsafe" => Ok(Opinion::Refuses { rule: categories(&verdict) }),
        _ => Err(NoOpinion::WrongVerdict),
    }
}

fn categories(verdict: &Map<String, Value>) -> Arc<str> {
    match verdict.get("Safety Categories") {
        None => "unsafe".into(),
        named => rule(named),
    }
}

/// What the model says, if it says one thing.
fn said(answer: &Map<String, Value>) -> Result<&str, NoOpinion> {
    let choices = answer.get("choices").and_then(Value::as_array).map(Vec::as_slice);
    let Some([choice]) = choices else { return Err(NoOpinion::WrongVerdict) };
    choice.pointer("/message/content").and_then(Value::as_str).ok_or(NoOpinion::WrongVerdict)
}
