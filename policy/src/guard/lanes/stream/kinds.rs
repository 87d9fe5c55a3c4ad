//! The types of events: which are known, and which texts they end.

use super::{Unscreenable, data::Screening, lane::Key, parts::Parts, said::Said};
use crate::guard::{
    lanes::{
        shape::{Api, Part, is_word},
        shapes::responses,
    },
    screen::Unscreened,
};

/// Which texts an event ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ends<'e> {
    Nothing,
    Choices(&'e [u32]),
    /// Of a block or an item; of one part of it.
    Output(u32, Option<u32>, Option<Part>),
    Everything,
}

impl Ends<'_> {
    /// Whether this one.
    pub(super) fn ends(&self, key: &Key) -> bool {
        let place = key.place;
        match self {
            Self::Nothing => false,
            Self::Choices(choices) => choices.contains(&place.choice),
            Self::Output(output, number, part) => {
                place.choice == *output
                    && number.is_none_or(|number| place.number == number)
                    && part.is_none_or(|part| place.part == part)
            }
            Self::Everything => true,
        }
    }
}

/// Which texts an event ends.
pub(super) fn ends<'s>(api: Api, kind: &str, said: &'s Said) -> Ends<'s> {
    match api {
        Api::Messages => match (kind, said.output) {
            ("content_block_stop", Some(block)) => Ends::Output(block, None, None),
            ("message_delta" | "message_stop" | "error", _) => Ends::Everything,
            _ => Ends::Nothing,
        },
        Api::Responses => match (kind, said.output) {
            ("response.completed" | "response.incomplete" | "response.failed" | "error", _) => Ends::Everything,
            ("response.output_item.done", Some(item)) => Ends::Output(item, None, None),
            (
                "response.content_part.done" | "response.reasoning_part.done" | "response.reasoning_summary_part.done",
                Some(item),
            ) => Ends::Output(item, said.content, None),
            (kind, Some(item)) if kind.strip_suffix(".done").is_some() => match responses::part(kind) {
                Some(part) => Ends::Output(item, said.content, Some(part)),
                None => Ends::Nothing,
            },
            _ => Ends::Nothing,
        },
        _ if said.is_last => Ends::Everything,
        _ => Ends::Choices(&said.ended),
    }
}

/// Whether events of this type are known.
pub(super) fn is_known(api: Api, kind: &str) -> bool {
    match api {
        Api::Messages => matches!(
            kind,
            "message_start"
                | "content_block_start"
                | "content_block_delta"
                | "content_block_stop"
                | "message_delta"
                | "message_stop"
                | "ping"
                | "error"
        ),
        Api::Responses => {
            let tools = [
                "response.web_search_call.",
                "response.file_search_call.",
                "response.code_interpreter_call.",
                "response.image_generation_call.",
                "response.mcp_call.",
                "response.mcp_list_tools.",
            ];
            let steps = |rest: &str| {
                matches!(rest, "in_progress" | "searching" | "generating" | "interpreting" | "completed" | "failed")
            };
            // vLLM's own two.
            matches!(kind, "error" | "response.reasoning_part.added" | "response.reasoning_part.done")
                || kind.starts_with("response.") && is_word(kind)
                || tools.iter().any(|tool| kind.strip_prefix(tool).is_some_and(steps))
        }
        _ => true,
    }
}

impl Screening {
    /// Streams without types have events without names.
    pub(super) fn name_is_known(&self, parts: &Parts<'_>) -> Result<(), Unscreenable> {
        let Some(name) = parts.name.as_ref().map(|name| parts.bytes(name)) else { return Ok(()) };
        let is_known = match self.api {
            Api::Responses | Api::Messages => std::str::from_utf8(name).is_ok_and(|name| is_known(self.api, name)),
            _ => matches!(name, b"" | b"message" | b"error" | b"ping"),
        };
        if is_known || self.guardrails.unscreened == Unscreened::Pass {
            Ok(())
        } else {
            Err(Unscreenable::UnknownEvent)
        }
    }

    /// An event's type must be known, and told once or twice alike.
    pub(super) fn kind_is_known(&self, parts: &Parts<'_>, kind: &str) -> Result<(), Unscreenable> {
        self.name_is_known(parts)?;
        if !matches!(self.api, Api::Responses | Api::Messages) {
            return Ok(());
        }
        if parts.name.as_ref().is_some_and(|name| parts.bytes(name) != kind.as_bytes()) {
            return Err(Unscreenable::TwoReadings);
        }
        if is_known(self.api, kind) || self.guardrails.unscreened == Unscreened::Pass {
            Ok(())
        } else {
            Err(Unscreenable::UnknownEvent)
        }
    }
}
