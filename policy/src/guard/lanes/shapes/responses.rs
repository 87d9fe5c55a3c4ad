//! OpenAI's responses.

use super::chat::whole;
use crate::guard::lanes::{
    known::Known::{
        self, Action, Annotations, Arguments, At, Audio, CallId, Code, Content, Created, CreatedAt, Data, Delta,
        Description, Effort, Error, FileData, FileId, FileUrl, Filename, Format, Id, ImageUrl, Include,
        IncompleteDetails, Input, InputAudio, Instructions, Item, ItemId, Logprobs, Logs, Message, Metadata, Model,
        Name, Obfuscation, Object, Output, Outputs, Parameters, Part as PartKey, PreviousResponseId, PromptCacheKey,
        Quote, Reason, Reasoning, Refusal, Response, ResponseId, Result, Role, SafetyIdentifier, ServiceTier, Status,
        Summary, Text, Title, ToolChoice, Tools, Transcript, Truncation, Type, Url, User, Verbosity,
    },
    shape::{
        Field::{self, Copy, Opaque, Structure},
        Lane, Part, Speaker,
    },
};

pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Input] | [User | SafetyIdentifier | PromptCacheKey] => Field::Text(Speaker::User),
        [Instructions] => Field::Text(Speaker::System),
        [Input, At(item), rest @ ..] | [Instructions, At(item), rest @ ..] => return sent(*item, rest),
        [Tools | Text | ToolChoice, .., Type] => Structure,
        [Tools, .., Name | Description] | [Tools, At(_), Parameters | Format, ..] | [Text, Format, ..] => {
            Field::Text(Speaker::System)
        }
        [Known::Prompt, ..] => Field::Text(Speaker::System),
        [Model | PreviousResponseId | ServiceTier | ToolChoice | Truncation]
        | [Include, At(_)]
        | [ToolChoice, ..]
        | [Reasoning, Effort | Summary]
        | [Text, Verbosity] => Structure,
        [Metadata, ..] => Field::Text(Speaker::Unknown),
        _ => return None,
    })
}

/// An item of the conversation: a message, a call, a result, a thought.
fn sent(item: u32, path: &[Known]) -> Option<Field> {
    Some(match path {
        [Content] | [Content, At(_), Text | Refusal] => Field::Text(Speaker::Unknown),
        [Output] | [Output, At(_), Text | Refusal] | [Outputs | Output, At(_), Logs] | [Known::Results, ..] => {
            Field::Text(Speaker::Tool)
        }
        [Arguments] => Field::Arguments(Lane::new(item, Part::Arguments, 0)),
        [Name | Input | Code | Action, ..] => Field::Text(Speaker::Assistant),
        [Summary, At(_), Text] => Field::Text(Speaker::Assistant),
        [Content | Output, At(_), ImageUrl | FileData | FileId | FileUrl]
        | [Content, At(_), InputAudio, Data]
        | [ImageUrl | FileId | Result]
        | [Output, ImageUrl | FileId] => Opaque,
        [Content | Output, At(_), Filename] => Field::Text(Speaker::Unknown),
        [Type | Role | Id | CallId | Status] | [Content | Output | Summary, At(_), Type] => Structure,
        [Content, At(_), Known::Detail] | [Content, At(_), InputAudio, Format] => Structure,
        [Content, At(_), Annotations, .., Type] => Structure,
        _ => return None,
    })
}

pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Output, At(item), rest @ ..] => return told(*item, rest),
        [Instructions] => Field::Text(Speaker::System),
        [Instructions, At(item), rest @ ..] => return sent(*item, rest),
        [Id | Object | Model | Status | ServiceTier | Created | CreatedAt] | [Error, Code] => Structure,
        [IncompleteDetails, Reason] => Structure,
        [
            Tools | Text | ToolChoice | Reasoning | Metadata | Truncation | PreviousResponseId | User | Known::Prompt,
            ..,
        ] => {
            return request(path);
        }
        _ => return None,
    })
}

/// An item of an answer.
fn told(item: u32, path: &[Known]) -> Option<Field> {
    let (part, number) = match path {
        [Content, At(number), rest @ ..] => return content(item, *number, rest),
        [Summary, At(number), Text] => (Part::Summary, *number),
        [Arguments] => (Part::Arguments, 0),
        [Name] => (Part::Name, 0),
        [Input | Code] => (Part::Input, 0),
        [Output] | [Outputs | Output, At(_), Logs | Text] | [Known::Results, ..] | [Action, ..] => {
            return Some(Field::Text(Speaker::Tool));
        }
        [Result] | [Outputs, At(_), Url] => return Some(Opaque),
        [Type | Role | Id | CallId | Status] | [Summary | Outputs | Output, At(_), Type] => return Some(Structure),
        _ => return None,
    };
    Some(whole(Lane::new(item, part, number)))
}

/// A part of an item's content.
fn content(item: u32, number: u32, path: &[Known]) -> Option<Field> {
    let lane = |part| Copy(Lane::new(item, part, number));
    Some(match path {
        [Text] => lane(Part::Content),
        [Refusal] => lane(Part::Refusal),
        [Transcript] => lane(Part::Transcript),
        [Annotations, At(at), Title | Quote | Url | Filename] => Copy(Lane::new(item, Part::Citation, *at)),
        [Data] | [Audio, Data] => Opaque,
        [Type] | [Annotations, At(_), Type] => Structure,
        [Logprobs, ..] => Field::Logprobs(Lane::new(item, Part::Content, number)),
        _ => return None,
    })
}

/// Which item and part an event is about, numbers of the event say; which part its `delta` is, its `type` ([`part`]).
pub(in crate::guard::lanes) fn event(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Delta] => Field::Delta(Lane::new(0, Part::Content, 0)),
        [Text] => Copy(Lane::new(0, Part::Content, 0)),
        [Refusal] => Copy(Lane::new(0, Part::Refusal, 0)),
        [Transcript] => Copy(Lane::new(0, Part::Transcript, 0)),
        [Arguments] => whole(Lane::new(0, Part::Arguments, 0)),
        [Name] => Copy(Lane::new(0, Part::Name, 0)),
        [Input | Code] => Copy(Lane::new(0, Part::Input, 0)),
        [Logprobs, ..] => Field::Logprobs(Lane::new(0, Part::Content, 0)),
        [Item, rest @ ..] => return told(0, rest),
        [PartKey, rest @ ..] => return content(0, 0, rest),
        [Known::Annotation, Title | Quote | Url | Filename] => Copy(Lane::new(0, Part::Citation, 0)),
        [Known::Annotation, Type] => Structure,
        [Response, rest @ ..] => return answer(rest),
        [Type | ItemId | ResponseId | Obfuscation] | [Error, Code] => Structure,
        [Message] => Field::Text(Speaker::Unknown),
        _ => return None,
    })
}

/// Which part of an answer the `delta` of an event of this type belongs to, and the `text` of the one that ends it. `None`:
/// it is not text.
pub fn part(kind: &str) -> Option<Part> {
    Some(match kind {
        "response.reasoning_text.delta" | "response.reasoning_text.done" => Part::Reasoning,
        "response.reasoning_summary_text.delta" | "response.reasoning_summary_text.done" => Part::Summary,
        "response.refusal.delta" | "response.refusal.done" => Part::Refusal,
        "response.function_call_arguments.delta"
        | "response.function_call_arguments.done"
        | "response.mcp_call_arguments.delta"
        | "response.mcp_call_arguments.done" => Part::Arguments,
        "response.custom_tool_call_input.delta"
        | "response.custom_tool_call_input.done"
        | "response.code_interpreter_call_code.delta"
        | "response.code_interpreter_call_code.done" => Part::Input,
        "response.audio.transcript.delta"
        | "response.audio.transcript.done"
        | "response.audio_transcript.delta"
        | "response.audio_transcript.done" => Part::Transcript,
        "response.audio.delta" | "response.image_generation_call.partial_image" => return None,
        _ => Part::Content,
    })
}
