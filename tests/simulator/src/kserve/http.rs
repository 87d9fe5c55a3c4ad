//! KServe v2 over HTTP: health, metadata, `infer` with its binary extension, and Triton's `generate`.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{EXTENSIONS, SERVER_NAME, SERVER_VERSION, json as tensors, models::Model, tensor::Tensor};
use crate::{
    answer::{self, Body, Problem},
    call::Call,
    orca,
    simulator::{Flavour, State},
    speech::{Finish, Piece, joined},
    stream::{Dialect, Generation, data},
};

/// How many bytes of the body are JSON; what follows is binary.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What a path below `/v2/models/` asks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Metadata,
    Ready,
    Infer,
    Generate,
    GenerateStream,
}

/// The model and what is asked of it: `/v2/models/NAME[/versions/VERSION][/VERB]`.
pub(crate) fn asked<'p>(method: &Method, path: &'p str) -> Option<(&'p str, Verb)> {
    let mut segments = path.strip_prefix("/v2/models/")?.split('/');
    let model = segments.next().filter(|model| !model.is_empty())?;
    let mut verb = segments.next();
    if verb == Some("versions") {
        segments.next()?;
        verb = segments.next();
    }
    let verb = match (method, verb) {
        (&Method::GET, None) => Verb::Metadata,
        (&Method::GET, Some("ready")) => Verb::Ready,
        (&Method::POST, Some("infer")) => Verb::Infer,
        (&Method::POST, Some("generate")) => Verb::Generate,
        (&Method::POST, Some("generate_stream")) => Verb::GenerateStream,
        _ => return None,
    };
    segments.next().is_none().then_some((model, verb))
}

/// `GET /v2`.
pub(crate) fn server() -> Response<Body> {
    answer::json(&json!({"name": SERVER_NAME, "version": SERVER_VERSION, "extensions": EXTENSIONS}))
}

/// What a `GET` says of a model.
pub(crate) fn about(state: &State, name: &str, verb: Verb) -> Result<Response<Body>, Problem> {
    let model = Model::named(state, name)?;
    Ok(match verb {
        Verb::Ready => answer::empty(StatusCode::OK),
        _ => answer::json(&model.metadata(name)),
    })
}

/// Makes a model work.
pub(crate) async fn work(call: &Call, name: &str, verb: Verb) -> Result<Response<Body>, Problem> {
    let model = Model::named(&call.state, name)?;
    let outcome = match verb {
        Verb::Generate | Verb::GenerateStream => generate(call, &model, name, verb).await,
        _ => infer(call, &model, name).await,
    };
    if outcome.is_err() {
        call.state.instances.count(name, |tally| tally.failures += 1);
    }
    outcome
}

async fn infer(call: &Call, model: &Model, name: &str) -> Result<Response<Body>, Problem> {
    let (head, mut binary) = split(call)?;
    let head: Value = serde_json::from_slice(&head)
        .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    let inputs = head["inputs"].as_array().into_iter().flatten();
    let inputs = inputs.map(|input| tensors::read(input, &mut binary)).collect::<Result<Vec<_>, _>>()?;
    let outputs = outputs(call, model, &inputs, &head["parameters"]).await?;

    let all_binary = head["parameters"]["binary_data_output"].as_bool().unwrap_or(false);
    let wanted = head["outputs"].as_array();
    let mut beside = Vec::new();
    let mut written = Vec::new();
    for output in &outputs {
        let asked = wanted.map(|wanted| wanted.iter().find(|wanted| wanted["name"] == output.name.as_str()));
        let binary = match asked {
            Some(None) => continue,
            Some(Some(asked)) => asked["parameters"]["binary_data"].as_bool().unwrap_or(all_binary),
            None => all_binary,
        };
        written.push(tensors::write(output, binary, &mut beside));
    }
    let mut answered = json!({"model_name": name, "model_version": "1", "outputs": written});
    if let Some(id) = head["id"].as_str() {
        answered["id"] = json!(id);
    }
    tokio::time::sleep(call.faults.delay).await;
    Ok(framed(&answered, beside))
}

/// The JSON of a body, and what follows it.
fn split(call: &Call) -> Result<(Bytes, Bytes), Problem> {
    let mut body = call.body.clone();
    let Some(length) = call.headers.get(JSON_LENGTH) else { return Ok((body, Bytes::new())) };
    let length = length.to_str().ok().and_then(|length| length.parse::<usize>().ok());
    let length = length.filter(|length| *length <= body.len());
    let length =
        length.ok_or_else(|| Problem::bad_request("`Inference-Header-Content-Length` does not fit the body"))?;
    Ok((body.split_to(length), body))
}

fn framed(json: &Value, beside: Vec<u8>) -> Response<Body> {
    let mut bytes = json.to_string().into_bytes();
    if beside.is_empty() {
        return answer::bytes("application/json", bytes);
    }
    let length = bytes.len();
    bytes.extend(beside);
    let mut response = answer::bytes("application/octet-stream", bytes);
    response.headers_mut().insert(JSON_LENGTH, length.into());
    response
}

/// What a model gives for these inputs, in one piece.
pub(super) async fn outputs(
    call: &Call,
    model: &Model,
    inputs: &[Tensor],
    parameters: &Value,
) -> Result<Vec<Tensor>, Problem> {
    let Model::Language(name) = model else {
        let outputs = model.compute(inputs)?;
        let name = if *model == Model::Identity { "identity" } else { "simple" };
        call.state.instances.infer(name).await;
        return Ok(outputs);
    };
    let limit = parameters["max_tokens"].as_u64().map(|limit| limit as usize);
    let ask = model.ask(inputs, limit, call.text.clone())?;
    let mut generation = Generation::start(call, &ask)?.tallied(call, name);
    generation.finished().await;
    let text = generation.said.choices.first().map(|speech| joined(&speech.pieces, |piece| Some(piece.text())));
    Ok(vec![Tensor::text("text_output", &text.unwrap_or_default())])
}

/// Triton's generate extension: JSON with the inputs as fields.
async fn generate(call: &Call, model: &Model, name: &str, verb: Verb) -> Result<Response<Body>, Problem> {
    let body = call.json()?;
    let text = body["text_input"].as_str().ok_or_else(|| Problem::bad_request("`text_input` must be a string"))?;
    let limit = body["max_tokens"].as_u64().or_else(|| body["parameters"]["max_tokens"].as_u64());
    let inputs = [Tensor::text("text_input", text)];
    let ask = model.ask(&inputs, limit.map(|limit| limit as usize), call.text.clone())?;
    let generation = Generation::start(call, &ask)?.tallied(call, name);
    let mut response = if verb == Verb::GenerateStream {
        generation.events(Pieces { model: name.to_owned() }).await
    } else {
        let whole = |said: &crate::stream::Said| {
            let text = said.choices.first().map(|speech| joined(&speech.pieces, |piece| Some(piece.text())));
            json!({"model_name": name, "model_version": "1", "text_output": text})
        };
        generation.whole(whole).await
    };
    if call.state.config.flavour == Flavour::Triton {
        orca::report(&call.state, &call.headers, response.headers_mut());
        if verb == Verb::GenerateStream {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        }
    }
    Ok(response)
}

/// The events of `generate_stream`: there is no last one that says it is the last.
struct Pieces {
    model: String,
}

impl Dialect for Pieces {
    fn begin(&mut self, _: usize) -> String {
        String::new()
    }

    fn piece(&mut self, _: usize, piece: &Piece) -> String {
        data(&json!({"model_name": self.model, "model_version": "1", "text_output": piece.text()}))
    }

    fn finish(&mut self, _: usize, _: Finish) -> String {
        String::new()
    }

    fn end(&mut self) -> String {
        String::new()
    }
}
