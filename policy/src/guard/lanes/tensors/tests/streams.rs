//! Answers of one element per token.

use std::sync::Arc;

use super::*;
use crate::guard::placeholders::{ConversationKey, Placeholders, Values};

/// What one message of a stream says: whose answer, the last of it, and a token per output.
#[derive(Debug, Clone)]
struct Said {
    id: &'static str,
    is_final: bool,
    tokens: Vec<(&'static str, Vec<u8>)>,
}

fn said(id: &'static str, text: &str) -> Said {
    Said { id, is_final: false, tokens: vec![("out", text.as_bytes().to_vec())] }
}

fn last(id: &'static str) -> Said {
    Said { id, is_final: true, tokens: Vec::new() }
}

/// As Triton says it.
fn body(all: &[Said]) -> Vec<u8> {
    let message = |said: &Said| ModelStreamInferResponse {
        error_message: String::new(),
        infer_response: Some(ModelInferResponse {
            model_name: "model".into(),
            model_version: "1".into(),
            id: said.id.into(),
            parameters: parameters([("triton_final_response", Choice::Bool(said.is_final))]),
            outputs: said.tokens.iter().map(|(name, _)| outside(name, "BYTES", 1)).collect(),
            raw_output_contents: said.tokens.iter().map(|(_, token)| raw(&[token])).collect(),
        }),
    };
    all.iter().flat_map(|said| frame(&message(said).encode_to_vec())).collect()
}

/// What comes out of a body in chunks of this size.
fn screened(values: Option<&Arc<Values>>, body: &[u8], size: usize) -> (Vec<u8>, Step) {
    let (mut answers, mut scratch, mut out) =
        (Answers::stream(&guardrails(), values.cloned()), Scratch::default(), Vec::new());
    for chunk in body.chunks(size.max(1)) {
        let step = answers.push(chunk, &mut scratch, &mut out);
        if step != Step::Continue {
            assert_eq!(answers.push(chunk, &mut scratch, &mut out), Step::Continue, "nothing follows");
            return (out, step);
        }
    }
    let step = answers.finish(&mut scratch, &mut out);
    assert!(step != Step::Continue || answers.held() == 0);
    (out, step)
}

/// The elements of each output, by request and name, and whether that message was the last of the request.
fn tokens(body: &[u8]) -> Vec<(String, String, String, bool)> {
    let messages: Vec<ModelStreamInferResponse> = messages(body);
    let one = |message: ModelStreamInferResponse| {
        let answer = message.infer_response.unwrap();
        let is_final = answer.parameters["triton_final_response"].choice == Some(Choice::Bool(true));
        let outputs = answer.outputs.into_iter().zip(answer.raw_output_contents);
        let id = answer.id;
        outputs
            .map(|(output, raw)| {
                let token = String::from_utf8(raw[4..].to_vec()).unwrap();
                (id.clone(), output.name, token, is_final)
            })
            .collect::<Vec<_>>()
    };
    messages.into_iter().flat_map(one).collect()
}

/// The text of one output.
fn text(body: &[u8], id: &str, name: &str) -> String {
    tokens(body).into_iter().filter(|token| token.0 == id && token.1 == name).map(|token| token.2).collect()
}

fn check(all: &[Said], expected: &[&str]) {
    let body = body(all);
    for size in [1, 2, 7, body.len()] {
        let (out, step) = screened(None, &body, size);
        assert_eq!(step, Step::Continue);
        assert_eq!(tokens(&out).into_iter().map(|token| token.2).collect::<Vec<_>>(), expected, "in chunks of {size}");
    }
}

#[test]
fn a_value_in_several_tokens_is_masked() {
    check(
        &[said("", "call 5"), said("", "55-1"), said("", "23"), said("", " now")],
        &["call ", "", "[number]", " now"],
    );
    check(&[said("", "call 5"), said("", "55-x")], &["call ", "555-x"]);
}

#[test]
fn what_is_held_at_the_end_comes_in_a_message_of_its_own() {
    check(&[said("", "call 5"), said("", "55-1")], &["call ", "", "555-1"]);
    check(&[said("", "call 5"), said("", "55"), last("")], &["call ", "", "555"]);
    // Where the last message has a place for it, it stands there.
    let end = Said { is_final: true, ..said("", "55-1") };
    check(&[said("", "call 5"), end], &["call ", "555-1"]);
    // An answer to the next request begins a text of its own.
    check(&[said("", "5"), last(""), said("", "55-123")], &["", "5", "55-", "123"]);
}

#[test]
fn a_message_that_is_made_comes_before_that_which_ends_its_text() {
    let body = body(&[said("1", "555"), last("1")]);
    let (out, _) = screened(None, &body, body.len());
    let messages: Vec<ModelStreamInferResponse> = messages(&out);
    let ends = messages.iter().map(|message| {
        message.infer_response.as_ref().unwrap().parameters["triton_final_response"].choice == Some(Choice::Bool(true))
    });
    assert_eq!(ends.collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn requests_and_outputs_are_texts_apart() {
    let both = |one: &str, other: &str| Said {
        id: "1",
        is_final: false,
        tokens: vec![("out", one.as_bytes().to_vec()), ("other", other.as_bytes().to_vec())],
    };
    let all = [
        both("5", "55-"),
        said("2", "55-123"),
        both("55-", "x"),
        said("2", "5"),
        said("1", "123"),
        last("2"),
        last("1"),
    ];
    let (out, step) = screened(None, &body(&all), 9);
    assert_eq!(step, Step::Continue);
    assert_eq!(text(&out, "1", "out"), "[number]");
    assert_eq!(text(&out, "1", "other"), "55-x");
    assert_eq!(text(&out, "2", "out"), "55-1235");
}

#[test]
fn texts_that_last_appeared_in_different_messages_all_come_out() {
    let one = |name, text: &str| Said { id: "1", is_final: false, tokens: vec![(name, text.as_bytes().to_vec())] };
    let (out, _) = screened(None, &body(&[one("a", "55"), one("b", "5"), one("c", "555")]), 100);
    for (name, said) in [("a", "55"), ("b", "5"), ("c", "555")] {
        assert_eq!(text(&out, "1", name), said);
    }
}

#[test]
fn a_character_may_be_cut_between_tokens() {
    let part = |bytes: &[u8]| Said { id: "", is_final: false, tokens: vec![("out", bytes.to_vec())] };
    check(&[part(b"gr\xc3"), part(b"\xb6\xc3"), part(b"\x9fe")], &["gr", "ö", "ße"]);
    let (out, step) = screened(None, &body(&[part(b"gr\xc3"), part(b"(")]), 100);
    assert_eq!((text(&out, "", "out").as_str(), step), ("gr", Step::Failed(Unscreenable::NotText)));
}

#[test]
fn a_word_that_is_blocked_never_leaves() {
    let (out, step) = screened(None, &body(&[said("", "it is for"), said("", "bidden"), said("", " to")]), 11);
    assert_eq!((text(&out, "", "out").as_str(), step), ("it is ", Step::Blocked { rule: 1 }));
}

#[test]
fn values_of_the_caller_come_back_and_are_not_masked_again() {
    let mut placeholders = Placeholders::new(ConversationKey::derive(&[1; 32], "acme", b"hello"));
    let placeholder = placeholders.placeholder("number", "555-123").unwrap().to_owned();
    let values = placeholders.into_values();
    let answer = format!("you at {placeholder}, he at 555-124");
    for size in 1..answer.len() {
        let tokens: Vec<_> =
            answer.as_bytes().chunks(size).map(|part| said("", std::str::from_utf8(part).unwrap())).collect();
        let (out, step) = screened(Some(&values), &body(&tokens), 100);
        assert_eq!((text(&out, "", "out").as_str(), step), ("you at 555-123, he at [number]", Step::Continue));
    }
}

#[test]
fn an_error_is_a_text() {
    let error = ModelStreamInferResponse { error_message: "no 555-123".into(), infer_response: None };
    let (out, step) = screened(None, &frame(&error.encode_to_vec()), 100);
    let messages: Vec<ModelStreamInferResponse> = messages(&out);
    assert_eq!((messages[0].error_message.as_str(), step), ("no [number]", Step::Continue));
}

#[test]
fn a_stream_that_breaks_off_keeps_what_it_held() {
    let body = body(&[said("", "call 555-1"), said("", "23")]);
    let (out, step) = screened(None, &body[..body.len() - 1], 100);
    assert_eq!((text(&out, "", "out").as_str(), step), ("call ", Step::Failed(Unscreenable::CutShort)));
}

#[test]
fn texts_of_which_nothing_is_held_are_forgotten_and_others_are_bounded() {
    let ids: Vec<&'static str> = (0..=LANES_MAX).map(|n| &*n.to_string().leak()).collect();
    let fine: Vec<_> = ids.iter().map(|id| said(id, "fine")).collect();
    assert_eq!(screened(None, &body(&fine), 1 << 20).1, Step::Continue);
    let held: Vec<_> = ids.iter().map(|id| said(id, "5")).collect();
    assert_eq!(screened(None, &body(&held), 1 << 20).1, Step::Failed(Unscreenable::TooManyTexts));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_tokens_and_chunks_say_the_same(
        answer in "[a5\u{e4}-]{0,4}(555-123|5{0,3}-?|forb){0,3}[5-]{0,3}",
        cuts in prop::collection::vec(1_usize..5, 1..6),
        size in 1_usize..200,
        is_final in any::<bool>(),
    ) {
        let whole = [Said { is_final: true, ..said("", &answer) }];
        let (out, _) = screened(None, &body(&whole), 1000);
        let expected = text(&out, "", "out");
        let (mut rest, mut parts) = (answer.as_bytes(), Vec::new());
        for cut in cuts.iter().cycle() {
            let (part, others) = rest.split_at((*cut).min(rest.len()));
            parts.push(Said { id: "", is_final: false, tokens: vec![("out", part.to_vec())] });
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
        parts.extend(is_final.then(|| last("")));
        let (out, step) = screened(None, &body(&parts), size);
        prop_assert_eq!(step, Step::Continue);
        prop_assert_eq!(text(&out, "", "out"), expected);
        let (again, _) = screened(None, &body(&parts), 1);
        prop_assert_eq!(again, out);
    }
}
