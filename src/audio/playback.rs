//! One companion's speech on its way to the ear.

use std::{
    collections::{VecDeque, vec_deque},
    ops::Range,
    sync::atomic::Ordering,
};

use bevy::{platform::cell::SyncCell, prelude::*};

use super::{
    Cursor, Envelope, Heard, MAX_RATE, Marks, Pcm, Resampler, Timeline,
    strip::{Feed, Line, Strip, line},
};

/// The slowest rate that counts as speech, in hertz.
const MIN_RATE: u32 = 4000;

/// The queue of what a companion says, and its clock: the cursor follows what is *heard*.
///
/// [`push`](Self::push) appends pieces of sentences; they play without joints or gaps, and when the voice is slower than
/// the ear there is silence, in which the cursor stands. It plays through the [`Speaker`](super::Speaker) from the next
/// [`AudioSystems::Advance`](super::AudioSystems::Advance) on. Despawning it ends its sound.
#[derive(Component)]
pub struct Playback {
    timeline: Timeline,
    marks: Marks,
    epoch: u64,
    waiting: VecDeque<(u64, Pcm)>,
    line: Option<SyncCell<Line>>,
    /// The desk's rate, in hertz; 0 before there is one.
    rate: u32,
    /// The rates of the filter that was sent last.
    filter: Option<(u32, u32)>,
    gain: f32,
    pan: f32,
    sounding: bool,
}

impl Default for Playback {
    fn default() -> Self {
        Self {
            timeline: Timeline::default(),
            marks: Marks::default(),
            epoch: 0,
            waiting: VecDeque::new(),
            line: None,
            rate: 0,
            filter: None,
            gain: 1.0,
            pan: 0.0,
            sounding: false,
        }
    }
}

impl Playback {
    /// Appends a piece of a sentence: its sound, the bytes of the sentence's text that it says, and whether it is the last.
    ///
    /// A piece of another sentence ends the one before it. An empty piece may end a sentence. Sound below 4 kHz or above
    /// [`MAX_RATE`] is no speech: it is left out, with a warning.
    pub fn push(&mut self, sentence: u32, pcm: Pcm, text: Range<usize>, last: bool) {
        let playable = pcm.samples.is_empty() || (MIN_RATE..=MAX_RATE).contains(&pcm.rate);
        let pcm = if playable {
            pcm
        } else {
            warn!("speech at {} Hz cannot be played: give {MIN_RATE} to {MAX_RATE} Hz", pcm.rate);
            Pcm::new(Vec::new(), pcm.rate)
        };
        let first = self.timeline.push(sentence, pcm.clone(), text, last);
        if !pcm.samples.is_empty() {
            self.waiting.push_back((first, pcm));
            self.send(self.rate);
        }
    }

    /// Ends the open sentence with what it has: for a voice that fails halfway.
    pub fn close_sentence(&mut self) {
        self.timeline.close();
    }

    /// Falls silent within 15 ms (and what the device had buffered), forgets the rest, and returns what was being heard.
    ///
    /// No [`Heard::SentenceFinished`] or [`Heard::Idle`] follows; what was heard before the stop is still in
    /// [`news`](Self::news).
    pub fn stop(&mut self) -> Option<Cursor> {
        self.epoch += 1;
        self.waiting.clear();
        self.marks.clear();
        self.sounding = false;
        if let Some(line) = &mut self.line {
            line.get().control.epoch.store(self.epoch, Ordering::Release);
        }
        self.timeline.cut()
    }

    /// What is being heard now; `None` between sentences and in silence.
    pub fn cursor(&self) -> Option<Cursor> {
        self.timeline.cursor()
    }

    /// The loudness of the sentence being heard, past and future, in [`Cursor::seconds`]; it grows as pieces come.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.timeline.envelope()
    }

    /// How loud it is at the cursor: RMS, 0 to 1, before gain.
    pub fn level(&self) -> f32 {
        match (self.cursor(), self.envelope()) {
            (Some(cursor), Some(envelope)) if self.sounding => envelope.smoothed(cursor.seconds, 0.01),
            _ => 0.0,
        }
    }

    /// Copies the sound around the cursor, see [`Timeline::window`]. `None` while nothing sounds.
    pub fn window(&self, offset: f64, window: &mut [f32]) -> Option<u32> {
        self.timeline.window(offset, window).filter(|_| self.sounding)
    }

    /// Whether there is sound at this moment; false in a gap where the voice is late.
    pub fn is_sounding(&self) -> bool {
        self.sounding
    }

    /// Whether nothing is left to be heard.
    pub fn is_idle(&self) -> bool {
        self.timeline.is_idle()
    }

    /// How much speech is queued beyond the cursor, in seconds.
    pub fn remaining(&self) -> f64 {
        self.timeline.remaining()
    }

    /// What the listener has come to since the last call, in order.
    pub fn news(&mut self) -> vec_deque::Drain<'_, Heard> {
        self.timeline.news()
    }

    /// Sets how loud it plays: 1 is as the voice made it, 0 silent.
    pub fn set_gain(&mut self, gain: f32) {
        self.gain = gain;
        if let Some(line) = &mut self.line {
            line.get().control.gain.store(gain.to_bits(), Ordering::Relaxed);
        }
    }

    /// Sets where it comes from: −1 is left, 1 right.
    pub fn set_pan(&mut self, pan: f32) {
        self.pan = pan;
        if let Some(line) = &mut self.line {
            line.get().control.pan.store(pan.to_bits(), Ordering::Relaxed);
        }
    }

    /// Opens its line to a desk, if it has none, and returns the strip to put there.
    pub(super) fn connect(&mut self) -> Option<Box<Strip>> {
        if self.line.is_some() {
            return None;
        }
        let (line, strip) = line(self.epoch, self.gain, self.pan);
        self.line = Some(SyncCell::new(line));
        Some(strip)
    }

    /// Sends what waits to a desk of `rate` hertz, as far as there is room.
    pub(super) fn send(&mut self, rate: u32) {
        self.rate = rate;
        let Some(line) = self.line.as_mut().filter(|_| rate > 0) else { return };
        let line = line.get();
        while line.spent.pop().is_ok() {}
        while !self.waiting.is_empty() && !line.feeds.is_full() {
            let Some((first, pcm)) = self.waiting.pop_front() else { return };
            let rates = (pcm.rate, rate);
            let filter = (self.filter != Some(rates)).then(|| Resampler::new(pcm.rate, rate).ok().map(Box::new));
            self.filter = Some(rates);
            let _ = line.feeds.push(Feed { epoch: self.epoch, first, pcm, filter: filter.flatten() });
        }
    }

    /// Moves the cursor to what is heard at `now` on the speaker's clock.
    pub(super) fn listen(&mut self, now: f64) {
        if let Some(line) = &mut self.line {
            let line = line.get();
            while let Ok(mark) = line.marks.pop() {
                if mark.epoch == self.epoch {
                    self.marks.push(mark);
                }
            }
        }
        let (position, sounding) = self.marks.at(now).unwrap_or((0.0, false));
        self.timeline.hear(position);
        self.sounding = sounding && !self.timeline.is_idle();
    }
}

impl Drop for Playback {
    fn drop(&mut self) {
        if let Some(line) = &mut self.line {
            line.get().control.closed.store(true, Ordering::Release);
        }
    }
}
