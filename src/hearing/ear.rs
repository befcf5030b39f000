//! The ear at the microphone: sound in, utterances out. It runs on the capture thread.

use std::collections::VecDeque;

use super::{
    HearingError, SpeechFrame,
    endpoint::{Endpointer, Verdict},
    vad::{Detector, Vad, VadConfig, WINDOW},
};
use crate::audio::Pcm;

const RATE: u32 = 16_000;
/// Windows a frame: 96 ms, so that a long utterance does not flood the recogniser's inbox.
const FRAME: usize = 3 * WINDOW;

/// What the ear notices. Times are samples at 16 kHz since it was opened.
#[derive(Clone, Debug)]
pub enum EarEvent {
    /// Somebody began to speak: time to open a turn and to fall silent.
    Started {
        /// When the speech began, a little before it was certain.
        at: u64,
    },
    /// A piece of the utterance; the last one says so.
    Frame(SpeechFrame),
    /// The utterance has ended; its last frame went ahead of this.
    Ended(Ended),
}

/// When an utterance was over. Times are samples at 16 kHz since the ear was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The end of the last window with speech: latencies that a person feels count from here.
    pub last_voiced: u64,
    /// When the ear was sure of it.
    pub noticed: u64,
}

impl Ended {
    /// How long the ear waited for more, in seconds.
    pub fn waited(&self) -> f64 {
        self.noticed.saturating_sub(self.last_voiced) as f64 / f64::from(RATE)
    }
}

/// Cuts a stream of sound into utterances.
pub struct Ear<D = Vad> {
    detector: D,
    endpointer: Endpointer,
    config: VadConfig,
    held: bool,
    /// Samples that do not fill a window yet.
    rest: Vec<f32>,
    /// Windows before speech: the pre-roll and the onset.
    before: VecDeque<[f32; WINDOW]>,
    /// Speech that does not fill a frame yet.
    frame: Vec<f32>,
    /// Windows of a pause: sent if speech goes on, mostly dropped if not.
    pause: Vec<[f32; WINDOW]>,
    /// Windows taken so far.
    taken: u64,
}

impl Ear<Vad> {
    /// Opens an ear with the Silero model.
    ///
    /// # Errors
    /// [`HearingError::Onnx`] when the library or the model is missing or damaged.
    pub fn open(config: &VadConfig) -> Result<Self, HearingError> {
        Ok(Self::new(Vad::load(config)?, config))
    }
}

impl<D: Detector> Ear<D> {
    /// An ear with the given detector.
    pub fn new(detector: D, config: &VadConfig) -> Self {
        Self {
            detector,
            endpointer: Endpointer::new(config.endpoint.clone(), !config.push_to_talk),
            config: config.clone(),
            held: false,
            rest: Vec::with_capacity(WINDOW),
            before: VecDeque::new(),
            frame: Vec::with_capacity(2 * FRAME),
            pause: Vec::new(),
            taken: 0,
        }
    }

    /// Takes sound in, 16 kHz mono, any number of samples at a time.
    ///
    /// # Errors
    /// [`HearingError::Vad`] when the model cannot be run; the ear may be used further, but it has missed a piece.
    pub fn push(&mut self, pcm: &[f32]) -> Result<Vec<EarEvent>, HearingError> {
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
            let verdict = self.detector.probability(&window).map(|probability| self.endpointer.push(probability));
            self.taken += 1;
            self.hear(window, verdict?, &mut events);
        }
        self.rest.extend_from_slice(pcm);
        Ok(events)
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

    fn hear(&mut self, window: [f32; WINDOW], verdict: Verdict, events: &mut Vec<EarEvent>) {
        match verdict {
            Verdict::Silence => {
                self.before.push_back(window);
                let kept = self.config.endpoint.pre_roll() + self.config.endpoint.onset() - 1;
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
                self.keep_pause(self.config.endpoint.tail());
                self.end(last_voiced, events);
            }
        }
    }

    /// Opens an utterance that begins with window `first`, and the pre-roll ahead of it.
    fn start(&mut self, first: u64, events: &mut Vec<EarEvent>) {
        events.push(EarEvent::Started { at: first * WINDOW as u64 });
        let wanted = (self.taken - first.min(self.taken)) as usize + self.config.endpoint.pre_roll();
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
        events.push(EarEvent::Frame(self.take(true)));
        let noticed = self.taken * WINDOW as u64;
        let last_voiced = ((last_voiced + 1) * WINDOW as u64).min(noticed);
        events.push(EarEvent::Ended(Ended { last_voiced, noticed }));
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
    }

    fn sound(track: &[(usize, f32)]) -> Vec<f32> {
        track.iter().flat_map(|&(windows, value)| std::iter::repeat_n(value, windows * WINDOW)).collect()
    }

    fn ear(push_to_talk: bool) -> Ear<FirstSample> {
        Ear::new(FirstSample, &VadConfig { push_to_talk, ..Default::default() })
    }

    /// The speech of the events' frames, and how many ended an utterance.
    fn speech(events: &[EarEvent]) -> (Vec<f32>, usize) {
        let frames =
            events.iter().filter_map(|event| if let EarEvent::Frame(frame) = event { Some(frame) } else { None });
        let samples = frames.clone().flat_map(|frame| frame.pcm.samples.to_vec()).collect();
        (samples, frames.filter(|frame| frame.last).count())
    }

    #[test]
    fn an_utterance_has_its_pre_roll_and_a_short_tail() {
        let sound = sound(&[(40, 0.1), (20, 0.9), (40, 0.2)]);
        let mut ear = ear(false);
        // Whatever the size of the pieces, down to ones that divide no window.
        let events: Vec<_> = sound.chunks(357).flat_map(|piece| ear.push(piece).unwrap()).collect();
        assert!(matches!(events[0], EarEvent::Started { at: 20_480 }), "{:?}", events[0]);
        let (speech, ends) = speech(&events);
        assert_eq!(ends, 1);
        let windows: Vec<f32> = speech.chunks(WINDOW).map(|window| window[0]).collect();
        assert_eq!(windows, [[0.1; 8].as_slice(), &[0.9; 20], &[0.2; 6]].concat(), "256 ms, speech, 192 ms");
        let Some(EarEvent::Ended(ended)) = events.last() else { panic!("{events:?}") };
        assert_eq!(*ended, Ended { last_voiced: 60 * 512, noticed: 76 * 512 });
        assert!((ended.waited() - 0.512).abs() < 1e-9);
    }

    #[test]
    fn a_pause_within_is_heard_whole() {
        let mut ear = ear(false);
        let events = ear.push(&sound(&[(10, 0.9), (10, 0.1), (10, 0.8), (20, 0.0)])).unwrap();
        let (speech, ends) = speech(&events);
        assert_eq!((speech.len() / WINDOW, ends), (30 + 6, 1));
    }

    #[test]
    fn two_utterances_share_no_sample() {
        let mut ear = ear(false);
        let events = ear.push(&sound(&[(10, 0.9), (17, 0.1), (10, 0.9), (17, 0.1)])).unwrap();
        let (speech, ends) = speech(&events);
        assert_eq!(ends, 2);
        let total = 10 + 6 + 8 + 10 + 6;
        assert_eq!(speech.len() / WINDOW, total, "the second pre-roll begins after the first tail");
    }

    #[test]
    fn a_held_key_hears_everything_and_ends_at_once() {
        let mut ear = ear(true);
        let mut events = ear.push(&sound(&[(30, 0.9)])).unwrap();
        assert!(events.is_empty(), "speech without the key is not heard");
        events.extend(ear.hold(true));
        assert!(ear.is_hearing());
        events.extend(ear.push(&sound(&[(5, 0.9), (100, 0.0)])).unwrap());
        events.extend(ear.push(&[0.0; 100]).unwrap());
        events.extend(ear.hold(false));
        assert!(!ear.is_hearing());
        let (speech, ends) = speech(&events);
        assert_eq!((speech.len(), ends), ((8 + 105) * WINDOW + 100, 1));
    }
}
