//! Where an utterance begins and ends, as a pure function of speech probabilities.

use super::{VadConfig, windows};

/// What a window's probability means. Windows are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody speaks.
    Silence,
    /// An utterance has begun: with window `first`, as this one confirms.
    SpeechStarted {
        /// The first window of speech.
        first: u64,
    },
    /// The utterance goes on.
    Speech {
        /// Whether this window is speech, or a pause within.
        voiced: bool,
    },
    /// The utterance has ended with this window.
    SpeechEnded {
        /// The last window of speech.
        last_voiced: u64,
    },
}

/// Turns a track of probabilities into utterances.
#[derive(Clone, Debug)]
pub struct Endpointer {
    config: VadConfig,
    /// The next window's number.
    next: u64,
    state: State,
    /// Whether a key is held: then only its release ends the utterance.
    held: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Silent,
    /// Speech since window `first`, not yet long enough.
    Maybe {
        first: u64,
    },
    Speaking {
        first: u64,
        last_voiced: u64,
    },
}

impl Endpointer {
    /// In silence, at window 0.
    pub fn new(config: &VadConfig) -> Self {
        Self { config: config.clone(), next: 0, state: State::Silent, held: false }
    }

    /// Whether an utterance is open.
    pub fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. })
    }

    /// Takes the next window's probability; one that is not a number counts as 0.
    pub fn push(&mut self, probability: f32) -> Verdict {
        let now = self.next;
        self.next += 1;
        match self.state {
            State::Silent if probability >= self.config.threshold => self.confirm(now, now),
            State::Maybe { first } if probability >= self.config.release => self.confirm(first, now),
            State::Silent | State::Maybe { .. } => {
                self.state = State::Silent;
                Verdict::Silence
            }
            State::Speaking { first, last_voiced } => {
                let voiced = probability >= self.config.release;
                let last_voiced = if voiced { now } else { last_voiced };
                self.state = State::Speaking { first, last_voiced };
                let waited = now - last_voiced >= windows(self.config.wait_ms) as u64;
                let long = now + 1 - first >= windows(self.config.longest_ms) as u64;
                if !self.held && (waited || long) { self.end(last_voiced) } else { Verdict::Speech { voiced } }
            }
        }
    }

    /// A key is pressed or let go. Pressing opens an utterance, which then ends with the key, whatever is heard.
    ///
    /// Gives the verdict that this forces, if any.
    pub fn hold(&mut self, held: bool) -> Option<Verdict> {
        let was = std::mem::replace(&mut self.held, held);
        match self.state {
            State::Speaking { last_voiced, .. } if was && !held => Some(self.end(last_voiced)),
            State::Silent | State::Maybe { .. } if held && !was => {
                let first = if let State::Maybe { first } = self.state { first } else { self.next };
                self.state = State::Speaking { first, last_voiced: first };
                Some(Verdict::SpeechStarted { first })
            }
            _ => None,
        }
    }

    /// Back to silence at window 0, whatever was heard; a held key stays held.
    pub fn reset(&mut self) {
        self.next = 0;
        self.state = State::Silent;
    }

    fn confirm(&mut self, first: u64, now: u64) -> Verdict {
        if now + 1 - first >= windows(self.config.onset_ms).max(1) as u64 {
            self.state = State::Speaking { first, last_voiced: now };
            Verdict::SpeechStarted { first }
        } else {
            self.state = State::Maybe { first };
            Verdict::Silence
        }
    }

    fn end(&mut self, last_voiced: u64) -> Verdict {
        self.state = State::Silent;
        Verdict::SpeechEnded { last_voiced }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a track says other than silence and speech, with the window at which it says it.
    fn events(endpointer: &mut Endpointer, track: &[(usize, f32)]) -> Vec<(u64, Verdict)> {
        let mut events = Vec::new();
        for &(length, probability) in track {
            for _ in 0..length {
                let at = endpointer.next;
                match endpointer.push(probability) {
                    Verdict::Silence | Verdict::Speech { .. } => {}
                    verdict => events.push((at, verdict)),
                }
            }
        }
        events
    }

    fn open() -> Endpointer {
        Endpointer::new(&VadConfig::default())
    }

    #[test]
    fn an_utterance_begins_after_its_onset_and_ends_after_the_wait() {
        let events = events(&mut open(), &[(10, 0.1), (30, 0.9), (40, 0.1)]);
        let started = (12, Verdict::SpeechStarted { first: 10 });
        let ended = (39 + 16, Verdict::SpeechEnded { last_voiced: 39 });
        assert_eq!(events, [started, ended], "500 ms are 16 windows");
    }

    #[test]
    fn a_click_is_no_utterance() {
        assert_eq!(events(&mut open(), &[(10, 0.0), (2, 1.0), (50, 0.0), (1, 1.0), (50, 0.0)]), []);
    }

    #[test]
    fn a_pause_for_breath_does_not_end_it() {
        let events = events(&mut open(), &[(20, 0.9), (14, 0.1), (20, 0.9), (20, 0.0)]);
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].1, Verdict::SpeechEnded { last_voiced: 53 });
    }

    #[test]
    fn a_flickering_probability_neither_opens_nor_closes() {
        assert_eq!(events(&mut open(), &[(100, 0.4)]), [], "under the threshold nothing opens");
        let kept = events(&mut open(), &[(10, 0.9), (200, 0.4)]);
        assert_eq!(kept.len(), 1, "above the release nothing closes: {kept:?}");
    }

    #[test]
    fn a_monologue_is_cut_and_goes_on_as_the_next_utterance() {
        let config = VadConfig { longest_ms: 3200, ..Default::default() };
        let events = events(&mut Endpointer::new(&config), &[(250, 1.0)]);
        let kinds: Vec<_> = events.iter().map(|(at, _)| *at).collect();
        assert_eq!(kinds, [2, 99, 102, 199, 202]);
    }

    #[test]
    fn a_held_key_is_the_only_end() {
        let mut endpointer = open();
        assert_eq!(events(&mut endpointer, &[(50, 0.0)]), []);
        assert_eq!(endpointer.hold(true), Some(Verdict::SpeechStarted { first: 50 }));
        assert_eq!(endpointer.hold(true), None);
        assert_eq!(events(&mut endpointer, &[(10, 1.0), (5000, 0.0)]), []);
        assert_eq!(endpointer.hold(false), Some(Verdict::SpeechEnded { last_voiced: 59 }));
        assert_eq!(endpointer.hold(false), None);
        assert_eq!(events(&mut endpointer, &[(50, 0.0)]), []);
    }

    #[test]
    fn a_key_takes_over_an_open_utterance() {
        let mut endpointer = open();
        assert_eq!(events(&mut endpointer, &[(10, 1.0)]).len(), 1);
        assert_eq!(endpointer.hold(true), None);
        assert_eq!(events(&mut endpointer, &[(100, 0.0)]), []);
        assert_eq!(endpointer.hold(false), Some(Verdict::SpeechEnded { last_voiced: 9 }));
    }

    #[test]
    fn what_is_not_a_number_is_silence() {
        assert_eq!(events(&mut open(), &[(100, f32::NAN)]), []);
        assert_eq!(events(&mut open(), &[(10, 1.0), (100, f32::NAN)]).len(), 2);
    }
}
