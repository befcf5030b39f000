//! The network: an audio encoder and a text decoder (Radford et al. 2022), for one utterance at a time.
//!
//! Activations are `[positions, width]` without a batch dimension. The encoder runs over the audio there is, not over the
//! thirty seconds it was trained on: its positions are narrowed with the input. Weights are f32 throughout: eight bits
//! make a token four times as fast at best, but candle's eight-bit kernels wait for one another in a spinning
//! barrier, and on busy cores (a renderer, a game) the same token takes four times as long.

use std::path::Path;

use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::{Conv1d, Conv1dConfig, LayerNorm, Linear, VarBuilder, conv1d, kv_cache::KvCache, layer_norm, ops};
use serde::Deserialize;

use crate::hearing::HearingError;

const EPSILON: f64 = 1e-5;
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
    pub fn check(&self) -> std::result::Result<(), String> {
        let heads = [self.encoder_attention_heads, self.decoder_attention_heads];
        if heads.iter().any(|heads| *heads == 0 || !self.d_model.is_multiple_of(*heads)) {
            return Err(format!("a width of {} does not divide among {heads:?} heads", self.d_model));
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
    /// Speech → states.
    encoder: Encoder,
    /// States and tokens → logits.
    pub decoder: Decoder,
    /// The encoder's states of [`AT_LEAST`] positions of silence.
    silence: Tensor,
}

impl Model {
    /// Loads `model.safetensors`.
    ///
    /// # Errors
    /// [`HearingError::Model`] when the file is missing, damaged, or of other shapes.
    pub fn load(path: &Path, shapes: &Shapes) -> std::result::Result<Self, HearingError> {
        let failed = |reason: String| HearingError::Model { path: path.into(), reason };
        let file = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let weights = VarBuilder::from_buffered_safetensors(file, DType::F32, &Device::Cpu);
        let weights = weights.map_err(|error| failed(error.to_string()))?.pp("model");
        let load = || {
            let encoder = Encoder::load(weights.pp("encoder"), shapes)?;
            let silence = Tensor::full(SILENCE, (shapes.num_mel_bins, 2 * AT_LEAST), &Device::Cpu)?;
            let silence = encoder.forward(&silence, &mut || Ok::<(), candle_core::Error>(()))?;
            Ok(Self { encoder, decoder: Decoder::load(weights.pp("decoder"), shapes)?, silence })
        };
        load().map_err(|error: candle_core::Error| failed(error.to_string()))
    }

    /// A spectrogram `[bins, frames]` → states `[positions, width]`, followed by those of silence if they are few: these
    /// cost the encoder nothing, for they are the same each time.
    pub fn hear<E: From<candle_core::Error>>(
        &self,
        mel: &Tensor,
        check: &mut dyn FnMut() -> std::result::Result<(), E>,
    ) -> std::result::Result<Tensor, E> {
        let states = self.encoder.forward(mel, check)?;
        let heard = states.dim(0)?;
        if heard >= AT_LEAST {
            return Ok(states);
        }
        Ok(Tensor::cat(&[&states, &self.silence.narrow(0, heard, AT_LEAST - heard)?], 0)?)
    }
}

/// Stored linear layers of shape `(outputs, inputs)`, one after the other in a single one; a missing bias is zero.
fn linear(weights: &VarBuilder, names: &[&str], shape: (usize, usize)) -> Result<Linear> {
    let part = |name: &&str| {
        let weights = weights.pp(name);
        let bias = if weights.contains_tensor("bias") {
            weights.get(shape.0, "bias")?
        } else {
            Tensor::zeros(shape.0, weights.dtype(), weights.device())?
        };
        Ok((weights.get(shape, "weight")?, bias))
    };
    let (weight, bias): (Vec<_>, Vec<_>) = names.iter().map(part).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(Linear::new(Tensor::cat(&weight, 0)?, Some(Tensor::cat(&bias, 0)?)))
}

/// Multi-head attention.
struct Attention {
    query: Linear,
    key_value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    fn load(weights: VarBuilder, width: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            query: linear(&weights, &["q_proj"], (width, width))?,
            key_value: linear(&weights, &["k_proj", "v_proj"], (width, width))?,
            output: linear(&weights, &["out_proj"], (width, width))?,
            heads,
        })
    }

    /// `[positions, width]` → `[heads, positions, width / heads]`.
    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (positions, width) = x.dims2()?;
        x.reshape((positions, self.heads, width / self.heads))?.transpose(0, 1)?.contiguous()
    }

    fn keys_and_values(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let both = self.key_value.forward(x)?;
        let width = both.dim(D::Minus1)? / 2;
        Ok((self.split(&both.narrow(1, 0, width)?)?, self.split(&both.narrow(1, width, width)?)?))
    }

    fn forward(&self, x: &Tensor, keys: &Tensor, values: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (positions, width) = x.dims2()?;
        let scale = ((width / self.heads) as f64).powf(-0.5);
        let queries = self.split(&(self.query.forward(x)? * scale)?)?;
        let mut scores = queries.matmul(&keys.transpose(1, 2)?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let mixed = ops::softmax_last_dim(&scores)?.matmul(values)?;
        self.output.forward(&mixed.transpose(0, 1)?.contiguous()?.reshape((positions, width))?)
    }
}

/// The two linear layers that end a block, with their norm; the residual is included.
struct FeedForward {
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl FeedForward {
    fn load(weights: &VarBuilder, width: usize) -> Result<Self> {
        Ok(Self {
            norm: layer_norm(width, EPSILON, weights.pp("final_layer_norm"))?,
            up: linear(weights, &["fc1"], (4 * width, width))?,
            down: linear(weights, &["fc2"], (width, 4 * width))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x + self.down.forward(&self.up.forward(&self.norm.forward(x)?)?.gelu_erf()?)?
    }
}

/// The audio side.
pub struct Encoder {
    convolutions: [Conv1d; 2],
    positions: Tensor,
    layers: Vec<(LayerNorm, Attention, FeedForward)>,
    norm: LayerNorm,
}

impl Encoder {
    fn load(weights: VarBuilder, shapes: &Shapes) -> Result<Self> {
        let width = shapes.d_model;
        let convolution = |inputs, stride, name| {
            let config = Conv1dConfig { padding: 1, stride, ..Default::default() };
            conv1d(inputs, width, 3, config, weights.pp(name))
        };
        let layer = |index| {
            let weights = weights.pp("layers").pp(index);
            Ok((
                layer_norm(width, EPSILON, weights.pp("self_attn_layer_norm"))?,
                Attention::load(weights.pp("self_attn"), width, shapes.encoder_attention_heads)?,
                FeedForward::load(&weights, width)?,
            ))
        };
        Ok(Self {
            convolutions: [convolution(shapes.num_mel_bins, 1, "conv1")?, convolution(width, 2, "conv2")?],
            positions: weights.get((shapes.max_source_positions, width), "embed_positions.weight")?,
            layers: (0..shapes.encoder_layers).map(layer).collect::<Result<_>>()?,
            norm: layer_norm(width, EPSILON, weights.pp("layer_norm"))?,
        })
    }

    /// A spectrogram `[bins, frames]` → states `[frames / 2, width]`; `check` runs between layers and may end it.
    pub fn forward<E: From<candle_core::Error>>(
        &self,
        mel: &Tensor,
        check: &mut dyn FnMut() -> std::result::Result<(), E>,
    ) -> std::result::Result<Tensor, E> {
        let mut x = mel.unsqueeze(0)?;
        for convolution in &self.convolutions {
            x = convolution.forward(&x)?.gelu_erf()?;
        }
        let x = x.squeeze(0)?.t()?.contiguous()?;
        let mut x = (&x + self.positions.narrow(0, 0, x.dim(0)?)?)?;
        for (norm, attention, feed_forward) in &self.layers {
            check()?;
            let normed = norm.forward(&x)?;
            let (keys, values) = attention.keys_and_values(&normed)?;
            x = feed_forward.forward(&(x + attention.forward(&normed, &keys, &values, None)?)?)?;
        }
        Ok(self.norm.forward(&x)?)
    }
}

struct DecoderLayer {
    self_norm: LayerNorm,
    self_attention: Attention,
    cross_norm: LayerNorm,
    cross_attention: Attention,
    feed_forward: FeedForward,
}

/// The text side.
pub struct Decoder {
    embedding: Tensor,
    positions: Tensor,
    layers: Vec<DecoderLayer>,
    norm: LayerNorm,
    output: Linear,
}

/// What the decoder remembers of one window: the audio's keys and values, and those of the tokens so far.
pub struct Memory {
    audio: Vec<(Tensor, Tensor)>,
    said: Vec<KvCache>,
}

impl Memory {
    /// How many tokens have been taken in.
    pub fn tokens(&self) -> usize {
        self.said.first().map_or(0, |cache| cache.k_cache().current_seq_len())
    }

    /// Forgets the tokens, keeps the audio.
    pub fn rewind(&mut self) {
        self.said.iter_mut().for_each(KvCache::reset);
    }
}

impl Decoder {
    fn load(weights: VarBuilder, shapes: &Shapes) -> Result<Self> {
        let (width, heads) = (shapes.d_model, shapes.decoder_attention_heads);
        let layer = |index| {
            let weights = weights.pp("layers").pp(index);
            Ok(DecoderLayer {
                self_norm: layer_norm(width, EPSILON, weights.pp("self_attn_layer_norm"))?,
                self_attention: Attention::load(weights.pp("self_attn"), width, heads)?,
                cross_norm: layer_norm(width, EPSILON, weights.pp("encoder_attn_layer_norm"))?,
                cross_attention: Attention::load(weights.pp("encoder_attn"), width, heads)?,
                feed_forward: FeedForward::load(&weights, width)?,
            })
        };
        let embedding = weights.get((shapes.vocab_size, width), "embed_tokens.weight")?;
        Ok(Self {
            positions: weights.get((shapes.max_target_positions, width), "embed_positions.weight")?,
            layers: (0..shapes.decoder_layers).map(layer).collect::<Result<_>>()?,
            norm: layer_norm(width, EPSILON, weights.pp("layer_norm"))?,
            output: Linear::new(embedding.clone(), None),
            embedding,
        })
    }

    /// How many tokens fit, prompt included.
    pub fn capacity(&self) -> usize {
        self.positions.dims()[0]
    }

    /// Takes in what the encoder made of a window.
    pub fn listen(&self, states: &Tensor) -> Result<Memory> {
        let audio = self.layers.iter().map(|layer| layer.cross_attention.keys_and_values(states));
        let said = self.layers.iter().map(|_| KvCache::new(1, self.capacity())).collect();
        Ok(Memory { audio: audio.collect::<Result<_>>()?, said })
    }

    /// Takes in tokens after those in `memory`; gives the states of their positions, `[tokens, width]`.
    pub fn forward(&self, tokens: &[u32], memory: &mut Memory) -> Result<Tensor> {
        let (before, count) = (memory.tokens(), tokens.len());
        let device = self.embedding.device();
        let embedded = self.embedding.index_select(&Tensor::new(tokens, device)?, 0)?;
        let mut x = (embedded + self.positions.narrow(0, before, count)?)?;
        let mask = if count > 1 { Some(causal(before, count, device)?) } else { None };
        for ((layer, (audio_keys, audio_values)), said) in self.layers.iter().zip(&memory.audio).zip(&mut memory.said) {
            let normed = layer.self_norm.forward(&x)?;
            let (keys, values) = layer.self_attention.keys_and_values(&normed)?;
            let (keys, values) = said.append(&keys, &values)?;
            x = (x + layer.self_attention.forward(&normed, &keys, &values, mask.as_ref())?)?;
            let normed = layer.cross_norm.forward(&x)?;
            x = (x + layer.cross_attention.forward(&normed, audio_keys, audio_values, None)?)?;
            x = layer.feed_forward.forward(&x)?;
        }
        self.norm.forward(&x)
    }

    /// The logits over the vocabulary for the state at one position of [`Decoder::forward`]'s result.
    pub fn logits(&self, states: &Tensor, position: usize) -> Result<Vec<f32>> {
        self.output.forward(&states.narrow(0, position, 1)?)?.squeeze(0)?.to_vec1()
    }
}

/// `[count, before + count]`: zero where a token may look, −∞ at those after it.
fn causal(before: usize, count: usize, device: &Device) -> Result<Tensor> {
    let may_look = |row: usize, column: usize| if column <= before + row { 0.0 } else { f32::NEG_INFINITY };
    let mask = (0..count).flat_map(|row| (0..before + count).map(move |column| may_look(row, column)));
    Tensor::from_iter(mask, device)?.reshape((count, before + count))
}
