//! What a string of a document is, by its path: per dialect and direction, a table ([`Shape::field`]).
//!
//! What no table names is [`Field::Unknown`], which is screened like any other text unless a policy says otherwise. Numbers
//! are not screened, but for those that stand for text (ids of tokens), which nobody can read and so are
//! [`Field::Opaque`].

use super::{
    known::Known,
    shapes::{chat, completions, errors, generate, infer, lists, messages, responses},
};

pub use super::shapes::responses::part as part_of_response;
pub use crate::guard::screen::Speaker;

/// Whose documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Lists of texts: embeddings, moderations, reranking, scores, classification.
    Lists,
    /// Anthropic's messages, and the counting of their tokens.
    Messages,
    /// KServe v2.
    Infer,
    /// `generate` of Triton, vLLM, SGLang and TGI, and `tokenize`.
    Generate,
    /// Any other: nothing in them is known.
    Other,
}

/// Which of its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// What a client sends.
    Request,
    /// A whole answer.
    Answer,
    /// One event of an answer that comes in parts.
    Event,
}

/// Which table says what the strings of a document are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Whose document.
    pub api: Api,
    /// Which of them.
    pub form: Form,
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// A text of its own. Where a table leaves a speaker of a message unknown, it is whom the message's `role` names,
    /// wherever in the message that stands.
    Text(Speaker),
    /// The next part of a text that comes in parts.
    Delta(Lane),
    /// A whole text of an answer; in a stream, that which came in parts, once more.
    Copy(Lane),
    /// The same, where the text is a JSON document itself. Where it does not stand in a string but as a part of this
    /// document (Anthropic's `input`), the container is the field.
    Arguments(Lane),
    /// A word of the protocol, or a name that it made: a role, a type, an id. It is screened unless [`is_word`].
    Structure,
    /// What was said in [`Lane`], token by token.
    Logprobs(Lane),
    /// A link, or bytes in base64: an image, a sound, ids of tokens. What it stands for cannot be screened.
    Opaque,
    /// Numbers in base64: an embedding, which nobody reads as text.
    Numbers,
    /// Nothing that a table names.
    Unknown,
}

/// One of the texts of an answer that grow side by side.
///
/// Arrays of events do not say by their places which text an element belongs to, but by a number in it: a place here is
/// replaced by what [`Shape::number`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The choice, the item of the output, the block, or the message.
    pub choice: u32,
    /// What of it.
    pub part: Part,
    /// Which of these: the tool call, or the part of the content.
    pub number: u32,
}

/// What of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// What is said.
    Content,
    /// What is thought.
    Reasoning,
    /// A summary of what is thought.
    Summary,
    /// A refusal of the model's.
    Refusal,
    /// The name of a tool that is called.
    Name,
    /// What it is called with: JSON.
    Arguments,
    /// What it is called with, as text.
    Input,
    /// What a sound says.
    Transcript,
    /// A quotation.
    Citation,
}

/// A number that says which text an element belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Number {
    /// [`Lane::choice`] of what stands at this place of the array.
    Choice(u32),
    /// [`Lane::number`] of the tool calls of this choice that stand at this place.
    Call {
        /// The place of the choice.
        choice: u32,
        /// The place of the call.
        call: u32,
    },
    /// [`Lane::choice`] of the whole event.
    Output,
    /// [`Lane::number`] of the whole event.
    Content,
}

impl Lane {
    /// A text of an answer.
    pub const fn new(choice: u32, part: Part, number: u32) -> Self {
        Self { choice, part, number }
    }
}

impl Part {
    /// Whether the text is a JSON document itself.
    pub fn is_json(self) -> bool {
        self == Self::Arguments
    }
}

impl Shape {
    /// Of what a client sends.
    pub const fn request(api: Api) -> Self {
        Self { api, form: Form::Request }
    }

    /// Of a whole answer.
    pub const fn answer(api: Api) -> Self {
        Self { api, form: Form::Answer }
    }

    /// Of one event of an answer.
    pub const fn event(api: Api) -> Self {
        Self { api, form: Form::Event }
    }

    /// What a string is that stands here. For a container, [`Field::Arguments`] says that all of it is one text.
    #[inline]
    pub fn field(self, path: &[Known]) -> Field {
        let named = match (self.api, self.form) {
            (Api::Chat, Form::Request) => chat::request(path),
            (Api::Chat, Form::Answer) => chat::answer(path),
            (Api::Chat, Form::Event) => chat::event(path),
            (Api::Completions, Form::Request) => completions::request(path),
            (Api::Completions, Form::Answer) => completions::answer(path),
            (Api::Completions, Form::Event) => completions::event(path),
            (Api::Responses, Form::Request) => responses::request(path),
            (Api::Responses, Form::Answer) => responses::answer(path),
            (Api::Responses, Form::Event) => responses::event(path),
            (Api::Lists, Form::Request) => lists::request(path),
            (Api::Lists, Form::Answer | Form::Event) => lists::answer(path),
            (Api::Messages, Form::Request) => messages::request(path),
            (Api::Messages, Form::Answer) => messages::answer(path),
            (Api::Messages, Form::Event) => messages::event(path),
            (Api::Infer, Form::Request) => infer::request(path),
            (Api::Infer, Form::Answer | Form::Event) => infer::answer(path),
            (Api::Generate, Form::Request) => generate::request(path),
            (Api::Generate, Form::Answer) => generate::answer(path),
            (Api::Generate, Form::Event) => generate::event(path),
            (Api::Other, _) => None,
        };
        named.or_else(|| if self.form == Form::Request { None } else { errors::field(path) }).unwrap_or(Field::Unknown)
    }

    /// Whether a number that stands here is the id of a token, so that it says something which nobody can read.
    pub fn is_token(self, path: &[Known]) -> bool {
        let is_prompt = match (self.api, path) {
            _ if self.form != Form::Request => false,
            (Api::Completions | Api::Generate, [Known::Prompt | Known::Text | Known::Inputs, Known::At(_)])
            | (Api::Lists, [Known::Input | Known::Texts | Known::Text1 | Known::Text2, Known::At(_)]) => true,
            _ => false,
        };
        is_prompt || self.field(path) == Field::Opaque
    }

    /// What a number means that stands here, in an event.
    pub fn number(self, path: &[Known]) -> Option<Number> {
        match (self.api, path) {
            (Api::Chat | Api::Completions, [Known::Choices, Known::At(choice), Known::Index]) => {
                Some(Number::Choice(*choice))
            }
            (
                Api::Chat,
                [
                    Known::Choices,
                    Known::At(choice),
                    Known::Delta | Known::Message,
                    Known::ToolCalls,
                    Known::At(call),
                    Known::Index,
                ],
            ) => Some(Number::Call { choice: *choice, call: *call }),
            (Api::Responses, [Known::OutputIndex]) | (Api::Messages, [Known::Index]) => Some(Number::Output),
            (Api::Responses, [Known::ContentIndex | Known::SummaryIndex]) => Some(Number::Content),
            _ => None,
        }
    }

    /// Whether the key that ends this path may stand there without being looked at: tables know it.
    pub fn is_known_key(key: Option<&Known>) -> bool {
        !matches!(key, Some(Known::Other))
    }
}

/// Who speaks in a message of this role.
pub fn speaker(role: &str) -> Speaker {
    match role {
        "system" | "developer" => Speaker::System,
        "user" => Speaker::User,
        "assistant" => Speaker::Assistant,
        "tool" | "function" => Speaker::Tool,
        _ => Speaker::Unknown,
    }
}

/// Whether a [`Field::Structure`] is one of the words that protocols fix, in which nothing can be said.
#[inline]
pub fn is_word(word: &str) -> bool {
    // No such word is longer; ids and names mostly are.
    if word.len() > 48 {
        return false;
    }
    super::words::is_word(word)
}
