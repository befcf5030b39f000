//! A model's weights where they compute: on the processor by our own kernels, on a GPU by candle.

use candle_core::{Device, Result};

use super::{cpu::CpuModel, device::DeviceModel, file::GgufFile, sequence::Sequence, shape::ModelShape};
use crate::brain::BrainError;

/// Weights that can run.
pub(super) enum Model {
    Cpu(Box<CpuModel>),
    Device(Box<DeviceModel>),
}

impl Model {
    /// Loads the weights of a file; `context` is the longest sequence there will be.
    pub fn load(
        file: &GgufFile,
        shape: ModelShape,
        context: usize,
        device: &Device,
        threads: usize,
    ) -> std::result::Result<Self, BrainError> {
        Ok(match device {
            Device::Cpu => Self::Cpu(Box::new(CpuModel::load(file, shape, context, threads)?)),
            device => Self::Device(Box::new(DeviceModel::load(file, shape, context, device)?)),
        })
    }

    /// How many logits there are.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Cpu(model) => model.vocabulary(),
            Self::Device(model) => model.vocabulary(),
        }
    }

    /// An empty sequence.
    pub fn sequence(&self) -> Result<Sequence> {
        Ok(match self {
            Self::Cpu(model) => Sequence::new(model.cache()),
            Self::Device(model) => Sequence::new(model.cache()?),
        })
    }

    /// Appends tokens to a sequence and returns the logits after the last; all others than `rows`, if these are given, may
    /// be minus infinity.
    ///
    /// `check` is asked between layers; its error breaks the pass off, and the sequence keeps what was finished.
    pub fn advance(
        &self,
        sequence: &mut Sequence,
        tokens: &[u32],
        rows: Option<&[u32]>,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Vec<f32>> {
        match self {
            Self::Cpu(model) => model.advance(sequence, tokens, rows, check),
            Self::Device(model) => model.advance(sequence, tokens, check),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The same file through both: candle's kernels on the processor are the reference.
    #[test]
    fn real_weights_give_the_same_logits_with_our_kernels_and_with_candle() {
        let models: PathBuf = std::env::var_os("COMPANION_MODELS").unwrap_or_else(|| "models".into()).into();
        let file = GgufFile::open(&models.join("smollm2-135m/model.gguf")).unwrap();
        let shape = ModelShape::read(&file).unwrap();
        let ours = Model::load(&file, shape.clone(), 256, &Device::Cpu, 2).unwrap();
        let theirs = Model::Device(Box::new(DeviceModel::load(&file, shape, 256, &Device::Cpu).unwrap()));
        let tokens: Vec<u32> = (0..90).map(|at| 100 + at * 37 % 4000).collect();
        let run = |model: &Model| {
            let mut sequence = model.sequence().unwrap();
            model.advance(&mut sequence, &tokens[..70], None, &|| Ok(())).unwrap();
            let mut all = Vec::new();
            for token in &tokens[70..] {
                all.push(model.advance(&mut sequence, &[*token], None, &|| Ok(())).unwrap());
            }
            all
        };
        for (ours, theirs) in run(&ours).iter().zip(&run(&theirs)) {
            let spread = theirs.iter().map(|logit| logit * logit).sum::<f32>().sqrt();
            let difference = ours.iter().zip(theirs).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            // Both round activations to eight bits, in blocks of different sizes; ours keep keys and values in 16 bits.
            assert!(difference < 0.04 * spread, "{difference} of {spread}");
        }
    }

    #[test]
    fn real_weights_give_chosen_logits_as_they_give_all() {
        let models: PathBuf = std::env::var_os("COMPANION_MODELS").unwrap_or_else(|| "models".into()).into();
        let file = GgufFile::open(&models.join("smollm2-135m/model.gguf")).unwrap();
        let model = Model::load(&file, ModelShape::read(&file).unwrap(), 64, &Device::Cpu, 1).unwrap();
        let advance = |rows| model.advance(&mut model.sequence().unwrap(), &[5, 6, 7], rows, &|| Ok(())).unwrap();
        let (all, chosen) = (advance(None), advance(Some(&[3, 4000, 17_000])));
        for row in [3, 4000, 17_000] {
            assert_eq!(all[row], chosen[row]);
        }
        assert_eq!(chosen.iter().filter(|logit| logit.is_finite()).count(), 3);
    }
}
