//! From the sidecar to its server: one place, on loopback, in the clear.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use http::header::{CONTENT_TYPE, HOST};
use http_body::Body as _;
use portcullis_dialects::{
    canonical::Canonical,
    grpc,
    hygiene::clean_answer,
    prompt::refuse_body,
    receive::{Line, Request},
    refusal::Refusal,
};
use portcullis_mesh::{
    connections::{Answered, Attempt, AttemptError, Target, UpstreamBody, Version},
    http::{
        Answer, Interim,
        h1_client::{Clocks, SendError},
    },
};
use portcullis_policy::authorize::WorkloadPermit;

use crate::{
    answer::{self, AnswerBody},
    connection::Connection,
    permission::Asked,
    record::Record,
};

/// The largest body that is held so that it can be sent again on a fresh connection, in bytes.
pub const REPLAY_BYTES_MAX: u64 = 64 * 1024;
/// How long the server may take to accept a connection. It is on the same machine.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the server may take until its answer begins: whoever asks has a clock of its own, and a shorter one.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_hours(1);
/// An answer whose length is known and at most this many bytes is not watched.
pub const UNWATCHED_BYTES_MAX: u64 = 64 * 1024;
/// The longest silence inside an answer.
pub const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// Sends a permitted request to the server and answers with what comes back.
pub async fn forward(
    connection: &Connection,
    _: &WorkloadPermit,
    asked: Asked,
    line: &Line,
    canonical: &Canonical<'_>,
    request: Request,
    record: &mut Record,
) -> Result<Answer<AnswerBody>, Refusal> {
    let Request { mut headers, body, interim, .. } = request;
    let is_grpc = headers.get(CONTENT_TYPE).is_some_and(|value| grpc::is_grpc(value.as_bytes()));
    headers.insert(HOST, line.host_field(canonical));
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = line.method.clone();
    head.uri = line.target(canonical, Cow::Borrowed(canonical.path()))?;
    head.headers = headers;
    let mut body = body.gathered(REPLAY_BYTES_MAX).await.map_err(|error| refuse_body(&error))?;
    let interim = Interim::Cleansed(Box::new(interim), clean_answer);
    let home = connection.worker.connections.home(&Target { address: connection.server, tls: None });
    let replay = body.replay();
    let mut attempt = Attempt {
        version: if is_grpc { Version::Http2 } else { Version::Http1 },
        upgrade: false,
        fresh: false,
        at: Instant::now(),
        once: replay.is_none(),
        connect: CONNECT_TIMEOUT,
        clocks: Clocks { first_byte: FIRST_BYTE_TIMEOUT, idle: IDLE_TIMEOUT },
    };
    record.sent(Instant::now());
    let mut sent = home.send(&head, &mut body, attempt, &interim, |_| {}).await;
    if let (Err(AttemptError::Stale), Some(mut again)) = (&sent, replay) {
        attempt.fresh = true;
        attempt.at = Instant::now();
        sent = home.send(&head, &mut again, attempt, &interim, |_| {}).await;
    }
    match sent {
        Ok(Answered::Response(response)) => {
            let watched = goes_on(response.body()).then(|| connection.worker.open.answer(asked));
            Ok(answer::flow(response, watched, record, Instant::now()))
        }
        Ok(Answered::Upgraded(..)) => Err(Refusal::upstream_protocol()),
        Err(error) => Err(refuse(&error)),
    }
}

/// Whether an answer may outlive the permission it was given with.
fn goes_on(body: &UpstreamBody) -> bool {
    !body.is_end_stream() && body.size_hint().exact().is_none_or(|length| length > UNWATCHED_BYTES_MAX)
}

fn refuse(error: &AttemptError) -> Refusal {
    let refusal = match error {
        AttemptError::Dial(_) => Refusal::upstream_unreachable(),
        AttemptError::Send(SendError::RequestBody(error)) => return refuse_body(error),
        AttemptError::Send(SendError::TimedOut) => Refusal::upstream_timeout(),
        AttemptError::Send(SendError::Malformed(_) | SendError::UnexpectedUpgrade) => Refusal::upstream_protocol(),
        AttemptError::Stale
        | AttemptError::Send(
            SendError::ResetBeforeAnswer | SendError::Stream(_) | SendError::Refused | SendError::ResetInsideHead,
        ) => Refusal::upstream_reset(),
    };
    refusal.detail(error.to_string())
}
