//! The avatar: [`RigPose`] is what every renderer reads, and nothing else.

pub mod expression;
pub mod idle;
pub mod lip_sync;
pub mod param;
#[cfg(feature = "window")]
pub mod puppet;
