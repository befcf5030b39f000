//! Whisper: speech in a hundred languages, heard a whole utterance at a time.

mod decode;
mod mel;
mod model;
mod tokens;
mod windows;

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use bevy::{log::debug, prelude::Entity};
use ferrous_opencc::{OpenCC, config::BuiltinConfig};
use serde::{Deserialize, Serialize};

use self::{
    decode::{Decoded, Greedy},
    mel::{HOP, LogMel, RATE},
    model::{Model, Shapes},
    tokens::Tokens,
};
use super::{Hearing, HearingError, SpeechFrame, Transcript};
use crate::worker::{Engine, EngineError, Turn, TurnId};

/// Speech shorter than this holds no word.
const SHORTEST: f64 = 0.1;
/// Frames of silence after the speech that the encoder hears with it. With 200 or 300 it left out the middle one of three
/// sentences in a clip of 10 s.
const TAIL: usize = 50;
/// The longest input: 30 s.
const FRAMES: usize = 3000;
/// Below this loudness (−74 dBFS at its peak) nothing can be understood, and Whisper would invent something.
const INAUDIBLE: f32 = 2e-4;
/// Utterances whose end never came are forgotten after this long without a frame.
const ABANDONED: Duration = Duration::from_secs(60);

/// How [`WhisperEars`] hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct WhisperConfig {
    /// The folder that holds `model.safetensors`, `config.json` and `tokenizer.json`.
    pub model: PathBuf,
    /// The languages that may be spoken, as ISO 639-1 codes. With one, none is detected; an English model takes `["en"]`.
    pub languages: Vec<String>,
    /// Which characters Chinese is written in; Whisper mixes them.
    pub script: Script,
    /// Text that the speech is said to follow: names and spellings to expect. Each word costs time.
    pub prompt: String,
    /// How sure Whisper must be that nobody speaks, 0..=1, for unlikely words to be dropped.
    pub no_speech: f32,
    /// The mean log-probability under which words are unlikely.
    pub confidence: f32,
    /// How many threads to compute with; one a core by default, at most four.
    pub threads: Option<usize>,
    /// The longest utterance, in seconds; what is said after is not heard.
    pub longest: f64,
}

impl Default for WhisperConfig {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            languages: vec!["zh".into(), "en".into()],
            script: Script::default(),
            prompt: String::new(),
            no_speech: 0.6,
            confidence: -1.0,
            threads: None,
            longest: 1800.0,
        }
    }
}

/// The matrices of an utterance are small: more threads would wait for each other.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

/// The characters that Chinese is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Script {
    /// 简体
    #[default]
    Simplified,
    /// 繁體
    Traditional,
    /// As the model happens to write.
    AsHeard,
}

/// The Whisper engine.
pub struct WhisperEars {
    config: WhisperConfig,
    shapes: Shapes,
    tokens: Tokens,
    model: Model,
    mel: LogMel,
    script: Option<OpenCC>,
    preface: Vec<u32>,
    utterances: HashMap<Entity, Utterance>,
}

/// Speech of one companion's turn that has not ended.
struct Utterance {
    turn: TurnId,
    samples: Vec<f32>,
    touched: Instant,
}

impl WhisperEars {
    /// Loads the model.
    ///
    /// # Errors
    /// [`HearingError`] when a file is missing or damaged, or a language is not known to the model.
    pub fn load(config: &WhisperConfig) -> Result<Self, HearingError> {
        let path = config.model.join("config.json");
        let failed = |reason: String| HearingError::Model { path: path.clone(), reason };
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        let shapes: Shapes = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        shapes.check().map_err(failed)?;
        let tokens = Tokens::load(&config.model.join("tokenizer.json"), shapes.multilingual(), &config.languages)?;
        let script = match config.script {
            Script::Simplified => Some(BuiltinConfig::T2s),
            Script::Traditional => Some(BuiltinConfig::S2t),
            Script::AsHeard => None,
        };
        let threads = config.threads.unwrap_or_else(default_threads);
        let script = script.map(OpenCC::from_config).transpose().map_err(HearingError::text)?;
        Ok(Self {
            preface: tokens.preface(&config.prompt, shapes.max_target_positions / 4)?,
            model: Model::load(&config.model.join("model.safetensors"), &shapes, threads)?,
            mel: LogMel::new(shapes.num_mel_bins),
            config: config.clone(),
            utterances: HashMap::new(),
            shapes,
            tokens,
            script,
        })
    }

    /// Transcribes 16 kHz mono speech of any length; `check` runs every few milliseconds and may end it.
    ///
    /// # Errors
    /// What `check` returns, or [`HearingError::Inference`].
    pub fn transcribe<E: From<HearingError>>(
        &self,
        speech: &[f32],
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Transcript, E> {
        let clean: Vec<f32> = speech.iter().map(|x| if x.is_finite() { x.clamp(-1.0, 1.0) } else { 0.0 }).collect();
        let seconds = clean.len() as f64 / f64::from(RATE);
        let mut heard = Transcript { is_final: true, seconds, ..Transcript::default() };
        if seconds < SHORTEST {
            return Ok(heard);
        }
        let mut language = None;
        for window in windows::windows(&clean) {
            check()?;
            let decoded = self.window(&clean[window], language, check)?;
            if self.nobody_spoke(&decoded) {
                continue;
            }
            // The first words decide for the whole utterance: people seldom change language within one.
            language = language.or(decoded.language);
            let text = self.tokens.text(&decoded.tokens)?;
            join(&mut heard.text, text.trim());
        }
        let spoken = language.map(|index| self.tokens.languages[index].0.clone());
        let english = (self.tokens.languages.is_empty() && !heard.text.is_empty()).then(|| "en".to_owned());
        heard.language = spoken.or(english);
        if let (Some(script), Some("zh" | "yue")) = (&self.script, heard.language.as_deref()) {
            heard.text = script.convert(&heard.text);
        }
        Ok(heard)
    }

    /// One window of at most 30 s.
    fn window<E: From<HearingError>>(
        &self,
        speech: &[f32],
        language: Option<usize>,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Decoded, E> {
        let silent = Decoded { no_speech: 1.0, confidence: f32::NEG_INFINITY, ..Decoded::default() };
        if speech.iter().all(|sample| sample.abs() < INAUDIBLE) {
            return Ok(silent);
        }
        let begun = Instant::now();
        let frames = (speech.len().div_ceil(HOP) + TAIL).next_multiple_of(2).min(FRAMES);
        let mel = self.mel.spectrogram(speech, frames);
        let mel_time = begun.elapsed();
        let states = self.model.hear(&mel, check)?;
        let encoder_time = begun.elapsed() - mel_time;
        let mut memory = self.model.decoder.listen(&states);
        let greedy = Greedy { decoder: &self.model.decoder, tokens: &self.tokens, shapes: &self.shapes };
        let seconds = speech.len() as f64 / f64::from(RATE);
        let decoded = greedy.decode(&mut memory, &self.preface, language, seconds, check)?;
        let decoder_time = begun.elapsed() - mel_time - encoder_time;
        let (tokens, no_speech, confidence) = (decoded.tokens.len(), decoded.no_speech, decoded.confidence);
        debug!(
            "heard {seconds:.2} s: mel {mel_time:.1?}, encoder {encoder_time:.1?}, decoder {decoder_time:.1?} for \
             {tokens} tokens; no speech {no_speech:.3}, confidence {confidence:.2}, looped {}",
            decoded.looped
        );
        Ok(decoded)
    }

    fn nobody_spoke(&self, decoded: &Decoded) -> bool {
        decoded.no_speech > self.config.no_speech && decoded.confidence < self.config.confidence
    }

    /// Takes a frame in; gives the whole utterance once it has ended.
    fn collect(
        &mut self,
        frame: SpeechFrame,
        companion: Entity,
        turn: TurnId,
    ) -> Result<Option<Vec<f32>>, HearingError> {
        if frame.pcm.rate != RATE && !frame.pcm.samples.is_empty() {
            return Err(HearingError::Rate { given: frame.pcm.rate });
        }
        let now = Instant::now();
        self.utterances.retain(|_, utterance| now - utterance.touched < ABANDONED);
        let fresh = || Utterance { turn, samples: Vec::new(), touched: now };
        let utterance = self.utterances.entry(companion).or_insert_with(fresh);
        if utterance.turn != turn {
            *utterance = fresh();
        }
        utterance.touched = now;
        let room = ((self.config.longest * f64::from(RATE)) as usize).saturating_sub(utterance.samples.len());
        let heard = &frame.pcm.samples[..frame.pcm.samples.len().min(room)];
        utterance.samples.extend_from_slice(heard);
        Ok(if frame.last { self.utterances.remove(&companion).map(|ended| ended.samples) } else { None })
    }
}

impl Engine<Hearing> for WhisperEars {
    fn serve(&mut self, request: SpeechFrame, turn: &Turn<Hearing>) -> Result<(), EngineError> {
        let ended = self.collect(request, turn.companion(), turn.id()).map_err(EngineError::failed)?;
        let Some(speech) = ended else { return Ok(()) };
        let transcript = self.transcribe(&speech, &mut || turn.check().map_err(Stopped::By));
        turn.emit(transcript.map_err(|stopped| match stopped {
            Stopped::By(error) => error,
            Stopped::Failed(error) => EngineError::failed(error),
        })?)
    }
}

/// Why a transcription ended early: the caller's own reason, or ours.
enum Stopped<E> {
    By(E),
    Failed(HearingError),
}

impl<E> From<HearingError> for Stopped<E> {
    fn from(error: HearingError) -> Self {
        Self::Failed(error)
    }
}

/// Appends a window's text: with a space between words, without one between Chinese or Japanese characters.
fn join(text: &mut String, more: &str) {
    let wide = |c: char| matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}');
    if let (Some(last), Some(first)) = (text.chars().last(), more.chars().next())
        && !(wide(last) && wide(first))
    {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_join_as_their_writing_asks() {
        let joined = |parts: &[&str]| {
            let mut text = String::new();
            parts.iter().for_each(|part| join(&mut text, part));
            text
        };
        assert_eq!(joined(&["Hello there.", "How are you?"]), "Hello there. How are you?");
        assert_eq!(joined(&["今天天气真好。", "我们走吧"]), "今天天气真好。我们走吧");
        assert_eq!(joined(&["", "一", "", "two"]), "一 two");
    }

    #[test]
    fn the_script_is_folded_without_any_file() {
        let fold = OpenCC::from_config(BuiltinConfig::T2s).unwrap();
        assert_eq!(fold.convert("今天天氣真好,我們去公園散步吧"), "今天天气真好,我们去公园散步吧");
    }
}
