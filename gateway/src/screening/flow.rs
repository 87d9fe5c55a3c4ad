//! Guardrails between an endpoint's bytes and the client, as an answer flows.

use std::{
    rc::Rc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use portcullis_policy::guard::lanes::stream::{EventStream, Scratch, Step};

use super::{Judged, Tally, Way, contained, verdict::Verdict, windows::Windows};
use crate::refusal::Refusal;

/// Guardrails between an endpoint's bytes and the client.
///
/// It is fed with [`push`](Self::push) until it is over ([`finish`](Self::finish)), and asked what may go out with
/// [`poll`](Self::poll), which says when it wants more.
#[derive(Debug)]
pub struct AnswerScreen {
    tally: Rc<Tally>,
    events: EventStream,
    /// Guards elsewhere, if any are asked.
    windows: Option<Box<Windows>>,
    verdict: Option<Verdict>,
    out: Vec<u8>,
    /// What goes out next.
    ready: Option<Passed>,
    is_over: bool,
    is_counted: bool,
}

/// What a client may have of what came.
#[derive(Debug)]
pub enum Passed {
    /// This.
    On(Bytes),
    /// Nothing yet: more has to come.
    More,
    /// All of it has gone out.
    End,
    /// This, which ends the answer as its dialect does, and nothing more.
    Blocked(Bytes),
    /// This, and then the refusal: what follows cannot be screened.
    Failed(Bytes, Refusal),
}

impl AnswerScreen {
    pub(super) fn new(
        tally: Rc<Tally>,
        events: EventStream,
        windows: Option<Box<Windows>>,
        verdict: Option<Verdict>,
    ) -> Self {
        Self { tally, events, windows, verdict, out: Vec::new(), ready: None, is_over: false, is_counted: false }
    }

    /// Takes what the endpoint has sent.
    pub fn push(&mut self, chunk: &Bytes) {
        let passed = self.step(|events, scratch, out| events.push(chunk, scratch, out), Some(chunk));
        self.hand_on(passed);
    }

    /// The endpoint has sent its last byte.
    pub fn finish(&mut self) {
        let passed = self.step(|events, scratch, out| events.finish(scratch, out), None);
        self.is_over = true;
        self.hand_on(passed);
        if let Some(windows) = &mut self.windows {
            windows.finish();
        }
    }

    /// What may go out now.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Passed> {
        let passed = match &mut self.windows {
            Some(windows) => std::task::ready!(windows.poll(cx)),
            None => match self.ready.take() {
                Some(passed) => passed,
                None if self.is_over => Passed::End,
                None => Passed::More,
            },
        };
        Poll::Ready(self.told(passed))
    }

    fn hand_on(&mut self, passed: Passed) {
        match (&mut self.windows, passed) {
            (_, Passed::On(bytes)) if bytes.is_empty() => {}
            (Some(windows), passed) => windows.push(passed),
            (None, passed) => self.ready = Some(passed),
        }
    }

    /// Counts and signs what goes out.
    fn told(&mut self, mut passed: Passed) -> Passed {
        if let Some(verdict) = &mut self.verdict
            && let Passed::On(bytes) | Passed::Blocked(bytes) | Passed::Failed(bytes, _) = &passed
        {
            verdict.sent(bytes);
        }
        let judged = match &passed {
            Passed::On(_) | Passed::More => return passed,
            Passed::End => self.tally.judged(Way::Output),
            Passed::Blocked(_) | Passed::Failed(..) => Judged::Block,
        };
        if !std::mem::replace(&mut self.is_counted, true) {
            self.tally.count(Way::Output, judged);
        }
        // The last word, once.
        if let Some(verdict) = self.verdict.take() {
            let comment = verdict.comment(&self.tally, SystemTime::now());
            passed = match passed {
                Passed::Blocked(bytes) => Passed::Blocked([&bytes[..], comment.as_bytes()].concat().into()),
                // The next poll says again that this is the end.
                Passed::End => Passed::On(comment.into()),
                other => other,
            };
        }
        passed
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut EventStream, &mut Scratch, &mut Vec<u8>) -> Step,
        chunk: Option<&Bytes>,
    ) -> Passed {
        let worker = self.tally.worker().clone();
        let mut scratch = worker.screening_events.borrow_mut();
        let started = Instant::now();
        self.out.clear();
        let step = contained(|| step(&mut self.events, &mut scratch, &mut self.out));
        self.tally.took(Way::Output, started.elapsed());
        let findings = scratch.findings();
        self.tally.found(Way::Output, findings);
        findings.clear();
        let out = match chunk {
            // Most of what comes goes on as it is, and need not be copied.
            Some(chunk) if *chunk == self.out[..] => chunk.clone(),
            _ => Bytes::copy_from_slice(&self.out),
        };
        match step {
            Ok(Step::Continue) => Passed::On(out),
            Ok(Step::Blocked { .. }) => Passed::Blocked(out),
            Ok(Step::Failed(why)) => {
                self.tally.failed(Way::Output, "body", "content");
                Passed::Failed(out, Refusal::unscreenable_answer().detail(why.to_string()))
            }
            Err(_) => {
                self.tally.failed(Way::Output, "patterns", "panicked");
                Passed::Failed(Bytes::new(), Refusal::guardrail_unavailable().detail("panicked"))
            }
        }
    }
}
