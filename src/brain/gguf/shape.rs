//! The dimensions of a model, read from its metadata and checked.

use super::file::GgufFile;
use crate::brain::BrainError;

/// The families of models that the forward pass knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Llama, Mistral, SmolLM2, …: rotary pairs lie side by side (`llama.cpp` permutes the weights so).
    Llama,
    /// Qwen2 and Qwen2.5: biases on q, k and v; rotary pairs lie half a head apart.
    Qwen2,
}

/// The dimensions of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelShape {
    pub family: Family,
    pub layers: usize,
    pub hidden: usize,
    pub heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    pub head: usize,
    /// The longest sequence the model was trained on.
    pub context: usize,
    pub rope_base: f64,
    /// Positions are divided by this.
    pub rope_scale: f64,
    pub norm_epsilon: f64,
}

impl ModelShape {
    /// Reads a file's dimensions.
    pub fn read(file: &GgufFile) -> Result<Self, BrainError> {
        let architecture = file.text("general.architecture").unwrap_or("unnamed");
        let family = match architecture {
            "llama" => Family::Llama,
            "qwen2" => Family::Qwen2,
            found => return Err(BrainError::Architecture { path: file.path().into(), found: found.into() }),
        };
        let unsupported = |what: String| BrainError::Unsupported { path: file.path().into(), what };
        let optional = |key: &str| file.integer(&format!("{architecture}.{key}")).map(|value| value as usize);
        let required = |key: &str| {
            let value = optional(key).filter(|value| (1..=1 << 24).contains(value));
            value.ok_or_else(|| file.malformed(format!("its `{architecture}.{key}` is missing or out of range")))
        };
        let float = |key: &str| file.float(&format!("{architecture}.{key}")).filter(|value| value.is_finite());

        let (hidden, heads) = (required("embedding_length")?, required("attention.head_count")?);
        let kv_heads = if file.value(&format!("{architecture}.attention.head_count_kv")).is_some() {
            required("attention.head_count_kv")?
        } else {
            heads
        };
        let head = optional("attention.key_length").unwrap_or(hidden / heads);
        if !heads.is_multiple_of(kv_heads) || head == 0 || !head.is_multiple_of(2) {
            let reason = format!("{heads} heads of {head} cannot share {kv_heads} heads of keys and values");
            return Err(file.malformed(reason));
        }
        let rotated = optional("rope.dimension_count").unwrap_or(head);
        let valued = optional("attention.value_length").unwrap_or(head);
        if rotated != head || valued != head {
            return Err(unsupported(format!("heads of {head} with {rotated} rotated and {valued} valued dimensions")));
        }
        let experts = optional("expert_count").unwrap_or(0);
        if experts > 0 {
            return Err(unsupported(format!("a mixture of {experts} experts")));
        }
        let scaling = file.text(&format!("{architecture}.rope.scaling.type")).unwrap_or("none");
        let rope_scale = match scaling {
            "none" => 1.0,
            "linear" => float("rope.scaling.factor").unwrap_or(1.0),
            other => return Err(unsupported(format!("rotary embeddings scaled by `{other}`"))),
        };
        Ok(Self {
            family,
            layers: required("block_count")?,
            hidden,
            heads,
            kv_heads,
            head,
            context: required("context_length")?,
            rope_base: float("rope.freq_base").unwrap_or(10_000.0),
            rope_scale: if rope_scale > 0.0 { rope_scale } else { 1.0 },
            norm_epsilon: float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
        })
    }
}
