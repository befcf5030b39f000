//! Package archives: wheels (zip) and npm's tarballs. Members are read by name; no member's name ever becomes a path.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use zip::ZipArchive;

use super::PullError;
use crate::models::{digest, manifest::stays_inside};

/// An opened archive.
pub struct Archive {
    path: PathBuf,
    members: Members,
}

enum Members {
    Zip(ZipArchive<BufReader<File>>),
    /// A tarball can only be read in order, so the wanted members have been unpacked under numbers.
    Unpacked(HashMap<String, PathBuf>),
}

impl Archive {
    /// Opens an archive of which `wanted` members will be read; `scratch` is an existing folder for unpacking.
    ///
    /// # Errors
    /// [`PullError::Archive`] if it is damaged, or holds a name that leads outside of it.
    pub fn open(path: &Path, wanted: &HashSet<&str>, scratch: &Path) -> Result<Self, PullError> {
        let file = BufReader::new(File::open(path).map_err(PullError::io(path))?);
        let members = if path.extension().is_some_and(|ending| ending == "tgz") {
            Members::Unpacked(unpack(path, file, wanted, scratch)?)
        } else {
            let zip = ZipArchive::new(file).map_err(|error| PullError::archive(path, error))?;
            for name in zip.file_names() {
                check_name(path, &name.map_err(|error| PullError::archive(path, error))?)?;
            }
            Members::Zip(zip)
        };
        Ok(Self { path: path.into(), members })
    }

    /// Opens a member for reading.
    ///
    /// # Errors
    /// [`PullError::Archive`] if it is not there, or not a plain file.
    pub fn member(&mut self, name: &str) -> Result<Box<dyn Read + '_>, PullError> {
        let path = &self.path;
        match &mut self.members {
            Members::Zip(zip) => {
                let member = zip.by_name(name).map_err(|error| PullError::archive(path, format!("{name}: {error}")))?;
                if !member.is_file() || member.is_symlink() {
                    return Err(PullError::archive(path, format!("{name} is not a plain file")));
                }
                Ok(Box::new(member))
            }
            Members::Unpacked(files) => {
                let file = files.get(name).ok_or_else(|| PullError::archive(path, format!("{name} is not in it")))?;
                Ok(Box::new(File::open(file).map_err(PullError::io(file))?))
            }
        }
    }
}

fn unpack(
    path: &Path,
    file: impl Read,
    wanted: &HashSet<&str>,
    scratch: &Path,
) -> Result<HashMap<String, PathBuf>, PullError> {
    let failed = |error: io::Error| PullError::archive(path, error);
    let mut tarball = tar::Archive::new(GzDecoder::new(file));
    let mut unpacked = HashMap::new();
    for entry in tarball.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        check_name(path, &name)?;
        if !wanted.contains(name.as_str()) {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return Err(PullError::archive(path, format!("{name} is not a plain file")));
        }
        let target = scratch.join(unpacked.len().to_string());
        let mut out = File::create(&target).map_err(PullError::io(&target))?;
        digest::copy(&mut entry, &mut out, &mut |_| ()).map_err(|error| unpack_error(path, &target, error))?;
        unpacked.insert(name, target);
    }
    Ok(unpacked)
}

/// Reading an archive and writing a file fail in the same call; a full disk is the file's fault.
pub fn unpack_error(archive: &Path, target: &Path, error: io::Error) -> PullError {
    match PullError::io(target)(error) {
        PullError::Io { source, .. } => {
            let _ = fs::remove_file(target);
            PullError::archive(archive, source)
        }
        full => full,
    }
}

fn check_name(archive: &Path, name: &str) -> Result<(), PullError> {
    let plain = name.trim_end_matches('/');
    let plain = plain.strip_prefix("./").unwrap_or(plain);
    if plain.is_empty() || plain == "." || stays_inside(plain) {
        Ok(())
    } else {
        Err(PullError::archive(archive, format!("the member {name:?} leads outside of it, so nothing was unpacked")))
    }
}
