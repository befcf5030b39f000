//! One-time conversions of package files into the forms the engines load.
//!
//! Each converter is a function `convert(raw, out, progress)`: it reads what `raw` holds, writes what [`Conversion::products`]
//! names into `out`, and calls `progress` with a share from 0 to 1. It leaves `raw` as it found it.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub mod e5;
pub mod kokoro;
pub mod whisper;

/// Why a conversion did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what its name promises: truncated, or damaged.
    #[error("{path} is damaged: {reason}; run `companion models pull` again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// A file is whole, but of a form this version cannot convert.
    #[error("{path} cannot be converted: {reason}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
}

impl ConvertError {
    /// For `map_err` on I/O: names the file.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// A damaged file.
    pub fn malformed(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), reason: reason.into() }
    }

    /// A file of a form that is not converted.
    pub fn unsupported(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Unsupported { path: path.into(), reason: reason.into() }
    }
}

/// The conversions there are, as the manifest names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversion {
    /// CTranslate2's Whisper file → safetensors under the names of the original.
    WhisperCt2,
    /// The Q4_0 file of multilingual-e5-small → safetensors and a tokenizer.
    E5Q4,
    /// Kokoro's int8 ONNX graph → f32, three times as fast without int8 kernels.
    KokoroF32,
}

impl Conversion {
    /// The form of the products. Raising it makes `companion models pull` convert anew.
    pub fn version(self) -> u32 {
        match self {
            Self::WhisperCt2 | Self::E5Q4 | Self::KokoroF32 => 1,
        }
    }

    /// The files that the conversion writes.
    pub fn products(self) -> &'static [&'static str] {
        match self {
            Self::WhisperCt2 | Self::E5Q4 => &["model.safetensors", "config.json", "tokenizer.json"],
            Self::KokoroF32 => &["model.onnx"],
        }
    }

    /// Converts the files of `raw` into `out`, an existing folder.
    ///
    /// # Errors
    /// [`ConvertError`], with the file; `out` may then hold part of the products.
    pub fn run(self, raw: &Path, out: &Path, progress: &mut dyn FnMut(f32)) -> Result<(), ConvertError> {
        match self {
            Self::WhisperCt2 => whisper::convert(raw, out, progress),
            Self::E5Q4 => e5::convert(raw, out, progress),
            Self::KokoroF32 => kokoro::convert(raw, out, progress),
        }
    }
}
