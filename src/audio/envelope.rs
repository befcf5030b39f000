//! Loudness over time.

use super::Pcm;

/// Below this level (−55 dBFS) nothing counts as sound, however quiet the rest is.
const FLOOR: f32 = 0.001_78;
/// The levels told apart: one a decibel, from −90 to 0 dBFS.
const LEVELS: usize = 91;
/// How much of the sound is quieter than the reference.
const PERCENTILE: f64 = 0.95;

/// The loudness of a clip: its RMS a hop at a time, and how loud its loud parts are.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    hop: f64,
    frames: Vec<f32>,
    /// The frame under way: its sum of squares, its samples and how much of its time has passed.
    squares: f64,
    samples: u32,
    passed: f64,
    levels: [u32; LEVELS],
    reference: f32,
}

/// The loudness of a whole clip, `hop` seconds a frame.
pub fn envelope(pcm: &Pcm, hop: f64) -> Envelope {
    let mut envelope = Envelope::new(hop);
    envelope.extend(pcm);
    envelope
}

impl Envelope {
    /// An empty envelope of `hop` seconds a frame; a hop that is no positive number becomes 5 ms.
    pub fn new(hop: f64) -> Self {
        let hop = if hop.is_finite() && hop > 0.0 { hop } else { 0.005 };
        Self { hop, frames: Vec::new(), squares: 0.0, samples: 0, passed: 0.0, levels: [0; LEVELS], reference: 0.0 }
    }

    /// An empty envelope for the next clip of the same voice: it begins with half of what is known of the loudness.
    pub fn following(&self) -> Self {
        let levels = self.levels.map(|count| count / 2);
        Self { levels, reference: self.reference, ..Self::new(self.hop) }
    }

    /// Appends the loudness of more sound.
    pub fn extend(&mut self, pcm: &Pcm) {
        if pcm.rate == 0 {
            return;
        }
        let rate = f64::from(pcm.rate);
        let mut rest = &pcm.samples[..];
        while !rest.is_empty() {
            let wanted = (((self.hop - self.passed) * rate).round() as usize).max(1);
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            self.squares += now.iter().filter(|sample| sample.is_finite()).map(|s| f64::from(s * s)).sum::<f64>();
            self.samples += now.len() as u32;
            self.passed += now.len() as f64 / rate;
            if now.len() == wanted {
                self.close_frame();
            }
            rest = later;
        }
        self.reference = self.percentile();
    }

    fn close_frame(&mut self) {
        let level = (self.squares / f64::from(self.samples.max(1))).sqrt() as f32;
        if level > FLOOR {
            let decibels = (20.0 * level.log10()).round().clamp(-90.0, 0.0);
            let count = &mut self.levels[(decibels + 90.0) as usize];
            *count = count.saturating_add(1);
        }
        self.frames.push(level);
        // What rounding to whole samples left over belongs to the next frame.
        self.passed -= self.hop;
        (self.squares, self.samples) = (0.0, 0);
    }

    fn percentile(&self) -> f32 {
        let total: u64 = self.levels.iter().map(|count| u64::from(*count)).sum();
        let mut quieter = 0;
        for (level, count) in self.levels.iter().enumerate() {
            quieter += u64::from(*count);
            if *count > 0 && quieter as f64 >= total as f64 * PERCENTILE {
                return 10.0_f32.powf((level as f32 - 90.0) / 20.0);
            }
        }
        0.0
    }

    /// Seconds a frame.
    pub fn hop(&self) -> f64 {
        self.hop
    }

    /// The RMS of each complete frame, 0 to 1.
    pub fn frames(&self) -> &[f32] {
        &self.frames
    }

    /// How long the sound is, in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames.len() as f64 * self.hop + self.passed.max(0.0)
    }

    /// The RMS of the loud parts (the 95th percentile of what is not silence); 0 while there was only silence.
    pub fn reference(&self) -> f32 {
        self.reference
    }

    /// The RMS at a time, between the frames around it; 0 outside.
    pub fn at(&self, seconds: f64) -> f32 {
        let place = seconds / self.hop - 0.5;
        let frame =
            |index: f64| if index < 0.0 { 0.0 } else { self.frames.get(index as usize).copied().unwrap_or(0.0) };
        let before = place.floor();
        let share = (place - before) as f32;
        frame(before) * (1.0 - share) + frame(before + 1.0) * share
    }

    /// The RMS at a time, averaged with a Gaussian of `sigma` seconds over the past and the future alike, so that it lags
    /// behind nothing. What lies outside counts as silence.
    pub fn smoothed(&self, seconds: f64, sigma: f64) -> f32 {
        let reach = 3.0 * sigma;
        let first = ((seconds - reach) / self.hop - 0.5).ceil() as i64;
        let last = ((seconds + reach) / self.hop - 0.5).floor() as i64;
        let (mut sum, mut weights) = (0.0, 0.0);
        for index in first..=last {
            let distance = ((index as f64 + 0.5) * self.hop - seconds) / sigma;
            let weight = (-0.5 * distance * distance).exp();
            let frame = usize::try_from(index).ok().and_then(|index| self.frames.get(index));
            sum += weight * f64::from(frame.copied().unwrap_or(0.0));
            weights += weight;
        }
        if weights > 0.0 { (sum / weights) as f32 } else { self.at(seconds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f32, rate: u32, seconds: f64) -> Pcm {
        let frames = (seconds * f64::from(rate)) as usize;
        let sine = |n: usize| (std::f64::consts::TAU * 400.0 * n as f64 / f64::from(rate)).sin() as f32;
        Pcm::new((0..frames).map(|n| amplitude * sine(n)).collect::<Vec<_>>(), rate)
    }

    #[test]
    fn the_envelope_of_a_tone_is_its_rms() {
        for rate in [8_000, 22_050, 24_000, 44_100] {
            let envelope = envelope(&tone(0.5, rate, 1.0), 0.01);
            assert!((envelope.seconds() - 1.0).abs() < 1e-3);
            assert!((99..=100).contains(&envelope.frames().len()), "{} frames", envelope.frames().len());
            assert!((envelope.at(0.5) - 0.3536).abs() < 0.01, "{rate} Hz: {}", envelope.at(0.5));
            assert!((envelope.smoothed(0.5, 0.02) - 0.3536).abs() < 0.005);
            assert!((envelope.reference() / 0.3536 - 1.0).abs() < 0.12);
        }
    }

    #[test]
    fn pieces_give_the_same_envelope_as_the_whole() {
        let whole = tone(0.3, 22_050, 0.7);
        let mut pieces = Envelope::new(0.005);
        for piece in whole.samples.chunks(777) {
            pieces.extend(&Pcm::new(piece, whole.rate));
        }
        let whole = envelope(&whole, 0.005);
        assert_eq!(pieces.frames().len(), whole.frames().len());
        for (a, b) in pieces.frames().iter().zip(whole.frames()) {
            assert!((a - b).abs() < 0.02, "{a} and {b}");
        }
    }

    #[test]
    fn silence_nonsense_and_emptiness_have_no_loudness() {
        let quiet = envelope(&Pcm::new(vec![0.0; 4800], 48_000), 0.005);
        assert_eq!((quiet.reference(), quiet.at(0.05)), (0.0, 0.0));
        let broken = envelope(&Pcm::new(vec![f32::NAN; 4800], 48_000), f64::NAN);
        assert_eq!((broken.reference(), broken.at(0.05), broken.hop()), (0.0, 0.0, 0.005));
        assert_eq!(envelope(&Pcm::default(), 0.005).smoothed(0.0, 0.02), 0.0);
        assert_eq!(quiet.at(-1.0) + quiet.at(1e9) + quiet.smoothed(-5.0, 0.02), 0.0);
    }

    #[test]
    fn the_next_clip_knows_how_loud_the_voice_was() {
        let first = envelope(&tone(0.5, 24_000, 1.0), 0.005);
        let mut next = first.following();
        assert_eq!(next.reference(), first.reference());
        next.extend(&tone(0.05, 24_000, 0.1));
        assert!(next.reference() > 0.3);
    }
}
