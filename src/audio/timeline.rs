//! What a voice has been given to say, and how far into it the listener has heard. No devices, no threads, no clocks.

use std::{
    collections::{VecDeque, vec_deque},
    ops::Range,
};

use super::{Envelope, Pcm};

/// Seconds a frame of the loudness that the lips follow.
const ENVELOPE_HOP: f64 = 0.005;
/// Positions are sums of fractions; this much of a sample is rounding.
const ROUNDING: f64 = 1e-3;

/// What the listener has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// The first sound of a sentence.
    SentenceStarted(u32),
    /// The last sound of a sentence.
    SentenceFinished(u32),
    /// The end of everything that was queued, with no sentence left open.
    Idle,
}

/// A place in speech: the one being heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cursor {
    /// Which sentence.
    pub sentence: u32,
    /// Seconds since the sentence began, without the gaps in which the voice was late.
    pub seconds: f64,
    /// How many bytes of the sentence's text have been heard: an estimate within its piece, which may fall inside a
    /// character (see [`str::floor_char_boundary`]).
    pub text: usize,
}

/// A piece of a sentence. Samples are numbered over everything that was ever pushed.
#[derive(Clone, Debug)]
struct Piece {
    pcm: Pcm,
    text: Range<usize>,
    first: u64,
    begins: f64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.first + self.pcm.samples.len() as u64
    }
}

#[derive(Clone, Debug)]
struct Sentence {
    number: u32,
    pieces: Vec<Piece>,
    first: u64,
    started: bool,
    closed: bool,
    envelope: Envelope,
    seconds: f64,
}

impl Sentence {
    fn end(&self) -> u64 {
        self.pieces.last().map_or(self.first, Piece::end)
    }

    fn cursor(&self, heard: f64) -> Cursor {
        let piece = self.pieces.iter().rev().find(|piece| heard >= piece.first as f64);
        let Some(piece) = piece.or(self.pieces.first()) else {
            return Cursor { sentence: self.number, seconds: 0.0, text: 0 };
        };
        let length = piece.pcm.samples.len() as f64;
        let inside = (heard - piece.first as f64).clamp(0.0, length);
        let share = if length > 0.0 { inside / length } else { 1.0 };
        let text = piece.text.start + (share * piece.text.len() as f64).round() as usize;
        let seconds = piece.begins + inside / f64::from(piece.pcm.rate.max(1));
        Cursor { sentence: self.number, seconds, text }
    }
}

/// The sentences of one voice in order, and the listener's position among their samples.
#[derive(Debug, Default)]
pub struct Timeline {
    /// From the sentence being heard on.
    sentences: VecDeque<Sentence>,
    next: u64,
    heard: f64,
    news: VecDeque<Heard>,
    loudness: Option<Envelope>,
}

impl Timeline {
    /// Appends a piece and returns the number of its first sample. A piece of another sentence than the open one ends that.
    pub fn push(&mut self, sentence: u32, pcm: Pcm, text: Range<usize>, last: bool) -> u64 {
        let first = self.next;
        self.next += pcm.samples.len() as u64;
        if self.sentences.back().is_none_or(|open| open.closed || open.number != sentence) {
            self.close();
            let envelope = self.loudness.as_ref().map_or_else(|| Envelope::new(ENVELOPE_HOP), Envelope::following);
            let (pieces, started, closed, seconds) = (Vec::new(), false, false, 0.0);
            self.sentences.push_back(Sentence { number: sentence, pieces, first, started, closed, envelope, seconds });
        }
        if let Some(open) = self.sentences.back_mut() {
            open.envelope.extend(&pcm);
            let begins = open.seconds;
            open.seconds += pcm.seconds();
            open.pieces.push(Piece { pcm, text, first, begins });
            if last {
                self.close();
            }
        }
        first
    }

    /// Ends the open sentence with what it has, if there is one.
    pub fn close(&mut self) {
        if let Some(open) = self.sentences.back_mut().filter(|open| !open.closed) {
            open.closed = true;
            self.loudness = Some(open.envelope.clone());
        }
    }

    /// Moves the listener to a sample position; never backward, never past what was pushed.
    pub fn hear(&mut self, position: f64) {
        if self.sentences.is_empty() || !position.is_finite() {
            return;
        }
        self.heard = position.clamp(self.heard, self.next as f64);
        while let Some(sentence) = self.sentences.front_mut() {
            let over = sentence.closed && self.heard + ROUNDING >= sentence.end() as f64;
            if !sentence.started && (over || self.heard > sentence.first as f64) {
                sentence.started = true;
                self.news.push_back(Heard::SentenceStarted(sentence.number));
            }
            if !over {
                return;
            }
            self.news.push_back(Heard::SentenceFinished(sentence.number));
            self.sentences.pop_front();
        }
        self.news.push_back(Heard::Idle);
    }

    /// Forgets everything that has not been heard and returns where the listener was.
    pub fn cut(&mut self) -> Option<Cursor> {
        let cursor = self.cursor();
        if let Some(cut) = self.sentences.front() {
            self.loudness = Some(cut.envelope.clone());
        }
        self.sentences.clear();
        self.heard = self.next as f64;
        cursor
    }

    /// What is being heard; `None` between sentences and before the first.
    pub fn cursor(&self) -> Option<Cursor> {
        self.sentences.front().filter(|sentence| sentence.started).map(|sentence| sentence.cursor(self.heard))
    }

    /// The loudness of the sentence being heard, as far as it has been pushed. Its time is [`Cursor::seconds`].
    pub fn envelope(&self) -> Option<&Envelope> {
        self.sentences.front().filter(|sentence| sentence.started).map(|sentence| &sentence.envelope)
    }

    /// Copies the sound `offset` seconds from the cursor into `window`, centred there, and returns its rate.
    ///
    /// What lies outside the sentence is silence. `None` when nothing is being heard.
    pub fn window(&self, offset: f64, window: &mut [f32]) -> Option<u32> {
        let sentence = self.sentences.front().filter(|sentence| sentence.started)?;
        let current = sentence.pieces.iter().rev().find(|piece| self.heard >= piece.first as f64)?;
        let rate = current.pcm.rate;
        let centre = self.heard + offset * f64::from(rate);
        let start = centre.round() as i64 - window.len() as i64 / 2;
        window.fill(0.0);
        for piece in sentence.pieces.iter().filter(|piece| piece.pcm.rate == rate) {
            let shift = piece.first as i64 - start;
            let into = shift.max(0) as usize;
            let from = (-shift).max(0) as usize;
            if into < window.len() && from < piece.pcm.samples.len() {
                let length = (window.len() - into).min(piece.pcm.samples.len() - from);
                window[into..into + length].copy_from_slice(&piece.pcm.samples[from..from + length]);
            }
        }
        Some(rate)
    }

    /// What the listener has come to since the last call, in order.
    pub fn news(&mut self) -> vec_deque::Drain<'_, Heard> {
        self.news.drain(..)
    }

    /// Whether nothing is left to be heard.
    pub fn is_idle(&self) -> bool {
        self.sentences.is_empty()
    }

    /// How much sound is queued beyond the cursor, in seconds.
    pub fn remaining(&self) -> f64 {
        let left = |piece: &Piece| {
            let unheard = (piece.end() as f64 - self.heard).clamp(0.0, piece.pcm.samples.len() as f64);
            unheard / f64::from(piece.pcm.rate.max(1))
        };
        self.sentences.iter().flat_map(|sentence| &sentence.pieces).map(left).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(samples: usize) -> Pcm {
        Pcm::new((0..samples).map(|n| n as f32 / 1e4).collect::<Vec<_>>(), 1000)
    }

    fn news(timeline: &mut Timeline) -> Vec<Heard> {
        timeline.news().collect()
    }

    #[test]
    fn the_listener_passes_sentences_in_order() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.push(0, sound(100), 0..4, false), 0);
        assert_eq!(timeline.push(0, sound(100), 4..10, true), 100);
        assert_eq!(timeline.push(1, sound(50), 0..5, true), 200);
        assert_eq!((timeline.cursor(), timeline.is_idle()), (None, false));
        timeline.hear(1.0);
        assert_eq!(news(&mut timeline), [Heard::SentenceStarted(0)]);
        timeline.hear(150.0);
        let cursor = timeline.cursor().unwrap();
        assert_eq!((cursor.sentence, cursor.text), (0, 7));
        assert!((cursor.seconds - 0.15).abs() < 1e-9);
        timeline.hear(225.0);
        assert_eq!(news(&mut timeline), [Heard::SentenceFinished(0), Heard::SentenceStarted(1)]);
        assert_eq!(timeline.cursor().unwrap().seconds, 0.025);
        timeline.hear(250.0);
        assert_eq!(news(&mut timeline), [Heard::SentenceFinished(1), Heard::Idle]);
        assert_eq!((timeline.cursor(), timeline.is_idle()), (None, true));
        timeline.hear(250.0);
        assert_eq!(news(&mut timeline), []);
    }

    #[test]
    fn a_leap_over_everything_still_tells_all_of_it() {
        let mut timeline = Timeline::default();
        for sentence in 0..3 {
            timeline.push(sentence, sound(10), 0..1, true);
        }
        timeline.hear(f64::MAX);
        let told = news(&mut timeline);
        let pairs = (0..3).flat_map(|n| [Heard::SentenceStarted(n), Heard::SentenceFinished(n)]);
        assert_eq!(told, pairs.chain([Heard::Idle]).collect::<Vec<_>>());
    }

    #[test]
    fn a_sentence_stays_open_until_its_last_piece() {
        let mut timeline = Timeline::default();
        timeline.push(0, sound(10), 0..3, false);
        timeline.hear(10.0);
        assert_eq!(news(&mut timeline), [Heard::SentenceStarted(0)]);
        assert_eq!(timeline.cursor(), Some(Cursor { sentence: 0, seconds: 0.01, text: 3 }));
        // An empty piece ends it.
        timeline.push(0, Pcm::default(), 3..3, true);
        timeline.hear(0.0);
        assert_eq!(news(&mut timeline), [Heard::SentenceFinished(0), Heard::Idle]);
    }

    #[test]
    fn a_voice_that_fails_halfway_leaves_no_sentence_open() {
        let mut timeline = Timeline::default();
        timeline.push(0, sound(10), 0..3, false);
        timeline.push(1, sound(10), 0..3, false);
        timeline.close();
        timeline.hear(20.0);
        assert!(timeline.is_idle());
        assert_eq!(news(&mut timeline).len(), 5);
    }

    #[test]
    fn a_sentence_without_sound_is_heard_when_its_turn_comes() {
        let mut timeline = Timeline::default();
        timeline.push(0, sound(10), 0..1, true);
        timeline.push(1, Pcm::default(), 0..1, true);
        timeline.push(2, sound(10), 0..1, true);
        timeline.hear(5.0);
        assert_eq!(news(&mut timeline), [Heard::SentenceStarted(0)]);
        timeline.hear(15.0);
        let rest = [Heard::SentenceFinished(0), Heard::SentenceStarted(1), Heard::SentenceFinished(1)];
        assert_eq!(news(&mut timeline), [&rest[..], &[Heard::SentenceStarted(2)]].concat());
    }

    #[test]
    fn the_listener_never_goes_back_nor_past_the_end() {
        let mut timeline = Timeline::default();
        timeline.push(0, sound(100), 0..10, false);
        timeline.hear(60.0);
        timeline.hear(20.0);
        timeline.hear(f64::NAN);
        assert_eq!(timeline.cursor().unwrap().seconds, 0.06);
        timeline.hear(1e9);
        assert_eq!(timeline.cursor().unwrap().seconds, 0.1);
        timeline.push(0, sound(100), 10..20, true);
        assert!((timeline.remaining() - 0.1).abs() < 1e-9);
        assert_eq!(timeline.cursor().unwrap().text, 10);
    }

    #[test]
    fn a_cut_forgets_the_rest_and_the_next_turn_counts_from_there() {
        let mut timeline = Timeline::default();
        timeline.push(0, sound(100), 0..10, true);
        timeline.push(1, sound(100), 0..10, true);
        timeline.hear(30.0);
        assert_eq!(timeline.cut(), Some(Cursor { sentence: 0, seconds: 0.03, text: 3 }));
        assert!(timeline.is_idle());
        assert_eq!(timeline.cut(), None);
        assert_eq!(timeline.push(0, sound(10), 0..1, true), 200);
        assert_eq!(timeline.cursor(), None);
        timeline.hear(205.0);
        assert_eq!(timeline.cursor().unwrap().seconds, 0.005);
        let told = [Heard::SentenceStarted(0), Heard::SentenceStarted(0)];
        assert_eq!(news(&mut timeline), told);
    }

    #[test]
    fn the_window_shows_past_and_future_across_pieces() {
        let mut timeline = Timeline::default();
        let whole = sound(200);
        timeline.push(0, Pcm::new(&whole.samples[..100], 1000), 0..1, false);
        timeline.push(0, Pcm::new(&whole.samples[100..], 1000), 1..2, true);
        let mut window = [9.0; 20];
        assert_eq!(timeline.window(0.0, &mut window), None);
        timeline.hear(100.0);
        assert_eq!(timeline.window(0.0, &mut window), Some(1000));
        assert_eq!(window, whole.samples[90..110]);
        timeline.window(0.095, &mut window);
        assert_eq!(window[..15], whole.samples[185..]);
        assert_eq!(window[15..], [0.0; 5]);
        timeline.window(-0.1, &mut window);
        assert_eq!((&window[..10], window[11]), (&[0.0; 10][..], whole.samples[1]));
    }
}
