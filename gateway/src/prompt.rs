//! Reading a bounded prompt: as much of a body as it takes to know which model it is for.

use std::{future::poll_fn, pin::Pin};

use bytes::Bytes;
use http_body::Body;
use portcullis_mesh::http::{BodyError, Incoming};

use crate::{
    canonical::Canonical,
    model::{self, GrpcScan, ModelSource},
    receive::{Line, Request},
    refusal::Refusal,
};

/// The largest body that is read whole, in bytes. Images in prompts are text here.
pub const PROMPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much it matters to know the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nobody asks: the body streams through unread.
    None,
    /// It is told to the backend and counted, if it can be read.
    Useful,
    /// The route depends on it: what cannot be read is refused.
    Required,
}

/// Reads what must be read; the body is whole again afterwards. Gives the model's name.
pub async fn read(
    need: Need,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &mut Request,
) -> Result<Option<String>, Refusal> {
    if need == Need::None {
        return Ok(None);
    }
    let source = match model::source(&line.method, canonical.path(), canonical.query(), &request.headers) {
        Ok(source) => source,
        Err(refusal) if need == Need::Required => return Err(refusal),
        Err(_) => return Ok(None),
    };
    let model = match source {
        ModelSource::Here(name) => Some(name.into_owned()),
        ModelSource::Json => {
            let bytes = whole(request).await?;
            model::from_json(&bytes)?.model.map(std::borrow::Cow::into_owned)
        }
        ModelSource::Multipart { boundary } => {
            let boundary = boundary.into_owned();
            let bytes = whole(request).await?;
            model::from_multipart(&bytes, &boundary)?.map(std::borrow::Cow::into_owned)
        }
        ModelSource::Grpc { field } if need == Need::Required => first_message(field, request).await?,
        ModelSource::Nowhere | ModelSource::Grpc { .. } => None,
    };
    model::reconcile(model.as_deref(), canonical.query(), request.claims.iter().map(http::HeaderValue::as_bytes))?;
    Ok(model)
}

async fn whole(request: &mut Request) -> Result<Bytes, Refusal> {
    let body = std::mem::take(&mut request.body);
    let bytes = body.whole(PROMPT_BYTES_MAX).await.map_err(|error| refuse_body(&error))?;
    let bytes = bytes.ok_or_else(|| Refusal::body_too_large(PROMPT_BYTES_MAX))?;
    request.body = Incoming::Full(bytes.clone());
    Ok(bytes)
}

/// Reads frames until the first gRPC message has named its model; a stream goes on after it.
async fn first_message(field: u32, request: &mut Request) -> Result<Option<String>, Refusal> {
    let mut scan = GrpcScan::new(field);
    let mut rest = std::mem::take(&mut request.body);
    let mut frames = std::collections::VecDeque::new();
    let mut length = 0;
    let model = loop {
        if let Some(model) = scan.model() {
            break model.map(str::to_owned);
        }
        let frame = poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await;
        let Some(frame) = frame.transpose().map_err(|error| refuse_body(&error))? else { break None };
        if let Some(chunk) = frame.data_ref() {
            length += chunk.len() as u64;
            if length > PROMPT_BYTES_MAX {
                return Err(Refusal::body_too_large(PROMPT_BYTES_MAX));
            }
            scan.push(chunk)?;
        }
        frames.push_back(frame);
    };
    request.body = Incoming::Begun(frames, Box::new(rest));
    Ok(model)
}

/// A request body that failed is its sender's fault.
pub fn refuse_body(error: &BodyError) -> Refusal {
    match error {
        BodyError::Stalled => Refusal::request_timeout(),
        error => Refusal::malformed("malformed_body", "the request body is malformed or was cut short")
            .detail(error.to_string())
            .closing(),
    }
}
