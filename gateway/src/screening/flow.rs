//! Guardrails between an endpoint's bytes and the client, as an answer flows.

use std::{
    rc::Rc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;
use portcullis_policy::guard::{
    lanes::{
        plain::{self, PlainText},
        stream::{self, EventStream},
        tensors::{self, Answers},
    },
    screen::Unscreened,
};

use super::{
    Judged, Tally, Way, contained,
    status::{Status, forget_unknown},
    verdict::Verdict,
    windows::Windows,
};
use crate::{refusal::Refusal, worker::Worker};

/// Guardrails between an endpoint's bytes and the client.
///
/// It is fed with [`push`](Self::push) until it is over ([`finish`](Self::finish)), and asked what may go out with
/// [`poll`](Self::poll), which says when it wants more.
#[derive(Debug)]
pub struct AnswerScreen {
    tally: Rc<Tally>,
    texts: Texts,
    /// Guards elsewhere, if any are asked.
    windows: Option<Box<Windows>>,
    verdict: Option<Verdict>,
    /// What the trailers of gRPC may say.
    status: Option<Status>,
    out: Vec<u8>,
    /// What goes out next.
    ready: Option<Passed>,
    is_over: bool,
    is_counted: bool,
}

/// What is read as it comes.
#[derive(Debug)]
pub(super) enum Texts {
    /// Server-sent events.
    Events(Box<EventStream>),
    /// Messages of gRPC.
    Messages(Box<Answers>),
    /// One text.
    Text(Box<PlainText>),
}

/// How it stands, whatever it is.
enum Stands {
    On,
    Blocked,
    Failed(String),
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
    pub(super) fn new(tally: Rc<Tally>, texts: Texts, windows: Option<Box<Windows>>, verdict: Option<Verdict>) -> Self {
        let status = None;
        Self { tally, texts, windows, verdict, status, out: Vec::new(), ready: None, is_over: false, is_counted: false }
    }

    /// Judges what trailers of gRPC say, too.
    pub(super) fn with_status(self, status: Option<Status>) -> Self {
        Self { status, ..self }
    }

    /// Whether they are server-sent events.
    pub fn are_events(&self) -> bool {
        self.texts.are_events()
    }

    /// The endpoint has sent its trailers: what of them cannot be screened goes no further.
    pub fn trailers(&mut self, trailers: &mut HeaderMap) {
        if self.tally.guardrails().unscreened == Unscreened::Refuse {
            forget_unknown(trailers);
        }
        if let Some(status) = &self.status {
            status.judge(trailers);
        }
    }

    /// Takes what the endpoint has sent.
    pub fn push(&mut self, chunk: &Bytes) {
        let passed = self.step(Some(chunk));
        self.hand_on(passed);
    }

    /// The endpoint has sent its last byte.
    pub fn finish(&mut self) {
        let passed = self.step(None);
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
            self.tally.close(Way::Output, judged);
        }
        // The last word, once.
        if let Some(verdict) = self.verdict.take().filter(|_| self.texts.are_events()) {
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

    /// Takes a piece, or the end.
    fn step(&mut self, chunk: Option<&Bytes>) -> Passed {
        let worker = self.tally.worker().clone();
        let started = Instant::now();
        self.out.clear();
        let stands = contained(|| self.texts.step(chunk, &worker, &mut self.out, &self.tally));
        self.tally.took(Way::Output, started.elapsed());
        let out = match chunk {
            // Most of what comes goes on as it is, and need not be copied.
            Some(chunk) if *chunk == self.out[..] => chunk.clone(),
            _ => Bytes::copy_from_slice(&self.out),
        };
        match stands {
            Ok(Stands::On) => Passed::On(out),
            Ok(Stands::Blocked) => Passed::Blocked(out),
            // A text has no end of its own that says so.
            Ok(Stands::Failed(why)) if why.is_empty() => Passed::Failed(out, Refusal::answer_filtered()),
            Ok(Stands::Failed(why)) => {
                self.tally.failed(Way::Output, "body", "content");
                Passed::Failed(out, Refusal::unscreenable_answer().detail(why))
            }
            Err(_) => {
                self.tally.failed(Way::Output, "patterns", "panicked");
                Passed::Failed(Bytes::new(), Refusal::guardrail_unavailable().detail("panicked"))
            }
        }
    }
}

impl Texts {
    fn step(&mut self, chunk: Option<&Bytes>, worker: &Worker, out: &mut Vec<u8>, tally: &Tally) -> Stands {
        if let Self::Events(events) = self {
            let scratch = &mut worker.screening_events.borrow_mut();
            let step = match chunk {
                Some(chunk) => events.push(chunk, scratch, out),
                None => events.finish(scratch, out),
            };
            tally.found(Way::Output, scratch.findings());
            scratch.findings().clear();
            return match step {
                stream::Step::Continue => Stands::On,
                stream::Step::Blocked { .. } => Stands::Blocked,
                stream::Step::Failed(why) => Stands::Failed(why.to_string()),
            };
        }
        let scratch = &mut worker.screening_texts.borrow_mut();
        scratch.findings.clear();
        let stands = match self {
            Self::Messages(messages) => {
                let step = match chunk {
                    Some(chunk) => messages.push(chunk, scratch, out),
                    None => messages.finish(scratch, out),
                };
                match step {
                    tensors::Step::Continue => Stands::On,
                    tensors::Step::Blocked { .. } => Stands::Blocked,
                    tensors::Step::Failed(why) => Stands::Failed(why.to_string()),
                }
            }
            Self::Text(text) => {
                let step = match chunk {
                    Some(chunk) => text.push(chunk, scratch, out),
                    None => text.finish(scratch, out),
                };
                match step {
                    plain::Step::Continue => Stands::On,
                    plain::Step::Blocked { .. } => Stands::Failed(String::new()),
                    plain::Step::Failed(why) => Stands::Failed(why.to_string()),
                }
            }
            Self::Events(_) => Stands::On,
        };
        tally.found(Way::Output, &scratch.findings);
        scratch.findings.clear();
        stands
    }

    fn are_events(&self) -> bool {
        matches!(self, Self::Events(_))
    }
}
