//! What cannot be screened, and what may pass nevertheless.

use super::*;

const PASS: Settings = Settings { unknown_fields: UnknownFields::Scan, unscreened: Unscreened::Pass };

fn refused(request: &ModelInferRequest) -> Unscreenable {
    refused_bytes(&request.encode_to_vec())
}

fn refused_bytes(request: &[u8]) -> Unscreenable {
    match rewritten(request, CLOSED) {
        Err(Stop::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn with_input(input: InferTensor) -> ModelInferRequest {
    ModelInferRequest { inputs: vec![input], ..ModelInferRequest::default() }
}

#[test]
fn what_is_no_text_is_refused_unless_it_may_pass() {
    let image = &[0x89, b'P', b'N', b'G', 0xff][..];
    let inline = with_input(texts("picture", &[image]));
    let outside =
        ModelInferRequest { raw_input_contents: vec![raw(&[image])], ..with_input(outside("picture", "BYTES", 1)) };
    for request in [inline, outside] {
        assert_eq!(refused(&request), Unscreenable::NotText);
        let message = request.encode_to_vec();
        assert_eq!(rewritten(&message, PASS).unwrap().0, message);
    }
    let shared = parameters([("shared_memory_region", Choice::Text("r".into()))]);
    let elsewhere = with_input(InferTensor { parameters: shared, ..super::outside("in", "BYTES", 1) });
    assert_eq!(refused(&elsewhere), Unscreenable::Elsewhere);
    assert!(rewritten(&elsewhere.encode_to_vec(), PASS).is_ok());
}

#[test]
fn raw_contents_belong_to_the_tensors_that_have_some() {
    let shared = parameters([("shared_memory_region", Choice::Text("r".into()))]);
    let request = ModelInferRequest {
        inputs: vec![InferTensor { parameters: shared, ..outside("1", "FP32", 1) }, outside("2", "BYTES", 1)],
        raw_input_contents: vec![raw(&[b"a"])],
        ..ModelInferRequest::default()
    };
    let (out, ..) = rewritten(&request.encode_to_vec(), PASS).unwrap();
    assert_eq!(ModelInferRequest::decode(&*out).unwrap().raw_input_contents, [raw(&[b"bb"])]);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let twice = |number: u8| [number << 3 | 2, 1, b'a', number << 3 | 2, 1, b'b'];
    assert_eq!(refused_bytes(&twice(3)), Unscreenable::TwoReadings("a field comes twice"));
    // A parameter that is a text and a number.
    let parameter = [0x22, 8, 0x0a, 1, b'k', 0x12, 5, 0x1a, 1, b'v', 0x10, 1];
    let mut parameter = parameter.to_vec();
    parameter[1] = 10;
    assert_eq!(refused_bytes(&parameter), Unscreenable::TwoReadings("a field comes twice"));
    let both = ModelInferRequest { raw_input_contents: vec![raw(&[b"a"])], ..with_input(texts("in", &[b"b"])) };
    assert_eq!(refused(&both), Unscreenable::TwoReadings("tensors have contents twice"));
}

#[test]
fn what_is_no_message_is_refused() {
    let malformed = |bytes: &[u8]| {
        let why = refused_bytes(bytes);
        assert!(matches!(why, Unscreenable::Malformed(_)), "{bytes:?}: {why:?}");
    };
    malformed(&[0x1a, 5, b'a']);
    malformed(&[0x1a]);
    malformed(&[0x00, 0x00]);
    malformed(&[0x1b, 0x1c]);
    malformed(&[0x18, 1]);
    malformed(&[0x1a, 1, 0xff]);
    malformed(&[0xff; 12]);
    let raws =
        |raws: Vec<Bytes>| ModelInferRequest { raw_input_contents: raws, ..with_input(outside("in", "BYTES", 1)) };
    malformed(&raws(vec![Bytes::from_static(&[1, 0, 0])]).encode_to_vec());
    malformed(&raws(vec![Bytes::from_static(&[2, 0, 0, 0, b'a'])]).encode_to_vec());
    malformed(&raws(vec![raw(&[b"a"]), raw(&[b"b"])]).encode_to_vec());
    for datatype in ["", "bytes", "STRING"] {
        assert_eq!(refused(&with_input(outside("in", datatype, 1))), Unscreenable::UnknownDatatype);
    }
}

#[test]
fn fields_that_no_table_knows_are_screened_or_go_or_pass() {
    // Field 15 of a request: a text, and a number.
    let message = [0x7a, 1, b'a', 0x78, 5];
    let handling = |unknown_fields| Settings { unknown_fields, ..CLOSED };
    let out = |unknown_fields| rewritten(&message, handling(unknown_fields)).unwrap().0;
    assert_eq!(out(UnknownFields::Scan), [0x7a, 2, b'b', b'b', 0x78, 5]);
    assert_eq!(out(UnknownFields::Drop), b"");
    assert_eq!(out(UnknownFields::Pass), message);
    let bytes = [0x7a, 1, 0xff];
    assert_eq!(refused_bytes(&bytes), Unscreenable::NotText);
    assert_eq!(rewritten(&bytes, PASS).unwrap().0, bytes);
    // In a tensor, so that lengths around it follow.
    let tensor = [0x2a, 13, 0x12, 5, b'B', b'Y', b'T', b'E', b'S', 0x7a, 1, b'a', 0x0a, 1, b'n'];
    let mut tensor = tensor.to_vec();
    let length = tensor.len() - 2;
    tensor[1] = u8::try_from(length).unwrap();
    let (out, ..) = rewritten(&tensor, handling(UnknownFields::Drop)).unwrap();
    let read = ModelInferRequest::decode(&*out).unwrap();
    assert_eq!((out.len(), read.inputs[0].name.as_str()), (tensor.len() - 3, "n"));
}

#[test]
fn bodies_are_cut_into_messages_or_refused() {
    let check = |body: &[u8], why: Unscreenable| {
        assert_eq!(whole(&guardrails(), body), (Vec::new(), Step::Failed(why)), "{body:?}");
    };
    check(&[1, 0, 0, 0, 0], Unscreenable::Compressed);
    check(&[2, 0, 0, 0, 0], Unscreenable::Malformed("it has an unknown flag"));
    check(&[0, 0xff, 0, 0, 0], Unscreenable::TooLong);
    check(&[0, 0, 0, 0], Unscreenable::CutShort);
    check(&[0, 0, 0, 0, 2, 0x1a], Unscreenable::CutShort);
    let most = u32::try_from(MESSAGE_BYTES_MAX).unwrap();
    let prefix = |length: u32| [&[0][..], &length.to_be_bytes()].concat();
    check(&prefix(most), Unscreenable::CutShort);
    check(&prefix(most + 1), Unscreenable::TooLong);
}
