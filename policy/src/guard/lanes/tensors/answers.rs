//! Answers, as they go by: bytes of gRPC in, bytes of gRPC out.

use std::sync::Arc;

use super::{
    Stop,
    Unscreenable::{self, CutShort, Overrun},
    frames::{self, Frames},
    plan::Plan,
    survey::Survey,
    texts::{Growing, Parts, Rest, Texts},
    walk::{Kind, walk},
};
use crate::guard::{
    placeholders::Values,
    screen::{Guardrails, Scratch},
};

/// The body of an answer that is being screened.
#[derive(Debug)]
pub struct Answers {
    frames: Frames,
    screening: Screening,
    is_over: bool,
}

/// How an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Continue,
    /// A rule has ended it. Nothing comes after what has been written.
    Blocked {
        /// Which rule, by its place in the engine of the output.
        rule: usize,
    },
    /// It cannot be screened. Nothing comes after what has been written.
    Failed(Unscreenable),
}

impl Answers {
    /// The answer to `ModelInfer`: one message, each text of which is whole. `values` are those that may be restored.
    pub fn whole(guardrails: &Guardrails, values: Option<Arc<Values>>) -> Self {
        Self::new(Kind::Answer, guardrails, values)
    }

    /// The answers to `ModelStreamInfer`, whose elements grow from message to message.
    pub fn stream(guardrails: &Guardrails, values: Option<Arc<Values>>) -> Self {
        Self::new(Kind::StreamAnswer, guardrails, values)
    }

    fn new(kind: Kind, guardrails: &Guardrails, values: Option<Arc<Values>>) -> Self {
        let texts = Texts::new(guardrails, values);
        Self { frames: Frames::default(), screening: Screening { kind, texts, plan: Plan::default() }, is_over: false }
    }

    /// Takes the next bytes, and appends what may go to the client.
    pub fn push(&mut self, chunk: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        let mut rest = chunk;
        while !self.is_over {
            let taken = match self.frames.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(message)) => self.screening.take(message, scratch, out),
                Err(why) => Err(why.into()),
            };
            if let Err(stop) = taken {
                return self.stop(stop);
            }
        }
        Step::Continue
    }

    /// The body is over: appends what was held, in messages made from the last ones.
    pub fn finish(&mut self, scratch: &mut Scratch, out: &mut Vec<u8>) -> Step {
        if std::mem::replace(&mut self.is_over, true) {
            return Step::Continue;
        }
        if self.frames.held() > 0 {
            return self.stop(CutShort.into());
        }
        match self.screening.finish(scratch, out) {
            Ok(()) => Step::Continue,
            Err(stop) => self.stop(stop),
        }
    }

    fn stop(&mut self, stop: Stop) -> Step {
        self.is_over = true;
        self.frames = Frames::default();
        self.screening.texts.forget();
        match stop {
            Stop::Blocked { rule } => Step::Blocked { rule },
            Stop::Failed(why) => Step::Failed(why),
            // Only screeners of whole messages say that.
            Stop::Refused { .. } => Step::Failed(Overrun),
        }
    }

    /// Bytes that have come and of which nothing has gone out: of texts, and of the message that has not ended.
    pub fn held(&self) -> usize {
        self.frames.held() + self.screening.texts.held()
    }
}

/// What is done about each message.
#[derive(Debug)]
struct Screening {
    kind: Kind,
    texts: Texts,
    plan: Plan,
}

impl Screening {
    fn take(&mut self, message: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), Stop> {
        let settings = self.texts.settings;
        let survey = Survey::of(self.kind, message, settings)?;
        let id = message.get(survey.id.clone()).unwrap_or_default();
        let is_whole = self.kind == Kind::Answer;
        let ends = survey.is_final || is_whole;
        let mut each = Parts { texts: &mut self.texts, id, message, last: None, ends, is_whole, scratch };
        walk(self.kind, message, &survey, settings, &mut self.plan, &mut each)?;
        // What this message has no place for goes out before it, since it ends its texts.
        if ends && let Some(growing) = self.texts.end(id) {
            self.flush(growing, scratch, out)?;
        }
        let begin = frames::begin(out);
        self.plan.write(message, out);
        Ok(frames::end(out, begin)?)
    }

    fn finish(&mut self, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), Stop> {
        while let Some(growing) = self.texts.end_next() {
            self.flush(growing, scratch, out)?;
        }
        Ok(())
    }

    /// Writes what is held of the answers to a request.
    fn flush(&mut self, growing: Growing, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), Stop> {
        let settings = self.texts.settings;
        let mut rest = Rest { texts: &mut self.texts, growing, message: [].into(), scratch };
        while let Some(message) = rest.next() {
            let survey = Survey::of(self.kind, &message, settings)?;
            let mut plan = Plan::default();
            walk(self.kind, &message, &survey, settings, &mut plan, &mut rest)?;
            let begin = frames::begin(out);
            plan.write(&message, out);
            frames::end(out, begin)?;
        }
        Ok(())
    }
}
