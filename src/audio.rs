//! Sound as values: [`Pcm`], its files, its rate and its loudness. Devices live in the submodules.

pub mod microphone;
pub mod playback;
pub mod speaker;

use std::{path::Path, sync::Arc};

/// Mono sound: samples in −1..=1 and their rate.
#[derive(Clone, PartialEq, Default)]
pub struct Pcm {
    /// Samples, shared so that a clone is cheap.
    pub samples: Arc<[f32]>,
    /// Samples a second, in hertz.
    pub rate: u32,
}

impl Pcm {
    /// Sound from samples at `rate` hertz.
    pub fn new(samples: impl Into<Arc<[f32]>>, rate: u32) -> Self {
        Self { samples: samples.into(), rate }
    }

    /// How long it lasts, in seconds; 0 for a rate of 0.
    pub fn seconds(&self) -> f64 {
        if self.rate == 0 { 0.0 } else { self.samples.len() as f64 / f64::from(self.rate) }
    }
}

impl std::fmt::Debug for Pcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pcm({:.3} s at {} Hz)", self.seconds(), self.rate)
    }
}

/// What can go wrong with sound files, rates and devices.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file is not there or not a WAV file.
    #[error("{path} could not be read as WAV: {source}; give a PCM or float WAV file of any rate and channel count")]
    Read {
        /// The file.
        path: String,
        /// What hound said.
        source: hound::Error,
    },
    /// The file could not be written.
    #[error("{path} could not be written: {source}; is the disk full or the folder missing?")]
    Write {
        /// The file.
        path: String,
        /// What hound said.
        source: hound::Error,
    },
}

/// Reads a WAV file of any rate, channel count and sample format, mixed to mono at its own rate.
///
/// # Errors
/// [`AudioError::Read`] when there is no such file or it is not WAV.
pub fn read_wav(path: &Path) -> Result<Pcm, AudioError> {
    let failed = |source| AudioError::Read { path: path.display().to_string(), source };
    let mut reader = hound::WavReader::open(path).map_err(failed)?;
    let spec = reader.spec();
    let samples: Result<Vec<f32>, _> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1_i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.map(|value| value as f32 * scale)).collect()
        }
    };
    let samples = samples.map_err(failed)?;
    let channels = usize::from(spec.channels.max(1));
    let mono: Vec<f32> = samples.chunks(channels).map(|frame| frame.iter().sum::<f32>() / frame.len() as f32).collect();
    Ok(Pcm::new(mono, spec.sample_rate))
}

/// Writes a 16-bit mono WAV file; samples beyond ±1 are clipped.
///
/// # Errors
/// [`AudioError::Write`] when the file cannot be created or the disk is full.
pub fn write_wav(path: &Path, pcm: &Pcm) -> Result<(), AudioError> {
    let failed = |source| AudioError::Write { path: path.display().to_string(), source };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: pcm.rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).map_err(failed)?;
    for sample in pcm.samples.iter() {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32767.0).round() as i16).map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}
