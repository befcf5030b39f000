//! The record that an installation leaves in a model's folder, so that it can be checked later.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{ModelError, manifest::Model};

/// The record's name inside a model's folder.
pub const RECORD: &str = "installed.toml";

/// What was installed, from which state of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// [`Model::digest`] at that time.
    pub manifest: String,
    /// Files that verifying found changed since, though their sizes are right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
    /// The files that an engine finds: those kept as they were fetched, and the products of the conversion.
    #[serde(rename = "file")]
    pub files: Vec<InstalledFile>,
}

/// A file of an installed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledFile {
    /// Relative to the model's folder, with `/` between folders.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// How a model stands, judged by sizes and by what verifying last found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// All files are there.
    Installed {
        /// Their sizes together.
        bytes: u64,
    },
    /// Nothing, or not everything, is there.
    Missing,
    /// It was installed, and a file has changed or gone since.
    Damaged {
        /// The file's path in the model's folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was installed from an older manifest, or by an older conversion.
    Outdated,
}

impl Installed {
    /// Reads a folder's record; `None` if there is none that can be read.
    pub fn read(folder: &Path) -> Option<Self> {
        toml::from_str(&fs::read_to_string(folder.join(RECORD)).ok()?).ok()
    }

    /// Writes the record.
    ///
    /// # Errors
    /// What writing says.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        fs::write(folder.join(RECORD), text)
    }
}

/// How `model` stands in its `folder`, without reading its files.
///
/// A folder without a record, filled by hand, counts as installed if every file is there in its known size.
pub fn state(model: &Model, folder: &Path) -> State {
    let Some(record) = Installed::read(folder) else { return unrecorded(model, folder) };
    if record.manifest != model.digest() {
        return State::Outdated;
    }
    if let Some(file) = record.damaged.first() {
        return State::Damaged { file: file.clone(), reason: "its SHA-256 is wrong".into() };
    }
    if record.files.is_empty() {
        return unrecorded(model, folder);
    }
    for file in &record.files {
        let damaged = |reason: String| State::Damaged { file: file.path.clone(), reason };
        match fs::metadata(folder.join(&file.path)) {
            Err(error) => return damaged(error.to_string()),
            Ok(found) if found.len() != file.size => {
                return damaged(format!("it holds {} bytes instead of {}", found.len(), file.size));
            }
            Ok(_) => (),
        }
    }
    State::Installed { bytes: record.files.iter().map(|file| file.size).sum() }
}

fn unrecorded(model: &Model, folder: &Path) -> State {
    let kept = model.kept().map(|file| (file.path.as_str(), file.size));
    let products = model.products().iter().map(|path| (*path, None));
    let mut bytes = 0;
    for (path, size) in kept.chain(products) {
        match fs::metadata(folder.join(path)) {
            Ok(found) if found.is_file() && size.is_none_or(|size| size == found.len()) => bytes += found.len(),
            _ => return State::Missing,
        }
    }
    State::Installed { bytes }
}

impl State {
    /// The error that a person who needs this model should see; `Ok` if it is installed.
    ///
    /// # Errors
    /// [`ModelError::NotInstalled`], [`ModelError::Damaged`] or [`ModelError::Outdated`].
    pub fn check(self, model: &Model, folder: &Path) -> Result<u64, ModelError> {
        let name = model.name.clone();
        match self {
            Self::Installed { bytes } => Ok(bytes),
            Self::Missing => Err(ModelError::NotInstalled { name, folder: folder.into() }),
            Self::Damaged { file, reason } => Err(ModelError::Damaged { name, file: folder.join(file), reason }),
            Self::Outdated => Err(ModelError::Outdated { name }),
        }
    }
}
