//! The avatar: [`RigPose`] is what every renderer reads, and nothing else.
//!
//! [`AvatarPlugin`] needs no renderer and no window: it merges the [`Expression`], what the body does by itself ([`idle`])
//! and the [`Mouth`] into the pose. [`puppet`] draws it.

pub mod expression;
pub mod idle;
pub mod lip_sync;
pub mod param;
pub mod puppet;
pub mod spring;

use std::time::Duration;

use bevy::prelude::*;

use crate::worker::CompanionSystems;
pub use expression::Expression;
pub use param::{ParamId, RigPose};
use spring::{Hair, Spring};

/// What the mouth is doing, written every frame from the playback cursor by whoever owns playback.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct Mouth {
    /// How open it is, 0 to 1.
    pub open: f32,
    /// Weights of the vowels a, i, u, e, o. They need not sum to 1: the rest is an open mouth of no vowel.
    pub vowels: [f32; 5],
}

/// What the companion attends to; her posture shows it.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Attention {
    /// Nothing in particular.
    #[default]
    Idle,
    /// The user is speaking: she tilts her head.
    Listening,
    /// A reply is being made: she looks aside.
    Thinking,
    /// She is being heard: the mouth follows [`Mouth`], and she nods.
    Speaking,
}

/// Where she looks, from −1 to 1 each: zero is the user, +X the screen's right, +Y up.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
pub struct LookAt(pub Vec2);

/// The body's own life: its clock, and what lags behind.
#[derive(Component, Clone, Debug)]
pub struct Idle {
    /// Companions of different seeds do not blink together. 0 stands for a seed of the entity's own.
    pub seed: u64,
    clock: Duration,
    hair: Hair,
    gaze: [Spring; 2],
    loudness: Spring,
    speaking: Spring,
    posture: RigOffset,
}

impl Default for Idle {
    fn default() -> Self {
        Self::seeded(0)
    }
}

impl Idle {
    /// A body whose chance is `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            clock: Duration::ZERO,
            hair: Hair::default(),
            gaze: Default::default(),
            loudness: Spring::default(),
            speaking: Spring::default(),
            posture: RigOffset::default(),
        }
    }

    /// Lets `step` go by and says how the rig stands then.
    pub fn pose(
        &mut self,
        step: Duration,
        expression: &Expression,
        mouth: &Mouth,
        attention: Attention,
        look: Vec2,
    ) -> RigPose {
        self.clock += step;
        let (now, dt) = (self.clock.as_secs_f64(), step.as_secs_f32());
        let speaks = attention == Attention::Speaking;
        for (spring, target) in self.gaze.iter_mut().zip(look.clamp(Vec2::NEG_ONE, Vec2::ONE).to_array()) {
            spring.advance(target, 1.6, 1.0, dt);
        }
        self.loudness.advance(if speaks { mouth.open } else { 0.0 }, 1.4, 1.0, dt);
        self.speaking.advance(f32::from(u8::from(speaks)), 4.0, 1.0, dt);
        self.posture.advance(idle::posture(attention, now, self.seed), dt);

        let mut pose = expression.pose();
        speak(&mut pose, mouth, self.speaking.position.clamp(0.0, 1.0));
        self.posture.add_to(&mut pose);
        let gaze = Vec2::new(self.gaze[0].position, self.gaze[1].position);
        idle::animate(&mut pose, now, self.seed, gaze, self.loudness.position);
        self.hair.advance(&mut pose, dt);
        pose
    }
}

/// Gives the mouth to speech, in proportion to `speaking`: the expression keeps its temper, not its opening.
fn speak(pose: &mut RigPose, mouth: &Mouth, speaking: f32) {
    let give = |pose: &mut RigPose, id, said: f32| pose.set(id, pose.get(id) + (said - pose.get(id)) * speaking);
    give(pose, ParamId::MouthOpenY, mouth.open);
    for (id, weight) in [ParamId::A, ParamId::I, ParamId::U, ParamId::E, ParamId::O].into_iter().zip(mouth.vowels) {
        give(pose, id, weight);
    }
}

/// Posture offsets on springs, so that a change of attention is a movement.
#[derive(Clone, Debug)]
struct RigOffset([Spring; ParamId::COUNT]);

impl Default for RigOffset {
    fn default() -> Self {
        Self([Spring::default(); ParamId::COUNT])
    }
}

impl RigOffset {
    fn advance(&mut self, offsets: &[(ParamId, f32)], seconds: f32) {
        for id in ParamId::ALL {
            let target = offsets.iter().find(|(named, _)| named == id).map_or(0.0, |(_, offset)| *offset);
            self.0[*id as usize].advance(target, 1.1, 1.0, seconds);
        }
    }

    fn add_to(&self, pose: &mut RigPose) {
        ParamId::ALL.iter().for_each(|id| pose.add(*id, self.0[*id as usize].position));
    }
}

/// Moves avatars in [`CompanionSystems::Animate`]; draws nothing.
pub struct AvatarPlugin;

impl Plugin for AvatarPlugin {
    fn build(&self, app: &mut App) {
        app.register_required_components::<Expression, RigPose>()
            .register_required_components::<Expression, Idle>()
            .register_required_components::<Expression, Mouth>()
            .register_required_components::<Expression, Attention>()
            .register_required_components::<Expression, LookAt>()
            .add_systems(Update, animate.in_set(CompanionSystems::Animate));
    }
}

/// Merges expression, idling and speech into the pose.
fn animate(
    time: Res<Time>,
    mut avatars: Query<(Entity, &mut Expression, &mut Idle, &mut RigPose, &Mouth, &Attention, &LookAt)>,
) {
    for (entity, mut expression, mut idle, mut pose, mouth, attention, look) in &mut avatars {
        if idle.seed == 0 {
            idle.seed = entity.to_bits();
        }
        expression.advance(time.delta_secs());
        *pose = idle.pose(time.delta(), &expression, mouth, *attention, look.0);
    }
}
