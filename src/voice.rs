//! The voice: [`Say`] in, [`SpeechChunk`]s out.

pub mod kokoro;
pub mod scripted;
pub mod style;
pub mod text;

use bevy::app::{App, Plugin};
use serde::{Deserialize, Serialize};

use self::{
    kokoro::{KokoroConfig, KokoroVoice},
    scripted::{ScriptedConfig, ScriptedVoice},
};
use crate::{
    audio::Pcm,
    emotion::Cue,
    worker::{EngineError, Stage, Worker, add_worker},
};

/// The voice stage: [`Say`] → [`SpeechChunk`]s.
#[derive(Debug)]
pub struct Voice;

impl Stage for Voice {
    const NAME: &'static str = "voice";
    const INBOX: usize = 64;
    type Request = Say;
    type Output = SpeechChunk;
}

/// A sentence to be said.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Say {
    /// Which sentence of its turn this is, from 0: chunks come back under the same number.
    pub sentence: u32,
    /// What to say, free of tags.
    pub text: String,
    /// How to say it.
    pub cue: Cue,
    /// The voice's name, e.g. `zf_xiaoxiao`; empty for the engine's default.
    pub voice: String,
}

/// A piece of spoken sentence, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechChunk {
    /// [`Say::sentence`].
    pub sentence: u32,
    /// The sound.
    pub pcm: Pcm,
    /// Where in the sentence's text this piece begins and ends, in bytes on character boundaries.
    pub text: std::ops::Range<usize>,
    /// Whether the sentence ends with this piece.
    pub last: bool,
}

/// Which engine speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "kebab-case", deny_unknown_fields)]
pub enum VoiceConfig {
    /// Kokoro-82M.
    Kokoro(KokoroConfig),
    /// Tones, without a model.
    Scripted(ScriptedConfig),
}

impl Default for VoiceConfig {
    fn default() -> Self {
        Self::Kokoro(KokoroConfig::default())
    }
}

/// Adds the voice as configured; its engine loads on the worker's thread.
#[derive(Clone, Debug, Default)]
pub struct VoicePlugin {
    /// Which engine, and how.
    pub config: VoiceConfig,
}

impl Plugin for VoicePlugin {
    fn build(&self, app: &mut App) {
        add_worker(app, worker(&self.config));
    }
}

/// Starts the configured voice; it is loaded on the worker's thread.
pub fn worker(config: &VoiceConfig) -> Worker<Voice> {
    match config.clone() {
        VoiceConfig::Kokoro(config) => Worker::spawn(move || KokoroVoice::load(&config).map_err(EngineError::failed)),
        VoiceConfig::Scripted(config) => Worker::spawn(move || Ok(ScriptedVoice::new(config.clone()))),
    }
}
