//! The mixing desk: every companion's voice has a strip, and what leaves the desk goes to the device.
//!
//! [`Mixer::render`] runs in the device's callback: it neither locks, nor waits, nor (in the ordinary run of things)
//! allocates. Voices reach their strips through lock-free rings, and what a strip is done with goes back through another,
//! to be freed elsewhere.

use rtrb::{Consumer, Producer, RingBuffer};

use super::strip::Strip;

/// Voices on their way to the desk.
const NEWCOMERS: usize = 64;

/// The desk.
pub(super) struct Mixer {
    rate: u32,
    #[expect(clippy::vec_box, reason = "the box goes on through a ring to the frame, so that nothing is freed here")]
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
        self.strips.iter_mut().for_each(|strip| strip.set_rate(rate));
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
            if strip.is_over() {
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
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::audio::{
        Mark, Pcm, Resampler,
        strip::{Feed, Line, fade_frames, line},
    };

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
