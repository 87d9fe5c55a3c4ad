//! One row for each place where a dialect has text.

use super::{Masking, PASS, PLANT, rewrite};
use crate::guard::lanes::{
    document::Place,
    shape::{Api, Field, Lane, Part, Shape, Speaker},
};

/// The plant is seen once in this document, as text of this speaker, and masking it leaves JSON.
fn check(shape: Shape, json: &str, speaker: Speaker) -> Place {
    let json = json.replace("PLANT", PLANT);
    let mut screener = Masking::plant();
    let written = rewrite(shape, json.as_bytes(), &PASS, &mut screener).unwrap();
    assert_eq!(screener.speakers(), [speaker], "{shape:?} {json}");
    let written = written.unwrap();
    assert!(!String::from_utf8_lossy(&written).contains(PLANT), "{json}");
    serde_json::from_slice::<serde_json::Value>(&written).unwrap();
    screener.shown.iter().find(|(_, text)| text.contains(PLANT)).unwrap().0
}

#[test]
fn requests_of_openai_have_their_texts_seen() {
    use Speaker::{Assistant, Retrieved, System, Tool, Unknown, User};
    let chat = |json: &str, speaker| check(Shape::request(Api::Chat), json, speaker);
    let message = |rest: &str, speaker| chat(&format!(r#"{{"messages":[{{{rest}}}]}}"#), speaker);
    message(r#""role":"user","content":"PLANT""#, User);
    message(r#""role":"user","name":"PLANT","content":"x""#, User);
    message(r#""role":"user","content":[{"type":"text","text":"PLANT"}]"#, User);
    message(r#""role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/PLANT"}}]"#, Unknown);
    message(r#""role":"user","content":[{"type":"file","file":{"filename":"PLANT","file_data":""}}]"#, User);
    message(r#""role":"system","content":"PLANT""#, System);
    message(r#""role":"developer","content":"PLANT""#, System);
    message(r#""role":"tool","tool_call_id":"c1","content":"PLANT""#, Tool);
    message(r#""role":"tool","tool_call_id":"PLANT","content":"x""#, Unknown);
    message(r#""role":"function","name":"f","content":"PLANT""#, Tool);
    message(r#""role":"assistant","content":"PLANT""#, Assistant);
    message(r#""role":"assistant","refusal":"PLANT""#, Assistant);
    message(r#""role":"assistant","reasoning_content":"PLANT""#, Assistant);
    message(r#""role":"assistant","reasoning":"PLANT""#, Assistant);
    message(
        r#""role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"PLANT","arguments":""}}]"#,
        Assistant,
    );
    message(
        r#""role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f","input":"PLANT"}}]"#,
        Assistant,
    );
    message(r#""role":"assistant","function_call":{"name":"f","arguments":"{\"to\":\"PLANT\"}"}"#, Assistant);
    let place = message(
        r#""role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"to\":\"PLANT\"}"}}]"#,
        Assistant,
    );
    assert_eq!(place.field, Field::Arguments(Lane::new(0, Part::Arguments, 0)));
    for json in [
        r#"{"tools":[{"type":"function","function":{"name":"f","description":"PLANT"}}]}"#,
        r#"{"tools":[{"type":"function","function":{"name":"PLANT"}}]}"#,
        r#"{"tools":[{"function":{"parameters":{"type":"object","properties":{"to":{"description":"PLANT"}}}}}]}"#,
        r#"{"tools":[{"function":{"parameters":{"type":"object","properties":{"PLANT":{"type":"string"}}}}}]}"#,
        r#"{"tools":[{"function":{"parameters":{"properties":{"to":{"enum":["a","PLANT"]}}}}}]}"#,
        r#"{"functions":[{"name":"f","description":"PLANT"}]}"#,
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"description":"PLANT"}}}}"#,
        r#"{"chat_template":"PLANT"}"#,
        r#"{"guided_json":{"title":"PLANT"}}"#,
    ] {
        chat(json, System);
    }
    chat(r#"{"prediction":{"type":"content","content":"PLANT"}}"#, User);
    chat(r#"{"prediction":{"type":"content","content":[{"type":"text","text":"PLANT"}]}}"#, User);
    chat(r#"{"user":"PLANT"}"#, User);
    chat(r#"{"stop":["x","PLANT"]}"#, User);
    chat(r#"{"metadata":{"owner":"PLANT"}}"#, Unknown);
    chat(r#"{"documents":[{"title":"x","text":"PLANT"}]}"#, Retrieved);
    chat(r#"{"model":"PLANT"}"#, Unknown);
    chat(r#"{"tool_choice":{"type":"function","function":{"name":"PLANT"}}}"#, Unknown);
    chat(r#"{"\u006dessages":[{"r\u006fle":"tool","c\u006fntent":"\u0061lice\u0040corp.example"}]}"#, Tool);

    let completion = |json: &str| check(Shape::request(Api::Completions), json, User);
    completion(r#"{"prompt":"PLANT"}"#);
    completion(r#"{"prompt":["x","PLANT"]}"#);
    completion(r#"{"prompt":"x","suffix":"PLANT"}"#);

    let list = |json: &str, speaker| check(Shape::request(Api::Lists), json, speaker);
    list(r#"{"input":"PLANT"}"#, User);
    list(r#"{"input":["PLANT"]}"#, User);
    list(r#"{"input":[{"type":"text","text":"PLANT"}]}"#, User);
    list(r#"{"query":"PLANT","documents":[]}"#, User);
    list(r#"{"query":"x","documents":["PLANT"]}"#, Retrieved);
    list(r#"{"query":"x","documents":[{"text":"PLANT"}]}"#, Retrieved);
    list(r#"{"text_1":"PLANT","text_2":["x"]}"#, User);
    list(r#"{"text_1":"x","text_2":["PLANT"]}"#, User);
    list(r#"{"messages":[{"role":"user","content":"PLANT"}]}"#, User);
}

#[test]
fn requests_of_responses_have_their_texts_seen() {
    use Speaker::{Assistant, System, Tool, Unknown, User};
    let check = |json: &str, speaker| check(Shape::request(Api::Responses), json, speaker);
    check(r#"{"input":"PLANT"}"#, User);
    check(r#"{"instructions":"PLANT","input":"x"}"#, System);
    check(r#"{"input":[{"role":"user","content":"PLANT"}]}"#, User);
    check(
        r#"{"input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"PLANT"}]}]}"#,
        System,
    );
    check(r#"{"input":[{"content":[{"type":"output_text","text":"PLANT"}],"role":"assistant"}]}"#, Assistant);
    check(r#"{"input":[{"content":[{"type":"refusal","refusal":"PLANT"}],"role":"assistant"}]}"#, Assistant);
    check(
        r#"{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{\"to\":\"PLANT\"}"}]}"#,
        Assistant,
    );
    check(r#"{"input":[{"type":"function_call","call_id":"c","name":"PLANT","arguments":"{}"}]}"#, Assistant);
    check(r#"{"input":[{"type":"function_call_output","call_id":"c","output":"PLANT"}]}"#, Tool);
    check(r#"{"input":[{"type":"function_call_output","output":[{"type":"input_text","text":"PLANT"}]}]}"#, Tool);
    check(r#"{"input":[{"type":"custom_tool_call","input":"PLANT"}]}"#, Assistant);
    check(r#"{"input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"PLANT"}]}]}"#, Assistant);
    check(r#"{"input":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"PLANT"}]}]}"#, Unknown);
    check(r#"{"input":[{"type":"reasoning","encrypted_content":"PLANT"}]}"#, Unknown);
    check(r#"{"input":[{"role":"user","content":[{"type":"input_file","filename":"PLANT"}]}]}"#, User);
    check(r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x/PLANT"}]}]}"#, Unknown);
    check(r#"{"tools":[{"type":"function","name":"f","description":"PLANT"}]}"#, System);
    check(r#"{"tools":[{"type":"function","parameters":{"properties":{"a":{"description":"PLANT"}}}}]}"#, System);
    check(r#"{"text":{"format":{"type":"json_schema","schema":{"title":"PLANT"}}}}"#, System);
    check(r#"{"metadata":{"a":"PLANT"}}"#, Unknown);
    check(r#"{"previous_response_id":"PLANT"}"#, Unknown);
}

#[test]
fn requests_of_anthropic_have_their_texts_seen() {
    use Speaker::{Assistant, Retrieved, System, Tool, Unknown, User};
    let check = |json: &str, speaker| check(Shape::request(Api::Messages), json, speaker);
    let block = |role: &str, block: &str, speaker| {
        check(&format!(r#"{{"messages":[{{"role":"{role}","content":[{block}]}}]}}"#), speaker)
    };
    check(r#"{"system":"PLANT"}"#, System);
    check(r#"{"system":[{"type":"text","text":"PLANT","cache_control":{"type":"ephemeral"}}]}"#, System);
    check(r#"{"messages":[{"role":"user","content":"PLANT"}]}"#, User);
    check(r#"{"tools":[{"name":"f","description":"PLANT"}]}"#, System);
    check(r#"{"tools":[{"name":"f","input_schema":{"properties":{"a":{"description":"PLANT"}}}}]}"#, System);
    check(r#"{"metadata":{"user_id":"PLANT"}}"#, User);
    check(r#"{"stop_sequences":["PLANT"]}"#, User);
    block("user", r#"{"type":"text","text":"PLANT"}"#, User);
    block("assistant", r#"{"type":"text","text":"PLANT"}"#, Assistant);
    block("assistant", r#"{"type":"thinking","thinking":"PLANT","signature":"c2ln"}"#, Assistant);
    block("assistant", r#"{"type":"redacted_thinking","data":"PLANT"}"#, Unknown);
    block("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":{"to":"PLANT"}}"#, Assistant);
    block(
        "assistant",
        r#"{"type":"tool_use","id":"t","name":"f","input":{"to":["\u0061lice\u0040corp.example"]}}"#,
        Assistant,
    );
    block("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":{"PLANT":1}}"#, Assistant);
    block("user", r#"{"type":"tool_result","tool_use_id":"t","content":"PLANT"}"#, Tool);
    block("user", r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"PLANT"}]}"#, Tool);
    block(
        "user",
        r#"{"type":"tool_result","content":[{"type":"search_result","title":"x","content":[{"type":"text","text":"PLANT"}]}]}"#,
        Retrieved,
    );
    block(
        "user",
        r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"PLANT"}}"#,
        Retrieved,
    );
    block(
        "user",
        r#"{"type":"document","source":{"data":"PLANT","media_type":"text/plain","type":"text"}}"#,
        Retrieved,
    );
    block(
        "user",
        r#"{"type":"document","source":{"type":"content","content":[{"type":"text","text":"PLANT"}]}}"#,
        Retrieved,
    );
    block("user", r#"{"type":"document","title":"PLANT","source":{"type":"text","data":"x"}}"#, Retrieved);
    block(
        "user",
        r#"{"type":"search_result","source":"https://x","title":"PLANT","content":[{"type":"text","text":"x"}]}"#,
        Retrieved,
    );
    block("user", r#"{"type":"search_result","content":[{"type":"text","text":"PLANT"}]}"#, Retrieved);
    block("user", r#"{"type":"image","source":{"type":"url","url":"https://x/PLANT"}}"#, Unknown);
}

#[test]
fn requests_of_other_servers_have_their_texts_seen() {
    use Speaker::{System, Unknown, User};
    let infer = |json: &str, speaker| check(Shape::request(Api::Infer), json, speaker);
    infer(r#"{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["PLANT"]}]}"#, User);
    infer(r#"{"inputs":[{"name":"text","shape":[1,1],"datatype":"BYTES","data":[["PLANT"]]}]}"#, User);
    infer(r#"{"inputs":[],"parameters":{"prompt":"PLANT"}}"#, User);
    infer(r#"{"inputs":[{"name":"x","parameters":{"a":"PLANT"}}]}"#, User);
    infer(r#"{"id":"PLANT","inputs":[]}"#, Unknown);
    let generate = |json: &str, speaker| check(Shape::request(Api::Generate), json, speaker);
    generate(r#"{"text_input":"PLANT","parameters":{"stream":false}}"#, User);
    generate(r#"{"text_input":"x","parameters":{"system_prompt":"PLANT"}}"#, User);
    generate(r#"{"text_input":"x","bad_words":["PLANT"]}"#, User);
    generate(r#"{"prompt":"PLANT"}"#, User);
    generate(r#"{"inputs":"PLANT","parameters":{}}"#, User);
    generate(r#"{"text":"PLANT","sampling_params":{}}"#, User);
    generate(r#"{"system":"PLANT"}"#, System);
    generate(r#"{"new":"PLANT"}"#, Unknown);
    check(Shape::request(Api::Other), r#"{"whatever":[{"it":"PLANT"}]}"#, Unknown);
    check(Shape::request(Api::Other), r#"["PLANT"]"#, Unknown);
    check(Shape::request(Api::Other), r#""PLANT""#, Unknown);
}

#[test]
fn answers_have_their_texts_seen() {
    use Speaker::Assistant;
    let chat = |json: &str| check(Shape::answer(Api::Chat), json, Assistant);
    let message =
        |rest: &str| chat(&format!(r#"{{"choices":[{{"index":0,"message":{{"role":"assistant",{rest}}}}}]}}"#));
    message(r#""content":"PLANT""#);
    message(r#""content":[{"type":"text","text":"PLANT"}]"#);
    message(r#""reasoning_content":"PLANT""#);
    message(r#""reasoning":"PLANT""#);
    message(r#""refusal":"PLANT""#);
    message(r#""tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"to\":\"PLANT\"}"}}]"#);
    message(r#""tool_calls":[{"id":"c","type":"function","function":{"name":"PLANT","arguments":"{}"}}]"#);
    message(r#""tool_calls":[{"id":"PLANT","type":"function","function":{"name":"f","arguments":"{}"}}]"#);
    message(r#""function_call":{"name":"f","arguments":"{\"to\":\"PLANT\"}"}"#);
    message(r#""audio":{"id":"a","transcript":"PLANT"}"#);
    message(r#""annotations":[{"type":"url_citation","url_citation":{"url":"https://x","title":"PLANT"}}]"#);
    message(r#""annotations":[{"type":"url_citation","url_citation":{"url":"https://x/PLANT","title":"x"}}]"#);
    message(r#""something_new":"PLANT""#);
    let second = chat(r#"{"choices":[{"message":{"content":"x"}},{"message":{"content":"PLANT"}}]}"#);
    assert_eq!(second.field, Field::Copy(Lane::new(1, Part::Content, 0)));
    chat(r#"{"id":"PLANT","choices":[]}"#);
    chat(r#"{"choices":[{"logprobs":{"content":[{"token":"PLANT","logprob":0}]},"message":{"content":"x"}}]}"#);
    chat(
        r#"{"choices":[{"logprobs":{"content":[{"token":"x","top_logprobs":[{"token":"PLANT"}]}]},"message":{"content":"x"}}]}"#,
    );

    check(Shape::answer(Api::Completions), r#"{"choices":[{"text":"x"},{"text":"PLANT"}]}"#, Assistant);
    check(
        Shape::answer(Api::Completions),
        r#"{"choices":[{"text":"x","logprobs":{"tokens":["x"],"top_logprobs":[{"PLANT":0}]}}]}"#,
        Assistant,
    );

    let responses = |json: &str| check(Shape::answer(Api::Responses), json, Assistant);
    let output = |item: &str| responses(&format!(r#"{{"object":"response","output":[{item}]}}"#));
    output(r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"PLANT"}]}"#);
    output(r#"{"type":"message","content":[{"type":"refusal","refusal":"PLANT"}]}"#);
    output(
        r#"{"type":"message","content":[{"type":"output_text","text":"x","annotations":[{"type":"url_citation","title":"PLANT"}]}]}"#,
    );
    output(r#"{"type":"function_call","name":"f","arguments":"{\"to\":\"PLANT\"}"}"#);
    output(r#"{"type":"custom_tool_call","name":"f","input":"PLANT"}"#);
    output(r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"PLANT"}]}"#);
    output(r#"{"type":"reasoning","content":[{"type":"reasoning_text","text":"PLANT"}]}"#);
    output(r#"{"type":"code_interpreter_call","code":"PLANT"}"#);
    output(r#"{"type":"code_interpreter_call","outputs":[{"type":"logs","logs":"PLANT"}]}"#);
    output(r#"{"type":"mcp_call","output":"PLANT"}"#);
    output(r#"{"type":"file_search_call","results":[{"text":"PLANT"}]}"#);
    output(r#"{"type":"something_new","x":"PLANT"}"#);
    responses(r#"{"instructions":"PLANT","output":[]}"#);
    responses(r#"{"error":{"code":"server_error","message":"PLANT"}}"#);

    let messages = |json: &str| check(Shape::answer(Api::Messages), json, Assistant);
    messages(r#"{"type":"message","content":[{"type":"text","text":"PLANT"}]}"#);
    messages(r#"{"content":[{"type":"thinking","thinking":"PLANT","signature":"x"}]}"#);
    messages(r#"{"content":[{"type":"tool_use","id":"t","name":"f","input":{"to":"PLANT"}}]}"#);
    messages(r#"{"content":[{"type":"text","text":"x","citations":[{"type":"char_location","cited_text":"PLANT"}]}]}"#);
    messages(
        r#"{"content":[{"type":"web_search_tool_result","content":[{"type":"web_search_result","title":"PLANT"}]}]}"#,
    );
    messages(r#"{"content":[],"stop_sequence":"PLANT"}"#);

    let lists = |json: &str| check(Shape::answer(Api::Lists), json, Assistant);
    lists(r#"{"results":[{"index":0,"document":{"text":"PLANT"},"relevance_score":1}]}"#);
    lists(r#"{"data":[{"embedding":"PLANT"}]}"#);

    let infer = |json: &str| check(Shape::answer(Api::Infer), json, Assistant);
    infer(r#"{"model_name":"m","outputs":[{"name":"o","datatype":"BYTES","shape":[1],"data":["PLANT"]}]}"#);
    infer(r#"{"outputs":[{"data":[["PLANT"]]}]}"#);
    infer(r#"{"outputs":[],"parameters":{"x":"PLANT"}}"#);

    let generate = |json: &str| check(Shape::answer(Api::Generate), json, Assistant);
    generate(r#"{"model_name":"m","text_output":"PLANT"}"#);
    generate(r#"{"text":["x","PLANT"]}"#);
    generate(r#"[{"generated_text":"PLANT"}]"#);
    generate(r#"{"prompt":"PLANT"}"#);
    check(Shape::answer(Api::Other), r#"{"x":"PLANT"}"#, Assistant);
}

#[test]
fn errors_of_every_dialect_have_their_texts_seen() {
    for api in super::APIS {
        for json in [
            r#"{"error":{"message":"PLANT","type":"invalid_request_error","param":null,"code":null}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"PLANT"}}"#,
            r#"{"error":"PLANT"}"#,
            r#"{"object":"error","message":"PLANT","code":400}"#,
            r#"{"detail":"PLANT"}"#,
            r#"{"detail":[{"loc":["body"],"msg":"PLANT"}]}"#,
        ] {
            if api == Api::Messages && json.starts_with(r#"{"object""#) {
                continue;
            }
            check(Shape::answer(api), json, Speaker::Assistant);
        }
    }
}
