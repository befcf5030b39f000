//! [`Spring`]: a damped spring that any time step leaves stable, and the hair that hangs on it.

use super::param::{ParamId, RigPose};

/// A mass on a damped spring, advanced by the exact solution of its equation: no time step can make it explode.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spring {
    /// Where the mass is.
    pub position: f32,
    /// How fast it moves, a second.
    pub velocity: f32,
}

impl Spring {
    /// Lets `seconds` go by while the spring pulls towards `target`.
    ///
    /// `frequency` is the undamped one in hertz; `damping` is the ratio to critical damping: below 1 it overshoots, from 1
    /// on it is treated as critical.
    pub fn advance(&mut self, target: f32, frequency: f32, damping: f32, seconds: f32) {
        let omega = std::f32::consts::TAU * frequency.max(1e-3);
        let (offset, t) = (self.position - target, seconds.max(0.0));
        let decay = (-omega * damping.clamp(0.0, 1.0) * t).exp();
        let (offset, velocity) = if damping >= 1.0 {
            let slope = self.velocity + omega * offset;
            ((offset + slope * t) * decay, (self.velocity - slope * omega * t) * decay)
        } else {
            let rate = omega * (1.0 - damping * damping).sqrt();
            let swing = (self.velocity + damping * omega * offset) / rate;
            let (sin, cos) = (rate * t).sin_cos();
            let moved = (offset * cos + swing * sin) * decay;
            (moved, (swing * rate * cos - offset * rate * sin) * decay - damping * omega * moved)
        };
        (self.position, self.velocity) = (target + offset, velocity);
    }
}

/// The hair's secondary motion: each part follows the head on a spring of its own, and swings past it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hair {
    front: Spring,
    side: Spring,
    back: Spring,
    bounce: Spring,
    started: bool,
}

impl Hair {
    /// Lets `seconds` go by with the head as `pose` holds it, and writes the hair parameters.
    pub fn advance(&mut self, pose: &mut RigPose, seconds: f32) {
        // Turning carries the hair sideways, and so does tilting, by the arm from the neck to the hair.
        let across = pose.get(ParamId::AngleX) / 30.0
            + pose.get(ParamId::AngleZ) / 20.0
            + pose.get(ParamId::BodyAngleX) / 10.0
            + pose.get(ParamId::BodyAngleZ) / 8.0;
        let up = pose.get(ParamId::AngleY) / 30.0 + pose.get(ParamId::BodyAngleY) / 10.0;
        if !self.started {
            self.started = true;
            for spring in [&mut self.front, &mut self.side, &mut self.back] {
                spring.position = across;
            }
            self.bounce.position = up;
        }
        self.front.advance(across, 1.9, 0.42, seconds);
        self.side.advance(across, 1.05, 0.3, seconds);
        self.back.advance(across, 0.8, 0.4, seconds);
        self.bounce.advance(up, 1.6, 0.28, seconds);
        // Gravity: hair keeps hanging down while the head tilts.
        let hang = pose.get(ParamId::AngleZ) / 30.0;
        pose.set(ParamId::HairFront, (self.front.position - across) * 2.2 + hang * 0.5);
        pose.set(ParamId::HairSide, (self.side.position - across) * 1.8 + hang);
        pose.set(ParamId::HairBack, (self.back.position - across) * 1.5 + hang * 0.8);
        pose.set(ParamId::HairFluffy, (self.bounce.position - up) * 2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_step_makes_a_spring_explode() {
        for damping in [0.0, 0.05, 0.3, 0.99, 1.0, 4.0] {
            for seconds in [0.0, 1e-5, 0.016, 0.5, 7.0, 1e6] {
                let mut spring = Spring { position: 3.0, velocity: -40.0 };
                for _ in 0..2_000 {
                    spring.advance(1.0, 2.0, damping, seconds);
                    assert!(
                        spring.position.is_finite() && spring.position.abs() < 12.0,
                        "{damping} {seconds} {spring:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn many_small_steps_and_one_large_one_agree() {
        for damping in [0.2, 0.7, 1.0] {
            let (mut fine, mut coarse) = (Spring::default(), Spring::default());
            (0..500).for_each(|_| fine.advance(1.0, 1.5, damping, 0.001));
            coarse.advance(1.0, 1.5, damping, 0.5);
            assert!((fine.position - coarse.position).abs() < 1e-3, "{fine:?} {coarse:?}");
            assert!((fine.velocity - coarse.velocity).abs() < 1e-2, "{fine:?} {coarse:?}");
        }
    }

    #[test]
    fn hair_lags_a_turning_head_and_comes_to_rest() {
        let mut hair = Hair::default();
        let mut pose = RigPose::default();
        hair.advance(&mut pose, 0.016);
        assert_eq!(pose.get(ParamId::HairSide), 0.0);
        pose.set(ParamId::AngleX, 25.0);
        hair.advance(&mut pose, 0.016);
        assert!(pose.get(ParamId::HairSide) < -0.2, "left behind");
        let mut passed = false;
        for _ in 0..600 {
            hair.advance(&mut pose, 0.016);
            passed |= pose.get(ParamId::HairSide) > 0.1;
        }
        assert!(passed, "swings past");
        assert!(pose.get(ParamId::HairSide).abs() < 1e-3);
    }
}
