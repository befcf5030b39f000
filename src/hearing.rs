//! Hearing: speech in, [`Transcript`] out.

pub mod scripted;
pub mod vad;
pub mod whisper;

use crate::{audio::Pcm, worker::Stage};

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
