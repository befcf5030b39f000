//! [`Expression`]: how an emotion looks, and the cross-fade from one to the next.

use bevy::prelude::Component;

use super::param::{
    ParamId::{self, *},
    RigPose,
};
use crate::emotion::{Cue, Emotion};

/// Seconds from one expression to the next: long enough to be seen as a movement, short enough to meet the word.
const FADE: f32 = 0.36;
/// Seconds an expression is shown at its strongest before it settles.
const ACCENT: f32 = 2.4;
/// Seconds that settling takes.
const SETTLE: f32 = 0.9;

/// One parameter of an expression: its value at the accent, and once it has settled.
type Key = (ParamId, f32, f32);

/// How each emotion looks, at full intensity. Parameters that are not named are at rest.
const fn look(emotion: Emotion) -> &'static [Key] {
    match emotion {
        Emotion::Calm => &[(MouthForm, 0.55, 0.5)],
        Emotion::Happy => &[
            (EyeLOpen, 0.0, 0.92),
            (EyeROpen, 0.0, 0.92),
            (EyeLSmile, 1.0, 0.55),
            (EyeRSmile, 1.0, 0.55),
            (BrowLY, 0.5, 0.3),
            (BrowRY, 0.5, 0.3),
            (BrowLForm, 0.8, 0.6),
            (BrowRForm, 0.8, 0.6),
            (MouthForm, 1.0, 1.0),
            (MouthOpenY, 0.85, 0.0),
            (Cheek, 0.8, 0.5),
            (AngleZ, -4.0, -2.0),
            (BodyAngleY, 4.0, 2.0),
            (Flower, 1.0, 0.0),
        ],
        Emotion::Angry => &[
            (EyeLOpen, 0.84, 0.88),
            (EyeROpen, 0.84, 0.88),
            (EyeForm, -1.0, -0.8),
            (EyeBallForm, -0.25, -0.2),
            (BrowLY, -0.7, -0.6),
            (BrowRY, -0.7, -0.6),
            (BrowLX, -0.5, -0.4),
            (BrowRX, -0.5, -0.4),
            (BrowLAngle, -1.0, -0.8),
            (BrowRAngle, -1.0, -0.8),
            (BrowLForm, -0.5, -0.4),
            (BrowRForm, -0.5, -0.4),
            (MouthForm, -1.0, -0.85),
            (MouthOpenY, 0.4, 0.0),
            (Cheek, 0.45, 0.3),
            (AngleY, -4.0, -3.0),
            (Vein, 1.0, 0.0),
        ],
        Emotion::Sad => &[
            (EyeLOpen, 0.72, 0.76),
            (EyeROpen, 0.72, 0.76),
            (EyeForm, 1.0, 0.9),
            (EyeBallY, -0.4, -0.35),
            (BrowLY, 0.1, 0.1),
            (BrowRY, 0.1, 0.1),
            (BrowLAngle, 1.0, 0.85),
            (BrowRAngle, 1.0, 0.85),
            (MouthForm, -0.8, -0.6),
            (AngleY, -6.0, -5.0),
            (AngleZ, 3.0, 3.0),
            (BodyAngleY, -3.0, -3.0),
            (Tear, 1.0, 0.85),
        ],
        Emotion::Surprised => &[
            (EyeLOpen, 1.16, 1.08),
            (EyeROpen, 1.16, 1.08),
            (EyeBallForm, -0.8, -0.3),
            (BrowLY, 1.0, 0.7),
            (BrowRY, 1.0, 0.7),
            (BrowLForm, 0.9, 0.7),
            (BrowRForm, 0.9, 0.7),
            (MouthOpenY, 0.75, 0.12),
            (O, 1.0, 1.0),
            (AngleY, 4.0, 1.0),
            (BodyAngleY, 6.0, 2.0),
            (Cheek, 0.2, 0.2),
            (Exclaim, 1.0, 0.0),
        ],
        Emotion::Coquettish => &[
            (EyeLOpen, 0.0, 0.94),
            (EyeROpen, 0.96, 0.94),
            (EyeLSmile, 1.0, 0.25),
            (EyeRSmile, 0.15, 0.25),
            (EyeBallX, 0.15, 0.1),
            (BrowLY, 0.2, 0.4),
            (BrowRY, 0.7, 0.4),
            (BrowLForm, 0.8, 0.6),
            (BrowRForm, 0.8, 0.6),
            (BrowLAngle, 0.25, 0.3),
            (BrowRAngle, 0.25, 0.3),
            (MouthForm, 0.7, 0.7),
            (MouthCat, 1.0, 0.8),
            (Cheek, 1.0, 0.85),
            (AngleZ, 7.0, 6.0),
            (BodyAngleZ, -2.0, -1.5),
            (Sparkle, 1.0, 1.0),
            (Heart, 1.0, 0.0),
        ],
    }
}

/// The face of a cue. `settled` goes from 0 (the accent, as it is struck) to 1 (as it stays).
pub fn face(cue: Cue, settled: f32) -> RigPose {
    let intensity = if cue.intensity.is_nan() { 1.0 } else { cue.intensity.clamp(0.0, 1.0) };
    let mut calm = RigPose::default();
    let settled = settled.clamp(0.0, 1.0);
    for (id, accent, settled_value) in look(Emotion::Calm) {
        calm.set(*id, accent + (settled_value - accent) * settled);
    }
    let mut full = RigPose::default();
    for (id, accent, settled_value) in look(cue.emotion) {
        full.set(*id, accent + (settled_value - accent) * settled);
    }
    calm.blend(&full, intensity)
}

/// Slow at both ends: 0 to 1 with no slope at either.
pub(crate) fn ease(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The expression a companion wears. [`Expression::show`] changes it; the change is a cross-fade, never a jump.
#[derive(Component, Clone, Debug)]
pub struct Expression {
    cue: Cue,
    from: RigPose,
    age: f32,
}

impl Default for Expression {
    fn default() -> Self {
        let cue = Cue::default();
        Self { cue, from: face(cue, 1.0), age: FADE + ACCENT + SETTLE }
    }
}

impl Expression {
    /// An expression that has just been struck and is fully there, for pictures.
    pub fn struck(cue: Cue) -> Self {
        Self { cue, from: face(cue, 0.0), age: FADE }
    }

    /// Begins to fade to a cue's face. Showing the same cue again strikes it anew.
    pub fn show(&mut self, cue: Cue) {
        self.from = self.pose();
        self.cue = cue;
        self.age = 0.0;
    }

    /// The cue being shown.
    pub fn cue(&self) -> Cue {
        self.cue
    }

    /// Lets `seconds` go by.
    pub fn advance(&mut self, seconds: f32) {
        self.age = (self.age + seconds.max(0.0)).min(FADE + ACCENT + SETTLE);
    }

    /// The face now.
    pub fn pose(&self) -> RigPose {
        let settled = ease((self.age - FADE - ACCENT) / SETTLE);
        self.from.blend(&face(self.cue, settled), ease(self.age / FADE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cross_fade_never_jumps() {
        let mut expression = Expression::default();
        let mut last = expression.pose();
        for frame in 0..900 {
            if frame % 7 == 0 && frame < 300 {
                expression.show(Emotion::ALL[frame / 7 % 6].into());
            }
            expression.advance(1.0 / 240.0);
            let pose = expression.pose();
            for (id, value) in pose.iter() {
                let (least, greatest) = id.range();
                let moved = (value - last.get(id)).abs() / (greatest - least);
                assert!(moved < 0.03, "{} moved by {moved} of its range in a frame", id.name());
            }
            last = pose;
        }
    }

    #[test]
    fn a_shown_cue_arrives_and_settles() {
        for emotion in Emotion::ALL {
            let mut expression = Expression::default();
            expression.show(emotion.into());
            expression.advance(FADE);
            assert_eq!(expression.pose(), face(emotion.into(), 0.0));
            expression.advance(60.0);
            assert_eq!(expression.pose(), face(emotion.into(), 1.0));
        }
    }

    #[test]
    fn no_intensity_is_calm_and_half_is_between() {
        let sad = |intensity| face(Cue { emotion: Emotion::Sad, intensity }, 0.0);
        assert_eq!(sad(0.0), face(Emotion::Calm.into(), 0.0));
        let (half, full) = (sad(0.5).get(BrowLAngle), sad(1.0).get(BrowLAngle));
        assert!((half - full / 2.0).abs() < 1e-6);
        assert_eq!(sad(f32::NAN), sad(1.0));
    }

    #[test]
    fn the_six_faces_differ() {
        for (index, one) in Emotion::ALL.into_iter().enumerate() {
            for other in &Emotion::ALL[..index] {
                assert_ne!(face(one.into(), 0.0), face((*other).into(), 0.0));
                assert_ne!(face(one.into(), 1.0), face((*other).into(), 1.0));
            }
        }
    }
}
