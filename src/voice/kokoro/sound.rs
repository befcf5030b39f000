//! What happens to the model's waveform before it is heard: trimming, tone, loudness, fades and pauses.

/// Kokoro's output rate, in hertz.
pub const RATE: u32 = 24_000;
/// Loudness of speech after levelling, as a root mean square; peaks then stay near 0.7.
const LOUDNESS: f32 = 0.1;
/// 10 ms.
const FRAME: usize = RATE as usize / 100;
/// Silence kept around speech, so that soft consonants survive: 20 ms before, 50 ms after.
const MARGIN: (usize, usize) = (2 * FRAME, 5 * FRAME);
/// Fades at both ends: 4 ms.
const FADE: usize = RATE as usize / 250;
/// Frames this far below the loudest are silence: −42 dB.
const SILENCE: f32 = 0.008;
/// Louder samples are bent instead of clipped.
const KNEE: f32 = 0.8;

/// The speech without the silence around it; empty when there is none.
pub fn trimmed(samples: &[f32]) -> &[f32] {
    let loudness: Vec<f32> = samples.chunks(FRAME).map(root_mean_square).collect();
    let loudest = loudness.iter().copied().fold(0.0, f32::max);
    if loudest < 1e-4 {
        return &[];
    }
    let speaks = |loudness: &f32| *loudness > loudest * SILENCE;
    let first = loudness.iter().position(speaks).unwrap_or(0);
    let last = loudness.iter().rposition(speaks).unwrap_or(0);
    let start = (first * FRAME).saturating_sub(MARGIN.0);
    &samples[start..samples.len().min((last + 1) * FRAME + MARGIN.1)]
}

/// The factor that brings speech to the common loudness, judged by its louder half so that pauses do not count.
pub fn levelling(speech: &[f32]) -> f32 {
    let mut frames: Vec<f32> = speech.chunks(FRAME).map(root_mean_square).collect();
    frames.sort_unstable_by(f32::total_cmp);
    let loud = root_mean_square(&frames[frames.len() / 2..]);
    if loud > 1e-4 { (LOUDNESS * 1.3 / loud).clamp(0.1, 10.0) } else { 1.0 }
}

/// Makes speech louder and bends what would clip.
pub fn amplify(speech: &mut [f32], gain: f32) {
    for sample in speech {
        let amplified = *sample * gain;
        let over = amplified.abs() - KNEE;
        let room = 1.0 - KNEE;
        *sample = if over > 0.0 { amplified.signum() * (KNEE + room * (over / room).tanh()) } else { amplified };
    }
}

/// Raises (or lowers, below 0) what lies above about 1.5 kHz by `decibels`: a hard or a soft voice.
pub fn brighten(speech: &mut [f32], decibels: f32) {
    let extra = 10_f32.powf(decibels / 20.0) - 1.0;
    let step = 1.0 - (-std::f32::consts::TAU * 1500.0 / RATE as f32).exp();
    let mut low = 0.0;
    for sample in speech {
        low += step * (*sample - low);
        *sample += extra * (*sample - low);
    }
}

/// Fades both ends, so that nothing clicks where pieces join.
pub fn fade(speech: &mut [f32]) {
    let length = FADE.min(speech.len() / 2);
    for at in 0..length {
        let factor = at as f32 / length as f32;
        speech[at] *= factor;
        let mirrored = speech.len() - 1 - at;
        speech[mirrored] *= factor;
    }
}

fn root_mean_square(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, level: f32, samples: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * hertz / RATE as f32;
        (0..samples).map(|at| level * (step * at as f32).sin()).collect()
    }

    #[test]
    fn silence_around_speech_is_cut() {
        let mut samples = vec![0.0; 12_000];
        samples.extend(tone(200.0, 0.3, 24_000));
        samples.extend([0.0; 12_000]);
        let kept = trimmed(&samples).len();
        assert!((24_000..=24_000 + 8 * FRAME).contains(&kept), "{kept} samples kept");
        assert!(trimmed(&[0.0; 5000]).is_empty());
        assert!(trimmed(&[]).is_empty());
    }

    #[test]
    fn quiet_and_loud_speech_come_out_alike_and_below_full_scale() {
        for level in [0.02, 0.2, 0.9] {
            let mut speech = tone(200.0, level, 24_000);
            let gain = levelling(&speech);
            amplify(&mut speech, gain);
            let loudness = root_mean_square(&speech);
            assert!((loudness - 1.3 * LOUDNESS).abs() < 0.01, "{level} became {loudness}");
            amplify(&mut speech, 20.0);
            assert!(speech.iter().all(|sample| sample.abs() <= 1.0));
        }
    }

    #[test]
    fn brightening_moves_treble_and_spares_bass() {
        let change = |hertz| {
            let plain = tone(hertz, 0.1, 24_000);
            let mut bright = plain.clone();
            brighten(&mut bright, 6.0);
            20.0 * (root_mean_square(&bright) / root_mean_square(&plain)).log10()
        };
        assert!(change(150.0) < 0.5 && change(6000.0) > 4.5);
    }
}
