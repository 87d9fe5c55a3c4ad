//! `POST /v1/responses`, with its typed events.

use http::Response;
use serde_json::{Value, json};

use super::{ask, content};
use crate::{
    answer::{Body, Problem},
    call::Call,
    simulator::unix_s,
    speech::{Ask, Finish, Piece, Speech, joined},
    stream::{Dialect, Generation, Said, named},
};

/// Answers a response's input.
pub(crate) async fn answer(call: &Call) -> Result<Response<Body>, Problem> {
    let body = call.json()?;
    let ask = read(call, &body)?;
    let generation = Generation::start(call, &ask)?;
    let id = call.id("");
    let shape = Shape { id, created: unix_s(), model: ask.model.clone(), body: body.clone() };
    if body["stream"].as_bool().unwrap_or(false) {
        let said = generation.said.clone();
        return Ok(generation.events(Events { shape, said, sequence: 0, open: None, items: Vec::new() }).await);
    }
    Ok(generation.whole(|said| shape.response(Some(said), &items(&shape, said))).await)
}

fn read(call: &Call, body: &Value) -> Result<Ask, Problem> {
    let (prompt, last_said, brings_result) = match &body["input"] {
        Value::String(text) => (format!("<user>{text}\n"), text.clone(), false),
        Value::Array(items) => {
            let last_user = items.iter().rev().find(|item| item["role"] == "user");
            let said = last_user.map(|item| content(&item["content"])).unwrap_or_default();
            let result = items.last().is_some_and(|item| item["type"] == "function_call_output");
            (items.iter().map(heard).collect(), said, result)
        }
        _ => return Err(Problem::bad_request("`input` must be text or a list of items")),
    };
    let instructions = body["instructions"].as_str().unwrap_or_default();
    let mut ask = Ask {
        prompt: format!("<system>{instructions}\n{prompt}<assistant>"),
        last_said,
        brings_result,
        reasons: body["reasoning"]["effort"].as_str().is_some_and(|effort| effort != "none"),
        ..ask(call, body)?
    };
    ask.choices = 1;
    Ok(ask)
}

fn heard(item: &Value) -> String {
    let call = format!("{}{}", content(&item["name"]), content(&item["arguments"]));
    let said = content(&item["content"]) + &content(&item["output"]);
    format!("<{}>{said}{call}\n", item["role"].as_str().unwrap_or("assistant"))
}

/// What every form of the answer repeats.
struct Shape {
    id: String,
    created: u64,
    model: String,
    body: Value,
}

impl Shape {
    /// The response: under way if nothing was said yet.
    fn response(&self, said: Option<&Said>, output: &[Value]) -> Value {
        let cut = said.is_some_and(|said| said.choices.iter().any(|choice| choice.finish == Finish::Length));
        let status = match said {
            None => "in_progress",
            Some(_) if cut => "incomplete",
            Some(_) => "completed",
        };
        let given = |name: &str, otherwise: Value| match &self.body[name] {
            Value::Null => otherwise,
            value => value.clone(),
        };
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": self.created, "status": status,
            "error": null, "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})),
            "instructions": self.body["instructions"], "max_output_tokens": self.body["max_output_tokens"],
            "model": self.model, "output": output, "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
            "previous_response_id": null, "temperature": given("temperature", json!(1.0)),
            "text": given("text", json!({"format": {"type": "text"}})),
            "tool_choice": given("tool_choice", json!("auto")), "tools": given("tools", json!([])),
            "top_p": given("top_p", json!(1.0)), "truncation": "disabled", "metadata": given("metadata", json!({})),
            "usage": said.map(usage),
        })
    }

    /// An item of the output. `done`: with all that it says.
    fn item(&self, kind: Kind, speech: &Speech, done: bool) -> Value {
        let said =
            |wanted: fn(&Piece) -> bool| joined(&speech.pieces, |piece| (done && wanted(piece)).then(|| piece.text()));
        let status = if done { "completed" } else { "in_progress" };
        match kind {
            Kind::Reasoning => {
                let text = said(|piece| matches!(piece, Piece::Reasoning(_)));
                let content = if done { vec![json!({"type": "reasoning_text", "text": text})] } else { Vec::new() };
                json!({"id": self.item_id(kind), "type": "reasoning", "summary": [], "content": content, "status": status})
            }
            Kind::Message => {
                let text = said(|piece| matches!(piece, Piece::Text(_)));
                let content = if done { vec![part(&text)] } else { Vec::new() };
                json!({"id": self.item_id(kind), "type": "message", "role": "assistant", "status": status, "content": content})
            }
            Kind::Call => {
                let called = speech.pieces.iter().find_map(|piece| match piece {
                    Piece::Call { id, name } => Some((id.as_str(), name.as_str())),
                    _ => None,
                });
                let (id, name) = called.unwrap_or_default();
                json!({
                    "id": self.item_id(kind), "type": "function_call", "call_id": id, "name": name, "status": status,
                    "arguments": said(|piece| matches!(piece, Piece::Arguments(_))),
                })
            }
        }
    }

    fn item_id(&self, kind: Kind) -> String {
        let prefix = match kind {
            Kind::Reasoning => "rs",
            Kind::Message => "msg",
            Kind::Call => "fc",
        };
        format!("{prefix}_{}", self.id)
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn usage(said: &Said) -> Value {
    json!({
        "input_tokens": said.prompt_tokens,
        "input_tokens_details": {"cached_tokens": said.cached_tokens},
        "output_tokens": said.output_tokens(),
        "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens()},
        "total_tokens": said.prompt_tokens + said.output_tokens(),
    })
}

/// What an item of the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
    Call,
}

impl Kind {
    fn of(piece: &Piece) -> Self {
        match piece {
            Piece::Reasoning(_) => Self::Reasoning,
            Piece::Text(_) => Self::Message,
            Piece::Call { .. } | Piece::Arguments(_) => Self::Call,
        }
    }
}

/// All items, complete.
fn items(shape: &Shape, said: &Said) -> Vec<Value> {
    let Some(speech) = said.choices.first() else { return Vec::new() };
    let mut kinds: Vec<Kind> = speech.pieces.iter().map(Kind::of).collect();
    kinds.dedup();
    kinds.into_iter().map(|kind| shape.item(kind, speech, true)).collect()
}

struct Events {
    shape: Shape,
    said: Said,
    sequence: u64,
    open: Option<Kind>,
    /// Items that are complete.
    items: Vec<Value>,
}

impl Events {
    fn event(&mut self, kind: &str, mut fields: Value) -> String {
        fields["type"] = json!(kind);
        fields["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        named(kind, &fields)
    }

    fn item(&self, kind: Kind, done: bool) -> Value {
        self.said.choices.first().map_or(Value::Null, |speech| self.shape.item(kind, speech, done))
    }

    fn open(&mut self, kind: Kind) -> String {
        if self.open == Some(kind) {
            return String::new();
        }
        let closed = self.close();
        self.open = Some(kind);
        let (index, item) = (self.items.len(), self.item(kind, false));
        let added = self.event("response.output_item.added", json!({"output_index": index, "item": item}));
        let begun = match kind {
            Kind::Message => {
                let place = self.place(kind);
                self.event("response.content_part.added", merged(place, json!({"part": part("")})))
            }
            _ => String::new(),
        };
        closed + &added + &begun
    }

    /// Where in the output a delta belongs.
    fn place(&self, kind: Kind) -> Value {
        let (id, index) = (self.shape.item_id(kind), self.items.len());
        match kind {
            Kind::Call => json!({"item_id": id, "output_index": index}),
            _ => json!({"item_id": id, "output_index": index, "content_index": 0}),
        }
    }

    fn close(&mut self) -> String {
        let Some(kind) = self.open.take() else { return String::new() };
        let (place, item) = (self.place(kind), self.item(kind, true));
        let mut events = match kind {
            Kind::Reasoning => {
                let text = item["content"][0]["text"].clone();
                self.event("response.reasoning_text.done", merged(place, json!({"text": text})))
            }
            Kind::Message => {
                let part = item["content"][0].clone();
                let text = json!({"text": part["text"], "logprobs": []});
                let said = self.event("response.output_text.done", merged(place.clone(), text));
                said + &self.event("response.content_part.done", merged(place, json!({"part": part})))
            }
            Kind::Call => {
                let arguments = json!({"arguments": item["arguments"], "name": item["name"]});
                self.event("response.function_call_arguments.done", merged(place, arguments))
            }
        };
        let index = self.items.len();
        self.items.push(item.clone());
        events.push_str(&self.event("response.output_item.done", json!({"output_index": index, "item": item})));
        events
    }
}

/// The fields of both objects.
fn merged(mut fields: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}

impl Dialect for Events {
    fn begin(&mut self, cached_tokens: usize) -> String {
        self.said.cached_tokens = cached_tokens;
        let response = self.shape.response(None, &[]);
        let created = self.event("response.created", json!({"response": response}));
        created + &self.event("response.in_progress", json!({"response": response}))
    }

    fn piece(&mut self, _: usize, piece: &Piece) -> String {
        let kind = Kind::of(piece);
        let opened = self.open(kind);
        let place = self.place(kind);
        let delta = match piece {
            Piece::Reasoning(text) => {
                self.event("response.reasoning_text.delta", merged(place, json!({"delta": text})))
            }
            Piece::Text(text) => {
                self.event("response.output_text.delta", merged(place, json!({"delta": text, "logprobs": []})))
            }
            Piece::Call { .. } => String::new(),
            Piece::Arguments(text) => {
                self.event("response.function_call_arguments.delta", merged(place, json!({"delta": text})))
            }
        };
        opened + &delta
    }

    fn finish(&mut self, _: usize, _: Finish) -> String {
        self.close()
    }

    fn end(&mut self) -> String {
        let response = self.shape.response(Some(&self.said), &self.items);
        let name = if response["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
        self.event(name, json!({"response": response}))
    }
}
