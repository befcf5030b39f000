//! Cutting long speech into windows that Whisper can take.

use std::ops::Range;

use super::mel::RATE;

/// The longest speech taken in one piece.
const LONGEST: usize = 30 * RATE as usize;
/// Where in a window a cut may lie, in seconds from its beginning.
const CUT: Range<usize> = 14 * RATE as usize..28 * RATE as usize;
/// The stretch whose loudness decides: shorter would cut inside a plosive.
const STRETCH: usize = RATE as usize / 5;
const STEP: usize = RATE as usize / 50;
/// How much louder than the quietest stretch one may be to belong to a pause.
const ABOUT: f32 = 2.0;

/// The windows of 16 kHz samples, in order, without gaps: one up to 30 s; longer speech is cut in its longest pause
/// between 14 s and 28 s after the cut before.
pub fn windows(samples: &[f32]) -> Vec<Range<usize>> {
    let (mut begin, mut windows) = (0, Vec::new());
    while samples.len() - begin > LONGEST {
        let end = begin + quietest(&samples[begin..]);
        windows.push(begin..end);
        begin = end;
    }
    windows.push(begin..samples.len());
    windows
}

/// The middle of the longest pause within [`CUT`], the later of two: a pause is where the stretches are about as quiet as
/// the quietest of all.
fn quietest(samples: &[f32]) -> usize {
    let energy = |at: usize| samples[at..at + STRETCH].iter().map(|sample| sample * sample).sum::<f32>();
    let stretches: Vec<(usize, f32)> =
        (CUT.start..CUT.end - STRETCH).step_by(STEP).map(|at| (at, energy(at))).collect();
    let least = stretches.iter().map(|(_, energy)| *energy).fold(f32::INFINITY, f32::min);
    let pauses = stretches.chunk_by(|a, b| (a.1 <= least * ABOUT) == (b.1 <= least * ABOUT));
    let pauses = pauses.filter(|pause| pause[0].1 <= least * ABOUT);
    let longest = pauses.max_by_key(|pause| pause.len());
    longest.map_or(CUT.end, |pause| (pause[0].0 + pause[pause.len() - 1].0 + STRETCH) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = RATE as usize;

    #[test]
    fn half_a_minute_is_one_window() {
        assert_eq!(windows(&vec![0.1; LONGEST]), vec![0..LONGEST]);
        assert_eq!(windows(&[]), vec![0..0]);
    }

    #[test]
    fn a_minute_is_cut_in_its_pause() {
        let mut speech = vec![0.5; 45 * SECOND];
        speech[20 * SECOND..21 * SECOND].fill(0.001);
        let windows = windows(&speech);
        assert_eq!(windows.len(), 2);
        assert!((20 * SECOND..21 * SECOND).contains(&windows[0].end), "cut at {} s", windows[0].end as f32 / 16e3);
    }

    #[test]
    fn a_long_pause_is_preferred_to_a_later_short_one() {
        let mut speech = vec![0.5; 45 * SECOND];
        speech[16 * SECOND..20 * SECOND].fill(0.001);
        speech[24 * SECOND..25 * SECOND].fill(0.0009);
        assert_eq!(windows(&speech)[0].end / SECOND, 18, "its middle");
    }

    #[test]
    fn windows_cover_ten_minutes_of_noise_and_none_is_too_long() {
        let noise: Vec<f32> = (0..600 * SECOND).map(|n| ((n * 7919) % 1000) as f32 / 1000.0 - 0.5).collect();
        let windows = windows(&noise);
        assert_eq!((windows[0].start, windows[windows.len() - 1].end), (0, noise.len()));
        assert!(windows.iter().all(|window| window.len() <= LONGEST && window.len() >= 2 * SECOND));
        assert!(windows.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}
