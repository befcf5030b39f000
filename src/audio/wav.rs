//! WAV files.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::{AudioError, MAX_RATE, Pcm};

/// The most mono samples a file may hold: 93 minutes at 48 kHz, 1 GiB in memory.
const MAX_SAMPLES: u32 = 1 << 28;

/// Reads a WAV file of any rate, channel count and sample format, mixed to mono at its own rate.
///
/// Samples that are not finite become 0.
///
/// # Errors
/// [`AudioError::Read`] when there is no such file, it is not WAV or it ends early; [`AudioError::Rate`] for a rate of 0
/// or above [`MAX_RATE`]; [`AudioError::TooLong`] for more than 2²⁸ samples. Nothing is allocated before the header is
/// found sound, and never more than the file has data for.
pub fn read_wav(path: &Path) -> Result<Pcm, AudioError> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => decode_wav(BufReader::new(file), &name),
        Err(error) => Err(AudioError::Read { path: name, source: error.into() }),
    }
}

/// The same for a WAV file that is not on disk; errors call it `name`.
///
/// # Errors
/// As [`read_wav`].
pub fn decode_wav(file: impl Read, name: &str) -> Result<Pcm, AudioError> {
    let failed = |source| AudioError::Read { path: name.into(), source };
    let reader = WavReader::new(file).map_err(failed)?;
    let spec = reader.spec();
    if !(1..=MAX_RATE).contains(&spec.sample_rate) {
        return Err(AudioError::Rate { rate: spec.sample_rate });
    }
    let frames = reader.duration();
    if frames > MAX_SAMPLES {
        let seconds = f64::from(frames) / f64::from(spec.sample_rate);
        let limit = f64::from(MAX_SAMPLES) / f64::from(spec.sample_rate);
        return Err(AudioError::TooLong { path: name.into(), seconds, limit });
    }
    let channels = usize::from(spec.channels.max(1));
    let samples = match spec.sample_format {
        SampleFormat::Float => {
            let finite = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
            mono(reader.into_samples::<f32>().map(|sample| sample.map(finite)), channels)
        }
        SampleFormat::Int => {
            let scale = 1.0 / (1_i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            mono(reader.into_samples::<i32>().map(|sample| sample.map(|value| value as f32 * scale)), channels)
        }
    };
    Ok(Pcm::new(samples.map_err(failed)?, spec.sample_rate))
}

/// Mixes interleaved samples as they come, so that a file of many channels costs no more than its mono sound.
fn mono(mut samples: impl Iterator<Item = hound::Result<f32>>, channels: usize) -> hound::Result<Vec<f32>> {
    let mut mixed = Vec::new();
    while let Some(first) = samples.next() {
        let mut sum = first?;
        for sample in samples.by_ref().take(channels - 1) {
            sum += sample?;
        }
        mixed.push(sum / channels as f32);
    }
    Ok(mixed)
}

/// Writes a 16-bit mono WAV file; samples beyond ±1 are clipped, and those that are not finite are silent.
///
/// # Errors
/// [`AudioError::Rate`] for a rate of 0 or above [`MAX_RATE`]; [`AudioError::TooLong`] for what no WAV file can hold;
/// [`AudioError::Write`] when the file cannot be created or the disk is full.
pub fn write_wav(path: &Path, pcm: &Pcm) -> Result<(), AudioError> {
    if !(1..=MAX_RATE).contains(&pcm.rate) {
        return Err(AudioError::Rate { rate: pcm.rate });
    }
    // A WAV file counts its bytes in 32 bits.
    let most = (u32::MAX as usize - 64) / size_of::<i16>();
    if pcm.samples.len() > most {
        let limit = most as f64 / f64::from(pcm.rate);
        return Err(AudioError::TooLong { path: path.display().to_string(), seconds: pcm.seconds(), limit });
    }
    let failed = |source| AudioError::Write { path: path.display().to_string(), source };
    let spec = WavSpec { channels: 1, sample_rate: pcm.rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(path, spec).map_err(failed)?;
    for sample in pcm.samples.iter() {
        // The cast takes NaN to 0.
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32767.0).round() as i16).map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// A WAV file byte by byte, so that its header may lie.
    fn wav(tag: u16, channels: u16, rate: u32, bits: u16, claimed: u32, data: &[u8]) -> Vec<u8> {
        let align = channels * bits.div_ceil(8);
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend(rate.wrapping_mul(align.into()).to_le_bytes());
        file.extend(align.to_le_bytes());
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend(claimed.to_le_bytes());
        file.extend(data);
        file
    }

    fn read(bytes: &[u8]) -> Result<Pcm, AudioError> {
        let folder = folder();
        let path = folder.path().join("x.wav");
        std::fs::write(&path, bytes).unwrap();
        read_wav(&path)
    }

    #[test]
    fn every_sample_format_reads_as_the_same_sound() {
        let half = |bits: u16| -> Vec<u8> {
            match bits {
                8 => vec![192],
                16 => 16_384_i16.to_le_bytes().into(),
                24 => 4_194_304_i32.to_le_bytes()[..3].into(),
                _ => 1_073_741_824_i32.to_le_bytes().into(),
            }
        };
        for bits in [8, 16, 24, 32] {
            let pcm = read(&wav(1, 1, 8000, bits, u32::from(bits) / 8, &half(bits))).unwrap();
            assert_eq!((&pcm.samples[..], pcm.rate), (&[0.5][..], 8000), "{bits} bits");
        }
        let pcm = read(&wav(3, 1, 8000, 32, 4, &0.5_f32.to_le_bytes())).unwrap();
        assert_eq!(&pcm.samples[..], &[0.5]);
    }

    #[test]
    fn channels_are_mixed() {
        let data: Vec<u8> = [16_384_i16, 0, -16_384, -16_384].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(&read(&wav(1, 2, 8000, 16, 8, &data)).unwrap().samples[..], &[0.25, -0.5]);
        assert_eq!(&read(&wav(1, 4, 8000, 16, 8, &data)).unwrap().samples[..], &[-0.125]);
    }

    #[test]
    fn samples_that_are_not_finite_are_silent() {
        let data: Vec<u8> = [f32::NAN, f32::INFINITY, 0.25].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(&read(&wav(3, 1, 8000, 32, 12, &data)).unwrap().samples[..], &[0.0, 0.0, 0.25]);
        let folder = folder();
        let path = folder.path().join("y.wav");
        write_wav(&path, &Pcm::new(vec![f32::NAN, f32::INFINITY, -9.0], 8000)).unwrap();
        assert_eq!(&read_wav(&path).unwrap().samples[..], &[0.0, 32767.0 / 32768.0, -32767.0 / 32768.0]);
    }

    #[test]
    fn headers_that_lie_are_refused_with_a_reason() {
        let data = [0_u8; 64];
        assert!(matches!(read(&wav(1, 1, 0, 16, 64, &data)), Err(AudioError::Rate { rate: 0 })));
        assert!(matches!(read(&wav(1, 1, 2_000_000, 16, 64, &data)), Err(AudioError::Rate { rate: 2_000_000 })));
        assert!(matches!(read(&wav(1, 1, 8000, 8, u32::MAX, &data)), Err(AudioError::TooLong { .. })));
        // Claims 60 MB and ends after 64 bytes.
        assert!(matches!(read(&wav(1, 1, 8000, 16, 60_000_000, &data)), Err(AudioError::Read { .. })));
        for (channels, bits, claimed) in [(0, 16, 64), (1, 0, 64), (1, 7, 64), (3, 16, 64), (1, 16, 63), (1, 64, 64)] {
            let found = read(&wav(1, channels, 8000, bits, claimed, &data));
            assert!(matches!(found, Err(AudioError::Read { .. })), "{channels} channels of {bits} bits: {found:?}");
        }
        assert!(read(&wav(85, 1, 8000, 16, 64, &data)).unwrap_err().to_string().contains("WAV"));
    }

    #[test]
    fn no_truncation_or_flipped_byte_of_a_file_panics() {
        let file = wav(1, 2, 16_000, 16, 64, &[7; 64]);
        for length in 0..file.len() {
            assert!(read(&file[..length]).is_err(), "{length} bytes");
        }
        for at in 0..44 {
            for value in [0, 1, 127, 128, 255] {
                let mut broken = file.clone();
                broken[at] = value;
                let _ = read(&broken);
            }
        }
    }

    #[test]
    fn writing_refuses_a_rate_of_zero_and_names_a_missing_folder() {
        let folder = folder();
        let zero = write_wav(&folder.path().join("z.wav"), &Pcm::new(vec![0.0], 0));
        assert!(matches!(zero, Err(AudioError::Rate { rate: 0 })));
        let missing = write_wav(&folder.path().join("no/z.wav"), &Pcm::new(vec![0.0], 8000)).unwrap_err();
        assert!(missing.to_string().contains("no/z.wav"));
    }
}
