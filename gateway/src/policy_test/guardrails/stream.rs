//! A recorded event stream, screened as the gateway would.

use std::{collections::BTreeMap, sync::Arc};

use portcullis_policy::guard::{
    lanes::stream::{EventStream, Scratch, Step},
    screen::Guardrails,
};
use serde_json::Value;

use crate::screening::api::of_path;

/// What becomes of a stream.
#[derive(Debug, PartialEq)]
pub(super) struct Streamed {
    /// What goes to the client.
    pub(super) sent: Vec<u8>,
    /// The stage that ends it, or why it cannot be screened.
    pub(super) blocked_by: Option<String>,
    /// Stages that found something, each once.
    pub(super) found: Vec<String>,
}

/// Screens a stream that comes in these pieces, as an answer to a request for this path.
pub(super) fn screened(guardrails: &Arc<Guardrails>, path: &str, pieces: &[&[u8]]) -> Streamed {
    let mut stream = EventStream::new(of_path(path), guardrails.clone());
    let (mut scratch, mut sent) = (Scratch::default(), Vec::new());
    let mut step = Step::Continue;
    for piece in pieces {
        step = stream.push(piece, &mut scratch, &mut sent);
        if step != Step::Continue {
            break;
        }
    }
    if step == Step::Continue {
        step = stream.finish(&mut scratch, &mut sent);
    }
    let output = &guardrails.output;
    let name = |rule: usize| output.stage_of(rule).map_or_else(|| "?".to_owned(), |stage| stage.name.to_string());
    let mut found: Vec<String> = scratch.findings().iter().map(|finding| name(finding.rule)).collect();
    found.sort_unstable();
    found.dedup();
    let blocked_by = match step {
        Step::Continue => None,
        Step::Blocked { rule } => Some(name(rule)),
        Step::Failed(why) => Some(why.to_string()),
    };
    Streamed { sent, blocked_by, found }
}

/// The texts of a stream as a client puts them together: strings at the same place of event after event are one.
pub(super) fn texts(sent: &[u8]) -> Vec<String> {
    let mut texts = BTreeMap::new();
    for line in String::from_utf8_lossy(sent).lines() {
        let Some(data) = line.strip_prefix("data:") else { continue };
        if let Ok(event) = serde_json::from_str(data.trim()) {
            gather(&event, &mut texts, String::new());
        }
    }
    texts.into_values().collect()
}

/// Choices, blocks and tool calls say themselves which they are.
fn gather(value: &Value, texts: &mut BTreeMap<String, String>, place: String) {
    match value {
        Value::String(text) => texts.entry(place).or_default().push_str(text),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let at = if item.get("index").is_some() { 0 } else { at };
                gather(item, texts, format!("{place}[{at}]"));
            }
        }
        Value::Object(members) => {
            let index = members.get("index").map(ToString::to_string).unwrap_or_default();
            for (key, value) in members {
                gather(value, texts, format!("{place}{index}.{key}"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_put_together_as_clients_do() {
        let sent = b"data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"to\"}}]}\n\n\
                     data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"na\"}}]}\n\n\
                     data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"mato\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(texts(sent), ["na", "tomato"]);
    }
}
