//! The models that answer KServe requests: two of tensors, and the server's language models.

use serde_json::{Value, json};

use super::tensor::{Datatype, Tensor};
use crate::{answer::Problem, simulator::State, speech::Ask};

/// A model, found by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Model {
    /// Answers each input with itself, under the name of an output.
    Identity,
    /// Triton's example `simple`: the sum and the difference of two tensors of integers.
    Simple,
    /// Answers `text_input` with `text_output`, in one piece or, decoupled, in many.
    Language(String),
}

/// A tensor that a model takes or gives.
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) datatype: Datatype,
    pub(crate) shape: &'static [i64],
}

const fn port(name: &'static str, datatype: Datatype, shape: &'static [i64]) -> Port {
    Port { name, datatype, shape }
}

impl Model {
    pub(crate) fn named(state: &State, name: &str) -> Result<Self, Problem> {
        match name {
            "identity" => Ok(Self::Identity),
            "simple" => Ok(Self::Simple),
            name if state.serves(name) => Ok(Self::Language(name.to_owned())),
            name => Err(Problem {
                message: format!("Request for unknown model: '{name}' is not found"),
                ..Problem::no_such_model(name)
            }),
        }
    }

    pub(crate) fn inputs(&self) -> &'static [Port] {
        const IDENTITY: [Port; 1] = [port("INPUT0", Datatype::Fp32, &[-1])];
        const SIMPLE: [Port; 2] =
            [port("INPUT0", Datatype::Int32, &[-1, 16]), port("INPUT1", Datatype::Int32, &[-1, 16])];
        const LANGUAGE: [Port; 2] = [port("text_input", Datatype::Bytes, &[1]), port("stream", Datatype::Bool, &[1])];
        match self {
            Self::Identity => &IDENTITY,
            Self::Simple => &SIMPLE,
            Self::Language(_) => &LANGUAGE,
        }
    }

    pub(crate) fn outputs(&self) -> &'static [Port] {
        const IDENTITY: [Port; 1] = [port("OUTPUT0", Datatype::Fp32, &[-1])];
        const SIMPLE: [Port; 2] =
            [port("OUTPUT0", Datatype::Int32, &[-1, 16]), port("OUTPUT1", Datatype::Int32, &[-1, 16])];
        const LANGUAGE: [Port; 1] = [port("text_output", Datatype::Bytes, &[-1])];
        match self {
            Self::Identity => &IDENTITY,
            Self::Simple => &SIMPLE,
            Self::Language(_) => &LANGUAGE,
        }
    }

    /// What a model of tensors makes of its inputs.
    pub(crate) fn compute(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Problem> {
        match self {
            Self::Identity => {
                let output =
                    |(index, input): (usize, &Tensor)| Tensor { name: format!("OUTPUT{index}"), ..input.clone() };
                Ok(inputs.iter().enumerate().map(output).collect())
            }
            Self::Simple => {
                let (first, second) = (input(inputs, "INPUT0")?, input(inputs, "INPUT1")?);
                if first.datatype != Datatype::Int32
                    || second.datatype != Datatype::Int32
                    || first.shape != second.shape
                {
                    return Err(Problem::bad_request("`simple` takes two tensors of INT32 and of one shape"));
                }
                let output = |name: &str, of: fn(i32, i32) -> i32| {
                    let pairs = first.int32().into_iter().zip(second.int32());
                    let bytes: Vec<u8> = pairs.flat_map(|(a, b)| of(a, b).to_le_bytes()).collect();
                    Tensor { name: name.to_owned(), bytes: bytes.into(), ..first.clone() }
                };
                Ok(vec![output("OUTPUT0", i32::wrapping_add), output("OUTPUT1", i32::wrapping_sub)])
            }
            Self::Language(_) => Err(Problem::bad_request("a language model says more than one thing")),
        }
    }

    /// What a language model is asked; `parameters` of the request may limit it.
    pub(crate) fn ask(
        &self,
        inputs: &[Tensor],
        max_tokens: Option<usize>,
        text: Option<String>,
    ) -> Result<Ask, Problem> {
        let Self::Language(model) = self else {
            return Err(Problem::bad_request("a model of tensors says nothing"));
        };
        let text_input = input(inputs, "text_input")?;
        let said = text_input.elements().first().map(|text| String::from_utf8_lossy(text).into_owned());
        let said = said.filter(|_| text_input.datatype == Datatype::Bytes);
        let said =
            said.ok_or_else(|| Problem::bad_request("`text_input` must be a tensor of BYTES with one element"))?;
        Ok(Ask {
            model: model.clone(),
            prompt: said.clone(),
            last_said: said,
            max_tokens,
            choices: 1,
            text,
            ..Ask::default()
        })
    }

    /// Its metadata in JSON.
    pub(crate) fn metadata(&self, name: &str) -> Value {
        let ports = |ports: &[Port]| -> Vec<Value> {
            let port = |port: &Port| json!({"name": port.name, "datatype": port.datatype.name(), "shape": port.shape});
            ports.iter().map(port).collect()
        };
        json!({
            "name": name, "versions": ["1"], "platform": "simulated",
            "inputs": ports(self.inputs()), "outputs": ports(self.outputs()),
        })
    }
}

fn input<'t>(inputs: &'t [Tensor], name: &str) -> Result<&'t Tensor, Problem> {
    let found = inputs.iter().find(|input| input.name == name);
    found.ok_or_else(|| Problem::bad_request(format!("the model needs an input named `{name}`")))
}
