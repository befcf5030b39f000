//! The packed 4-bit multilingual-e5-small → safetensors under the names of the original, and its tokenizer.
//!
//! `e5-small-q4.bin` is little-endian: a header, the pieces of the Unigram tokenizer with their log-probabilities, a map of
//! the characters to normalise, and a directory of tensors that are f32 or blocks of GGML's Q4_0. Weights leave here as f16,
//! which rounds a dequantised block by less than 2⁻¹¹ of its values; norms, biases and positions stay f32, exactly.

mod charsmap;
mod packed;

use std::{
    collections::HashMap,
    fs::{self, File},
    path::Path,
};

use candle_core::{Device, Tensor};
use half::f16;
use memmap2::Mmap;
use serde_json::{Value, json};

use self::packed::{BLOCK, Dtype, Packed};
use super::ConvertError;

/// What the package calls its weights.
const SOURCE: &str = "e5-small-q4.bin";

/// Converts `raw/e5-small-q4.bin` to `out/model.safetensors`, `out/tokenizer.json` and `out/config.json`.
///
/// # Errors
/// [`ConvertError::Io`]; [`ConvertError::Malformed`] when the file is truncated or contradicts itself;
/// [`ConvertError::Unsupported`] for another format or version.
pub fn convert(raw: &Path, out: &Path, progress: &mut dyn FnMut(f32)) -> Result<(), ConvertError> {
    let source = raw.join(SOURCE);
    let file = File::open(&source).map_err(ConvertError::io(&source))?;
    // SAFETY: the file is read while it is mapped; whoever changes it meanwhile spoils a conversion that checksums catch.
    let bytes = unsafe { Mmap::map(&file) }.map_err(ConvertError::io(&source))?;
    let packed = Packed::parse(&source, &bytes)?;

    let tensors = tensors(&packed, progress)?;
    let target = out.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &target)
        .map_err(|error| ConvertError::io(&target)(std::io::Error::other(error)))?;
    write_json(&out.join("tokenizer.json"), &tokenizer(&packed))?;
    let settings = out.join("config.json");
    write_json(&settings, &config(&packed))?;
    // The weights' writer makes a file for its owner alone; they are no more secret than the rest.
    let permissions = fs::metadata(&settings).map_err(ConvertError::io(&settings))?.permissions();
    fs::set_permissions(&target, permissions).map_err(ConvertError::io(&target))?;
    progress(1.0);
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> Result<(), ConvertError> {
    fs::write(path, value.to_string()).map_err(ConvertError::io(path))
}

/// All tensors under the names that `BertModel` has in the original.
fn tensors(packed: &Packed, progress: &mut dyn FnMut(f32)) -> Result<HashMap<String, Tensor>, ConvertError> {
    let plan = plan(packed);
    let mut tensors = HashMap::with_capacity(plan.len());
    let total: usize = plan.iter().map(|(.., shape)| shape.iter().product::<usize>()).sum();
    let mut done = 0;
    for (from, to, shape) in plan {
        tensors.insert(to, tensor(packed, &from, &shape)?);
        done += shape.iter().product::<usize>();
        // The last share is for writing.
        progress(0.8 * done as f32 / total as f32);
    }
    Ok(tensors)
}

/// Which tensor becomes which: the name in the package, the name in the original, the shape.
fn plan(packed: &Packed) -> Vec<(String, String, Vec<usize>)> {
    let header = &packed.header;
    let (hidden, inner) = (header.hidden, header.intermediate);
    let mut plan: Vec<(String, String, Vec<usize>)> = [
        ("emb.word", "word_embeddings.weight", vec![header.vocabulary, hidden]),
        ("emb.pos", "position_embeddings.weight", vec![header.positions, hidden]),
        ("emb.type", "token_type_embeddings.weight", vec![header.token_types, hidden]),
        ("emb.ln.w", "LayerNorm.weight", vec![hidden]),
        ("emb.ln.b", "LayerNorm.bias", vec![hidden]),
    ]
    .map(|(from, to, shape)| (from.into(), format!("embeddings.{to}"), shape))
    .into();
    for layer in 0..header.layers {
        let parts = [
            ("q", "attention.self.query", hidden, Some(hidden)),
            ("k", "attention.self.key", hidden, Some(hidden)),
            ("v", "attention.self.value", hidden, Some(hidden)),
            ("ao", "attention.output.dense", hidden, Some(hidden)),
            ("aln", "attention.output.LayerNorm", hidden, None),
            ("fi", "intermediate.dense", inner, Some(hidden)),
            ("fo", "output.dense", hidden, Some(inner)),
            ("oln", "output.LayerNorm", hidden, None),
        ];
        for (from, to, rows, columns) in parts {
            let weight = [Some(rows), columns].into_iter().flatten().collect();
            plan.push((format!("l{layer}.{from}.w"), format!("encoder.layer.{layer}.{to}.weight"), weight));
            plan.push((format!("l{layer}.{from}.b"), format!("encoder.layer.{layer}.{to}.bias"), vec![rows]));
        }
    }
    plan
}

fn tensor(packed: &Packed, name: &str, shape: &[usize]) -> Result<Tensor, ConvertError> {
    let entry = packed.tensor(name)?;
    let count: usize = shape.iter().product();
    if entry.count != count {
        let reason = format!("tensor {name} has {} elements, but {shape:?} needs {count}", entry.count);
        return Err(packed.malformed(reason));
    }
    let made = match entry.dtype {
        Dtype::F32 => {
            let values: Vec<f32> = entry.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            if values.iter().any(|value| !value.is_finite()) {
                return Err(packed.malformed(format!("tensor {name} has values that are not finite")));
            }
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        Dtype::Q4_0 => {
            let mut values = Vec::with_capacity(count);
            for block in entry.bytes.as_chunks::<{ packed::BLOCK_BYTES }>().0 {
                if !f16::from_le_bytes([block[0], block[1]]).is_finite() {
                    return Err(packed.malformed(format!("tensor {name} has a scale that is not finite")));
                }
                values.extend(dequantise(block));
            }
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
    };
    made.map_err(|error| packed.malformed(format!("tensor {name}: {error}")))
}

/// A block's 32 values: an f16 scale, then 16 bytes whose low halves are the first 16 values and whose high halves the rest.
fn dequantise(block: &[u8; packed::BLOCK_BYTES]) -> [f16; BLOCK] {
    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
    std::array::from_fn(|i| {
        let byte = block[2 + i % 16];
        let quant = if i < 16 { byte & 0xf } else { byte >> 4 };
        f16::from_f32(scale * (f32::from(quant) - 8.0))
    })
}

/// The tokenizer in the form of the `tokenizers` library: the characters' map and single spaces, then Unigram over ▁-words.
fn tokenizer(packed: &Packed) -> Value {
    let header = &packed.header;
    let pieces = &packed.pieces;
    let token = |id: usize| json!([pieces[id].0, id]);
    let special = |id: usize| {
        json!({ "id": id, "content": pieces[id].0, "special": true,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false })
    };
    let named = |id: usize| json!({ "id": pieces[id].0, "ids": [id], "tokens": [pieces[id].0] });
    let sequence = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let [begin, end] =
        [header.begin, header.end].map(|id| json!({ "SpecialToken": { "id": token(id)[0], "type_id": 0 } }));
    let mut specials = vec![header.begin, header.pad, header.end, header.unknown];
    specials.sort_unstable();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": specials.into_iter().map(special).collect::<Vec<_>>(),
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Precompiled", "precompiled_charsmap": charsmap::encode(&packed.normalise) },
            { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " },
        ]},
        "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, sequence("A"), end],
            "pair": [begin, sequence("A"), end, end, sequence("B"), end],
            "special_tokens": { pieces[header.begin].0: named(header.begin), pieces[header.end].0: named(header.end) },
        },
        "decoder": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "model": {
            "type": "Unigram",
            "unk_id": header.unknown,
            "vocab": pieces,
            "byte_fallback": false,
        },
    })
}

fn config(packed: &Packed) -> Value {
    let header = &packed.header;
    // Through text, so that 1e-12 as f32 stays 1e-12.
    let epsilon: f64 = header.epsilon.to_string().parse().unwrap_or_default();
    json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": header.hidden,
        "num_hidden_layers": header.layers,
        "num_attention_heads": header.heads,
        "intermediate_size": header.intermediate,
        "vocab_size": header.vocabulary,
        "max_position_embeddings": header.positions,
        "type_vocab_size": header.token_types,
        "layer_norm_eps": epsilon,
        "pad_token_id": header.pad,
        "position_embedding_type": "absolute",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_dequantised_like_ggml_does() {
        let mut block = [0; packed::BLOCK_BYTES];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2] = 0xf0; // value 0 is −8 · ½, value 16 is 7 · ½
        block[17] = 0x19; // value 15 is 1 · ½, value 31 is −7 · ½
        let values = dequantise(&block).map(f16::to_f32);
        assert_eq!([values[0], values[16], values[15], values[31], values[1]], [-4.0, 3.5, 0.5, -3.5, -4.0]);
    }
}
