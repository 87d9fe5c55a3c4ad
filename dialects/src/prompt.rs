//! Reading a bounded prompt: as much of a body as it takes to know which model it is for.
//!
//! Where a rule asks for the model, a body from which it cannot be read is refused. Where none does, the model is told to
//! the backend and counted if it can be read; what cannot be read (encoded, malformed, larger than the bound) streams on
//! as it is, because it is the backend's to judge. A body that names two models is refused in either case.

use std::{borrow::Cow, collections::VecDeque, future::poll_fn, pin::Pin};

use bytes::Bytes;
use http_body::{Body, Frame};
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
    let model = match name(need, line, canonical, request).await {
        // A body that failed while it was read (its connection is closed for it) cannot stream on.
        Err(refusal) if need == Need::Useful && !model::is_ambiguous(&refusal) && !refusal.close => None,
        named => named?,
    };
    model::reconcile(model.as_deref(), canonical.query(), request.claims.iter().map(http::HeaderValue::as_bytes))?;
    Ok(model)
}

async fn name(
    need: Need,
    line: &Line,
    canonical: &Canonical<'_>,
    request: &mut Request,
) -> Result<Option<String>, Refusal> {
    let named = match model::source(&line.method, canonical.path(), canonical.query(), &request.headers)? {
        ModelSource::Nowhere => None,
        ModelSource::Here(name) => Some(name.into_owned()),
        ModelSource::Json => {
            let bytes = whole(&mut request.body).await?;
            model::from_json(&bytes)?.model.map(Cow::into_owned)
        }
        ModelSource::Multipart { boundary } => {
            let boundary = boundary.into_owned();
            let bytes = whole(&mut request.body).await?;
            model::from_multipart(&bytes, &boundary)?.map(Cow::into_owned)
        }
        ModelSource::Grpc { field } => first_message(GrpcScan::new(field), need, &mut request.body).await?,
    };
    Ok(named)
}

/// The whole body; it can be read again.
async fn whole(body: &mut Incoming) -> Result<Bytes, Refusal> {
    let (bytes, again) = std::mem::take(body).whole(PROMPT_BYTES_MAX).await.map_err(|error| refuse_body(&error))?;
    *body = again;
    bytes.ok_or_else(|| Refusal::body_too_large(PROMPT_BYTES_MAX))
}

/// Reads frames until the first gRPC message has named its model; a stream goes on after it. Where the route depends on
/// the model the rest is followed as it passes, because the last of two names would be the one that counts.
async fn first_message(mut scan: GrpcScan, need: Need, body: &mut Incoming) -> Result<Option<String>, Refusal> {
    let mut frames = VecDeque::new();
    let mut rest = std::mem::take(body);
    let scanned = scan_first(&mut scan, &mut frames, &mut rest).await;
    let rest = match need {
        Need::Required if !rest.is_end_stream() => {
            rest.followed(move |chunk| scan.push(chunk).map_err(|refusal| refusal.code))
        }
        _ => rest,
    };
    *body = Incoming::Begun(frames, Box::new(rest));
    scanned
}

async fn scan_first(
    scan: &mut GrpcScan,
    frames: &mut VecDeque<Frame<Bytes>>,
    rest: &mut Incoming,
) -> Result<Option<String>, Refusal> {
    let mut length = 0;
    loop {
        if let Some(model) = scan.model() {
            return Ok(model.map(str::to_owned));
        }
        let frame = poll_fn(|cx| Pin::new(&mut *rest).poll_frame(cx)).await;
        let Some(frame) = frame.transpose().map_err(|error| refuse_body(&error))? else { return Ok(None) };
        let chunk = frame.data_ref().cloned().unwrap_or_default();
        frames.push_back(frame);
        length += chunk.len() as u64;
        if length > PROMPT_BYTES_MAX {
            return Err(Refusal::body_too_large(PROMPT_BYTES_MAX));
        }
        scan.push(&chunk)?;
    }
}

/// A request body that failed is its sender's fault.
pub fn refuse_body(error: &BodyError) -> Refusal {
    match error {
        BodyError::Stalled => Refusal::request_timeout(),
        BodyError::Ended(code) => Refusal::of_ended_body(code),
        error => Refusal::malformed("malformed_body", "the request body is malformed or was cut short")
            .detail(error.to_string())
            .closing(),
    }
}
