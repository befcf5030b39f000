//! Drawing without a GPU: the same texture, triangles and blending as the shader's, on the CPU.
//!
//! Some tens of milliseconds a picture: for pictures, tests and machines with no graphics driver at all.

use image::RgbaImage;
use rayon::prelude::*;

use super::{
    art::{Art, Frame},
    atlas::{Atlas, to_linear, to_srgb},
};
use crate::avatar::param::RigPose;

/// Rows that one thread draws at a time.
const STRIP: usize = 32;

/// A picture of a pose on a transparent ground, as large as fits within `size`, centred.
pub fn render(art: &Art, pose: &RigPose, size: (u32, u32)) -> RgbaImage {
    let (width, height) = (size.0.max(1), size.1.max(1));
    let scale = (width as f32 / art.rig.canvas[0]).min(height as f32 / art.rig.canvas[1]);
    let margin = [0, 1].map(|axis| ([width, height][axis] as f32 - art.rig.canvas[axis] * scale) / 2.0);
    let mut frame = Frame::default();
    art.pose(pose, scale, &mut frame);
    for at in &mut frame.positions {
        (at[0], at[1]) = (at[0] * scale + margin[0], at[1] * scale + margin[1]);
    }
    let level = (-scale.log2()).round().clamp(0.0, art.atlas.levels.len() as f32 - 1.0) as usize;
    let mut light = vec![[0.0_f32; 4]; (width * height) as usize];
    light.par_chunks_mut(STRIP * width as usize).enumerate().for_each(|(strip, rows)| {
        for triangle in art.indices.chunks_exact(3) {
            fill(art, &frame, [triangle[0], triangle[1], triangle[2]], level, strip * STRIP, width as usize, rows);
        }
    });
    let bytes = light.iter().flat_map(|[red, green, blue, alpha]| {
        let straight = |light: &f32| to_srgb(light / alpha.max(1e-4));
        [straight(red), straight(green), straight(blue), (alpha.clamp(0.0, 1.0) * 255.0 + 0.5) as u8]
    });
    RgbaImage::from_raw(width, height, bytes.collect()).unwrap_or_else(|| RgbaImage::new(width, height))
}

/// Fills the part of a triangle that lies within a strip of rows.
fn fill(art: &Art, frame: &Frame, triangle: [u32; 3], level: usize, first: usize, width: usize, rows: &mut [[f32; 4]]) {
    let corners = triangle.map(|index| frame.positions[index as usize]);
    let colours = triangle.map(|index| frame.colours[index as usize]);
    let edge = |a: [f32; 3], b: [f32; 3], x: f32, y: f32| (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
    let area = edge(corners[0], corners[1], corners[2][0], corners[2][1]);
    if area.abs() < 1e-6 || colours.iter().all(|colour| colour[3] <= 0.0) {
        return;
    }
    let uvs = triangle.map(|index| frame.uvs[index as usize]);
    let bounds = |axis: usize| {
        let values = corners.map(|corner| corner[axis]);
        (values.into_iter().fold(f32::MAX, f32::min), values.into_iter().fold(f32::MIN, f32::max))
    };
    let ((left, right), (top, bottom)) = (bounds(0), bounds(1));
    let last = first + rows.len() / width;
    let (y0, y1) = ((top.floor().max(first as f32)) as usize, (bottom.ceil().max(0.0) as usize).min(last));
    let (x0, x1) = (left.floor().max(0.0) as usize, (right.ceil().max(0.0) as usize).min(width));
    for y in y0..y1 {
        for x in x0..x1 {
            let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
            let weights = [(1, 2), (2, 0), (0, 1)].map(|(a, b)| edge(corners[a], corners[b], px, py) / area);
            // A point on an edge belongs to one of the two triangles that share it.
            let inside = weights.iter().zip([(1, 2), (2, 0), (0, 1)]).all(|(weight, (a, b))| {
                *weight > 0.0 || (*weight == 0.0 && (corners[a][1], corners[a][0]) < (corners[b][1], corners[b][0]))
            });
            if !inside {
                continue;
            }
            let mix = |values: [f32; 3]| values[0] * weights[0] + values[1] * weights[1] + values[2] * weights[2];
            let texel = sample(&art.atlas, level, [0, 1].map(|axis| mix(uvs.map(|uv| uv[axis]))));
            let colour: [f32; 4] = std::array::from_fn(|c| texel[c] * mix(colours.map(|colour| colour[c])));
            let pixel = &mut rows[(y - first) * width + x];
            for channel in 0..4 {
                pixel[channel] = colour[channel] + pixel[channel] * (1.0 - colour[3]);
            }
        }
    }
}

/// The texture at a point, between its four nearest texels.
fn sample(atlas: &Atlas, level: usize, uv: [f32; 2]) -> [f32; 4] {
    let (width, height) = ((atlas.width >> level) as usize, (atlas.height >> level) as usize);
    let (x, y) = (uv[0] * width as f32 - 0.5, uv[1] * height as f32 - 0.5);
    let (fx, fy) = (x - x.floor(), y - y.floor());
    let texel = |dx: f32, dy: f32| {
        let at = |value: f32, size: usize| (value.max(0.0) as usize).min(size - 1);
        let index = (at(y.floor() + dy, height) * width + at(x.floor() + dx, width)) * 4;
        let bytes = &atlas.levels[level][index..index + 4];
        [to_linear(bytes[0]), to_linear(bytes[1]), to_linear(bytes[2]), f32::from(bytes[3]) / 255.0]
    };
    let (a, b, c, d) = (texel(0.0, 0.0), texel(1.0, 0.0), texel(0.0, 1.0), texel(1.0, 1.0));
    std::array::from_fn(|n| (a[n] * (1.0 - fx) + b[n] * fx) * (1.0 - fy) + (c[n] * (1.0 - fx) + d[n] * fx) * fy)
}
