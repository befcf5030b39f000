//! Whisper's input: log-mel spectrograms (Radford et al. 2022, §2.2; filters after Slaney's Auditory Toolbox).

use std::{f32::consts::PI, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex32};

/// Samples a second that Whisper hears.
pub const RATE: u32 = 16_000;
/// Samples between frames: 100 frames a second.
pub const HOP: usize = 160;
const WINDOW: usize = 400;

/// Computes log-mel spectrograms; holds the window, the filters and the transform's plan.
pub struct LogMel {
    bins: usize,
    window: Vec<f32>,
    filters: Vec<Filter>,
    fft: Arc<dyn RealToComplex<f32>>,
}

/// A triangle over neighbouring frequencies; the other weights of its row are zero.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl LogMel {
    /// A front end of `bins` mel bins (80; 128 in the largest models).
    pub fn new(bins: usize) -> Self {
        let window = (0..WINDOW).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f32 / WINDOW as f32).cos()).collect();
        Self { bins, window, filters: filters(bins), fft: RealFftPlanner::new().plan_fft_forward(WINDOW) }
    }

    /// The spectrogram of 16 kHz samples, `frames` long: `[bins, frames]`, row by row. Beyond the samples it is silent.
    pub fn spectrogram(&self, samples: &[f32], frames: usize) -> Vec<f32> {
        let mut input = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0.0_f32; spectrum.len()];
        let mut mel = vec![f32::NEG_INFINITY; self.bins * frames];
        for frame in 0..frames {
            // Frames are centred on their time; before the first sample the signal is its own mirror.
            let begin = (frame * HOP) as isize - (WINDOW / 2) as isize;
            for (index, (value, weight)) in input.iter_mut().zip(&self.window).enumerate() {
                let at = (begin + index as isize).unsigned_abs();
                *value = samples.get(at).map_or(0.0, |sample| sample * weight);
            }
            // The buffers are the plan's own, so their lengths fit.
            if self.fft.process_with_scratch(&mut input, &mut spectrum, &mut scratch).is_err() {
                continue;
            }
            for (power, value) in power.iter_mut().zip(&spectrum) {
                *power = Complex32::norm_sqr(value);
            }
            for (bin, filter) in self.filters.iter().enumerate() {
                let energy: f32 = filter.weights.iter().zip(&power[filter.first..]).map(|(w, p)| w * p).sum();
                mel[bin * frames + frame] = energy.max(1e-10).log10();
            }
        }
        let loudest = mel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for value in &mut mel {
            *value = (value.max(loudest - 8.0) + 4.0) / 4.0;
        }
        mel
    }
}

/// The mel filters, each of equal area, from 0 Hz to half the rate.
fn filters(bins: usize) -> Vec<Filter> {
    let bin_width = RATE as f64 / WINDOW as f64;
    let top = mel(f64::from(RATE) / 2.0);
    let edges: Vec<f64> = (0..bins + 2).map(|index| hertz(top * index as f64 / (bins + 1) as f64)).collect();
    let row = |edge: &[f64]| {
        let (low, centre, high) = (edge[0], edge[1], edge[2]);
        let weight = |index: usize| {
            let frequency = index as f64 * bin_width;
            let rise = (frequency - low) / (centre - low);
            let fall = (high - frequency) / (high - centre);
            (rise.min(fall).max(0.0) * 2.0 / (high - low)) as f32
        };
        let first = (low / bin_width).floor() as usize;
        let last = ((high / bin_width).ceil() as usize).min(WINDOW / 2);
        Filter { first, weights: (first..=last).map(weight).collect() }
    };
    edges.windows(3).map(row).collect()
}

/// Slaney's mel scale: linear to 1 kHz (mel 15), logarithmic above.
fn mel(hertz: f64) -> f64 {
    if hertz < 1000.0 { hertz * 3.0 / 200.0 } else { 15.0 + (hertz / 1000.0).ln() * 27.0 / 6.4_f64.ln() }
}

fn hertz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_lights_the_bin_of_its_frequency() {
        let tone: Vec<f32> = (0..RATE).map(|n| (2.0 * PI * 1000.0 * n as f32 / RATE as f32).sin()).collect();
        let spectrogram = LogMel::new(80).spectrogram(&tone, 100);
        let column: Vec<f32> = (0..80).map(|bin| spectrogram[bin * 100 + 50]).collect();
        let loudest = (0..80).max_by(|a, b| column[*a].total_cmp(&column[*b])).unwrap();
        let centre = hertz(mel(8000.0) * (loudest + 1) as f64 / 81.0);
        assert!((centre - 1000.0).abs() < 40.0, "bin {loudest} is at {centre} Hz");
    }

    #[test]
    fn silence_is_flat_and_finite() {
        let spectrogram = LogMel::new(80).spectrogram(&[0.0; 1600], 60);
        assert!(spectrogram.iter().all(|value| *value == -1.5), "log10(1e-10) scaled is -1.5");
    }

    #[test]
    fn the_mel_scale_turns_back() {
        for frequency in [0.0, 440.0, 999.0, 1000.0, 4000.0, 8000.0] {
            assert!((hertz(mel(frequency)) - frequency).abs() < 1e-6);
        }
    }

    /// tests/records/hearing/mel.json holds columns that faster-whisper's feature extractor made of park_zh.wav.
    #[test]
    fn the_spectrogram_is_the_published_one() {
        let records = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/hearing");
        let record = std::fs::read_to_string(records.join("mel.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let speech = crate::audio::read_wav(&records.join("park_zh.wav")).unwrap().samples;
        let frames = speech.len() / HOP;
        let spectrogram = LogMel::new(80).spectrogram(&speech, frames);
        let columns: Vec<(usize, Vec<f32>)> = {
            let frames: Vec<usize> = serde_json::from_value(record["frames"].clone()).unwrap();
            let values: Vec<Vec<f32>> = serde_json::from_value(record["mel"].clone()).unwrap();
            frames.into_iter().zip(values).collect()
        };
        for (frame, column) in columns {
            for (bin, expected) in column.iter().enumerate() {
                let value = spectrogram[bin * frames + frame];
                assert!((value - expected).abs() < 1e-3, "frame {frame}, bin {bin}: {value}, not {expected}");
            }
        }
    }
}
