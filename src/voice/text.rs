//! The text front end: what is written becomes what is said, and that becomes phonemes.

pub mod en;
pub mod normalise;
pub mod zh;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A language that the front end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Mandarin Chinese.
    Zh,
    /// American English.
    En,
}

/// Why a text front end could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A pronunciation dictionary is missing or malformed.
    #[error("the dictionary {path} could not be loaded: {reason}; run `companion models pull`")]
    Dictionary {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}
