//! However a stream is cut, its client reads what the whole texts come to.

use super::{
    client::{all_strings, read},
    random::{Random, cases},
    servers::{Told, stream, written},
    *,
};
use crate::guard::lanes::stream::{
    data::under,
    lane::{self, Buffers},
};

/// Words, values that are masked, and what nearly is one.
const SAID: &[&str] = &[
    "Hello",
    " world",
    " ",
    ", ",
    "\n",
    "\t",
    "\"",
    "\\",
    "é",
    "€",
    "😀",
    "🙂",
    "🙂é",
    "🙂ééé🙃",
    "🙂é🙃",
    "123-45-6789",
    "123-45-678",
    " 123-45-6789 ",
    "078-05-1120",
    "-45-",
    "jane.doe@example.com",
    "jane@",
    "@example.com",
    "AKIAIOSFODNN7EXAMPLE",
    "AKIAIOSF",
    "ODNN7EXAMPLE",
    "4111111111111111",
    "41",
    "FORBIDDEN",
    "{\"",
    "}",
    "a",
    "Z",
    "0",
    "<|im|>",
    "\u{2028}",
    "\u{1}",
];

fn text(random: &mut Random, pieces: usize) -> String {
    (0..random.below(pieces)).map(|_| *random.of(SAID)).collect()
}

/// JSON as models write it for tools.
fn arguments(random: &mut Random) -> String {
    let mut members = Vec::new();
    for at in 0..=random.below(3) {
        let value = match random.below(6) {
            0 => "4111111111111111".to_owned(),
            1 => format!("{}", random.below(1000)),
            2 => (*random.of(&[
                "true",
                "false",
                "null",
                "-1.5e+3",
                "[]",
                "{}",
                "[1, 4111111111111111,\"x\"]",
                "[-4111111111111111, 0.4111111111111111 ]",
            ]))
            .to_owned(),
            _ => escaped(&text(random, 5), random),
        };
        let space = *random.of(&["", " ", "\n  "]);
        members.push(format!("{space}{}:{space}{value}", escaped(&format!("{}{at}", text(random, 2)), random)));
    }
    format!("{{{}}}", members.join(","))
}

/// A string of JSON that says this, in one of many ways.
fn escaped(text: &str, random: &mut Random) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    format!("\"{}\"", written(&units, random))
}

/// The same stream for a client that takes no halves of surrogate pairs: servers of ours write them in capitals.
fn without_halves(stream: &str) -> String {
    let mut parts = stream.split("\\uD");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + &part[3..])
}

/// What becomes of whole arguments.
fn expected_arguments(guardrails: &Guardrails, text: &str) -> String {
    let mut made = Vec::new();
    let quoted = serde_json::to_string(text).unwrap();
    let raw = &quoted.as_bytes()[1..quoted.len() - 1];
    let became = lane::whole(under(guardrails, None), raw, true, &mut Buffers::default(), &mut made).unwrap();
    let said = if became == lane::Became::Itself { raw } else { &made };
    serde_json::from_str(&format!("\"{}\"", std::str::from_utf8(said).unwrap())).unwrap()
}

fn is_arguments(label: &str) -> bool {
    label.ends_with("arguments") || label.ends_with("partial_json")
}

fn check(api: Api, labels: &[&str], usual: u64) {
    let guardrails = guardrails();
    cases(usual, |random| {
        let longest = *random.of(&[1, 3, 8, 40]);
        let told: Vec<Told> = labels
            .iter()
            .map(|label| {
                let text = if is_arguments(label) { arguments(random) } else { text(random, 12) };
                Told::cut(label, &text, longest, random)
            })
            .collect();
        let stream = stream(api, &told, random);
        let sizes = *random.of(&[1, 7, 100, 5000]);
        let pieces = random.cut(stream.as_bytes(), sizes);
        let (out, step) = screen(api, &guardrails, &pieces);
        assert_eq!(step, Step::Continue, "{stream}");
        let out = String::from_utf8(out).unwrap();
        let answer = read(api, &out);
        let came = read(api, &without_halves(&stream));
        for told in &told {
            let expected = if is_arguments(&told.label) {
                expected_arguments(&guardrails, &told.text)
            } else {
                expected(&guardrails, &told.text)
            };
            let got = answer.texts.get(&told.label).map_or("", String::as_str);
            assert_eq!(got, expected, "{}\n{stream}\n{out}", told.label);
            if is_arguments(&told.label) && !told.text.is_empty() {
                let parsed = serde_json::from_str::<serde_json::Value>(got);
                assert!(parsed.is_ok(), "{got} from {}", told.text);
            }
            let copies = answer.copies.iter().filter(|(label, _)| *label == told.label).count();
            assert!(api != Api::Responses || told.text.is_empty() || copies == 3, "{copies} copies\n{out}");
            for (label, copy) in answer.copies.iter().filter(|(label, _)| *label == told.label) {
                assert_eq!(*copy, expected, "the copy of {label}\n{out}");
            }
        }
        assert!(answer.events.len() >= came.events.len(), "no event is dropped");
        assert_eq!(
            (&answer.finished, answer.is_done, answer.has_usage, answer.has_role),
            (&came.finished, came.is_done, came.has_usage, came.has_role)
        );
    });
}

#[test]
fn a_chat_reads_the_same_however_it_is_cut() {
    check(
        Api::Chat,
        &[
            "0.content",
            "1.content",
            "0.reasoning_content",
            "1.refusal",
            "0.tool_calls.0.function.arguments",
            "0.tool_calls.1.function.arguments",
            "1.function_call.arguments",
            "0.audio.transcript",
            "1.novel_field",
        ],
        150,
    );
}

#[test]
fn completions_read_the_same_however_they_are_cut() {
    check(Api::Completions, &["0.text", "1.text", "2.text"], 200);
}

#[test]
fn messages_read_the_same_however_they_are_cut() {
    check(Api::Messages, &["0.thinking", "1.text", "2.partial_json", "3.text"], 200);
}

#[test]
fn responses_read_the_same_however_they_are_cut() {
    check(
        Api::Responses,
        &[
            "0.output_text",
            "1.reasoning_summary_text",
            "2.function_call_arguments",
            "3.refusal",
            "4.custom_tool_call_input",
        ],
        150,
    );
}

#[test]
fn generate_reads_the_same_however_it_is_cut() {
    check(Api::Generate, &["0.text_output"], 200);
}

/// Every value, in every text, in two parts and byte by byte.
#[test]
fn a_planted_value_is_nowhere_in_what_goes_out() {
    let guardrails = guardrails();
    let values = ["123-45-6789", "jane.doe@example.com", "AKIAIOSFODNN7EXAMPLE", "4111111111111111"];
    let labels: [(Api, &[&str]); 5] = [
        (
            Api::Chat,
            &[
                "0.content",
                "1.reasoning_content",
                "0.reasoning",
                "2.refusal",
                "0.tool_calls.3.function.arguments",
                "0.function_call.arguments",
                "0.audio.transcript",
                "0.novel_field",
            ],
        ),
        (Api::Completions, &["0.text", "3.text"]),
        (Api::Messages, &["0.text", "0.thinking", "0.partial_json"]),
        (
            Api::Responses,
            &[
                "0.output_text",
                "0.reasoning_text",
                "0.reasoning_summary_text",
                "0.refusal",
                "0.function_call_arguments",
                "0.mcp_call_arguments",
                "0.custom_tool_call_input",
                "0.code_interpreter_call_code",
                "0.audio_transcript",
            ],
        ),
        (Api::Generate, &["0.text_output"]),
    ];
    let random = &mut Random::new(1);
    for (api, labels) in labels {
        for label in labels {
            for value in values {
                let text =
                    if is_arguments(label) { format!("{{\"to\":\"{value}\"}}") } else { format!("to {value}, now") };
                for cut in 1..=text.len() {
                    let units: Vec<u16> = text.encode_utf16().collect();
                    let parts = if cut == text.len() {
                        units.iter().map(|unit| vec![*unit]).collect()
                    } else {
                        vec![units[..cut].to_vec(), units[cut..].to_vec()]
                    };
                    let told = Told { label: (*label).to_owned(), text: text.clone(), parts };
                    let stream = stream(api, &[told], random);
                    let (out, step) = screen(api, &guardrails, &[stream.as_bytes()]);
                    let out = String::from_utf8(out).unwrap();
                    assert_eq!(step, Step::Continue, "{stream}");
                    let said = all_strings(api, &out);
                    assert!(!out.contains(value) && !said.contains(value), "{label} {cut}: {out}");
                    assert!(said.contains("to") && said.contains('['), "{label}: {out}");
                }
            }
        }
    }
}

/// The stream holds what the engine holds, and nothing beside it.
#[test]
fn no_more_is_held_than_the_engine_holds() {
    let guardrails = guardrails();
    cases(100, |random| {
        let text = text(random, 12);
        let chars: Vec<char> = text.chars().collect();
        let mut stream = EventStream::new(Api::Chat, guardrails.clone());
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        let mut whole = Text::new(&guardrails.output, Speaker::Assistant);
        let (mut screen, mut written) = (crate::guard::screen::Scratch::default(), Vec::new());
        for part in random.cut(&chars, 4) {
            let part: String = part.iter().collect();
            let event = serde_json::json!({"choices": [{"index": 0, "delta": {"content": part}}]});
            assert_eq!(stream.push(format!("data: {event}\n\n").as_bytes(), &mut scratch, &mut out), Step::Continue);
            whole.push(&guardrails.output, part.as_bytes(), &mut screen, &mut written);
            assert_eq!(stream.held(), whole.held(), "{text:?}");
            let said = read(Api::Chat, std::str::from_utf8(&out).unwrap());
            let said = said.texts.get("0.content").map_or("", String::as_str);
            assert_eq!(said.as_bytes(), written, "what is decided has gone out");
        }
    });
}

/// A rule ends the stream at the same byte, however it is cut, and no byte of the match goes out.
#[test]
fn a_stream_is_blocked_at_the_same_byte_however_it_is_cut() {
    let guardrails = guardrails();
    let streams: [(Api, &[&str]); 5] = [
        (Api::Chat, &["0.content", "1.content", "0.tool_calls.0.function.arguments", "1.novel_field"]),
        (Api::Completions, &["0.text", "1.text"]),
        (Api::Messages, &["0.thinking", "1.text", "2.partial_json"]),
        (Api::Responses, &["0.output_text", "1.function_call_arguments"]),
        (Api::Generate, &["0.text_output"]),
    ];
    cases(150, |random| {
        let (api, labels) = *random.of(&streams);
        let planted = random.below(labels.len());
        let longest = *random.of(&[1, 3, 8, 40]);
        let told: Vec<Told> = labels
            .iter()
            .enumerate()
            .map(|(at, label)| {
                let said = text(random, 6);
                let said = if at == planted { format!("{said} FORBIDDEN-1234 {}", text(random, 3)) } else { said };
                let said = if is_arguments(label) { format!("{{\"a\":{}}}", escaped(&said, random)) } else { said };
                Told::cut(label, &said, longest, random)
            })
            .collect();
        let stream = stream(api, &told, random);
        let (whole, step) = screen(api, &guardrails, &[stream.as_bytes()]);
        assert_eq!(step, Step::Blocked { rule: 5 }, "{stream}");
        let pieces = random.cut(stream.as_bytes(), 30);
        assert_eq!(screen(api, &guardrails, &pieces), (whole.clone(), step));
        let out = String::from_utf8(whole).unwrap();
        let answer = read(api, &out);
        let all = all_strings(api, &out);
        assert!(!all.contains("FORBIDDEN-1"), "{out}");
        assert!(answer.is_done || api == Api::Generate, "{out}");
        let told = &told[planted];
        if !is_arguments(&told.label) {
            let got = answer.texts.get(&told.label).map_or("", String::as_str);
            assert_eq!(got, expected(&guardrails, &told.text), "{stream}\n{out}");
        }
    });
}
