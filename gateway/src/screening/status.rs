//! What the status of a gRPC answer says: a backend's own words, in trailers or in the head of an answer without a body.

use std::{rc::Rc, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_policy::guard::{
    lanes::plain::{PlainText, Step},
    placeholders::Values,
    screen::{Guardrails, Unscreened},
};

use super::{Tally, Way, contained, input::Guarded};
use crate::grpc;

const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// A message of protobuf in base64, with the text again and with details of any type.
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// What stands in the place of a message that may not be said.
const WITHHELD: HeaderValue = HeaderValue::from_static("a guardrail withholds the backend's message");

/// What a status consists of. Whatever else a backend says in trailers is said in words that nobody knows.
const OF_STATUS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// Takes from trailers what cannot be screened: all but the status of gRPC, which [`Status::judge`] looks at.
pub(super) fn forget_unknown(trailers: &mut HeaderMap) {
    let unknown: Vec<HeaderName> =
        trailers.keys().filter(|name| !OF_STATUS.contains(&name.as_str())).cloned().collect();
    for name in unknown {
        trailers.remove(name);
    }
}

/// The guards of what a status says.
#[derive(Debug)]
pub(super) struct Status {
    tally: Rc<Tally>,
    values: Option<Arc<Values>>,
}

impl Status {
    pub(super) fn of(guarded: &Guarded) -> Self {
        Self { tally: guarded.tally.clone(), values: guarded.values.clone() }
    }

    /// Puts what may be said in the place of what a backend says.
    pub(super) fn judge(&self, fields: &mut HeaderMap) {
        let guardrails = self.tally.guardrails().clone();
        if guardrails.unscreened == Unscreened::Refuse && fields.remove(&DETAILS).is_some() {
            self.tally.failed(Way::Output, "body", "status_details");
        }
        // More than one would be read as one by some, and as the first of them by others.
        let texts: Vec<_> =
            fields.get_all(&MESSAGE).iter().map(|value| grpc::decode_message(value.as_bytes())).collect();
        if texts.is_empty() {
            return;
        }
        let text = texts.join(&b", "[..]);
        let started = Instant::now();
        let said = contained(|| self.said(&guardrails, &text)).ok().flatten();
        self.tally.took(Way::Output, started.elapsed());
        match said {
            // Most messages go on as they are.
            Some(said) if said == text && texts.len() == 1 => {}
            Some(said) => {
                let said = grpc::encode_message(&String::from_utf8_lossy(&said));
                fields.insert(MESSAGE, HeaderValue::try_from(said).unwrap_or(WITHHELD));
            }
            None => {
                fields.insert(MESSAGE, WITHHELD);
            }
        }
    }

    /// What of a message may be said; `None`: nothing.
    fn said(&self, guardrails: &Guardrails, text: &[u8]) -> Option<Vec<u8>> {
        let scratch = &mut self.tally.worker().screening_texts.borrow_mut();
        scratch.findings.clear();
        let (mut lane, mut said) = (PlainText::new(guardrails, self.values.as_ref()), Vec::with_capacity(text.len()));
        let mut step = lane.push(text, scratch, &mut said);
        if step == Step::Continue {
            step = lane.finish(scratch, &mut said);
        }
        self.tally.found(Way::Output, &scratch.findings);
        scratch.findings.clear();
        (step == Step::Continue).then_some(said)
    }
}
