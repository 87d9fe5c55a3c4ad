//! What streams may say, and how it goes out.

use serde_json::json;

use super::{client::read, *};
use crate::guard::lanes::stream::lane::Lane;
use crate::guard::placeholders::{ConversationKey, Placeholders};

/// Events of one choice.
fn chat(parts: &[&str]) -> String {
    let events = parts.iter().map(|part| {
        let part = serde_json::to_string(part).unwrap();
        format!("data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{part}}},\"finish_reason\":null}}]}}\n\n")
    });
    events.collect()
}

const END: &str =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

#[test]
fn what_is_not_touched_goes_out_byte_for_byte() {
    let streams = [
        (Api::Chat, chat(&["Hi ", "there. "]) + END),
        (Api::Chat, ": ping\r\n\r\nid: 7\r\ndata: { \"choices\" : [ ] }\r\n\r\ndata:[DONE]\r\n\r\n".to_owned()),
        (
            Api::Chat,
            "\u{feff}data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\u0041 \\ud83d\\ude00 \"}}]}\n\n"
                .to_owned(),
        ),
        (Api::Chat, "data: {\"choices\":\ndata: []}\n\n".to_owned()),
        (Api::Chat, "event: error\ndata: {\"error\":{\"message\":\"no. \"}}\n\n".to_owned()),
        (Api::Messages, "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned()),
        (Api::Generate, "data: {\"text_output\":\"a. \"}\n\n".to_owned()),
    ];
    for (api, stream) in streams {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        for pieces in [vec![stream.as_bytes()], pieces] {
            let (out, step) = screen(api, &guardrails(), &pieces);
            assert_eq!((std::str::from_utf8(&out).unwrap(), step), (stream.as_str(), Step::Continue));
        }
    }
}

#[test]
fn line_ends_may_come_in_two_pieces() {
    let stream = (chat(&["it is 123-45"]) + END).replace('\n', "\r\n");
    let whole = screened(Api::Chat, &stream);
    let pieces: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    let (out, step) = screen(Api::Chat, &guardrails(), &pieces);
    assert_eq!((String::from_utf8(out).unwrap(), step), whole);
}

#[test]
fn a_value_across_events_is_masked_and_no_event_is_dropped() {
    let (out, step) = screened(Api::Chat, &(chat(&["mail jane", ".doe@", "example.com", ", ok. "]) + END));
    assert_eq!(step, Step::Continue);
    let expected = chat(&["mail ", "", "", "[email], ok. "]) + END;
    assert_eq!(out, expected);
}

#[test]
fn what_is_held_goes_out_before_the_end_of_its_text() {
    let (out, _) = screened(Api::Chat, &(chat(&["it is 123-45"]) + END));
    assert_eq!(
        out,
        chat(&["it is "])
            + "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"123-45\"},\"finish_reason\":null}]}\n\n"
            + END
    );
    let last = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"-6789\"},\"finish_reason\":\"stop\"}]}\n\n";
    let (out, _) = screened(Api::Chat, &(chat(&["it is 123-45"]) + last));
    assert!(out.ends_with("{\"content\":\"[ssn]\"},\"finish_reason\":\"stop\"}]}\n\n"), "{out}");
}

#[test]
fn a_stream_without_end_drops_what_is_held() {
    let (out, step) = screened(Api::Chat, &chat(&["it is 123-45"]));
    assert_eq!((out, step), (chat(&["it is "]), Step::Failed(Unscreenable::CutShort)));
    let (out, step) = screened(Api::Chat, &(chat(&["a. "]) + "data: {\"choi"));
    assert_eq!((out, step), (chat(&["a. "]), Step::Failed(Unscreenable::CutShort)));
    let (out, step) = screened(Api::Generate, "data: {\"text_output\":\"it is 123-45\"}\n\n");
    let expected = "data: {\"text_output\":\"it is \"}\n\ndata: {\"text_output\":\"123-45\"}\n\n";
    assert_eq!((out.as_str(), step), (expected, Step::Continue));
}

#[test]
fn a_flushed_event_repeats_nothing_of_the_first() {
    let stream = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\
                  \"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"mail\",\"arguments\":\"{\\\"to\\\": 41\"}}]},\
                  \"finish_reason\":null}],\"usage\":{\"total_tokens\":3}}\n\n";
    let (out, step) = screened(Api::Chat, &(stream.to_owned() + END));
    assert_eq!(step, Step::Continue);
    let flushed = out.split("\n\n").nth(1).unwrap();
    assert_eq!(
        flushed,
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"type\":\"function\",\
         \"function\":{\"arguments\":\"41\"}}]},\"finish_reason\":null}]}"
    );
    assert_eq!(read(Api::Chat, &out).texts["0.tool_calls.0.function.name"], "mail");
}

/// Events of Responses count themselves, and clients may look.
#[test]
fn an_inserted_event_has_a_number_of_its_own() {
    let delta = |item: u32, said: &str, count: u32| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{count},\
             \"output_index\":{item},\"content_index\":0,\"delta\":\"{said}\"}}\n\n"
        )
    };
    let stop = |item: u32, count: u32| {
        format!(
            "event: response.output_item.done\ndata: {{\"type\":\"response.output_item.done\",\"output_index\":{item},\
             \"item\":{{}},\"sequence_number\":{count}}}\n\n"
        )
    };
    let stream = delta(0, "a. ", 3)
        + &delta(0, "123-45-67", 4)
        + &delta(1, "b. ", 9)
        + &stop(0, 10)
        + &delta(1, "c. ", 11)
        + &delta(1, "d ", 12)
        + &delta(1, "123-45-6789", 13)
        + &stop(1, 14);
    let (out, step) = screened(Api::Responses, &stream);
    assert_eq!(step, Step::Continue);
    let events = read(Api::Responses, &out).events;
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [3, 4, 9, 10, 11, 12, 13, 14, 15, 16], "{out}");
    assert_eq!((&events[3]["delta"], &events[8]["delta"]), (&json!("123-45-67"), &json!("[ssn]")), "{out}");
}

/// A field that no table knows is a text of its own, also where each event says the same.
#[test]
fn a_constant_that_no_table_knows_is_screened_across_events() {
    let event = |provider: &str, said: &str| {
        format!(
            "data: {{\"provider\":\"{provider}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{said}\"}},\
             \"finish_reason\":null}}]}}\n\n"
        )
    };
    let usual: String = ["It ", "is ", "so. "].iter().map(|said| event("Open AI ", said)).collect();
    let (out, step) = screened(Api::Chat, &(usual.clone() + END));
    assert_eq!((out, step), (usual + END, Step::Continue));
    for (count, expected) in [(8, "[card]".to_owned()), (40, "11".repeat(40))] {
        let grows: String = (0..count).map(|_| event("11", "a. ")).collect();
        let (out, step) = screened(Api::Chat, &(grows + END));
        let providers = read(Api::Chat, &out).events.into_iter();
        let said: String = providers.filter_map(|event| Some(event["provider"].as_str()?.to_owned())).collect();
        assert_eq!((said, step), (expected, Step::Continue), "{out}");
    }
}

#[test]
fn arguments_that_are_masked_can_still_be_read() {
    let check = |arguments: &str, expected: &str| {
        let units = arguments.chars().map(|said| {
            let said = serde_json::to_string(&said.to_string()).unwrap();
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{said}}}}}]}}}}]}}\n\n")
        });
        let (out, _) = screened(Api::Chat, &(units.collect::<String>() + END));
        assert_eq!(read(Api::Chat, &out).texts["0.tool_calls.0.function.arguments"], expected);
    };
    check(r#"{"to":"jane@example.com"}"#, r#"{"to":"[email]"}"#);
    check(r#"{"to":"jane\u0040example.com", "n": 1}"#, r#"{"to":"[email]", "n": 1}"#);
    check(r#"{"to":"\"jane@example.com\""}"#, r#"{"to":"\"[email]\""}"#);
    check(r#"{"card": 4111111111111111, "b":[4111111111111111]}"#, r#"{"card": "[card]", "b":["[card]"]}"#);
    check(r#"{"face":"\ud83d\ude42é\ud83d\ude43"}"#, r#"{"face":"\"face\"\\"}"#);
    check(r#"{"jane@example.com":true}"#, r#"{"[email]":true}"#);
    check("mail jane@example.com!", "mail [email]!");
    check(r"mail jane\u0040example.com!", "mail [email]!");
    check(r#"{'a':"jane@example.com"}"#, r#"{'a':"[email]"}"#);
    check(r#"{"a":"\ud83d"}"#, r#"{"a":"\ud83d"}"#);
}

#[test]
fn halves_of_a_pair_in_two_events_are_one_character() {
    let event = |raw: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{raw}\"}}}}]}}\n\n");
    let check = |parts: &[&str], expected: &str| {
        let stream: String = parts.iter().map(|part| event(part)).collect();
        let (out, _) = screened(Api::Chat, &(stream + END));
        assert_eq!(read(Api::Chat, &out).texts["0.content"], expected);
    };
    check(&["a\\ud83d", "\\ude00b. "], "a😀b. ");
    check(&["a\\ud83d\\ude42\\u00e9\\ud83d", "\\ude43b. "], "a\"face\"\\b. ");
    check(&["a\\ud83d", "b. "], "a\u{fffd}b. ");
    check(&["a\\ud83d"], "a\u{fffd}");
}

#[test]
fn what_cannot_be_screened_ends_the_stream() {
    let check = |api, stream: &[u8], why| {
        let (out, step) = screen(api, &guardrails(), &[stream]);
        assert_eq!((out.as_slice(), step), (&b""[..], Step::Failed(why)), "{}", String::from_utf8_lossy(stream));
    };
    check(Api::Chat, b"data: {\"choices\":\n\n", Unscreenable::NotJson);
    check(Api::Chat, b"data: {\"choices\":\"\xff\"}\n\n", Unscreenable::NotJson);
    check(Api::Chat, b": \xff\n\n", Unscreenable::NotUtf8);
    check(Api::Chat, b"event: thread.delta\ndata: {}\n\n", Unscreenable::UnknownEvent);
    check(Api::Messages, b"event: novel\ndata: {\"type\":\"novel\"}\n\n", Unscreenable::UnknownEvent);
    check(Api::Messages, b"event: ping\ndata: {\"type\":\"message_stop\"}\n\n", Unscreenable::TwoReadings);
    check(Api::Responses, b"data: {\"type\":\"response.novel.delta\",\"delta\":\"a\"}\n\n", Unscreenable::UnknownEvent);
    check(Api::Responses, b"data: {\"delta\":\"a\"}\n\n", Unscreenable::UnknownEvent);
    check(
        Api::Responses,
        b"event: response.audio.delta\ndata: {\"type\":\"response.audio.delta\",\"delta\":\"UklG\"}\n\n",
        Unscreenable::Opaque,
    );
    check(
        Api::Chat,
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n",
        Unscreenable::TwoReadings,
    );
    check(Api::Chat, b"data: {\"choices\":[],\"choices\":[]}\n\n", Unscreenable::NotJson);
    let long = [b"data: ".as_slice(), &vec![b' '; 1 << 20]].concat();
    check(Api::Chat, &long, Unscreenable::TooLong(splitter::TooLong::Line(1 << 20)));
    let after = chat(&["a. "]) + END + &chat(&["b"]);
    let (out, step) = screened(Api::Chat, &after);
    assert_eq!((out, step), (chat(&["a. "]) + END, Step::Failed(Unscreenable::AfterEnd)));
}

#[test]
fn texts_of_one_stream_are_bounded() {
    let event = |choice| json!({"choices": [{"index": choice, "delta": {"content": "a"}}]});
    let events: Vec<String> = (0..=LANES_MAX).map(|choice| format!("data: {}\n\n", event(choice))).collect();
    let stream = events.concat();
    let (_, step) = screened(Api::Chat, &stream);
    assert_eq!(step, Step::Failed(Unscreenable::TooManyTexts));
}

#[test]
fn comments_ids_names_and_whole_strings_are_texts_of_their_own() {
    let check = |stream: &str| {
        let (out, step) = screened(Api::Chat, stream);
        assert_eq!(step, Step::Continue);
        assert!(!out.contains("6789") && out.contains("[ssn]"), "{out}");
        read(Api::Chat, &out);
    };
    check(": it is 123-45-6789\n\n");
    check("id: 123-45-6789\ndata: {}\n\n");
    check("data: {\"id\":\"123-45-6789\"}\n\n");
    check("data: {\"123-45-6789\":1}\n\n");
    check("data: {\"error\":{\"message\":\"it is 123-45-\\u0036789\"}}\n\n");
    check("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"123-45-6789\"}]}\n\n");
    check("data: {\"object\":\n: 123-45-6789\ndata: \"chat.completion.chunk\"}\n\n");
}

#[test]
fn the_name_of_a_tool_is_given_at_once() {
    let call = |name: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"name\":\"{name}\"}}}}]}}}}]}}\n\n"
        )
    };
    let (out, step) = screened(Api::Chat, &(call("get_weather") + END));
    assert_eq!((out, step), (call("get_weather") + END, Step::Continue));
    let (out, step) = screened(Api::Chat, &(call("jane@") + &call("example.com")));
    assert_eq!((out, step), (call("jane@"), Step::Failed(Unscreenable::NameInParts)));
}

#[test]
fn fields_that_no_table_knows_go_as_the_route_says() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"novel\":\"123-45-\"}}]}\n\n\
                  data: {\"choices\":[{\"index\":0,\"delta\":{\"novel\":\"6789 \"}}]}\n\n";
    let check = |unknown, expected: &str| {
        let (out, step) = screen(Api::Chat, &guardrails_that(unknown, Unscreened::Refuse), &[stream.as_bytes()]);
        let answer = read(Api::Chat, std::str::from_utf8(&out).unwrap());
        assert_eq!((answer.texts["0.novel"].as_str(), step), (expected, Step::Continue));
    };
    check(UnknownFields::Scan, "[ssn] ");
    check(UnknownFields::Drop, "");
    check(UnknownFields::Pass, "123-45-6789 ");
}

#[test]
fn what_cannot_be_screened_passes_where_a_route_says_so() {
    let guardrails = guardrails_that(UnknownFields::Scan, Unscreened::Pass);
    let stream = "event: response.audio.delta\ndata: {\"type\":\"response.audio.delta\",\"delta\":\"UklG\"}\n\n\
                  event: response.novel\ndata: {\"type\":\"response.novel\",\"text\":\"it is 123-45-6789\"}\n\n";
    let (out, step) = screen(Api::Responses, &guardrails, &[stream.as_bytes()]);
    assert_eq!((String::from_utf8(out).unwrap(), step), (stream.replace("123-45-6789", "[ssn]"), Step::Continue));
}

#[test]
fn a_text_that_is_told_again_each_time_waits_too() {
    let event = |text: &str| format!("data: {{\"text\":[\"{text}\"]}}\n\n");
    let stream = event("it is 123") + &event("it is 123-45-6789") + &event("it is 123-45-6789, or 123-4");
    let (out, step) = screened(Api::Generate, &stream);
    let expected = event("it is ") + &event("it is ") + &event("it is [ssn], or ") + &event("it is [ssn], or 123-4");
    assert_eq!((out, step), (expected, Step::Continue));
}

/// A chat event with what is told of its tokens.
fn told(text: &str, tokens: &[&str]) -> String {
    let entry = |token: &&str| {
        let bytes: Vec<String> = token.bytes().map(|byte| byte.to_string()).collect();
        let bytes = bytes.join(",");
        let token = serde_json::to_string(token).unwrap();
        format!(
            "{{\"token\":{token},\"logprob\":-0.5,\"bytes\":[{bytes}],\"top_logprobs\":[{{\"token\":{token},\"logprob\":-0.5,\"bytes\":[{bytes}]}}]}}"
        )
    };
    let entries: Vec<String> = tokens.iter().map(entry).collect();
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"logprobs\":{{\"content\":[{}],\"refusal\":null}},\"finish_reason\":null}}]}}\n\n",
        entries.join(",")
    )
}

/// The tokens of all events.
fn tokens(out: &str) -> Vec<Vec<String>> {
    let of = |event: &serde_json::Value| {
        let entries = event["choices"][0]["logprobs"]["content"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["token"].as_str().unwrap().to_owned()).collect()
    };
    read(Api::Chat, out).events.iter().map(of).collect()
}

#[test]
fn what_is_told_of_tokens_goes_out_with_its_text() {
    let plain = told("Hi, ", &["Hi", ", "]);
    assert_eq!(screened(Api::Chat, &(plain.clone() + END)).0, plain + END);
    let stream = told("it is 12", &["it", " is", " 12"])
        + &told(" or 123-45-", &[" or", " 123-", "45-"])
        + &told("6789. ", &["6789", ". "]);
    let (out, _) = screened(Api::Chat, &(stream + END));
    let expected: [&[&str]; 5] = [&["it", " is"], &[" 12", " or"], &[". "], &[], &[]];
    assert_eq!(
        tokens(&out)[..3],
        expected[..3]
            .iter()
            .map(|tokens| tokens.iter().map(|t| (*t).to_owned()).collect())
            .collect::<Vec<Vec<String>>>()
    );
    assert!(!out.contains("6789") && !out.contains("54,55,56,57"), "{out}");
}

#[test]
fn tokens_that_do_not_come_to_the_text_are_taken_out() {
    let (out, _) = screened(Api::Chat, &(told("Hi, ", &["123-45-", "6789"]) + &told("you. ", &["you", ". "]) + END));
    assert!(tokens(&out).iter().all(Vec::is_empty), "{out}");
    let foul = told("Hi, ", &["Hi", ", "]).replacen(
        "\"top_logprobs\":[{\"token\":\"Hi\"",
        "\"top_logprobs\":[{\"token\":\"123-45-6789\"",
        1,
    );
    let (out, _) = screened(Api::Chat, &(foul + END));
    assert_eq!(tokens(&out)[0], [", "]);
    let odd = told("Hi, ", &["Hi", ", "]).replacen("[72,105]", "[49,50]", 1);
    let (out, _) = screened(Api::Chat, &(odd + END));
    assert_eq!(tokens(&out)[0], Vec::<String>::new());
}

#[test]
fn tokens_of_completions_stay_if_they_are_the_text() {
    let event = |text: &str, tokens: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"logprobs\":{{\"tokens\":{tokens},\"top_logprobs\":[{{\"a\":-1}}]}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let plain = event("Hi, ", "[\"Hi\",\", \"]");
    assert_eq!(screened(Api::Completions, &plain).0, plain);
    let gone = "data: {\"choices\":[{\"index\":0,\"text\":\"[ssn], \",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
    assert_eq!(screened(Api::Completions, &event("123-45-6789, ", "[\"123-45-6789\",\", \"]")).0, gone);
    assert!(screened(Api::Completions, &event("Hi. ", "[\"123-45-6789\"]")).0.contains("\"logprobs\":null"));
}

#[test]
fn the_caller_gets_its_own_values_back_wherever_a_placeholder_is_cut() {
    let mut placeholders = Placeholders::new(ConversationKey::derive(&[7; 32], "tenant", b"conversation"));
    let placeholder = placeholders.placeholder("email", "jane \"J\" <j@example.com>").unwrap().to_owned();
    let values = placeholders.into_values();
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).unwrap();
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{arguments}}}}}]}}}}]}}\n\n"
        )
    };
    for cut in 1..placeholder.len() {
        let (first, second) = placeholder.split_at(cut);
        let stream = chat(&["mail ", first, second, ", a@b.org. "])
            + &call(&format!("{{\"to\":\"{first}"))
            + &call(&format!("{second}\"}}"))
            + END;
        let mut screened = EventStream::new(Api::Chat, guardrails()).restoring(values.clone());
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        assert_eq!(screened.push(stream.as_bytes(), &mut scratch, &mut out), Step::Continue);
        assert_eq!(screened.finish(&mut scratch, &mut out), Step::Continue);
        let answer = read(Api::Chat, std::str::from_utf8(&out).unwrap());
        assert_eq!(answer.texts["0.content"], "mail jane \"J\" <j@example.com>, [email]. ");
        let arguments = &answer.texts["0.tool_calls.0.function.arguments"];
        let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
        assert_eq!(arguments["to"], "jane \"J\" <j@example.com>");
    }
}

/// A stream that says one text takes this much beside what it holds and the last event, in bytes.
#[test]
fn a_stream_is_small() {
    let size = size_of::<EventStream>() + size_of::<Lane>();
    assert!(size <= 1024, "{size} bytes: {} and {} for each text", size_of::<EventStream>(), size_of::<Lane>());
}

/// An event as large as it may be, made of as many strings as it can be.
#[test]
fn huge_events_take_a_bounded_time() {
    let begun = std::time::Instant::now();
    let strings = vec!["\"123-45-6789\""; 50_000].join(",");
    let whole = format!(
        "data: {{\"error\":{{\"message\":[{strings}]}},\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a\"}}}}]}}\n\n"
    );
    let (out, step) = screened_with(UnknownFields::Scan, &whole);
    assert!(step == Step::Continue && !out.contains("6789"), "{step:?}");
    let choices = vec!["{\"index\":1,\"text\":\"a\"}"; 100_000].join(",");
    let (_, step) = screened_with(UnknownFields::Scan, &format!("data: {{\"choices\":[{choices}]}}\n\n"));
    assert_eq!(step, Step::Failed(Unscreenable::TooManyTexts));
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

/// A chat, with lines that are longer than usual.
fn screened_with(unknown: UnknownFields, stream: &str) -> (String, Step) {
    let bounds = splitter::Bounds { line_bytes_max: 4 << 20, event_bytes_max: 4 << 20 };
    let mut screened = EventStream::with_bounds(Api::Chat, guardrails_that(unknown, Unscreened::Refuse), bounds);
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let step = screened.push(stream.as_bytes(), &mut scratch, &mut out);
    (String::from_utf8(out).unwrap(), step)
}
