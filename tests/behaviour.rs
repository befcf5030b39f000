//! Behaviours of whole companions, one module each.

#[path = "behaviour/audio.rs"]
mod audio;
