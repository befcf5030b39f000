//! The network: an audio encoder and a text decoder (Radford et al. 2022), for one utterance at a time.
//!
//! Activations are rows of `width` floats, one a position. The encoder runs over the audio there is, not over the thirty
//! seconds it was trained on. Weights are held in eight bits, and computed with by our own [kernels](crate::kernels).

use std::{path::Path, sync::Arc};

use candle_core::{DType, Device, Result as CandleResult};
use candle_nn::VarBuilder;
use serde::Deserialize;

use crate::{
    hearing::HearingError,
    kernels::{Activations, KvCache, Mask, Matrix, Pool, Product, attention, gelu, layer_norm, multiply},
};

const EPSILON: f32 = 1e-5;
/// Positions that the decoder is given at least: 10 s. It was trained on thirty, and takes the silence after the last word
/// for the end: with half a second of it, it went in circles in 8 of 32 short clips.
const AT_LEAST: usize = 500;
/// What the spectrogram of silence is beside speech of ordinary loudness: its floor, 8 below a peak of 1.6, scaled.
const SILENCE: f32 = -0.6;

/// The shapes of a model, from its `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Shapes {
    /// Width of the activations.
    pub d_model: usize,
    /// Bins of the spectrogram.
    pub num_mel_bins: usize,
    /// Tokens, special ones included.
    pub vocab_size: usize,
    /// Encoder positions: 1500, half the frames of 30 s.
    pub max_source_positions: usize,
    /// Decoder positions: 448.
    pub max_target_positions: usize,
    /// Depth and heads of either side.
    pub encoder_layers: usize,
    /// Heads of the encoder's attention.
    pub encoder_attention_heads: usize,
    /// Depth of the decoder.
    pub decoder_layers: usize,
    /// Heads of the decoder's attention.
    pub decoder_attention_heads: usize,
    /// Tokens that are never said: sounds, brackets, notes.
    #[serde(default)]
    pub suppress_tokens: Vec<u32>,
    /// Tokens that never come first.
    #[serde(default)]
    pub begin_suppress_tokens: Vec<u32>,
}

impl Shapes {
    /// Whether the model knows more than English: its vocabulary has one token more.
    pub fn multilingual(&self) -> bool {
        self.vocab_size >= 51_865
    }

    /// Whether the numbers can be those of a model; says which cannot.
    ///
    /// # Errors
    /// The reason, for the person.
    pub fn check(&self) -> Result<(), String> {
        let heads = [self.encoder_attention_heads, self.decoder_attention_heads];
        if heads.iter().any(|heads| *heads == 0 || !self.d_model.is_multiple_of(*heads)) {
            return Err(format!("a width of {} does not divide among {heads:?} heads", self.d_model));
        }
        if !self.d_model.is_multiple_of(32) {
            return Err(format!("a width of {} is not a multiple of 32", self.d_model));
        }
        let sizes = [self.d_model, self.num_mel_bins, self.vocab_size, self.encoder_layers, self.decoder_layers];
        if sizes.contains(&0) || self.max_source_positions < 1500 || self.max_target_positions < 64 {
            return Err(format!("these shapes hold no Whisper: {self:?}"));
        }
        Ok(())
    }
}

/// A loaded Whisper.
pub struct Model {
    encoder: Encoder,
    /// States and tokens → logits.
    pub decoder: Decoder,
    /// The encoder's states of [`AT_LEAST`] positions of silence.
    silence: Vec<f32>,
}

impl Model {
    /// Loads `model.safetensors`, to compute with `threads` threads.
    ///
    /// # Errors
    /// [`HearingError::Model`] when the file is missing, damaged, or of other shapes.
    pub fn load(path: &Path, shapes: &Shapes, threads: usize) -> Result<Self, HearingError> {
        let failed = |reason: String| HearingError::Model { path: path.into(), reason };
        let file = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let weights = VarBuilder::from_buffered_safetensors(file, DType::F32, &Device::Cpu);
        let weights = weights.map_err(|error| failed(error.to_string()))?.pp("model");
        let pool = Arc::new(Pool::new(threads));
        let load = || {
            let encoder = Encoder::load(weights.pp("encoder"), shapes, pool.clone())?;
            Ok((encoder, Decoder::load(weights.pp("decoder"), shapes, pool.clone())?))
        };
        let (encoder, decoder) = load().map_err(|error: candle_core::Error| failed(error.to_string()))?;
        let silence = vec![SILENCE; shapes.num_mel_bins * 2 * AT_LEAST];
        let silence = encoder.forward(&silence, &mut || Ok::<(), HearingError>(()))?;
        Ok(Self { encoder, decoder, silence })
    }

    /// A spectrogram `[bins, frames]` → states `[positions, width]`, followed by those of silence if they are few: these
    /// cost the encoder nothing, for they are the same each time. `check` runs between layers and may end it.
    pub fn hear<E>(&self, mel: &[f32], check: &mut dyn FnMut() -> Result<(), E>) -> Result<Vec<f32>, E> {
        let mut states = self.encoder.forward(mel, check)?;
        if states.len() < self.silence.len() {
            states.extend_from_slice(&self.silence[states.len()..]);
        }
        Ok(states)
    }
}

/// A matrix, packed, and its bias.
struct Linear {
    weight: Matrix,
    bias: Vec<f32>,
}

impl Linear {
    /// A stored layer of shape `(outputs, inputs)`; a missing bias is zero.
    fn load(weights: VarBuilder, (outputs, inputs): (usize, usize)) -> CandleResult<Self> {
        let weight = weights.get((outputs, inputs), "weight")?.flatten_all()?.to_vec1::<f32>()?;
        let bias =
            if weights.contains_tensor("bias") { vector(&weights, "bias", outputs)? } else { vec![0.0; outputs] };
        Ok(Self { weight: Matrix::quantise(outputs, inputs, &weight), bias })
    }

    fn to<'a>(&'a self, out: &'a mut [f32]) -> Product<'a> {
        Product::new(&self.weight, out).bias(&self.bias)
    }

    fn outputs(&self) -> usize {
        self.weight.rows()
    }
}

fn vector(weights: &VarBuilder, name: &str, length: usize) -> CandleResult<Vec<f32>> {
    weights.get(length, name)?.to_vec1()
}

/// What the layers of one side share while they compute.
struct Desk<'a> {
    pool: &'a Pool,
    quantised: Activations,
}

impl Desk<'_> {
    /// Applies layers with the same input, rows of their width.
    fn multiply(&mut self, width: usize, input: &[f32], products: &mut [Product]) {
        self.quantised.quantise(self.pool.path(), width, input);
        multiply(self.pool, &self.quantised, products);
    }
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Norm {
    fn load(weights: VarBuilder, width: usize) -> CandleResult<Self> {
        Ok(Self { weight: vector(&weights, "weight", width)?, bias: vector(&weights, "bias", width)? })
    }

    fn forward(&self, pool: &Pool, x: &[f32]) -> Vec<f32> {
        let mut normed = vec![0.0; x.len()];
        layer_norm(pool, x, &self.weight, &self.bias, EPSILON, &mut normed);
        normed
    }
}

/// Multi-head attention with the norm before it; the residual is included.
struct Attention {
    norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    fn load(norm: VarBuilder, weights: VarBuilder, width: usize, heads: usize) -> CandleResult<Self> {
        let linear = |name| Linear::load(weights.pp(name), (width, width));
        Ok(Self {
            norm: Norm::load(norm, width)?,
            query: linear("q_proj")?,
            key: linear("k_proj")?,
            value: linear("v_proj")?,
            output: linear("out_proj")?,
            heads,
        })
    }

    fn width(&self) -> usize {
        self.query.outputs()
    }

    /// An empty cache of keys and values.
    fn cache(&self) -> KvCache {
        KvCache::new(self.heads, self.width() / self.heads)
    }

    /// Keys and values of states that others look at.
    fn listen(&self, desk: &mut Desk, states: &[f32]) -> KvCache {
        let (mut keys, mut values) = (vec![0.0; states.len()], vec![0.0; states.len()]);
        desk.multiply(self.width(), states, &mut [self.key.to(&mut keys), self.value.to(&mut values)]);
        let mut cache = self.cache();
        cache.append(desk.pool.path(), &keys, &values);
        cache
    }

    /// Looks at itself: what `cache` holds and the new rows, which are added to it.
    fn look_at_self(&self, desk: &mut Desk, x: &mut [f32], cache: &mut KvCache, mask: Mask) {
        let normed = self.norm.forward(desk.pool, x);
        let [mut query, mut keys, mut values] = [(); 3].map(|()| vec![0.0; x.len()]);
        let mut products = [self.query.to(&mut query), self.key.to(&mut keys), self.value.to(&mut values)];
        desk.multiply(self.width(), &normed, &mut products);
        cache.append(desk.pool.path(), &keys, &values);
        self.mix(desk, x, &query, cache, mask);
    }

    /// Looks at what [`Attention::listen`] made.
    fn look_at(&self, desk: &mut Desk, x: &mut [f32], cache: &KvCache) {
        let normed = self.norm.forward(desk.pool, x);
        let mut query = vec![0.0; x.len()];
        desk.multiply(self.width(), &normed, &mut [self.query.to(&mut query)]);
        self.mix(desk, x, &query, cache, Mask::None);
    }

    fn mix(&self, desk: &mut Desk, x: &mut [f32], query: &[f32], cache: &KvCache, mask: Mask) {
        let scale = ((self.width() / self.heads) as f32).sqrt().recip();
        let mut mixed = vec![0.0; query.len()];
        attention(desk.pool, cache, self.heads, scale, mask, query, &mut mixed);
        desk.multiply(self.width(), &mixed, &mut [self.output.to(x).add()]);
    }
}

/// The two linear layers that end a block, with the norm before them; the residual is included.
struct FeedForward {
    norm: Norm,
    up: Linear,
    down: Linear,
}

impl FeedForward {
    fn load(weights: &VarBuilder, width: usize) -> CandleResult<Self> {
        Ok(Self {
            norm: Norm::load(weights.pp("final_layer_norm"), width)?,
            up: Linear::load(weights.pp("fc1"), (4 * width, width))?,
            down: Linear::load(weights.pp("fc2"), (width, 4 * width))?,
        })
    }

    fn forward(&self, desk: &mut Desk, x: &mut [f32]) {
        let width = self.down.outputs();
        let normed = self.norm.forward(desk.pool, x);
        let mut inner = vec![0.0; 4 * x.len()];
        desk.multiply(width, &normed, &mut [self.up.to(&mut inner)]);
        gelu(desk.pool, &mut inner);
        desk.multiply(4 * width, &inner, &mut [self.down.to(x).add()]);
    }
}

/// A convolution over three positions with one of padding at either end, as a matrix that is applied to three rows at once.
struct Convolution {
    linear: Linear,
    inputs: usize,
    stride: usize,
}

impl Convolution {
    fn load(weights: VarBuilder, inputs: usize, outputs: usize, stride: usize) -> CandleResult<Self> {
        let stored = weights.get((outputs, inputs, 3), "weight")?.flatten_all()?.to_vec1::<f32>()?;
        let columns = Self::columns(inputs);
        let mut weight = vec![0.0; outputs * columns];
        for (stored, row) in stored.chunks_exact(3 * inputs).zip(weight.chunks_exact_mut(columns)) {
            for (input, taps) in stored.chunks_exact(3).enumerate() {
                taps.iter().enumerate().for_each(|(at, tap)| row[at * inputs + input] = *tap);
            }
        }
        let bias = vector(&weights, "bias", outputs)?;
        Ok(Self { linear: Linear { weight: Matrix::quantise(outputs, columns, &weight), bias }, inputs, stride })
    }

    /// Three rows, filled with zeros to what the kernels take.
    fn columns(inputs: usize) -> usize {
        (3 * inputs).next_multiple_of(32)
    }

    /// Rows of `inputs` → rows of `outputs`, one for each `stride` of them.
    fn forward(&self, desk: &mut Desk, x: &[f32]) -> Vec<f32> {
        let (positions, columns) = (x.len() / self.inputs, Self::columns(self.inputs));
        let count = positions.div_ceil(self.stride);
        let mut windows = vec![0.0; count * columns];
        for (at, window) in windows.chunks_exact_mut(columns).enumerate() {
            for (tap, place) in window.chunks_exact_mut(self.inputs).take(3).enumerate() {
                let position = (at * self.stride + tap).checked_sub(1).filter(|position| *position < positions);
                if let Some(position) = position {
                    place.copy_from_slice(&x[position * self.inputs..][..self.inputs]);
                }
            }
        }
        let mut out = vec![0.0; count * self.linear.outputs()];
        desk.multiply(columns, &windows, &mut [self.linear.to(&mut out)]);
        gelu(desk.pool, &mut out);
        out
    }
}

/// The audio side.
struct Encoder {
    pool: Arc<Pool>,
    convolutions: [Convolution; 2],
    positions: Vec<f32>,
    layers: Vec<(Attention, FeedForward)>,
    norm: Norm,
}

impl Encoder {
    fn load(weights: VarBuilder, shapes: &Shapes, pool: Arc<Pool>) -> CandleResult<Self> {
        let width = shapes.d_model;
        let layer = |index| {
            let weights = weights.pp("layers").pp(index);
            let (norm, attention) = (weights.pp("self_attn_layer_norm"), weights.pp("self_attn"));
            Ok((
                Attention::load(norm, attention, width, shapes.encoder_attention_heads)?,
                FeedForward::load(&weights, width)?,
            ))
        };
        let positions = weights.get((shapes.max_source_positions, width), "embed_positions.weight")?;
        Ok(Self {
            pool,
            convolutions: [
                Convolution::load(weights.pp("conv1"), shapes.num_mel_bins, width, 1)?,
                Convolution::load(weights.pp("conv2"), width, width, 2)?,
            ],
            positions: positions.flatten_all()?.to_vec1()?,
            layers: (0..shapes.encoder_layers).map(layer).collect::<CandleResult<_>>()?,
            norm: Norm::load(weights.pp("layer_norm"), width)?,
        })
    }

    /// A spectrogram `[bins, frames]` → states `[frames / 2, width]`.
    fn forward<E>(&self, mel: &[f32], check: &mut dyn FnMut() -> Result<(), E>) -> Result<Vec<f32>, E> {
        let mut desk = Desk { pool: &self.pool, quantised: Activations::new() };
        let [first, second] = &self.convolutions;
        let frames = mel.len() / first.inputs;
        let across: Vec<f32> =
            (0..frames).flat_map(|frame| (0..first.inputs).map(move |bin| mel[bin * frames + frame])).collect();
        let x = first.forward(&mut desk, &across);
        let mut x = second.forward(&mut desk, &x);
        x.iter_mut().zip(&self.positions).for_each(|(x, position)| *x += position);
        for (attention, feed_forward) in &self.layers {
            check()?;
            attention.look_at_self(&mut desk, &mut x, &mut attention.cache(), Mask::None);
            feed_forward.forward(&mut desk, &mut x);
        }
        Ok(self.norm.forward(&self.pool, &x))
    }
}

struct DecoderLayer {
    said: Attention,
    audio: Attention,
    feed_forward: FeedForward,
}

/// The text side.
pub struct Decoder {
    pool: Arc<Pool>,
    embedding: Matrix,
    positions: Vec<f32>,
    layers: Vec<DecoderLayer>,
    norm: Norm,
}

/// What the decoder remembers of one window: the audio's keys and values, and those of the tokens so far.
pub struct Memory {
    audio: Vec<KvCache>,
    said: Vec<KvCache>,
}

impl Memory {
    /// How many tokens have been taken in.
    pub fn tokens(&self) -> usize {
        self.said.first().map_or(0, KvCache::len)
    }

    /// Forgets the tokens, keeps the audio.
    pub fn rewind(&mut self) {
        self.said.iter_mut().for_each(|cache| cache.truncate(0));
    }
}

impl Decoder {
    fn load(weights: VarBuilder, shapes: &Shapes, pool: Arc<Pool>) -> CandleResult<Self> {
        let (width, heads) = (shapes.d_model, shapes.decoder_attention_heads);
        let layer = |index| {
            let weights = weights.pp("layers").pp(index);
            let attention = |norm, name| Attention::load(weights.pp(norm), weights.pp(name), width, heads);
            Ok(DecoderLayer {
                said: attention("self_attn_layer_norm", "self_attn")?,
                audio: attention("encoder_attn_layer_norm", "encoder_attn")?,
                feed_forward: FeedForward::load(&weights, width)?,
            })
        };
        let embedding = weights.get((shapes.vocab_size, width), "embed_tokens.weight")?.flatten_all()?;
        let positions = weights.get((shapes.max_target_positions, width), "embed_positions.weight")?;
        Ok(Self {
            pool,
            embedding: Matrix::quantise(shapes.vocab_size, width, &embedding.to_vec1::<f32>()?),
            positions: positions.flatten_all()?.to_vec1()?,
            layers: (0..shapes.decoder_layers).map(layer).collect::<CandleResult<_>>()?,
            norm: Norm::load(weights.pp("layer_norm"), width)?,
        })
    }

    /// How many tokens fit, prompt included.
    pub fn capacity(&self) -> usize {
        self.positions.len() / self.embedding.columns()
    }

    /// Takes in what the encoder made of a window.
    pub fn listen(&self, states: &[f32]) -> Memory {
        let mut desk = Desk { pool: &self.pool, quantised: Activations::new() };
        Memory {
            audio: self.layers.iter().map(|layer| layer.audio.listen(&mut desk, states)).collect(),
            said: self.layers.iter().map(|layer| layer.said.cache()).collect(),
        }
    }

    /// Takes in tokens after those in `memory`; gives the logits over the vocabulary after the last.
    ///
    /// # Panics
    /// If there is no token, they are more than fit, or one is not of the vocabulary.
    pub fn forward(&self, tokens: &[u32], memory: &mut Memory) -> Vec<f32> {
        let width = self.embedding.columns();
        let mut desk = Desk { pool: &self.pool, quantised: Activations::new() };
        let mut x = vec![0.0; tokens.len() * width];
        for (token, row) in tokens.iter().zip(x.chunks_exact_mut(width)) {
            self.embedding.dequantise_row(*token as usize, row);
        }
        let positions = &self.positions[memory.tokens() * width..][..x.len()];
        x.iter_mut().zip(positions).for_each(|(x, position)| *x += position);
        for ((layer, audio), said) in self.layers.iter().zip(&memory.audio).zip(&mut memory.said) {
            layer.said.look_at_self(&mut desk, &mut x, said, Mask::Causal);
            layer.audio.look_at(&mut desk, &mut x, audio);
            layer.feed_forward.forward(&mut desk, &mut x);
        }
        let last = self.norm.forward(&self.pool, &x[x.len() - width..]);
        let mut logits = vec![0.0; self.embedding.rows()];
        desk.multiply(width, &last, &mut [Product::new(&self.embedding, &mut logits)]);
        logits
    }
}
