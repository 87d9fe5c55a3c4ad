//! What is known of one exchange, from its first byte to its last.
//!
//! Every exchange has exactly one record and every record is closed exactly once: by the last byte of the answer, by a
//! refusal, or by being dropped, which means that the client went away.

use std::{rc::Rc, sync::Arc, time::Instant};

use http::{Method, StatusCode};
use portcullis_mesh::telemetry::{Gauge, RouteMetrics};
use portcullis_policy::{authorize::Caller, snapshot::Rule};

use crate::{identifiers::RequestId, permission::Watched, refusal::Dialect, worker::Worker};

/// The record of one exchange.
pub struct Record {
    /// The worker it runs on.
    pub worker: Rc<Worker>,
    /// When its head had been read.
    pub started: Instant,
    /// Its name.
    pub id: RequestId,
    /// What its client speaks.
    pub dialect: Dialect,
    /// Its method, for the metric's label.
    pub method: Method,
    /// Who asks, once that is known.
    pub caller: Caller,
    /// Watched for as long as its answer goes on.
    pub watched: Option<Rc<Watched>>,
    in_flight: Gauge,
    route: Option<Rc<RouteMetrics>>,
    status: Option<StatusCode>,
    open: bool,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the last byte of its answer.
    Complete,
    /// The client went away.
    Cancelled,
    /// The answer broke off.
    Broken,
    /// A stage said no.
    Refused,
    /// A guardrail ended the answer.
    Blocked,
}

impl Ending {
    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Complete => "complete",
            Ending::Cancelled => "cancelled",
            Ending::Broken => "broken",
            Ending::Refused => "refused",
            Ending::Blocked => "blocked",
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("id", &self.id.as_str()).field("status", &self.status).finish_non_exhaustive()
    }
}

impl Record {
    /// Opens a record. `in_flight` counts it until it is closed.
    pub fn new(
        worker: Rc<Worker>,
        in_flight: Gauge,
        started: Instant,
        id: RequestId,
        dialect: Dialect,
        method: &Method,
    ) -> Self {
        worker.metrics.shard().shift(in_flight, 1);
        Self {
            worker,
            started,
            id,
            dialect,
            method: method.clone(),
            caller: Caller::anonymous(),
            watched: None,
            in_flight,
            route: None,
            status: None,
            open: true,
        }
    }

    /// The rule was found.
    pub fn routed(&mut self, rule: &Arc<Rule>, model: Option<&str>) {
        self.route = Some(self.worker.metrics.route(rule));
        if let Some(model) = model {
            self.worker.metrics.model(model);
        }
    }

    /// The head of the answer is known.
    pub fn answered(&mut self, status: StatusCode, now: Instant) {
        self.status = Some(status);
        self.worker.metrics.first_byte(self.route.as_deref(), now.saturating_duration_since(self.started));
    }

    /// Closes it.
    pub fn close(&mut self, ending: Ending) {
        if std::mem::take(&mut self.open) {
            let after = self.started.elapsed();
            self.worker.metrics.shard().shift(self.in_flight, -1);
            self.worker.metrics.exchange_closed(self.route.as_deref(), &self.method, self.status, ending, after);
            self.tell(ending);
        }
    }

    /// Says in the log who it was, and who said so.
    fn tell(&self, ending: Ending) {
        let Some(principal) = self.caller.principal() else { return };
        tracing::debug!(
            request_id = self.id.as_str(),
            caller = &*principal.name,
            provider = %principal.provider,
            by = principal.method.as_str(),
            status = self.status.map(|status| status.as_u16()),
            ending = ending.as_str(),
            "exchange of a known caller"
        );
    }

    /// The record itself; what stays behind is closed for good.
    #[must_use]
    pub fn hand_over(&mut self) -> Record {
        let open = std::mem::take(&mut self.open);
        Record {
            worker: self.worker.clone(),
            started: self.started,
            id: self.id.clone(),
            dialect: self.dialect,
            method: self.method.clone(),
            caller: self.caller.clone(),
            watched: self.watched.take(),
            in_flight: self.in_flight,
            route: self.route.take(),
            status: self.status,
            open,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.close(Ending::Cancelled);
    }
}
