//! How a stream ends when a rule ends it, to the letter: `golden/*.sse`. `BLESS=1` writes them.

use std::{fs, path::Path};

use super::*;

fn check(name: &str, api: Api, stream: &str) {
    let (out, step) = screened(api, stream);
    assert_eq!(step, Step::Blocked { rule: 5 }, "{out}");
    assert!(!out.contains("FORBIDDEN") && !out.contains("FORB"), "no byte of the match goes out: {out}");
    client::read(api, &out);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/guard/lanes/stream/tests/golden/{name}.sse"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &out).unwrap();
    }
    assert_eq!(out, fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

#[test]
fn a_chat_ends_with_a_content_filter_for_each_open_choice() {
    let event = |choice: u32, text: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":{choice},\
             \"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let stream = event(0, "Hello. ", "null")
        + &event(1, "Hi. ", "null")
        + &event(2, "", "\"stop\"")
        + &event(0, "The word is FORBID", "null")
        + &event(0, "DEN-1234.", "null")
        + &event(1, "never", "null");
    check("chat", Api::Chat, &stream);
    check("chat-first", Api::Chat, &event(0, "It is FORBIDDEN-1234", "null"));
}

#[test]
fn completions_end_with_a_content_filter() {
    let event = |text: &str| {
        format!(
            "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"finish_reason\":null}}]}}\n\n"
        )
    };
    check("completions", Api::Completions, &(event("It is FORBID") + &event("DEN-1234. ")));
}

#[test]
fn messages_end_with_a_refusal() {
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\
                  \"content\":[],\"usage\":{\"input_tokens\":25,\"output_tokens\":3,\"server_tool_use\":{\"web_search_requests\":9}}}}\n\n\
                  event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
                  event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"It is FORBID\"}}\n\n\
                  event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"DEN-1234\"}}\n\n";
    check("messages", Api::Messages, stream);
}

#[test]
fn responses_end_incomplete() {
    let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\
                  \"created_at\":7,\"status\":\"in_progress\",\"model\":\"m\",\"output\":[]}}\n\n\
                  event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":0,\
                  \"content_index\":0,\"delta\":\"It is FORBID\",\"sequence_number\":4}\n\n\
                  event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":0,\
                  \"content_index\":0,\"delta\":\"DEN-1234\",\"sequence_number\":5}\n\n";
    check("responses", Api::Responses, stream);
}

#[test]
fn generate_ends_with_an_error() {
    let event = |text: &str| format!("data: {{\"model_name\":\"m\",\"text_output\":\"{text}\"}}\n\n");
    check("generate", Api::Generate, &(event("It is FORBID") + &event("DEN-1234")));
}

#[test]
fn an_ending_says_nothing_that_has_been_masked() {
    let event = |id: &str, text: &str| {
        format!(
            "data: {{\"id\":\"{id}\",\"created\":[\"{id}\"],\"model\":\"{id}\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    for stream in [
        event("jane@example.com", "Hi. ") + &event("c", "FORBIDDEN-1234."),
        event("jane@example.com", "FORBIDDEN-1234."),
    ] {
        let (out, step) = screened(Api::Chat, &stream);
        assert_eq!(step, Step::Blocked { rule: 5 }, "{out}");
        assert!(out.contains("content_filter") && !out.contains("example.com"), "{out}");
    }
    let response = |kind: &str| {
        format!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\",\"response\":{{\"id\":\"jane@example.com\",\"object\":\"response\",\"output\":[]}}}}\n\n"
        )
    };
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"FORBIDDEN-1234.\"}\n\n";
    let (out, step) = screened(Api::Responses, &(response("response.created") + delta));
    assert_eq!(step, Step::Blocked { rule: 5 }, "{out}");
    assert!(out.contains("response.incomplete") && !out.contains("example.com"), "{out}");
}
