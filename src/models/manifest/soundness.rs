//! What a manifest must satisfy beyond its syntax.

use std::{
    collections::HashSet,
    path::{Component, Path},
};

use super::{Manifest, Model, ModelFile, RAW, VERSION};
use crate::models::digest;

impl Manifest {
    /// What is wrong with the manifest, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        if self.version != VERSION {
            return Some(format!("it is of version {}, this program reads version {VERSION}", self.version));
        }
        let mut seen = HashSet::new();
        self.models.iter().find_map(|model| {
            let fault = if seen.insert((&model.name, &model.target)) {
                self.fault_of(model)
            } else {
                Some("it is listed twice".into())
            };
            fault.map(|fault| format!("model `{}`: {fault}", model.name))
        })
    }

    fn fault_of(&self, model: &Model) -> Option<String> {
        if !is_plain_name(&model.name) {
            return Some("its name is not a plain folder name".into());
        }
        if model.files.is_empty() {
            return Some("it has no files".into());
        }
        if model.convert.is_some() != model.files.iter().any(ModelFile::is_raw) {
            return Some(format!("`convert` and files under {RAW}/ need each other"));
        }
        let mut paths = HashSet::new();
        model.files.iter().find_map(|file| {
            let fault = if !stays_inside(&file.path) {
                Some("it leaves the model's folder".into())
            } else if !paths.insert(&file.path) {
                Some("it is listed twice".into())
            } else {
                self.fault_of_file(model, file)
            };
            fault.map(|fault| format!("file `{}`: {fault}", file.path))
        })
    }

    fn fault_of_file(&self, model: &Model, file: &ModelFile) -> Option<String> {
        if file.sha256.as_ref().is_some_and(|hash| !digest::is_sha256(hash)) {
            return Some("its sha256 is not 64 digits of lower-case hex".into());
        }
        if file.hub.is_some() && model.hub.is_none() {
            return Some("it names a hub file, but the model has no hub repository".into());
        }
        if file.hub.is_none() && file.from.is_empty() {
            return Some("it has no source".into());
        }
        // Only the hub says what its files hash to.
        if !file.from.is_empty() && (file.sha256.is_none() || file.size.is_none()) {
            return Some("a file from packages needs its size and sha256".into());
        }
        file.from.iter().find_map(|part| match self.packages.get(&part.package) {
            None => Some(format!("package `{}` is not listed", part.package)),
            Some(_) if !stays_inside(&part.member) => Some(format!("member `{}` leaves its archive", part.member)),
            Some(_) => None,
        })
    }
}

fn is_plain_name(name: &str) -> bool {
    !name.starts_with('.') && stays_inside(name) && !name.contains('/')
}

/// Whether a `/`-separated relative path names something below where it starts, on every platform.
pub(crate) fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}
