//! The hub: repositories of model files over HTTP, by the `hf-hub` crate.

use std::{
    env,
    io::ErrorKind,
    path::Path,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::{
        Progress,
        sync::{Api, ApiBuilder, ApiError},
    },
};

use super::source::{HubError, HubFile, HubRequest};
use crate::models::digest;

/// How often a transfer that breaks off is gone on with.
const ATTEMPTS: u32 = 3;

/// A client of the hub that is asked no more once it could not be reached.
pub struct HubClient {
    endpoint: Option<String>,
    /// How long the first answer may take.
    patience: Duration,
    /// How long a transfer may stand still.
    stall: Duration,
    unreachable: Option<String>,
}

impl Default for HubClient {
    fn default() -> Self {
        // An offline switch that other tools of the hub know too.
        let offline = env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        Self {
            endpoint: None,
            patience: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            unreachable: offline.then(|| "HF_HUB_OFFLINE is set".into()),
        }
    }
}

/// What the thread that talks to the hub tells.
enum News {
    /// The hub has the file.
    Found,
    /// Bytes that are there.
    Bytes(u64),
    End(Result<HubFile, HubError>),
}

impl HubClient {
    /// A client of the hub at `endpoint`, with less patience.
    #[cfg(test)]
    pub fn at(endpoint: &str, patience: Duration) -> Self {
        Self { endpoint: Some(endpoint.into()), patience, stall: patience, unreachable: None }
    }

    /// Fetches a file into `scratch`, going on from what an earlier attempt left there.
    pub fn fetch(
        &mut self,
        request: HubRequest,
        scratch: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<HubFile, HubError> {
        if let Some(reason) = &self.unreachable {
            return Err(HubError::Unreachable(reason.clone()));
        }
        let fetched = self.fetch_by_thread(request, scratch, progress);
        if let Err(HubError::Unreachable(reason)) = &fetched {
            self.unreachable = Some(reason.clone());
        }
        fetched
    }

    /// The crate has no time limits of its own, so a thread talks to the hub and is left behind when it falls silent.
    fn fetch_by_thread(
        &self,
        request: HubRequest,
        scratch: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<HubFile, HubError> {
        let (tell, news) = mpsc::channel();
        let transfer = Transfer::new(self.endpoint.as_deref(), request, scratch)?;
        let talk = move || {
            let end = transfer.run(&tell);
            let _ = tell.send(News::End(end));
        };
        thread::Builder::new().name("hub".into()).spawn(talk).map_err(HubError::Disk)?;
        let mut limit = self.patience;
        loop {
            match news.recv_timeout(limit) {
                Ok(News::Found) => limit = self.stall,
                Ok(News::Bytes(bytes)) => progress(bytes),
                Ok(News::End(end)) => return end,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(HubError::Unreachable(format!("no answer for {} s", limit.as_secs())));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(HubError::Refused("its answer could not be understood".into()));
                }
            }
        }
    }
}

/// One file's way from the hub, owned by its thread.
struct Transfer {
    api: Api,
    cache: Cache,
    repo: Repo,
    file: String,
    size: Option<u64>,
    sha256: Option<String>,
}

impl Transfer {
    fn new(endpoint: Option<&str>, request: HubRequest, scratch: &Path) -> Result<Self, HubError> {
        let mut builder = ApiBuilder::from_env().with_cache_dir(scratch.into()).with_progress(false);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.into());
        }
        let api = builder.build().map_err(hub_error)?;
        let name = request.hub.repo.clone();
        let repo = match &request.hub.revision {
            Some(revision) => Repo::with_revision(name, RepoType::Model, revision.clone()),
            None => Repo::new(name, RepoType::Model),
        };
        let (file, sha256) = (request.file.into(), request.sha256.map(Into::into));
        Ok(Self { api, cache: Cache::new(scratch.into()), repo, file, size: request.size, sha256 })
    }

    fn run(self, tell: &Sender<News>) -> Result<HubFile, HubError> {
        let repo = self.api.repo(self.repo.clone());
        let found = self.api.metadata(&repo.url(&self.file)).map_err(hub_error)?;
        let _ = tell.send(News::Found);
        // The hub tags large files with their SHA-256, so a file of other bytes need not be downloaded to be refused.
        let sha256 = Some(found.etag().to_owned()).filter(|tag| digest::is_sha256(tag));
        let size = found.size() as u64;
        match (self.size, &self.sha256, &sha256) {
            (Some(expected), _, _) if expected != size => {
                return Err(HubError::Different {
                    expected: format!("{expected} bytes"),
                    found: format!("{size} bytes"),
                });
            }
            (_, Some(expected), Some(found)) if expected != found => {
                return Err(HubError::Different { expected: expected.clone(), found: found.clone() });
            }
            _ => (),
        }
        // What was left by an interrupted transfer is gone on from; the hub refuses to go on from a complete file.
        let mut part = self.cache.repo(self.repo).blob_path(found.etag());
        part.set_extension("part");
        if part.metadata().is_ok_and(|part| part.len() >= size) {
            std::fs::remove_file(&part).map_err(HubError::Disk)?;
        }
        let mut attempt = 1;
        let pointer = loop {
            let teller = Teller { tell: tell.clone(), bytes: 0 };
            match repo.download_with_progress(&self.file, teller).map_err(hub_error) {
                Ok(pointer) => break pointer,
                Err(HubError::Unreachable(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(HubFile { path: pointer.canonicalize().map_err(HubError::Disk)?, sha256 })
    }
}

/// Passes the crate's progress on.
struct Teller {
    tell: Sender<News>,
    bytes: u64,
}

impl Progress for Teller {
    fn init(&mut self, _size: usize, _file: &str) {
        self.bytes = 0;
    }

    fn update(&mut self, size: usize) {
        self.bytes += size as u64;
        if self.tell.send(News::Bytes(self.bytes)).is_err() {
            // Nobody waits any more. The crate knows no other way to stop a transfer; this one wakes no panic hook.
            std::panic::resume_unwind(Box::new("the transfer was given up"));
        }
    }

    fn finish(&mut self) {}
}

fn hub_error(error: ApiError) -> HubError {
    match error {
        // Reading the network and writing the file fail alike.
        ApiError::IoError(error) => match error.kind() {
            ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem => HubError::Disk(error),
            _ => HubError::Unreachable(format!("the transfer broke off: {error}")),
        },
        // The request's error type belongs to a crate that is not ours to name; an HTTP status is an answer all the same.
        ApiError::RequestError(error) if error.to_string().starts_with("http status") => {
            HubError::Refused(error.to_string())
        }
        ApiError::RequestError(error) => HubError::Unreachable(error.to_string()),
        error => HubError::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
