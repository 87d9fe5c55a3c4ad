//! OpenAI's API: what its endpoints have in common, and the list of models.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod responses;

use http::Response;
use serde_json::{Value, json};

use crate::{
    answer::{self, Body, Problem},
    call::Call,
    simulator::State,
    speech::{Ask, Finish, Tool, ToolChoice},
    stream::Said,
};

/// `GET /v1/models`.
pub(crate) fn models(state: &State) -> Response<Body> {
    let length = state.config.profile.context_tokens_max;
    let model = |name: &String| {
        json!({
            "id": name, "object": "model", "created": state.started_unix_s, "owned_by": "simulator",
            "root": name, "parent": null, "max_model_len": length,
        })
    };
    answer::json(&json!({"object": "list", "data": state.config.models.iter().map(model).collect::<Vec<_>>()}))
}

/// The fields that all of its endpoints share.
pub(crate) fn ask(call: &Call, body: &Value) -> Result<Ask, Problem> {
    let model = body["model"].as_str().ok_or_else(|| Problem::bad_request("`model` must be a string"))?;
    let stops = match &body["stop"] {
        Value::String(stop) => vec![stop.clone()],
        Value::Array(stops) => stops.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let choices = match &body["n"] {
        Value::Null => 1,
        n => n
            .as_u64()
            .filter(|n| (1..=CHOICES_MAX).contains(n))
            .ok_or_else(|| Problem::bad_request(format!("`n` must be between 1 and {CHOICES_MAX}")))?
            as usize,
    };
    Ok(Ask {
        model: model.to_owned(),
        tools: tools(&body["tools"]),
        tool_choice: tool_choice(&body["tool_choice"]),
        max_tokens: limit(body, &["max_completion_tokens", "max_tokens", "max_output_tokens"])?,
        choices,
        stops,
        text: call.text.clone(),
        ..Ask::default()
    })
}

/// The most answers to one request.
const CHOICES_MAX: u64 = 16;

/// The first of these fields that is there.
pub(crate) fn limit(body: &Value, names: &[&str]) -> Result<Option<usize>, Problem> {
    let Some((name, value)) = names.iter().map(|name| (name, &body[*name])).find(|(_, value)| !value.is_null()) else {
        return Ok(None);
    };
    let limit = value.as_u64().filter(|limit| *limit > 0);
    limit.map(|limit| Some(limit as usize)).ok_or_else(|| Problem::bad_request(format!("`{name}` must be at least 1")))
}

/// Text, or the text among parts of several kinds.
pub(crate) fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// A prompt as text, as the first of a list, or as numbers of tokens.
fn prompt(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) if parts.iter().all(Value::is_number) => {
            Some(parts.iter().map(|token| format!(" {token}")).collect::<Vec<_>>().concat())
        }
        Value::Array(parts) => parts.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

fn tools(value: &Value) -> Vec<Tool> {
    let tools = value.as_array().into_iter().flatten();
    let read = |tool: &Value| {
        // Chat wraps a function once more than Responses does.
        let function = tool.get("function").unwrap_or(tool);
        let name = function["name"].as_str()?.to_owned();
        Some(Tool { name, schema: function["parameters"].clone() })
    };
    tools.filter_map(read).collect()
}

fn tool_choice(value: &Value) -> ToolChoice {
    match value {
        Value::String(word) if word == "none" => ToolChoice::None,
        Value::Object(_) => {
            let name = value["function"]["name"].as_str().or_else(|| value["name"].as_str());
            name.map_or(ToolChoice::Auto, |name| ToolChoice::Named(name.to_owned()))
        }
        _ => ToolChoice::Auto,
    }
}

pub(crate) fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Call => "tool_calls",
    }
}

pub(crate) fn usage(said: &Said) -> Value {
    json!({
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.output_tokens(),
        "total_tokens": said.prompt_tokens + said.output_tokens(),
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning_tokens()},
    })
}

/// Whether the last event of a stream tells the usage.
pub(crate) fn wants_usage(body: &Value) -> bool {
    body["stream_options"]["include_usage"].as_bool().unwrap_or(false)
}
