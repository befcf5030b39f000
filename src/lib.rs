//! A local AI companion for Bevy: it hears, remembers, thinks, answers with an emotional voice, and moves while it speaks.

pub mod audio;
pub mod avatar;
pub mod brain;
// pub mod dialogue;
pub mod emotion;
pub mod hearing;
pub mod memory;
pub mod models;
pub mod onnx;
pub mod voice;
pub mod worker;
