//! The ear at the microphone: sound in, utterances out. It runs on the capture thread.

use std::collections::VecDeque;

use bevy::log::error;

use super::{Detector, Endpointer, HearingError, RATE, Silero, VadConfig, Verdict, WINDOW, windows};
use crate::{audio::Pcm, hearing::SpeechFrame};

/// Samples a frame: 96 ms, so that a long utterance does not flood the recogniser's inbox.
const FRAME: usize = 3 * WINDOW;

/// What the ear notices.
#[derive(Clone, Debug)]
pub enum EarEvent {
    /// Somebody began to speak: time to open a turn and to fall silent.
    Started,
    /// A piece of the utterance.
    Frame(SpeechFrame),
    /// The utterance has ended.
    Ended {
        /// Its last piece.
        frame: SpeechFrame,
        /// How long ago the last speech was, in seconds: latencies that a person feels count from there.
        silence: f64,
    },
    /// The ear was closed in the middle of the utterance: forget it.
    Cancelled,
}

/// Cuts a stream of sound into utterances.
pub struct Ear<D = Silero> {
    detector: D,
    endpointer: Endpointer,
    config: VadConfig,
    held: bool,
    /// Whether the detector has failed and that has been said.
    deaf: bool,
    /// Samples that do not fill a window yet.
    rest: Vec<f32>,
    /// Windows before speech: the pre-roll and the onset.
    before: VecDeque<[f32; WINDOW]>,
    /// Speech that does not fill a frame yet.
    frame: Vec<f32>,
    /// Windows of a pause: sent if speech goes on, mostly dropped if not.
    pause: Vec<[f32; WINDOW]>,
    /// Windows taken since the last reset.
    taken: u64,
}

impl Ear<Silero> {
    /// An ear with the Silero model.
    ///
    /// # Errors
    /// [`HearingError::Onnx`] when the library or the model is missing or damaged.
    pub fn load(config: &VadConfig) -> Result<Self, HearingError> {
        Ok(Self::new(Silero::load(config)?, config))
    }
}

impl<D: Detector> Ear<D> {
    /// An ear with the given detector.
    pub fn new(detector: D, config: &VadConfig) -> Self {
        Self {
            detector,
            endpointer: Endpointer::new(config),
            config: config.clone(),
            held: false,
            deaf: false,
            rest: Vec::with_capacity(WINDOW),
            before: VecDeque::new(),
            frame: Vec::with_capacity(2 * FRAME),
            pause: Vec::new(),
            taken: 0,
        }
    }

    /// Takes sound in, 16 kHz mono, any number of samples at a time.
    pub fn push(&mut self, pcm: &[f32]) -> Vec<EarEvent> {
        let mut events = Vec::new();
        let mut pcm = pcm;
        while self.rest.len() + pcm.len() >= WINDOW {
            let (head, tail) = pcm.split_at(WINDOW - self.rest.len());
            pcm = tail;
            let mut window = [0.0; WINDOW];
            let (left, right) = window.split_at_mut(self.rest.len());
            left.copy_from_slice(&self.rest);
            right.copy_from_slice(head);
            self.rest.clear();
            let probability = self.judge(&window);
            let verdict = self.endpointer.push(probability);
            self.taken += 1;
            self.hear(window, verdict, &mut events);
        }
        self.rest.extend_from_slice(pcm);
        events
    }

    /// Closes the ear until the next sound, which may come after a gap. An open utterance is cancelled.
    pub fn reset(&mut self) -> Option<EarEvent> {
        let cancelled = self.is_hearing().then_some(EarEvent::Cancelled);
        if cancelled.is_some() || self.taken > 0 || !self.rest.is_empty() {
            self.endpointer.reset();
            self.detector.reset();
            self.rest.clear();
            self.before.clear();
            self.frame.clear();
            self.pause.clear();
            self.taken = 0;
        }
        cancelled
    }

    /// A push-to-talk key is pressed or let go: pressing begins an utterance at once, letting go ends it at once, and in
    /// between no silence does.
    pub fn hold(&mut self, held: bool) -> Vec<EarEvent> {
        let mut events = Vec::new();
        self.held = held;
        match self.endpointer.hold(held) {
            Some(Verdict::SpeechStarted { first }) => self.start(first, &mut events),
            Some(Verdict::SpeechEnded { last_voiced }) => {
                self.keep_pause(usize::MAX);
                // What was said up to this moment, not up to the last full window.
                let rest = self.rest.clone();
                self.frame.extend(rest);
                self.end(last_voiced, &mut events);
            }
            _ => {}
        }
        events
    }

    /// Whether an utterance is open.
    pub fn is_hearing(&self) -> bool {
        self.endpointer.is_speaking()
    }

    /// A detector that fails hears nothing: held keys still work.
    fn judge(&mut self, window: &[f32; WINDOW]) -> f32 {
        let judged = self.detector.probability(window);
        if let (Err(error), false) = (&judged, self.deaf) {
            error!("speech can no longer be told from silence: {error}");
        }
        self.deaf = judged.is_err();
        judged.unwrap_or(0.0)
    }

    fn hear(&mut self, window: [f32; WINDOW], verdict: Verdict, events: &mut Vec<EarEvent>) {
        match verdict {
            Verdict::Silence => {
                self.before.push_back(window);
                let kept = windows(self.config.pre_roll_ms) + windows(self.config.onset_ms);
                while self.before.len() > kept {
                    self.before.pop_front();
                }
            }
            Verdict::SpeechStarted { first } => {
                self.before.push_back(window);
                self.start(first, events);
            }
            // While the key is held the person decides what is speech.
            Verdict::Speech { voiced } if voiced || self.held => {
                self.keep_pause(usize::MAX);
                self.frame.extend_from_slice(&window);
                self.send(events);
            }
            Verdict::Speech { .. } => self.pause.push(window),
            Verdict::SpeechEnded { last_voiced } => {
                self.pause.push(window);
                self.keep_pause(windows(self.config.tail_ms));
                self.end(last_voiced, events);
            }
        }
    }

    /// Opens an utterance that begins with window `first`, and the pre-roll ahead of it.
    fn start(&mut self, first: u64, events: &mut Vec<EarEvent>) {
        events.push(EarEvent::Started);
        let wanted = (self.taken - first.min(self.taken)) as usize + windows(self.config.pre_roll_ms);
        let surplus = self.before.len().saturating_sub(wanted);
        self.frame.extend(self.before.drain(..).skip(surplus).flatten());
        self.send(events);
    }

    /// Moves the first `windows` of the pause into the utterance; the others are the next one's pre-roll.
    fn keep_pause(&mut self, windows: usize) {
        let kept = windows.min(self.pause.len());
        self.frame.extend(self.pause.drain(..kept).flatten());
        self.before.extend(self.pause.drain(..));
    }

    fn send(&mut self, events: &mut Vec<EarEvent>) {
        if self.frame.len() >= FRAME {
            events.push(EarEvent::Frame(self.take(false)));
        }
    }

    fn end(&mut self, last_voiced: u64, events: &mut Vec<EarEvent>) {
        let silent = (self.taken.saturating_sub(last_voiced + 1) as usize) * WINDOW;
        events.push(EarEvent::Ended { frame: self.take(true), silence: silent as f64 / f64::from(RATE) });
    }

    fn take(&mut self, last: bool) -> SpeechFrame {
        SpeechFrame { pcm: Pcm::new(std::mem::take(&mut self.frame), RATE), last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a window's first sample for its probability.
    struct FirstSample;

    impl Detector for FirstSample {
        fn probability(&mut self, window: &[f32; WINDOW]) -> Result<f32, HearingError> {
            Ok(window[0])
        }

        fn reset(&mut self) {}
    }

    fn sound(track: &[(usize, f32)]) -> Vec<f32> {
        track.iter().flat_map(|&(windows, value)| std::iter::repeat_n(value, windows * WINDOW)).collect()
    }

    fn ear() -> Ear<FirstSample> {
        Ear::new(FirstSample, &VadConfig::default())
    }

    /// The speech of the events' frames, and how many ended an utterance.
    fn speech(events: &[EarEvent]) -> (Vec<f32>, usize) {
        let frames = events.iter().filter_map(|event| match event {
            EarEvent::Frame(frame) | EarEvent::Ended { frame, .. } => Some(frame),
            EarEvent::Started | EarEvent::Cancelled => None,
        });
        let samples = frames.clone().flat_map(|frame| frame.pcm.samples.to_vec()).collect();
        (samples, frames.filter(|frame| frame.last).count())
    }

    #[test]
    fn an_utterance_has_its_pre_roll_and_a_short_tail() {
        let sound = sound(&[(40, 0.1), (20, 0.9), (40, 0.2)]);
        let mut ear = ear();
        // Whatever the size of the pieces, down to ones that divide no window.
        let events: Vec<_> = sound.chunks(357).flat_map(|piece| ear.push(piece)).collect();
        assert!(matches!(events[0], EarEvent::Started), "{:?}", events[0]);
        let (speech, ends) = speech(&events);
        assert_eq!(ends, 1);
        let windows: Vec<f32> = speech.chunks(WINDOW).map(|window| window[0]).collect();
        assert_eq!(windows, [[0.1; 8].as_slice(), &[0.9; 20], &[0.2; 6]].concat(), "256 ms, speech, 192 ms");
        let Some(EarEvent::Ended { silence, .. }) = events.last() else { panic!("{events:?}") };
        assert!((silence - 0.512).abs() < 1e-9, "500 ms in whole windows, not {silence} s");
    }

    #[test]
    fn a_pause_within_is_heard_whole() {
        let mut ear = ear();
        let events = ear.push(&sound(&[(10, 0.9), (10, 0.1), (10, 0.8), (20, 0.0)]));
        let (speech, ends) = speech(&events);
        assert_eq!((speech.len() / WINDOW, ends), (30 + 6, 1));
    }

    #[test]
    fn two_utterances_share_no_sample() {
        let mut ear = ear();
        let events = ear.push(&sound(&[(10, 0.9), (17, 0.1), (10, 0.9), (17, 0.1)]));
        let (speech, ends) = speech(&events);
        assert_eq!(ends, 2);
        let total = 10 + 6 + 8 + 10 + 6;
        assert_eq!(speech.len() / WINDOW, total, "the second pre-roll begins after the first tail");
    }

    #[test]
    fn a_held_key_hears_everything_and_ends_at_once() {
        let mut ear = ear();
        let mut events = ear.push(&sound(&[(30, 0.1)]));
        assert!(events.is_empty());
        events.extend(ear.hold(true));
        assert!(ear.is_hearing());
        events.extend(ear.push(&sound(&[(5, 0.9), (100, 0.0)])));
        events.extend(ear.push(&[0.0; 100]));
        events.extend(ear.hold(false));
        assert!(!ear.is_hearing());
        let (speech, ends) = speech(&events);
        assert_eq!((speech.len(), ends), ((8 + 105) * WINDOW + 100, 1));
    }

    #[test]
    fn a_closed_ear_forgets_what_it_was_hearing() {
        let mut ear = ear();
        assert_eq!(ear.push(&sound(&[(10, 0.9)])).len(), 4, "a start and three frames");
        assert!(matches!(ear.reset(), Some(EarEvent::Cancelled)));
        assert!(ear.reset().is_none());
        let events = ear.push(&sound(&[(10, 0.9), (20, 0.0)]));
        assert!(speech(&events) == (sound(&[(10, 0.9), (6, 0.0)]), 1));
    }
}
