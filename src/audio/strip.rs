//! One voice's strip on the mixing desk: its queue, its filter, its fader, and the marks that it sends back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{Mark, Pcm, Resampler};

/// How long a stopped voice takes to fall silent, in seconds.
const FADE: f64 = 0.015;
/// Pieces of speech on their way to a strip.
const FEEDS: usize = 256;
/// Marks on their way back: 10 s of speech, should a frame take that long.
const MARKS: usize = 2048;

/// What a voice says to its strip without a queue.
#[derive(Debug)]
pub(super) struct Control {
    /// Feeds of older epochs are not to be played.
    pub(super) epoch: AtomicU64,
    /// Bits of the gain, 1 for as loud as it came.
    pub(super) gain: AtomicU32,
    /// Bits of the pan, −1 for left to 1 for right.
    pub(super) pan: AtomicU32,
    /// The voice is gone; so goes its strip.
    pub(super) closed: AtomicBool,
}

/// A piece of speech on its way to a strip.
pub(super) struct Feed {
    pub(super) epoch: u64,
    pub(super) first: u64,
    pub(super) pcm: Pcm,
    /// The filter for this piece's rate, where it differs from the piece before.
    pub(super) filter: Option<Box<Resampler>>,
}

/// What a strip is done with.
pub(super) type Spent = (Pcm, Option<Box<Resampler>>);

/// A voice's end of its strip.
pub(super) struct Line {
    pub(super) control: Arc<Control>,
    pub(super) feeds: Producer<Feed>,
    pub(super) spent: Consumer<Spent>,
    pub(super) marks: Consumer<Mark>,
}

/// One voice on the desk.
pub(super) struct Strip {
    control: Arc<Control>,
    feeds: Consumer<Feed>,
    spent: Producer<Spent>,
    marks: Producer<Mark>,
    epoch: u64,
    /// The piece being played and how much of it has been.
    current: Option<(Feed, usize)>,
    filter: Option<Box<Resampler>>,
    /// The number of the next sample into the filter, and how many in the filter are not out yet.
    fed: u64,
    in_flight: usize,
    input: Vec<f32>,
    ready: Vec<f32>,
    played: usize,
    /// Where what is ready came from, until its mark has been made.
    origin: Option<(f64, f64)>,
    gains: [f32; 2],
    fade: Option<usize>,
}

/// A strip and the voice's end of it, for feeds from `epoch` on, at a gain and pan that the voice sets.
pub(super) fn line(epoch: u64, gain: f32, pan: f32) -> (Line, Box<Strip>) {
    let control = Arc::new(Control {
        epoch: AtomicU64::new(epoch),
        gain: AtomicU32::new(gain.to_bits()),
        pan: AtomicU32::new(pan.to_bits()),
        closed: AtomicBool::new(false),
    });
    let (feeds, feeds_out) = RingBuffer::new(FEEDS);
    let (spent_in, spent) = RingBuffer::new(FEEDS * 2);
    let (marks_in, marks) = RingBuffer::new(MARKS);
    let strip = Strip {
        control: control.clone(),
        feeds: feeds_out,
        spent: spent_in,
        marks: marks_in,
        epoch,
        current: None,
        filter: None,
        fed: 0,
        in_flight: 0,
        input: Vec::with_capacity(4096),
        ready: Vec::with_capacity(16_384),
        played: 0,
        origin: None,
        gains: balance(gain, pan),
        fade: None,
    };
    (Line { control, feeds, spent, marks }, Box::new(strip))
}

/// Left and right for a gain and a pan: the same power wherever it comes from, and unchanged in the middle.
fn balance(gain: f32, pan: f32) -> [f32; 2] {
    let gain = if gain.is_finite() { gain.max(0.0) } else { 0.0 };
    let pan = if pan.is_finite() { pan.clamp(-1.0, 1.0) } else { 0.0 };
    if pan == 0.0 {
        return [gain; 2];
    }
    let angle = (pan + 1.0) * std::f32::consts::FRAC_PI_4;
    [gain * angle.cos() * std::f32::consts::SQRT_2, gain * angle.sin() * std::f32::consts::SQRT_2]
}

impl Strip {
    /// Nothing to play, and nothing on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.is_silent() && self.feeds.is_empty()
    }

    fn is_silent(&self) -> bool {
        self.played >= self.ready.len() && self.current.is_none() && self.in_flight == 0
    }

    /// Whether its voice is gone and has died away.
    pub(super) fn is_over(&self) -> bool {
        self.control.closed.load(Ordering::Acquire) && self.is_silent()
    }

    /// Goes on at another rate, from where it is to within the filter's delay.
    pub(super) fn set_rate(&mut self, rate: u32) {
        self.silence();
        if let Some(filter) = &mut self.filter
            && let Ok(changed) = Resampler::new(filter.from_rate(), rate)
        {
            **filter = changed;
        }
    }

    fn silence(&mut self) {
        self.in_flight = 0;
        self.origin = None;
        self.ready.clear();
        self.played = 0;
    }

    /// Adds this voice to `out`, whose first frame sounds at `at`.
    pub(super) fn mix(&mut self, out: &mut [f32], channels: usize, rate: u32, at: f64) {
        let frames = out.len() / channels;
        let target = balance(
            f32::from_bits(self.control.gain.load(Ordering::Relaxed)),
            f32::from_bits(self.control.pan.load(Ordering::Relaxed)),
        );
        let steps = [0, 1].map(|side| (target[side] - self.gains[side]) / frames.max(1) as f32);
        let mut frame = 0;
        while frame < frames {
            if self.is_stopped() && self.fade.is_none() {
                self.fade = Some(if self.is_silent() { 0 } else { fade_frames(rate) });
            }
            if self.fade == Some(0) {
                self.flush();
            }
            if self.played >= self.ready.len() && !self.refill(rate) {
                if self.fade.take().is_some() {
                    self.flush();
                    continue;
                }
                break;
            }
            if let Some((from, to)) = self.origin.take() {
                let (at, span) = (at + frame as f64 / f64::from(rate), self.ready.len() as f64 / f64::from(rate));
                // A full ring means that nobody has listened for seconds; later marks say the same.
                let _ = self.marks.push(Mark { epoch: self.epoch, at, span, from, to });
            }
            let ready = self.ready.len() - self.played;
            let count = ready.min(frames - frame).min(self.fade.unwrap_or(usize::MAX));
            for offset in 0..count {
                let mut sample = self.ready[self.played + offset];
                if let Some(left) = self.fade {
                    sample *= (left - offset) as f32 / fade_frames(rate) as f32;
                }
                let place = &mut out[(frame + offset) * channels..][..channels];
                let gains = [0, 1].map(|side| self.gains[side] + steps[side] * (frame + offset) as f32);
                match place {
                    [mono] => *mono += sample * (gains[0] + gains[1]) / 2.0,
                    [left, right, ..] => {
                        *left += sample * gains[0];
                        *right += sample * gains[1];
                    }
                    [] => {}
                }
            }
            self.fade = self.fade.map(|left| left - count);
            self.played += count;
            frame += count;
        }
        self.gains = target;
    }

    fn is_stopped(&self) -> bool {
        self.control.epoch.load(Ordering::Acquire) > self.epoch || self.control.closed.load(Ordering::Acquire)
    }

    /// Forgets what older epochs have left; everything, once the voice is gone.
    fn flush(&mut self) {
        self.epoch = self.control.epoch.load(Ordering::Acquire);
        let closed = self.control.closed.load(Ordering::Acquire);
        self.spend_current();
        while self.feeds.peek().is_ok_and(|feed| closed || feed.epoch < self.epoch) {
            if let Ok(mut feed) = self.feeds.pop() {
                // Its filter may be the one that the pieces after it count on.
                if let Some(filter) = feed.filter.take() {
                    self.change_filter(filter);
                }
                self.spend(feed);
            }
        }
        self.fade = None;
        self.silence();
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }

    fn spend_current(&mut self) {
        if let Some((feed, _)) = self.current.take() {
            self.spend(feed);
        }
    }

    fn spend(&mut self, feed: Feed) {
        let _ = self.spent.push((feed.pcm, feed.filter));
    }

    fn change_filter(&mut self, filter: Box<Resampler>) {
        if let Some(old) = self.filter.replace(filter) {
            let _ = self.spent.push((Pcm::default(), Some(old)));
        }
    }

    /// Passes the next chunk of speech through the filter; false when there is none and nothing is left in the filter.
    fn refill(&mut self, rate: u32) -> bool {
        self.ready.clear();
        self.played = 0;
        if self.in_flight == 0 && !self.begin(rate) {
            return false;
        }
        let Some(filter) = &self.filter else { return false };
        let (chunk, delay, from_rate) = (filter.chunk(), filter.delay().ceil() as usize, filter.from_rate());
        self.input.clear();
        let before = self.fed - self.in_flight as u64;
        while self.input.len() < chunk {
            if self.current.is_none() && !self.follow(from_rate) {
                break;
            }
            let Some((feed, offset)) = &mut self.current else { break };
            let rest = &feed.pcm.samples[*offset..];
            let now = rest.len().min(chunk - self.input.len());
            self.input.extend_from_slice(&rest[..now]);
            *offset += now;
            self.fed = feed.first + *offset as u64;
            if now == rest.len() {
                self.spend_current();
            }
        }
        let real = self.input.len();
        self.input.resize(chunk, 0.0);
        // The filter holds its newest `delay` samples; silence among them is not speech.
        self.in_flight = (self.in_flight + real).min(delay.saturating_sub(chunk - real));
        let after = self.fed - self.in_flight as u64;
        if let Some(filter) = &mut self.filter {
            self.ready.extend_from_slice(filter.process(&self.input));
        }
        self.origin = Some((before as f64, after as f64));
        !self.ready.is_empty() || self.in_flight > 0
    }

    /// Takes the next piece when the filter is empty, and its filter with it.
    fn begin(&mut self, rate: u32) -> bool {
        if self.current.is_none() {
            let Ok(mut feed) = self.take() else { return false };
            if let Some(filter) = feed.filter.take() {
                self.change_filter(filter);
            }
            self.fed = feed.first;
            self.current = Some((feed, 0));
        }
        let Some((feed, _)) = &self.current else { return false };
        let from = feed.pcm.rate;
        if self.filter.as_ref().is_none_or(|filter| filter.from_rate() != from || filter.to_rate() != rate) {
            // The device has changed its rate since this piece was sent. It is the one case of building a filter here.
            match Resampler::new(from, rate) {
                Ok(filter) => self.change_filter(Box::new(filter)),
                Err(_) => {
                    self.spend_current();
                    return false;
                }
            }
        }
        true
    }

    /// Takes the next piece if it can follow the one before without a joint.
    fn follow(&mut self, rate: u32) -> bool {
        if !self.feeds.peek().is_ok_and(|feed| feed.filter.is_none() && feed.pcm.rate == rate) {
            return false;
        }
        self.current = self.take().ok().map(|feed| (feed, 0));
        self.current.is_some()
    }

    /// The next piece of this epoch: what a later one has sent waits for the fade.
    fn take(&mut self) -> Result<Feed, rtrb::PopError> {
        if self.feeds.peek().is_ok_and(|feed| feed.epoch > self.epoch) {
            return Err(rtrb::PopError::Empty);
        }
        self.feeds.pop()
    }
}

/// How many frames a stopped voice takes to fall silent.
pub(super) fn fade_frames(rate: u32) -> usize {
    (FADE * f64::from(rate)) as usize
}
