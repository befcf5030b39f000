//! A models' folder, a manifest and sources that are not on any network.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::models::{
    HubError, HubFile, HubRequest, Manifest, ModelFolder, Outcome, Package, PullError, Registry, Sources, digest,
};

/// Packages and hub files that are not on any network.
#[derive(Default)]
pub struct Shelf {
    pub packages: BTreeMap<&'static str, Vec<u8>>,
    pub hub: Option<BTreeMap<&'static str, Vec<u8>>>,
    /// What was asked for, in order.
    pub asked: Vec<String>,
    /// Runs before a package is given.
    pub before: Option<Box<dyn FnMut() + Send>>,
}

impl Sources for Shelf {
    fn hub_file(
        &mut self,
        request: HubRequest,
        scratch: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<HubFile, HubError> {
        self.asked.push(format!("hub {}", request.file));
        let Some(hub) = &self.hub else { return Err(HubError::Unreachable("no network".into())) };
        let bytes = hub.get(request.file).ok_or_else(|| HubError::Refused("http status: 404".into()))?;
        progress(bytes.len() as u64);
        fs::create_dir_all(scratch).map_err(HubError::Disk)?;
        let path = scratch.join("blob");
        fs::write(&path, bytes).map_err(HubError::Disk)?;
        Ok(HubFile { path, sha256: None })
    }

    fn package(
        &mut self,
        package: &Package,
        folder: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PullError> {
        self.asked.push(package.name.clone());
        if let Some(before) = &mut self.before {
            before();
        }
        let broken = || PullError::Package { package: package.spec(), client: "pip".into(), reason: "reset".into() };
        let bytes = self.packages.get(package.name.as_str()).ok_or_else(broken)?;
        progress(bytes.len() as u64);
        let ending = if package.registry == Registry::Npm { "tgz" } else { "whl" };
        let path = folder.join(format!("archive.{ending}"));
        fs::write(&path, bytes).map_err(PullError::io(&path))?;
        Ok(path)
    }
}

pub fn wheel(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub fn tarball(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        // The builder refuses names that lead outside, so they are written past it.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Two models: `duet` of two files, one of them in two parts; `solo` shares a package with it.
pub fn manifest() -> Manifest {
    let (song, tune) = (digest::of_bytes(b"la la land"), digest::of_bytes(b"hum"));
    Manifest::parse(&format!(
        r#"
        version = 1
        [packages]
        "one" = {{ registry = "pip", version = "1.0", size = 100 }}
        "two" = {{ registry = "pip", version = "1.0", size = 100 }}
        "@music/three" = {{ registry = "npm", version = "1.0", size = 100 }}
        [[model]]
        name = "duet"
        title = "Duet"
        role = "voice"
        licence = "MIT"
        hub = {{ repo = "nobody/duet" }}
        [[model.files]]
        path = "songs/song.bin"
        size = 10
        sha256 = "{song}"
        hub = "song.bin"
        from = ["one:one/part1", "two:two/part2"]
        [[model.files]]
        path = "tune.bin"
        size = 3
        sha256 = "{tune}"
        from = ["@music/three:package/tune.bin"]
        [[model]]
        name = "solo"
        title = "Solo"
        role = "voice"
        licence = "MIT"
        [[model.files]]
        path = "tune.bin"
        size = 3
        sha256 = "{tune}"
        from = ["@music/three:package/tune.bin"]
        "#
    ))
    .unwrap()
}

pub fn shelf() -> Shelf {
    let packages = [
        ("one", wheel(&[("one/__init__.py", b""), ("one/part1", b"la la")])),
        ("two", wheel(&[("two/part2", b" land")])),
        ("@music/three", tarball(&[("package/package.json", b"{}"), ("package/tune.bin", b"hum")])),
    ];
    Shelf { packages: packages.into(), ..Shelf::default() }
}

/// A models' folder of its own.
pub struct Rig {
    pub manifest: Manifest,
    pub root: TempDir,
}

impl Rig {
    pub fn new() -> Self {
        Self { manifest: manifest(), root: TempDir::new().unwrap() }
    }

    pub fn folder(&self) -> ModelFolder<'_> {
        ModelFolder::new(self.root.path(), &self.manifest)
    }

    pub fn pull(&self, names: &[&str], shelf: &mut Shelf) -> Outcome {
        let models: Vec<_> = names.iter().map(|name| self.manifest.get(name).unwrap()).collect();
        self.folder().pull(&models, shelf, &mut |_| ()).unwrap()
    }

    /// Pulls `duet`, which must fail, and gives the error.
    pub fn fail(&self, shelf: &mut Shelf) -> PullError {
        let mut outcome = self.pull(&["duet"], shelf);
        assert!(outcome.installed.is_empty());
        outcome.failed.pop().expect("the pull fails").1
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap()
    }

    /// The names in the models' folder but the lock's, and the files in the workspace.
    pub fn contents(&self) -> (Vec<String>, Vec<String>) {
        let names = fs::read_dir(self.root.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let mut files = Vec::new();
        list(&self.root.path().join(".pull"), &mut files);
        (names, files)
    }
}

pub fn list(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata().unwrap().is_dir() {
            true => list(&entry.path(), files),
            false => files.push(entry.path().display().to_string()),
        }
    }
}
