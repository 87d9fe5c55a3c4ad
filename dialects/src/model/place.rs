//! The model in a path (KServe v2, OpenAI's model objects), in a query, and which gRPC methods name one.

use std::borrow::Cow;

use http::Method;
use smallvec::SmallVec;

use super::{ModelSource, check_name};
use crate::refusal::Refusal;

/// KServe v2's gRPC service.
const GRPC_SERVICE: &str = "/inference.GRPCInferenceService/";

/// Where path and query say that the model is; `None`: they do not say, look at the body.
pub(super) fn find<'r>(
    method: &Method,
    path: &'r str,
    query: Option<&'r str>,
) -> Result<Option<ModelSource<'r>>, Refusal> {
    if path == "/v2" || path.starts_with("/v2/") {
        return Ok(Some(named(kserve(path))?));
    }
    if let Some(method) = path.strip_prefix(GRPC_SERVICE) {
        return Ok(Some(grpc_field(method).map_or(ModelSource::Nowhere, |field| ModelSource::Grpc { field })));
    }
    if path == "/v1/realtime" {
        let mut models = query.into_iter().flat_map(models_in_query);
        let model = models.next().map(check_name).transpose()?;
        return Ok(Some(model.map_or(ModelSource::Nowhere, ModelSource::Here)));
    }
    if let Some(model) = path.strip_prefix("/v1/models/")
        && [Method::GET, Method::HEAD, Method::DELETE].contains(method)
    {
        // Names have slashes (`meta-llama/Llama-3.1-8B`), so it is all of the rest.
        return Ok(Some(named(Some(model).filter(|model| !model.is_empty()))?));
    }
    Ok(None)
}

fn named(model: Option<&str>) -> Result<ModelSource<'_>, Refusal> {
    let Some(model) = model else { return Ok(ModelSource::Nowhere) };
    decode(model, false).ok_or_else(super::invalid_name).and_then(check_name).map(ModelSource::Here)
}

/// `/v2/models/{model}[/versions/{version}][/…]`, and Triton's `/v2/repository[/{repository}]/models/{model}/…`.
fn kserve(path: &str) -> Option<&str> {
    // Before the form without a repository: Triton takes the longest one, too, where a repository is called `models`.
    if let Some(rest) = path.strip_prefix("/v2/repository/")
        && let [_, "models", model, "load" | "unload"] = *rest.split('/').collect::<SmallVec<[&str; 8]>>()
    {
        return Some(model).filter(|model| !model.is_empty());
    }
    let rest = path.strip_prefix("/v2/models/").or_else(|| path.strip_prefix("/v2/repository/models/"))?;
    // Triton: the statistics of all models.
    if path == "/v2/models/stats" {
        return None;
    }
    rest.split('/').next().filter(|model| !model.is_empty())
}

/// The field of a method's request that names the model (`grpc_service.proto`; the repository's name comes first in
/// the last two).
fn grpc_field(method: &str) -> Option<u32> {
    match method {
        "ModelInfer" | "ModelStreamInfer" | "ModelReady" | "ModelMetadata" | "ModelConfig" | "ModelStatistics" => {
            Some(1)
        }
        "RepositoryModelLoad" | "RepositoryModelUnload" | "TraceSetting" => Some(2),
        _ => None,
    }
}

/// The values of `model` in a query, decoded. One that cannot be decoded is no name, so it equals none.
pub(super) fn models_in_query(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true)? == "model").then(|| decode(value, true).unwrap_or(Cow::Borrowed("\u{fffd}")))
    })
}

/// Undoes percent-encoding, and `+` for a space in queries; `None` if that is not UTF-8.
fn decode(text: &str, is_query: bool) -> Option<Cow<'_, str>> {
    let is_encoded = |byte: u8| byte == b'%' || (is_query && byte == b'+');
    if !text.bytes().any(is_encoded) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high << 4 | low).ok()?
            }
            b'+' if is_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
