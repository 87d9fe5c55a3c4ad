//! What is replaced where a text is said in two ways: JSON in JSON, and token by token.

use serde_json::{Value, json};

use super::{CHAT_ANSWER, Masking, masked, rewrite, settings};
use crate::guard::lanes::shape::{Api, Shape};

/// Arguments of a call of an answer in which a word is masked.
fn arguments(inner: &str, word: &'static str) -> (Value, String) {
    let answer = json!({"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": inner}}]}}]});
    let mut screener = Masking { word, ..Masking::default() };
    let written = rewrite(CHAT_ANSWER, answer.to_string().as_bytes(), &settings(), &mut screener).unwrap();
    let answer: Value = written.map_or(answer, |written| serde_json::from_slice(&written).unwrap());
    let inner = answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned();
    (serde_json::from_str(&inner).unwrap_or(Value::Null), inner)
}

#[test]
fn a_mask_never_breaks_arguments() {
    let check =
        |inner: &str, word: &'static str, expected: &str| assert_eq!(arguments(inner, word).1, expected, "{word}");
    check(r#"{"to": "bob", "n": 12}"#, "bob", r#"{"to": "[masked]", "n": 12}"#);
    check(r#"{"to": "\u0062o\u0062!"}"#, "bob", r#"{"to": "[masked]!"}"#);
    check(r#"{"to": "a\"b\ud83d\ude00c"}"#, "😀", r#"{"to": "a\"b[masked]c"}"#);
    check(r#"{"to": "a\"b"}"#, "a\"b", r#"{"to": "[masked]"}"#);
    check(r#"{"bob": 1}"#, "bob", r#"{"[masked]": 1}"#);
    // Half of a number is another number.
    check(r#"{"card": 4111111111111111, "n": 5}"#, "11111", r#"{"card": "[masked]", "n": 5}"#);
    check(r#"{"n": true}"#, "true", r#"{"n": "[masked]"}"#);
    check("[1, 2, 3]", "1, 2", r#"["[masked]", "", 3]"#);
    // What is found across values goes from each of them.
    check(r#"{"password": "hunter2"}"#, r#"password": "hunter2"#, r#"{"[masked]": ""}"#);
    check(r#"["alice@", "corp"]"#, r#"alice@", "corp"#, r#"["[masked]", ""]"#);
    check(r#"{"a": 1}"#, r": ", r#"{"a": 1}"#);
    // A model writes keys twice, and what is no JSON.
    check(r#"{"a": "bob", "a": "bob"}"#, "bob", r#"{"a": "[masked]", "a": "[masked]"}"#);
    check("to bob", "bob", "to [masked]");
    check(r#"{"to": "bob"#, "bob", r#"{"to": "[masked]"#);
    check(r#"{"to": "\u0062ob"#, "bob", r#"{"to": "[masked]"#);
    check(r"C:\bob", r"C:\bob", "[masked]");
}

#[test]
fn what_stands_before_a_value_is_seen_beside_it() {
    let (_, inner) = arguments(r#"{"api_key": "s3cr3t"}"#, r#""api_key": "s3cr3t"#);
    assert_eq!(inner, r#"{"[masked]": ""}"#);
    let json = r#"{"content":[{"type":"tool_use","input": { "api_key" : "alice\u0040corp.example", "n": 1 } }]}"#;
    let expected = r#"{"content":[{"type":"tool_use","input": { "api_key" : "[masked]", "n": 1 } }]}"#;
    assert_eq!(masked(Shape::answer(Api::Messages), json, &settings()), expected);
}

fn chat_answer(tokens: &[&str], content: &str) -> String {
    let tokens: Vec<_> = tokens
        .iter()
        .map(|token| json!({"token": token, "logprob": -0.5, "bytes": [1, 2], "top_logprobs": [{"token": "z", "bytes": []}]}))
        .collect();
    json!({"choices": [{"message": {"content": content}, "logprobs": {"content": tokens, "refusal": null}}]})
        .to_string()
}

fn tokens_of(written: &str) -> Value {
    let value: Value = serde_json::from_str(written).unwrap();
    let logprobs = &value["choices"][0]["logprobs"];
    match &logprobs["content"] {
        Value::Array(entries) => entries.iter().map(|entry| entry["token"].clone()).collect(),
        _ => logprobs.clone(),
    }
}

#[test]
fn logprobs_of_what_is_masked_go() {
    let check = |tokens: &[&str], content: &str, expected: Value| {
        let written = masked(CHAT_ANSWER, &chat_answer(tokens, content), &settings());
        assert_eq!(tokens_of(&written), expected, "{written}");
        assert!(!written.contains("alice"), "{written}");
    };
    let content = "to alice@corp.example, now";
    check(&["to", " alice", "@corp", ".example", ",", " now"], content, json!(["to", ",", " now"]));
    check(&["to ", "alice@corp.example, now"], content, json!(["to "]));
    check(&["to alice@corp.example, now"], content, json!([]));
    check(&["to alice@", "corp.example", ", now"], content, json!([", now"]));
    // They do not add up to the text.
    check(&["to", " alice", "@corp"], content, Value::Null);
    check(&["to", " alice", "@corp", ".example", ",", " now", "!"], content, Value::Null);
    // Nothing is masked in the text.
    check(&["alice", "@corp", ".example"], "something else", Value::Null);
    let same = chat_answer(&["to", " bob"], "to bob");
    assert_eq!(masked(CHAT_ANSWER, &same, &settings()), same);
}

#[test]
fn logprobs_of_completions_and_of_refusals_go() {
    let logprobs = json!({
        "tokens": ["to", " alice", "@corp", ".example", "."],
        "token_logprobs": [null, -1.0, -2.0, -3.0, -4.0],
        "top_logprobs": [null, {" alice": -1.0}, {"@corp": -2.0}, {".example": -3.0}, {".": -4.0}],
        "text_offset": [0, 2, 8, 13, 21],
    });
    let answer = json!({"choices": [{"text": "to alice@corp.example.", "logprobs": logprobs}]}).to_string();
    let written = masked(Shape::answer(Api::Completions), &answer, &settings());
    let value: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(value["choices"][0]["text"], "to [masked].");
    let expected = json!({
        "tokens": ["to", "."],
        "token_logprobs": [null, -4.0],
        "top_logprobs": [null, {".": -4.0}],
        "text_offset": [0, 21],
    });
    assert_eq!(value["choices"][0]["logprobs"], expected);
    let uneven = answer.replace("[0,2,8,13,21]", "[0]");
    assert_ne!(uneven, answer);
    let value: Value = serde_json::from_str(&masked(Shape::answer(Api::Completions), &uneven, &settings())).unwrap();
    assert_eq!(value["choices"][0]["logprobs"], Value::Null);

    let refusal = json!({"choices": [{
        "message": {"content": null, "refusal": "not alice@corp.example"},
        "logprobs": {"content": null, "refusal": [{"token": "not "}, {"token": "alice@corp.example"}]},
    }]});
    let value: Value = serde_json::from_str(&masked(CHAT_ANSWER, &refusal.to_string(), &settings())).unwrap();
    assert_eq!(value["choices"][0]["logprobs"]["refusal"], json!([{"token": "not "}]));
}

#[test]
fn logprobs_of_responses_go_with_their_part() {
    let part = |tokens: &[&str], text: &str| {
        let logprobs: Vec<_> =
            tokens.iter().map(|token| json!({"token": token, "top_logprobs": [{"token": "z"}]})).collect();
        json!({"type": "output_text", "text": text, "logprobs": logprobs})
    };
    let answer = json!({"output": [{"type": "message", "content": [
        part(&["to ", "alice@", "corp.example"], "to alice@corp.example"),
        part(&["to ", "bob"], "to bob"),
        part(&["to "], "to alice@corp.example"),
    ]}]});
    let value: Value =
        serde_json::from_str(&masked(Shape::answer(Api::Responses), &answer.to_string(), &settings())).unwrap();
    let content = &value["output"][0]["content"];
    assert_eq!(content[0]["logprobs"], json!([{"token": "to ", "top_logprobs": [{"token": "z"}]}]));
    assert_eq!(content[1], answer["output"][0]["content"][1]);
    assert_eq!(content[2]["logprobs"], json!([]));
}
