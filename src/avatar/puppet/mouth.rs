//! [`MouthShape`]: where the lips are.

use bevy::math::Vec2;

use super::{
    curve::{SAMPLES, spline},
    face::opening,
    rig::{HalfLip, Mouth, OpenMouth, Tempers},
};
use crate::avatar::param::{ParamId, RigPose};

/// The lips, about the mouth's centre, from the screen's left to its right.
#[derive(Clone, Debug)]
pub struct MouthShape {
    /// The upper lip's line.
    pub upper: [Vec2; SAMPLES],
    /// The lower lip's line.
    pub lower: [Vec2; SAMPLES],
    /// How much of the teeth is seen, 0 to 1.
    pub teeth: f32,
}

/// Adds a weighted half lip.
fn add(sum: &mut [Vec2; 4], half: &HalfLip, weight: f32) {
    sum.iter_mut().zip(half).for_each(|(sum, point)| *sum += Vec2::from(*point) * weight);
}

/// How much of each temper a pose has; they sum to 1.
fn tempers(pose: &RigPose) -> Tempers<f32> {
    let (form, cat) = (pose.get(ParamId::MouthForm), pose.get(ParamId::MouthCat));
    let others = 1.0 - cat;
    Tempers { rest: (1.0 - form.abs()) * others, smile: form.max(0.0) * others, frown: (-form).max(0.0) * others, cat }
}

impl MouthShape {
    /// The lips in a pose. At `MouthOpenY` = 0 both are one line.
    pub fn new(rig: &Mouth, pose: &RigPose) -> Self {
        let temper = tempers(pose);
        let mut closed = [Vec2::ZERO; 4];
        for (half, weight) in [
            (&rig.closed.rest, temper.rest),
            (&rig.closed.smile, temper.smile),
            (&rig.closed.frown, temper.frown),
            (&rig.closed.cat, temper.cat),
        ] {
            add(&mut closed, half, weight);
        }

        let vowels = [
            (&rig.a, pose.get(ParamId::A)),
            (&rig.i, pose.get(ParamId::I)),
            (&rig.u, pose.get(ParamId::U)),
            (&rig.e, pose.get(ParamId::E)),
            (&rig.o, pose.get(ParamId::O)),
        ];
        let said: f32 = vowels.iter().map(|(_, weight)| weight).sum();
        let (share, silent) = (1.0 / said.max(1.0), (1.0 - said).max(0.0));
        let (mut upper, mut lower, mut teeth) = ([Vec2::ZERO; 4], [Vec2::ZERO; 4], 0.0);
        let mut give = |mouth: &OpenMouth, weight: f32| {
            add(&mut upper, &mouth.upper, weight);
            add(&mut lower, &mouth.lower, weight);
            teeth += mouth.teeth * weight;
        };
        give(&rig.open.rest, temper.rest * silent);
        give(&rig.open.smile, temper.smile * silent);
        give(&rig.open.frown, temper.frown * silent);
        give(&rig.open.cat, temper.cat * silent);
        vowels.iter().for_each(|(mouth, weight)| give(mouth, weight * share));
        // A temper is also heard in a vowel: it raises or lowers the corners.
        let lift = pose.get(ParamId::MouthForm) * 4.5 * said.min(1.0);
        for half in [&mut upper, &mut lower] {
            half[0] += Vec2::new(-lift * 0.5, -lift);
            half[1].y -= lift * 0.4;
        }

        // Small openings are what speech mostly consists of: show them.
        let open = pose.get(ParamId::MouthOpenY).powf(0.9);
        let line = |half: [Vec2; 4]| {
            let half: [Vec2; 4] = std::array::from_fn(|n| closed[n].lerp(half[n], open));
            let mirrored = |n: usize| Vec2::new(-half[n].x, half[n].y);
            spline(&[half[0], half[1], half[2], half[3], mirrored(2), mirrored(1), mirrored(0)])
        };
        Self { upper: line(upper), lower: line(lower), teeth: teeth.clamp(0.0, 1.0) }
    }

    /// Where the mouth is open at `x`: from, and to, below.
    pub fn opening(&self, x: f32) -> (f32, f32) {
        opening(&self.upper, &self.lower, x)
    }

    /// The corners' x.
    pub fn extent(&self) -> (f32, f32) {
        (self.upper[0].x, self.upper[SAMPLES - 1].x)
    }

    /// How far it is open in the middle.
    pub fn gap(&self) -> f32 {
        self.lower[SAMPLES / 2].y - self.upper[SAMPLES / 2].y
    }

    /// The tongue's ellipse: its centre, half its width, its height above the centre.
    pub fn tongue(&self) -> (Vec2, f32, f32) {
        let (left, right) = self.extent();
        let lowest = self.lower.iter().map(|point| point.y).fold(f32::MIN, f32::max);
        (Vec2::new(0.0, lowest + 2.0), (right - left) * 0.33, self.gap() * 0.42)
    }
}
