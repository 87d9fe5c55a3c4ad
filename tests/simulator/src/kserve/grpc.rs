//! KServe v2 over gRPC. The framing is a few lines, so no library does it.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use prost::Message;
use serde_json::{Map, Value, json};

use super::{
    EXTENSIONS, SERVER_NAME, SERVER_VERSION, http as rest,
    models::{Model, Port},
    proto::{
        Choice, Contents, Empty, InferTensor, ModelInferRequest, ModelInferResponse, ModelMetadata, ModelName,
        ModelStreamInferResponse, Parameter, ServerMetadata, TensorMetadata, Truth,
    },
    tensor::{Datatype, Tensor, push_element},
};
use crate::{
    answer::{Body, Broken, Problem, empty},
    call::Call,
    faults::Mishap,
    speech::Piece,
    stream::{Generation, fall},
};

/// The service's path.
pub(crate) const SERVICE: &str = "/inference.GRPCInferenceService/";
/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// A request's wish to be told of the end of its answers, and the answer to it.
const WANTS_FINAL: &str = "triton_enable_empty_final_response";
const IS_FINAL: &str = "triton_final_response";

/// Answers one call.
pub(crate) async fn answer(call: Call, method: &str, body: Incoming) -> Response<Body> {
    let mut messages = Messages { body, received: BytesMut::new() };
    if method == "ModelStreamInfer" {
        return streamed(Replies { call, messages, generation: None, ready: VecDeque::new(), sent: 0, over: false });
    }
    let outcome = async {
        let message = messages.next().await?;
        let message = message.ok_or_else(|| Problem::bad_request("the call has no message"))?;
        tokio::time::sleep(call.faults.delay).await;
        unary(&call, method, message).await
    };
    match outcome.await {
        Ok(message) => {
            let frames = [Ok::<_, Broken>(Frame::data(message)), Ok(Frame::trailers(status(0, "")))];
            headed(Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync()))
        }
        Err(problem) => refused(&problem),
    }
}

async fn unary(call: &Call, method: &str, message: Bytes) -> Result<Bytes, Problem> {
    Ok(match method {
        "ServerLive" | "ServerReady" => {
            read::<Empty>(message)?;
            framed(&Truth { holds: true })
        }
        "ServerMetadata" => framed(&ServerMetadata {
            name: SERVER_NAME.to_owned(),
            version: SERVER_VERSION.to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }),
        "ModelReady" => {
            let asked = read::<ModelName>(message)?;
            framed(&Truth { holds: Model::named(&call.state, &asked.name).is_ok() })
        }
        "ModelMetadata" => {
            let asked = read::<ModelName>(message)?;
            framed(&metadata(&Model::named(&call.state, &asked.name)?, asked.name))
        }
        "ModelInfer" => framed(&infer(call, read(message)?).await?),
        method => return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, format!("there is no method `{method}`"))),
    })
}

fn metadata(model: &Model, name: String) -> ModelMetadata {
    let tensors = |ports: &[Port]| {
        let tensor = |port: &Port| TensorMetadata {
            name: port.name.to_owned(),
            datatype: port.datatype.name().to_owned(),
            shape: port.shape.to_vec(),
        };
        ports.iter().map(tensor).collect()
    };
    ModelMetadata {
        name,
        versions: vec!["1".to_owned()],
        platform: "simulated".to_owned(),
        inputs: tensors(model.inputs()),
        outputs: tensors(model.outputs()),
    }
}

async fn infer(call: &Call, request: ModelInferRequest) -> Result<ModelInferResponse, Problem> {
    let model = Model::named(&call.state, &request.model_name)?;
    let outputs = async { rest::outputs(call, &model, &inputs(&request)?, &parameters(&request)).await };
    let mut outputs = outputs.await.inspect_err(|_| {
        call.state.instances.count(&request.model_name, |tally| tally.failures += 1);
    })?;
    if !request.outputs.is_empty() {
        outputs.retain(|output| request.outputs.iter().any(|wanted| wanted.name == output.name));
    }
    Ok(response(request.model_name, request.id, outputs))
}

fn parameters(request: &ModelInferRequest) -> Value {
    let parameters = request.parameters.iter().filter_map(|(name, parameter)| {
        let value = match parameter.choice.as_ref()? {
            Choice::Bool(value) => json!(value),
            Choice::Int64(value) => json!(value),
            Choice::Text(value) => json!(value),
        };
        Some((name.clone(), value))
    });
    Value::Object(parameters.collect::<Map<_, _>>())
}

fn response(model_name: String, id: String, outputs: Vec<Tensor>) -> ModelInferResponse {
    let raw_output_contents = outputs.iter().map(|output| output.bytes.clone()).collect();
    let described = |output: Tensor| InferTensor {
        name: output.name,
        datatype: output.datatype.name().to_owned(),
        shape: output.shape,
        parameters: HashMap::new(),
        contents: None,
    };
    ModelInferResponse {
        model_name,
        model_version: "1".to_owned(),
        id,
        parameters: HashMap::new(),
        outputs: outputs.into_iter().map(described).collect(),
        raw_output_contents,
    }
}

fn inputs(request: &ModelInferRequest) -> Result<Vec<Tensor>, Problem> {
    let mut raw = request.raw_input_contents.iter();
    let tensor = |input: &InferTensor| {
        let datatype = Datatype::named(&input.datatype)?;
        let bytes = match (&input.contents, raw.next()) {
            (_, Some(raw)) => raw.clone(),
            (Some(contents), None) => elements(contents, datatype),
            (None, None) => Bytes::new(),
        };
        Tensor::new(input.name.clone(), datatype, input.shape.clone(), bytes)
    };
    request.inputs.iter().map(tensor).collect()
}

/// Typed contents as they are in memory. Small integers travel as larger ones and are cut here.
fn elements(contents: &Contents, datatype: Datatype) -> Bytes {
    let mut bytes = Vec::new();
    match datatype {
        Datatype::Bool => bytes.extend(contents.bools.iter().map(|value| u8::from(*value))),
        Datatype::Int8 => bytes.extend(contents.int32s.iter().map(|value| *value as u8)),
        Datatype::Int16 => bytes.extend(contents.int32s.iter().flat_map(|value| (*value as i16).to_le_bytes())),
        Datatype::Int32 => bytes.extend(contents.int32s.iter().flat_map(|value| value.to_le_bytes())),
        Datatype::Int64 => bytes.extend(contents.int64s.iter().flat_map(|value| value.to_le_bytes())),
        Datatype::Uint8 => bytes.extend(contents.uint32s.iter().map(|value| *value as u8)),
        Datatype::Uint16 => bytes.extend(contents.uint32s.iter().flat_map(|value| (*value as u16).to_le_bytes())),
        Datatype::Uint32 => bytes.extend(contents.uint32s.iter().flat_map(|value| value.to_le_bytes())),
        Datatype::Uint64 => bytes.extend(contents.uint64s.iter().flat_map(|value| value.to_le_bytes())),
        Datatype::Fp32 => bytes.extend(contents.fp32s.iter().flat_map(|value| value.to_le_bytes())),
        Datatype::Fp64 => bytes.extend(contents.fp64s.iter().flat_map(|value| value.to_le_bytes())),
        Datatype::Bytes => contents.elements.iter().for_each(|element| push_element(&mut bytes, element)),
        Datatype::Fp16 | Datatype::Bf16 => {}
    }
    bytes.into()
}

/// A stream of answers: each request is answered to its end before the next one is read.
struct Replies {
    call: Call,
    messages: Messages,
    /// What a language model is saying, to which request.
    generation: Option<(Generation, ModelInferRequest)>,
    ready: VecDeque<ModelStreamInferResponse>,
    sent: usize,
    over: bool,
}

fn streamed(replies: Replies) -> Response<Body> {
    let frames = stream::unfold(replies, |mut replies| async move {
        let frame = replies.next().await?;
        Some((Ok::<_, Broken>(frame), replies))
    });
    headed(Response::new(StreamBody::new(frames).boxed_unsync()))
}

impl Replies {
    async fn next(&mut self) -> Option<Frame<Bytes>> {
        if self.over {
            return None;
        }
        match self.reply().await {
            Ok(Some(reply)) => {
                if let Some(mishap) = self.call.faults.at(self.sent).filter(|mishap| *mishap != Mishap::Malformed) {
                    self.generation = None;
                    return fall(mishap, &self.call.ending).await;
                }
                self.sent += 1;
                Some(Frame::data(framed(&reply)))
            }
            Ok(None) => {
                self.over = true;
                Some(Frame::trailers(status(0, "")))
            }
            Err(problem) => {
                self.over = true;
                Some(Frame::trailers(status(code(problem.status), &problem.message)))
            }
        }
    }

    async fn reply(&mut self) -> Result<Option<ModelStreamInferResponse>, Problem> {
        loop {
            if let Some(reply) = self.ready.pop_front() {
                return Ok(Some(reply));
            }
            if self.generation.is_some() {
                self.say().await;
                continue;
            }
            let Some(message) = self.messages.next().await? else { return Ok(None) };
            let request = read::<ModelInferRequest>(message)?;
            if let Err(problem) = self.begin(request).await {
                // One request that fails does not end the stream of the others.
                self.ready.push_back(ModelStreamInferResponse { error_message: problem.message, infer_response: None });
            }
        }
    }

    async fn begin(&mut self, request: ModelInferRequest) -> Result<(), Problem> {
        tokio::time::sleep(self.call.faults.delay).await;
        let model = Model::named(&self.call.state, &request.model_name)?;
        if let Model::Language(_) = model {
            let limit = parameters(&request)["max_tokens"].as_u64().map(|limit| limit as usize);
            let ask = model.ask(&inputs(&request)?, limit, self.call.text.clone())?;
            let generation = Generation::start(&self.call, &ask)?.tallied(&self.call, &request.model_name);
            self.generation = Some((generation, request));
            return Ok(());
        }
        let wants_final = wants_final(&request);
        let mut answered = infer(&self.call, request).await?;
        if wants_final {
            answered.parameters.insert(IS_FINAL.to_owned(), truth(true));
        }
        self.push(answered);
        Ok(())
    }

    /// The next piece of what a language model says, or the end of it.
    async fn say(&mut self) {
        let Some((generation, request)) = &mut self.generation else { return };
        let (model, id) = (request.model_name.clone(), request.id.clone());
        if let Some((_, piece)) = generation.next_piece().await {
            let text = Tensor::text("text_output", Piece::text(&piece));
            let mut answered = response(model, id, vec![text]);
            if wants_final(request) {
                answered.parameters.insert(IS_FINAL.to_owned(), truth(false));
            }
            self.push(answered);
            return;
        }
        let wants_final = wants_final(request);
        self.generation = None;
        if wants_final {
            let mut answered = response(model, id, Vec::new());
            answered.parameters.insert(IS_FINAL.to_owned(), truth(true));
            self.push(answered);
        }
    }

    fn push(&mut self, response: ModelInferResponse) {
        let reply = ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) };
        self.ready.push_back(reply);
    }
}

fn wants_final(request: &ModelInferRequest) -> bool {
    request.parameters.get(WANTS_FINAL).is_some_and(|parameter| parameter.choice == Some(Choice::Bool(true)))
}

fn truth(holds: bool) -> Parameter {
    Parameter { choice: Some(Choice::Bool(holds)) }
}

/// The messages of a call, as they come.
struct Messages {
    body: Incoming,
    received: BytesMut,
}

impl Messages {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(message) = take_message(&mut self.received)? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.received.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(Problem::bad_request(format!("the call breaks off: {error}"))),
                None if self.received.is_empty() => return Ok(None),
                None => return Err(Problem::bad_request("the call ends within a message")),
            }
        }
    }
}

/// A byte that says whether it is compressed, four of length, and the message.
fn take_message(received: &mut BytesMut) -> Result<Option<Bytes>, Problem> {
    let Some((head, rest)) = received.split_first_chunk::<5>() else { return Ok(None) };
    let [compressed, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    if compressed != 0 {
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "compressed messages are not read"));
    }
    if length > MESSAGE_BYTES_MAX {
        return Err(Problem::bad_request(format!("a message has more than {MESSAGE_BYTES_MAX} bytes")));
    }
    if rest.len() < length {
        return Ok(None);
    }
    received.advance(5);
    Ok(Some(received.split_to(length).freeze()))
}

fn read<M: Message + Default>(message: Bytes) -> Result<M, Problem> {
    M::decode(message).map_err(|error| Problem::bad_request(format!("the message cannot be read: {error}")))
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

fn headed(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// An answer that is nothing but its status.
pub(crate) fn refused(problem: &Problem) -> Response<Body> {
    let mut response = headed(empty(StatusCode::OK));
    response.headers_mut().extend(status(code(problem.status), &problem.message));
    response
}

fn status(code: u16, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", code.into());
    let percent = |byte: u8| match byte {
        b' '..=b'$' | b'&'..=b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    if let Ok(message) = HeaderValue::try_from(message.bytes().map(percent).collect::<String>())
        && !message.is_empty()
    {
        headers.insert("grpc-message", message);
    }
    headers
}

/// The code of gRPC that says what a status of HTTP does.
fn code(status: StatusCode) -> u16 {
    match status.as_u16() {
        404 => 5,
        429 => 8,
        501 => 12,
        503 => 14,
        400..=499 => 3,
        _ => 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_when_it_is_whole() {
        let whole = framed(&ModelName { name: "simple".to_owned(), version: String::new() });
        for length in 0..whole.len() {
            let mut received = BytesMut::from(whole.get(..length).unwrap());
            assert_eq!(take_message(&mut received), Ok(None), "{length}");
        }
        let mut received = BytesMut::from([whole.clone(), whole].concat().as_slice());
        for _ in 0..2 {
            let message = take_message(&mut received).unwrap().unwrap();
            assert_eq!(read::<ModelName>(message).unwrap().name, "simple");
        }
        assert!(received.is_empty());
    }

    #[test]
    fn what_is_too_long_or_compressed_is_refused() {
        assert!(take_message(&mut BytesMut::from(&[0, 255, 255, 255, 255][..])).is_err());
        assert!(take_message(&mut BytesMut::from(&[1, 0, 0, 0, 0][..])).is_err());
    }
}
