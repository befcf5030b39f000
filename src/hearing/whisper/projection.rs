//! A linear layer in f32 or, where memory bandwidth decides, in eight bits.

use candle_core::{
    Module, Result, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
};
use candle_nn::{Linear, VarBuilder};

/// A linear layer `[inputs] → [outputs]`, possibly several stored ones side by side.
pub enum Projection {
    /// Full precision: best for many positions at once (the encoder).
    Dense(Linear),
    /// Q8_0: a quarter of the bytes to read, for one position at a time (the decoder).
    Quantised(QMatMul, Option<Tensor>),
}

impl Projection {
    /// Loads the layers `names` of shape `(outputs, inputs)` each, one after the other; a missing bias is zero.
    pub fn load(weights: &VarBuilder, names: &[&str], shape: (usize, usize), quantise: bool) -> Result<Self> {
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
        Self::new(&Tensor::cat(&weight, 0)?, Some(Tensor::cat(&bias, 0)?), quantise)
    }

    /// A layer of a weight `[outputs, inputs]` and a bias.
    pub fn new(weight: &Tensor, bias: Option<Tensor>, quantise: bool) -> Result<Self> {
        if quantise {
            let weight = QMatMul::from_qtensor(QTensor::quantize(weight, GgmlDType::Q8_0)?)?;
            Ok(Self::Quantised(weight, bias))
        } else {
            Ok(Self::Dense(Linear::new(weight.clone(), bias)))
        }
    }

    /// `[positions, inputs]` → `[positions, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(linear) => linear.forward(x),
            Self::Quantised(weight, Some(bias)) => weight.forward(x)?.broadcast_add(bias),
            Self::Quantised(weight, None) => weight.forward(x),
        }
    }
}
