//! gRPC: the suite's `GrpcEcho`, whose third method nobody wrote.

use std::{convert::Infallible, io, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use prost::Message;
use serde_json::Value;

use super::Echo;

/// The service's full name.
pub(in crate::conformance) const SERVICE: &str = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho";

/// The status of a call that worked, and of one to a method that does not exist.
const OK: &str = "0";
const UNIMPLEMENTED: &str = "12";

#[derive(Clone, PartialEq, Message)]
pub(in crate::conformance) struct Header {
    #[prost(string, tag = "1")]
    pub(in crate::conformance) key: String,
    #[prost(string, tag = "2")]
    pub(in crate::conformance) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::conformance) struct Context {
    #[prost(string, tag = "1")]
    pub(in crate::conformance) namespace: String,
    #[prost(string, tag = "2")]
    pub(in crate::conformance) ingress: String,
    #[prost(string, tag = "3")]
    pub(in crate::conformance) service_name: String,
    #[prost(string, tag = "4")]
    pub(in crate::conformance) pod: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::conformance) struct TlsAssertions {
    #[prost(string, tag = "1")]
    pub(in crate::conformance) version: String,
    #[prost(string, tag = "2")]
    pub(in crate::conformance) negotiated_protocol: String,
    #[prost(string, tag = "3")]
    pub(in crate::conformance) server_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::conformance) struct Assertions {
    #[prost(string, tag = "1")]
    pub(in crate::conformance) fully_qualified_method: String,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::conformance) headers: Vec<Header>,
    #[prost(string, tag = "3")]
    pub(in crate::conformance) authority: String,
    #[prost(message, optional, tag = "4")]
    pub(in crate::conformance) context: Option<Context>,
    #[prost(message, optional, tag = "5")]
    pub(in crate::conformance) tls: Option<TlsAssertions>,
}

/// The answer to every method; requests are empty.
#[derive(Clone, PartialEq, Message)]
pub(in crate::conformance) struct EchoResponse {
    #[prost(message, optional, tag = "1")]
    pub(in crate::conformance) assertions: Option<Assertions>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

pub(super) async fn echo(echo: Arc<Echo>, tls: Value, request: Request<Incoming>) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    body.collect().await.map_err(io::Error::other)?;
    let method = head.uri.path();
    let known = ["Echo", "EchoTwo"].iter().any(|name| method == format!("/{SERVICE}/{name}"));
    if !known {
        return Ok(answer(None, UNIMPLEMENTED));
    }
    let header = |(name, value): (&http::HeaderName, &HeaderValue)| Header {
        key: name.as_str().to_owned(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    let text = |field: &str| tls[field].as_str().unwrap_or_default().to_owned();
    let response = EchoResponse {
        assertions: Some(Assertions {
            fully_qualified_method: method.to_owned(),
            headers: head.headers.iter().map(header).collect(),
            authority: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
            context: Some(Context { namespace: echo.namespace.clone(), pod: echo.pod.clone(), ..Context::default() }),
            tls: (!tls.is_null()).then(|| TlsAssertions {
                version: text("version"),
                negotiated_protocol: text("negotiatedProtocol"),
                server_name: text("serverName"),
            }),
        }),
    };
    Ok(answer(Some(&response), OK))
}

/// A message behind its length, and a status behind that.
fn answer(response: Option<&EchoResponse>, status: &'static str) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let message = response.map(|response| Frame::data(framed(&response.encode_to_vec())));
    let frames = message.into_iter().chain([Frame::trailers(trailers)]).map(Ok::<_, Infallible>);
    let mut answer = Response::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())).boxed());
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}

/// A message as gRPC sends it: a byte that says it is not compressed, its length, itself.
fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}
