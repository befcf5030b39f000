//! Kokoro-82M (hexgrad, Apache-2.0): 24 kHz speech from a small StyleTTS 2 decoder, on ONNX Runtime.
//!
//! A sentence is cut into clauses and spoken in chunks: the first is short, so that it is heard early, and each may be
//! longer than the one before, so that it is ready when that one ends. An emotion changes the prosody half of the style
//! vector, the pitch curve inside the network, the rate and the tone; the timbre half stays the speaker's own.

mod clauses;
mod model;
mod sound;
mod voices;

use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tracing::debug;

use self::{
    clauses::{Pause, clauses, halves},
    model::{Delivery, Model},
    sound::RATE,
    voices::{LONGEST, STYLE, Voices},
};
use super::{
    Say, SpeechChunk, Voice,
    style::Style,
    text::{Language, Reader, TextError},
};
use crate::{
    audio::Pcm,
    onnx::OnnxError,
    worker::{Engine, EngineError, Turn},
};

/// Phonemes of a first chunk, if marks allow; about two seconds.
const FIRST: usize = 32;
/// How much longer each chunk may be than the one before it.
const GROWTH: f32 = 1.8;
/// Phonemes of any later chunk; the model is at its best below.
const LATER: usize = 180;
/// Where the timbre half of a style ends and the prosody half begins.
const PROSODY: usize = STYLE / 2;
/// The speeds that the model speaks clearly at.
const SPEEDS: Range<f32> = 0.5..2.0;

/// What Kokoro needs and how it speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct KokoroConfig {
    /// The folder of the model `kokoro-82m`: `model.onnx`, `vocab.json`, `voices/`.
    pub model: PathBuf,
    /// ONNX Runtime's shared library.
    pub runtime: PathBuf,
    /// The folder of the model `pinyin`.
    pub mandarin: PathBuf,
    /// The folder of the model `misaki-en`.
    pub english: PathBuf,
    /// The voice that speaks when a request names none.
    pub voice: String,
    /// Factor of the speaking rate, 0.5 to 2.
    pub speed: f32,
    /// Threads of one inference.
    pub threads: usize,
    /// Whether a short utterance is made at loading, so that the first real one is as fast as the others.
    pub warm_up: bool,
}

impl Default for KokoroConfig {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            runtime: PathBuf::new(),
            mandarin: PathBuf::new(),
            english: PathBuf::new(),
            voice: "zf_xiaoxiao".into(),
            speed: 1.0,
            threads: 2,
            warm_up: true,
        }
    }
}

/// Why Kokoro cannot be loaded or cannot speak.
#[derive(Debug, thiserror::Error)]
pub enum KokoroError {
    /// ONNX Runtime or the graph could not be loaded.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A pronunciation dictionary could not be loaded.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The graph is not the converted one.
    #[error(
        "{path} takes {inputs}, not `range` and `pitch` besides: run `companion models pull kokoro-82m` to convert it anew"
    )]
    Graph {
        /// The graph's file.
        path: PathBuf,
        /// Its inputs.
        inputs: String,
    },
    /// The vocabulary is missing or malformed.
    #[error("the vocabulary {path} could not be loaded: {reason}; run `companion models pull kokoro-82m`")]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A voice file or the folder of voices is missing or malformed.
    #[error("the voice {path} could not be loaded: {reason}; run `companion models pull kokoro-82m`")]
    Voice {
        /// The file or folder.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// There is no voice of that name.
    #[error("there is no voice `{name}`; near it are {near} (all: `companion say --list-voices`)")]
    UnknownVoice {
        /// What was asked for.
        name: String,
        /// The nearest names.
        near: String,
    },
    /// The speed is beyond what the model can speak.
    #[error("a speed of {given} is beyond {} to {}: choose one between", SPEEDS.start, SPEEDS.end)]
    Speed {
        /// What was asked for.
        given: f32,
    },
    /// The network failed while speaking.
    #[error("{path} failed: {reason}")]
    Run {
        /// The graph's file.
        path: PathBuf,
        /// What the runtime said.
        reason: String,
    },
}

/// The names of the voices in the model folder `model`, without loading it.
///
/// # Errors
/// [`KokoroError::Voice`] when the folder is missing or holds none.
pub fn voices(model: &Path) -> Result<Vec<String>, KokoroError> {
    Ok(Voices::list(&model.join("voices"))?.names().map(String::from).collect())
}

/// Kokoro, loaded.
pub struct KokoroVoice {
    model: Model,
    reader: Reader,
    voices: Voices,
    voice: String,
    speed: f32,
    /// The factor that brings each voice to the common loudness.
    levels: HashMap<String, f32>,
}

/// A stretch of a sentence that is spoken in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    text: Range<usize>,
    tokens: Vec<i64>,
    pause: Pause,
}

impl KokoroVoice {
    /// Loads the network, the dictionaries and the default voice; takes one to three seconds.
    ///
    /// # Errors
    /// [`KokoroError`], with the file and the remedy.
    pub fn load(config: &KokoroConfig) -> Result<Self, KokoroError> {
        if !(SPEEDS.start..=SPEEDS.end).contains(&config.speed) {
            return Err(KokoroError::Speed { given: config.speed });
        }
        let mut voices = Voices::list(&config.model.join("voices"))?;
        voices.get(&config.voice)?;
        let mut kokoro = Self {
            model: Model::load(&config.runtime, &config.model, config.threads)?,
            reader: Reader::load(&config.mandarin, &config.english)?,
            voices,
            voice: config.voice.clone(),
            speed: config.speed,
            levels: HashMap::new(),
        };
        if config.warm_up {
            let phonemes = kokoro.reader.phonemes("你好，很高兴见到你。", Language::Zh);
            let tokens = kokoro.model.tokens(&phonemes);
            kokoro.speak(&tokens, &config.voice, &Style::NEUTRAL, &|| false)?;
        }
        Ok(kokoro)
    }

    /// The names of the voices.
    pub fn voices(&self) -> impl Iterator<Item = &str> {
        self.voices.names()
    }

    /// The phonemes that a text would be spoken with, for those who wonder why it sounds as it does.
    pub fn phonemes(&self, text: &str) -> String {
        self.reader.phonemes(text, Language::of(text).unwrap_or(self.language()))
    }

    /// What a text without letters is read in: the default voice's language.
    fn language(&self) -> Language {
        if self.voice.starts_with('z') { Language::Zh } else { Language::En }
    }

    /// Cuts a text into chunks of tokens that cover it.
    fn chunks(&self, text: &str) -> Vec<Chunk> {
        let language = Language::of(text).unwrap_or(self.language());
        let mut clauses = clauses(text);
        clauses.reverse();
        let mut spoken = Vec::new();
        while let Some(clause) = clauses.pop() {
            let tokens = self.model.tokens(&self.reader.phonemes(&text[clause.text.clone()], language));
            match halves(text, &clause.text) {
                Some([first, second]) if tokens.len() > LONGEST => {
                    clauses.push(clauses::Clause { text: second, ..clause });
                    clauses.push(clauses::Clause { text: first, pause: Pause::None });
                }
                _ => spoken.push(Chunk { text: clause.text, tokens, pause: clause.pause }),
            }
        }
        grouped(spoken, self.model.tokens(" ").first().copied())
    }

    /// The waveform of some tokens: trimmed, levelled and toned.
    fn speak(
        &mut self,
        tokens: &[i64],
        voice: &str,
        style: &Style,
        unwanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Vec<f32>>, KokoroError> {
        let mut vector = self.voices.get(voice)?.style(tokens.len());
        if let Some(partner) = style.partner_of(voice).filter(|partner| self.voices.has(partner)) {
            let partner = self.voices.get(partner)?.style(tokens.len());
            for (own, other) in vector[PROSODY..].iter_mut().zip(&partner[PROSODY..]) {
                *own += style.weight * (other - *own);
            }
        }
        let delivery = Delivery {
            style: vector,
            speed: (self.speed * style.speed).clamp(SPEEDS.start, SPEEDS.end),
            range: style.range,
            pitch: style.pitch_factor(),
        };
        let Some(samples) = self.model.speak(tokens, &delivery, unwanted)? else { return Ok(None) };
        let mut speech = sound::trimmed(&samples).to_vec();
        let level = match self.levels.get(voice) {
            Some(&level) => level,
            None => {
                let level = sound::levelling(&speech);
                // A sigh or a "hm" says little about a voice.
                if speech.len() > RATE as usize / 2 {
                    self.levels.insert(voice.into(), level);
                }
                level
            }
        };
        sound::brighten(&mut speech, style.brightness);
        sound::amplify(&mut speech, level * style.gain_factor());
        sound::fade(&mut speech);
        Ok(Some(speech))
    }
}

impl Engine<Voice> for KokoroVoice {
    fn serve(&mut self, say: Say, turn: &Turn<Voice>) -> Result<(), EngineError> {
        let voice = if say.voice.is_empty() { self.voice.clone() } else { say.voice };
        self.voices.get(&voice).map_err(EngineError::failed)?;
        let style = Style::of(say.cue);
        let chunks = self.chunks(&say.text);
        let count = chunks.len();
        for (at, chunk) in chunks.into_iter().enumerate() {
            turn.check()?;
            let mut samples = match chunk.tokens.is_empty() {
                true => Vec::new(),
                false => self
                    .speak(&chunk.tokens, &voice, &style, &|| turn.is_stale())
                    .map_err(EngineError::failed)?
                    .ok_or(EngineError::Superseded)?,
            };
            if !samples.is_empty() {
                let pause = chunk.pause.seconds() * style.pause / self.speed;
                samples.resize(samples.len() + (pause * RATE as f32) as usize, 0.0);
            }
            debug!(tokens = chunk.tokens.len(), samples = samples.len(), "spoke {:?}", &say.text[chunk.text.clone()]);
            turn.emit(SpeechChunk {
                sentence: say.sentence,
                pcm: Pcm::new(samples, RATE),
                text: chunk.text,
                last: at + 1 == count,
            })?;
        }
        Ok(())
    }
}

/// Joins clauses into chunks: a short first one, then ever longer ones. There is always one, so that a sentence without
/// sound ends too.
fn grouped(clauses: Vec<Chunk>, space: Option<i64>) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut limit = FIRST;
    for clause in clauses {
        match chunks.last_mut() {
            Some(chunk) if clause.tokens.is_empty() || chunk.tokens.len() + clause.tokens.len() < limit => {
                if !clause.tokens.is_empty() && !chunk.tokens.is_empty() {
                    chunk.tokens.extend(space);
                }
                chunk.tokens.extend(clause.tokens);
                chunk.text.end = clause.text.end;
                chunk.pause = clause.pause;
            }
            Some(chunk) if chunk.tokens.is_empty() => {
                let start = chunk.text.start;
                *chunk = Chunk { text: start..clause.text.end, ..clause };
            }
            last => {
                if let Some(last) = last {
                    limit = ((limit.max(last.tokens.len()) as f32 * GROWTH) as usize).clamp(FIRST, LATER);
                }
                chunks.push(clause);
            }
        }
    }
    if chunks.is_empty() {
        chunks.push(Chunk { text: 0..0, tokens: Vec::new(), pause: Pause::None });
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: Range<usize>, tokens: usize) -> Chunk {
        Chunk { text, tokens: vec![1; tokens], pause: Pause::Short }
    }

    #[test]
    fn chunks_begin_short_and_grow() {
        let clauses = (0..12).map(|at| chunk(at * 10..at * 10 + 10, 20)).collect();
        let lengths: Vec<usize> = grouped(clauses, Some(16)).iter().map(|chunk| chunk.tokens.len()).collect();
        assert!(lengths[0] <= FIRST && lengths.is_sorted() && *lengths.last().unwrap() > 60, "{lengths:?}");
    }

    #[test]
    fn chunks_cover_the_text_and_silent_clauses_join_their_neighbours() {
        let chunks = grouped(vec![chunk(0..2, 0), chunk(2..9, 30), chunk(9..12, 0), chunk(12..20, 40)], None);
        assert_eq!(chunks.iter().map(|chunk| chunk.text.clone()).collect::<Vec<_>>(), [0..12, 12..20]);
        assert_eq!(grouped(Vec::new(), None).len(), 1);
    }
}
