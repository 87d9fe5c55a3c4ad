//! `POST /v1/chat/completions`.

use http::Response;
use serde_json::{Map, Value, json};

use super::{ask, content, finish_reason, usage, wants_usage};
use crate::{
    answer::{Body, Problem},
    call::Call,
    orca,
    simulator::{Flavour, unix_s},
    speech::{Ask, Finish, Piece, Speech, joined},
    stream::{DONE, Dialect, Generation, Said, data},
};

/// Answers a chat.
pub(crate) async fn answer(call: &Call) -> Result<Response<Body>, Problem> {
    let body = call.json()?;
    let ask = read(call, &body)?;
    let generation = Generation::start(call, &ask)?;
    let (id, created, server) = (call.id("chatcmpl-"), unix_s(), call.state.config.name.clone());
    let mut response = if body["stream"].as_bool().unwrap_or(false) {
        let said = generation.said.clone();
        let chunks = Chunks { id, created, server, model: ask.model, said, usage: wants_usage(&body) };
        generation.events(chunks).await
    } else {
        generation.whole(|said| completion(&id, created, &server, &ask.model, said)).await
    };
    if call.state.config.flavour == Flavour::Vllm {
        orca::report(&call.state, &call.headers, response.headers_mut());
    }
    Ok(response)
}

fn read(call: &Call, body: &Value) -> Result<Ask, Problem> {
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| Problem::bad_request("`messages` must be a list of messages"))?;
    let prompt: String = messages.iter().map(heard).collect();
    let last = messages.last().unwrap_or(&Value::Null);
    let last_user = messages.iter().rev().find(|message| message["role"] == "user");
    Ok(Ask {
        prompt: prompt + "<assistant>",
        last_said: last_user.map(|message| content(&message["content"])).unwrap_or_default(),
        brings_result: last["role"] == "tool",
        reasons: body["reasoning_effort"].as_str().is_some_and(|effort| effort != "none"),
        ..ask(call, body)?
    })
}

/// A message as the model reads it: what it said itself reads as it did then, so that the cache knows it.
fn heard(message: &Value) -> String {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let calls: String = calls
        .filter_map(|call| Some([call["function"]["name"].as_str()?, call["function"]["arguments"].as_str()?].concat()))
        .collect();
    format!("<{}>{}{calls}\n", message["role"].as_str().unwrap_or("user"), content(&message["content"]))
}

fn completion(id: &str, created: u64, server: &str, model: &str, said: &Said) -> Value {
    let choices = said.choices.iter().enumerate().map(|(index, speech)| {
        json!({
            "index": index, "message": message(speech), "logprobs": null,
            "finish_reason": finish_reason(speech.finish),
        })
    });
    json!({
        "id": id, "object": "chat.completion", "created": created, "model": model,
        "choices": choices.collect::<Vec<_>>(), "usage": usage(said), "system_fingerprint": server,
    })
}

fn message(speech: &Speech) -> Value {
    let pieces = &speech.pieces;
    let text = joined(pieces, |piece| matches!(piece, Piece::Text(_)).then(|| piece.text()));
    let reasoning = joined(pieces, |piece| matches!(piece, Piece::Reasoning(_)).then(|| piece.text()));
    let arguments = joined(pieces, |piece| matches!(piece, Piece::Arguments(_)).then(|| piece.text()));
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), if text.is_empty() { Value::Null } else { json!(text) });
    if !reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), json!(reasoning));
    }
    let calls = pieces.iter().filter_map(|piece| match piece {
        Piece::Call { id, name } => {
            Some(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
        }
        _ => None,
    });
    let calls: Vec<Value> = calls.collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), json!(calls));
    }
    Value::Object(message)
}

struct Chunks {
    id: String,
    created: u64,
    server: String,
    model: String,
    said: Said,
    usage: bool,
}

impl Chunks {
    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices, "system_fingerprint": self.server,
        })
    }

    fn delta(&self, choice: usize, delta: &Value, finish: Option<Finish>) -> String {
        data(&self.chunk(&json!([{
            "index": choice, "delta": delta, "logprobs": null, "finish_reason": finish.map(finish_reason),
        }])))
    }
}

impl Dialect for Chunks {
    fn begin(&mut self, cached_tokens: usize) -> String {
        self.said.cached_tokens = cached_tokens;
        let role = json!({"role": "assistant", "content": ""});
        (0..self.said.choices.len()).map(|choice| self.delta(choice, &role, None)).collect()
    }

    fn piece(&mut self, choice: usize, piece: &Piece) -> String {
        let delta = match piece {
            Piece::Text(text) => json!({"content": text}),
            Piece::Reasoning(text) => json!({"reasoning_content": text}),
            Piece::Call { id, name } => json!({"tool_calls": [{
                "index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": ""},
            }]}),
            Piece::Arguments(text) => json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
        };
        self.delta(choice, &delta, None)
    }

    fn finish(&mut self, choice: usize, finish: Finish) -> String {
        self.delta(choice, &json!({}), Some(finish))
    }

    fn end(&mut self) -> String {
        let mut events = String::new();
        if self.usage {
            let mut chunk = self.chunk(&json!([]));
            if let Some(chunk) = chunk.as_object_mut() {
                chunk.insert("usage".to_owned(), usage(&self.said));
            }
            events.push_str(&data(&chunk));
        }
        events + DONE
    }
}
