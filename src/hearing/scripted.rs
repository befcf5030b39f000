//! Ears that hear what a list says, for tests and demonstrations.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Hearing, SpeechFrame, Transcript};
use crate::worker::{Engine, EngineError, Turn};

/// What [`ScriptedEars`] hear.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedConfig {
    /// One line an utterance; after the last, nothing is heard.
    pub lines: Vec<String>,
}

/// An engine that answers each utterance with the next line, whatever its sound.
#[derive(Debug, Default)]
pub struct ScriptedEars {
    lines: VecDeque<String>,
    seconds: f64,
    turn: crate::worker::TurnId,
}

impl ScriptedEars {
    /// Ears that hear these lines, in order.
    pub fn new(lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { lines: lines.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

impl Engine<Hearing> for ScriptedEars {
    fn serve(&mut self, frame: SpeechFrame, turn: &Turn<Hearing>) -> Result<(), EngineError> {
        if std::mem::replace(&mut self.turn, turn.id()) != turn.id() {
            self.seconds = 0.0;
        }
        self.seconds += frame.pcm.seconds();
        if !frame.last {
            return turn.check();
        }
        let text = self.lines.pop_front().unwrap_or_default();
        let seconds = std::mem::take(&mut self.seconds);
        turn.emit(Transcript { text, is_final: true, language: None, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Pcm;

    #[test]
    fn each_utterance_is_the_next_line() {
        let mut ears = ScriptedEars::new(["hello", "goodbye"]);
        let (turn, heard) = Turn::detached();
        let frame = |last| SpeechFrame { pcm: Pcm::new([0.0; 1600], 16_000), last };
        for last in [false, true, true, true] {
            ears.serve(frame(last), &turn).unwrap();
        }
        let heard: Vec<_> = heard.drain().map(|transcript| (transcript.text, transcript.seconds)).collect();
        assert_eq!(heard, [("hello".into(), 0.2), ("goodbye".into(), 0.1), (String::new(), 0.1)]);
    }
}
