//! `POST /v1/completions`.

use http::Response;
use serde_json::{Value, json};

use super::{ask, finish_reason, usage, wants_usage};
use crate::{
    answer::{Body, Problem},
    call::Call,
    orca,
    simulator::{Flavour, unix_s},
    speech::{Ask, Finish, Piece, joined},
    stream::{DONE, Dialect, Generation, Said, data},
};

/// Completes a prompt.
pub(crate) async fn answer(call: &Call) -> Result<Response<Body>, Problem> {
    let body = call.json()?;
    let prompt =
        super::prompt(&body["prompt"]).ok_or_else(|| Problem::bad_request("`prompt` must be text or tokens"))?;
    let ask = Ask { last_said: prompt.clone(), prompt, ..ask(call, &body)? };
    let generation = Generation::start(call, &ask)?;
    let (id, created) = (call.id("cmpl-"), unix_s());
    let mut response = if body["stream"].as_bool().unwrap_or(false) {
        let said = generation.said.clone();
        generation.events(Chunks { id, created, model: ask.model, said, usage: wants_usage(&body) }).await
    } else {
        generation.whole(|said| completion(&id, created, &ask.model, said)).await
    };
    if call.state.config.flavour == Flavour::Vllm {
        orca::report(&call.state, &call.headers, response.headers_mut());
    }
    Ok(response)
}

fn completion(id: &str, created: u64, model: &str, said: &Said) -> Value {
    let choices = said.choices.iter().enumerate().map(|(index, speech)| {
        let text = joined(&speech.pieces, |piece| Some(piece.text()));
        json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish_reason(speech.finish)})
    });
    json!({
        "id": id, "object": "text_completion", "created": created, "model": model,
        "choices": choices.collect::<Vec<_>>(), "usage": usage(said),
    })
}

struct Chunks {
    id: String,
    created: u64,
    model: String,
    said: Said,
    usage: bool,
}

impl Chunks {
    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    fn text(&self, choice: usize, text: &str, finish: Option<Finish>) -> String {
        data(&self.chunk(&json!([{
            "index": choice, "text": text, "logprobs": null, "finish_reason": finish.map(finish_reason),
        }])))
    }
}

impl Dialect for Chunks {
    fn begin(&mut self, cached_tokens: usize) -> String {
        self.said.cached_tokens = cached_tokens;
        String::new()
    }

    fn piece(&mut self, choice: usize, piece: &Piece) -> String {
        self.text(choice, piece.text(), None)
    }

    fn finish(&mut self, choice: usize, finish: Finish) -> String {
        self.text(choice, "", Some(finish))
    }

    fn end(&mut self) -> String {
        if !self.usage {
            return DONE.to_owned();
        }
        let mut chunk = self.chunk(&json!([]));
        chunk["usage"] = usage(&self.said);
        data(&chunk) + DONE
    }
}
