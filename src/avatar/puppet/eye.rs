//! [`EyeShape`]: where the lids are.

use bevy::math::Vec2;

use super::{
    art::sided,
    curve::{SAMPLES, spline},
    face::opening,
    rig::{Eye, Lid},
};
use crate::avatar::{
    expression::ease,
    param::{ParamId, RigPose},
};

/// The lids of one eye, about its centre, drawn as the one on the screen's left.
#[derive(Clone, Debug)]
pub struct EyeShape {
    /// How open it is, 0 to 1.2.
    pub open: f32,
    /// The upper lid, from the inner to the outer corner.
    pub upper: [Vec2; SAMPLES],
    /// The lower lid, likewise.
    pub lower: [Vec2; SAMPLES],
    upper_points: [Vec2; 6],
    /// The points of the lower lid.
    pub lower_points: [Vec2; 6],
    smile: f32,
}

fn mix(from: &[Vec2; 6], to: &[Vec2; 6], weight: f32) -> [Vec2; 6] {
    std::array::from_fn(|index| from[index].lerp(to[index], weight))
}

impl EyeShape {
    /// The lids in a pose; `mirrored` is the eye on the screen's right (her left).
    pub fn new(rig: &Eye, pose: &RigPose, mirrored: bool) -> Self {
        let open = sided(pose, mirrored, ParamId::EyeROpen, ParamId::EyeLOpen);
        let smile = sided(pose, mirrored, ParamId::EyeRSmile, ParamId::EyeLSmile);
        let slant = pose.get(ParamId::EyeForm) * rig.slant;
        let lid = |lid: &Lid| lid.map(Vec2::from);

        let (closed, half, full) = (lid(&rig.upper.closed), lid(&rig.upper.half), lid(&rig.upper.open));
        let mut upper =
            if open < 0.5 { mix(&closed, &half, open * 2.0) } else { mix(&half, &full, open.min(1.0) * 2.0 - 1.0) };
        for point in &mut upper[1..5] {
            point.y -= (open - 1.0).max(0.0) * rig.wide;
        }
        upper = mix(&upper, &mix(&lid(&rig.upper.smile), &upper, open.min(1.0)), smile);
        let mut lower = mix(&lid(&rig.lower.open), &lid(&rig.lower.smile), smile * 0.9);
        lower = mix(&upper, &lower, ease(open / 0.35));
        // The corners stay together, or the lids would come apart.
        (lower[0], lower[5]) = (upper[0], upper[5]);
        for point in upper.iter_mut().chain(&mut lower) {
            point.y -= (point.x + 8.0) / 80.0 * -slant;
        }
        Self { open, upper: spline(&upper), lower: spline(&lower), upper_points: upper, lower_points: lower, smile }
    }

    /// Where the eye is open at `x`: from, and to, below.
    pub fn opening(&self, x: f32) -> (f32, f32) {
        opening(&self.upper, &self.lower, x)
    }

    /// The inner and the outer corner's x.
    pub fn extent(&self) -> (f32, f32) {
        (self.upper[0].x, self.upper[SAMPLES - 1].x)
    }

    /// The fold above the upper lid.
    pub fn crease(&self) -> [Vec2; 4] {
        std::array::from_fn(|n| {
            let point = self.upper_points[n + 1];
            Vec2::new(point.x * 0.84 - 2.0, point.y - 17.0)
        })
    }

    /// The lashes at the outer corner; `open` is 0 for lashes that lie on the cheek.
    pub fn lash_tips(&self, open: f32) -> [[Vec2; 3]; 2] {
        let (corner, before) = (self.upper_points[5], self.upper_points[4]);
        let up = self.smile * (1.0 - open);
        let tip = |from: Vec2, opened: [[f32; 2]; 3], closed: [[f32; 2]; 3]| {
            std::array::from_fn(|n| from + Vec2::from(closed[n]).lerp(Vec2::from(opened[n]), open))
        };
        [
            tip(
                before,
                [[14.0, -12.0], [-10.0, -4.0], [-27.0, -19.0]],
                [[14.0, 2.0], [-6.0, 11.0], [-10.0, 19.0 - 30.0 * up]],
            ),
            tip(
                corner,
                [[12.0, -18.0], [-6.0, -1.0], [-24.0, -6.0]],
                [[14.0, 4.0 - 10.0 * up], [-2.0, 1.0], [-17.0, 6.0 - 4.0 * up]],
            ),
        ]
    }
}
