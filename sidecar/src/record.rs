//! What is known of one exchange, from its first byte to its last.

use std::{fmt, rc::Rc, time::Instant};

use http::StatusCode;
use portcullis_dialects::{identifiers::RequestId, refusal::Dialect};
use portcullis_mesh::load::{Flight, Format, Outcome, Priority};
use portcullis_policy::{action::Action, authorize::WorkloadPermit};

use crate::worker::Worker;

/// What requests are measured under that name no model.
const UNNAMED: &str = "";

/// The record of one exchange. Closed exactly once: by the last byte of the answer, by a refusal, or by being dropped,
/// which means that the peer went away.
pub struct Record {
    /// The worker it runs on.
    pub worker: Rc<Worker>,
    /// When its head had been read.
    pub started: Instant,
    /// Its name.
    pub id: RequestId,
    /// What its peer speaks.
    pub dialect: Dialect,
    /// How the peer wants to be told how the server is, in the head of the answer.
    pub report: Option<Format>,
    action: Option<Action>,
    model: Option<Box<str>>,
    status: Option<StatusCode>,
    answered: Option<Instant>,
    /// Its clocks, where it asks for an answer of a model.
    flight: Option<Flight>,
    open: bool,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("id", &self.id.as_str()).field("status", &self.status).finish_non_exhaustive()
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the last byte of its answer.
    Complete,
    /// The peer went away.
    Cancelled,
    /// The answer broke off.
    Broken,
    /// A stage said no.
    Refused,
}

impl Ending {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Cancelled, Self::Broken, Self::Refused];

    /// A word for logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Complete => "complete",
            Ending::Cancelled => "cancelled",
            Ending::Broken => "broken",
            Ending::Refused => "refused",
        }
    }
}

impl Record {
    /// Opens a record.
    pub fn new(worker: Rc<Worker>, started: Instant, id: RequestId, dialect: Dialect) -> Self {
        worker.metrics.begun();
        Self {
            worker,
            started,
            id,
            dialect,
            report: None,
            action: None,
            model: None,
            status: None,
            answered: None,
            flight: None,
            open: true,
        }
    }

    /// What it does, and about which model, is known and allowed.
    pub fn permitted(&mut self, permit: &WorkloadPermit, model: Option<&str>) {
        self.action = Some(permit.action());
        self.model = model.map(Into::into);
        if permit.action() == Action::Infer {
            let label = self.worker.label(model.unwrap_or(UNNAMED));
            self.flight = Some(self.worker.measuring.arrived(label, Priority::default(), self.started));
        }
    }

    /// It is sent on to the server.
    pub fn sent(&mut self, now: Instant) {
        self.flight.iter_mut().for_each(|flight| flight.sent(now));
    }

    /// As much of the answer has come as comes at one time.
    pub fn came(&mut self, now: Instant) {
        self.flight.iter_mut().for_each(|flight| flight.token(now));
    }

    /// The head of the answer is known.
    pub fn answered(&mut self, status: StatusCode, now: Instant) {
        self.status = Some(status);
        self.answered = Some(now);
    }

    /// Closes it.
    pub fn close(&mut self, ending: Ending) {
        if std::mem::take(&mut self.open) {
            self.worker.metrics.ended(ending, self.started, self.answered);
            if let Some(flight) = self.flight.take() {
                flight.ended(self.outcome(ending), Instant::now());
            }
            tracing::debug!(
                request_id = self.id.as_str(),
                action = self.action.map(Action::as_str),
                model = self.model.as_deref(),
                status = self.status.map(|status| status.as_u16()),
                first_byte_us = self.answered.map(|at| at.duration_since(self.started).as_micros() as u64),
                took_us = self.started.elapsed().as_micros() as u64,
                ending = ending.as_str(),
                "exchange"
            );
        }
    }

    fn outcome(&self, ending: Ending) -> Outcome {
        let has_failed = self.status.is_none_or(|status| status.is_server_error());
        match ending {
            Ending::Cancelled => Outcome::Cancelled,
            Ending::Complete if !has_failed => Outcome::Completed,
            Ending::Complete | Ending::Broken | Ending::Refused => Outcome::Failed,
        }
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
            report: self.report,
            action: self.action,
            model: self.model.take(),
            status: self.status,
            answered: self.answered,
            flight: self.flight.take(),
            open,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.close(Ending::Cancelled);
    }
}
