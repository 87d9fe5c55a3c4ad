//! The keys that tables know. Finding one costs a hash of four bytes and one comparison.

/// How many there may be.
pub(super) const KNOWN_MAX: usize = 256;

/// Slots of the table; a power of two.
const SLOTS: usize = 1024;

macro_rules! known {
    ($($variant:ident $name:literal,)*) => {
        /// One step of a path, as tables match it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Known {
            /// An element of an array, by its place.
            At(u32),
            /// A key that no table knows.
            Other,
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        /// The keys, with their names.
        const NAMES: &[(&str, Known)] = &[$(($name, Known::$variant),)*];
    };
}

known! {
    Action "action",
    AllowedTools "allowed_tools",
    Annotation "annotation",
    Annotations "annotations",
    Arguments "arguments",
    Audio "audio",
    AudioUrl "audio_url",
    Authorization "authorization",
    B64Json "b64_json",
    BadWords "bad_words",
    Bytes "bytes",
    CacheControl "cache_control",
    CallId "call_id",
    ChatTemplate "chat_template",
    ChatTemplateKwargs "chat_template_kwargs",
    Choices "choices",
    Citations "citations",
    CitedText "cited_text",
    Code "code",
    CodeInterpreter "code_interpreter",
    ContainerId "container_id",
    Content "content",
    ContentBlock "content_block",
    ContentIndex "content_index",
    Context "context",
    Created "created",
    CreatedAt "created_at",
    Custom "custom",
    Data "data",
    Datatype "datatype",
    Delta "delta",
    Description "description",
    Detail "detail",
    Details "details",
    Document "document",
    DocumentTitle "document_title",
    Documents "documents",
    Echo "echo",
    Effort "effort",
    Embedding "embedding",
    Embeddings "embeddings",
    EncodingFormat "encoding_format",
    EncryptedContent "encrypted_content",
    EndIndex "end_index",
    Error "error",
    ExpiresAt "expires_at",
    File "file",
    FileCitation "file_citation",
    FileData "file_data",
    FileId "file_id",
    FileUrl "file_url",
    Filename "filename",
    FinishReason "finish_reason",
    Format "format",
    Function "function",
    FunctionCall "function_call",
    Functions "functions",
    GeneratedText "generated_text",
    GuidedChoice "guided_choice",
    GuidedGrammar "guided_grammar",
    GuidedJson "guided_json",
    GuidedRegex "guided_regex",
    Id "id",
    ImageEmbeds "image_embeds",
    ImageUrl "image_url",
    Include "include",
    IncompleteDetails "incomplete_details",
    Index "index",
    Input "input",
    InputAudio "input_audio",
    InputIds "input_ids",
    InputSchema "input_schema",
    Inputs "inputs",
    Instructions "instructions",
    IsError "is_error",
    Item "item",
    ItemId "item_id",
    JsonSchema "json_schema",
    Label "label",
    Logprob "logprob",
    Logprobs "logprobs",
    Logs "logs",
    MatchedStop "matched_stop",
    MaxTokens "max_tokens",
    MediaType "media_type",
    Message "message",
    Messages "messages",
    Metadata "metadata",
    Modalities "modalities",
    Mode "mode",
    Model "model",
    ModelName "model_name",
    ModelVersion "model_version",
    Msg "msg",
    N "n",
    Name "name",
    NativeFinishReason "native_finish_reason",
    Obfuscation "obfuscation",
    Object "object",
    Offset "offset",
    Output "output",
    OutputIds "output_ids",
    OutputIndex "output_index",
    Outputs "outputs",
    Param "param",
    Parameters "parameters",
    Part "part",
    PartialJson "partial_json",
    Prediction "prediction",
    PreviousResponseId "previous_response_id",
    Prompt "prompt",
    PromptCacheKey "prompt_cache_key",
    PromptEmbeds "prompt_embeds",
    PromptLogprobs "prompt_logprobs",
    PromptTokenIds "prompt_token_ids",
    Queries "queries",
    Query "query",
    Quote "quote",
    Reason "reason",
    Reasoning "reasoning",
    ReasoningContent "reasoning_content",
    ReasoningDetails "reasoning_details",
    ReasoningEffort "reasoning_effort",
    ReasoningText "reasoning_text",
    Refusal "refusal",
    RelevanceScore "relevance_score",
    RequestId "request_id",
    Response "response",
    ResponseFormat "response_format",
    ResponseId "response_id",
    Result "result",
    Results "results",
    RevisedPrompt "revised_prompt",
    Role "role",
    SafetyIdentifier "safety_identifier",
    SamplingParams "sampling_params",
    Schema "schema",
    Seed "seed",
    SequenceNumber "sequence_number",
    ServerUrl "server_url",
    ServiceTier "service_tier",
    Shape "shape",
    Signature "signature",
    Source "source",
    StartIndex "start_index",
    Status "status",
    Stop "stop",
    StopReason "stop_reason",
    StopSequence "stop_sequence",
    StopSequences "stop_sequences",
    StopWords "stop_words",
    Stream "stream",
    Strict "strict",
    StructuredOutputs "structured_outputs",
    Suffix "suffix",
    Summary "summary",
    SummaryIndex "summary_index",
    System "system",
    SystemFingerprint "system_fingerprint",
    Temperature "temperature",
    Text "text",
    Text1 "text_1",
    Text2 "text_2",
    TextInput "text_input",
    TextOffset "text_offset",
    TextOutput "text_output",
    Texts "texts",
    Thinking "thinking",
    Title "title",
    Token "token",
    TokenIds "token_ids",
    TokenLogprobs "token_logprobs",
    TokenStrs "token_strs",
    Tokens "tokens",
    ToolCallId "tool_call_id",
    ToolCalls "tool_calls",
    ToolChoice "tool_choice",
    ToolUseId "tool_use_id",
    Tools "tools",
    TopK "top_k",
    TopLogprobs "top_logprobs",
    TopP "top_p",
    Transcript "transcript",
    Truncation "truncation",
    Type "type",
    Url "url",
    UrlCitation "url_citation",
    Usage "usage",
    User "user",
    Verbosity "verbosity",
    VideoUrl "video_url",
    Voice "voice",
}

impl Known {
    /// Whether tables know a key of this name, so that nothing is said with it.
    pub fn knows(name: &str) -> bool {
        Self::of(name).1.is_some()
    }

    /// The key of this name, with its place among all.
    #[inline]
    pub(super) fn of(name: &str) -> (Self, Option<u8>) {
        let bytes = name.as_bytes();
        let mut slot = slot(bytes);
        while let Some(entry @ 1..) = TABLE.get(slot).copied() {
            let place = entry - 1;
            if let Some((_, known)) = NAMES.get(usize::from(place)).filter(|(known, _)| known.as_bytes() == bytes) {
                return (*known, Some(place));
            }
            slot = (slot + 1) % SLOTS;
        }
        (Self::Other, None)
    }
}

/// Which slot holds what of [`NAMES`], counted from one; a taken slot pushes on to the next.
static TABLE: [u8; SLOTS] = table();

#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
const fn table() -> [u8; SLOTS] {
    assert!(NAMES.len() < KNOWN_MAX);
    let mut table = [0; SLOTS];
    let mut place = 0;
    while place < NAMES.len() {
        let mut slot = slot(NAMES[place].0.as_bytes());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = place as u8 + 1;
        place += 1;
    }
    table
}

#[inline]
const fn slot(name: &[u8]) -> usize {
    let (first, second, last) = match name {
        [first, second, .., last] => (*first, *second, *last),
        [first, last] => (*first, 0, *last),
        [only] => (*only, 0, 0),
        [] => (0, 0, 0),
    };
    let mixed = (first as usize).wrapping_mul(0x9e5) ^ (second as usize).wrapping_mul(0x1_31d);
    (mixed ^ (last as usize).wrapping_mul(0x2f) ^ name.len().wrapping_mul(0x115)) % SLOTS
}
