//! CTranslate2's Whisper (`raw/model.bin`, format 6, f16) → safetensors under the names of the published checkpoint.
//!
//! The file: version u32, specification's name, revision u32, number of variables u32, then for each variable its name,
//! rank u8, dimensions u32, element type u8, bytes u32 and the values; then aliases, which say nothing new. Names are a
//! u16 length (with the closing NUL) and bytes; all little-endian. Linear layers are fused there: `linear_0` of a
//! self-attention holds q, k and v one above the other, `linear_1` of a cross-attention k and v.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::Range,
    path::Path,
};

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::ConvertError;

const VERSION: u32 = 6;
/// CTranslate2's number for f16 among its element types.
const F16: u8 = 4;
const I16: u8 = 2;

/// Converts `raw/{model.bin, config.json, tokenizer.json}` into `out/{model.safetensors, config.json, tokenizer.json}`.
///
/// Values stay f16, bit for bit. The bias of the keys, which the published checkpoint does not have, must be zero and goes.
///
/// # Errors
/// [`ConvertError`] when a file is missing, truncated, or is not a Whisper of this form; `out` may then hold a part.
pub fn convert(raw: &Path, out: &Path, progress: &mut dyn FnMut(f32)) -> Result<(), ConvertError> {
    let source = raw.join("model.bin");
    let bytes = fs::read(&source).map_err(ConvertError::io(&source))?;
    progress(0.2);
    let (tensors, dimensions) = Ct2::parse(&bytes).and_then(|file| rename(&file)).map_err(|reason| match reason {
        Reason::Malformed(reason) => ConvertError::malformed(&source, reason),
        Reason::Unsupported(reason) => ConvertError::unsupported(&source, reason),
    })?;
    drop(bytes);
    progress(0.5);
    let config = config(&raw.join("config.json"), dimensions)?;
    let target = out.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &target)
        .map_err(|error| ConvertError::io(&target)(std::io::Error::other(error)))?;
    progress(0.9);
    let target = out.join("config.json");
    fs::write(&target, format!("{config:#}\n")).map_err(ConvertError::io(&target))?;
    let source = raw.join("tokenizer.json");
    fs::copy(&source, out.join("tokenizer.json")).map_err(ConvertError::io(&source))?;
    progress(1.0);
    Ok(())
}

/// Why a model file is refused, before its path is known.
#[derive(Debug)]
enum Reason {
    Malformed(String),
    Unsupported(String),
}

impl From<candle_core::Error> for Reason {
    fn from(error: candle_core::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// One variable of the file: its shape, element type, and where its values lie.
struct Variable {
    shape: Vec<usize>,
    kind: u8,
    values: Range<usize>,
}

/// A file's variables by name.
struct Ct2<'a> {
    bytes: &'a [u8],
    variables: BTreeMap<String, Variable>,
}

impl<'a> Ct2<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Reason> {
        let mut cursor = Cursor { bytes, at: 0 };
        let version = cursor.u32()?;
        if version != VERSION {
            return Err(Reason::Unsupported(format!(
                "it is CTranslate2 format {version}, and only {VERSION} is converted"
            )));
        }
        let specification = cursor.name()?;
        if specification != "WhisperSpec" {
            return Err(Reason::Unsupported(format!("it is a {specification:?}, not a WhisperSpec")));
        }
        let _revision = cursor.u32()?;
        let count = cursor.u32()?;
        // No capacity from `count`: a damaged one must end at the file's end, not in a huge allocation.
        let mut variables = BTreeMap::new();
        for _ in 0..count {
            let (name, variable) = cursor.variable()?;
            variables.insert(name, variable);
        }
        Ok(Self { bytes, variables })
    }

    fn variable(&self, name: &str) -> Result<&Variable, Reason> {
        self.variables.get(name).ok_or_else(|| Reason::Unsupported(format!("it has no variable {name}")))
    }

    fn f16(&self, name: &str) -> Result<Tensor, Reason> {
        let variable = self.variable(name)?;
        if variable.kind != F16 {
            let kind = variable.kind;
            return Err(Reason::Unsupported(format!("{name} has element type {kind}; only f16 ({F16}) is converted")));
        }
        let elements = variable.shape.iter().try_fold(2_usize, |bytes, &dim| bytes.checked_mul(dim));
        if elements != Some(variable.values.len()) {
            let (shape, length) = (&variable.shape, variable.values.len());
            return Err(Reason::Malformed(format!("{name} of shape {shape:?} has {length} bytes")));
        }
        let values = &self.bytes[variable.values.clone()];
        Ok(Tensor::from_raw_buffer(values, DType::F16, &variable.shape, &Device::Cpu)?)
    }

    fn i16(&self, name: &str) -> Result<usize, Reason> {
        let variable = self.variable(name)?;
        match (variable.kind, &self.bytes[variable.values.clone()]) {
            (I16, &[low, high]) => Ok(usize::from(u16::from_le_bytes([low, high]))),
            _ => Err(Reason::Malformed(format!("{name} is not one 16-bit number"))),
        }
    }

    fn layers(&self, side: &str) -> usize {
        (0..).take_while(|layer| self.variables.contains_key(&layer_norm(side, *layer))).count()
    }
}

fn layer_norm(side: &str, layer: usize) -> String {
    format!("{side}/layer_{layer}/self_attention/layer_norm/gamma")
}

/// Reads the file from front to back; every length is held against what is left.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, length: usize) -> Result<Range<usize>, Reason> {
        let (at, total) = (self.at, self.bytes.len());
        let end = at.checked_add(length).filter(|end| *end <= total);
        let end = end.ok_or_else(|| {
            Reason::Malformed(format!("it ends after {total} bytes, where {length} more were due at {at}"))
        })?;
        self.at = end;
        Ok(at..end)
    }

    fn u8(&mut self) -> Result<u8, Reason> {
        Ok(self.bytes[self.take(1)?.start])
    }

    fn u32(&mut self) -> Result<u32, Reason> {
        let mut value = [0; 4];
        value.copy_from_slice(&self.bytes[self.take(4)?]);
        Ok(u32::from_le_bytes(value))
    }

    fn name(&mut self) -> Result<String, Reason> {
        let length = u16::from_le_bytes([self.u8()?, self.u8()?]);
        let range = self.take(usize::from(length))?;
        let name = self.bytes[range.clone()].strip_suffix(&[0]).and_then(|name| str::from_utf8(name).ok());
        name.map(str::to_owned).ok_or_else(|| Reason::Malformed(format!("no name at byte {}", range.start)))
    }

    fn variable(&mut self) -> Result<(String, Variable), Reason> {
        let name = self.name()?;
        let rank = self.u8()?;
        let shape = (0..rank).map(|_| Ok(self.u32()? as usize)).collect::<Result<_, Reason>>()?;
        let kind = self.u8()?;
        let length = self.u32()? as usize;
        Ok((name, Variable { shape, kind, values: self.take(length)? }))
    }
}

/// What config.json says of the shapes.
struct Dimensions {
    model: usize,
    mels: usize,
    vocabulary: usize,
    source: usize,
    target: usize,
    encoder: (usize, usize),
    decoder: (usize, usize),
}

fn rename(file: &Ct2) -> Result<(HashMap<String, Tensor>, Dimensions), Reason> {
    let mut renamed = Renamed { file, tensors: HashMap::new() };
    for conv in ["conv1", "conv2"] {
        renamed.pair(&format!("encoder/{conv}"), &format!("model.encoder.{conv}"), ["weight", "bias"])?;
    }
    for side in ["encoder", "decoder"] {
        let to = format!("model.{side}");
        renamed.one(&format!("{side}/position_encodings/encodings"), &format!("{to}.embed_positions.weight"))?;
        renamed.pair(&format!("{side}/layer_norm"), &format!("{to}.layer_norm"), ["gamma", "beta"])?;
        for layer in 0..file.layers(side) {
            renamed.layer(&format!("{side}/layer_{layer}"), &format!("{to}.layers.{layer}"), side == "decoder")?;
        }
    }
    renamed.one("decoder/embeddings/weight", "model.decoder.embed_tokens.weight")?;
    let tensors = renamed.tensors;
    let get = |name: &str| tensors.get(name).ok_or_else(|| Reason::Malformed(format!("{name} is missing")));
    let (model, mels, _) = get("model.encoder.conv1.weight")?.dims3()?;
    let (vocabulary, width) = get("model.decoder.embed_tokens.weight")?.dims2()?;
    if model != width {
        return Err(Reason::Malformed(format!("its audio side is {model} wide, its text side {width}")));
    }
    let dimensions = Dimensions {
        model,
        mels,
        vocabulary,
        source: get("model.encoder.embed_positions.weight")?.dims2()?.0,
        target: get("model.decoder.embed_positions.weight")?.dims2()?.0,
        encoder: (file.layers("encoder"), file.i16("encoder/num_heads")?),
        decoder: (file.layers("decoder"), file.i16("decoder/num_heads")?),
    };
    Ok((tensors, dimensions))
}

/// The tensors under their new names, as they are collected.
struct Renamed<'a> {
    file: &'a Ct2<'a>,
    tensors: HashMap<String, Tensor>,
}

impl Renamed<'_> {
    fn one(&mut self, from: &str, to: &str) -> Result<(), Reason> {
        self.tensors.insert(to.into(), self.file.f16(from)?);
        Ok(())
    }

    fn pair(&mut self, from: &str, to: &str, parts: [&str; 2]) -> Result<(), Reason> {
        self.one(&format!("{from}/{}", parts[0]), &format!("{to}.weight"))?;
        self.one(&format!("{from}/{}", parts[1]), &format!("{to}.bias"))
    }

    fn layer(&mut self, from: &str, to: &str, decoder: bool) -> Result<(), Reason> {
        let norm = ["gamma", "beta"];
        self.pair(&format!("{from}/self_attention/layer_norm"), &format!("{to}.self_attn_layer_norm"), norm)?;
        self.fused(&format!("{from}/self_attention/linear_0"), &format!("{to}.self_attn"), &["q", "k", "v"])?;
        self.fused(&format!("{from}/self_attention/linear_1"), &format!("{to}.self_attn"), &["out"])?;
        if decoder {
            self.pair(&format!("{from}/attention/layer_norm"), &format!("{to}.encoder_attn_layer_norm"), norm)?;
            self.fused(&format!("{from}/attention/linear_0"), &format!("{to}.encoder_attn"), &["q"])?;
            self.fused(&format!("{from}/attention/linear_1"), &format!("{to}.encoder_attn"), &["k", "v"])?;
            self.fused(&format!("{from}/attention/linear_2"), &format!("{to}.encoder_attn"), &["out"])?;
        }
        self.pair(&format!("{from}/ffn/layer_norm"), &format!("{to}.final_layer_norm"), norm)?;
        self.pair(&format!("{from}/ffn/linear_0"), &format!("{to}.fc1"), ["weight", "bias"])?;
        self.pair(&format!("{from}/ffn/linear_1"), &format!("{to}.fc2"), ["weight", "bias"])
    }

    /// Takes a fused linear layer apart into projections of equal height.
    fn fused(&mut self, from: &str, to: &str, parts: &[&str]) -> Result<(), Reason> {
        let (weight, bias) = (self.file.f16(&format!("{from}/weight"))?, self.file.f16(&format!("{from}/bias"))?);
        let rows = weight.dim(0)?;
        if rows % parts.len() != 0 || bias.dims() != [rows] {
            return Err(Reason::Malformed(format!("{from} has {rows} rows, which do not hold {}", parts.join(", "))));
        }
        let height = rows / parts.len();
        for (index, part) in parts.iter().enumerate() {
            let bias = bias.narrow(0, index * height, height)?;
            if *part != "k" {
                self.tensors.insert(format!("{to}.{part}_proj.bias"), bias.contiguous()?);
            } else if bias.to_dtype(DType::F32)?.abs()?.max_all()?.to_scalar::<f32>()? != 0.0 {
                return Err(Reason::Unsupported(format!("{from} gives its keys a bias, which Whisper has not")));
            }
            let weight = weight.narrow(0, index * height, height)?.contiguous()?;
            self.tensors.insert(format!("{to}.{part}_proj.weight"), weight);
        }
        Ok(())
    }
}

/// The published form of config.json, as far as an engine needs it.
fn config(source: &Path, dimensions: Dimensions) -> Result<Value, ConvertError> {
    let text = fs::read_to_string(source).map_err(ConvertError::io(source))?;
    let raw: Value = serde_json::from_str(&text).map_err(|error| ConvertError::malformed(source, error.to_string()))?;
    let ids = |name: &str| -> Result<Vec<u32>, ConvertError> {
        let ids = serde_json::from_value(raw[name].clone());
        ids.map_err(|error| ConvertError::malformed(source, format!("{name}: {error}")))
    };
    Ok(json!({
        "model_type": "whisper",
        "d_model": dimensions.model,
        "num_mel_bins": dimensions.mels,
        "vocab_size": dimensions.vocabulary,
        "max_source_positions": dimensions.source,
        "max_target_positions": dimensions.target,
        "encoder_layers": dimensions.encoder.0,
        "encoder_attention_heads": dimensions.encoder.1,
        "decoder_layers": dimensions.decoder.0,
        "decoder_attention_heads": dimensions.decoder.1,
        "suppress_tokens": ids("suppress_ids")?,
        "begin_suppress_tokens": ids("suppress_ids_begin")?,
    }))
}

#[cfg(test)]
mod tests;
