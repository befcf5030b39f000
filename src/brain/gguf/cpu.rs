//! The forward pass of Llama and Qwen2 models on the processor, by our own [kernels](crate::kernels).

use std::sync::OnceLock;

use candle_core::{Device, Result, bail};

use super::{
    blocks,
    file::{GgufFile, TensorPlace},
    sequence::{Cache, Sequence},
    shape::{Family, ModelShape},
};
use crate::{
    brain::BrainError,
    kernels::{
        Activations, GgmlType, KvCache, Mask, Matrix, Pairs, Pool, Product, Rope, attention, multiply, multiply_rows,
        rms_norm, silu_mul,
    },
};

/// Tokens computed at once while a prompt is read. Long enough for the kernels, short enough to be broken off.
const CHUNK: usize = 128;

/// A model's weights, packed for this machine.
pub(super) struct CpuModel {
    shape: ModelShape,
    pool: Pool,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// None when the embedding is used in the other direction.
    output: Option<Matrix>,
    rope: Rope,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Matrix,
    feed_forward_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

struct Linear {
    weight: Matrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    fn product<'a>(&'a self, out: &'a mut [f32]) -> Product<'a> {
        let product = Product::new(&self.weight, out);
        match &self.bias {
            Some(bias) => product.bias(bias),
            None => product,
        }
    }
}

/// The keys and values of one conversation, and the memory its forward passes work in.
pub(super) struct CpuCache {
    layers: Vec<KvCache>,
    scratch: Scratch,
}

/// Activations of a chunk: row after row, one a token. Kept, so that a token allocates nothing.
#[derive(Default)]
struct Scratch {
    hidden: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    quantised: Activations,
}

impl CpuModel {
    /// Packs the weights of a file; `context` is the longest sequence there will be.
    pub fn load(
        file: &GgufFile,
        shape: ModelShape,
        context: usize,
        threads: usize,
    ) -> std::result::Result<Self, BrainError> {
        let pool = Pool::new(threads);
        let (hidden, heads, kv_heads, head) = (shape.hidden, shape.heads, shape.kv_heads, shape.head);
        let feed_forward = *file.place("blk.0.ffn_up.weight")?.dims.first().unwrap_or(&0);
        let embedding = file.place("token_embd.weight")?;
        let &[vocabulary, width] = embedding.dims.as_slice() else {
            return Err(file.malformed("its `token_embd.weight` is not a matrix"));
        };
        if width != hidden {
            return Err(file.malformed(format!("its embedding is {width} wide, the model {hidden}")));
        }

        let mut wanted = vec![Wanted::new(file, "token_embd.weight", [vocabulary, hidden])?];
        if file.has("output.weight") {
            wanted.push(Wanted::new(file, "output.weight", [vocabulary, hidden])?);
        }
        for layer in 0..shape.layers {
            let parts = [
                ("attn_q", heads * head, hidden),
                ("attn_k", kv_heads * head, hidden),
                ("attn_v", kv_heads * head, hidden),
                ("attn_output", hidden, heads * head),
                ("ffn_gate", feed_forward, hidden),
                ("ffn_up", feed_forward, hidden),
                ("ffn_down", hidden, feed_forward),
            ];
            for (part, rows, columns) in parts {
                wanted.push(Wanted::new(file, &format!("blk.{layer}.{part}.weight"), [rows, columns])?);
            }
        }
        let mut packed = pack(&pool, file, &wanted)?.into_iter();
        let mut next = || packed.next().ok_or_else(|| file.malformed("a matrix was lost"));

        let embedding = next()?;
        let output = if file.has("output.weight") { Some(next()?) } else { None };
        let mut layers = Vec::with_capacity(shape.layers);
        for layer in 0..shape.layers {
            let bias = |part: &str, rows| {
                let name = format!("blk.{layer}.{part}.bias");
                file.has(&name).then(|| vector(file, &name, rows)).transpose()
            };
            layers.push(Layer {
                attention_norm: vector(file, &format!("blk.{layer}.attn_norm.weight"), hidden)?,
                query: Linear { weight: next()?, bias: bias("attn_q", heads * head)? },
                key: Linear { weight: next()?, bias: bias("attn_k", kv_heads * head)? },
                value: Linear { weight: next()?, bias: bias("attn_v", kv_heads * head)? },
                attention_output: next()?,
                feed_forward_norm: vector(file, &format!("blk.{layer}.ffn_norm.weight"), hidden)?,
                gate: next()?,
                up: next()?,
                down: next()?,
            });
        }
        let norm = vector(file, "output_norm.weight", hidden)?;
        let rope = rope(file, &shape, context)?;
        Ok(Self { shape, pool, embedding, layers, norm, output, rope })
    }

    /// How many logits there are.
    pub fn vocabulary(&self) -> usize {
        self.embedding.rows()
    }

    /// Room for a conversation.
    pub fn cache(&self) -> Cache {
        let layers = self.layers.iter().map(|_| KvCache::new(self.shape.kv_heads, self.shape.head)).collect();
        Cache::Cpu(Box::new(CpuCache { layers, scratch: Scratch::default() }))
    }

    /// See [`super::model::Model::advance`].
    pub fn advance(
        &self,
        sequence: &mut Sequence,
        tokens: &[u32],
        rows: Option<&[u32]>,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Vec<f32>> {
        if tokens.is_empty() {
            bail!("there is no token to go on from");
        }
        for chunk in tokens.chunks(CHUNK) {
            let start = sequence.tokens().len();
            let Cache::Cpu(cache) = &mut sequence.cache else { bail!("the sequence is another device's") };
            self.chunk(cache, start, chunk, check)?;
            sequence.extend(chunk);
        }
        let Cache::Cpu(cache) = &mut sequence.cache else { bail!("the sequence is another device's") };
        Ok(self.logits(&mut cache.scratch, rows))
    }

    /// The logits after the last row of the hidden states.
    fn logits(&self, scratch: &mut Scratch, rows: Option<&[u32]>) -> Vec<f32> {
        let hidden = self.shape.hidden;
        let last = &scratch.hidden[scratch.hidden.len() - hidden..];
        scratch.normed.resize(hidden, 0.0);
        rms_norm(&self.pool, last, &self.norm, self.shape.norm_epsilon as f32, &mut scratch.normed);
        scratch.quantised.quantise(self.pool.path(), hidden, &scratch.normed);
        let output = self.output.as_ref().unwrap_or(&self.embedding);
        let mut logits = vec![f32::NEG_INFINITY; output.rows()];
        match rows {
            None => multiply(&self.pool, &scratch.quantised, &mut [Product::new(output, &mut logits)]),
            Some(rows) => {
                let mut chosen = vec![0.0; rows.len()];
                multiply_rows(&self.pool, &scratch.quantised, output, rows, &mut chosen);
                rows.iter().zip(chosen).for_each(|(row, logit)| logits[*row as usize] = logit);
            }
        }
        logits
    }

    /// Leaves the hidden states of a run of new tokens in the scratch memory.
    fn chunk(&self, cache: &mut CpuCache, start: usize, tokens: &[u32], check: &dyn Fn() -> Result<()>) -> Result<()> {
        let ModelShape { hidden, heads, kv_heads, head, norm_epsilon, .. } = self.shape;
        let (pool, path, epsilon, new) = (&self.pool, self.pool.path(), norm_epsilon as f32, tokens.len());
        let CpuCache { layers: caches, scratch } = cache;
        let feed_forward = self.layers.first().map_or(0, |layer| layer.up.rows());
        scratch.resize(new, &self.shape, feed_forward);
        let Scratch { hidden: states, normed, query, key, value, attended, gate, up, quantised } = scratch;
        for (token, row) in tokens.iter().zip(states.chunks_exact_mut(hidden)) {
            let token = *token as usize;
            if token >= self.embedding.rows() {
                bail!("there is no token {token}: the vocabulary has {}", self.embedding.rows());
            }
            self.embedding.dequantise_row(token, row);
        }
        for (layer, cache) in self.layers.iter().zip(caches) {
            check()?;
            // What a pass that was broken off has left behind, or a conversation that was taken back.
            cache.truncate(start);
            rms_norm(pool, states, &layer.attention_norm, epsilon, normed);
            quantised.quantise(path, hidden, normed);
            let mut products = [layer.query.product(query), layer.key.product(key), layer.value.product(value)];
            multiply(pool, quantised, &mut products);
            self.rope.apply(pool, query, heads, head, start);
            self.rope.apply(pool, key, kv_heads, head, start);
            cache.append(path, key, value);
            attention(pool, cache, heads, (head as f32).sqrt().recip(), Mask::Causal, query, attended);
            quantised.quantise(path, heads * head, attended);
            multiply(pool, quantised, &mut [Product::new(&layer.attention_output, states).add()]);

            rms_norm(pool, states, &layer.feed_forward_norm, epsilon, normed);
            quantised.quantise(path, hidden, normed);
            multiply(pool, quantised, &mut [Product::new(&layer.gate, gate), Product::new(&layer.up, up)]);
            silu_mul(pool, gate, up);
            quantised.quantise(path, feed_forward, gate);
            multiply(pool, quantised, &mut [Product::new(&layer.down, states).add()]);
        }
        Ok(())
    }
}

impl Scratch {
    fn resize(&mut self, tokens: usize, shape: &ModelShape, feed_forward: usize) {
        let ModelShape { hidden, heads, kv_heads, head, .. } = *shape;
        for (memory, width) in [
            (&mut self.hidden, hidden),
            (&mut self.normed, hidden),
            (&mut self.query, heads * head),
            (&mut self.key, kv_heads * head),
            (&mut self.value, kv_heads * head),
            (&mut self.attended, heads * head),
            (&mut self.gate, feed_forward),
            (&mut self.up, feed_forward),
        ] {
            memory.resize(tokens * width, 0.0);
        }
    }
}

/// A matrix of the file that is to be packed.
struct Wanted {
    name: String,
    place: TensorPlace,
}

impl Wanted {
    fn new(file: &GgufFile, name: &str, dims: [usize; 2]) -> std::result::Result<Self, BrainError> {
        let place = file.place(name)?;
        if place.dims != dims {
            let found = &place.dims;
            return Err(file.malformed(format!("tensor `{name}` is {found:?}, not {dims:?}")));
        }
        Ok(Self { name: name.into(), place })
    }

    fn pack(&self, file: &GgufFile) -> std::result::Result<Matrix, BrainError> {
        let &[rows, columns] = self.place.dims.as_slice() else { return Err(file.malformed("a matrix was lost")) };
        if let Some(kind) = kernel_type(&self.place) {
            return Matrix::from_ggml(kind, rows, columns, file.bytes(&self.place))
                .map_err(|error| self.refused(file, error));
        }
        if !columns.is_multiple_of(32) {
            return Err(self.refused(file, format!("{columns} columns")));
        }
        // Rare types, such as Q2_K, become eight bits.
        let weights = blocks::tensor(file, &self.place, &Device::Cpu)?.dequantize(&Device::Cpu)?;
        Ok(Matrix::quantise(rows, columns, &weights.flatten_all()?.to_vec1::<f32>()?))
    }

    fn refused(&self, file: &GgufFile, error: impl ToString) -> BrainError {
        let what = format!("a matrix `{}` of another shape ({})", self.name, error.to_string());
        BrainError::Unsupported { path: file.path().into(), what }
    }
}

/// Packs matrices, several at a time, and drops the pages of the file that they came from.
fn pack(pool: &Pool, file: &GgufFile, wanted: &[Wanted]) -> std::result::Result<Vec<Matrix>, BrainError> {
    let packed: Vec<OnceLock<std::result::Result<Matrix, BrainError>>> =
        wanted.iter().map(|_| OnceLock::new()).collect();
    pool.run(wanted.len(), |at| {
        packed[at].get_or_init(|| wanted[at].pack(file));
    });
    let lost = || Err(file.malformed("a matrix was lost"));
    packed.into_iter().map(|slot| slot.into_inner().unwrap_or_else(lost)).collect()
}

fn kernel_type(place: &TensorPlace) -> Option<GgmlType> {
    use candle_core::quantized::GgmlDType as Candle;
    Some(match place.dtype {
        Candle::F32 => GgmlType::F32,
        Candle::F16 => GgmlType::F16,
        Candle::BF16 => GgmlType::BF16,
        Candle::Q4_0 => GgmlType::Q4_0,
        Candle::Q4_1 => GgmlType::Q4_1,
        Candle::Q5_0 => GgmlType::Q5_0,
        Candle::Q5_1 => GgmlType::Q5_1,
        Candle::Q8_0 => GgmlType::Q8_0,
        Candle::Q4K => GgmlType::Q4_K,
        Candle::Q5K => GgmlType::Q5_K,
        Candle::Q6K => GgmlType::Q6_K,
        Candle::Q8_1 | Candle::Q2K | Candle::Q3K | Candle::Q8K => return None,
    })
}

fn vector(file: &GgufFile, name: &str, length: usize) -> std::result::Result<Vec<f32>, BrainError> {
    let place = file.place(name)?;
    if place.dims != [length] {
        return Err(file.malformed(format!("tensor `{name}` is {:?}, not [{length}]", place.dims)));
    }
    Ok(blocks::tensor(file, &place, &Device::Cpu)?.dequantize(&Device::Cpu)?.to_vec1()?)
}

/// Rotary angles (Su et al. 2021), with the per-frequency factors that Llama 3 files carry.
fn rope(file: &GgufFile, shape: &ModelShape, context: usize) -> std::result::Result<Rope, BrainError> {
    let half = shape.head / 2;
    let factors =
        if file.has("rope_freqs.weight") { vector(file, "rope_freqs.weight", half)? } else { vec![1.0; half] };
    let factors: Vec<f32> = factors.iter().map(|factor| factor * shape.rope_scale as f32).collect();
    let pairs = match shape.family {
        Family::Llama => Pairs::Neighbours,
        Family::Qwen2 => Pairs::Halves,
    };
    Ok(Rope::with_factors(pairs, shape.head, shape.rope_base as f32, context, &factors))
}
