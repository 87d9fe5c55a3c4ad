//! OpenAI's chat completions, with what vLLM, SGLang and others added.

use crate::guard::lanes::{
    known::Known::{
        self, Annotations, Arguments, At, Audio, AudioUrl, ChatTemplate, ChatTemplateKwargs, Choices, Content, Created,
        Custom, Data, Delta, Detail, Documents, File, FileData, FileId, Filename, FinishReason, Format, Function,
        FunctionCall, Functions, GuidedChoice, GuidedGrammar, GuidedJson, GuidedRegex, Id, ImageEmbeds, ImageUrl,
        Input, InputAudio, Logprobs, MatchedStop, Message, Messages, Metadata, Modalities, Model, Name,
        NativeFinishReason, Object, Prediction, PromptCacheKey, PromptTokenIds, Reasoning, ReasoningContent,
        ReasoningDetails, ReasoningEffort, Refusal, ResponseFormat, Role, SafetyIdentifier, ServiceTier, Stop,
        StopReason, StructuredOutputs, Summary, SystemFingerprint, Text, Title, Token, TokenIds, ToolCallId, ToolCalls,
        ToolChoice, Tools, TopLogprobs, Transcript, Type, Url, UrlCitation, User, Verbosity, VideoUrl, Voice,
    },
    shape::{
        Field::{self, Copy, Opaque, Structure},
        Lane,
        Part::{self, Citation},
        Speaker,
    },
};

pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Messages, At(message), rest @ ..] => return said(*message, rest),
        [Tools | Functions | ResponseFormat | StructuredOutputs | ToolChoice, .., Type] => Structure,
        [Tools | Functions | ResponseFormat | StructuredOutputs, ..]
        | [ChatTemplate | GuidedChoice | GuidedGrammar | GuidedJson | GuidedRegex]
        | [ChatTemplateKwargs | GuidedChoice | GuidedJson, ..] => Field::Text(Speaker::System),
        [ToolChoice, ..]
        | [Model | ServiceTier | ReasoningEffort | Verbosity]
        | [Modalities, At(_)]
        | [Audio, Voice | Format]
        | [Prediction, Type]
        | [Prediction, Content, At(_), Type] => Structure,
        [Prediction, Content] | [Prediction, Content, At(_), Text] | [Stop] | [Stop, At(_)] => {
            Field::Text(Speaker::User)
        }
        [User | SafetyIdentifier | PromptCacheKey] => Field::Text(Speaker::User),
        [Metadata, ..] => Field::Text(Speaker::Unknown),
        [Documents, ..] => Field::Text(Speaker::Retrieved),
        [PromptTokenIds, ..] => Opaque,
        _ => return None,
    })
}

/// A message of a conversation.
fn said(message: u32, path: &[Known]) -> Option<Field> {
    Some(match path {
        [Content | Name | Refusal] => Field::Text(Speaker::Unknown),
        [Content, At(_), Text | Refusal] => Field::Text(Speaker::Unknown),
        [Role | ToolCallId] | [Content, At(_), Type] | [ToolCalls, At(_), Id | Type] | [Audio, Id] => Structure,
        [Content, At(_), ImageUrl, Detail] | [Content, At(_), InputAudio, Format] => Structure,
        [Content, At(_), File, Filename] => Field::Text(Speaker::Unknown),
        [Content, At(_), ImageUrl | VideoUrl | AudioUrl]
        | [Content, At(_), ImageUrl | VideoUrl | AudioUrl, Url]
        | [Content, At(_), InputAudio, Data]
        | [Content, At(_), File, FileData | FileId]
        | [Content, At(_), ImageEmbeds, ..] => Opaque,
        [ReasoningContent | Reasoning] | [ReasoningDetails, At(_), Text | Summary] => Field::Text(Speaker::Assistant),
        [ReasoningDetails, At(_), Type | Format | Id] => Structure,
        [ToolCalls, At(_), Function | Custom, Name] | [ToolCalls, At(_), Custom, Input] | [FunctionCall, Name] => {
            Field::Text(Speaker::Assistant)
        }
        [ToolCalls, At(call), Function, Arguments] => Field::Arguments(Lane::new(message, Part::Arguments, *call)),
        [FunctionCall, Arguments] => Field::Arguments(Lane::new(message, Part::Arguments, 0)),
        _ => return None,
    })
}

pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    match path {
        [Choices, At(choice), Message, rest @ ..] => match part(rest)? {
            Told::Text(part, number) => Some(whole(Lane::new(*choice, part, number))),
            Told::Field(field) => Some(field),
        },
        _ => around(path),
    }
}

pub(in crate::guard::lanes) fn event(path: &[Known]) -> Option<Field> {
    match path {
        [Choices, At(choice), Delta, rest @ ..] => match part(rest)? {
            Told::Text(part, number) => Some(Field::Delta(Lane::new(*choice, part, number))),
            Told::Field(field) => Some(field),
        },
        // Some servers end a stream with the whole message.
        _ => answer(path),
    }
}

/// A whole text of an answer.
pub(super) fn whole(lane: Lane) -> Field {
    if lane.part.is_json() { Field::Arguments(lane) } else { Copy(lane) }
}

/// A string of a message or of a part of one.
enum Told {
    Text(Part, u32),
    Field(Field),
}

fn part(path: &[Known]) -> Option<Told> {
    let (part, number) = match path {
        [Content] => (Part::Content, 0),
        [Content, At(number), Text] => (Part::Content, *number),
        [ReasoningContent | Reasoning] => (Part::Reasoning, 0),
        [ReasoningDetails, At(number), Text] => (Part::Reasoning, *number),
        [ReasoningDetails, At(number), Summary] => (Part::Summary, *number),
        [Refusal] => (Part::Refusal, 0),
        [Content, At(number), Refusal] => (Part::Refusal, *number),
        [ToolCalls, At(call), Function | Custom, Name] => (Part::Name, *call),
        [ToolCalls, At(call), Function, Arguments] => (Part::Arguments, *call),
        [ToolCalls, At(call), Custom, Input] => (Part::Input, *call),
        // Before there were several calls there was one, which has numbers of its own.
        [FunctionCall, Name] => (Part::Name, u32::MAX),
        [FunctionCall, Arguments] => (Part::Arguments, u32::MAX),
        [Audio, Transcript] => (Part::Transcript, 0),
        [Annotations, At(number), UrlCitation, Title] => (Citation, *number),
        [Role] | [ToolCalls, At(_), Id | Type] | [Content, At(_), Type] | [Annotations, At(_), Type] | [Audio, Id] => {
            return Some(Told::Field(Structure));
        }
        [ReasoningDetails, At(_), Type | Format | Id] => return Some(Told::Field(Structure)),
        [Audio, Data] | [Content, At(_), ImageUrl, Url] => return Some(Told::Field(Opaque)),
        _ => return None,
    };
    Some(Told::Text(part, number))
}

/// What stands around the messages of an answer.
fn around(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Id | Object | Model | SystemFingerprint | ServiceTier | Created] => Structure,
        [Choices, At(_), FinishReason | StopReason | MatchedStop | NativeFinishReason] => Structure,
        [Choices, At(choice), Logprobs, Content, At(_), Token]
        | [Choices, At(choice), Logprobs, Content, At(_), TopLogprobs, At(_), Token] => {
            Field::Logprobs(Lane::new(*choice, Part::Content, 0))
        }
        [Choices, At(choice), Logprobs, Refusal, At(_), Token]
        | [Choices, At(choice), Logprobs, Refusal, At(_), TopLogprobs, At(_), Token] => {
            Field::Logprobs(Lane::new(*choice, Part::Refusal, 0))
        }
        [Choices, At(_), TokenIds, ..] | [PromptTokenIds, ..] => Opaque,
        [Choices, At(choice), Logprobs, ..] => Field::Logprobs(Lane::new(*choice, Part::Content, 0)),
        _ => return None,
    })
}
