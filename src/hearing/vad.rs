//! Voice activity: who hears when speech begins and ends. [`Silero`] judges windows of sound, [`Endpointer`] turns its
//! judgements into utterances, and [`Ear`] cuts the sound accordingly.

mod ear;
mod endpoint;
mod silero;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::{
    ear::{Ear, EarEvent},
    endpoint::{Endpointer, Verdict},
    silero::Silero,
};
use super::HearingError;

/// Samples that are judged at a time: 32 ms at 16 kHz.
pub const WINDOW: usize = 512;
/// Samples a second.
const RATE: u32 = 16_000;

/// What opens and closes an utterance at the microphone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct VadConfig {
    /// `silero_vad.onnx`.
    pub model: PathBuf,
    /// ONNX Runtime's shared library.
    pub library: PathBuf,
    /// The probability from which a window is speech, 0..=1.
    pub threshold: f32,
    /// The probability under which speech may have ended; lower than `threshold`, so that the verdict does not flicker.
    pub release: f32,
    /// How long speech must last to open an utterance, in milliseconds: a cough or a click does not.
    pub onset_ms: u32,
    /// How long silence must last to end one, in milliseconds. Shorter answers sooner and interrupts thinkers.
    pub wait_ms: u32,
    /// What is heard of the time before the first speech, in milliseconds: soft consonants lie there.
    pub pre_roll_ms: u32,
    /// What is kept of the silence after the last speech, in milliseconds.
    pub tail_ms: u32,
    /// The longest utterance, in milliseconds; it is ended even in the middle of a word.
    pub longest_ms: u32,
}

impl Default for VadConfig {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            library: PathBuf::new(),
            threshold: 0.5,
            release: 0.35,
            onset_ms: 96,
            wait_ms: 500,
            pre_roll_ms: 256,
            tail_ms: 192,
            longest_ms: 60_000,
        }
    }
}

/// Milliseconds in whole windows, rounded up.
fn windows(milliseconds: u32) -> usize {
    milliseconds.div_ceil(WINDOW as u32 * 1000 / RATE) as usize
}

/// Tells how likely it is that somebody speaks.
pub trait Detector {
    /// The probability of speech in the next window, 0..=1. Windows follow one another without gaps.
    ///
    /// # Errors
    /// [`HearingError::Vad`] when the model cannot be run.
    fn probability(&mut self, window: &[f32; WINDOW]) -> Result<f32, HearingError>;

    /// Forgets what was heard: a gap follows.
    fn reset(&mut self);
}
