//! [`Warp`]: where a pose moves a point of the canvas. The head turns as a dome, the body leans and breathes.

use bevy::math::Vec2;

use super::rig::{Depth, Head, Point};
use crate::avatar::{
    expression::ease,
    param::{ParamId, RigPose},
};

/// How much of a turned dome's narrowing is shown. All of it would shrink the silhouette, which a round head does not.
const NARROWING: f32 = 0.45;

/// The movement of head and body in one pose.
#[derive(Clone, Copy, Debug)]
pub struct Warp {
    centre: Vec2,
    radius: Vec2,
    pivot: Vec2,
    canvas: Vec2,
    turn: Vec2,
    narrowed: Vec2,
    shift: Vec2,
    roll: Vec2,
    body: Vec2,
    lean: Vec2,
    breath: f32,
}

impl Warp {
    /// The movement of `pose`.
    pub fn new(head: &Head, canvas: Point, pose: &RigPose) -> Self {
        let angle = |id: ParamId, full: f32| (pose.get(id) / 30.0 * full).to_radians();
        let (yaw, pitch) = (angle(ParamId::AngleX, head.yaw), angle(ParamId::AngleY, head.pitch));
        let lean = (pose.get(ParamId::BodyAngleZ) * 0.55).to_radians();
        Self {
            centre: head.centre.into(),
            radius: head.radius.into(),
            pivot: head.pivot.into(),
            canvas: canvas.into(),
            turn: Vec2::new(yaw.sin(), -pitch.sin()),
            narrowed: Vec2::new(1.0 - NARROWING * (1.0 - yaw.cos()), 1.0 - NARROWING * (1.0 - pitch.cos())),
            // The head also slides on the neck: towards where it faces.
            shift: Vec2::new(yaw.sin() * 16.0, -pitch.sin() * 14.0),
            roll: Vec2::from_angle((pose.get(ParamId::AngleZ) * head.roll).to_radians()),
            body: Vec2::new(pose.get(ParamId::BodyAngleX) * 1.7, -pose.get(ParamId::BodyAngleY) * 1.5),
            lean: Vec2::from_angle(lean),
            breath: pose.get(ParamId::Breath),
        }
    }

    /// How far a layer stands out at a point.
    pub fn depth(&self, depth: Depth, at: Vec2) -> f32 {
        let distance = (at - self.centre) / self.radius;
        depth.lift + depth.dome * (1.0 - distance.length_squared()).max(-0.6)
    }

    /// Where the head carries a point that stands out by `depth`.
    pub fn head(&self, at: Vec2, depth: f32) -> Vec2 {
        let turned = (at - self.centre) * self.narrowed + self.turn * depth + self.shift + self.centre;
        self.pivot + self.roll.rotate(turned - self.pivot)
    }

    /// Where the body carries a point, whatever carried it before.
    pub fn body(&self, at: Vec2) -> Vec2 {
        let height = (self.canvas.y - at.y) / 500.0;
        let middle = self.canvas.x / 2.0;
        let mut moved = at + self.body * height.clamp(0.0, 1.4);
        moved.y -= 6.5 * self.breath * ease(height);
        // The chest widens a little as it fills, and its front turns further than its sides.
        let chest = ease(height / 0.6) * ease((1.15 - height) / 0.3);
        let across = (at.x - middle) / 230.0;
        moved.x += (at.x - middle) * 0.008 * self.breath * chest;
        moved.x += self.body.x * 0.7 * chest * (1.0 - across * across).max(0.0);
        let foot = Vec2::new(middle, self.canvas.y + 60.0);
        foot + self.lean.rotate(moved - foot)
    }
}
