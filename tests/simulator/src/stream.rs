//! An answer on its way: the engine's tokens become pieces of what is said, in the dress of an API, with faults.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::Value;

use crate::{
    answer::{self, Api, Body, Broken, Problem},
    call::Call,
    engine::{FinishedReason, Order, Progress, Run},
    faults::{Faults, Mishap},
    server::Ending,
    simulator::State,
    speech::{self, Ask, Finish, Piece, Speech},
};

/// How an API streams an answer. Each function gives events as they are written, ready to be sent.
pub(crate) trait Dialect: Send {
    /// Before the first token. So many tokens of the prompt were in the cache.
    fn begin(&mut self, cached_tokens: usize) -> String;
    /// One more token of a choice.
    fn piece(&mut self, choice: usize, piece: &Piece) -> String;
    /// A choice is complete.
    fn finish(&mut self, choice: usize, finish: Finish) -> String;
    /// Every choice is complete.
    fn end(&mut self) -> String;
}

/// What is known of an answer before it is given.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) choices: Vec<Speech>,
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    /// How many pieces of each choice are out.
    out: Vec<usize>,
}

impl Said {
    /// The next piece of a choice.
    fn take(&mut self, choice: usize) -> Option<Piece> {
        let out = self.out.get_mut(choice)?;
        let piece = self.choices.get(choice)?.pieces.get(*out)?.clone();
        *out += 1;
        Some(piece)
    }

    /// Tokens of all choices.
    pub(crate) fn output_tokens(&self) -> usize {
        self.choices.iter().map(|choice| choice.pieces.len()).sum()
    }

    /// Those of them that were reasoning.
    pub(crate) fn reasoning_tokens(&self) -> usize {
        self.choices.iter().map(Speech::reasoning_tokens).sum()
    }
}

/// An answer whose order the engine has.
pub(crate) struct Generation {
    pub(crate) said: Said,
    run: Run,
    faults: Faults,
    ending: Ending,
    tally: Option<Tallied>,
}

/// An answer that counts as an inference of a KServe model when it is complete.
struct Tallied {
    state: Arc<State>,
    model: String,
    begun: Instant,
}

impl Generation {
    /// Gives the engine an order for what is asked, or says why not.
    pub(crate) fn start(call: &Call, ask: &Ask) -> Result<Self, Problem> {
        let state = &call.state;
        if !state.serves(&ask.model) {
            return Err(Problem::no_such_model(&ask.model));
        }
        let choices = speech::answers(ask, state.config.seed, state.config.text.as_deref());
        let prompt = speech::prompt_tokens(ask);
        let profile = &state.config.profile;
        let most = profile.context_tokens_max.min(profile.blocks_max.saturating_sub(1) * profile.block_tokens);
        let longest = choices.iter().map(|choice| choice.pieces.len()).max().unwrap_or(0);
        if prompt.len() + longest > most {
            return Err(Problem::bad_request(format!(
                "This model's maximum context length is {most} tokens. However, you requested {} tokens.",
                prompt.len() + longest
            )));
        }
        let cut = choices.iter().any(|choice| choice.finish == Finish::Length);
        let prompt_tokens = prompt.len();
        let order = Order {
            prompt,
            outputs: choices.iter().map(Speech::tokens).collect(),
            reason: if cut { FinishedReason::Length } else { FinishedReason::Stop },
        };
        let run = state.engine.submit(order);
        let said = Said { out: vec![0; choices.len()], choices, prompt_tokens, cached_tokens: 0 };
        Ok(Self { said, run, faults: call.faults, ending: call.ending.clone(), tally: None })
    }

    /// The same, to be counted among the inferences of this model.
    pub(crate) fn tallied(mut self, call: &Call, model: &str) -> Self {
        self.tally = Some(Tallied { state: Arc::clone(&call.state), model: model.to_owned(), begun: Instant::now() });
        self
    }

    async fn progress(&mut self) -> Option<Progress> {
        let progress = self.run.next().await;
        if progress.is_none()
            && let Some(Tallied { state, model, begun }) = self.tally.take()
        {
            state.instances.count(&model, |tally| {
                tally.successes += 1;
                tally.computed += begun.elapsed();
            });
        }
        progress
    }

    /// Waits until all of it is there.
    pub(crate) async fn finished(&mut self) {
        while self.next_piece().await.is_some() {}
    }

    /// The next piece, and of which choice it is; nothing after the last.
    pub(crate) async fn next_piece(&mut self) -> Option<(usize, Piece)> {
        loop {
            match self.progress().await? {
                Progress::Cached(tokens) => self.said.cached_tokens = self.said.cached_tokens.max(tokens),
                Progress::Token(choice) => return Some((choice, self.said.take(choice)?)),
                Progress::Finished(_) => {}
            }
        }
    }

    /// The whole answer, when it is complete.
    pub(crate) async fn whole(mut self, render: impl FnOnce(&Said) -> Value) -> Response<Body> {
        self.finished().await;
        tokio::time::sleep(self.faults.delay).await;
        answer::json(&render(&self.said))
    }

    /// The answer as events, each sent as soon as the engine has its token.
    pub(crate) async fn events(self, dialect: impl Dialect + 'static) -> Response<Body> {
        tokio::time::sleep(self.faults.delay).await;
        let keeps = self.faults.close_after_stream;
        let events = Events { generation: self, dialect: Box::new(dialect), pieces: 0, begun: false, ended: false };
        let frames = stream::unfold(events, |mut events| async move {
            let event = events.next().await?;
            Some((Ok::<_, Broken>(Frame::data(event)), events))
        });
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if keeps {
            headers.insert("keep-alive", HeaderValue::from_static("timeout=5, max=100"));
        }
        response
    }
}

/// An answer that is no stream, cut in half if that is what goes wrong with it.
pub(crate) async fn cut(call: &Call, response: Response<Body>) -> Result<Response<Body>, Problem> {
    let is_stream = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/event-stream");
    let mishap = call.faults.after.map(|(_, mishap)| mishap).filter(|mishap| *mishap != Mishap::Malformed);
    let Some(mishap) = mishap.filter(|_| !response.headers().get(header::CONTENT_TYPE).is_some_and(is_stream)) else {
        return Ok(response);
    };
    let (mut head, body) = response.into_parts();
    let body = body.collect().await.map_err(|broken| Problem::bad_request(broken.to_string()))?.to_bytes();
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let ending = call.ending.clone();
    let pieces = stream::unfold(Some(body.slice(..body.len() / 2)), move |half| {
        let ending = ending.clone();
        async move {
            match half {
                Some(half) => Some((Ok::<_, Broken>(Frame::data(half)), None)),
                None => fall(mishap, &ending).await,
            }
        }
    });
    Ok(Response::from_parts(head, StreamBody::new(pieces).boxed_unsync()))
}

/// What goes wrong in the midst of an answer: never returns but for the connection's end.
pub(crate) async fn fall<T>(mishap: Mishap, ending: &Ending) -> T {
    match mishap {
        Mishap::Stall | Mishap::Malformed => {}
        Mishap::Reset => ending.reset(),
        Mishap::Close => ending.close(),
    }
    std::future::pending().await
}

/// Not an event: a field without a name, JSON without its end.
const MALFORMED: &str = ":: \ndata: {\"choices\": [{\n\n";

struct Events {
    generation: Generation,
    dialect: Box<dyn Dialect>,
    pieces: usize,
    begun: bool,
    ended: bool,
}

impl Events {
    /// What is sent next; nothing after the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let written = match self.generation.progress().await {
                Some(Progress::Cached(tokens)) if !self.begun => {
                    self.begun = true;
                    self.dialect.begin(tokens)
                }
                Some(Progress::Cached(_)) => continue,
                Some(Progress::Token(choice)) => self.token(choice).await?,
                Some(Progress::Finished(choice)) => {
                    let finish = self.generation.said.choices.get(choice)?.finish;
                    self.dialect.finish(choice, finish)
                }
                None if !self.ended => {
                    self.ended = true;
                    self.dialect.end()
                }
                None => {
                    if self.generation.faults.close_after_stream {
                        self.generation.ending.close_after_this();
                    }
                    return None;
                }
            };
            if !written.is_empty() {
                return Some(written.into());
            }
        }
    }

    async fn token(&mut self, choice: usize) -> Option<String> {
        let mut written = String::new();
        match self.generation.faults.at(self.pieces) {
            Some(Mishap::Malformed) => written.push_str(MALFORMED),
            Some(mishap) => {
                if mishap != Mishap::Stall {
                    self.generation.run.give_up();
                }
                return fall(mishap, &self.generation.ending).await;
            }
            None => {}
        }
        self.pieces += 1;
        let piece = self.generation.said.take(choice)?;
        written.push_str(&self.dialect.piece(choice, &piece));
        Some(written)
    }
}

/// One event of data alone, as OpenAI streams them.
pub(crate) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// One event with a name, as Anthropic and OpenAI's Responses stream them.
pub(crate) fn named(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}

/// The end of a stream of OpenAI's.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// The API's answer to a request that is refused or goes through.
pub(crate) fn or_problem(api: Api, outcome: Result<Response<Body>, Problem>) -> Response<Body> {
    outcome.unwrap_or_else(|problem| problem.answer(api))
}
