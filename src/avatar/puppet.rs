//! The puppet: a drawn character that [`RigPose`](crate::avatar::RigPose) moves.
//!
//! [`Art`] is built from SVG layers and `rig.toml`: one texture, one mesh, drawn in one call. [`Art::pose`] computes the vertices of a
//! pose on the CPU. [`raster`] draws them without a GPU; with the `window` feature [`PuppetPlugin`] draws them with Bevy.

pub mod art;
pub mod atlas;
mod curve;
mod eye;
mod face;
mod mouth;
pub mod picture;
pub mod raster;
pub mod rig;
#[cfg(feature = "window")]
pub mod stage;
#[cfg(feature = "window")]
mod studio;
mod warp;

use std::path::PathBuf;

pub use art::{Art, Frame, Source};
pub use picture::{contact_sheet, render_frames};
#[cfg(feature = "window")]
pub use stage::{Backdrop, Portrait, Puppet, PuppetOf, PuppetPlugin};

/// Why a puppet could not be built or drawn.
#[derive(Debug, thiserror::Error)]
pub enum AvatarError {
    /// A file of the puppet cannot be read.
    #[error("{path} could not be read: {reason}; a puppet is a folder with rig.toml and layers/*.svg")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// `rig.toml` does not parse.
    #[error("rig.toml: {reason}")]
    Rig {
        /// Where and why.
        reason: String,
    },
    /// A layer's picture is missing, broken or empty.
    #[error("the layer `{name}` cannot be drawn: {reason}; check layers/{name}.svg")]
    Layer {
        /// The layer.
        name: String,
        /// Why.
        reason: String,
    },
    /// There is neither a GPU nor a software driver.
    #[error(
        "no graphics adapter was found: install a Vulkan driver (mesa-vulkan-drivers draws without a GPU), or use raster::render"
    )]
    NoAdapter,
    /// The renderer did not deliver a picture.
    #[error("picture {index} of {count} was not drawn within {seconds} s; is the graphics driver working?")]
    NotDrawn {
        /// Which picture, from 0.
        index: usize,
        /// Of how many.
        count: usize,
        /// How long it was waited for.
        seconds: u64,
    },
}

#[cfg(test)]
mod tests;
