//! Elements and parameters that are JSON in themselves, as vLLM's `sampling_parameters` are.

use super::*;
use crate::guard::{
    lanes::{
        document::{Edit, Place, Screener},
        shape::Form,
        tensors::binary::{Written, rewrite},
    },
    placeholders::{ConversationKey, Placeholders},
};

/// Replaces `@` by a quote and a backslash, which JSON has to escape.
#[derive(Default)]
struct Quote(Vec<String>);

impl Screener for Quote {
    fn text(&mut self, _: &Place, text: &str) -> Edit {
        self.0.push(text.to_owned());
        Edit::Ranges(text.match_indices('@').map(|(at, _)| (at..at + 1, "\"\\".to_owned())).collect())
    }
}

const ESCAPED: &str = r#"{"stop": ["eve\u0040corp"], "n": 1}"#;
const QUOTED: &str = r#"{"stop": ["eve\"\\corp"], "n": 1}"#;

#[test]
fn escapes_of_json_in_a_tensor_hide_nothing_and_what_is_replaced_is_escaped() {
    let request = |text: &str| ModelInferRequest {
        parameters: parameters([("sampling", Choice::Text(text.into()))]),
        inputs: vec![outside("sampling_parameters", "BYTES", 1)],
        raw_input_contents: vec![raw(&[text.as_bytes()])],
        ..ModelInferRequest::default()
    };
    let message = request(ESCAPED).encode_to_vec();
    let read = Request::read(&message, &CLOSED).unwrap();
    let mut quote = Quote::default();
    let written = read.rewrite(&mut quote).unwrap().unwrap();
    assert_eq!(ModelInferRequest::decode(&*written).unwrap(), request(QUOTED));
    assert_eq!(read.texts().map(|(_, text)| text).collect::<Vec<_>>(), quote.0);
    assert!(quote.0.iter().filter(|text| text.contains("eve@corp")).count() == 2, "{:?}", quote.0);
    // The same in the tensors behind a document of HTTP.
    let tensor = raw(&[ESCAPED.as_bytes()]);
    let json = |size: usize| {
        format!(
            r#"{{"inputs":[{{"name":"t","datatype":"BYTES","shape":[1],"parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let mut quote = Quote::default();
    let written = rewrite(Form::Request, json(tensor.len()).as_bytes(), &tensor, &CLOSED, &mut quote).unwrap();
    let tensors = raw(&[QUOTED.as_bytes()]);
    assert_eq!(written, Some(Written { json: json(tensors.len()).into_bytes(), tensors: tensors.to_vec() }));
}

#[test]
fn what_is_no_json_is_a_text_and_what_only_looks_like_it_is_read_both_ways() {
    let shown = |text: &str| {
        let message = ModelInferRequest { inputs: vec![texts("t9", &[text.as_bytes()])], ..Default::default() };
        let message = message.encode_to_vec();
        let read = Request::read(&message, &CLOSED).unwrap();
        let mut quote = Quote::default();
        let written = read.rewrite(&mut quote).unwrap();
        let element = written.map(|written| {
            let read = ModelInferRequest::decode(&*written).unwrap();
            String::from_utf8(read.inputs[0].contents.as_ref().unwrap().elements[0].to_vec()).unwrap()
        });
        quote.0.remove(0);
        (quote.0, element)
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(shown(r"C:\u0040 @"), (texts(&[r"C:\u0040 @"]), Some(r#"C:\u0040 "\"#.to_owned())));
    assert_eq!(shown("[INST] a@b"), (texts(&["[INST] a@b"]), Some(r#"[INST] a"\b"#.to_owned())));
    let loose = r#"{"n": NaN, "to": "a\u0040b"}"#;
    assert_eq!(shown(loose).0, texts(&[loose, r#"{"n": NaN, "to": "a@b"}"#]));
    assert_eq!(shown(loose).1.unwrap(), r#"{"n": NaN, "to": "a\"\\b"}"#);
    // Deeper than our reader goes, and yet seen.
    let deep = format!("{}\"a\\u0040b\"{}", "[".repeat(500), "]".repeat(500));
    assert!(shown(&deep).0.iter().any(|text| text.contains("a@b")));
}

#[test]
fn json_in_a_whole_answer_is_read_as_json() {
    let answer = |text: &str| {
        let outputs = vec![texts("out", &[text.as_bytes()])];
        let said = parameters([("said", Choice::Text(text.into()))]);
        ModelInferResponse { outputs, parameters: said, ..ModelInferResponse::default() }
    };
    let said = r#"{"call": "555\u002d123", "n": 4}"#;
    let (out, step) = whole(&guardrails(), &frame(&answer(said).encode_to_vec()));
    let masked = answer(r#"{"call": "[number]", "n": 4}"#);
    assert_eq!((messages::<ModelInferResponse>(&out), step), (vec![masked], Step::Continue));
    let blocked = answer(r#"{"it": "is f\u006frbidden"}"#);
    let (out, step) = whole(&guardrails(), &frame(&blocked.encode_to_vec()));
    assert_eq!((out.len(), step), (0, Step::Blocked { rule: 1 }));
}

#[test]
fn a_value_that_comes_back_into_json_is_escaped() {
    let mut placeholders = Placeholders::new(ConversationKey::derive(&[1; 32], "acme", b"hello"));
    let placeholder = placeholders.placeholder("name", "\"Bo\" \\ 555-123").unwrap().to_owned();
    let values = placeholders.into_values();
    let element =
        |text: &str| ModelInferResponse { outputs: vec![texts("out", &[text.as_bytes()])], ..Default::default() };
    let body = frame(&element(&format!(r#"{{"to": "{placeholder}"}}"#)).encode_to_vec());
    let (mut answers, mut out) = (Answers::whole(&guardrails(), Some(values)), Vec::new());
    assert_eq!(answers.push(&body, &mut Scratch::default(), &mut out), Step::Continue);
    let expected = element(r#"{"to": "\"Bo\" \\ 555-123"}"#);
    assert_eq!(messages::<ModelInferResponse>(&out), vec![expected]);
}
