//! Hearing: speech in, [`Transcript`] out.

pub mod scripted;
pub mod vad;
pub mod whisper;

use std::path::PathBuf;

use bevy::prelude::*;
use serde::{Deserialize, Serialize};

use self::{
    scripted::{ScriptedConfig, ScriptedEars},
    whisper::{WhisperConfig, WhisperEars},
};
use crate::{
    audio::Pcm,
    onnx::OnnxError,
    worker::{EngineError, Stage, Worker, add_stage},
};

/// The hearing stage: [`SpeechFrame`] → [`Transcript`].
#[derive(Debug)]
pub struct Hearing;

impl Stage for Hearing {
    const NAME: &'static str = "hearing";
    const INBOX: usize = 256;
    type Request = SpeechFrame;
    type Output = Transcript;
}

/// A piece of one utterance, in order; the turn it is sent under tells utterances apart.
#[derive(Clone, Debug)]
pub struct SpeechFrame {
    /// 16 kHz mono.
    pub pcm: Pcm,
    /// Whether the utterance ends with this frame.
    pub last: bool,
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The words; empty when there were none.
    pub text: String,
    /// Whether the utterance has ended.
    pub is_final: bool,
    /// ISO 639-1 code of the language spoken, when the recogniser tells.
    pub language: Option<String>,
    /// Length of the speech, in seconds.
    pub seconds: f64,
}

/// Which engine hears, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HearingConfig {
    /// Whisper on this machine.
    Whisper(WhisperConfig),
    /// Lines from a list, for tests and demonstrations.
    Scripted(ScriptedConfig),
}

impl Default for HearingConfig {
    fn default() -> Self {
        Self::Whisper(WhisperConfig::default())
    }
}

/// A worker that runs the configured engine; it loads on its own thread.
pub fn worker(config: &HearingConfig) -> Worker<Hearing> {
    match config.clone() {
        HearingConfig::Whisper(config) => {
            Worker::spawn(move || WhisperEars::load(&config).map_err(EngineError::failed))
        }
        HearingConfig::Scripted(config) => Worker::spawn(move || Ok(ScriptedEars::new(config.lines.clone()))),
    }
}

/// Gives an app ears: one recogniser for all companions.
#[derive(Clone, Debug, Default)]
pub struct HearingPlugin {
    /// Which engine, and how.
    pub config: HearingConfig,
}

impl Plugin for HearingPlugin {
    fn build(&self, app: &mut App) {
        add_stage::<Hearing>(app);
        app.world_mut().spawn((Name::new("hearing"), worker(&self.config)));
    }
}

/// What can go wrong between sound and words.
#[derive(Debug, thiserror::Error)]
pub enum HearingError {
    /// A file of the model is missing, damaged, or does not fit the others.
    #[error(
        "{path}: {reason}; run `companion models pull whisper-base`, or set `model` to a converted Whisper's folder"
    )]
    Model {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The model does not know a configured language.
    #[error("the speech model does not know the language {code:?}: {}", remedy(*multilingual))]
    Language {
        /// What was configured.
        code: String,
        /// Whether the model knows more than English.
        multilingual: bool,
    },
    /// No language was configured.
    #[error("no language to hear is configured: set `languages`, for example to [\"zh\", \"en\"]")]
    NoLanguage,
    /// Speech came at another rate than the recognisers take.
    #[error("speech came at {given} Hz, and recognisers take 16000 Hz: resample it first")]
    Rate {
        /// The rate it had.
        given: u32,
    },
    /// The network could not be computed.
    #[error("speech recognition failed: {0}; if it happens again, run `companion models verify`")]
    Inference(#[from] candle_core::Error),
    /// The vocabulary or the script tables could not be used.
    #[error("the text of what was heard could not be made: {reason}; run `companion models verify`")]
    Text {
        /// What the library said.
        reason: String,
    },
    /// The voice activity model could not be opened.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The voice activity model could not be run.
    #[error("voice activity detection failed: {reason}; run `companion models pull silero-vad`")]
    Vad {
        /// What the runtime said.
        reason: String,
    },
}

fn remedy(multilingual: bool) -> &'static str {
    if multilingual {
        "give its ISO 639-1 code, for example \"zh\""
    } else {
        "this one is English only, so set `languages = [\"en\"]` or pull whisper-base"
    }
}

impl HearingError {
    fn text(error: impl std::fmt::Display) -> Self {
        Self::Text { reason: error.to_string() }
    }
}
