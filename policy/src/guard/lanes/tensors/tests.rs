//! Messages as `prost` writes and reads them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod nested;
#[path = "../../../../../tests/simulator/src/kserve/proto.rs"]
#[allow(dead_code, reason = "shared with the simulated server")]
mod proto;
mod refusals;
mod streams;
mod tails;

use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;

use self::proto::{
    Choice, Contents, InferTensor, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse, Parameter,
    RequestedOutput,
};
use super::*;
use crate::{
    guard::{
        engine::{Action, Rule},
        lanes::{document::Settings, doubling::Double},
        screen::{
            Detector, Direction, Guardrails, OnError, Origin, Reaction, Scratch, Speakers, Stage, Tell, UnknownFields,
            Unscreened,
        },
    },
    snapshot::DocumentId,
};

/// Masks numbers like `555-123`, blocks `forbidden`.
pub(in crate::guard::lanes) fn guardrails() -> Guardrails {
    let stage = |name: &str, reaction| Stage {
        policy: DocumentId { group: "g".into(), kind: "k".into(), namespace: "n".into(), name: "p".into() },
        name: name.into(),
        detector: Detector::Patterns,
        reaction,
        speakers: Speakers::EVERYBODY,
        is_shadow: false,
        on_error: OnError::Block,
    };
    let origin = |stage, rule: &str| Origin { stage, rule: rule.into(), kind: "NUMBER".into() };
    let stages = vec![stage("numbers", Reaction::Mask), stage("words", Reaction::Block)];
    let rules = vec![
        (origin(0, "number"), Rule::new("number", "[0-9]{3}-[0-9]{3}", Action::Mask("[number]".into()))),
        (origin(1, "word"), Rule::word("word", "forbidden", Action::Block)),
    ];
    Guardrails {
        policies: Vec::new(),
        input: Direction::nothing().into(),
        output: Direction::new(stages, rules).unwrap().into(),
        unknown_fields: UnknownFields::Scan,
        unscreened: Unscreened::Refuse,
        tell_verdict: Tell::Nothing,
    }
}

/// A tensor of BYTES.
fn texts(name: &str, elements: &[&[u8]]) -> InferTensor {
    let elements = elements.iter().map(|element| Bytes::copy_from_slice(element)).collect::<Vec<_>>();
    InferTensor {
        name: name.into(),
        datatype: "BYTES".into(),
        shape: vec![i64::try_from(elements.len()).unwrap()],
        parameters: HashMap::new(),
        contents: (!elements.is_empty()).then(|| Contents { elements, ..Contents::default() }),
    }
}

/// A tensor whose contents are raw.
fn outside(name: &str, datatype: &str, elements: i64) -> InferTensor {
    InferTensor { name: name.into(), datatype: datatype.into(), shape: vec![elements], ..InferTensor::default() }
}

fn raw(elements: &[&[u8]]) -> Bytes {
    let elements = elements.iter().flat_map(|element| {
        let length = u32::try_from(element.len()).unwrap().to_le_bytes();
        length.into_iter().chain(element.iter().copied())
    });
    elements.collect()
}

fn parameters<const N: usize>(pairs: [(&str, Choice); N]) -> HashMap<String, Parameter> {
    pairs.into_iter().map(|(key, choice)| (key.to_owned(), Parameter { choice: Some(choice) })).collect()
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// The messages of a body.
fn messages<M: prost::Message + Default>(mut body: &[u8]) -> Vec<M> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = body.split_at_checked(5) {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        messages.push(M::decode(&rest[..length]).unwrap());
        body = &rest[length..];
    }
    assert_eq!(body, b"");
    messages
}

/// What comes out of a whole answer.
fn whole(guardrails: &Guardrails, body: &[u8]) -> (Vec<u8>, Step) {
    let (mut answers, mut scratch, mut out) = (Answers::whole(guardrails, None), Scratch::default(), Vec::new());
    let step = answers.push(body, &mut scratch, &mut out);
    let step = if step == Step::Continue { answers.finish(&mut scratch, &mut out) } else { step };
    (out, step)
}

const CLOSED: Settings = Settings { unknown_fields: UnknownFields::Scan, unscreened: Unscreened::Refuse };

/// What becomes of a request, whether it was changed, and which texts were shown.
fn rewritten(message: &[u8], settings: Settings) -> Result<(Vec<u8>, bool, Vec<String>), Stop> {
    let request = Request::read(message, &settings)?;
    let mut double = Double::default();
    let written = request.rewrite(&mut double)?;
    assert_eq!(request.texts().map(|(_, text)| text.to_owned()).collect::<Vec<_>>(), double.0);
    assert_ne!(written.as_deref(), Some(message));
    let is_changed = written.is_some();
    Ok((written.unwrap_or_else(|| message.to_vec()), is_changed, double.0))
}

#[test]
fn every_text_of_a_request_is_shown() {
    let request = ModelInferRequest {
        model_name: "qwen".into(),
        model_version: "v12".into(),
        id: "n77".into(),
        parameters: parameters([("mykey", Choice::Text("value".into()))]),
        inputs: vec![
            outside("myraw", "BYTES", 2),
            InferTensor { parameters: parameters([("mynumber", Choice::Int64(7))]), ..outside("fp7", "FP32", 1) },
        ],
        outputs: vec![RequestedOutput { name: "myoutput".into() }],
        raw_input_contents: vec![raw(&[b"one", "zwölf".as_bytes()]), Bytes::from_static(&[0xff; 4])],
    };
    let (out, is_changed, seen) = rewritten(&request.encode_to_vec(), CLOSED).unwrap();
    assert_eq!(seen, ["qwen", "v12", "n77", "mykey", "value", "myraw", "fp7", "mynumber", "myoutput", "one", "zwölf"]);
    assert!(is_changed);
    let expected = ModelInferRequest {
        parameters: parameters([("mykey", Choice::Text("vbblue".into()))]),
        inputs: vec![
            outside("myrbbw", "BYTES", 2),
            InferTensor { parameters: parameters([("mynumber", Choice::Int64(7))]), ..outside("fp7", "FP32", 1) },
        ],
        ..request
    };
    assert_eq!(ModelInferRequest::decode(&*out).unwrap(), expected);
    let inline = ModelInferRequest { inputs: vec![texts("t9", &[b"three", b"four"])], ..ModelInferRequest::default() };
    let (out, is_changed, seen) = rewritten(&inline.encode_to_vec(), CLOSED).unwrap();
    assert_eq!((out, is_changed), (inline.encode_to_vec(), false));
    assert_eq!(seen, ["t9", "three", "four"]);
}

#[test]
fn raw_contents_that_come_before_their_tensors_are_read_as_theirs() {
    let tensors = ModelInferRequest { inputs: vec![outside("t9", "BYTES", 1)], ..ModelInferRequest::default() };
    let contents = ModelInferRequest { raw_input_contents: vec![raw(&[b"a"])], ..ModelInferRequest::default() };
    let request = [contents.encode_to_vec(), tensors.encode_to_vec()].concat();
    let (out, _, seen) = rewritten(&request, CLOSED).unwrap();
    assert_eq!(seen, ["a", "t9"]);
    assert_eq!(ModelInferRequest::decode(&*out).unwrap().raw_input_contents, [raw(&[b"bb"])]);
}

#[test]
fn a_whole_answer_is_masked_in_every_place() {
    let call: &[u8] = b"call 555-123 now";
    let answer = |text: &[u8], element: &[u8]| {
        let said = String::from_utf8(text.to_vec()).unwrap();
        let inline = ModelInferResponse {
            id: said.clone(),
            parameters: parameters([(&*said, Choice::Text(said.clone()))]),
            outputs: vec![texts(&said, &[element, b"", b"fine"]), texts("other", &[element])],
            ..ModelInferResponse::default()
        };
        let outside = ModelInferResponse {
            outputs: vec![outside("numbers", "INT8", 7), outside("out", "BYTES", 3)],
            raw_output_contents: vec![Bytes::from_static(b"555-123"), raw(&[element, b"", b"fine"])],
            ..ModelInferResponse::default()
        };
        [inline, outside]
    };
    let masked = answer(b"call [number] now", b"call [number] now");
    for (answer, masked) in answer(call, call).iter().zip(masked) {
        let (out, step) = whole(&guardrails(), &frame(&answer.encode_to_vec()));
        assert_eq!((messages::<ModelInferResponse>(&out), step), (vec![masked], Step::Continue));
    }
}

#[test]
fn an_answer_in_which_nothing_is_found_stays_to_the_byte() {
    // A length written with more bytes than it needs, as nobody does.
    let mut odd = vec![0x1a, 0x82, 0x00];
    odd.extend_from_slice(b"id");
    let answer = ModelInferResponse { outputs: vec![texts("out", &[b"fine", b"555-12"])], ..Default::default() };
    let body = frame(&[odd, answer.encode_to_vec()].concat());
    assert_eq!(whole(&guardrails(), &body), (body, Step::Continue));
}

#[test]
fn a_text_that_is_blocked_lets_nothing_of_its_message_out() {
    let answer =
        ModelInferResponse { outputs: vec![texts("out", &[b"fine", b"it is Forbidden"])], ..Default::default() };
    assert_eq!(whole(&guardrails(), &frame(&answer.encode_to_vec())), (Vec::new(), Step::Blocked { rule: 1 }));
}

#[test]
fn a_request_that_is_refused_says_where() {
    let request = ModelInferRequest { inputs: vec![texts("t9", &[b"it is forbidden"])], ..Default::default() };
    let message = request.encode_to_vec();
    let at = message.len() - "it is forbidden".len();
    assert_eq!(rewritten(&message, CLOSED).unwrap_err(), Stop::Refused { at });
}

#[test]
fn methods_are_known_or_refused() {
    let check = |path: &str, method: Method| assert_eq!(Method::of(path), method, "{path}");
    check("/inference.GRPCInferenceService/ModelInfer", Method::Infer);
    check("/inference.GRPCInferenceService/ModelStreamInfer", Method::StreamInfer);
    check("/inference.GRPCInferenceService/ServerReady", Method::Facts);
    check("/inference.GRPCInferenceService/RepositoryModelLoad", Method::Unknown);
    check("/inference.GRPCInferenceService/modelinfer", Method::Unknown);
    check("/vllm.grpc.engine.VllmEngine/Generate", Method::Unknown);
    check("", Method::Unknown);
}

fn request() -> impl Strategy<Value = ModelInferRequest> {
    let text = || "[ab\u{e4}]{0,4}".prop_map(String::from);
    let elements = || prop::collection::vec(prop_oneof![text(), "a{100,300}"], 0..4);
    let tensors = prop::collection::vec((text(), elements()), 0..4);
    (text(), tensors, prop::option::of((text(), text())), any::<bool>()).prop_map(|(id, tensors, parameter, is_raw)| {
        let bytes = |elements: &[String]| elements.iter().map(|it| it.clone().into_bytes()).collect::<Vec<_>>();
        let slices = |elements: &[Vec<u8>]| raw(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let parameters = parameter.iter().map(|(key, value)| {
            let choice = Some(Choice::Text(value.clone()));
            (key.clone(), Parameter { choice })
        });
        ModelInferRequest {
            id,
            parameters: parameters.clone().collect(),
            inputs: tensors
                .iter()
                .map(|(name, elements)| {
                    let bytes = bytes(elements);
                    let inline = if is_raw { &[][..] } else { &bytes };
                    let tensor = texts(name, &inline.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    InferTensor { parameters: parameters.clone().collect(), ..tensor }
                })
                .collect(),
            raw_input_contents: tensors.iter().filter(|_| is_raw).map(|(_, it)| slices(&bytes(it))).collect(),
            ..ModelInferRequest::default()
        }
    })
}

/// The request as it were if it had been written with `bb` for each `a`.
fn doubled(request: &ModelInferRequest) -> ModelInferRequest {
    let text = |text: &str| text.replace('a', "bb");
    let bytes = |bytes: &Bytes| Bytes::from(text(std::str::from_utf8(bytes).unwrap()));
    let parameters = |all: &HashMap<String, Parameter>| {
        let one = |(key, value): (&String, &Parameter)| {
            let Some(Choice::Text(value)) = &value.choice else { panic!("only texts") };
            (text(key), Parameter { choice: Some(Choice::Text(text(value))) })
        };
        all.iter().map(one).collect::<HashMap<_, _>>()
    };
    let raws = request.raw_input_contents.iter().map(|raws| {
        let (mut elements, mut rest) = (Vec::new(), &**raws);
        while let Some((length, others)) = rest.split_first_chunk::<4>() {
            let (element, others) = others.split_at(u32::from_le_bytes(*length) as usize);
            elements.push(bytes(&Bytes::copy_from_slice(element)));
            rest = others;
        }
        raw(&elements.iter().map(|it| &**it).collect::<Vec<_>>())
    });
    let inputs = request.inputs.iter().map(|tensor| InferTensor {
        name: text(&tensor.name),
        parameters: parameters(&tensor.parameters),
        contents: tensor.contents.as_ref().map(|contents| Contents {
            elements: contents.elements.iter().map(bytes).collect(),
            ..Contents::default()
        }),
        ..tensor.clone()
    });
    ModelInferRequest {
        id: text(&request.id),
        parameters: parameters(&request.parameters),
        inputs: inputs.collect(),
        raw_input_contents: raws.collect(),
        ..request.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_replaced_reads_as_if_it_had_been_written_so(request in request()) {
        let message = request.encode_to_vec();
        let (out, is_changed, _) = rewritten(&message, CLOSED).unwrap();
        prop_assert_eq!(ModelInferRequest::decode(&*out).unwrap(), doubled(&request));
        prop_assert_eq!(is_changed, out != message);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = rewritten(&bytes, CLOSED);
        whole(&guardrails(), &bytes);
        whole(&guardrails(), &frame(&bytes));
    }
}
