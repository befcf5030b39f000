//! Lips that move with the sound being heard.
//!
//! Speech waits in a queue before it is heard, so the future is known: the filters here look both ways and lag behind
//! nothing. Everything is a function of the sound and the cursor.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

use super::Mouth;
use crate::audio::{Envelope, Playback};

/// Width of the smoothing, in seconds: shorter flickers with the syllable's pitch, longer mumbles.
const SMOOTHING: f64 = 0.020;
/// The share of the voice's loudness at which the mouth is shut.
const SHUT: f32 = 0.05;
/// The share that a sound must reach to open it at all; around it the mouth may be a little open down to [`SHUT`].
const OPEN: f32 = 0.12;
/// How far a sound is followed to see whether it is one, in steps of [`STEP`].
const REACH: usize = 10;
/// Seconds a step.
const STEP: f64 = 0.010;
/// Loudness to opening: quiet vowels open the mouth more than their share.
const CURVE: f32 = 0.8;

/// How far the mouth is open at a time in a clip, 0 to 1.
///
/// The clip's own loudness is the measure, so a whisper moves the lips as a shout does. In silence, and outside the clip,
/// the mouth is fully shut; a sound below a twentieth of the voice's loudness counts as silence, and so does one below an
/// eighth (breath, hiss) that does not lead to or away from a louder one.
pub fn mouth_open(envelope: &Envelope, cursor_seconds: f64) -> f32 {
    let reference = envelope.reference();
    if reference <= 0.0 || !cursor_seconds.is_finite() {
        return 0.0;
    }
    let share = |seconds: f64| envelope.smoothed(seconds, SMOOTHING) / reference;
    let here = share(cursor_seconds);
    if here <= SHUT {
        return 0.0;
    }
    let rises = |direction: f64| {
        let around = (1..=REACH).map(|step| share(cursor_seconds + direction * step as f64 * STEP));
        around.take_while(|share| *share > SHUT).any(|share| share >= OPEN)
    };
    if here < OPEN && !rises(1.0) && !rises(-1.0) {
        return 0.0;
    }
    ((here - SHUT) / (1.0 - SHUT)).clamp(0.0, 1.0).powf(CURVE)
}

/// How much of each vowel is in the mouth: weights that add up to 1, or all 0 in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vowels {
    /// As in *father*: wide open.
    pub a: f32,
    /// As in *see*: broad.
    pub i: f32,
    /// As in *too*: narrow.
    pub u: f32,
    /// As in *bed*: half open, broad.
    pub e: f32,
    /// As in *law*: half open, round.
    pub o: f32,
}

impl Vowels {
    /// The weights in the order A, I, U, E, O.
    pub fn weights(self) -> [f32; 5] {
        [self.a, self.i, self.u, self.e, self.o]
    }

    fn from_weights([a, i, u, e, o]: [f32; 5]) -> Self {
        Self { a, i, u, e, o }
    }
}

/// Where the vowels lie for the two measures of [`VowelEstimator`] — openness in decibels, frontness in hertz — in the order
/// A, I, U, E, O. Between what the formants of Hillenbrand et al. (*Acoustic characteristics of American English vowels*,
/// JASA 97, 1995) give and what synthetic voices say.
const PLACES: [[f32; 2]; 5] = [[5.0, 1220.0], [-10.0, 2450.0], [-9.0, 1300.0], [-2.0, 1950.0], [4.0, 800.0]];
/// The distance in each measure over which one vowel becomes another.
const SCALES: [f32; 2] = [3.5, 300.0];
/// Openness beyond these is no more open and no more closed, in decibels.
const OPENNESS: (f32, f32) = (-13.0, 6.0);
/// The window: long enough for three periods of a low voice, in seconds.
const WINDOW: f64 = 0.032;

/// Tells vowels apart by two measures of the spectrum, after their first and second formants: *openness*, the energy from
/// about 550 to 1300 Hz over that below, and *frontness*, the centre of what lies between 700 and 3200 Hz.
///
/// An estimate that looks plausible, not a recogniser: high voices have too few harmonics to show their formants, and A and
/// O lie close together.
#[derive(Default)]
pub struct VowelEstimator {
    plan: Option<Plan>,
    samples: Vec<f32>,
}

/// What depends on the rate of the sound.
struct Plan {
    rate: u32,
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    input: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl VowelEstimator {
    /// How many samples [`estimate`](Self::estimate) wants at a rate.
    pub fn window(rate: u32) -> usize {
        ((f64::from(rate) * WINDOW) as usize).clamp(16, 1 << 15)
    }

    /// The vowels in a window of sound; all 0 in silence, at rates below 7 kHz, or when there are too few samples.
    pub fn estimate(&mut self, samples: &[f32], rate: u32) -> Vowels {
        let length = Self::window(rate);
        if rate < 7000 || samples.len() < length {
            return Vowels::default();
        }
        if self.plan.as_ref().is_none_or(|plan| plan.rate != rate) {
            self.plan = Some(Plan::new(rate, length));
        }
        let measures = self.plan.as_mut().and_then(|plan| plan.measures(&samples[..length]));
        let Some(measures) = measures else { return Vowels::default() };
        let distances = PLACES.map(|place| {
            let off = |measure: usize| (measures[measure] - place[measure]) / SCALES[measure];
            off(0).powi(2) + off(1).powi(2)
        });
        let nearest = distances.iter().copied().fold(f32::INFINITY, f32::min);
        let weights = distances.map(|distance| (-0.5 * (distance - nearest)).exp());
        let sum: f32 = weights.iter().sum();
        Vowels::from_weights(weights.map(|weight| weight / sum))
    }

    /// The mouth of a companion at this moment: its opening from the loudness around the cursor, its shape from the sound
    /// there, averaged over 30 ms. Shut while nothing sounds.
    pub fn mouth(&mut self, playback: &Playback) -> Mouth {
        let (Some(cursor), Some(envelope)) = (playback.cursor(), playback.envelope()) else { return Mouth::default() };
        let open = if playback.is_sounding() { mouth_open(envelope, cursor.seconds) } else { 0.0 };
        if open == 0.0 {
            return Mouth::default();
        }
        let mut sum = [0.0; 5];
        for offset in [-0.015, 0.0, 0.015] {
            let mut samples = std::mem::take(&mut self.samples);
            // The rate is known only once a window has been taken; the longest fits all.
            let rate = playback.window(offset, &mut []).unwrap_or(0);
            samples.resize(Self::window(rate), 0.0);
            playback.window(offset, &mut samples);
            let vowels = self.estimate(&samples, rate).weights();
            self.samples = samples;
            for (sum, weight) in sum.iter_mut().zip(vowels) {
                *sum += weight / 3.0;
            }
        }
        Mouth { open, vowels: sum }
    }
}

impl Plan {
    fn new(rate: u32, length: usize) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(length.next_power_of_two());
        let hann = |n: usize| 0.5 - 0.5 * (std::f32::consts::TAU * n as f32 / length as f32).cos();
        Self {
            rate,
            window: (0..length).map(hann).collect(),
            input: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// Openness and frontness; `None` in silence.
    fn measures(&mut self, samples: &[f32]) -> Option<[f32; 2]> {
        self.input.fill(0.0);
        for ((input, sample), window) in self.input.iter_mut().zip(samples).zip(&self.window) {
            *input = if sample.is_finite() { sample * window } else { 0.0 };
        }
        let width = self.rate as f32 / self.input.len() as f32;
        self.fft.process_with_scratch(&mut self.input, &mut self.spectrum, &mut self.scratch).ok()?;
        let (mut low, mut middle, mut weight, mut moment) = (0.0_f32, 0.0, 0.0, 0.0);
        for (bin, value) in self.spectrum.iter().enumerate() {
            let hertz = bin as f32 * width;
            let power = value.norm_sqr();
            if (150.0..1300.0).contains(&hertz) {
                // No edge: a harmonic that crosses one would throw the measure about.
                let share = ((hertz - 350.0) / 450.0).clamp(0.0, 1.0);
                middle += power * share;
                low += power * (1.0 - share);
            }
            if (700.0..3200.0).contains(&hertz) {
                // Voices fall with frequency; this gives the second formant its due.
                let raised = power * hertz * hertz;
                weight += raised;
                moment += raised * hertz;
            }
        }
        if low + middle < 1e-4 || weight <= 0.0 {
            return None;
        }
        let openness = 10.0 * (middle.max(1e-9) / low.max(1e-9)).log10();
        Some([openness.clamp(OPENNESS.0, OPENNESS.1), moment / weight])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Pcm, envelope, read_wav};

    const RATE: u32 = 24_000;

    fn speech() -> Pcm {
        read_wav(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/audio/speech.wav")).unwrap()
    }

    /// A voice: pulses through resonances in series.
    fn vowel(pitch: f64, formants: [f64; 3]) -> Vec<f32> {
        let period = (f64::from(RATE) / pitch) as usize;
        let mut sound: Vec<f64> = (0..RATE as usize / 2).map(|n| f64::from(u8::from(n % period == 0))).collect();
        let mut last = 0.0;
        for sample in &mut sound {
            last = *sample + 0.965 * last;
            *sample = last;
        }
        for formant in formants.into_iter().chain([3700.0, 4700.0]) {
            let radius = (-std::f64::consts::PI * (50.0 + formant * 0.05) / f64::from(RATE)).exp();
            let turn = 2.0 * radius * (std::f64::consts::TAU * formant / f64::from(RATE)).cos();
            let (mut one, mut two) = (0.0, 0.0);
            for sample in &mut sound {
                let out = (1.0 - turn + radius * radius) * *sample + turn * one - radius * radius * two;
                (two, one) = (one, out);
                *sample = out;
            }
        }
        let peak = sound.iter().fold(0.0_f64, |peak, sample| peak.max(sample.abs()));
        sound.iter().map(|sample| (sample / peak * 0.5) as f32).collect()
    }

    #[test]
    fn synthetic_vowels_are_told_apart_for_low_and_high_voices() {
        // Hillenbrand et al. 1995: hod, heed, who'd, head, hawed, of men and of women.
        let men = [
            [768., 1333., 2522.],
            [342., 2322., 3000.],
            [378., 997., 2343.],
            [580., 1799., 2605.],
            [652., 997., 2538.],
        ];
        let women = [
            [936., 1551., 2815.],
            [437., 2761., 3372.],
            [459., 1105., 2735.],
            [731., 2058., 2979.],
            [781., 1136., 2824.],
        ];
        let mut estimator = VowelEstimator::default();
        for (pitch, table) in [(100.0, men), (130.0, men), (200.0, women)] {
            for (expected, formants) in table.into_iter().enumerate() {
                let weights = estimator.estimate(&vowel(pitch, formants)[4000..], RATE).weights();
                let found = (0..5).max_by(|a, b| weights[*a].total_cmp(&weights[*b])).unwrap();
                assert_eq!(found, expected, "{formants:?} at {pitch} Hz: {weights:?}");
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn silence_and_nonsense_have_no_vowel() {
        let mut estimator = VowelEstimator::default();
        assert_eq!(estimator.estimate(&[0.0; 2000], RATE), Vowels::default());
        assert_eq!(estimator.estimate(&[f32::NAN; 2000], RATE), Vowels::default());
        assert_eq!(estimator.estimate(&[0.5; 10], RATE), Vowels::default());
        assert_eq!(estimator.estimate(&[0.5; 2000], 0), Vowels::default());
        let mut longest = [0.0; 1 << 15];
        longest[100] = 1.0;
        assert!(estimator.estimate(&longest, u32::MAX).weights().iter().all(|weight| weight.is_finite()));
    }

    #[test]
    fn a_tone_opens_the_mouth_as_long_as_it_sounds_and_silence_shuts_it() {
        for loudness in [0.5, 0.02] {
            let tone = |n: usize| (n as f32 * 0.1).sin() * loudness;
            let sound = (0..RATE as usize).map(|n| if (8000..16_000).contains(&n) { tone(n) } else { 0.0 });
            let envelope = envelope(&Pcm::new(sound.collect::<Vec<_>>(), RATE), 0.005);
            assert!(mouth_open(&envelope, 0.5) > 0.85, "a whisper opens it as well: {}", mouth_open(&envelope, 0.5));
            for seconds in [0.0, 0.2, 0.26, 0.74, 0.9, -1.0, 5.0, f64::NAN] {
                assert_eq!(mouth_open(&envelope, seconds), 0.0, "at {seconds} s");
            }
        }
    }

    #[test]
    fn breath_between_words_leaves_the_mouth_shut() {
        let part = |n: usize| if n % 24_000 < 12_000 { 0.5 } else { 0.03 };
        let sound: Vec<f32> = (0..48_000).map(|n| (n as f32 * 0.1).sin() * part(n)).collect();
        let envelope = envelope(&Pcm::new(sound, RATE), 0.005);
        assert!(mouth_open(&envelope, 0.25) > 0.8);
        assert_eq!(mouth_open(&envelope, 0.75), 0.0);
    }

    #[test]
    fn the_mouth_follows_the_loudness_of_speech_without_lag() {
        let speech = speech();
        let envelope = envelope(&speech, 0.005);
        // The loudness, by other means: the power under a window of 50 ms, sample by sample.
        let power: Vec<f64> = speech.samples.iter().map(|sample| f64::from(sample * sample)).collect();
        let half = speech.rate as usize / 40;
        let loudness = |seconds: f64| {
            let at = (seconds * f64::from(speech.rate)) as usize;
            let around = &power[at.saturating_sub(half)..(at + half).min(power.len())];
            (around.iter().sum::<f64>() / around.len().max(1) as f64).sqrt()
        };
        let correlation = |lag: f64| {
            let times = (20..).map(|n| f64::from(n) * 0.01).take_while(|time| *time < speech.seconds() - 0.2);
            let pairs: Vec<(f64, f64)> =
                times.map(|time| (f64::from(mouth_open(&envelope, time + lag)), loudness(time))).collect();
            let count = pairs.len() as f64;
            let mean = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).sum::<f64>() / count;
            let (a, b) = (mean(|pair| pair.0), mean(|pair| pair.1));
            let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
            sum(&|pair| (pair.0 - a) * (pair.1 - b))
                / (sum(&|pair| (pair.0 - a).powi(2)) * sum(&|pair| (pair.1 - b).powi(2))).sqrt()
        };
        let without = correlation(0.0);
        assert!(without > 0.9, "only {without:.3}");
        for lag in [-0.05, -0.03, -0.01, 0.01, 0.03, 0.05] {
            assert!(correlation(lag) < without, "{lag} s fits better: {:.3} than {without:.3}", correlation(lag));
        }
        assert!(correlation(0.05) < 0.8);
    }
}
