//! What happens in a conversation, for whoever wants to know: observers, windows, logs, tests and remote clients.

use std::time::Duration;

use bevy::prelude::*;
use serde::Serialize;

use crate::{
    brain::Usage,
    emotion::{Cue, Emotion},
    worker::TurnId,
};

/// Something that happened to a companion, as a stream in the order it happened.
#[derive(Message, Clone, Debug)]
pub struct DialogueEvent {
    /// To whom.
    pub companion: Entity,
    /// In which turn.
    pub turn: TurnId,
    /// When, since the app's start.
    pub at: Duration,
    /// What.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Fact {
    /// The person began to speak.
    SpeechStarted,
    /// The person stopped speaking.
    SpeechEnded,
    /// What the person said is known.
    UserSaid {
        /// The words.
        text: String,
        /// ISO 639-1 code, when the recogniser tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        language: Option<String>,
    },
    /// What memory brought up.
    Recalled {
        /// The texts, most relevant first.
        memories: Vec<String>,
    },
    /// A sentence has been thought.
    SentenceReady {
        /// Its number in the turn.
        sentence: u32,
        /// Its text.
        text: String,
        /// Its emotion.
        emotion: Emotion,
    },
    /// A sentence begins to be heard: the subtitle's moment.
    SentenceStarted {
        /// Its number in the turn.
        sentence: u32,
        /// Its text.
        text: String,
    },
    /// Her emotion changes, as is heard and seen now.
    EmotionChanged {
        /// The new one.
        emotion: Emotion,
        /// How much of it, 0 to 1.
        intensity: f32,
    },
    /// She was interrupted.
    Interrupted {
        /// What had been heard until then.
        heard: String,
    },
    /// The turn is over.
    TurnFinished {
        /// What was heard of the reply.
        reply: String,
        /// What it took.
        latency: Latency,
        /// What the brain did.
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// The turn could not be finished, or only in part.
    Failed {
        /// Which stage.
        stage: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// She was interrupted while speaking.
#[derive(EntityEvent, Clone, Debug)]
pub struct Interrupted {
    /// Who.
    #[event_target]
    pub companion: Entity,
    /// In which turn.
    pub turn: TurnId,
    /// What had been heard until then.
    pub heard: String,
}

/// A turn is over; all of its reply was heard.
#[derive(EntityEvent, Clone, Debug)]
pub struct TurnFinished {
    /// Whose.
    #[event_target]
    pub companion: Entity,
    /// Which.
    pub turn: TurnId,
    /// What was heard of the reply, without tags.
    pub reply: String,
    /// What it took.
    pub latency: Latency,
}

/// Her emotion changed, as is heard and seen now.
#[derive(EntityEvent, Clone, Copy, Debug)]
pub struct EmotionChanged {
    /// Whose.
    #[event_target]
    pub companion: Entity,
    /// To what.
    pub cue: Cue,
}

/// The moments of one turn, since the app's start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trace {
    /// The last voiced sample of the question; for typed text, when it came in.
    pub asked: Duration,
    /// The utterance was over: the endpoint's silence had passed.
    pub endpoint: Option<Duration>,
    /// What was said is known.
    pub transcript: Option<Duration>,
    /// Memory has answered, and the prompt is with the brain.
    pub recalled: Option<Duration>,
    /// The first token.
    pub first_token: Option<Duration>,
    /// The first clause is with the voice.
    pub first_clause: Option<Duration>,
    /// The first sound is queued for playback.
    pub first_chunk: Option<Duration>,
    /// The first sample is heard.
    pub first_audio: Option<Duration>,
    /// All has been heard.
    pub finished: Option<Duration>,
}

/// A turn's latency by stage, in seconds; the parts add up to `to_first_audio`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Waiting for the end of speech to be sure: last voiced sample → endpoint.
    pub endpoint: f64,
    /// Endpoint → transcript.
    pub hearing: f64,
    /// Transcript → recollections.
    pub recall: f64,
    /// Recollections → first token.
    pub first_token: f64,
    /// First token → first clause.
    pub first_clause: f64,
    /// First clause → first sound.
    pub voice: f64,
    /// First sound queued → heard.
    pub playback: f64,
    /// Last voiced sample → first sample heard; 0 when nothing was.
    pub to_first_audio: f64,
    /// Last voiced sample → end of the reply.
    pub total: f64,
}

impl Trace {
    /// The durations between the moments; a moment that never came takes no time.
    pub fn latency(&self) -> Latency {
        let moments = [
            self.endpoint,
            self.transcript,
            self.recalled,
            self.first_token,
            self.first_clause,
            self.first_chunk,
            self.first_audio,
        ];
        let mut before = self.asked;
        let [endpoint, hearing, recall, first_token, first_clause, voice, playback] = moments.map(|moment| {
            let moment = moment.unwrap_or(before).max(before);
            let taken = moment - before;
            before = moment;
            taken.as_secs_f64()
        });
        let since_asked =
            |moment: Option<Duration>| moment.map_or(0.0, |at| at.saturating_sub(self.asked).as_secs_f64());
        let (to_first_audio, total) = (since_asked(self.first_audio), since_asked(self.finished));
        Latency { endpoint, hearing, recall, first_token, first_clause, voice, playback, to_first_audio, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_latency_add_up() {
        let at = |millis| Some(Duration::from_millis(millis));
        let trace = Trace {
            asked: Duration::from_millis(100),
            endpoint: at(600),
            transcript: at(900),
            recalled: None,
            first_token: at(1000),
            first_clause: at(1200),
            first_chunk: at(1700),
            first_audio: at(1720),
            finished: at(4000),
        };
        let l = trace.latency();
        let sum = l.endpoint + l.hearing + l.recall + l.first_token + l.first_clause + l.voice + l.playback;
        assert!((sum - l.to_first_audio).abs() < 1e-9);
        assert_eq!((l.endpoint, l.recall, l.total), (0.5, 0.0, 3.9));
    }
}
