//! Changing the rate of sound: whole clips at once, or streams a chunk at a time.

use rubato::{
    Async, Fft, FixedAsync, FixedSync, Resampler as _, SincInterpolationParameters, WindowFunction,
    audioadapter_buffers::direct::InterleavedSlice,
};

use super::{AudioError, MAX_RATE, Pcm};

/// Taps of the streaming filter for each sample of the slower side: half of it is the delay, 2.7 ms at 24 kHz.
const TAPS: usize = 128;
/// Its most taps.
const MOST_TAPS: usize = 512;
/// The longest transform that a clip is resampled with; stranger pairs of rates take the sinc filter.
const LONGEST_FFT: u32 = 1 << 15;

/// The clip at `rate` hertz: ⌈length × rate ⁄ old rate⌉ samples, aligned in time with the original.
///
/// A clip or a target of rate 0, or of more than [`MAX_RATE`], has no samples to give and comes back empty.
pub fn resample(pcm: &Pcm, rate: u32) -> Pcm {
    if pcm.rate == rate {
        return pcm.clone();
    }
    let valid = |rate: u32| (1..=MAX_RATE).contains(&rate);
    if pcm.samples.is_empty() || !valid(rate) || !valid(pcm.rate) {
        return Pcm::new(Vec::new(), rate);
    }
    let frames = pcm.samples.len();
    let resampled = InterleavedSlice::new(&pcm.samples[..], 1, frames).ok().and_then(|input| {
        let mut converter = clip_converter(pcm.rate, rate)?;
        converter.process_all(&input, frames, None).ok()
    });
    // The lengths and rates are checked above, so the converter has nothing left to refuse.
    Pcm::new(resampled.map(|samples| samples.take_data()).unwrap_or_default(), rate)
}

fn clip_converter(from: u32, to: u32) -> Option<Box<dyn rubato::Resampler<f32>>> {
    let divisor = gcd(from, to);
    if from.max(to) / divisor <= LONGEST_FFT {
        // The filter's delay is half a transform on either side: both must be even, or the clip shifts by a half sample.
        let smallest = 2 * (from / divisor) as usize;
        let transform = smallest * 2048_usize.div_ceil(smallest);
        return Some(Box::new(Fft::new(from as usize, to as usize, transform, 1, FixedSync::Both).ok()?));
    }
    let ratio = f64::from(to) / f64::from(from);
    let parameters = SincInterpolationParameters::default();
    Some(Box::new(Async::new_sinc(ratio, 1.0, &parameters, 1024, 1, FixedAsync::Input).ok()?))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A stream's change of rate: mono samples in, mono samples out, without joints between chunks.
///
/// Processing a chunk neither allocates nor locks, so it may run in an audio callback.
pub struct Resampler {
    /// `None` when both rates are the same.
    filter: Option<Async<f32>>,
    from: u32,
    to: u32,
    taps: usize,
    chunk: usize,
    pending: Vec<f32>,
    output: Vec<f32>,
}

impl Resampler {
    /// A stream from one rate to another, in chunks of 5 ms.
    ///
    /// # Errors
    /// [`AudioError::Rate`] when either rate is 0 or above [`MAX_RATE`].
    pub fn new(from: u32, to: u32) -> Result<Self, AudioError> {
        for rate in [from, to] {
            if !(1..=MAX_RATE).contains(&rate) {
                return Err(AudioError::Rate { rate });
            }
        }
        let taps = (TAPS * from.div_ceil(to) as usize).min(MOST_TAPS);
        let chunk = (from as usize / 200).max(taps / 2);
        let filter = (from != to).then(|| {
            let parameters = SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris2);
            Async::new_sinc(f64::from(to) / f64::from(from), 1.0, &parameters, chunk, 1, FixedAsync::Input)
        });
        let filter = filter.transpose().map_err(|_| AudioError::Rate { rate: from })?;
        let longest = filter.as_ref().map_or(chunk, |filter| filter.output_frames_max());
        Ok(Self { filter, from, to, taps, chunk, pending: Vec::with_capacity(chunk), output: vec![0.0; longest] })
    }

    /// The rate of what goes in, in hertz.
    pub fn from_rate(&self) -> u32 {
        self.from
    }

    /// The rate of what comes out, in hertz.
    pub fn to_rate(&self) -> u32 {
        self.to
    }

    /// How many samples [`process`](Self::process) takes at a time.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// How many samples of input the output lies behind.
    pub fn delay(&self) -> f64 {
        // The first sample out is one step of output into the filter, not its very beginning.
        let step = f64::from(self.from) / f64::from(self.to);
        if self.filter.is_some() { (self.taps as f64 / 2.0 - step).max(0.0) } else { 0.0 }
    }

    /// Takes exactly [`chunk`](Self::chunk) samples and returns what they become; empty for any other length.
    pub fn process(&mut self, chunk: &[f32]) -> &[f32] {
        let Some(filter) = &mut self.filter else {
            self.output.clear();
            self.output.extend_from_slice(chunk);
            return &self.output;
        };
        let room = self.output.len();
        let written = InterleavedSlice::new(chunk, 1, chunk.len()).ok().and_then(|input| {
            let mut output = InterleavedSlice::new_mut(&mut self.output, 1, room).ok()?;
            filter.process_into_buffer(&input, &mut output, None).ok()
        });
        &self.output[..written.map_or(0, |(_, frames)| frames)]
    }

    /// Takes any number of samples and appends what is ready to `output`; the rest waits for the next call.
    pub fn push(&mut self, mut input: &[f32], output: &mut Vec<f32>) {
        while !input.is_empty() {
            let (now, later) = input.split_at(input.len().min(self.chunk - self.pending.len()));
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(now);
            if pending.len() == self.chunk {
                output.extend_from_slice(self.process(&pending));
                pending.clear();
            }
            self.pending = pending;
            input = later;
        }
    }

    /// Ends the stream: appends what was still waiting, and is as new afterwards.
    pub fn flush(&mut self, output: &mut Vec<f32>) {
        let silence = vec![0.0; self.taps + self.chunk];
        let waiting = self.pending.len() as f64 + self.delay();
        let mut tail = Vec::new();
        self.push(&silence[..], &mut tail);
        let wanted = (waiting * f64::from(self.to) / f64::from(self.from)).round() as usize;
        output.extend_from_slice(&tail[..wanted.min(tail.len())]);
        self.reset();
    }

    /// Forgets what was pushed so far.
    pub fn reset(&mut self) {
        self.pending.clear();
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resampler({} Hz → {} Hz)", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: u32, frames: usize) -> Vec<f32> {
        (0..frames).map(|n| (std::f64::consts::TAU * hertz * n as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
    }

    /// Signal over error against the sine that mathematics gives, in decibels.
    fn fidelity(found: &[f32], hertz: f64, rate: u32, delay: f64) -> f64 {
        let (mut signal, mut error) = (0.0, 0.0);
        let margin = found.len() / 8;
        for (n, sample) in found.iter().enumerate().take(found.len() - margin).skip(margin) {
            let t = n as f64 / f64::from(rate) - delay;
            let truth = (std::f64::consts::TAU * hertz * t).sin() * 0.5;
            signal += truth * truth;
            error += (f64::from(*sample) - truth).powi(2);
        }
        10.0 * (signal / error).log10()
    }

    #[test]
    fn a_clip_keeps_its_length_and_its_place_in_time() {
        for (from, to) in [(24_000, 48_000), (22_050, 16_000), (44_100, 16_000), (16_000, 24_000), (48_000, 16_000)] {
            for frames in [1_usize, 7, 480, 24_001] {
                let clip = resample(&Pcm::new(vec![0.1; frames], from), to);
                let exact = frames as f64 * f64::from(to) / f64::from(from);
                assert_eq!(clip.samples.len(), exact.ceil() as usize, "{frames} frames, {from} Hz to {to} Hz");
            }
            let clip = resample(&Pcm::new(sine(1000.0, from, from as usize), from), to);
            let fidelity = fidelity(&clip.samples, 1000.0, to, 0.0);
            assert!(fidelity > 80.0, "{from} Hz to {to} Hz: {fidelity:.1} dB");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_filtered_out() {
        let clip = resample(&Pcm::new(sine(11_000.0, 48_000, 48_000), 48_000), 16_000);
        let loudest = clip.samples[1000..15_000].iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!(loudest < 1e-3, "an alias of {loudest}");
    }

    #[test]
    fn impossible_rates_give_an_empty_clip_or_an_error() {
        let clip = Pcm::new(vec![0.5; 100], 16_000);
        assert!(resample(&clip, 0).samples.is_empty());
        assert!(resample(&clip, u32::MAX).samples.is_empty());
        assert!(resample(&Pcm::new(vec![0.5; 100], 0), 16_000).samples.is_empty());
        assert_eq!(resample(&clip, 15_999).samples.len(), 100);
        assert!(matches!(Resampler::new(0, 16_000), Err(AudioError::Rate { rate: 0 })));
        assert!(matches!(Resampler::new(16_000, u32::MAX), Err(AudioError::Rate { rate: u32::MAX })));
    }

    #[test]
    fn a_stream_has_no_joints_whatever_the_pieces() {
        for (from, to) in [(48_000, 16_000), (44_100, 16_000), (24_000, 48_000), (16_000, 16_000), (8_000, 16_000)] {
            let mut stream = Resampler::new(from, to).unwrap();
            let input = sine(440.0, from, from as usize);
            let mut output = Vec::new();
            for piece in input.chunks(333) {
                stream.push(piece, &mut output);
            }
            stream.flush(&mut output);
            let delay = stream.delay() / f64::from(from);
            let fidelity = fidelity(&output, 440.0, to, delay);
            // The filter's table sits 1/128 of a sample beside its middle: 60 dB at this pitch and 24 kHz.
            assert!(fidelity > 50.0, "{from} Hz to {to} Hz: {fidelity:.1} dB");
            let expected = f64::from(to) * (1.0 + delay);
            assert!((output.len() as f64 - expected).abs() <= 8.0, "{} frames, not {expected}", output.len());
        }
    }
}
