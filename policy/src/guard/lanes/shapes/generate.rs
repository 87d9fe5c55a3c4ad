//! `generate` of Triton (`text_input`), vLLM (`prompt`), SGLang (`text`) and TGI (`inputs`), and `tokenize`.

use crate::guard::lanes::{
    known::Known::{
        self, At, BadWords, Content, Details, FinishReason, GeneratedText, Id, ImageUrl, InputIds, Inputs, Messages,
        Model, ModelName, ModelVersion, OutputIds, Parameters, Prompt, PromptTokenIds, Role, SamplingParams, Stop,
        StopReason, StopWords, System, Text, TextInput, TextOutput, Token, TokenIds, TokenStrs, Tokens, Type, Url,
    },
    shape::{
        Field::{self, Copy, Delta, Opaque, Structure},
        Lane, Part, Speaker,
    },
};

pub(in crate::guard::lanes) fn request(path: &[Known]) -> Option<Field> {
    Some(match path {
        [TextInput | Prompt | Text | Inputs | Stop] | [TextInput | Prompt | Text | Inputs | Stop, At(_)] => {
            Field::Text(Speaker::User)
        }
        [System] => Field::Text(Speaker::System),
        [BadWords | StopWords, ..] | [Parameters | SamplingParams, ..] => Field::Text(Speaker::User),
        [Prompt, At(_), At(_)] | [InputIds | Tokens | TokenIds | PromptTokenIds, ..] => Opaque,
        [Messages, At(_), Content] | [Messages, At(_), Content, At(_), Text] => Field::Text(Speaker::Unknown),
        [Messages, At(_), Content, At(_), ImageUrl] | [Messages, At(_), Content, At(_), ImageUrl, Url] => Opaque,
        [Messages, At(_), Role] | [Messages, At(_), Content, At(_), Type] | [Id | Model] => Structure,
        _ => return None,
    })
}

pub(in crate::guard::lanes) fn answer(path: &[Known]) -> Option<Field> {
    Some(match path {
        [TextOutput | GeneratedText | Text | Prompt] => Copy(Lane::new(0, Part::Content, 0)),
        [TextOutput | Text, At(choice)] | [At(choice), GeneratedText | Text] => {
            Copy(Lane::new(*choice, Part::Content, 0))
        }
        _ => return around(path),
    })
}

/// Triton's and TGI's events are parts of the text, and TGI's last has all of it; vLLM's and SGLang's repeat the text from
/// its beginning.
pub(in crate::guard::lanes) fn event(path: &[Known]) -> Option<Field> {
    Some(match path {
        [TextOutput] | [Token, Text] => Delta(Lane::new(0, Part::Content, 0)),
        _ => return answer(path),
    })
}

fn around(path: &[Known]) -> Option<Field> {
    Some(match path {
        [Id | Model | ModelName | ModelVersion | FinishReason | StopReason] | [Details, FinishReason] => Structure,
        [Tokens | TokenIds | OutputIds | PromptTokenIds, ..] => Opaque,
        [TokenStrs, ..] => Field::Logprobs(Lane::new(0, Part::Content, 0)),
        _ => return None,
    })
}
