//! Behaviours of whole companions, one module each.

#[path = "behaviour/voice.rs"]
mod voice;
