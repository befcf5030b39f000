//! [`Atlas`]: all pictures of a puppet on one texture, with its smaller copies.

use std::sync::LazyLock;

use rayon::prelude::*;
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg,
};

use crate::avatar::puppet::AvatarError;

/// How often the texture is halved for small puppets.
const LEVELS: usize = 4;
/// Empty texels around each picture, so that the smallest copy does not bleed.
const GAP: u32 = 1 << LEVELS;
/// The texture's width, for a scale of 1.
const WIDTH: f32 = 2048.0;

/// Linear light, 0 to 1, of an sRGB byte.
pub fn to_linear(byte: u8) -> f32 {
    static TABLE: LazyLock<[f32; 256]> = LazyLock::new(|| {
        std::array::from_fn(|byte| {
            let value = byte as f32 / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    });
    TABLE[usize::from(byte)]
}

/// The sRGB byte of linear light.
pub fn to_srgb(light: f32) -> u8 {
    /// Fine enough for the curve's steepest part, which is at black.
    const STEPS: f32 = 16_384.0;
    static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let byte = |step: u32| {
            let light = step as f32 / STEPS;
            let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            (value * 255.0 + 0.5) as u8
        };
        (0..=STEPS as u32).map(byte).collect()
    });
    TABLE[(light.clamp(0.0, 1.0) * STEPS + 0.5) as usize]
}

/// A rasterised layer, cropped: premultiplied RGBA, and the part of the canvas it covers.
pub struct Picture {
    /// Left, top, width and height on the canvas.
    pub covers: [f32; 4],
    pixmap: Pixmap,
}

impl Picture {
    /// Rasterises an SVG at `scale` pixels a unit. The premultiplication is redone in linear light, in which the GPU blends.
    pub fn draw(name: &str, svg: &str, scale: f32) -> Result<Self, AvatarError> {
        let failed = |reason: String| AvatarError::Layer { name: name.into(), reason };
        let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).map_err(|error| failed(error.to_string()))?;
        let bounds = tree.root().abs_layer_bounding_box();
        let (left, top) = (bounds.left().floor(), bounds.top().floor());
        let size = tree.size();
        let (right, bottom) = (bounds.right().ceil().min(size.width()), bounds.bottom().ceil().min(size.height()));
        let (left, top) = (left.max(0.0), top.max(0.0));
        let (width, height) = (((right - left) * scale).ceil(), ((bottom - top) * scale).ceil());
        let mut pixmap = Pixmap::new(width as u32, height as u32)
            .ok_or_else(|| failed(format!("it is empty on its canvas ({width} × {height} pixels)")))?;
        resvg::render(&tree, Transform::from_translate(-left, -top).post_scale(scale, scale), &mut pixmap.as_mut());
        for pixel in pixmap.data_mut().chunks_exact_mut(4).filter(|pixel| (1..255).contains(&pixel[3])) {
            let alpha = f32::from(pixel[3]) / 255.0;
            for channel in &mut pixel[..3] {
                let straight = (f32::from(*channel) / alpha.max(1e-3)).min(255.0).round() as u8;
                *channel = to_srgb(to_linear(straight) * alpha);
            }
        }
        Ok(Self { covers: [left, top, width / scale, height / scale], pixmap })
    }

    /// Its pixels, still premultiplied.
    #[cfg(feature = "window")]
    pub fn into_image(self) -> image::RgbaImage {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        image::RgbaImage::from_raw(width, height, self.pixmap.take()).unwrap_or_default()
    }

    /// Whether anything can be seen within a rectangle of the canvas (left, top, right, bottom).
    pub fn is_seen(&self, [left, top, right, bottom]: [f32; 4]) -> bool {
        let scale = self.pixmap.width() as f32 / self.covers[2];
        let texel = |from: f32, origin: f32, size: u32| (((from - origin) * scale).max(0.0) as u32).min(size);
        let (x0, x1) = (
            texel(left - 1.0, self.covers[0], self.pixmap.width()),
            texel(right + 1.0, self.covers[0], self.pixmap.width()),
        );
        let (y0, y1) = (
            texel(top - 1.0, self.covers[1], self.pixmap.height()),
            texel(bottom + 1.0, self.covers[1], self.pixmap.height()),
        );
        let row = |y: u32| {
            let start = (y * self.pixmap.width()) as usize;
            &self.pixmap.data()[(start + x0 as usize) * 4..(start + x1 as usize) * 4]
        };
        (y0..y1).any(|y| row(y).chunks_exact(4).any(|texel| texel[3] > 2))
    }
}

/// All pictures on one texture.
pub struct Atlas {
    /// In texels.
    pub width: u32,
    /// In texels.
    pub height: u32,
    /// sRGB RGBA, premultiplied in linear light: the texture and its halved copies.
    pub levels: Vec<Vec<u8>>,
    /// Left, top, width and height of each picture, in texture coordinates.
    pub places: Vec<[f32; 4]>,
    /// A point in the middle of an opaque white patch.
    pub white: [f32; 2],
}

impl Atlas {
    /// Lays pictures out in shelves.
    pub fn pack(pictures: &[Picture], scale: f32) -> Self {
        let width = ((WIDTH * scale) as u32).next_power_of_two().max(256);
        let mut order: Vec<usize> = (0..pictures.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(pictures[*index].pixmap.height()));
        // The white patch stands in the corner.
        let (mut x, mut y, mut shelf) = (GAP * 4, GAP, GAP * 3);
        let mut corners = vec![(0, 0); pictures.len()];
        for index in order {
            let pixmap = &pictures[index].pixmap;
            if x + pixmap.width() + GAP > width {
                (x, y, shelf) = (GAP, y + shelf + GAP, 0);
            }
            corners[index] = (x, y);
            x += pixmap.width() + GAP;
            shelf = shelf.max(pixmap.height());
        }
        let height = (y + shelf + GAP).next_multiple_of(GAP);
        let mut texels = vec![0; (width * height * 4) as usize];
        for row in 0..GAP * 3 {
            let start = (row * width * 4) as usize;
            texels[start..start + (GAP * 3 * 4) as usize].fill(255);
        }
        for (picture, (x, y)) in pictures.iter().zip(&corners) {
            let bytes = picture.pixmap.width() as usize * 4;
            for (row, line) in picture.pixmap.data().chunks_exact(bytes).enumerate() {
                let start = ((*y as usize + row) * width as usize + *x as usize) * 4;
                texels[start..start + bytes].copy_from_slice(line);
            }
        }
        let (w, h) = (width as f32, height as f32);
        let place = |(picture, (x, y)): (&Picture, &(u32, u32))| {
            [*x as f32 / w, *y as f32 / h, picture.covers[2] * scale / w, picture.covers[3] * scale / h]
        };
        let places = pictures.iter().zip(&corners).map(place).collect();
        let mut levels = vec![texels];
        for level in 1..LEVELS {
            levels.push(halve(&levels[level - 1], width >> (level - 1)));
        }
        Self { width, height, levels, places, white: [GAP as f32 * 1.5 / w, GAP as f32 * 1.5 / h] }
    }
}

/// Averages each two by two texels, in linear light.
fn halve(texels: &[u8], width: u32) -> Vec<u8> {
    let stride = width as usize * 4;
    let rows: Vec<Vec<u8>> = texels
        .par_chunks_exact(stride * 2)
        .map(|pair| {
            let (upper, lower) = pair.split_at(stride);
            let mut row = Vec::with_capacity(stride / 2);
            for (a, b) in upper.chunks_exact(8).zip(lower.chunks_exact(8)) {
                if a[..4] == a[4..] && a == b {
                    row.extend_from_slice(&a[..4]);
                    continue;
                }
                for channel in 0..3 {
                    let four = [a[channel], a[channel + 4], b[channel], b[channel + 4]];
                    row.push(to_srgb(four.map(to_linear).iter().sum::<f32>() / 4.0));
                }
                let alpha = [a[3], a[7], b[3], b[7]].map(u32::from);
                row.push(((alpha.iter().sum::<u32>() + 2) / 4) as u8);
            }
            row
        })
        .collect();
    rows.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_and_bytes_lead_to_each_other() {
        assert!((0..=255).all(|byte| to_srgb(to_linear(byte)) == byte));
    }

    #[test]
    fn a_halved_texture_keeps_its_light() {
        let grey: Vec<u8> = [90, 90, 90, 255].repeat(16);
        assert_eq!(halve(&grey, 4), [90, 90, 90, 255].repeat(4));
    }

    #[test]
    fn a_broken_layer_is_named() {
        let error = Picture::draw("hat", "<svg", 1.0).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("hat"), "{error}");
    }
}
