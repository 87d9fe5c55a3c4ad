//! The forward pass of all-MiniLM-L6-v2: BERT of six layers, the mean of what they make of each piece, of length one.

use candle_core::{D, DType, Device, Error, IndexOp, Module, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, VarBuilder, embedding, layer_norm, linear, ops::softmax_last_dim};

/// Numbers of an embedding.
pub(super) const DIMENSIONS: usize = 384;
/// Pieces that the model knows.
pub(super) const PIECES: usize = 30_522;
/// The longest text that the model takes in, in pieces. What is longer is cut.
pub(super) const TEXT_PIECES_MAX: usize = 256;

const LAYERS: usize = 6;
const HEADS: usize = 12;
const INNER: usize = 1536;
const POSITIONS: usize = 512;
const EPSILON: f64 = 1e-12;

/// The weights.
#[derive(Debug)]
pub(super) struct Minilm {
    words: Embedding,
    /// Of each position, with that of the first of two texts, the only one here.
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: LayerNorm,
    wide: Linear,
    narrow: Linear,
    norm: LayerNorm,
}

impl Minilm {
    /// Reads the weights.
    pub(super) fn parse(file: Vec<u8>) -> Result<Self> {
        let weights = VarBuilder::from_buffered_safetensors(file, DType::F32, &Device::Cpu)?;
        let first = weights.pp("embeddings");
        let kinds = first.get((2, DIMENSIONS), "token_type_embeddings.weight")?;
        let positions = first.get((POSITIONS, DIMENSIONS), "position_embeddings.weight")?;
        let layers = (0..LAYERS).map(|at| Layer::parse(&weights.pp(format!("encoder.layer.{at}"))));
        Ok(Self {
            words: embedding(PIECES, DIMENSIONS, first.pp("word_embeddings"))?,
            positions: positions.broadcast_add(&kinds.i(0)?)?,
            norm: layer_norm(DIMENSIONS, EPSILON, first.pp("LayerNorm"))?,
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// The embedding of a text of these pieces.
    pub(super) fn embed(&self, pieces: &[u32]) -> Result<Vec<f32>> {
        let pieces = Tensor::new(pieces, &Device::Cpu)?;
        let count = pieces.dim(0)?;
        let mut now = self.norm.forward(&(self.words.forward(&pieces)? + self.positions.narrow(0, 0, count)?)?)?;
        for layer in &self.layers {
            now = layer.forward(&now)?;
        }
        let mean = now.mean(0)?;
        let length = mean.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
        let embedding: Vec<f32> = mean.to_vec1::<f32>()?.into_iter().map(|value| value / length).collect();
        if embedding.iter().all(|value| value.is_finite()) {
            Ok(embedding)
        } else {
            Err(Error::Msg("the embedding is not finite".into()))
        }
    }
}

impl Layer {
    fn parse(weights: &VarBuilder<'_>) -> Result<Self> {
        let own = |name: &str| linear(DIMENSIONS, DIMENSIONS, weights.pp(name));
        let norm = |name: &str| layer_norm(DIMENSIONS, EPSILON, weights.pp(name));
        Ok(Self {
            query: own("attention.self.query")?,
            key: own("attention.self.key")?,
            value: own("attention.self.value")?,
            attended: own("attention.output.dense")?,
            attended_norm: norm("attention.output.LayerNorm")?,
            wide: linear(DIMENSIONS, INNER, weights.pp("intermediate.dense"))?,
            narrow: linear(INNER, DIMENSIONS, weights.pp("output.dense"))?,
            norm: norm("output.LayerNorm")?,
        })
    }

    fn forward(&self, from: &Tensor) -> Result<Tensor> {
        let (count, _) = from.dims2()?;
        // Head by head, so that each attends for itself.
        let heads =
            |of: &Linear| of.forward(from)?.reshape((count, HEADS, DIMENSIONS / HEADS))?.transpose(0, 1)?.contiguous();
        let scale = 1.0 / ((DIMENSIONS / HEADS) as f64).sqrt();
        let alike = (heads(&self.query)?.matmul(&heads(&self.key)?.transpose(D::Minus2, D::Minus1)?)? * scale)?;
        let attended = softmax_last_dim(&alike)?.matmul(&heads(&self.value)?)?;
        let attended = attended.transpose(0, 1)?.reshape((count, DIMENSIONS))?;
        let attended = self.attended_norm.forward(&(self.attended.forward(&attended)? + from)?)?;
        let inner = self.wide.forward(&attended)?.gelu_erf()?;
        self.norm.forward(&(self.narrow.forward(&inner)? + attended)?)
    }
}
