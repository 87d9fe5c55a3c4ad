//! Calls of gRPC and what the suite expects of them.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Request};
use prost::Message as _;

use super::{
    CONSECUTIVE, INFRA,
    echo::{Assertions, EchoResponse, SERVICE},
};
use crate::harness::{H2Answer, H2Client};

/// The codes that the suite speaks of.
const OK: u32 = 0;
const UNIMPLEMENTED: u32 = 12;

/// An empty message behind its length.
const EMPTY: Bytes = Bytes::from_static(&[0; 5]);

/// A call with its expectations.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: &'static str,
    authority: Option<&'static str>,
    metadata: Vec<(String, String)>,
    backend: &'static str,
    code: u32,
    arrives_with: Vec<(String, String)>,
    arrives_without: Vec<String>,
}

/// A call of one of the service's methods: `Echo`, `EchoTwo` or `EchoThree`. It must succeed.
pub(super) fn call(method: &'static str) -> Call {
    Call {
        method,
        authority: None,
        metadata: Vec::new(),
        backend: "",
        code: OK,
        arrives_with: Vec::new(),
        arrives_without: Vec::new(),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())).collect()
}

impl Call {
    pub(super) fn authority(mut self, authority: &'static str) -> Self {
        self.authority = Some(authority);
        self
    }

    pub(super) fn with(mut self, metadata: &[(&str, &str)]) -> Self {
        self.metadata.extend(pairs(metadata));
        self
    }

    /// A pod of this Deployment gets the call.
    pub(super) fn reaches(mut self, backend: &'static str) -> Self {
        self.backend = backend;
        self
    }

    /// Nobody takes the call.
    pub(super) fn finds_nobody(mut self) -> Self {
        self.code = UNIMPLEMENTED;
        self
    }

    /// Metadata that reach the backend; the values of one name are joined by commas.
    pub(super) fn arrives_with(mut self, metadata: &[(&str, &str)]) -> Self {
        self.arrives_with.extend(pairs(metadata));
        self
    }

    pub(super) fn arrives_without(mut self, metadata: &[&str]) -> Self {
        self.arrives_without.extend(metadata.iter().map(|name| name.to_lowercase()));
        self
    }

    /// Makes the call several times and demands that it ends as expected.
    pub(super) async fn expect(self, door: SocketAddr) {
        for (code, echo) in join_all((0..CONSECUTIVE).map(|_| self.send(door))).await {
            assert_eq!(code, self.code, "{self:?}");
            if code == OK {
                self.check(&echo);
            }
        }
    }

    /// Makes the call several times and demands that it fails.
    pub(super) async fn expect_failure(self, door: SocketAddr) {
        for _ in 0..CONSECUTIVE {
            let (code, _) = self.send(door).await;
            assert_ne!(code, OK, "{self:?}");
        }
    }

    /// Makes the call on a connection of its own: its code, and the echo.
    pub(super) async fn send(&self, door: SocketAddr) -> (u32, Assertions) {
        let authority = self.authority.map_or_else(|| door.ip().to_string(), str::to_owned);
        let mut request = Request::post(format!("http://{authority}/{SERVICE}/{}", self.method))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in &self.metadata {
            request = request.header(name, value);
        }
        let client = H2Client::connect(door).await;
        let answer = client.send(request.body(EMPTY).unwrap()).await.unwrap();
        let message = answer.body.get(EMPTY.len()..).unwrap_or_default();
        let echo = EchoResponse::decode(message).unwrap_or_default();
        (code(&answer), echo.assertions.unwrap_or_default())
    }

    fn check(&self, echo: &Assertions) {
        assert_eq!(echo.fully_qualified_method, format!("/{SERVICE}/{}", self.method));
        assert_eq!(namespace(echo), INFRA, "{self:?}");
        assert!(pod(echo).starts_with(self.backend), "{self:?} went to {echo:?}");
        let arrived = |name: &str| {
            let named = echo.headers.iter().filter(|header| header.key == name);
            let values: Vec<_> = named.map(|header| header.value.as_str()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        for (name, value) in &self.arrives_with {
            assert_eq!(arrived(name).as_deref(), Some(value.as_str()), "{name} of {self:?}: {echo:?}");
        }
        for name in &self.arrives_without {
            assert_eq!(arrived(name), None, "{name} of {self:?}: {echo:?}");
        }
    }
}

/// The pod that took a call.
pub(super) fn pod(echo: &Assertions) -> &str {
    echo.context.as_ref().map_or("", |context| &context.pod)
}

fn namespace(echo: &Assertions) -> &str {
    echo.context.as_ref().map_or("", |context| &context.namespace)
}

/// The code of a call: what the trailers say, or what clients make of a status that is not gRPC's.
/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn code(answer: &H2Answer) -> u32 {
    let read = |fields: &HeaderMap| fields.get("grpc-status").and_then(|value| value.to_str().ok()?.parse().ok());
    let said = answer.trailers.as_ref().and_then(read).or_else(|| read(&answer.head.headers));
    said.unwrap_or(match answer.status() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    })
}
