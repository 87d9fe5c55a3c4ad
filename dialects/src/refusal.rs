//! The one way in which a stage says no, and how each kind of client hears it.
//!
//! Stages return a [`Refusal`]; they never write answers. The exchange renders it once, in the [`Dialect`] of the
//! client: [`render()`] before the head of the answer has been sent, [`stream_error_event`] or [`grpc_trailers`] after it.
//! Texts for callers never contain a backend's address, a file name or anything a stranger sent that was not checked.

mod catalogue;
mod dialect;
mod render;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode};

use crate::grpc::Status;

pub use self::{
    dialect::Dialect,
    render::{grpc_trailers, render, stream_error_event},
};

/// A stage said no.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a refusal that nobody answers leaves the client hanging"]
pub struct Refusal {
    /// The status of the answer, where the dialect has one.
    pub status: StatusCode,
    /// A word for programs: `route_not_found`. Part of the interface; also a metric label, hence from a fixed list.
    pub code: &'static str,
    /// Whose fault it is.
    pub whose: Fault,
    /// A sentence for the caller.
    pub message: Cow<'static, str>,
    /// What the log says beyond that; empty when nothing.
    pub detail: Cow<'static, str>,
    /// After which time the caller may try again (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// Whether the connection must not be used any more: its framing is in doubt.
    pub close: bool,
    /// The gRPC status, where a stage knows better than the mapping of HTTP statuses.
    pub grpc: Option<Status>,
    /// Further headers of the answer: `www-authenticate`, `allow`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Whose fault a refusal is: who must act, and which error budget pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client's.
    Caller,
    /// Ours, or our documents'.
    Gateway,
    /// A backend's.
    Upstream,
}

impl Fault {
    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

impl Refusal {
    /// A refusal without anything beyond its message.
    pub fn new(whose: Fault, status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            whose,
            message: message.into(),
            detail: Cow::Borrowed(""),
            retry_after: None,
            close: false,
            grpc: None,
            headers: Vec::new(),
        }
    }

    /// The request is malformed: 400.
    pub fn malformed(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Caller, StatusCode::BAD_REQUEST, code, message).grpc(Status::InvalidArgument)
    }

    /// Adds what only the log may say.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds `Retry-After`.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The connection must be closed after the answer.
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Says the gRPC status.
    pub fn grpc(mut self, status: Status) -> Self {
        self.grpc = Some(status);
        self
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The gRPC status a gRPC client is given.
    pub fn grpc_status(&self) -> Status {
        self.grpc.unwrap_or_else(|| Status::from_http(self.status))
    }
}
