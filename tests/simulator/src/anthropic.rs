//! Anthropic's API: `POST /v1/messages`, streaming and not, and `POST /v1/messages/count_tokens`.

use http::Response;
use serde_json::{Value, json};

use crate::{
    answer::{self, Body, Problem},
    call::Call,
    openai::{content, limit},
    speech::{Ask, Finish, Piece, Speech, Tool, ToolChoice, joined, prompt_tokens},
    stream::{Dialect, Generation, Said, named},
};

/// Answers a message.
pub(crate) async fn answer(call: &Call) -> Result<Response<Body>, Problem> {
    let body = call.json()?;
    let ask = read(call, &body)?;
    if ask.max_tokens.is_none() {
        return Err(Problem::bad_request("max_tokens: Field required"));
    }
    let generation = Generation::start(call, &ask)?;
    let id = call.id("msg_");
    if body["stream"].as_bool().unwrap_or(false) {
        let said = generation.said.clone();
        return Ok(generation.events(Events { id, model: ask.model, said, open: None, blocks: 0 }).await);
    }
    Ok(generation.whole(|said| message(&id, &ask.model, said)).await)
}

/// Counts what a message would cost.
pub(crate) fn count_tokens(call: &Call) -> Result<Response<Body>, Problem> {
    let ask = read(call, &call.json()?)?;
    Ok(answer::json(&json!({"input_tokens": prompt_tokens(&ask).len()})))
}

fn read(call: &Call, body: &Value) -> Result<Ask, Problem> {
    let model = body["model"].as_str().ok_or_else(|| Problem::bad_request("model: Field required"))?;
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Problem::bad_request("messages: Field required"))?;
    let last = messages.last().unwrap_or(&Value::Null);
    let last_user = messages.iter().rev().find(|message| message["role"] == "user");
    let stops = body["stop_sequences"].as_array().into_iter().flatten();
    let tools = body["tools"].as_array().into_iter().flatten();
    Ok(Ask {
        model: model.to_owned(),
        prompt: format!(
            "<system>{}\n{}<assistant>",
            content(&body["system"]),
            messages.iter().map(heard).collect::<String>()
        ),
        last_said: last_user.map(|message| content(&message["content"])).unwrap_or_default(),
        brings_result: blocks(last).any(|block| block["type"] == "tool_result"),
        tools: tools.filter_map(tool).collect(),
        tool_choice: match (body["tool_choice"]["type"].as_str(), body["tool_choice"]["name"].as_str()) {
            (Some("none"), _) => ToolChoice::None,
            (Some("tool"), Some(name)) => ToolChoice::Named(name.to_owned()),
            _ => ToolChoice::Auto,
        },
        max_tokens: limit(body, &["max_tokens"])?,
        choices: 1,
        reasons: body["thinking"]["type"] == "enabled",
        stops: stops.filter_map(Value::as_str).map(str::to_owned).collect(),
        text: call.text.clone(),
    })
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().into_iter().flatten()
}

fn heard(message: &Value) -> String {
    let calls = blocks(message).filter(|block| block["type"] == "tool_use");
    let calls: String = calls.flat_map(|call| [content(&call["name"]), call["input"].to_string()]).collect();
    let results: String = blocks(message).map(|block| content(&block["content"])).collect();
    let role = message["role"].as_str().unwrap_or("user");
    format!("<{role}>{}{calls}{results}\n", content(&message["content"]))
}

fn tool(tool: &Value) -> Option<Tool> {
    Some(Tool { name: tool["name"].as_str()?.to_owned(), schema: tool["input_schema"].clone() })
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Call => "tool_use",
    }
}

fn usage(said: &Said, output_tokens: usize) -> Value {
    json!({
        "input_tokens": said.prompt_tokens - said.cached_tokens.min(said.prompt_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": output_tokens,
    })
}

fn message(id: &str, model: &str, said: &Said) -> Value {
    let speech = said.choices.first();
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model,
        "content": speech.map(blocks_of).unwrap_or_default(),
        "stop_reason": speech.map(|speech| stop_reason(speech.finish)), "stop_sequence": null,
        "usage": usage(said, said.output_tokens()),
    })
}

fn blocks_of(speech: &Speech) -> Vec<Value> {
    let pieces = &speech.pieces;
    let thinking = joined(pieces, |piece| matches!(piece, Piece::Reasoning(_)).then(|| piece.text()));
    let text = joined(pieces, |piece| matches!(piece, Piece::Text(_)).then(|| piece.text()));
    let arguments = joined(pieces, |piece| matches!(piece, Piece::Arguments(_)).then(|| piece.text()));
    let mut blocks = Vec::new();
    if !thinking.is_empty() {
        blocks.push(json!({"type": "thinking", "thinking": thinking, "signature": "simulated"}));
    }
    if !text.is_empty() {
        blocks.push(json!({"type": "text", "text": text}));
    }
    for piece in pieces {
        if let Piece::Call { id, name } = piece {
            let input = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
            blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
        }
    }
    blocks
}

/// What kind of block is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thinking,
    Text,
    Call,
}

struct Events {
    id: String,
    model: String,
    said: Said,
    open: Option<Kind>,
    /// Blocks that were begun.
    blocks: usize,
}

impl Events {
    /// Begins a block of this kind unless it is open.
    fn block(&mut self, kind: Kind, empty: &Value) -> String {
        if self.open == Some(kind) && kind != Kind::Call {
            return String::new();
        }
        let closed = self.close();
        self.open = Some(kind);
        self.blocks += 1;
        let start = json!({"type": "content_block_start", "index": self.blocks - 1, "content_block": empty});
        closed + &named("content_block_start", &start)
    }

    fn delta(&self, delta: &Value) -> String {
        let index = self.blocks.saturating_sub(1);
        named("content_block_delta", &json!({"type": "content_block_delta", "index": index, "delta": delta}))
    }

    fn close(&mut self) -> String {
        if self.open.take().is_none() {
            return String::new();
        }
        named("content_block_stop", &json!({"type": "content_block_stop", "index": self.blocks - 1}))
    }
}

impl Dialect for Events {
    fn begin(&mut self, cached_tokens: usize) -> String {
        self.said.cached_tokens = cached_tokens;
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage(&self.said, 0),
        });
        named("message_start", &json!({"type": "message_start", "message": message}))
    }

    fn piece(&mut self, _: usize, piece: &Piece) -> String {
        match piece {
            Piece::Reasoning(text) => {
                let begun = self.block(Kind::Thinking, &json!({"type": "thinking", "thinking": "", "signature": ""}));
                begun + &self.delta(&json!({"type": "thinking_delta", "thinking": text}))
            }
            Piece::Text(text) => {
                let begun = self.block(Kind::Text, &json!({"type": "text", "text": ""}));
                begun + &self.delta(&json!({"type": "text_delta", "text": text}))
            }
            Piece::Call { id, name } => {
                self.block(Kind::Call, &json!({"type": "tool_use", "id": id, "name": name, "input": {}}))
            }
            Piece::Arguments(text) => self.delta(&json!({"type": "input_json_delta", "partial_json": text})),
        }
    }

    fn finish(&mut self, _: usize, finish: Finish) -> String {
        let output_tokens = self.said.output_tokens();
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(finish), "stop_sequence": null},
            "usage": usage(&self.said, output_tokens),
        });
        self.close() + &named("message_delta", &delta)
    }

    fn end(&mut self) -> String {
        named("message_stop", &json!({"type": "message_stop"}))
    }
}
