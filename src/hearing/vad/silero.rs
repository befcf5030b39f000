//! The Silero network: the probability that somebody speaks.

use ort::{session::Session, value::TensorRef};

use super::{Detector, HearingError, VadConfig, WINDOW};
use crate::onnx;

/// Samples of the window before that the network sees again.
const CONTEXT: usize = 64;
const RATE: i64 = super::RATE as i64;
const STATE: [usize; 3] = [2, 1, 128];

/// Silero VAD, versions 5 and 6: a small recurrent network (0.3 ms a window).
pub struct Silero {
    session: Session,
    state: Vec<f32>,
    /// The context and the window, as the network takes them.
    input: [f32; CONTEXT + WINDOW],
}

impl Silero {
    /// Loads the model.
    ///
    /// # Errors
    /// [`HearingError::Onnx`] when the library or the model is missing or damaged.
    pub fn load(config: &VadConfig) -> Result<Self, HearingError> {
        let session = onnx::session(&config.library, &config.model, 1)?;
        let takes = |name: &str| session.inputs().iter().any(|input| input.name() == name);
        if !["input", "state", "sr"].into_iter().all(takes) {
            let reason =
                format!("{} is not Silero VAD 5 or 6: it does not take input, state and sr", config.model.display());
            return Err(HearingError::Vad { reason });
        }
        Ok(Self { session, state: vec![0.0; STATE.iter().product()], input: [0.0; CONTEXT + WINDOW] })
    }

    fn run(&mut self) -> ort::Result<f32> {
        let outputs = self.session.run(ort::inputs![
            "input" => TensorRef::from_array_view(([1, CONTEXT + WINDOW], &self.input[..]))?,
            "state" => TensorRef::from_array_view((STATE, &self.state[..]))?,
            "sr" => TensorRef::from_array_view(([1_usize; 0], &[RATE][..]))?,
        ])?;
        let (_, next) = outputs["stateN"].try_extract_tensor::<f32>()?;
        self.state.copy_from_slice(next);
        let (_, probability) = outputs["output"].try_extract_tensor::<f32>()?;
        Ok(probability[0])
    }
}

impl Detector for Silero {
    fn probability(&mut self, window: &[f32; WINDOW]) -> Result<f32, HearingError> {
        self.input.copy_within(WINDOW.., 0);
        for (input, sample) in self.input[CONTEXT..].iter_mut().zip(window) {
            // One NaN would stay in the recurrent state for ever.
            *input = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        }
        self.run().map_err(|error| HearingError::Vad { reason: error.to_string() })
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        self.input.fill(0.0);
    }
}
