//! Which models there are, to whom: a list holds only what the caller may use.
//!
//! Where the backends of a rule say which models they serve, the gateway answers by itself: every model that this caller
//! could ask for at this host, whichever rule would take it. Where they do not, the backend is asked and its answer is
//! filtered.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_RANGE, RANGE},
};
use http_body_util::{BodyExt as _, Limited};
use portcullis_mesh::http::Answer;
use portcullis_policy::{
    action::Action,
    routes::{Facts, Found, Model},
    snapshot::{Access, Dialect, Listener, Rule, Snapshot},
};
use serde_json::{Value, json};

use crate::{answer::AnswerBody, canonical::Canonical, live::Live, permission::Passage, refusal::Refusal};

/// The largest list of models that is filtered, in bytes.
pub const LISTING_BYTES_MAX: usize = 1024 * 1024;

/// Where models are asked: a model is listed if one of these would lead to it.
const ASKED_AT: [&str; 5] =
    ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages"];

/// The list, where it can be made from documents. `None`: the backend has to be asked.
pub fn answer(
    live: &Live,
    listener: &Listener,
    passage: &Passage<'_>,
    canonical: &Canonical<'_>,
    headers: &HeaderMap,
) -> Option<Response<Bytes>> {
    let is_listed = matches!(passage.rule().access, Access::Guarded(_)) && passage.action() == Action::ListModels;
    let dialect = dialect_of_declared(&live.snapshot, passage.rule()).filter(|_| is_listed)?;
    let models: BTreeSet<&str> = declared(&live.snapshot, listener).collect();
    let usable = models.into_iter().filter(|model| is_usable(live, listener, passage, canonical, headers, model));
    let body = match dialect {
        Dialect::Anthropic => anthropic(usable),
        Dialect::OpenAi => open_ai(usable),
        Dialect::KserveV2 => return None,
    };
    let mut response = Response::new(Bytes::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}

/// What the backends of a rule speak, if each of them says which models it serves.
fn dialect_of_declared(snapshot: &Snapshot, rule: &Rule) -> Option<Dialect> {
    let mut dialect = None;
    for reference in &rule.backends {
        let backend = snapshot.backends.get(reference.target.as_ref().ok()?.0 as usize)?;
        if backend.models.is_empty() {
            return None;
        }
        dialect = dialect.or(backend.dialect);
    }
    dialect
}

fn declared<'s>(snapshot: &'s Snapshot, listener: &'s Listener) -> impl Iterator<Item = &'s str> {
    let references = listener.routes.rules().iter().flat_map(|rule| &rule.backends);
    let targets = references.filter_map(|reference| reference.target.as_ref().ok());
    let backends = targets.filter_map(|id| snapshot.backends.get(id.0 as usize));
    backends.flat_map(|backend| &backend.models).map(|model| &**model)
}

/// Whether a rule of this host would take a request for the model from this caller.
fn is_usable(
    live: &Live,
    listener: &Listener,
    passage: &Passage<'_>,
    canonical: &Canonical<'_>,
    headers: &HeaderMap,
    model: &str,
) -> bool {
    ASKED_AT.into_iter().any(|path| {
        let facts = Facts {
            host: canonical.host(),
            method: &Method::POST,
            path,
            query: None,
            headers,
            model: Model::Known(Some(model)),
        };
        matches!(listener.routes.find(&facts), Found::Rule(matched) if passage.shows(live, matched.rule, model))
    })
}

fn open_ai<'m>(models: impl Iterator<Item = &'m str>) -> Value {
    let data: Vec<Value> =
        models.map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "portcullis"})).collect();
    json!({"object": "list", "data": data})
}

fn anthropic<'m>(models: impl Iterator<Item = &'m str>) -> Value {
    let one = |id: &str| json!({"type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z"});
    let data: Vec<Value> = models.map(one).collect();
    let id = |entry: Option<&Value>| entry.and_then(|entry| entry.get("id")).cloned().unwrap_or_default();
    json!({"first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data})
}

/// Whether the answer to this request has to be filtered.
pub fn is_filtered(passage: &Passage<'_>) -> bool {
    passage.action() == Action::ListModels && matches!(passage.rule().access, Access::Guarded(_))
}

/// Asks for an answer that can be read: the whole of it, as it is.
pub fn ask_readable(headers: &mut HeaderMap) {
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // Messages of gRPC have one of their own.
    headers.remove("grpc-accept-encoding");
}

/// Takes from a backend's list what the caller may not use. What is no list that can be read is refused: it might hold
/// anything.
pub async fn filter(
    answer: Answer<AnswerBody>,
    live: &Live,
    passage: &Passage<'_>,
) -> Result<Answer<AnswerBody>, Refusal> {
    let response = match answer {
        // A part of a list is one, too: it is filtered, or cannot be read.
        Answer::Response(response) if response.status().is_success() => response,
        answer => return Ok(answer),
    };
    let (mut parts, body) = response.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::upstream_protocol().detail("a list of models is encoded"));
    }
    let collected = Limited::new(body, LISTING_BYTES_MAX).collect().await;
    let bytes = collected.map_err(|error| Refusal::upstream_protocol().detail(error.to_string()))?.to_bytes();
    let unreadable = || Refusal::upstream_protocol().detail("a list of models cannot be read");
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(ETAG);
    if bytes.is_empty() {
        // As the answer to HEAD: it names nobody.
        return Ok(Answer::Response(Response::from_parts(parts, AnswerBody::Full(bytes))));
    }
    let mut list: Value = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
    retain(&mut list, |model| passage.shows(live, passage.rule(), model)).ok_or_else(unreadable)?;
    Ok(Answer::Response(Response::from_parts(parts, AnswerBody::Full(Bytes::from(list.to_string())))))
}

/// OpenAI and Anthropic list in `data`, by `id`; vLLM's and others' `models` are the same again; Triton's index is a list
/// itself, by `name`. `None`: none of these.
fn retain(list: &mut Value, is_usable: impl Fn(&str) -> bool) -> Option<()> {
    let name = |entry: &Value| {
        let name = entry.get("id").or_else(|| entry.get("name")).or_else(|| entry.get("model"))?;
        name.as_str().map(str::to_owned)
    };
    let keep = |entries: &mut Vec<Value>| entries.retain(|entry| name(entry).is_some_and(|name| is_usable(&name)));
    if let Value::Array(entries) = list {
        keep(entries);
        return Some(());
    }
    let object = list.as_object_mut()?;
    let mut found = None;
    for key in ["data", "models"] {
        if let Some(entries) = object.get_mut(key) {
            keep(entries.as_array_mut()?);
            found = Some(());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_dialect_lose_what_may_not_be_used() {
        let filtered = |mut list: Value| {
            let found = retain(&mut list, |model| model == "a");
            found.map(|()| list)
        };
        assert_eq!(
            filtered(json!({"object": "list", "data": [{"id": "a", "max_model_len": 1}, {"id": "b"}, {"x": 1}]})),
            Some(json!({"object": "list", "data": [{"id": "a", "max_model_len": 1}]}))
        );
        assert_eq!(filtered(json!([{"name": "b"}, {"name": "a"}])), Some(json!([{"name": "a"}])));
        assert_eq!(
            filtered(json!({"models": [{"name": "b"}], "data": [{"id": "a"}]})),
            Some(json!({"models": [], "data": [{"id": "a"}]}))
        );
        for other in [json!({"data": {"id": "b"}}), json!({"list": []}), json!("b"), json!(null)] {
            assert_eq!(filtered(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn the_whole_of_a_list_is_asked_for() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-"));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"a\""));
        ask_readable(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers.get(ACCEPT_ENCODING), Some(&HeaderValue::from_static("identity")));
    }

    #[test]
    fn lists_of_our_own_have_the_dialects_shape() {
        let list = open_ai(["a"].into_iter());
        assert_eq!(list.pointer("/data/0/id"), Some(&json!("a")));
        let list = anthropic(["a", "b"].into_iter());
        assert_eq!((list.get("first_id"), list.get("last_id")), (Some(&json!("a")), Some(&json!("b"))));
        assert_eq!(anthropic(std::iter::empty()).get("first_id"), Some(&Value::Null));
    }
}
