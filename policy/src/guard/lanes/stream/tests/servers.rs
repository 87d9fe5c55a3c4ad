//! Streams as servers write them: vLLM's and OpenAI's chat and completions, Anthropic's messages, OpenAI's responses,
//! Triton's and TGI's.

use std::fmt::Write;

use super::random::Random;
use crate::guard::lanes::shape::Api;

/// A text of an answer, as it is cut into parts. Parts are UTF-16, since JSON can cut there.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// What it is: `0.content`, `1.tool_calls.0.function.arguments`.
    pub(super) label: String,
    pub(super) text: String,
    pub(super) parts: Vec<Vec<u16>>,
}

impl Told {
    pub(super) fn cut(label: &str, text: &str, longest: usize, random: &mut Random) -> Self {
        let units: Vec<u16> = text.encode_utf16().collect();
        let parts = random.cut(&units, longest).into_iter().map(<[u16]>::to_vec).collect();
        Self { label: label.to_owned(), text: text.to_owned(), parts }
    }
}

/// The insides of a string of JSON that says this.
pub(super) fn written(units: &[u16], random: &mut Random) -> String {
    let mut written = String::new();
    let is_eager = random.one_in(3);
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(said) if is_eager && random.one_in(2) => {
                for unit in said.encode_utf16(&mut [0; 2]) {
                    write!(written, "\\u{unit:04x}").unwrap();
                }
            }
            Ok(said) => {
                let quoted = serde_json::to_string(&said.to_string()).unwrap();
                written += &quoted[1..quoted.len() - 1];
            }
            Err(half) => write!(written, "\\u{:04X}", half.unpaired_surrogate()).unwrap(),
        }
    }
    written
}

/// A stream of this API that says these texts, mixed at random.
pub(super) fn stream(api: Api, told: &[Told], random: &mut Random) -> String {
    let mut left: Vec<std::collections::VecDeque<Vec<u16>>> =
        told.iter().map(|told| told.parts.iter().cloned().collect()).collect();
    let mut stream = begin(api, told);
    let spaced = random.one_in(2);
    let mut count = 10;
    while left.iter().any(|left| !left.is_empty()) {
        // Texts of one block or item come one after the other; choices and calls may mix.
        let open: Vec<usize> = (0..told.len()).filter(|at| !left[*at].is_empty()).collect();
        let at = if matches!(api, Api::Chat | Api::Completions) { *random.of(&open) } else { open[0] };
        let mut part = left[at].pop_front().unwrap();
        let is_first = left[at].len() + 1 == told[at].parts.len();
        let is_last = left[at].is_empty();
        count += 1;
        if is_first {
            let (begun, takes) = begin_text(api, &told[at], &part, random);
            stream += &begun;
            if takes {
                part = Vec::new();
            }
        }
        let said = written(&part, random);
        stream += &event(api, &told[at], &said, count, spaced, random);
        if is_last {
            stream += &end_of_text(api, &told[at], count);
        }
    }
    stream + &end(api, told)
}

fn choice(label: &str) -> &str {
    label.split('.').next().unwrap()
}

fn begin(api: Api, told: &[Told]) -> String {
    match api {
        Api::Chat => {
            let mut choices: Vec<_> = told.iter().map(|told| choice(&told.label)).collect();
            choices.sort_unstable();
            choices.dedup();
            choices.iter().map(|choice| {
                chat(choice, r#"{"role":"assistant","content":""}"#, "null", false)
            }).collect()
        }
        Api::Messages => concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",",
            "\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,",
            "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n"
        ).to_owned(),
        Api::Responses => concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",",
            "\"object\":\"response\",\"created_at\":1741290958,\"status\":\"in_progress\",\"model\":\"gpt-4.1\",\"output\":[]}}\n\n"
        ).to_owned(),
        _ => String::new(),
    }
}

fn chat(choice: &str, delta: &str, finish: &str, spaced: bool) -> String {
    let event = format!(
        "{{\"id\":\"chatcmpl-8f2\",\"object\":\"chat.completion.chunk\",\"created\":1764117000,\"model\":\"llama-3.1-8b\",\
         \"choices\":[{{\"index\":{choice},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}"
    );
    let event = if spaced { event.replace("\",\"choices\":[{", "\", \"choices\": [{ ") } else { event };
    format!("data: {event}\n\n")
}

fn event(api: Api, told: &Told, said: &str, count: usize, spaced: bool, random: &mut Random) -> String {
    let label = told.label.as_str();
    let number = choice(label);
    match api {
        Api::Chat => {
            let path: Vec<&str> = label.split('.').skip(1).collect();
            let delta = match path.as_slice() {
                ["tool_calls", call, "function", "arguments"] => {
                    format!("{{\"tool_calls\":[{{\"index\":{call},\"function\":{{\"arguments\":\"{said}\"}}}}]}}")
                }
                ["audio", "transcript"] => format!("{{\"audio\":{{\"transcript\":\"{said}\"}}}}"),
                ["function_call", "arguments"] => format!("{{\"function_call\":{{\"arguments\":\"{said}\"}}}}"),
                ["reasoning_content"] if random.one_in(2) => {
                    format!("{{\"content\":\"\",\"reasoning_content\":\"{said}\"}}")
                }
                [name] => format!("{{\"{name}\":\"{said}\"}}"),
                _ => panic!("{label}"),
            };
            chat(number, &delta, "null", spaced)
        }
        Api::Completions => format!(
            "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":{number},\
             \"text\":\"{said}\",\"logprobs\":null,\"finish_reason\":null}}]}}\r\n\r\n"
        ),
        Api::Messages => {
            let (block, kind, name) = block(label);
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{block},\"delta\":{{\
                 \"type\":\"{kind}\",\"{name}\":\"{said}\"}}}}\n\n"
            )
        }
        Api::Responses => {
            let kind = label.split_once('.').unwrap().1;
            let obfuscation = &"aZ09xYbQ"[..random.below(8)];
            format!(
                "event: response.{kind}.delta\ndata: {{\"type\":\"response.{kind}.delta\",\"item_id\":\"msg_{number}\",\"output_index\":{number},\
                 \"content_index\":0,\"delta\":\"{said}\",\"sequence_number\":{count},\"obfuscation\":\"{obfuscation}\"}}\n\n"
            )
        }
        Api::Generate => format!(
            "data: {{\"model_name\":\"ensemble\",\"model_version\":\"1\",\"sequence_end\":false,\"text_output\":\"{said}\"}}\n\n"
        ),
        _ => panic!(),
    }
}

fn block(label: &str) -> (&str, &str, &str) {
    let (block, name) = label.split_once('.').unwrap();
    let kind = match name {
        "text" => "text_delta",
        "thinking" => "thinking_delta",
        "partial_json" => "input_json_delta",
        _ => panic!("{label}"),
    };
    (block, kind, name)
}

/// What comes before the first part of a text, and whether that says the part.
fn begin_text(api: Api, told: &Told, part: &[u16], random: &mut Random) -> (String, bool) {
    let number = choice(&told.label);
    match api {
        Api::Messages => {
            let takes = random.one_in(3) && !told.label.ends_with("partial_json");
            let said = if takes { written(part, random) } else { String::new() };
            let block = match block(&told.label).2 {
                "thinking" => format!("{{\"type\":\"thinking\",\"thinking\":\"{said}\",\"signature\":\"\"}}"),
                "partial_json" => {
                    "{\"type\":\"tool_use\",\"id\":\"toolu_01\",\"name\":\"mail\",\"input\":{}}".to_owned()
                }
                _ => format!("{{\"type\":\"text\",\"text\":\"{said}\"}}"),
            };
            let begin = format!(
                "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":{number},\"content_block\":{block}}}\n\n"
            );
            (begin, takes)
        }
        Api::Responses => {
            let item = item(told, "");
            let begin = format!(
                "event: response.output_item.added\ndata: {{\"type\":\"response.output_item.added\",\"output_index\":{number},\
                 \"item\":{item},\"sequence_number\":3}}\n\n"
            );
            (begin, false)
        }
        _ => (String::new(), false),
    }
}

/// An item of a response that says this.
fn item(told: &Told, said: &str) -> String {
    let text = serde_json::to_string(said).unwrap();
    match told.label.split_once('.').unwrap().1 {
        "function_call_arguments" => format!(
            "{{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"call_1\",\"name\":\"mail\",\"arguments\":{text}}}"
        ),
        "reasoning_summary_text" => {
            format!(
                "{{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[{{\"type\":\"summary_text\",\"text\":{text}}}]}}"
            )
        }
        "custom_tool_call_input" => {
            format!(
                "{{\"id\":\"ct_1\",\"type\":\"custom_tool_call\",\"call_id\":\"call_2\",\"name\":\"code\",\"input\":{text}}}"
            )
        }
        "refusal" => format!(
            "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{{\"type\":\"refusal\",\"refusal\":{text}}}]}}"
        ),
        _ => format!(
            "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{{\"type\":\"output_text\",\"annotations\":[],\"text\":{text}}}]}}"
        ),
    }
}

fn end_of_text(api: Api, told: &Told, count: usize) -> String {
    let number = choice(&told.label);
    match api {
        Api::Messages => {
            format!("event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{number}}}\n\n")
        }
        Api::Responses => {
            let kind = told.label.split_once('.').unwrap().1;
            let name = match kind {
                "function_call_arguments" => "arguments",
                "refusal" => "refusal",
                "custom_tool_call_input" => "input",
                _ => "text",
            };
            let text = serde_json::to_string(&told.text).unwrap();
            let item = item(told, &told.text);
            format!(
                "event: response.{kind}.done\ndata: {{\"type\":\"response.{kind}.done\",\"item_id\":\"msg_{number}\",\"output_index\":{number},\
                 \"content_index\":0,\"{name}\":{text},\"sequence_number\":{count}}}\n\n\
                 event: response.output_item.done\ndata: {{\"type\":\"response.output_item.done\",\"output_index\":{number},\
                 \"item\":{item},\"sequence_number\":{count}}}\n\n"
            )
        }
        _ => String::new(),
    }
}

fn end(api: Api, told: &[Told]) -> String {
    match api {
        Api::Chat | Api::Completions => {
            let mut choices: Vec<_> = told.iter().map(|told| choice(&told.label)).collect();
            choices.sort_unstable();
            choices.dedup();
            let ends: String = choices
                .iter()
                .enumerate()
                .map(|(at, choice)| match (api, at % 2) {
                    (Api::Chat, 0) => chat(choice, "{}", "\"stop\"", false),
                    (Api::Chat, _) => chat(choice, "{\"content\":\"\"}", "\"stop\"", false),
                    _ => format!(
                        "data: {{\"id\":\"cmpl-1\",\"choices\":[{{\"index\":{choice},\"text\":\"\",\"finish_reason\":\"length\"}}]}}\r\n\r\n"
                    ),
                })
                .collect();
            let usage = "data: {\"id\":\"chatcmpl-8f2\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\
                         \"completion_tokens\":12,\"total_tokens\":21}}\n\n";
            ends + usage + "data: [DONE]\n\n"
        }
        Api::Messages => concat!(
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},",
            "\"usage\":{\"output_tokens\":15}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        ).to_owned(),
        Api::Responses => {
            let output: Vec<_> = told.iter().map(|told| item(told, &told.text)).collect();
            format!(
                "event: response.completed\ndata: {{\"type\":\"response.completed\",\"sequence_number\":999,\"response\":{{\"id\":\"resp_1\",\
                 \"object\":\"response\",\"created_at\":1741290958,\"status\":\"completed\",\"model\":\"gpt-4.1\",\"output\":[{}],\
                 \"usage\":{{\"input_tokens\":37,\"output_tokens\":11,\"total_tokens\":48}}}}}}\n\n",
                output.join(",")
            )
        }
        _ => String::new(),
    }
}
