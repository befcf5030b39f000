//! The BERT encoder (Devlin et al., arXiv:1810.04805), for vectors: no heads, no dropout, post-norm, exact GELU.
//!
//! The tokens of a whole batch stand one after another in one `[tokens, hidden]` matrix, so nothing is padded and every
//! weight is read once a batch; only attention looks at one sequence at a time.

use std::{ops::Range, path::Path};

use candle_core::{
    D, DType, Device, Module, Result, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
    safetensors::MmapedSafetensors,
};
use candle_nn::{LayerNorm, ops::softmax_last_dim};
use serde::Deserialize;

/// candle's fastest int8 kernels want rows of whole super-blocks; shorter rows are filled up with zeros.
const SUPER_BLOCK: usize = 256;

/// `config.json`, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct BertConfig {
    model_type: ModelType,
    /// The width of a vector.
    pub hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    /// The longest sequence, counted with what the model type reserves.
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    #[serde(default)]
    pad_token_id: usize,
    #[serde(rename = "hidden_act")]
    _hidden_act: Activation,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum ModelType {
    Bert,
    XlmRoberta,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Activation {
    Gelu,
}

impl BertConfig {
    /// RoBERTa counts positions from the one after the padding's.
    fn first_position(&self) -> usize {
        match self.model_type {
            ModelType::Bert => 0,
            ModelType::XlmRoberta => self.pad_token_id + 1,
        }
    }

    /// The most tokens a sequence may have.
    pub fn max_tokens(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }
}

/// The encoder. The word embeddings, most of the file, stay on disk and are read a row at a time.
pub struct Bert {
    config: BertConfig,
    weights: MmapedSafetensors,
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl Bert {
    /// Opens `model.safetensors` with the names of the original, in f32, f16 or bf16.
    ///
    /// # Errors
    /// candle's, when the file is damaged, a tensor is missing or its shape contradicts the configuration.
    pub fn open(path: &Path, config: &BertConfig) -> Result<Self> {
        let head_count = config.num_attention_heads;
        if head_count == 0 || !config.hidden_size.is_multiple_of(head_count) || config.max_tokens() < 3 {
            candle_core::bail!("{head_count} heads do not divide a width of {}", config.hidden_size);
        }
        // SAFETY: model files are written once, under another name, and moved into place.
        let weights = unsafe { MmapedSafetensors::new(path)? };
        let load = Loader { weights: &weights };
        let hidden = config.hidden_size;
        let word = weights.get(WORDS)?.shape().to_vec();
        if word != [config.vocab_size, hidden] {
            candle_core::bail!("{WORDS} has the shape {word:?}, not {:?}", [config.vocab_size, hidden]);
        }
        let positions =
            load.tensor("embeddings.position_embeddings.weight", &[config.max_position_embeddings, hidden])?;
        let types = load.tensor("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, hidden])?;
        // Every token is of type 0 and no other addend depends on what it is: one table for both.
        let positions = positions.broadcast_add(&types.get(0)?)?;
        let norm = load.norm("embeddings.LayerNorm", config)?;
        let layers =
            (0..config.num_hidden_layers).map(|layer| Layer::load(&load, layer, config)).collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), positions, norm, layers, weights })
    }

    /// The hidden states of the last layer, `[tokens, hidden]`, for sequences of token ids that stand one after another.
    ///
    /// # Errors
    /// An id outside the vocabulary, or a sequence that is empty or longer than [`BertConfig::max_tokens`].
    pub fn forward(&self, sequences: &[Vec<u32>]) -> Result<(Tensor, Vec<Range<usize>>)> {
        let mut ranges = Vec::with_capacity(sequences.len());
        let mut positions = Vec::new();
        for sequence in sequences {
            if sequence.is_empty() || sequence.len() > self.config.max_tokens() {
                candle_core::bail!("a sequence of {} tokens, not 1..={}", sequence.len(), self.config.max_tokens());
            }
            ranges.push(positions.len()..positions.len() + sequence.len());
            let first = self.config.first_position();
            positions.extend((first..first + sequence.len()).map(|position| position as u32));
        }
        let words = self.words(sequences)?;
        let positions = self.positions.index_select(&Tensor::new(positions, &Device::Cpu)?, 0)?;
        let mut states = self.norm.forward(&(words + positions)?)?;
        for layer in &self.layers {
            states = layer.forward(&states, &ranges)?;
        }
        Ok((states, ranges))
    }

    fn words(&self, sequences: &[Vec<u32>]) -> Result<Tensor> {
        let table = self.weights.get(WORDS)?;
        let hidden = self.config.hidden_size;
        let row = table.data().len() / self.config.vocab_size;
        let mut rows = Vec::new();
        let mut count = 0;
        for id in sequences.iter().flatten().map(|id| *id as usize) {
            let Some(bytes) = table.data().get(id * row..(id + 1) * row) else {
                candle_core::bail!("token {id} is outside the vocabulary of {}", self.config.vocab_size);
            };
            rows.extend_from_slice(bytes);
            count += 1;
        }
        let dtype = DType::try_from(table.dtype())?;
        Tensor::from_raw_buffer(&rows, dtype, &[count, hidden], &Device::Cpu)?.to_dtype(DType::F32)
    }
}

const WORDS: &str = "embeddings.word_embeddings.weight";

struct Loader<'a> {
    weights: &'a MmapedSafetensors,
}

impl Loader<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.weights.load(name, &Device::Cpu)?;
        if tensor.dims() != shape {
            candle_core::bail!("{name} has the shape {:?}, not {shape:?}", tensor.dims());
        }
        tensor.to_dtype(DType::F32)
    }

    fn norm(&self, name: &str, config: &BertConfig) -> Result<LayerNorm> {
        let [weight, bias] =
            ["weight", "bias"].map(|part| self.tensor(&format!("{name}.{part}"), &[config.hidden_size]));
        Ok(LayerNorm::new(weight?, bias?, config.layer_norm_eps))
    }

    /// One linear layer, or several of the same input in one.
    fn linear(&self, names: &[String], rows: usize, columns: usize, scales: Scales) -> Result<Linear> {
        let load = |part: &str, shape: &[usize]| -> Result<Tensor> {
            let parts: Vec<_> =
                names.iter().map(|name| self.tensor(&format!("{name}.{part}"), shape)).collect::<Result<_>>()?;
            Tensor::cat(&parts, 0)
        };
        Linear::new(&load("weight", &[rows, columns])?, load("bias", &[rows])?, scales)
    }
}

/// How finely the input of a linear layer is scaled before it is rounded to int8.
#[derive(Clone, Copy, PartialEq)]
enum Scales {
    /// Every 32 values have a scale.
    Fine,
    /// Every 256 values have a scale: twice as fast where the CPU has AVX-512 VNNI.
    Coarse,
}

/// x·Wᵀ + b with the weights as blocks of int8 (GGML's Q8_0).
struct Linear {
    weight: QMatMul,
    bias: Tensor,
    padding: usize,
}

impl Linear {
    fn new(weight: &Tensor, bias: Tensor, scales: Scales) -> Result<Self> {
        let columns = weight.dim(1)?;
        let padding = match scales {
            Scales::Fine => 0,
            Scales::Coarse => columns.next_multiple_of(SUPER_BLOCK) - columns,
        };
        let weight = QTensor::quantize(&weight.pad_with_zeros(1, 0, padding)?, GgmlDType::Q8_0)?;
        Ok(Self { weight: QMatMul::from_qtensor(weight)?, bias, padding })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = if self.padding == 0 {
            self.weight.forward(input)?
        } else {
            self.weight.forward(&input.pad_with_zeros(D::Minus1, 0, self.padding)?)?
        };
        output.broadcast_add(&self.bias)
    }
}

struct Layer {
    heads: usize,
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    norm: LayerNorm,
}

impl Layer {
    fn load(load: &Loader, layer: usize, config: &BertConfig) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let inputs = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Self {
            heads: config.num_attention_heads,
            // A few large channels of its input make this one sensitive: coarse scales cost 0.0006 of cosine, the rest 0.0002.
            query_key_value: load.linear(&inputs, hidden, hidden, Scales::Fine)?,
            attention_output: load.linear(&[name("attention.output.dense")], hidden, hidden, Scales::Coarse)?,
            attention_norm: load.norm(&name("attention.output.LayerNorm"), config)?,
            intermediate: load.linear(&[name("intermediate.dense")], inner, hidden, Scales::Coarse)?,
            output: load.linear(&[name("output.dense")], hidden, inner, Scales::Coarse)?,
            norm: load.norm(&name("output.LayerNorm"), config)?,
        })
    }

    fn forward(&self, states: &Tensor, ranges: &[Range<usize>]) -> Result<Tensor> {
        let inputs = self.query_key_value.forward(states)?;
        let attended = ranges.iter().map(|range| self.attend(&inputs.narrow(0, range.start, range.len())?));
        let attended = Tensor::cat(&attended.collect::<Result<Vec<_>>>()?, 0)?;
        let states = self.attention_norm.forward(&(states + self.attention_output.forward(&attended)?)?)?;
        let inner = self.intermediate.forward(&states)?.gelu_erf()?;
        self.norm.forward(&(&states + self.output.forward(&inner)?)?)
    }

    /// Self-attention over one sequence: `[tokens, 3 · hidden]` → `[tokens, hidden]`.
    fn attend(&self, inputs: &Tensor) -> Result<Tensor> {
        let (tokens, width) = inputs.dims2()?;
        let head = width / 3 / self.heads;
        // [3, heads, tokens, head]
        let inputs = inputs.reshape((tokens, 3, self.heads, head))?.permute((1, 2, 0, 3))?.contiguous()?;
        let [query, key, value] = [inputs.get(0)?, inputs.get(1)?, inputs.get(2)?];
        let scores = (query.matmul(&key.t()?)? * (head as f64).sqrt().recip())?;
        let attended = softmax_last_dim(&scores)?.matmul(&value)?;
        attended.transpose(0, 1)?.reshape((tokens, width / 3))
    }
}
