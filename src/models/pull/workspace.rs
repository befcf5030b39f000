//! The folder that pulls work in, inside the models' folder so that renaming puts a model in place.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::PullError;

const FOLDER: &str = ".pull";
const LOCK: &str = ".lock";
const PACKAGES: &str = "packages";
/// The ending of a folder that a package is still being fetched into.
const PARTIAL: &str = ".partial";

/// A pull's hold on a models' folder: while it lives, no other pull works there.
pub struct Workspace {
    models: PathBuf,
    _lock: File,
}

impl Workspace {
    /// Takes hold of a models' folder, which is made if need be; `waiting` is called if another pull has it.
    pub fn open(models: &Path, waiting: &mut dyn FnMut()) -> Result<Self, PullError> {
        fs::create_dir_all(models).map_err(PullError::io(models))?;
        let path = models.join(LOCK);
        let lock = File::create(&path).map_err(PullError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(PullError::io(&path))?;
            }
            Err(TryLockError::Error(error)) => return Err(PullError::io(&path)(error)),
        }
        let workspace = Self { models: models.into(), _lock: lock };
        create(&workspace.root().join(PACKAGES))?;
        Ok(workspace)
    }

    /// Removes what a killed pull has left, unless another pull is at work.
    pub fn sweep(models: &Path) {
        if !models.join(FOLDER).exists() {
            return;
        }
        let Ok(lock) = File::create(models.join(LOCK)) else { return };
        if lock.try_lock().is_ok() {
            Self { models: models.into(), _lock: lock }.remove();
        }
    }

    /// The folder that is put in place of a model's when it is complete, empty.
    pub fn staging(&self, model: &str) -> Result<PathBuf, PullError> {
        self.emptied("staging", model)
    }

    /// A folder for what is unpacked on the way, empty.
    pub fn unpacked(&self, model: &str) -> Result<PathBuf, PullError> {
        self.emptied("unpacked", model)
    }

    /// The folder that the hub's files of a model come into. An interrupted transfer goes on from what is there.
    pub fn hub(&self, model: &str) -> PathBuf {
        self.root().join("hub").join(model)
    }

    /// The archive of a package, if it has been fetched to the end.
    pub fn package(&self, key: &str) -> Option<PathBuf> {
        archive_in(&self.package_folder(key))
    }

    /// Has a package fetched by `fetch`, into the folder it is given, and keeps it.
    pub fn fetch_package(
        &self,
        key: &str,
        fetch: impl FnOnce(&Path) -> Result<PathBuf, PullError>,
    ) -> Result<PathBuf, PullError> {
        let (folder, mut partial) = (self.package_folder(key), self.package_folder(key).into_os_string());
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        empty(&partial)?;
        // A client starts over anyway, and what it left may be what fills the disk.
        let fetched = fetch(&partial).or_else(|error| remove(&partial).and(Err(error)))?;
        let complete = partial.with_extension("complete");
        empty(&complete)?;
        let name = fetched.file_name().unwrap_or_default().to_owned();
        fs::rename(&fetched, complete.join(&name)).map_err(PullError::io(&fetched))?;
        empty(&folder)?;
        fs::rename(&complete, &folder).map_err(PullError::io(&folder))?;
        remove(&partial)?;
        Ok(folder.join(name))
    }

    /// Throws a fetched package away.
    pub fn discard_package(&self, key: &str) -> Result<(), PullError> {
        remove(&self.package_folder(key))
    }

    /// Throws away all fetched packages but these, and every staging folder.
    pub fn discard_all_but(&self, packages: &HashSet<&str>) -> Result<(), PullError> {
        let wanted: HashSet<_> = packages.iter().map(|key| self.package_folder(key)).collect();
        for entry in entries(&self.root().join(PACKAGES))? {
            if !wanted.contains(&entry) {
                remove(&entry)?;
            }
        }
        remove(&self.root().join("staging"))?;
        remove(&self.root().join("unpacked"))
    }

    /// Puts a staged folder in place of the model's.
    pub fn put_in_place(&self, staged: &Path, model: &str) -> Result<(), PullError> {
        let place = self.models.join(model);
        let old = self.root().join("replaced");
        remove(&old)?;
        let replaces = place.symlink_metadata().is_ok();
        if replaces {
            fs::rename(&place, &old).map_err(PullError::io(&place))?;
        }
        if let Err(error) = fs::rename(staged, &place) {
            if replaces {
                let _ = fs::rename(&old, &place);
            }
            return Err(PullError::io(&place)(error));
        }
        remove(&old)?;
        remove(&self.hub(model))?;
        remove(&self.root().join("unpacked"))
    }

    /// Removes the folder that pulls work in. What cannot be removed is left to the next pull.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(self.root());
    }

    fn root(&self) -> PathBuf {
        self.models.join(FOLDER)
    }

    fn package_folder(&self, key: &str) -> PathBuf {
        let name = key.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-', "_");
        self.root().join(PACKAGES).join(name)
    }

    fn emptied(&self, kind: &str, model: &str) -> Result<PathBuf, PullError> {
        let folder = self.root().join(kind).join(model);
        empty(&folder)?;
        Ok(folder)
    }
}

/// The one archive in a folder, if there is exactly one.
pub fn archive_in(folder: &Path) -> Option<PathBuf> {
    let is_archive = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "whl" || ending == "tgz");
    let mut archives = entries(folder).ok()?.into_iter().filter(is_archive);
    archives.next().filter(|_| archives.next().is_none())
}

/// Removes a file or folder, if it is there.
pub fn remove(path: &Path) -> Result<(), PullError> {
    let removed = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
    removed.map_err(PullError::io(path))
}

fn empty(folder: &Path) -> Result<(), PullError> {
    remove(folder)?;
    create(folder)
}

fn create(folder: &Path) -> Result<(), PullError> {
    fs::create_dir_all(folder).map_err(PullError::io(folder))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, PullError> {
    let read = fs::read_dir(folder).map_err(PullError::io(folder))?;
    read.map(|entry| entry.map(|entry| entry.path()).map_err(PullError::io(folder))).collect()
}
