//! See the audio module.
