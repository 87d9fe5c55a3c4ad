//! Which API is spoken: by the path that the backend sees, since it is the backend that reads what is said.

use portcullis_policy::guard::lanes::shape::Api;

/// The API of a path. One that no table knows is [`Api::Other`]: every string of its documents is looked at, as something
/// of which nobody knows what it is. Some backends take a path in any case.
pub(crate) fn of_path(path: &str) -> Api {
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let is_under =
        |folder: &str| path.split(folder).nth(1).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "completions" if path.ends_with("/chat/completions") => Api::Chat,
        "completions" => Api::Completions,
        "embeddings" | "moderations" | "rerank" | "score" | "classify" | "pooling" => Api::Lists,
        "infer" => Api::Infer,
        "generate" | "generate_stream" | "tokenize" | "detokenize" => Api::Generate,
        _ if is_under("/responses") => Api::Responses,
        _ if is_under("/messages") => Api::Messages,
        _ => Api::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_which_api_it_is() {
        for (path, api) in [
            ("/v1/chat/completions", Api::Chat),
            ("/openai/v1/chat/completions/", Api::Chat),
            ("/v1/completions", Api::Completions),
            ("/v1/Completions", Api::Completions),
            ("/v1/embeddings", Api::Lists),
            ("/rerank", Api::Lists),
            ("/v1/responses", Api::Responses),
            ("/v1/responses/resp_1", Api::Responses),
            ("/v1/messages", Api::Messages),
            ("/v1/messages/count_tokens", Api::Messages),
            ("/v2/models/m/infer", Api::Infer),
            ("/v2/models/m/versions/1/infer", Api::Infer),
            ("/v2/models/m/generate_stream", Api::Generate),
            ("/v1/models", Api::Other),
            ("/v1/messagesx", Api::Other),
            ("/", Api::Other),
        ] {
            assert_eq!(of_path(path), api, "{path}");
        }
    }
}
