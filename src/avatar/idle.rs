//! What a body does by itself: it blinks, breathes, looks about, sways, and nods while it speaks.
//!
//! Everything here is a function of time and a seed, so that a run can be repeated and a test can look at any moment.

use bevy::math::Vec2;

use super::{
    Attention,
    expression::ease,
    param::{ParamId, RigPose},
};

/// Seconds of a slot in which at most one blink, or double blink, begins. The mean interval of people at rest is 3–5 s.
const BLINK_SLOT: f32 = 3.6;
const LID_CLOSES: f32 = 0.075;
const LID_STAYS: f32 = 0.035;
const LID_OPENS: f32 = 0.15;
const BLINK: f32 = LID_CLOSES + LID_STAYS + LID_OPENS;

/// A number in 0..1 from a slot's number: the same for the same seed.
fn chance(seed: u64, slot: i64, purpose: u64) -> f32 {
    let mut x = seed ^ (slot as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

/// Smooth noise in −1..1 that wanders about once a second.
pub fn noise(seconds: f64, seed: u64) -> f32 {
    let slot = seconds.floor();
    let t = (seconds - slot) as f32;
    let slope = |slot: i64| chance(seed, slot, 7) * 2.0 - 1.0;
    let (a, b) = (slope(slot as i64) * t, slope(slot as i64 + 1) * (t - 1.0));
    let weight = t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    (a + (b - a) * weight) * 2.0
}

/// When the blinks of a slot begin, counted from the slot's start. One slot in eight has none, one in six has two.
fn blinks(slot: i64, seed: u64) -> [Option<f32>; 2] {
    let kind = chance(seed, slot, 1);
    if kind < 0.125 {
        return [None, None];
    }
    let first = chance(seed, slot, 2) * (BLINK_SLOT - 2.0 * BLINK - 0.1);
    [Some(first), (kind > 0.833).then_some(first + BLINK + 0.09)]
}

/// How open blinking leaves the lids: 1 open, 0 closed.
pub fn blink(seconds: f64, seed: u64) -> f32 {
    let slot = (seconds / f64::from(BLINK_SLOT)).floor();
    let within = (seconds - slot * f64::from(BLINK_SLOT)) as f32;
    let lid = |start: f32| match within - start {
        t if !(0.0..BLINK).contains(&t) => 1.0,
        t if t < LID_CLOSES => 1.0 - ease(t / LID_CLOSES),
        t if t < LID_CLOSES + LID_STAYS => 0.0,
        t => ease((t - LID_CLOSES - LID_STAYS) / LID_OPENS),
    };
    blinks(slot as i64, seed).into_iter().flatten().map(lid).fold(1.0, f32::min)
}

/// How much air is in the chest, 0 to 1: four seconds a breath, the way in shorter than the way out.
pub fn breath(seconds: f64) -> f32 {
    let phase = (seconds / 4.0).rem_euclid(1.0) as f32;
    if phase < 0.4 { ease(phase / 0.4) } else { 1.0 - ease((phase - 0.4) / 0.6) }
}

/// Where the eyes dart by themselves, in units of the gaze parameters: quick steps, mostly back to the user.
pub fn saccade(seconds: f64, seed: u64) -> Vec2 {
    const SLOT: f64 = 1.7;
    const STEP: f32 = 0.07;
    let at = |slot: i64| {
        if chance(seed, slot, 3) < 0.55 {
            return Vec2::ZERO;
        }
        Vec2::new(chance(seed, slot, 4) - 0.5, (chance(seed, slot, 5) - 0.5) * 0.6)
    };
    let slot = (seconds / SLOT).floor();
    let within = (seconds - slot * SLOT) as f32 - chance(seed, slot as i64, 6);
    at(slot as i64 - 1).lerp(at(slot as i64), ease(within / STEP))
}

/// The drift of a head that is never quite still, in degrees of X, Y and Z.
pub fn sway(seconds: f64, seed: u64) -> [f32; 3] {
    let wander = |rate: f64, purpose: u64| {
        noise(seconds * rate, seed ^ purpose) + 0.4 * noise(seconds * rate * 2.3, seed ^ purpose ^ 0xF0)
    };
    [wander(0.31, 11) * 5.0, wander(0.27, 12) * 3.5, wander(0.23, 13) * 4.0]
}

/// How posture differs by what she attends to: offsets to add, at full weight.
pub fn posture(attention: Attention, seconds: f64, seed: u64) -> &'static [(ParamId, f32)] {
    // Thinking looks up and aside, to one side and the other by turns of a few seconds.
    let aside = chance(seed, (seconds / 6.0).floor() as i64, 8) < 0.5;
    match attention {
        Attention::Idle => &[],
        Attention::Listening => &[
            (ParamId::AngleZ, 5.0),
            (ParamId::AngleY, 2.0),
            (ParamId::BodyAngleY, 1.5),
            (ParamId::BrowLY, 0.2),
            (ParamId::BrowRY, 0.2),
            (ParamId::EyeLOpen, 0.04),
            (ParamId::EyeROpen, 0.04),
        ],
        Attention::Thinking if aside => &[
            (ParamId::AngleX, -8.0),
            (ParamId::AngleY, 5.0),
            (ParamId::AngleZ, -4.0),
            (ParamId::EyeBallX, -0.55),
            (ParamId::EyeBallY, 0.6),
            (ParamId::BrowLY, 0.35),
            (ParamId::MouthForm, -0.25),
        ],
        Attention::Thinking => &[
            (ParamId::AngleX, 8.0),
            (ParamId::AngleY, 5.0),
            (ParamId::AngleZ, 4.0),
            (ParamId::EyeBallX, 0.55),
            (ParamId::EyeBallY, 0.6),
            (ParamId::BrowRY, 0.35),
            (ParamId::MouthForm, -0.25),
        ],
        Attention::Speaking => &[(ParamId::BodyAngleY, 1.0)],
    }
}

/// The nods of speech, in degrees of X, Y and Z, for a loudness of 0 to 1 (smoothed over a syllable or two).
pub fn emphasis(seconds: f64, seed: u64, loudness: f32) -> [f32; 3] {
    let loudness = loudness.clamp(0.0, 1.0);
    let beat = noise(seconds * 1.3, seed ^ 21);
    [
        noise(seconds * 0.8, seed ^ 22) * 6.0 * loudness,
        -loudness * (2.5 + 3.5 * beat),
        noise(seconds * 0.7, seed ^ 23) * 5.0 * loudness,
    ]
}

/// Adds what the body does by itself to a pose, in proportion: lids multiply, the rest adds.
pub fn animate(pose: &mut RigPose, seconds: f64, seed: u64, gaze: Vec2, loudness: f32) {
    let lids = blink(seconds, seed);
    for id in [ParamId::EyeLOpen, ParamId::EyeROpen] {
        pose.set(id, pose.get(id) * lids);
    }
    let darting = gaze + saccade(seconds, seed) * (1.0 - 0.5 * gaze.length().min(1.0));
    pose.add(ParamId::EyeBallX, darting.x);
    pose.add(ParamId::EyeBallY, darting.y);
    let (drift, nods) = (sway(seconds, seed), emphasis(seconds, seed, loudness));
    for (index, id) in [ParamId::AngleX, ParamId::AngleY, ParamId::AngleZ].into_iter().enumerate() {
        pose.add(id, drift[index] + nods[index]);
    }
    // The head follows the eyes part of the way, and the body follows the head.
    pose.add(ParamId::AngleX, gaze.x * 14.0);
    pose.add(ParamId::AngleY, gaze.y * 9.0);
    pose.add(ParamId::BodyAngleX, pose.get(ParamId::AngleX) * 0.16);
    pose.add(ParamId::BodyAngleZ, noise(seconds * 0.19, seed ^ 31) * 2.2 + pose.get(ParamId::AngleZ) * 0.12);
    pose.set(ParamId::Breath, breath(seconds));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the lids begin to close within `minutes`, at a resolution of 4 ms.
    fn blink_times(seed: u64, minutes: f64) -> Vec<f64> {
        let step = 0.004;
        let closed = |t: f64| blink(t, seed) < 0.5;
        (1..(minutes * 60.0 / step) as u64)
            .map(|n| n as f64 * step)
            .filter(|t| closed(*t) && !closed(*t - step))
            .collect()
    }

    #[test]
    fn blinks_come_at_natural_and_varied_intervals() {
        for seed in [1, 2, 99] {
            let times = blink_times(seed, 20.0);
            let a_minute = times.len() as f64 / 20.0;
            assert!((12.0..24.0).contains(&a_minute), "{a_minute} blinks a minute");
            let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let doubles = gaps.iter().filter(|gap| **gap < 0.6).count() as f64 / times.len() as f64;
            assert!((0.05..0.35).contains(&doubles), "{doubles} double blinks");
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
            assert!(deviation > 0.3 * mean, "a metronome blinks: {mean} ± {deviation}");
        }
    }

    #[test]
    fn blinking_is_repeatable_continuous_and_closes_fully() {
        let mut least = 1.0_f32;
        let mut last = blink(0.0, 5);
        for n in 1..60_000 {
            let now = blink(f64::from(n) * 0.001, 5);
            assert!((now - last).abs() < 0.05);
            assert_eq!(now, blink(f64::from(n) * 0.001, 5));
            (least, last) = (least.min(now), now);
        }
        assert_eq!(least, 0.0);
    }

    #[test]
    fn drift_is_smooth_small_and_differs_by_seed() {
        let mut last = sway(0.0, 3);
        for n in 1..20_000 {
            let now = sway(f64::from(n) * 0.016, 3);
            for axis in 0..3 {
                assert!(now[axis].abs() < 12.0 && (now[axis] - last[axis]).abs() < 0.4);
            }
            last = now;
        }
        assert_ne!(sway(1.5, 3), sway(1.5, 4));
    }

    #[test]
    fn eyes_return_to_the_user_and_stay_in_range() {
        let at_user = (0..10_000).filter(|n| saccade(f64::from(*n) * 0.05, 8) == Vec2::ZERO).count();
        assert!(at_user > 3_000, "{at_user} of 10000");
        assert!((0..10_000).all(|n| saccade(f64::from(n) * 0.05, 8).length() < 0.7));
    }

    #[test]
    fn a_breath_fills_and_empties() {
        let all: Vec<f32> = (0..400).map(|n| breath(f64::from(n) * 0.01)).collect();
        assert!(all.iter().all(|b| (0.0..=1.0).contains(b)));
        assert!(all.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.02));
        assert!(all.iter().any(|b| *b > 0.99) && all.iter().any(|b| *b < 0.01));
    }

    #[test]
    fn silence_does_not_nod() {
        assert_eq!(emphasis(3.0, 1, 0.0), [0.0; 3]);
    }
}
