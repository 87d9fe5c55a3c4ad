//! What the simulated model says: nothing clever, but the same for the same prompt and seed, or what it was told to.
//!
//! A last message that begins with `say:` is answered with the rest of it. Else the configured text is said, or
//! sentences that mean nothing. A request with tools is answered by calling the first of them (or the one it names),
//! with arguments that fit its schema, unless it has just brought a tool's result.

use serde_json::{Map, Value, json};

use crate::text::{Random, hash, pieces, token, tokens};

/// A request, whatever API it came by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) model: String,
    /// All that the model reads.
    pub(crate) prompt: String,
    /// The last thing that the user said.
    pub(crate) last_said: String,
    /// The last message is the result of a tool.
    pub(crate) brings_result: bool,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    /// Tokens of an answer.
    pub(crate) max_tokens: Option<usize>,
    /// Answers wanted.
    pub(crate) choices: usize,
    pub(crate) reasons: bool,
    /// Texts that end an answer.
    pub(crate) stops: Vec<String>,
    /// What to say instead, from a header.
    pub(crate) text: Option<String>,
}

/// A function that the model may call.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// Whether a tool is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Auto,
    None,
    Named(String),
}

/// One token of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Reasoning(String),
    Text(String),
    /// A call begins.
    Call {
        id: String,
        name: String,
    },
    /// More of the call's arguments.
    Arguments(String),
}

impl Piece {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Reasoning(text) | Self::Text(text) | Self::Arguments(text) => text,
            Self::Call { name, .. } => name,
        }
    }
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Call,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Speech {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) finish: Finish,
}

impl Speech {
    /// The numbers of its tokens.
    pub(crate) fn tokens(&self) -> Vec<u32> {
        self.pieces.iter().map(|piece| token(piece.text())).collect()
    }

    /// Tokens of reasoning.
    pub(crate) fn reasoning_tokens(&self) -> usize {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Reasoning(_))).count()
    }
}

/// Everything that was said under one heading.
pub(crate) fn joined(pieces: &[Piece], of: impl Fn(&Piece) -> Option<&str>) -> String {
    pieces.iter().filter_map(of).collect()
}

/// The tokens of the prompt.
pub(crate) fn prompt_tokens(ask: &Ask) -> Vec<u32> {
    tokens(&ask.prompt)
}

/// What is said to a request: one answer for each choice.
pub(crate) fn answers(ask: &Ask, seed: u64, configured: Option<&str>) -> Vec<Speech> {
    (0..ask.choices.max(1)).map(|choice| answer(ask, seed, choice, configured)).collect()
}

fn answer(ask: &Ask, seed: u64, choice: usize, configured: Option<&str>) -> Speech {
    let mut random = Random::new(seed ^ hash(&(&ask.prompt, choice)));
    let mut said = Vec::new();
    if ask.reasons {
        let thought = crate::text::sentences(&mut random, 2);
        said.extend(pieces(&thought).into_iter().map(|piece| Piece::Reasoning(piece.to_owned())));
    }
    let told = ask.text.clone().or_else(|| told(&ask.last_said)).or_else(|| configured.map(str::to_owned));
    let finish = match called(ask) {
        Some(tool) if told.is_none() => {
            let id = format!("call_{:016x}", random.next());
            said.push(Piece::Call { id, name: tool.name.clone() });
            let arguments = example(&tool.schema).to_string();
            said.extend(pieces(&arguments).into_iter().map(|piece| Piece::Arguments(piece.to_owned())));
            Finish::Call
        }
        _ => {
            let sentences = 2 + (random.next() % 4) as usize;
            let text = told.unwrap_or_else(|| crate::text::sentences(&mut random, sentences));
            said.extend(pieces(stopped(&text, &ask.stops)).into_iter().map(|piece| Piece::Text(piece.to_owned())));
            Finish::Stop
        }
    };
    match ask.max_tokens {
        Some(limit) if said.len() > limit => {
            said.truncate(limit);
            Speech { pieces: said, finish: Finish::Length }
        }
        _ => Speech { pieces: said, finish },
    }
}

fn told(last_said: &str) -> Option<String> {
    last_said.strip_prefix("say:").map(|text| text.trim_start().to_owned())
}

fn called(ask: &Ask) -> Option<&Tool> {
    match &ask.tool_choice {
        ToolChoice::None => None,
        ToolChoice::Auto if ask.brings_result => None,
        ToolChoice::Auto => ask.tools.first(),
        ToolChoice::Named(name) => ask.tools.iter().find(|tool| tool.name == *name),
    }
}

fn stopped<'t>(text: &'t str, stops: &[String]) -> &'t str {
    let ends = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str()));
    ends.min().and_then(|end| text.get(..end)).unwrap_or(text)
}

/// How deep examples go into a schema.
const SCHEMA_DEPTH_MAX: usize = 8;

/// A value that fits a JSON Schema, as far as types, `enum`, `const` and required properties go.
fn example(schema: &Value) -> Value {
    example_below(schema, 0)
}

fn example_below(schema: &Value, depth: usize) -> Value {
    if depth > SCHEMA_DEPTH_MAX {
        return Value::Null;
    }
    if let Some(value) = schema.get("const").or_else(|| schema.get("enum")?.get(0)) {
        return value.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => json!("example"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("array") => match schema.get("items") {
            Some(items) => json!([example_below(items, depth + 1)]),
            None => json!([]),
        },
        Some("null") => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            Value::Object(fields.map(|(name, of)| (name.clone(), example_below(of, depth + 1))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(speech: &Speech) -> String {
        joined(&speech.pieces, |piece| matches!(piece, Piece::Text(_)).then(|| piece.text()))
    }

    fn one(ask: &Ask) -> Speech {
        answer(ask, 1, 0, None)
    }

    #[test]
    fn the_same_prompt_and_seed_give_the_same_answer() {
        let ask = Ask { prompt: "hello".to_owned(), choices: 2, ..Ask::default() };
        let said = |seed| answers(&ask, seed, None).iter().map(text).collect::<Vec<_>>();
        assert_eq!(said(1), said(1));
        assert_ne!(said(1), said(2));
        assert_ne!(said(1)[0], said(1)[1], "choices differ");
    }

    #[test]
    fn it_says_what_it_is_told_to() {
        let ask = Ask { last_said: "say: 4111 1111 1111 1111 ok".to_owned(), ..Ask::default() };
        assert_eq!(text(&one(&ask)), "4111 1111 1111 1111 ok");
        let ask = Ask { text: Some("from a header".to_owned()), ..ask };
        assert_eq!(text(&one(&ask)), "from a header");
        assert_eq!(text(&answer(&Ask::default(), 1, 0, Some("configured"))), "configured");
    }

    #[test]
    fn answers_end_at_limits_and_stops() {
        let ask = Ask { text: Some("one two three".to_owned()), max_tokens: Some(2), ..Ask::default() };
        let cut = one(&ask);
        assert_eq!((text(&cut).as_str(), cut.finish), ("one two", Finish::Length));
        let ask = Ask { max_tokens: Some(3), stops: vec![" three".to_owned()], ..ask };
        let stopped = one(&ask);
        assert_eq!((text(&stopped).as_str(), stopped.finish), ("one two", Finish::Stop));
    }

    #[test]
    fn tools_are_called_with_arguments_that_fit() {
        let schema = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}, "days": {"type": "integer", "minimum": 3},
        }});
        let tool = Tool { name: "weather".to_owned(), schema };
        let ask = Ask { tools: vec![tool], ..Ask::default() };
        let speech = one(&ask);
        assert_eq!(speech.finish, Finish::Call);
        assert!(matches!(&speech.pieces[0], Piece::Call { name, .. } if name == "weather"));
        let arguments = joined(&speech.pieces, |piece| matches!(piece, Piece::Arguments(_)).then(|| piece.text()));
        assert_eq!(arguments, r#"{"city":"example","unit":"celsius","days":3}"#);
        let refused = [
            Ask { brings_result: true, ..ask.clone() },
            Ask { tool_choice: ToolChoice::None, ..ask.clone() },
            Ask { tool_choice: ToolChoice::Named("other".to_owned()), ..ask },
        ];
        for ask in refused {
            assert_eq!(one(&ask).finish, Finish::Stop);
        }
    }

    #[test]
    fn reasoning_comes_first() {
        let speech = one(&Ask { reasons: true, text: Some("so".to_owned()), ..Ask::default() });
        assert!(speech.reasoning_tokens() > 0);
        assert_eq!(speech.pieces.last(), Some(&Piece::Text("so".to_owned())));
        assert!(matches!(speech.pieces[0], Piece::Reasoning(_)));
    }
}
