//! Curves through points, and strokes along them.

use bevy::math::Vec2;

/// How many points a sampled lid or lip has.
pub const SAMPLES: usize = 25;

/// Points of a Catmull–Rom spline through control points, at equal steps of its parameter.
pub fn spline<const N: usize>(points: &[Vec2]) -> [Vec2; N] {
    let last = points.len() - 1;
    std::array::from_fn(|n| {
        let at = n as f32 / (N - 1) as f32 * last as f32;
        let index = (at as usize).min(last - 1);
        let t = at - index as f32;
        let [a, b, c, d] =
            [points[index.saturating_sub(1)], points[index], points[index + 1], points[(index + 2).min(last)]];
        // Uniform Catmull–Rom in Horner's form.
        b + (c - a + (a * 2.0 - b * 5.0 + c * 4.0 - d + ((b - c) * 3.0 + d - a) * t) * t) * (0.5 * t)
    })
}

/// The height of a curve at `x`. Its points go from right to left or from left to right; beyond its ends it is level.
pub fn height_at(curve: &[Vec2], x: f32) -> f32 {
    let rising = curve[0].x < curve[curve.len() - 1].x;
    let mut before = curve[0];
    for point in curve {
        if (point.x >= x) == rising || point.x == x {
            let width = point.x - before.x;
            return if width.abs() < 1e-6 { point.y } else { before.y + (point.y - before.y) * (x - before.x) / width };
        }
        before = *point;
    }
    before.y
}

/// How thick a stroke is along its way: `start` and `end` are shares of the full width, which it has at `peak`.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    /// The full width.
    pub width: f32,
    /// At the start.
    pub start: f32,
    /// At the end.
    pub end: f32,
    /// Where it is thickest, 0 to 1.
    pub peak: f32,
}

impl Stroke {
    /// The width at `t` from 0 to 1.
    pub fn at(&self, t: f32) -> f32 {
        let quarter = std::f32::consts::FRAC_PI_2;
        let share = if t < self.peak {
            self.start + (1.0 - self.start) * (t / self.peak * quarter).sin()
        } else {
            self.end + (1.0 - self.end) * ((t - self.peak) / (1.0 - self.peak) * quarter).cos()
        };
        self.width * share.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spline_goes_through_its_points() {
        let points = [[0.0, 0.0], [10.0, 5.0], [20.0, -5.0]].map(Vec2::from);
        let curve: [Vec2; 21] = spline(&points);
        assert_eq!((curve[0], curve[10], curve[20]), (points[0], points[1], points[2]));
    }

    #[test]
    fn a_height_is_found_in_either_direction() {
        let curve = [[0.0, 0.0], [10.0, 20.0], [20.0, 0.0]].map(Vec2::from);
        let back: Vec<Vec2> = curve.iter().rev().copied().collect();
        for x in [-5.0, 0.0, 3.0, 10.0, 17.0, 20.0, 25.0] {
            assert!((height_at(&curve, x) - height_at(&back, x)).abs() < 1e-4, "{x}");
        }
        assert_eq!(height_at(&curve, 5.0), 10.0);
    }
}
