//! A voice without a model: tones whose length follows the text. For tests, demos and machines without weights.

use serde::{Deserialize, Serialize};

use super::{Say, SpeechChunk, Voice, style::Style};
use crate::{
    audio::Pcm,
    worker::{Engine, EngineError, Turn},
};

const RATE: u32 = 24_000;
/// The pitch of a calm tone, in hertz.
const PITCH: f32 = 220.0;
const LEVEL: f32 = 0.2;
/// Fades that keep chunks from clicking: 5 ms.
const FADE: usize = RATE as usize / 200;

/// How the scripted voice sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedConfig {
    /// Seconds of tone a character, spaces included; at least 0.
    pub seconds_per_character: f32,
    /// Characters a chunk; at least 1.
    pub chunk: usize,
}

impl Default for ScriptedConfig {
    fn default() -> Self {
        Self { seconds_per_character: 0.05, chunk: 12 }
    }
}

/// The scripted voice. The same sentence always gives the same samples; emotions change the tone's pitch, length and
/// loudness by the table that real voices use.
#[derive(Clone, Debug)]
pub struct ScriptedVoice {
    config: ScriptedConfig,
}

impl ScriptedVoice {
    /// A voice of that configuration.
    pub fn new(config: ScriptedConfig) -> Self {
        Self { config }
    }

    fn tone(&self, characters: usize, style: &Style) -> Pcm {
        let seconds = self.config.seconds_per_character.max(0.0) * characters as f32 / style.speed;
        let samples = (seconds * RATE as f32).round() as usize;
        let step = std::f32::consts::TAU * PITCH * style.pitch_factor() / RATE as f32;
        let level = LEVEL * style.gain_factor();
        let fade = |at: usize| (at.min(samples - at) as f32 / FADE as f32).min(1.0);
        Pcm::new((0..samples).map(|at| level * fade(at) * (step * at as f32).sin()).collect::<Vec<f32>>(), RATE)
    }
}

impl Engine<Voice> for ScriptedVoice {
    fn serve(&mut self, say: Say, turn: &Turn<Voice>) -> Result<(), EngineError> {
        let style = Style::of(say.cue);
        let bounds: Vec<usize> = say.text.char_indices().map(|(at, _)| at).chain([say.text.len()]).collect();
        let mut start = 0;
        loop {
            let end = (start + self.config.chunk.max(1)).min(bounds.len() - 1);
            let last = end == bounds.len() - 1;
            let pcm = self.tone(end - start, &style);
            turn.emit(SpeechChunk { sentence: say.sentence, pcm, text: bounds[start]..bounds[end], last })?;
            if last {
                return Ok(());
            }
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emotion::{Cue, Emotion};

    fn say(text: &str, cue: Cue) -> Vec<SpeechChunk> {
        let (turn, spoken) = Turn::detached();
        let say = Say { sentence: 3, text: text.into(), cue, voice: String::new() };
        ScriptedVoice::new(ScriptedConfig::default()).serve(say, &turn).unwrap();
        drop(turn);
        spoken.wait().collect()
    }

    #[test]
    fn the_tone_lasts_as_long_as_the_text_and_its_chunks_cover_it() {
        let text = "好的，我们明天下午三点在公园门口见面吧！";
        let chunks = say(text, Cue::default());
        let seconds: f64 = chunks.iter().map(|chunk| chunk.pcm.seconds()).sum();
        assert!((seconds - 0.05 * text.chars().count() as f64).abs() < 1e-3);
        assert_eq!(chunks.iter().map(|chunk| &text[chunk.text.clone()]).collect::<String>(), text);
        assert!(chunks.iter().all(|chunk| chunk.sentence == 3));
        assert_eq!(chunks.iter().filter(|chunk| chunk.last).count(), 1);
    }

    #[test]
    fn an_empty_sentence_still_ends() {
        let chunks = say("", Cue::default());
        assert!(chunks.len() == 1 && chunks[0].last && chunks[0].pcm.samples.is_empty());
    }

    #[test]
    fn emotions_are_heard_and_repetition_changes_nothing() {
        assert_eq!(say("hello", Cue::default()), say("hello", Cue::default()));
        assert_ne!(say("hello", Emotion::Sad.into()), say("hello", Cue::default()));
    }
}
