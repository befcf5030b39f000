//! Pictures of poses without a window.

use image::{Rgba, RgbaImage, imageops};

use super::{Art, AvatarError, raster};
use crate::avatar::param::RigPose;

/// Draws the default avatar in each pose, on a transparent ground, without a window.
///
/// With the `window` feature this runs a windowless Bevy app of its own on whatever graphics adapter there is, a software one
/// included: call it outside any other app. Where there is no adapter, [`raster::render`] draws instead.
///
/// # Errors
/// Those of [`Art::build`]; [`AvatarError::NotDrawn`] when the adapter delivers no picture.
pub fn render_frames(poses: &[RigPose], size: (u32, u32)) -> Result<Vec<RgbaImage>, AvatarError> {
    #[cfg(feature = "window")]
    match super::studio::render_frames(poses, size) {
        Err(AvatarError::NoAdapter) => bevy::log::warn!("no graphics adapter was found; drawing on the CPU"),
        drawn => return drawn,
    }
    let art = Art::build(&super::Source::built_in(), 1.0)?;
    Ok(poses.iter().map(|pose| raster::render(&art, pose, size)).collect())
}

/// What pictures lie on in a [`contact_sheet`]: the window's ground, since a transparent one looks black in many viewers.
const GROUND: Rgba<u8> = Rgba([238, 241, 248, 255]);

/// Lays pictures of one size out in rows of `columns`, on a light ground.
pub fn contact_sheet(frames: &[RgbaImage], columns: usize) -> RgbaImage {
    let columns = columns.clamp(1, frames.len().max(1));
    let (width, height) = frames.first().map_or((1, 1), RgbaImage::dimensions);
    let rows = frames.len().div_ceil(columns).max(1) as u32;
    let mut sheet = RgbaImage::from_pixel(width * columns as u32, height * rows, GROUND);
    for (index, frame) in frames.iter().enumerate() {
        let corner = [index % columns, index / columns].map(|n| n as i64);
        imageops::overlay(&mut sheet, frame, corner[0] * i64::from(width), corner[1] * i64::from(height));
    }
    sheet
}
