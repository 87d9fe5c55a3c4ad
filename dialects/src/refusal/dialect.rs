//! Which API a client speaks, as far as the shape of its errors goes.

/// How a client expects to hear of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI: `{"error":{"message","type","param","code"}}`.
    OpenAi,
    /// OpenAI's Responses API: the same answers, but its streams have typed events.
    OpenAiResponses,
    /// Anthropic: `{"type":"error","error":{"type","message"},"request_id"}`.
    Anthropic,
    /// KServe v2 over HTTP (Triton's extensions included): `{"error"}`.
    KserveHttp,
    /// gRPC: a status in trailers.
    Grpc,
    /// Anything else: RFC 9457.
    Plain,
}

impl Dialect {
    /// The dialect of a request for `path` (canonical) with this `Content-Type`.
    pub fn detect(path: &str, content_type: Option<&[u8]>) -> Self {
        if content_type.is_some_and(crate::grpc::is_grpc) {
            return Self::Grpc;
        }
        match path.as_bytes() {
            [b'/', b'v', b'1', rest @ ..] => match rest {
                b"/messages" => Self::Anthropic,
                b"/responses" => Self::OpenAiResponses,
                _ if rest.starts_with(b"/messages/") => Self::Anthropic,
                _ if rest.starts_with(b"/responses/") => Self::OpenAiResponses,
                [] | [b'/', ..] => Self::OpenAi,
                _ => Self::Plain,
            },
            [b'/', b'v', b'2'] | [b'/', b'v', b'2', b'/', ..] => Self::KserveHttp,
            _ => Self::Plain,
        }
    }

    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::KserveHttp => "kserve",
            Self::Grpc => "grpc",
            Self::Plain => "plain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;

    #[test]
    fn path_and_content_type_decide() {
        let check = |path, content_type: &str, expected| {
            let content_type = (!content_type.is_empty()).then_some(content_type.as_bytes());
            assert_eq!(Dialect::detect(path, content_type), expected, "{path}");
        };
        check("/v1/chat/completions", "application/json", Dialect::OpenAi);
        check("/v1/responses", "application/json", Dialect::OpenAiResponses);
        check("/v1/responses/resp_1/cancel", "", Dialect::OpenAiResponses);
        check("/v1/responsesx", "", Dialect::OpenAi);
        check("/v1/messages", "application/json", Dialect::Anthropic);
        check("/v1/messages/count_tokens", "", Dialect::Anthropic);
        check("/v1/messagesx", "", Dialect::OpenAi);
        check("/v1", "", Dialect::OpenAi);
        check("/v10/models", "", Dialect::Plain);
        check("/v2/models/simple/infer", "", Dialect::KserveHttp);
        check("/v2", "", Dialect::KserveHttp);
        check("/v2example", "", Dialect::Plain);
        check("/", "", Dialect::Plain);
        check("/inference.GRPCInferenceService/ModelInfer", "application/grpc+proto", Dialect::Grpc);
        check("/v1/chat/completions", "application/grpc", Dialect::Grpc);
        check("/v1/chat/completions", "application/grpc-web", Dialect::OpenAi);
    }
}
