//! See the avatar module.
