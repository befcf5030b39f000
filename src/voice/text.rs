//! The text front end: what is written becomes what is said, and that becomes phonemes.

pub mod en;
pub mod normalise;
pub mod zh;
