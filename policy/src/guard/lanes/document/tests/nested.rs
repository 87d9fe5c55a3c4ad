//! Strings that are JSON in themselves, and values behind keys that say what they are.

use super::*;

const INFER: Shape = Shape::request(Api::Infer);

#[test]
fn json_in_elements_parameters_and_unknown_fields_is_read_as_json() {
    // As it stands between the quotes of the outer document.
    let check = |shape: Shape, json: &str, expected: &str| assert_eq!(masked(shape, json, &settings()), expected);
    check(
        INFER,
        r#"{"inputs":[{"name":"sampling_parameters","datatype":"BYTES","shape":[1],"data":["{\"stop\": \"alice\\u0040corp.example\", \"n\": 1}"]}]}"#,
        r#"{"inputs":[{"name":"sampling_parameters","datatype":"BYTES","shape":[1],"data":["{\"stop\": \"[masked]\", \"n\": 1}"]}]}"#,
    );
    check(
        INFER,
        r#"{"parameters":{"sampling":"[\"to \\u0061lice@corp.example\"]"}}"#,
        r#"{"parameters":{"sampling":"[\"to [masked]\"]"}}"#,
    );
    check(
        Shape::request(Api::Generate),
        r#"{"text_input":"hi","sampling_parameters":"{\"stop\":\"alice\\u0040corp.example\"}"}"#,
        r#"{"text_input":"hi","sampling_parameters":"{\"stop\":\"[masked]\"}"}"#,
    );
    check(
        Shape::answer(Api::Infer),
        r#"{"outputs":[{"name":"o","datatype":"BYTES","shape":[1],"data":["\"alice\\u0040corp.example\""]}]}"#,
        r#"{"outputs":[{"name":"o","datatype":"BYTES","shape":[1],"data":["\"[masked]\""]}]}"#,
    );
    check(CHAT, r#"{"vendor":"{\"k\":\"alice\\u0040corp.example\"}"}"#, r#"{"vendor":"{\"k\":\"[masked]\"}"}"#);
    // What a model is told is a text, as it stands.
    let told = r#"{"messages":[{"role":"user","content":"{\"k\":\"alice\\u0040corp.example\"}"}]}"#;
    check(CHAT, told, told);
}

#[test]
fn json_of_unknown_fields_goes_or_passes_as_other_texts_do() {
    let json = r#"{"n": 1, "vendor":"{\"k\":\"alice\\u0040corp.example\"}"}"#;
    let check = |unknown_fields: UnknownFields, expected: &str| {
        assert_eq!(masked(CHAT, json, &Settings { unknown_fields, ..settings() }), expected);
    };
    check(UnknownFields::Drop, r#"{"n": 1}"#);
    check(UnknownFields::Pass, json);
}

/// Notes what is shown behind which key.
#[derive(Default)]
struct Keys(Vec<(String, String)>);

impl Screener for Keys {
    fn text(&mut self, _: &Place, _: &str) -> Edit {
        Edit::Keep
    }

    fn behind(&mut self, _: &Place, key: &str, text: &str) -> Edit {
        self.0.push((key.to_owned(), text.to_owned()));
        if key == "ssn" { Edit::Ranges(vec![(0..text.len(), "[masked]".to_owned())]) } else { Edit::Keep }
    }
}

#[test]
fn values_of_unknown_keys_are_shown_behind_their_key() {
    let json = r#"{"metadata":{"ssn":"219099999","deep":{"list":["a",["b"]]}},"messages":[{"role":"user","content":"hi"}],"new":"x","user":"u"}"#;
    let mut keys = Keys::default();
    let written = rewrite(CHAT, json.as_bytes(), &settings(), &mut keys).unwrap().unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), json.replace("219099999", "[masked]"));
    let expected = [("ssn", "219099999"), ("list", "a"), ("list", "b"), ("new", "x")];
    assert_eq!(keys.0, expected.map(|(key, text)| (key.to_owned(), text.to_owned())));
}
