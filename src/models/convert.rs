//! One-time conversions of package files into the forms the engines load.

pub mod e5;
pub mod kokoro;
pub mod whisper;
