//! A client that reads strictly: each event is complete, each line has a field that it knows, each data is JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::guard::lanes::shape::Api;

/// What a client has understood.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Texts, put together from their parts.
    pub(super) texts: BTreeMap<String, String>,
    /// Texts that were told whole.
    pub(super) copies: Vec<(String, String)>,
    pub(super) events: Vec<Value>,
    pub(super) finished: Vec<String>,
    pub(super) is_done: bool,
    pub(super) has_usage: bool,
    pub(super) has_role: bool,
}

/// Reads a stream.
pub(super) fn read(api: Api, stream: &str) -> Answer {
    let mut answer = Answer::default();
    let stream = stream.replace("\r\n", "\n");
    assert!(stream.is_empty() || stream.ends_with("\n\n"), "ends in the middle: {stream}");
    for event in stream.split("\n\n").map(|event| event.trim_start_matches('\n')).filter(|event| !event.is_empty()) {
        let mut data = None;
        for line in event.split('\n') {
            match line.split_once(": ") {
                Some(("data", text)) => assert!(data.replace(text).is_none(), "{event}"),
                Some(("event" | "id" | "", _)) => {}
                _ => panic!("a line that is none: {line:?}"),
            }
        }
        match data {
            None => {}
            Some("[DONE]") => answer.is_done = true,
            Some(data) => {
                let value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
                answer.take(api, &value);
                answer.events.push(value);
            }
        }
    }
    answer
}

impl Answer {
    fn take(&mut self, api: Api, event: &Value) {
        self.has_usage |= event["usage"].is_object()
            || event["message"]["usage"].is_object()
            || event["response"]["usage"].is_object();
        match api {
            Api::Chat | Api::Completions => {
                for choice in event["choices"].as_array().into_iter().flatten() {
                    assert!(choice["index"].is_u64(), "{event}");
                    let index = choice["index"].to_string();
                    self.has_role |= choice["delta"]["role"] == "assistant";
                    self.strings(&index, &choice["delta"]);
                    if let Some(text) = choice["text"].as_str() {
                        *self.texts.entry(format!("{index}.text")).or_default() += text;
                    }
                    if let Some(reason) = choice["finish_reason"].as_str() {
                        self.finished.push(format!("{index} {reason}"));
                    }
                }
            }
            Api::Messages => {
                let index = event["index"].to_string();
                match event["type"].as_str().unwrap() {
                    "content_block_delta" => self.strings(&index, &event["delta"]),
                    "content_block_start" => self.strings(&index, &event["content_block"]),
                    "message_delta" => self.finished.push(event["delta"]["stop_reason"].to_string()),
                    "message_stop" => self.is_done = true,
                    _ => {}
                }
            }
            Api::Responses => {
                let kind = event["type"].as_str().unwrap();
                let output = event["output_index"].to_string();
                if let Some(delta) = event["delta"].as_str() {
                    let kind = kind.strip_prefix("response.").unwrap().strip_suffix(".delta").unwrap();
                    *self.texts.entry(format!("{output}.{kind}")).or_default() += delta;
                }
                for name in ["text", "arguments", "refusal", "input"] {
                    if let Some(text) = event[name].as_str() {
                        let kind = kind.strip_prefix("response.").unwrap().strip_suffix(".done").unwrap();
                        self.copies.push((format!("{output}.{kind}"), text.to_owned()));
                    }
                }
                if kind == "response.output_item.done" {
                    self.item(&output, &event["item"]);
                }
                for (at, item) in event["response"]["output"].as_array().into_iter().flatten().enumerate() {
                    self.item(&at.to_string(), item);
                }
                if matches!(kind, "response.completed" | "response.incomplete") {
                    self.is_done = true;
                    self.finished.push(event["response"]["status"].to_string());
                }
            }
            _ => {
                if let Some(text) = event["text_output"].as_str() {
                    *self.texts.entry("0.text_output".to_owned()).or_default() += text;
                }
            }
        }
    }

    /// An item of a response, whole.
    fn item(&mut self, output: &str, item: &Value) {
        let texts = [
            ("output_text", &item["content"][0]["text"]),
            ("refusal", &item["content"][0]["refusal"]),
            ("reasoning_summary_text", &item["summary"][0]["text"]),
            ("function_call_arguments", &item["arguments"]),
            ("custom_tool_call_input", &item["input"]),
        ];
        for (kind, text) in texts {
            if let Some(text) = text.as_str() {
                self.copies.push((format!("{output}.{kind}"), text.to_owned()));
            }
        }
    }

    /// Strings of parts are put together by their places; elements of arrays have an index.
    fn strings(&mut self, place: &str, value: &Value) {
        match value {
            Value::String(text) => *self.texts.entry(place.to_owned()).or_default() += text,
            Value::Array(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    let index = element["index"].as_u64().unwrap_or(at as u64);
                    self.strings(&format!("{place}.{index}"), element);
                }
            }
            Value::Object(members) => {
                for (key, member) in members.iter().filter(|(key, _)| *key != "type" && *key != "role") {
                    self.strings(&format!("{place}.{key}"), member);
                }
            }
            _ => {}
        }
    }
}

/// All strings of all events, one after another, and what is said in them when they are put together.
pub(super) fn all_strings(api: Api, stream: &str) -> String {
    let answer = read(api, stream);
    let mut all = answer.texts.values().fold(String::new(), |all, text| all + text + "\n");
    let mut left: Vec<&Value> = answer.events.iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => all = all + text + "\n",
            Value::Array(elements) => left.extend(elements),
            Value::Object(members) => {
                all.extend(members.keys().flat_map(|key| [key, "\n"]));
                left.extend(members.values());
            }
            _ => {}
        }
    }
    all
}
