//! What a client reads in the place of a whole answer that a guardrail refuses: an answer of its dialect that says so, as
//! providers do. Of the original only what says which answer it is and what it cost is left.

use serde_json::{Map, Value, json};

use portcullis_policy::guard::lanes::shape::Api;

/// The answer of this API that says that it was filtered, made of the original. `None`: the API has no such answer.
pub(super) fn blocked_answer(api: Api, original: &[u8]) -> Option<Vec<u8>> {
    let original: Map<String, Value> = serde_json::from_slice(original).ok()?;
    let answer = match api {
        Api::Chat => choices(&original, "message", &json!({"role": "assistant", "content": ""}))?,
        Api::Completions => choices(&original, "text", &json!(""))?,
        Api::Messages => messages(&original)?,
        Api::Responses => responses(&original)?,
        Api::Lists | Api::Infer | Api::Generate | Api::Other => return None,
    };
    Some(answer.to_string().into_bytes())
}

/// The members that say which answer it is, as far as they are plain.
fn kept(original: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let plain = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    let member =
        |name: &&str| original.get(*name).filter(|value| plain(value)).map(|value| ((*name).to_owned(), value.clone()));
    names.iter().filter_map(member).collect()
}

/// Numbers, and objects of numbers: what an answer cost. A string in it may be anything.
fn usage(original: &Map<String, Value>) -> Option<Value> {
    fn numbers(value: &Value) -> Option<Value> {
        match value {
            Value::Number(_) => Some(value.clone()),
            Value::Object(members) => {
                let kept = members.iter().filter_map(|(name, value)| Some((name.clone(), numbers(value)?)));
                Some(Value::Object(kept.collect()))
            }
            _ => None,
        }
    }
    original.get("usage").and_then(numbers)
}

fn choices(original: &Map<String, Value>, member: &str, empty: &Value) -> Option<Value> {
    let choices = original.get("choices")?.as_array()?;
    let emptied = choices.iter().enumerate().map(|(place, choice)| {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
        json!({"index": index, member: empty, "logprobs": null, "finish_reason": "content_filter"})
    });
    let mut answer = kept(original, &["id", "object", "created", "model"]);
    answer.insert("choices".to_owned(), emptied.collect());
    answer.extend(usage(original).map(|usage| ("usage".to_owned(), usage)));
    Some(Value::Object(answer))
}

fn messages(original: &Map<String, Value>) -> Option<Value> {
    if original.get("type")? != "message" {
        return None;
    }
    let mut answer = kept(original, &["id", "type", "role", "model"]);
    answer.insert("content".to_owned(), json!([]));
    answer.insert("stop_reason".to_owned(), json!("refusal"));
    answer.insert("stop_sequence".to_owned(), Value::Null);
    answer.extend(usage(original).map(|usage| ("usage".to_owned(), usage)));
    Some(Value::Object(answer))
}

fn responses(original: &Map<String, Value>) -> Option<Value> {
    if original.get("object")? != "response" {
        return None;
    }
    let mut answer = kept(original, &["id", "object", "created_at", "model"]);
    answer.insert("status".to_owned(), json!("incomplete"));
    answer.insert("incomplete_details".to_owned(), json!({"reason": "content_filter"}));
    answer.insert("error".to_owned(), Value::Null);
    answer.insert("output".to_owned(), json!([]));
    answer.insert("parallel_tool_calls".to_owned(), json!(false));
    answer.insert("tools".to_owned(), json!([]));
    answer.insert("tool_choice".to_owned(), json!("none"));
    answer.extend(usage(original).map(|usage| ("usage".to_owned(), usage)));
    Some(Value::Object(answer))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn blocked(api: Api, original: &Value) -> Option<Value> {
        blocked_answer(api, original.to_string().as_bytes()).map(|answer| serde_json::from_slice(&answer).unwrap())
    }

    #[test]
    fn nothing_that_was_said_is_left() {
        let chat = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "note": "SECRET",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "SECRET"}, "finish_reason": "stop",
                "logprobs": {"content": [{"token": "SECRET"}]}},
                {"index": 1, "message": {"content": "SECRET", "tool_calls": []}, "finish_reason": "stop"}],
            "usage": {"completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}, "note": "SECRET"}});
        let answer = blocked(Api::Chat, &chat).unwrap();
        assert!(!answer.to_string().contains("SECRET"), "{answer}");
        assert_eq!(answer["choices"][1]["index"], 1);
        assert_eq!(answer["choices"][1]["finish_reason"], "content_filter");
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
        let message = json!({"id": "m1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "SECRET"}], "stop_reason": "end_turn", "stop_sequence": "SECRET"});
        let answer = blocked(Api::Messages, &message).unwrap();
        assert!(!answer.to_string().contains("SECRET"), "{answer}");
        assert_eq!((&answer["stop_reason"], &answer["content"]), (&json!("refusal"), &json!([])));
        let response = json!({"id": "r1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "SECRET"}]}]});
        let answer = blocked(Api::Responses, &response).unwrap();
        assert!(!answer.to_string().contains("SECRET"), "{answer}");
        assert_eq!(answer["incomplete_details"]["reason"], "content_filter");
    }

    #[test]
    fn what_is_no_answer_has_no_place_to_say_so() {
        for (api, original) in [
            (Api::Chat, json!({"error": {"message": "SECRET"}})),
            (Api::Messages, json!({"type": "error"})),
            (Api::Infer, json!({"outputs": []})),
            (Api::Chat, json!([])),
        ] {
            assert_eq!(blocked(api, &original), None, "{original}");
        }
    }
}
