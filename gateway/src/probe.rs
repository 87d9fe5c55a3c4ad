//! One active health check: `GET` a path of an endpoint; 2xx is healthy.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use portcullis_mesh::connections::{Target, Version, connect_tcp};

/// Whether the endpoint is well. Whoever asks watches the time.
pub async fn probe(target: &Target, path: &str) -> bool {
    try_probe(target, path).await.unwrap_or(false)
}

async fn try_probe(target: &Target, path: &str) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let stream = connect_tcp(target.address).await?;
    let host = target.address.to_string();
    let request = http::Request::get(path).header(http::header::HOST, host).body(Empty::<Bytes>::new())?;
    let Some(tls) = &target.tls else { return ask(TokioIo::new(stream), request).await };
    // Whatever the data plane speaks, a check speaks HTTP/1.1.
    ask(TokioIo::new(tls.connect(stream, Some(Version::Http1)).await?), request).await
}

async fn ask<S>(
    stream: S,
    request: http::Request<Empty<Bytes>>,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let answer = pin!(async move { sender.send_request(request).await });
    // A server may close behind its answer, so the end of the connection is not the end of the question.
    let answer = match select(answer, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, answer)) => answer.await,
    };
    Ok(answer?.status().is_success())
}
