//! Model files: the manifest, where they live, and how they get there.
//!
//! A model is a folder under its name in the models' folder. [`locate`] finds an installed one in microseconds, by sizes;
//! [`ModelFolder::pull`] installs, [`ModelFolder::verify`] reads and compares every byte.

use std::{
    env,
    path::{Path, PathBuf},
};

use directories::ProjectDirs;

pub mod convert;
pub mod digest;
mod installed;
mod manifest;
mod pull;
mod verify;

pub use installed::{Installed, InstalledFile, RECORD, State};
pub use manifest::{Hub, Manifest, Model, ModelFile, Package, Part, RAW, Registry, Role, host};
pub use pull::{Event, HubError, HubFile, HubRequest, Network, Outcome, PullError, Sources, Step};
pub use verify::{Fault, Finding};

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No model of that name is known.
    #[error("there is no model `{name}`{}; `companion models list` shows all", did_you_mean(nearest))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The nearest names that exist, best first.
        nearest: Vec<String>,
    },
    /// The model exists, but not for this platform.
    #[error("the model `{name}` is not available for {host}")]
    Platform {
        /// The model's name.
        name: String,
        /// This platform.
        host: String,
    },
    /// The model is not in the models' folder.
    #[error("the model `{name}` is not installed in {folder}: run `companion models pull {name}`")]
    NotInstalled {
        /// The model's name.
        name: String,
        /// Where it should be.
        folder: PathBuf,
    },
    /// A file of the model has changed or gone since it was installed.
    #[error("{file} of the model `{name}` is damaged ({reason}): run `companion models pull {name}`")]
    Damaged {
        /// The model's name.
        name: String,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The installed files are those of an older version.
    #[error("the model `{name}` was installed by another version of this program: run `companion models pull {name}`")]
    Outdated {
        /// The model's name.
        name: String,
    },
    /// The manifest is not sound.
    #[error("the models' manifest is not sound: {reason}")]
    Manifest {
        /// What is wrong, and where.
        reason: String,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}

/// The folder for what a companion keeps: `COMPANION_DATA`, or the platform's, or `companion-data` where it names none.
pub fn data_dir() -> PathBuf {
    let of_platform = || Some(ProjectDirs::from("", "", "bevy_companion")?.data_dir().to_path_buf());
    from_env("COMPANION_DATA").or_else(of_platform).unwrap_or_else(|| "companion-data".into())
}

/// The folder of models: `COMPANION_MODELS`, else `./models` if it exists, else `models` in the [`data_dir`].
///
/// It is absolute: the package clients and ONNX Runtime work in folders of their own.
pub fn models_dir() -> PathBuf {
    let here = || Some(PathBuf::from("models")).filter(|here| here.is_dir());
    let folder = from_env("COMPANION_MODELS").or_else(here).unwrap_or_else(|| data_dir().join("models"));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// The names of the models that talking needs, for this platform.
pub fn starter() -> Vec<&'static str> {
    Manifest::embedded().models().filter(|model| model.starter).map(|model| model.name.as_str()).collect()
}

/// The folder of an installed model. Looks at names and sizes only.
///
/// # Errors
/// [`ModelError`], whose message says what to run.
pub fn locate(name: &str) -> Result<PathBuf, ModelError> {
    ModelFolder::open().locate(name)
}

/// The ONNX Runtime library of this platform, installed.
///
/// # Errors
/// [`ModelError`], whose message says what to run.
pub fn onnxruntime() -> Result<PathBuf, ModelError> {
    let folder = locate("onnxruntime")?;
    let model = Manifest::embedded().get("onnxruntime")?;
    Ok(folder.join(&model.files[0].path))
}

fn from_env(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A folder of models, and the manifest it is filled from.
#[derive(Clone, Debug)]
pub struct ModelFolder<'m> {
    root: PathBuf,
    manifest: &'m Manifest,
    keeps_raw: bool,
}

impl ModelFolder<'static> {
    /// [`models_dir`] with the manifest inside the program.
    pub fn open() -> Self {
        Self::new(models_dir(), Manifest::embedded())
    }
}

impl<'m> ModelFolder<'m> {
    /// The folder `root`, which need not exist yet, with a manifest of one's own.
    pub fn new(root: impl Into<PathBuf>, manifest: &'m Manifest) -> Self {
        Self { root: root.into(), manifest, keeps_raw: false }
    }

    /// Keeps, or fetches once more, the files that conversions start from; the conversions' own tests need them.
    pub fn keeping_raw(self, keeps_raw: bool) -> Self {
        Self { keeps_raw, ..self }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it is filled from.
    pub fn manifest(&self) -> &'m Manifest {
        self.manifest
    }

    /// Where a model is, or would be.
    pub fn path(&self, model: &Model) -> PathBuf {
        self.root.join(&model.name)
    }

    /// How a model stands, judged by sizes.
    pub fn state(&self, model: &Model) -> State {
        installed::state(model, &self.path(model))
    }

    /// The folder of an installed model; see [`locate`].
    ///
    /// # Errors
    /// [`ModelError`], whose message says what to run.
    pub fn locate(&self, name: &str) -> Result<PathBuf, ModelError> {
        let model = self.manifest.get(name)?;
        let path = self.path(model);
        self.state(model).check(model, &path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
