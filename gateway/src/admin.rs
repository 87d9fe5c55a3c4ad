//! The admin address: is it alive, is it ready, what does it count, what is in force, who is behind it.
//!
//! It is served by [`portcullis_mesh::pages`], which bounds it, and knows nothing of the data plane but a few closures
//! ([`AdminPages`]).

mod pages;

use std::sync::Arc;

use http::{StatusCode, header::ACCEPT, request::Parts};
use portcullis_mesh::{
    endpoints::BackendStatus,
    pages::{PageAnswer, Pages, Pending, json, page},
    telemetry::Format,
};

pub use self::pages::{ShadowPage, SnapshotPage};

/// What the pages show. Each is asked whenever its page is.
#[derive(Clone)]
pub struct AdminPages {
    /// Whether the gateway serves. It is asked of a data worker, so that the answer has been where requests go.
    pub readiness: Arc<dyn Fn() -> Pending<Readiness> + Send + Sync>,
    /// Every metric.
    pub metrics: Arc<dyn Fn(Format) -> String + Send + Sync>,
    /// The revision in force, and how each document fared.
    pub snapshot: Arc<dyn Fn() -> SnapshotPage + Send + Sync>,
    /// The keys that backends verify JWTs of ours with (RFC 7517).
    pub key_set: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Every backend's endpoints.
    pub endpoints: Arc<dyn Fn() -> Vec<BackendStatus> + Send + Sync>,
}

/// Whether the gateway serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Yes, by the documents as they are.
    Ready,
    /// Yes, by an earlier revision; the documents as they are were refused for this reason.
    Stale(String),
    /// No, for this reason.
    NotReady(String),
}

impl AdminPages {
    /// As pages are served.
    pub fn into_pages(self) -> Pages {
        Arc::new(move |request| {
            let pages = self.clone();
            Box::pin(async move { pages.answer(&request).await })
        })
    }

    async fn answer(&self, request: &Parts) -> Option<PageAnswer> {
        Some(match request.uri.path() {
            "/" => page(StatusCode::OK, "text/plain; charset=utf-8", pages::INDEX),
            "/livez" => json(StatusCode::OK, r#"{"live":true}"#.to_owned()),
            "/readyz" => {
                let readiness = (self.readiness)().await;
                let status = match readiness {
                    Readiness::Ready | Readiness::Stale(_) => StatusCode::OK,
                    Readiness::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
                json(status, pages::readiness(&readiness))
            }
            "/metrics" => {
                let format = Format::accepted(request.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
                page(StatusCode::OK, format.content_type(), (self.metrics)(format))
            }
            "/jwks" => page(StatusCode::OK, "application/jwk-set+json", (self.key_set)().to_string()),
            "/snapshot" => json(StatusCode::OK, pages::snapshot(&(self.snapshot)())),
            "/endpoints" => json(StatusCode::OK, pages::endpoints(&(self.endpoints)())),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
