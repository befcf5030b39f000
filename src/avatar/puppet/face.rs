//! Eyes, brows and mouth: drawn anew for every pose, from the rig's curves.
//!
//! Everything is made of *bands*: strips of [`ROWS`] vertices a column whose number never changes. What lies behind lids or lips
//! is cut off by geometry: each column of an iris ends where the lids are at its place.

use bevy::math::Vec2;

use super::{
    art::{Art, Frame, sided},
    curve::{SAMPLES, Stroke, height_at, spline},
    eye::EyeShape,
    mouth::MouthShape,
    rig::{Colour, Part},
    warp::Warp,
};
use crate::avatar::{
    expression::ease,
    param::{ParamId, RigPose},
};

/// Vertices in a band's column: a soft edge, two within, a soft edge.
pub const ROWS: usize = 4;

/// Columns of areas between lids or lips.
const AREA: usize = 24;
/// Columns of the pictures in the eye.
const WINDOW: usize = 20;
/// Columns of a long stroke.
const LONG: usize = SAMPLES - 1;
/// Columns of a short one.
const SHORT: usize = 8;

/// Bands of one eye: white, iris, shadow, glint, sparkle, tear, crease, lower lash and its tip, upper lash and its two tips.
const EYE: [usize; 12] = [AREA, WINDOW, AREA, WINDOW, WINDOW, AREA, LONG, LONG, SHORT, LONG, SHORT, SHORT];
/// Inside, teeth, tongue, accent, lower lip, upper lip.
const MOUTH: [usize; 6] = [AREA, AREA, AREA, SHORT, LONG, LONG];

/// A strip of the mesh.
pub struct Band {
    /// One less than its columns of vertices.
    pub columns: usize,
    /// Drawn as a mirror image, so its triangles turn the other way.
    pub mirrored: bool,
}

/// The bands of a part, in the order in which [`draw`] fills them.
pub fn bands(part: Part) -> Vec<Band> {
    let of = |columns: &[usize], mirrored| columns.iter().map(|columns| Band { columns: *columns, mirrored }).collect();
    let both = |columns: &[usize]| [of(columns, false), of(columns, true)].into_iter().flatten().collect::<Vec<Band>>();
    match part {
        Part::Eyes => both(&EYE),
        Part::Brows => both(&[LONG]),
        Part::Mouth => of(&MOUTH, false),
    }
}

/// A picture inside the eye: the part of its box that it covers, and where it is on the texture.
#[derive(Clone, Copy, Debug)]
pub struct EyePicture {
    /// Left, top, width and height in the box.
    pub covers: [f32; 4],
    /// The same in texture coordinates.
    pub place: [f32; 4],
}

/// What bands are written with.
pub struct Pen<'a> {
    art: &'a Art,
    warp: &'a Warp,
    frame: &'a mut Frame,
    /// How wide a soft edge is, in units of the canvas.
    soft: f32,
    opacity: f32,
    origin: Vec2,
    mirrored: bool,
}

impl<'a> Pen<'a> {
    /// A pen that appends to `frame`.
    pub fn new(art: &'a Art, warp: &'a Warp, pixels: f32, opacity: f32, frame: &'a mut Frame) -> Self {
        let soft = (1.3 / pixels.max(1e-3)).clamp(0.5, 5.0);
        Self { art, warp, frame, soft, opacity, origin: Vec2::ZERO, mirrored: false }
    }

    /// Writes a vertex that lies at `at` from the pen's origin.
    fn put(&mut self, at: Vec2, uv: [f32; 2], colour: [f32; 3], alpha: f32) {
        let mut on_canvas = self.origin + at;
        if self.mirrored {
            on_canvas.x = self.art.rig.canvas[0] - on_canvas.x;
        }
        let depth = self.warp.depth(self.art.rig.head.face, on_canvas);
        let moved = self.warp.body(self.warp.head(on_canvas, depth));
        let alpha = alpha * self.opacity;
        self.frame.positions.push([moved.x, moved.y, 0.0]);
        self.frame.uvs.push(uv);
        self.frame.colours.push([colour[0] * alpha, colour[1] * alpha, colour[2] * alpha, alpha]);
    }

    /// A stroke along a curve. `colour` is asked along the way, 0 to 1.
    fn stroke(&mut self, curve: &[Vec2], stroke: Stroke, colour: impl Fn(f32) -> [f32; 3], alpha: f32) {
        let last = curve.len() - 1;
        for (index, at) in curve.iter().enumerate() {
            let t = index as f32 / last as f32;
            let along = curve[(index + 1).min(last)] - curve[index.saturating_sub(1)];
            let across = Vec2::new(-along.y, along.x).normalize_or(Vec2::Y);
            let width = stroke.at(t);
            let (outer, inner) = ((width + self.soft) / 2.0, ((width - self.soft) / 2.0).max(0.0));
            // Where the stroke is thinner than a soft edge, it is fainter instead.
            let alpha = if alpha > 0.0 { alpha * (width / self.soft).min(1.0) } else { 0.0 };
            for (offset, alpha) in [(-outer, 0.0), (-inner, alpha), (inner, alpha), (outer, 0.0)] {
                self.put(*at + across * offset, self.art.atlas.white, colour(t), alpha);
            }
        }
    }

    /// An area of [`AREA`] columns from `left` to `right`; each column asks for four heights, their colours and opacities.
    fn area(&mut self, left: f32, right: f32, column: impl Fn(f32) -> [(f32, [f32; 3], f32); ROWS]) {
        for index in 0..=AREA {
            // Closer together towards the ends, where lids and lips are steep.
            let share = 0.5 - 0.5 * (std::f32::consts::PI * index as f32 / AREA as f32).cos();
            let x = left + (right - left) * share;
            for (y, colour, alpha) in column(x) {
                self.put(Vec2::new(x, y), self.art.atlas.white, colour, alpha);
            }
        }
    }

    /// A picture of the eye about `centre`, `size` times as large, cut off by the lids.
    fn window(&mut self, shape: &EyeShape, picture: EyePicture, centre: Vec2, size: f32, alpha: f32, flipped: bool) {
        let [left, top, width, height] = picture.covers;
        let half = Vec2::from(self.art.rig.eye.size_of_box) / 2.0;
        let left = if flipped { half.x * 2.0 - left - width } else { left };
        let corner = centre + (Vec2::new(left, top) - half) * size;
        let extent = Vec2::new(width, height) * size;
        for index in 0..=WINDOW {
            let share = index as f32 / WINDOW as f32;
            let x = corner.x + extent.x * share;
            let (upper, lower) = shape.opening(x);
            let cut = |y: f32| y.clamp(upper, lower);
            let (start, end) = (cut(corner.y), cut(corner.y + extent.y));
            let soft = self.soft.min((end - start) / 2.0);
            let u = picture.place[0] + picture.place[2] * if flipped { 1.0 - share } else { share };
            let alpha = if end - start > 0.01 { alpha } else { 0.0 };
            for (y, alpha) in [(start, alpha), ((start + end) / 2.0, alpha), (end - soft, alpha), (end, 0.0)] {
                let v = picture.place[1] + picture.place[3] * ((y - corner.y) / extent.y);
                self.put(Vec2::new(x, y), [u, v], [1.0; 3], alpha);
            }
        }
    }
}

/// Fills a part's bands.
pub fn draw(pen: &mut Pen, part: Part, pose: &RigPose) {
    match part {
        Part::Mouth => mouth(pen, pose),
        Part::Brows => [false, true].into_iter().for_each(|mirrored| brow(pen, pose, mirrored)),
        Part::Eyes => [false, true].into_iter().for_each(|mirrored| eye(pen, pose, mirrored)),
    }
}

fn eye(pen: &mut Pen, pose: &RigPose, mirrored: bool) {
    let art = pen.art;
    let rig = &art.rig.eye;
    let shape = EyeShape::new(rig, pose, mirrored);
    (pen.origin, pen.mirrored) = (rig.centre.into(), mirrored);
    let (inner, outer) = shape.extent();
    let soft = pen.soft;
    let seen = ease(shape.open / 0.12);

    pen.area(outer, inner, |x| {
        let (upper, lower) = shape.opening(x);
        let edge = (soft / 2.0).min((lower - upper) / 2.0);
        let white = rig.white.0;
        [(upper, white, seen), (upper, white, seen), (lower - edge, white, seen), (lower + edge, white, 0.0)]
    });
    let size = 1.0 + pose.get(ParamId::EyeBallForm) * rig.size;
    let side = if mirrored { -1.0 } else { 1.0 };
    let look = Vec2::new(pose.get(ParamId::EyeBallX) * side * rig.look[0], -pose.get(ParamId::EyeBallY) * rig.look[1]);
    let iris = Vec2::from(rig.iris) + look;
    let [iris_picture, glint, sparkle] = art.eye_pictures;
    pen.window(&shape, iris_picture, iris, size, 1.0, false);
    pen.area(outer, inner, |x| {
        let (upper, lower) = shape.opening(x);
        let (half, end) = ((upper + 10.0).min(lower), (upper + 26.0).min(lower));
        let shadow = rig.shadow.0;
        [(upper, shadow, 0.34 * seen), (upper, shadow, 0.34 * seen), (half, shadow, 0.24 * seen), (end, shadow, 0.0)]
    });
    // The light stays behind a little when the eye moves, and falls from the same side on both.
    pen.window(&shape, glint, iris - look * 0.35, size, 1.0, mirrored);
    pen.window(&shape, sparkle, iris - look * 0.35, size, pose.get(ParamId::Sparkle), mirrored);
    let tear = pose.get(ParamId::Tear) * seen;
    pen.area(outer, inner, |x| {
        let (upper, lower) = shape.opening(x);
        let (start, middle) = ((lower - 24.0).max(upper), (lower - 15.0).max(upper));
        let water = rig.tear.0;
        [(start, water, 0.0), (middle, water, 0.75 * tear), (lower - soft, water, 0.9 * tear), (lower, water, 0.0)]
    });

    let open = ease((shape.open - 0.1) / 0.35);
    let thin = |width, start, end, peak| Stroke { width, start, end, peak };
    let crease: [Vec2; SAMPLES] = spline(&shape.crease());
    pen.stroke(&crease, thin(3.4, 0.0, 0.0, 0.5), |_| rig.crease.0, 0.75 * open);
    let lower: [Vec2; SAMPLES] = spline(&shape.lower_points[2..]);
    pen.stroke(&lower, thin(4.6, 0.0, 0.5, 0.7), |_| rig.lower_lash.0, 0.9 * open);
    let at = shape.lower_points[4];
    let tip = [at + Vec2::new(2.0, 2.0), at + Vec2::new(-8.0, 10.0), at + Vec2::new(-17.0, 11.0)];
    pen.stroke(&spline::<{ SHORT + 1 }>(&tip), thin(4.5, 0.9, 0.0, 0.2), |_| rig.lash.0, 0.85 * open);

    let lash = |t: f32| {
        let weight = ease(t / 0.4);
        std::array::from_fn(|c| rig.lash_corner.0[c] + (rig.lash.0[c] - rig.lash_corner.0[c]) * weight)
    };
    let width = 12.0 + 7.0 * open;
    pen.stroke(&shape.upper, thin(width, 0.2, 0.16, 0.66), lash, 1.0);
    for tip in shape.lash_tips(open) {
        pen.stroke(&spline::<{ SHORT + 1 }>(&tip), thin(8.0 + 5.0 * open, 0.5, 0.0, 0.3), |_| rig.lash.0, 1.0);
    }
}

fn brow(pen: &mut Pen, pose: &RigPose, mirrored: bool) {
    let art = pen.art;
    let rig = &art.rig.brow;
    let value = |right, left| sided(pose, mirrored, right, left);
    let raised = value(ParamId::BrowRY, ParamId::BrowLY) * rig.raise;
    let aside = value(ParamId::BrowRX, ParamId::BrowLX) * rig.together;
    let slant = Vec2::from_angle((-value(ParamId::BrowRAngle, ParamId::BrowLAngle) * rig.slant).to_radians());
    let arch = value(ParamId::BrowRForm, ParamId::BrowLForm);
    (pen.origin, pen.mirrored) = (Vec2::from(rig.centre) + Vec2::new(-aside, -raised), mirrored);
    let mut points = [Vec2::ZERO; 4];
    for (index, point) in points.iter_mut().enumerate() {
        *point = slant.rotate(Vec2::from(rig.points[index]) - Vec2::new(0.0, rig.arch[index] * arch));
    }
    let stroke = Stroke { width: rig.width, start: 0.6, end: 0.0, peak: 0.3 };
    pen.stroke(&spline::<SAMPLES>(&points), stroke, |_| rig.colour.0, 1.0);
}

fn mouth(pen: &mut Pen, pose: &RigPose) {
    let art = pen.art;
    let rig = &art.rig.mouth;
    let shape = MouthShape::new(rig, pose);
    (pen.origin, pen.mirrored) = (rig.centre.into(), false);
    let soft = pen.soft;
    let (left, right) = shape.extent();
    let seen = ease(shape.gap() / 6.0);

    let inside = rig.inside.map(|Colour(colour)| colour);
    pen.area(left, right, |x| {
        let (upper, lower) = shape.opening(x);
        let at = |share: f32| upper + (lower - upper) * share;
        [(upper, inside[0], seen), (at(0.35), inside[0], seen), (at(0.6), inside[1], seen), (lower, inside[2], seen)]
    });
    let teeth = ease(shape.gap() / 12.0) * shape.teeth;
    pen.area(left, right, |x| {
        let (upper, lower) = shape.opening(x);
        let end = (upper + rig.teeth_depth).min(upper + (lower - upper) * 0.62);
        let edge = soft.min((end - upper) / 2.0);
        let white = rig.teeth.0;
        [(upper, white, teeth), (upper, white, teeth), (end - edge, white, teeth), (end, white, 0.0)]
    });
    let (centre, wide, high) = shape.tongue();
    pen.area(left, right, |x| {
        let (upper, lower) = shape.opening(x);
        let across = ((x - centre.x) / wide.max(1.0)).clamp(-1.0, 1.0);
        let top = (centre.y - high * (1.0 - across * across).sqrt()).clamp(upper, lower);
        let edge = soft.min((lower - top) / 2.0);
        let (tongue, light) = (rig.tongue.0, rig.tongue.0.map(|channel| (channel * 1.18).min(1.0)));
        [(top, light, 0.0), (top + edge, light, seen), ((top + lower) / 2.0, tongue, seen), (lower, tongue, seen)]
    });
    let below = shape.lower[SAMPLES / 2].y + 15.0;
    let accent = [Vec2::new(-9.0, below - 1.5), Vec2::new(0.0, below + 0.5), Vec2::new(9.0, below - 1.5)];
    let thin = |width, ends| Stroke { width, start: ends, end: ends, peak: 0.5 };
    pen.stroke(&spline::<{ SHORT + 1 }>(&accent), thin(4.0, 0.0), |_| rig.accent.0, 0.8);
    pen.stroke(&shape.lower, thin(4.6, 0.45), |_| rig.lip.0, seen);
    pen.stroke(&shape.upper, thin(6.2 - 1.4 * seen, 0.3 + 0.2 * seen), |_| rig.lip.0, 1.0);
}

/// The lids' opening at `x`, from the upper to the lower; nothing where they meet or cross.
pub(super) fn opening(upper: &[Vec2], lower: &[Vec2], x: f32) -> (f32, f32) {
    let (top, bottom) = (height_at(upper, x), height_at(lower, x));
    (top, bottom.max(top))
}
