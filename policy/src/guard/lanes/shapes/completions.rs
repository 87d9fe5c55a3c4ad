//! OpenAI's completions.

use crate::guard::lanes::{
    known::Known::{
        self, At, Choices, Created, FinishReason, Id, Logprobs, MatchedStop, Metadata, Model, Object, Prompt,
        PromptEmbeds, PromptTokenIds, ServiceTier, Stop, StopReason, Suffix, SystemFingerprint, Text, TokenIds, User,
    },
    shape::{
        Field::{self, Copy, Delta, Opaque, Structure},
        Lane, Part, Speaker,
    },
};

/// A prompt is a string, several, or ids of tokens, for which [`Opaque`] stands where a number does.
pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Prompt] | [Prompt, At(_)] | [Suffix | User | Stop] | [Stop, At(_)] => Field::Text(Speaker::User),
        [Prompt, At(_), At(_)] | [PromptEmbeds | PromptTokenIds, ..] => Opaque,
        [Model | ServiceTier] => Structure,
        [Metadata, ..] => Field::Text(Speaker::Unknown),
        _ => return None,
    })
}

pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Choices, At(choice), Text] => Copy(Lane::new(*choice, Part::Content, 0)),
        _ => return around(path),
    })
}

pub(in crate::guard::lanes) fn event(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Choices, At(choice), Text] => Delta(Lane::new(*choice, Part::Content, 0)),
        _ => return around(path),
    })
}

fn around(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Id | Object | Model | SystemFingerprint | ServiceTier | Created] => Structure,
        [Choices, At(_), FinishReason | StopReason | MatchedStop] => Structure,
        [Choices, At(choice), Logprobs, ..] => Field::Logprobs(Lane::new(*choice, Part::Content, 0)),
        [Choices, At(_), TokenIds | PromptTokenIds, ..] => Opaque,
        _ => return None,
    })
}
