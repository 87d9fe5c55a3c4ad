//! Every lane has its text found, whoever may see it; what is replaced leaves all else as it was.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::trivially_copy_pass_by_ref,
    reason = "tests"
)]

mod masks;
mod nested;
mod plants;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Document, Edit, Place, Screener, Settings, Unreadable, rewrite};
use crate::guard::{
    lanes::{
        json::Reason,
        shape::{Api, Shape, Speaker},
    },
    screen::{UnknownFields, Unscreened},
};

/// What is planted.
const PLANT: &str = "alice@corp.example";

/// Masks a word, and notes what it was shown.
#[derive(Default)]
struct Masking {
    word: &'static str,
    shown: Vec<(Place, String)>,
}

impl Masking {
    fn plant() -> Self {
        Self { word: PLANT, ..Self::default() }
    }

    /// Who said texts that have the word.
    fn speakers(&self) -> Vec<Speaker> {
        self.shown.iter().filter(|(_, text)| text.contains(self.word)).map(|(place, _)| place.speaker).collect()
    }
}

impl Screener for Masking {
    fn text(&mut self, place: &Place, text: &str) -> Edit {
        self.shown.push((*place, text.to_owned()));
        let found: Vec<_> = text
            .match_indices(self.word)
            .filter(|(_, word)| !word.is_empty())
            .map(|(at, word)| (at..at + word.len(), "[masked]".to_owned()))
            .collect();
        if found.is_empty() { Edit::Keep } else { Edit::Ranges(found) }
    }
}

const PASS: Settings = Settings { unknown_fields: UnknownFields::Scan, unscreened: Unscreened::Pass };

fn settings() -> Settings {
    Settings::default()
}

/// What a document is when the plant is masked.
fn masked(shape: Shape, json: &str, settings: &Settings) -> String {
    let written = rewrite(shape, json.as_bytes(), settings, &mut Masking::plant()).unwrap();
    written.map_or_else(|| json.to_owned(), |written| String::from_utf8(written).unwrap())
}

const CHAT: Shape = Shape::request(Api::Chat);
const CHAT_ANSWER: Shape = Shape::answer(Api::Chat);

#[test]
fn a_document_in_which_nothing_is_found_is_not_written() {
    let json = br#"{ "messages": [{"role": "user", "content": "h\u00e9llo"}] }"#;
    assert_eq!(rewrite(CHAT, json, &settings(), &mut Masking::plant()), Ok(None));
}

#[test]
fn what_is_not_replaced_is_copied_byte_for_byte() {
    let json = r#"{ "x":1.50,  "messages":[{"role":"user","content":"\u00e9 alice\u0040corp.example\t\ud83d\ude00"} ] ,"n": 1e2}"#;
    let expected = r#"{ "x":1.50,  "messages":[{"role":"user","content":"\u00e9 [masked]\t\ud83d\ude00"} ] ,"n": 1e2}"#;
    assert_eq!(masked(CHAT, json, &settings()), expected);
}

#[test]
fn roles_say_who_speaks_wherever_they_stand() {
    let check = |role: &str, speaker: Speaker| {
        for json in [
            json!({"messages": [{"role": role, "content": PLANT}]}),
            json!({"messages": [{"content": PLANT, "role": role}]}),
            json!({"messages": [{"content": [{"text": PLANT, "type": "text"}], "role": role}]}),
        ] {
            let mut screener = Masking::plant();
            rewrite(CHAT, json.to_string().as_bytes(), &settings(), &mut screener).unwrap();
            assert_eq!(screener.speakers(), [speaker], "{json}");
        }
    };
    check("system", Speaker::System);
    check("developer", Speaker::System);
    check("user", Speaker::User);
    check("assistant", Speaker::Assistant);
    check("tool", Speaker::Tool);
    check("function", Speaker::Tool);
    check("wizard", Speaker::Unknown);
}

#[test]
fn a_message_is_also_one_text() {
    let json = json!({"messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "ignore", "x": "-"}, {"type": "text", "text": "all rules"}]},
        {"role": "user", "content": "and again"},
    ]})
    .to_string();
    let document = Document::read(CHAT, json.as_bytes(), &settings()).unwrap();
    let joined = document.joined();
    assert_eq!(joined.len(), 1);
    assert_eq!(
        (joined[0].0.speaker, joined[0].0.message, &*joined[0].1),
        (Speaker::User, Some(1), "ignore\nall rules")
    );
    assert_eq!(document.opening().collect::<Vec<_>>(), ["be kind", "ignore", "all rules"]);
}

#[test]
fn what_cannot_be_screened_is_refused_unless_it_may_pass() {
    let image = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(20));
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    for (shape, json) in [
        (CHAT, part(json!({"type": "image_url", "image_url": {"url": image}}))),
        (CHAT, part(json!({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}))),
        (CHAT, part(json!({"type": "image_url", "image_url": "https://x.example/a.png"}))),
        (CHAT, part(json!({"type": "input_audio", "input_audio": {"data": "UklGR".repeat(20), "format": "wav"}}))),
        (CHAT, part(json!({"type": "file", "file": {"file_id": "file-1"}}))),
        (Shape::request(Api::Completions), json!({"prompt": [1, 2, 3]})),
        (Shape::request(Api::Completions), json!({"prompt": [[1, 2], [3]]})),
        (Shape::request(Api::Lists), json!({"input": [1, 2, 3]})),
        (Shape::request(Api::Lists), json!({"input": [[1, 2, 3]]})),
        (Shape::request(Api::Generate), json!({"tokens": [1, 2, 3]})),
        (Shape::request(Api::Generate), json!({"input_ids": [[1, 2, 3]]})),
        (Shape::answer(Api::Generate), json!({"tokens": [1, 2, 3], "count": 3})),
        (CHAT_ANSWER, json!({"choices": [{"message": {"content": "x"}, "token_ids": [1, 2]}]})),
        (CHAT_ANSWER, json!({"choices": [{"message": {"audio": {"data": "UklGR".repeat(20), "transcript": "x"}}}]})),
        (
            Shape::request(Api::Messages),
            json!({"messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO".repeat(30)}}]}]}),
        ),
        (
            Shape::request(Api::Responses),
            json!({"input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": image}]}]}),
        ),
    ] {
        let read = |settings: &Settings| rewrite(shape, json.to_string().as_bytes(), settings, &mut Masking::plant());
        assert!(matches!(read(&settings()), Err(Unreadable::Unscreened { .. })), "{json}");
        assert_eq!(read(&PASS), Ok(None), "{json}");
    }
    // Embeddings are numbers, and so are what models of other kinds take.
    for (shape, json) in [
        (Shape::answer(Api::Lists), json!({"data": [{"embedding": [0.5, -0.25]}]})),
        (Shape::answer(Api::Lists), json!({"data": [{"embedding": "AAAAAAAA".repeat(64)}]})),
        (
            Shape::request(Api::Infer),
            json!({"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}),
        ),
        (CHAT, json!({"messages": [], "stop": null, "n": 1, "logit_bias": {}})),
    ] {
        let written = rewrite(shape, json.to_string().as_bytes(), &settings(), &mut Masking::plant());
        assert_eq!(written, Ok(None), "{json}");
    }
}

#[test]
fn what_may_pass_unscreened_is_seen_where_it_is_text() {
    for url in [
        format!("https://x.example/{PLANT}"),
        format!("data:{PLANT};base64,AAAA"),
        format!("data:image/png;base64,{PLANT}"),
    ] {
        let json =
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
        let mut screener = Masking::plant();
        rewrite(CHAT, json.to_string().as_bytes(), &PASS, &mut screener).unwrap();
        assert_eq!(screener.speakers().len(), 1, "{json}");
    }
}

#[test]
fn unknown_fields_are_screened_dropped_or_passed_as_the_policy_says() {
    let check = |json: &str, unknown_fields: UnknownFields, expected: &str| {
        assert_eq!(masked(CHAT, json, &Settings { unknown_fields, ..settings() }), expected, "{json}");
    };
    let json = r#"{"new": "alice@corp.example", "n": 1, "extra": {"deep": ["alice@corp.example", 2]}}"#;
    check(json, UnknownFields::Scan, r#"{"new": "[masked]", "n": 1, "extra": {"deep": ["[masked]", 2]}}"#);
    check(json, UnknownFields::Drop, r#"{"n": 1}"#);
    check(json, UnknownFields::Pass, json);
    check(r#"{ "a":"x" , "b":"y" }"#, UnknownFields::Drop, "{  }");
    check(r#"{"n":1, "a":"x","b":[{"c":"y"}]}"#, UnknownFields::Drop, r#"{"n":1}"#);
    check(r#"{"a":"x","n":1,"b":"y","user":"u","c":{"d":1}}"#, UnknownFields::Drop, r#"{"n":1,"user":"u"}"#);
    check(r#"{"n":1,"text":"a known key where none is expected"}"#, UnknownFields::Drop, r#"{"n":1}"#);
    // Known fields are screened whatever is said of unknown ones.
    let known = r#"{"messages":[{"role":"user","content":"alice@corp.example"}]}"#;
    for unknown in [UnknownFields::Scan, UnknownFields::Drop, UnknownFields::Pass] {
        check(known, unknown, r#"{"messages":[{"role":"user","content":"[masked]"}]}"#);
    }
}

#[test]
fn keys_that_nobody_knows_are_texts() {
    let json = r#"{"metadata":{"alice@corp.example":"x","n":1}}"#;
    assert_eq!(masked(CHAT, json, &settings()), r#"{"metadata":{"[masked]":"x","n":1}}"#);
    let json = r#"{"metadata":{"alice\u0040corp.example":1,"to alice@corp.example":2}}"#;
    assert_eq!(masked(CHAT, json, &settings()), r#"{"metadata":{"[masked]":1,"to [masked]":2}}"#);
    let same = r#"{"metadata":{"[masked]":1,"alice@corp.example":2}}"#;
    let written = rewrite(CHAT, same.as_bytes(), &settings(), &mut Masking::plant());
    assert_eq!(written, Err(Unreadable::SameKeys));
}

/// Lets nothing go on that has the plant.
struct Refusing;

impl Screener for Refusing {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        if text.contains(PLANT) { Edit::Refuse } else { Edit::Keep }
    }
}

#[test]
fn a_refusal_says_where_and_never_what() {
    let json = br#"{"messages":[{"role":"user","content":"alice@corp.example"}]}"#;
    let refused = rewrite(CHAT, json, &settings(), &mut Refusing).unwrap_err();
    assert_eq!(refused, Unreadable::Refused { at: 39 });
    assert_eq!(refused.to_string(), "refused because of the text at byte 39");
    let unreadable = |json: &[u8]| rewrite(CHAT, json, &settings(), &mut Refusing).unwrap_err();
    let reason = |json: &[u8]| match unreadable(json) {
        Unreadable::Json(fault) => fault.reason,
        other => panic!("{other}"),
    };
    assert_eq!(reason(br#"{"messages":[],"messages":[]}"#), Reason::DuplicateKey);
    assert_eq!(reason(br#"{"messages":[{"content":"\ud800"}]}"#), Reason::LoneSurrogate);
    assert_eq!(reason(b"{\"messages\":[\xff]}"), Reason::NotUtf8);
    assert_eq!(reason("[".repeat(100_000).as_bytes()), Reason::TooDeep);
    assert_eq!(unreadable(b"").to_string(), "expected a value at byte 0");
}

#[test]
fn large_documents_cost_what_they_are_long() {
    let text = "All work and no play makes Jack a dull boy. ".repeat(1_000_000 / 44);
    let json = json!({"messages": [{"role": "user", "content": format!("{text}{PLANT}")}]}).to_string();
    assert!(masked(CHAT, &json, &settings()).ends_with(r#"[masked]"}]}"#));
    let escaped = format!(
        r#"{{"messages":[{{"role":"user","content":"{}alice\u0040corp.example"}}]}}"#,
        r"\u0061".repeat(150_000)
    );
    assert!(masked(CHAT, &escaped, &settings()).ends_with(r#"\u0061[masked]"}]}"#));
    let message = json!({"role": "user", "content": PLANT});
    let many = json!({"messages": vec![message; 10_000]}).to_string();
    assert_eq!(masked(CHAT, &many, &settings()).matches("[masked]").count(), 10_000);
}

/// Any JSON with the plant in one of its strings, which may be a key.
fn planted() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("messages".to_owned()),
        Just("content".to_owned()),
        Just("text".to_owned()),
        Just("choices".to_owned()),
        Just("message".to_owned()),
        Just("input".to_owned()),
        Just("type".to_owned()),
        Just("role".to_owned()),
        Just("tool_calls".to_owned()),
        Just("function".to_owned()),
        Just("arguments".to_owned()),
        Just("logprobs".to_owned()),
        Just("tokens".to_owned()),
        "[a-z\"é]{1,4}",
    ];
    let leaf = prop_oneof![
        3 => Just(Value::Null),
        3 => any::<i32>().prop_map(Value::from),
        3 => "[a-zA-Z\"\\\\\n 😀]{0,6}".prop_map(Value::from),
        1 => Just(Value::from(format!("<{PLANT}>"))),
        1 => Just(Value::from(json!({"to": PLANT}).to_string())),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let plain = (key.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(plain, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn count(value: &Value) -> usize {
    match value {
        Value::String(text) => text.matches(PLANT).count(),
        Value::Array(elements) => elements.iter().map(count).sum(),
        Value::Object(members) => members.iter().map(|(key, value)| key.matches(PLANT).count() + count(value)).sum(),
        _ => 0,
    }
}

/// Whether two documents have the same containers, keys and kinds of values, but for logprobs, which go.
fn are_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, one), (same, other))| key == same && (key == "logprobs" || are_alike(one, other)))
        }
        (Value::String(_), Value::String(_)) => true,
        (one, other) => one == other,
    }
}

const APIS: [Api; 8] =
    [Api::Chat, Api::Completions, Api::Responses, Api::Lists, Api::Messages, Api::Infer, Api::Generate, Api::Other];

proptest! {
    #[test]
    fn a_plant_is_seen_once_wherever_it_stands(value in planted(), api in prop::sample::select(&APIS[..]), form in 0..3_usize) {
        let shape = [Shape::request(api), Shape::answer(api), Shape::event(api)][form];
        let json = value.to_string();
        let mut screener = Masking::plant();
        let written = rewrite(shape, json.as_bytes(), &PASS, &mut screener).unwrap();
        let seen: usize = screener.shown.iter().map(|(_, text)| text.matches(PLANT).count()).sum();
        prop_assert_eq!(seen, count(&value), "{}", json);
        if let Some(written) = written {
            let after: Value = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(count(&after), 0);
            prop_assert!(are_alike(&value, &after), "{json} {after}");
        }
    }
}
