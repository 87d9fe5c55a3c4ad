//! Anthropic's messages.

use crate::guard::lanes::{
    known::Known::{
        self, At, CacheControl, Citations, CitedText, Content, ContentBlock, Context, Data, Delta, Description,
        DocumentTitle, Error, FileId, Id, Input, InputSchema, MediaType, Message, Messages, Metadata, Model, Name,
        PartialJson, Role, ServiceTier, Signature, Source, StopReason, StopSequence, System, Text, Thinking, Title,
        ToolChoice, ToolUseId, Tools, Type, Url, User,
    },
    shape::{
        Field::{self, Copy, Opaque, Structure},
        Lane, Part, Speaker,
    },
};

pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Messages, At(message), Content, At(block), rest @ ..] => return sent(*message, *block, rest),
        [Messages, At(_), Content] => Field::Text(Speaker::Unknown),
        [System] | [System, At(_), Text] => Field::Text(Speaker::System),
        [Tools, At(_), Name | Description] => Field::Text(Speaker::System),
        [Tools | ToolChoice, .., Type] | [Tools, At(_), CacheControl, ..] | [System, At(_), CacheControl, ..] => {
            Structure
        }
        [Tools, At(_), InputSchema, ..] => Field::Text(Speaker::System),
        [Messages, At(_), Role] | [System, At(_), Type] | [Model | ServiceTier] | [ToolChoice, ..] => Structure,
        [Known::StopSequences, At(_)] | [Metadata, ..] | [User] => Field::Text(Speaker::User),
        _ => return None,
    })
}

/// A block of a message. What stands in a block of a block is a tool's result; when the outer block is a document, whoever
/// reads it whole says so.
fn sent(message: u32, block: u32, path: &[Known]) -> Option<Field> {
    Some(match path {
        [Text] => Field::Text(Speaker::Unknown),
        [Thinking] => Field::Text(Speaker::Assistant),
        [Name] => Field::Text(Speaker::Assistant),
        [Input] => Field::Arguments(Lane::new(message, Part::Arguments, block)),
        [Content] | [Content, At(_), Text] | [Content, At(_), Content, At(_), Text] => Field::Text(Speaker::Tool),
        [Source, Data | Url | FileId] | [Content, At(_), Source, Data | Url | FileId] => Opaque,
        [Source, Content] | [Source, Content, At(_), Text] | [Content, At(_), Source, Content, ..] => {
            Field::Text(Speaker::Retrieved)
        }
        [Title | Context | Source] | [Content, At(_), Title | Context | Url | Source] => {
            Field::Text(Speaker::Retrieved)
        }
        [Type | Id | ToolUseId] | [.., Source, Type | MediaType] | [Content, .., Type] | [.., CacheControl, _] => {
            Structure
        }
        _ => return None,
    })
}

pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    match path {
        [Content, At(block), rest @ ..] => whole(*block, rest),
        _ => around(path),
    }
}

/// A block of an answer, or what one begins with.
fn whole(block: u32, path: &[Known]) -> Option<Field> {
    let lane = |part| Lane::new(block, part, 0);
    Some(match path {
        [Text] => Copy(lane(Part::Content)),
        [Thinking] => Copy(lane(Part::Reasoning)),
        [Name] => Copy(lane(Part::Name)),
        [Input] => Field::Arguments(lane(Part::Arguments)),
        [Citations, At(number), CitedText | Title | DocumentTitle] => Copy(Lane::new(block, Part::Citation, *number)),
        [Content] | [Content, At(_), Text | Title | Url] => Field::Text(Speaker::Tool),
        [Type | Id | ToolUseId] | [Citations | Content, At(_), Type] => Structure,
        _ => return None,
    })
}

/// Which block an event is about says [`super::super::shape::Number::Output`].
pub(in crate::guard::lanes) fn event(path: &[Known]) -> Option<Field> {
    let lane = |part| Field::Delta(Lane::new(0, part, 0));
    Some(match path {
        [Delta, Text] => lane(Part::Content),
        [Delta, Thinking] => lane(Part::Reasoning),
        [Delta, PartialJson] => lane(Part::Arguments),
        [Delta, Signature] => Field::Unknown,
        [Delta, Type | StopReason] => Structure,
        // Of a beginning, what comes first; parts follow.
        [ContentBlock, Text] => lane(Part::Content),
        [ContentBlock, Thinking] => lane(Part::Reasoning),
        [ContentBlock, rest @ ..] => return whole(0, rest),
        [Message, rest @ ..] => return answer(rest),
        _ => return around(path),
    })
}

fn around(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Id | Type | Role | Model | StopReason] | [Error, Type] => Structure,
        [StopSequence] | [Delta, StopSequence] => Field::Text(Speaker::Assistant),
        _ => return None,
    })
}
