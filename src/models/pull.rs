//! Installing models: from the hub, else from package registries; checked, converted, and put in place whole or not at all.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

mod archive;
mod clients;
mod hub;
mod install;
mod source;
mod workspace;

pub use source::{HubError, HubFile, HubRequest, Network, Sources};

use super::{
    ModelError, ModelFolder, State,
    convert::ConvertError,
    manifest::{Model, ModelFile, Registry},
};
use install::Installer;
use workspace::Workspace;

/// Why a model was not installed. Nothing of it is left half-installed.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The model, or the manifest, is at fault.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk, or the quota, is used up.
    #[error("the disk of {path} is full: free some space and pull again; what was fetched so far is used")]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The hub did not give a file that has no other source.
    #[error("{file} could not be fetched from the hub: {reason}; check the network, or HF_ENDPOINT, and pull again")]
    Hub {
        /// `owner/name/file`.
        file: String,
        /// Why.
        reason: String,
    },
    /// A registry's client is needed and none was found.
    #[error("{} is needed to fetch {package}, and none of these could be run: {tried}", client_name(*registry))]
    NoClient {
        /// Whose client.
        registry: Registry,
        /// The package it is needed for.
        package: String,
        /// The commands that were tried.
        tried: String,
    },
    /// A registry's client failed.
    #[error("{package} could not be fetched by `{client}`: {reason}; check the network and pull again")]
    Package {
        /// Name and version.
        package: String,
        /// The client's command.
        client: String,
        /// The end of what it said.
        reason: String,
    },
    /// A package's archive is damaged, unsafe, or lacks a member.
    #[error("{archive}: {reason}; pull again to fetch it anew")]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A fetched file is not the one the manifest names.
    #[error(
        "{file} from {source_name} is {found} instead of {expected}: it was thrown away; pull again to fetch it anew"
    )]
    Mismatch {
        /// `model/file`.
        file: String,
        /// The hub, or the packages.
        source_name: String,
        /// Size or SHA-256, as it should be.
        expected: String,
        /// Size or SHA-256, as it is.
        found: String,
    },
    /// The files were fetched, but their conversion failed.
    #[error("the model `{model}` could not be converted: {source}")]
    Convert {
        /// The model.
        model: String,
        /// Why.
        source: ConvertError,
    },
}

fn client_name(registry: Registry) -> &'static str {
    match registry {
        Registry::Pip => "Python's pip",
        Registry::Npm => "npm",
    }
}

impl PullError {
    /// For `map_err` on I/O: names the path, and tells a full disk apart.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, source },
        }
    }

    pub(crate) fn archive(archive: &Path, reason: impl ToString) -> Self {
        Self::Archive { archive: archive.into(), reason: reason.to_string() }
    }
}

/// What a model is going through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Bytes come in; `total` is their number.
    Downloading,
    /// Files are put together and summed up; `total` is their size.
    Unpacking,
    /// A conversion runs; `total` is 1000.
    Converting,
}

/// What happens during a pull.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// Another pull is at work in the same folder; this one goes on when that one has ended.
    Waiting,
    /// A model is installed already.
    Present {
        /// The model.
        model: &'a str,
    },
    /// A model's turn has come.
    Started {
        /// The model.
        model: &'a str,
    },
    /// A model's step has got so far.
    Progress {
        /// The model.
        model: &'a str,
        /// The step.
        step: Step,
        /// Of `total`.
        done: u64,
        /// 0 if it is not known.
        total: u64,
    },
    /// A source did not serve; another is used.
    Fallback {
        /// The model.
        model: &'a str,
        /// Why.
        reason: String,
    },
    /// A model is installed.
    Installed {
        /// The model.
        model: &'a str,
        /// Its size on disk.
        bytes: u64,
        /// How long it took.
        seconds: f32,
    },
    /// A model could not be installed.
    Failed {
        /// The model.
        model: &'a str,
        /// Why, and what to do.
        error: String,
    },
}

/// How a pull ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Models installed before.
    pub present: Vec<String>,
    /// Models installed now.
    pub installed: Vec<String>,
    /// Models that were not.
    pub failed: Vec<(String, PullError)>,
}

impl ModelFolder<'_> {
    /// Installs those of `models` that are missing, damaged or outdated.
    ///
    /// Each is prepared in a folder of its own and then put in place by renaming, so it is there whole or not at all;
    /// whatever else was in its folder is replaced. Archives fetched for a model that failed are kept for the next pull,
    /// which removes all that it has no use for. Two pulls into the same folder take turns.
    ///
    /// # Errors
    /// [`PullError`] if the folder itself cannot be used. A model's own error is in [`Outcome::failed`], and the others
    /// are installed all the same.
    pub fn pull(
        &self,
        models: &[&Model],
        sources: &mut dyn Sources,
        report: &mut dyn FnMut(Event),
    ) -> Result<Outcome, PullError> {
        let mut outcome = Outcome::default();
        if models.iter().all(|model| self.is_installed(model)) {
            Workspace::sweep(self.root());
            for model in models {
                report(Event::Present { model: &model.name });
                outcome.present.push(model.name.clone());
            }
            return Ok(outcome);
        }
        let workspace = Workspace::open(self.root(), &mut || report(Event::Waiting))?;
        workspace.discard_all_but(&packages_of(models))?;
        for (nth, model) in models.iter().enumerate() {
            // Asked again under the lock: the pull that was waited for may have installed it.
            if self.is_installed(model) {
                report(Event::Present { model: &model.name });
                outcome.present.push(model.name.clone());
                continue;
            }
            report(Event::Started { model: &model.name });
            let began = Instant::now();
            let installed = Installer::new(self, model, &workspace, sources, report).install();
            match installed {
                Ok(bytes) => {
                    let seconds = began.elapsed().as_secs_f32();
                    report(Event::Installed { model: &model.name, bytes, seconds });
                    outcome.installed.push(model.name.clone());
                    let failed = outcome.failed.iter().filter_map(|(name, _)| self.manifest().get(name).ok());
                    let wanted: Vec<_> = failed.chain(models[nth + 1..].iter().copied()).collect();
                    workspace.discard_all_but(&packages_of(&wanted))?;
                }
                Err(error) => {
                    report(Event::Failed { model: &model.name, error: error.to_string() });
                    let full = matches!(error, PullError::DiskFull { .. });
                    outcome.failed.push((model.name.clone(), error));
                    if full {
                        break;
                    }
                }
            }
        }
        if outcome.failed.is_empty() {
            workspace.remove();
        }
        Ok(outcome)
    }

    fn is_installed(&self, model: &Model) -> bool {
        matches!(self.state(model), State::Installed { .. }) && self.has_raw_if_kept(model)
    }

    fn has_raw_if_kept(&self, model: &Model) -> bool {
        let folder = self.path(model);
        let there =
            |file: &ModelFile| folder.join(&file.path).metadata().is_ok_and(|found| Some(found.len()) == file.size);
        !self.keeps_raw || model.files.iter().filter(|file| file.is_raw()).all(there)
    }
}

fn packages_of<'m>(models: &[&'m Model]) -> HashSet<&'m str> {
    let files = models.iter().flat_map(|model| &model.files);
    files.flat_map(|file| &file.from).map(|part| part.package.as_str()).collect()
}

#[cfg(test)]
mod tests;
