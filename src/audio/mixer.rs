//! The mixing desk: every companion's voice has a strip, and what leaves the desk goes to the device.
//!
//! [`Mixer::render`] runs in the device's callback: it neither locks, nor waits, nor (in the ordinary run of things)
//! allocates. Voices reach their strips through lock-free rings, and what a strip is done with goes back through another,
//! to be freed elsewhere.

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
/// Voices on their way to the desk.
const NEWCOMERS: usize = 64;

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
    fn is_idle(&self) -> bool {
        self.is_silent() && self.feeds.is_empty()
    }

    fn is_silent(&self) -> bool {
        self.played >= self.ready.len() && self.current.is_none() && self.in_flight == 0
    }

    /// Adds this voice to `out`, whose first frame sounds at `at`.
    fn mix(&mut self, out: &mut [f32], channels: usize, rate: u32, at: f64) {
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
        self.in_flight = 0;
        self.origin = None;
        self.ready.clear();
        self.played = 0;
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

fn fade_frames(rate: u32) -> usize {
    (FADE * f64::from(rate)) as usize
}

/// The desk.
pub(super) struct Mixer {
    rate: u32,
    strips: Vec<Box<Strip>>,
    newcomers: Consumer<Box<Strip>>,
    retired: Producer<Box<Strip>>,
    volume: f32,
    tap: Option<Producer<f32>>,
}

/// Where strips come to the desk and where they go from there.
pub(super) struct Doors {
    pub(super) newcomers: Producer<Box<Strip>>,
    pub(super) retired: Consumer<Box<Strip>>,
}

impl Mixer {
    /// A desk at `rate` hertz whose sum is copied into `tap`, in mono.
    pub(super) fn new(rate: u32, volume: f32, tap: Option<Producer<f32>>) -> (Self, Doors) {
        let (newcomers, newcomers_out) = RingBuffer::new(NEWCOMERS);
        let (retired_in, retired) = RingBuffer::new(NEWCOMERS);
        let strips = Vec::with_capacity(NEWCOMERS);
        (
            Self { rate, strips, newcomers: newcomers_out, retired: retired_in, volume, tap },
            Doors { newcomers, retired },
        )
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Changes the rate, between devices. Speech goes on where it was, to within the filters' delays.
    pub(super) fn set_rate(&mut self, rate: u32) {
        if rate == self.rate {
            return;
        }
        self.rate = rate;
        for strip in &mut self.strips {
            strip.ready.clear();
            strip.played = 0;
            strip.in_flight = 0;
            strip.origin = None;
            if let Some(filter) = &mut strip.filter
                && let Ok(changed) = Resampler::new(filter.from_rate(), rate)
            {
                **filter = changed;
            }
        }
    }

    /// Whether rendering would only give silence.
    pub(super) fn is_idle(&mut self) -> bool {
        self.admit();
        self.strips.iter().all(|strip| strip.is_idle())
    }

    fn admit(&mut self) {
        while let Ok(strip) = self.newcomers.pop() {
            self.strips.push(strip);
        }
    }

    /// Fills `out` with interleaved frames of `channels`, the first of which is heard at `at` seconds. Clipped at ±1.
    pub(super) fn render(&mut self, out: &mut [f32], channels: usize, at: f64) {
        out.fill(0.0);
        if channels == 0 {
            return;
        }
        self.admit();
        for strip in &mut self.strips {
            strip.mix(out, channels, self.rate, at);
        }
        for index in (0..self.strips.len()).rev() {
            let strip = &self.strips[index];
            if strip.control.closed.load(Ordering::Acquire) && strip.is_silent() {
                let _ = self.retired.push(self.strips.swap_remove(index));
            }
        }
        for sample in out.iter_mut() {
            let loud = *sample * self.volume;
            *sample = if loud.is_finite() { loud.clamp(-1.0, 1.0) } else { 0.0 };
        }
        if let Some(tap) = &mut self.tap {
            let heard = channels.min(2);
            for frame in out.chunks_exact(channels) {
                let _ = tap.push(frame[..heard].iter().sum::<f32>() / heard as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from: usize, length: usize, rate: u32) -> Pcm {
        // Slow enough for no filter to bend it, and different everywhere.
        let wave = |n: usize| ((n as f32) * 0.01).sin() * 0.5;
        Pcm::new((from..from + length).map(wave).collect::<Vec<_>>(), rate)
    }

    struct Desk {
        mixer: Mixer,
        line: Line,
    }

    impl Desk {
        fn new(rate: u32) -> Self {
            let (mixer, mut doors) = Mixer::new(rate, 1.0, None);
            let (line, strip) = line(0, 1.0, 0.0);
            assert!(doors.newcomers.push(strip).is_ok());
            Self { mixer, line }
        }

        fn feed(&mut self, epoch: u64, first: u64, pcm: Pcm) {
            let filter = (first == 0).then(|| Box::new(Resampler::new(pcm.rate, self.mixer.rate()).unwrap()));
            assert!(self.line.feeds.push(Feed { epoch, first, pcm, filter }).is_ok());
        }

        fn render(&mut self, frames: usize, at: f64) -> Vec<f32> {
            let mut out = vec![0.0; frames];
            self.mixer.render(&mut out, 1, at);
            out
        }

        fn marks(&mut self) -> Vec<Mark> {
            std::iter::from_fn(|| self.line.marks.pop().ok()).collect()
        }
    }

    #[test]
    fn pieces_join_without_a_seam_at_the_devices_own_rate() {
        let mut desk = Desk::new(1000 * 48);
        let whole = ramp(0, 4800, 48_000);
        for first in (0..4800).step_by(600) {
            desk.feed(0, first as u64, Pcm::new(&whole.samples[first..first + 600], 48_000));
        }
        let played: Vec<f32> = (0..40).flat_map(|n| desk.render(128, n as f64 * 128.0 / 48_000.0)).collect();
        assert!(played[..4800] == whole.samples[..], "the sound has changed on its way");
        assert!(played[4800..].iter().all(|sample| *sample == 0.0));
        let marks = desk.marks();
        assert_eq!((marks[0].from, marks[0].at), (0.0, 0.0));
        assert_eq!(marks.last().unwrap().to, 4800.0);
        for pair in marks.windows(2) {
            assert_eq!(pair[0].to, pair[1].from);
            assert!((pair[0].at + pair[0].span - pair[1].at).abs() < 1e-9);
        }
        assert!(desk.mixer.is_idle());
    }

    #[test]
    fn pieces_join_without_a_seam_through_the_filter() {
        for rate in [22_050, 24_000, 44_100] {
            let (mut whole, mut pieces) = (Desk::new(48_000), Desk::new(48_000));
            let sound = ramp(0, 6000, rate);
            whole.feed(0, 0, sound.clone());
            for first in (0..6000).step_by(750) {
                pieces.feed(0, first as u64, Pcm::new(&sound.samples[first..first + 750], rate));
            }
            let expected = whole.render(16_000, 0.0);
            assert!(pieces.render(16_000, 0.0) == expected, "the joints can be heard");
            let marks = pieces.marks();
            assert_eq!(marks.last().unwrap().to, 6000.0);
            let frames = 6000.0 * 48_000.0 / f64::from(rate);
            let end = marks.last().map(|mark| mark.at + mark.span).unwrap() * 48_000.0;
            assert!(end >= frames && end < frames + 700.0, "{end} frames for {frames}");
        }
    }

    #[test]
    fn a_late_voice_leaves_silence_and_loses_nothing() {
        for rate in [24_000, 48_000] {
            let mut desk = Desk::new(48_000);
            let sound = ramp(0, 2400, rate);
            desk.feed(0, 0, Pcm::new(&sound.samples[..1111], rate));
            let mut played = desk.render(9600, 0.0);
            assert!(played[9000..].iter().all(|sample| *sample == 0.0));
            let before = desk.marks().last().copied().unwrap();
            assert_eq!(before.to, 1111.0);
            desk.feed(0, 1111, Pcm::new(&sound.samples[1111..], rate));
            played.extend(desk.render(9600, 0.2));
            let marks = desk.marks();
            assert_eq!((marks[0].from, marks[0].at), (1111.0, 0.2));
            assert_eq!(marks.last().unwrap().to, 2400.0);
            let energy = |samples: &[f32]| samples.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
            let ratio = energy(&played) / energy(&sound.samples) * f64::from(rate) / 48_000.0;
            assert!((ratio - 1.0).abs() < 0.01, "{ratio} of the energy arrived");
        }
    }

    #[test]
    fn a_stopped_voice_fades_and_the_next_one_waits_for_it() {
        let mut desk = Desk::new(48_000);
        desk.feed(0, 0, Pcm::new(vec![0.5; 48_000], 48_000));
        desk.render(4800, 0.0);
        desk.line.control.epoch.store(1, Ordering::Release);
        assert!(
            desk.line.feeds.push(Feed { epoch: 1, first: 48_000, pcm: ramp(0, 480, 48_000), filter: None }).is_ok()
        );
        desk.marks();
        let played = desk.render(4800, 0.1);
        let fade = fade_frames(48_000);
        for pair in played[..fade].windows(2) {
            assert!(pair[1] <= pair[0] && pair[0] - pair[1] < 0.002, "a step from {} to {}", pair[0], pair[1]);
        }
        assert!(played[fade..fade + 480] == ramp(0, 480, 48_000).samples[..]);
        let marks = desk.marks();
        let next = marks.iter().find(|mark| mark.epoch == 1).unwrap();
        assert_eq!(next.from, 48_000.0);
        assert!((next.at - (0.1 + fade as f64 / 48_000.0)).abs() < 1e-9);
    }

    #[test]
    fn a_voice_that_is_gone_leaves_the_desk() {
        let mut desk = Desk::new(48_000);
        desk.feed(0, 0, Pcm::new(vec![0.5; 48_000], 48_000));
        desk.render(480, 0.0);
        desk.line.control.closed.store(true, Ordering::Release);
        let played = desk.render(4800, 0.01);
        assert_eq!(played[fade_frames(48_000)..].iter().fold(0.0_f32, |a, b| a.max(b.abs())), 0.0);
        assert!(desk.mixer.strips.is_empty());
    }

    #[test]
    fn gain_and_pan_move_without_a_click_and_voices_add_up() {
        let mut desk = Desk::new(48_000);
        desk.feed(0, 0, Pcm::new(vec![0.25; 48_000], 48_000));
        desk.line.control.pan.store((-1.0_f32).to_bits(), Ordering::Relaxed);
        let mut out = vec![0.0; 960];
        desk.mixer.render(&mut out, 2, 0.0);
        let right: Vec<f32> = out.iter().skip(1).step_by(2).copied().collect();
        assert!(right[0] > 0.24 && right.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.001));
        desk.mixer.render(&mut out, 2, 0.01);
        assert!(out.iter().skip(1).step_by(2).all(|sample| sample.abs() < 1e-6));
        assert!((out[0] - 0.25 * std::f32::consts::SQRT_2).abs() < 1e-4);
        desk.line.control.gain.store(f32::NAN.to_bits(), Ordering::Relaxed);
        desk.mixer.render(&mut out, 2, 0.02);
        assert!(out.iter().all(|sample| sample.is_finite()));
        assert_eq!(desk.render(480, 0.03).iter().copied().fold(0.0, f32::max), 0.0);
    }

    #[test]
    fn another_device_goes_on_where_the_first_one_was() {
        let mut desk = Desk::new(48_000);
        desk.feed(0, 0, ramp(0, 24_000, 24_000));
        desk.render(24_000, 0.0);
        let before = desk.marks().last().unwrap().to;
        desk.mixer.set_rate(44_100);
        desk.render(44_100, 1.0);
        let marks = desk.marks();
        assert!((marks[0].from - before).abs() <= 64.0 + 240.0, "{} after {before}", marks[0].from);
        assert_eq!(marks.last().unwrap().to, 24_000.0);
        assert!((marks[5].to - marks[5].from) / marks[5].span - 24_000.0 < 200.0);
    }
}
