//! Events that wait for guards elsewhere.
//!
//! A guard is asked about windows of each text ([`service::window`](super::service::window)); an event goes out when every
//! guard has passed all that it says. Order stays: what says nothing waits for what stands before it.

use std::{
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use portcullis_policy::guard::{
    lanes::{
        document::{Document, Settings},
        shape::{Api, Field, Shape},
        stream::{
            EventStream, Scratch,
            splitter::{Bounds, Event, Splitter},
        },
    },
    screen::{Guardrails, Speaker, UnknownFields, Unscreened},
};
use smallvec::SmallVec;

use super::{
    Tally, Way,
    flow::Passed,
    guards::{Asked, Opinions, judge},
    input::Guarded,
    service::{
        Opinion,
        window::{Seen, Watch},
    },
};
use crate::refusal::Refusal;

/// Events that wait for guards elsewhere.
pub(super) struct Windows {
    tally: Rc<Tally>,
    api: Api,
    asked: Vec<Asked>,
    prompt: Vec<(Speaker, String)>,
    model: Option<Arc<str>>,
    splitter: Splitter,
    texts: Vec<Said>,
    waiting: VecDeque<Waiting>,
    /// What the client has seen, so that it can be ended.
    client: EventStream,
    scratch: Scratch,
    is_over: bool,
    /// How it ends, when all before has gone out.
    last: Option<Passed>,
}

/// One text: of one choice, under one guard.
#[derive(Debug)]
struct Said {
    asked: usize,
    choice: u32,
    watch: Watch,
    /// Bytes that it has been shown, and those of them that have passed.
    shown: usize,
    passed: usize,
}

/// An event, and how much of which choice has to have passed before it goes out.
#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    until: SmallVec<[(u32, usize); 1]>,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Windows {
    /// `None`: nobody elsewhere is asked.
    pub(super) fn new(guarded: &Guarded) -> Option<Box<Self>> {
        let asked = guarded.asked(Way::Output).to_vec();
        if asked.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            tally: guarded.tally.clone(),
            api: guarded.api,
            asked,
            prompt: guarded.prompt.clone(),
            model: guarded.model.clone(),
            splitter: Splitter::new(Bounds::default()),
            texts: Vec::new(),
            waiting: VecDeque::new(),
            client: EventStream::new(guarded.api, Arc::new(Guardrails::nothing())),
            scratch: Scratch::default(),
            is_over: false,
            last: None,
        }))
    }

    /// Takes what rules have let go.
    pub(super) fn push(&mut self, passed: Passed) {
        match passed {
            Passed::On(bytes) => self.take(&bytes),
            Passed::Blocked(bytes) => {
                // What is in it besides the end has to be asked about like anything else.
                self.take(&bytes);
                self.last = Some(Passed::Blocked(Bytes::new()));
                self.finish();
            }
            Passed::Failed(bytes, refusal) => {
                self.take(&bytes);
                self.last = Some(Passed::Failed(Bytes::new(), refusal));
                self.finish();
            }
            Passed::More | Passed::End => {}
        }
    }

    /// No more comes.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
        for said in &mut self.texts {
            said.watch.finish();
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        // What rules let go is made of whole events within bounds.
        while let Ok(Some(event)) = self.splitter.next(&mut rest) {
            let raw = Bytes::copy_from_slice(event.raw());
            let said = said(self.api, &event);
            let mut until = SmallVec::new();
            for (choice, text) in said {
                let at = self.say(choice, &text);
                until.push((choice, at));
            }
            self.waiting.push_back(Waiting { bytes: raw, until });
        }
    }

    /// Shows a text to every guard; how much of its choice has been said.
    fn say(&mut self, choice: u32, text: &str) -> usize {
        if !self.texts.iter().any(|said| said.choice == choice) {
            for (place, asked) in self.asked.iter().enumerate() {
                let watch = Watch::new(asked.asker.clone(), self.prompt.clone(), self.model.clone());
                self.texts.push(Said { asked: place, choice, watch, shown: 0, passed: 0 });
            }
        }
        let mut at = 0;
        for said in self.texts.iter_mut().filter(|said| said.choice == choice) {
            said.watch.push(text);
            said.shown += text.len();
            at = said.shown;
        }
        at
    }

    /// What may go out now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Passed> {
        let mut is_asking = false;
        for place in 0..self.texts.len() {
            match self.poll_text(place, cx) {
                Poll::Pending => is_asking = true,
                Poll::Ready(None) => {}
                Poll::Ready(Some(ended)) => return Poll::Ready(ended),
            }
        }
        let released = self.release();
        if !released.is_empty() {
            return Poll::Ready(Passed::On(released));
        }
        if is_asking {
            return Poll::Pending;
        }
        Poll::Ready(if self.is_over { self.last.take().unwrap_or(Passed::End) } else { Passed::More })
    }

    /// Asks about one text until nothing of it is due; how the stream ends, if it does.
    fn poll_text(&mut self, place: usize, cx: &mut Context<'_>) -> Poll<Option<Passed>> {
        loop {
            let Some(said) = self.texts.get_mut(place) else { return Poll::Ready(None) };
            let Some(seen) = std::task::ready!(said.watch.poll(cx)) else { return Poll::Ready(None) };
            let opinion = match seen {
                Seen::Passes(bytes) => {
                    said.passed += bytes;
                    continue;
                }
                Seen::Refuses(rule) => Ok(Opinion::Refuses { rule }),
                Seen::Unanswered(no) => Err(no),
            };
            let Some(asked) = self.asked.get(said.asked) else { return Poll::Ready(None) };
            let direction = self.tally.direction(Way::Output).clone();
            let Some(stage) = direction.stages.get(asked.stage) else { return Poll::Ready(None) };
            match judge(asked.stage, stage, opinion, Way::Output, &self.tally) {
                Opinions::Pass(_) => said.passed += said.watch.pass(),
                Opinions::Refused(_) => return Poll::Ready(Some(self.blocked())),
                Opinions::Unanswered(no) => {
                    let refusal = Refusal::guardrail_unavailable().detail(no.as_str());
                    return Poll::Ready(Some(Passed::Failed(Bytes::new(), refusal)));
                }
            }
        }
    }

    /// Events of which all has passed.
    fn release(&mut self) -> Bytes {
        let mut released = BytesMut::new();
        while let Some(first) = self.waiting.front() {
            let has_passed = |(choice, until): &(u32, usize)| {
                self.texts.iter().filter(|said| said.choice == *choice).all(|said| said.passed >= *until)
            };
            if !first.until.iter().all(has_passed) {
                break;
            }
            if let Some(first) = self.waiting.pop_front() {
                released.extend_from_slice(&first.bytes);
            }
        }
        let released = released.freeze();
        self.client.push(&released, &mut self.scratch, &mut Vec::new());
        released
    }

    /// The end of a stream that a guard refuses.
    fn blocked(&mut self) -> Passed {
        self.waiting.clear();
        self.is_over = true;
        let mut end = Vec::new();
        self.client.block(&mut end);
        Passed::Blocked(end.into())
    }
}

/// What an event says, by choice: every text in it, comments too. Copies of what came in parts are asked about again, because
/// nobody but the endpoint says that they are copies.
fn said(api: Api, event: &Event<'_>) -> Vec<(u32, String)> {
    let mut said: Vec<(u32, String)> = comments(event.raw()).map(|comment| (0, comment)).collect();
    let Some(data) = event.data().filter(|data| **data != b"[DONE]"[..]) else { return said };
    let settings = Settings { unknown_fields: UnknownFields::Scan, unscreened: Unscreened::Pass };
    match Document::read(Shape::event(api), &data, &settings) {
        Ok(document) => {
            for (place, text) in document.texts().filter(|(_, text)| !text.is_empty()) {
                match place.field {
                    Field::Delta(lane) | Field::Copy(lane) | Field::Arguments(lane) => {
                        said.push((lane.choice, text.to_owned()));
                    }
                    // Words of the protocol, and what retells a text token by token.
                    Field::Structure | Field::Logprobs(_) => {}
                    _ => said.push((0, text.to_owned())),
                }
            }
        }
        // What is no document is one text.
        Err(_) => said.push((0, String::from_utf8_lossy(&data).into_owned())),
    }
    said
}

fn comments(event: &[u8]) -> impl Iterator<Item = String> + '_ {
    let lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    let comments = lines.filter_map(|line| line.strip_prefix(b":")).map(<[u8]>::trim_ascii);
    comments.filter(|comment| !comment.is_empty()).map(|comment| String::from_utf8_lossy(comment).into_owned())
}
