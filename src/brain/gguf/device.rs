//! The forward pass of Llama and Qwen2 models on a device of candle's: a GPU.

use candle_core::{
    DType, Device, Module, Result, Tensor, bail,
    quantized::{QMatMul, QTensor},
};
use candle_nn::{ops, rotary_emb};

use super::{
    blocks,
    file::GgufFile,
    sequence::{Cache, DeviceCache, Sequence},
    shape::{Family, ModelShape},
};
use crate::brain::BrainError;

/// Tokens computed at once while a prompt is read. Long enough for the kernels, short enough to be broken off.
const CHUNK: usize = 64;

/// A model's weights on a device.
pub(super) struct DeviceModel {
    shape: ModelShape,
    device: Device,
    embedding: QTensor,
    layers: Vec<Layer>,
    norm: Tensor,
    output: Linear,
    /// Rotary angles, `[context, head / 2]`.
    cosines: Tensor,
    sines: Tensor,
}

struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    feed_forward_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

struct Linear {
    weight: QMatMul,
    rows: usize,
    bias: Option<Tensor>,
}

impl Linear {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.weight.forward(input)?;
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }
}

impl DeviceModel {
    /// Copies the weights of a file to the device; `context` is the longest sequence there will be.
    pub fn load(
        file: &GgufFile,
        shape: ModelShape,
        context: usize,
        device: &Device,
    ) -> std::result::Result<Self, BrainError> {
        let loader = Loader { file, device };
        let (hidden, heads, kv_heads, head) = (shape.hidden, shape.heads, shape.kv_heads, shape.head);
        let feed_forward = file.place("blk.0.ffn_up.weight")?.dims[0];
        let mut layers = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let linear = |part: &str, rows, columns| {
                let name = format!("blk.{layer}.{part}");
                loader.linear(&format!("{name}.weight"), &format!("{name}.bias"), rows, columns)
            };
            let query = linear("attn_q", heads * head, hidden)?;
            let key = linear("attn_k", kv_heads * head, hidden)?;
            let value = linear("attn_v", kv_heads * head, hidden)?;
            let attention_output = linear("attn_output", hidden, heads * head)?;
            let gate = linear("ffn_gate", feed_forward, hidden)?;
            let up = linear("ffn_up", feed_forward, hidden)?;
            let down = linear("ffn_down", hidden, feed_forward)?;
            layers.push(Layer {
                attention_norm: loader.vector(&format!("blk.{layer}.attn_norm.weight"), hidden)?,
                query,
                key,
                value,
                attention_output,
                feed_forward_norm: loader.vector(&format!("blk.{layer}.ffn_norm.weight"), hidden)?,
                gate,
                up,
                down,
            });
        }
        let place = file.place("token_embd.weight")?;
        let &[vocabulary, width] = place.dims.as_slice() else {
            return Err(file.malformed("its `token_embd.weight` is not a matrix"));
        };
        if width != hidden {
            return Err(file.malformed(format!("its embedding is {width} wide, the model {hidden}")));
        }
        let output = if file.has("output.weight") { "output.weight" } else { "token_embd.weight" };
        let output = loader.linear(output, "output.bias", vocabulary, hidden)?;
        let norm = loader.vector("output_norm.weight", hidden)?;
        let embedding = blocks::tensor(file, &place, device)?;
        let (cosines, sines) = loader.angles(&shape, context)?;
        Ok(Self { shape, device: device.clone(), embedding, layers, norm, output, cosines, sines })
    }

    /// Room for a conversation.
    pub fn cache(&self) -> Result<Cache> {
        let ModelShape { kv_heads, head, .. } = self.shape;
        let empty = |tokens| Tensor::zeros((kv_heads, tokens, head), DType::F32, &self.device);
        Ok(Cache::Device(DeviceCache::new(self.shape.layers, empty)?))
    }

    /// How many logits there are.
    pub fn vocabulary(&self) -> usize {
        self.output.rows
    }

    /// See [`super::model::Model::advance`].
    pub fn advance(&self, sequence: &mut Sequence, tokens: &[u32], check: &dyn Fn() -> Result<()>) -> Result<Vec<f32>> {
        let mut last = None;
        for chunk in tokens.chunks(CHUNK) {
            let start = sequence.tokens().len();
            let Cache::Device(cache) = &mut sequence.cache else { bail!("the sequence is another device's") };
            cache.reserve(start + chunk.len())?;
            let hidden = self.chunk(cache, start, chunk, check)?;
            sequence.extend(chunk);
            last = Some(hidden.narrow(0, chunk.len() - 1, 1)?);
        }
        let Some(last) = last else { bail!("there is no token to go on from") };
        let last = ops::rms_norm(&last.contiguous()?, &self.norm, self.shape.norm_epsilon as f32)?;
        self.output.forward(&last)?.flatten_all()?.to_vec1()
    }

    /// The hidden states `[tokens, hidden]` of a run of new tokens.
    fn chunk(
        &self,
        cache: &DeviceCache,
        start: usize,
        tokens: &[u32],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Tensor> {
        let new = tokens.len();
        let ids = Tensor::new(tokens, &self.device)?;
        let cosines = self.cosines.narrow(0, start, new)?;
        let sines = self.sines.narrow(0, start, new)?;
        let mask = if new > 1 { Some(causal_mask(start, new, &self.device)?) } else { None };
        let mut hidden = self.embedding.embedding(&ids)?;
        for (at, layer) in self.layers.iter().enumerate() {
            check()?;
            let normed = ops::rms_norm(&hidden, &layer.attention_norm, self.shape.norm_epsilon as f32)?;
            let attended = self.attend((at, layer), (cache, start), &normed, (&cosines, &sines), mask.as_ref())?;
            hidden = (hidden + attended)?;
            let normed = ops::rms_norm(&hidden, &layer.feed_forward_norm, self.shape.norm_epsilon as f32)?;
            let (gate, up) = (layer.gate.forward(&normed)?, layer.up.forward(&normed)?);
            hidden = (hidden + layer.down.forward(&(gate.silu()? * up)?)?)?;
        }
        Ok(hidden)
    }

    fn attend(
        &self,
        (at, layer): (usize, &Layer),
        (cache, start): (&DeviceCache, usize),
        input: &Tensor,
        (cosines, sines): (&Tensor, &Tensor),
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        let ModelShape { heads, kv_heads, head, .. } = self.shape;
        let new = input.dim(0)?;
        let [query, key, value] = [&layer.query, &layer.key, &layer.value].map(|linear| linear.forward(input));
        let (query, key, value) = (query?, key?, value?);
        let by_head = |states: Tensor, heads| states.reshape((new, heads, head))?.transpose(0, 1)?.contiguous();
        let rotate = |states: Tensor| {
            let states = states.unsqueeze(0)?;
            let rotated = match self.shape.family {
                Family::Llama => rotary_emb::rope_i(&states, cosines, sines),
                Family::Qwen2 => rotary_emb::rope(&states, cosines, sines),
            };
            rotated?.squeeze(0)
        };
        let query = rotate(by_head(query, heads)?)?;
        let key = rotate(by_head(key, kv_heads)?)?;
        let (keys, values) = cache.write(at, start, &key, &by_head(value, kv_heads)?)?;

        // The query heads that share keys are stacked as rows, so that keys and values are never repeated.
        let sharing = heads / kv_heads;
        let query = (query * (head as f64).sqrt().recip())?.reshape((kv_heads, sharing * new, head))?;
        let scores = query.matmul(&keys.transpose(1, 2)?)?;
        let scores = match mask {
            Some(mask) => {
                scores.reshape((heads, new, ()))?.broadcast_add(mask)?.reshape((kv_heads, sharing * new, ()))?
            }
            None => scores,
        };
        let attended = ops::softmax_last_dim(&scores)?.matmul(&values)?;
        let attended = attended.reshape((heads, new, head))?.transpose(0, 1)?.reshape((new, heads * head))?;
        layer.attention_output.forward(&attended)
    }
}

/// Minus infinity where a new token would look at a later one, `[new, start + new]`.
fn causal_mask(start: usize, new: usize, device: &Device) -> Result<Tensor> {
    let hidden = |row: usize, column: usize| if column > start + row { f32::NEG_INFINITY } else { 0.0 };
    let mask = (0..new).flat_map(|row| (0..start + new).map(move |column| hidden(row, column)));
    Tensor::from_vec(mask.collect(), (new, start + new), device)
}

/// Reads weights by name.
struct Loader<'a> {
    file: &'a GgufFile,
    device: &'a Device,
}

impl Loader<'_> {
    fn linear(&self, source: &str, bias: &str, rows: usize, columns: usize) -> std::result::Result<Linear, BrainError> {
        let place = self.file.place(source)?;
        if place.dims != [rows, columns] {
            let dims = &place.dims;
            return Err(self.file.malformed(format!("tensor `{source}` is {dims:?}, not [{rows}, {columns}]")));
        }
        let weight = blocks::tensor(self.file, &place, self.device)?;
        let bias = if self.file.has(bias) { Some(self.vector(bias, rows)?) } else { None };
        Ok(Linear { weight: QMatMul::from_qtensor(weight)?, rows, bias })
    }

    fn vector(&self, name: &str, length: usize) -> std::result::Result<Tensor, BrainError> {
        let place = self.file.place(name)?;
        if place.dims != [length] {
            return Err(self.file.malformed(format!("tensor `{name}` is {:?}, not [{length}]", place.dims)));
        }
        Ok(blocks::tensor(self.file, &place, &Device::Cpu)?.dequantize(self.device)?)
    }

    /// Cosines and sines of the rotary angles (Su et al. 2021), with the per-frequency factors that Llama 3 files carry.
    fn angles(&self, shape: &ModelShape, context: usize) -> std::result::Result<(Tensor, Tensor), BrainError> {
        let half = shape.head / 2;
        let factors = if self.file.has("rope_freqs.weight") {
            self.vector("rope_freqs.weight", half)?.to_device(&Device::Cpu)?.to_vec1::<f32>()?
        } else {
            vec![1.0; half]
        };
        let frequency = |at: usize| {
            let exponent = 2.0 * at as f64 / shape.head as f64;
            shape.rope_base.powf(-exponent) / f64::from(factors[at]) / shape.rope_scale
        };
        let frequencies: Vec<f64> = (0..half).map(frequency).collect();
        let angles: Vec<f64> = (0..context)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f64 * frequency))
            .collect();
        let table = |function: fn(f64) -> f64| {
            let values: Vec<f32> = angles.iter().map(|angle| function(*angle) as f32).collect();
            Tensor::from_vec(values, (context, half), self.device)
        };
        Ok((table(f64::cos)?, table(f64::sin)?))
    }
}
