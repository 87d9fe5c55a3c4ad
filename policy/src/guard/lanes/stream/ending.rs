//! What a stream began with, and how it ends when a rule ends it: in the dialect of the client, so that its library sees an
//! end and not a fault.

use smallvec::SmallVec;

use super::said::Said;
use crate::guard::lanes::{json::Scanner, shape::Api};

/// What endings are made of.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Members that each event of the stream has: `"id":"…","model":"…"`.
    envelope: Vec<u8>,
    /// Choices, or blocks, that have begun and not ended.
    open: SmallVec<[u32; 4]>,
    /// The last number that counts: of events, or of tokens.
    count: u64,
    /// Events that were inserted among those that count themselves.
    inserted: u64,
    has_begun: bool,
}

impl Opening {
    /// An event that goes out.
    pub(super) fn saw(&mut self, api: Api, kind: &str, said: &Said, json: &[u8]) {
        match api {
            Api::Messages => {
                match (kind, said.output) {
                    ("content_block_start", Some(block)) if !self.open.contains(&block) => self.open.push(block),
                    ("content_block_stop", Some(block)) => self.open.retain(|open| *open != block),
                    _ => {}
                }
                self.has_begun = true;
                let message = member(json, "message").unwrap_or(json);
                if let Some(tokens) = member(message, "usage").and_then(|usage| member(usage, "output_tokens")) {
                    self.count = number(tokens);
                }
            }
            Api::Responses => {
                if self.envelope.is_empty()
                    && let Some(response) = member(json, "response")
                {
                    self.keep(response, &["id", "created_at", "model"]);
                }
            }
            _ => {
                if self.envelope.is_empty() {
                    self.keep(json, &["id", "object", "created", "model", "system_fingerprint"]);
                }
                for choice in &said.choices {
                    if !self.open.contains(choice) {
                        self.open.push(*choice);
                    }
                }
                self.open.retain(|open| !said.ended.contains(open));
            }
        }
    }

    /// The event in which a rule ended the stream, and of which a part goes out.
    pub(super) fn saw_last(&mut self, api: Api, said: &Said, json: &[u8]) {
        if api == Api::Messages {
            return;
        }
        self.saw(api, "", said, json);
        for choice in &said.choices {
            if !self.open.contains(choice) {
                self.open.push(*choice);
            }
        }
    }

    /// An event that counts itself goes out. Whether by another number than it came with, which is written then.
    pub(super) fn counted(&mut self, digits: &[u8], made: &mut Vec<u8>) -> bool {
        self.count = number(digits).saturating_add(self.inserted);
        if self.inserted > 0 {
            made.extend_from_slice(self.count.to_string().as_bytes());
        }
        self.inserted > 0
    }

    /// An event is inserted. Its number, where events have one.
    pub(super) fn inserted(&mut self, api: Api) -> Option<u64> {
        (api == Api::Responses).then(|| {
            self.inserted += 1;
            self.count = self.count.saturating_add(1);
            self.count
        })
    }

    /// Whether this event, which has been counted, has another number than it came with.
    pub(super) fn shifts(&self, said: &Said) -> bool {
        self.inserted > 0 && said.sequence.is_some()
    }

    fn keep(&mut self, json: &[u8], keys: &[&str]) {
        for key in keys {
            if let Some(value) = member(json, key).filter(|value| !value.starts_with(b"{") && !value.starts_with(b"["))
            {
                if !self.envelope.is_empty() {
                    self.envelope.push(b',');
                }
                self.envelope.extend_from_slice(format!("\"{key}\":").as_bytes());
                self.envelope.extend_from_slice(value);
            }
        }
    }

    /// Writes the ending.
    pub(super) fn end(&self, api: Api, out: &mut Vec<u8>) {
        match api {
            Api::Messages => self.end_message(out),
            Api::Responses => self.end_response(out),
            Api::Chat | Api::Completions => self.end_choices(api, out),
            Api::Lists | Api::Infer | Api::Generate | Api::Other => {
                out.extend_from_slice(b"data: {\"error\":\"the answer was ended by a guardrail\"}\n\n");
            }
        }
    }

    fn end_choices(&self, api: Api, out: &mut Vec<u8>) {
        // A stream that has said nothing yet has one choice.
        let open: &[u32] = if self.open.is_empty() && !self.has_begun { &[0] } else { &self.open };
        for choice in open {
            out.extend_from_slice(b"data: {");
            out.extend_from_slice(&self.envelope);
            if !self.envelope.is_empty() {
                out.push(b',');
            }
            let nothing = if api == Api::Chat { "\"delta\":{}" } else { "\"text\":\"\"" };
            let end = format!(
                "\"choices\":[{{\"index\":{choice},{nothing},\"logprobs\":null,\"finish_reason\":\"content_filter\"}}]}}\n\n"
            );
            out.extend_from_slice(end.as_bytes());
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn end_message(&self, out: &mut Vec<u8>) {
        if !self.has_begun {
            out.extend_from_slice(
                b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_blocked\",\"type\":\"message\",\
                  \"role\":\"assistant\",\"model\":\"\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\
                  \"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n",
            );
        }
        for block in &self.open {
            let stop =
                format!("event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{block}}}\n\n");
            out.extend_from_slice(stop.as_bytes());
        }
        let delta = format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"refusal\",\
             \"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{}}}}}\n\n",
            self.count
        );
        out.extend_from_slice(delta.as_bytes());
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    fn end_response(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"response\":{");
        out.extend_from_slice(&self.envelope);
        if !self.envelope.is_empty() {
            out.push(b',');
        }
        let rest = format!(
            "\"object\":\"response\",\"status\":\"incomplete\",\"error\":null,\
             \"incomplete_details\":{{\"reason\":\"content_filter\"}},\"output\":[],\"parallel_tool_calls\":true,\
             \"tool_choice\":\"auto\",\"tools\":[],\"usage\":null}},\"sequence_number\":{}}}\n\n",
            self.count.saturating_add(1)
        );
        out.extend_from_slice(rest.as_bytes());
    }
}

fn number(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |count: u64, digit| count.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// The value of a member of an object.
fn member<'j>(json: &'j [u8], wanted: &str) -> Option<&'j [u8]> {
    let mut scanner = Scanner::new(json).ok()?;
    if scanner.token()? != b'{' {
        return None;
    }
    scanner.advance();
    while scanner.token()? == b'"' {
        let key = scanner.key().ok()?;
        scanner.token()?;
        let start = scanner.at();
        scanner.skip_value().ok()?;
        if key.raw == wanted {
            return json.get(start..scanner.at());
        }
        if scanner.token()? == b',' {
            scanner.advance();
        }
    }
    None
}
