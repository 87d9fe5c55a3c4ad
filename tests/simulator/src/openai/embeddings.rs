//! `POST /v1/embeddings`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Response;
use serde_json::{Value, json};

use super::{limit, prompt};
use crate::{
    answer::{self, Body, Problem},
    call::Call,
    engine::{FinishedReason, Order},
    text::{Random, hash, tokens},
};

/// Numbers in a vector, unless a request says otherwise.
const DIMENSIONS: usize = 64;
/// The most numbers in a vector.
const DIMENSIONS_MAX: usize = 4_096;

/// Embeds one or more texts. Equal texts get equal vectors; nothing else about them means anything.
pub(crate) async fn answer(call: &Call) -> Result<Response<Body>, Problem> {
    let body = call.json()?;
    let model = body["model"].as_str().ok_or_else(|| Problem::bad_request("`model` must be a string"))?;
    if !call.state.serves(model) {
        return Err(Problem::no_such_model(model));
    }
    let wrong = || Problem::bad_request("`input` must be text or tokens, or a list of them");
    let several = body["input"].as_array().filter(|inputs| !inputs.iter().all(Value::is_number));
    let inputs = several.map_or_else(|| vec![prompt(&body["input"])], |inputs| inputs.iter().map(prompt).collect());
    let inputs = inputs.into_iter().collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let dimensions = limit(&body, &["dimensions"])?.unwrap_or(DIMENSIONS).min(DIMENSIONS_MAX);

    let mut prompt_tokens = 0;
    for input in &inputs {
        let prompt = tokens(input);
        prompt_tokens += prompt.len();
        let order = Order { prompt, outputs: vec![Vec::new()], reason: FinishedReason::Stop };
        let mut run = call.state.engine.submit(order);
        while run.next().await.is_some() {}
    }
    tokio::time::sleep(call.faults.delay).await;
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(hash(&(call.state.config.seed, input)), dimensions);
        let embedding = if body["encoding_format"] == "base64" {
            json!(BASE64_STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    Ok(answer::json(&json!({
        "object": "list", "model": model, "data": data.collect::<Vec<_>>(),
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
    })))
}

/// A vector of length one.
fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    let numbers: Vec<f64> = (0..dimensions).map(|_| random.fraction() * 2.0 - 1.0).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    numbers.into_iter().map(|number| (number / length) as f32).collect()
}
