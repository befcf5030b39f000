//! Reading every byte of an installed model and comparing it with what was installed.

use std::io;

use super::{
    Installed, ModelFolder,
    digest::{self, Sum},
    manifest::Model,
};

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is of another size.
    #[error("it holds {found} bytes instead of {expected}")]
    Size {
        /// Bytes, as installed.
        expected: u64,
        /// Bytes, as found.
        found: u64,
    },
    /// Its bytes are others.
    #[error("its SHA-256 is {found} instead of {expected}")]
    Hash {
        /// As installed.
        expected: String,
        /// As found.
        found: String,
    },
    /// The model was put there by hand, so nobody knows what the file should be.
    #[error("nothing is known that it could be compared with")]
    Unknown,
}

/// What verifying found out about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's path in the model's folder.
    pub file: String,
    /// Bytes read.
    pub size: u64,
    /// What is wrong with it; nothing if it is as it was installed.
    pub fault: Option<Fault>,
}

impl ModelFolder<'_> {
    /// Reads an installed model's files; `progress` is told the bytes read so far.
    ///
    /// Files of wrong bytes are noted in the model's record, so that the model counts as damaged until it is pulled again.
    ///
    /// Whether the model is installed at all is [`ModelFolder::state`]'s to say.
    pub fn verify(&self, model: &Model, progress: &mut dyn FnMut(u64)) -> Vec<Finding> {
        let folder = self.path(model);
        let mut before = 0;
        let mut findings = Vec::new();
        for (path, expected) in self.expected(model) {
            let read = digest::of_file(&folder.join(&path), &mut |bytes| progress(before + bytes));
            let size = read.as_ref().map_or(0, |sum| sum.size);
            before += size;
            findings.push(Finding { file: path, size, fault: fault(expected, read) });
        }
        self.note(model, &findings);
        findings
    }

    fn note(&self, model: &Model, findings: &[Finding]) {
        let folder = self.path(model);
        let wrong = findings.iter().filter(|finding| matches!(finding.fault, Some(Fault::Hash { .. })));
        let damaged: Vec<_> = wrong.map(|finding| finding.file.clone()).collect();
        let blank = || Installed { manifest: model.digest(), damaged: Vec::new(), files: Vec::new() };
        let mut record = Installed::read(&folder).unwrap_or_else(blank);
        if record.damaged != damaged {
            record.damaged = damaged;
            // Where nothing can be written, the finding itself must do.
            let _ = record.write(&folder);
        }
    }

    /// The files that an engine finds, and what they should sum up to where that is known.
    fn expected(&self, model: &Model) -> Vec<(String, Option<Sum>)> {
        if let Some(record) = Installed::read(&self.path(model)).filter(|record| !record.files.is_empty()) {
            let sum = |size, sha256| Some(Sum { size, sha256 });
            return record.files.into_iter().map(|file| (file.path, sum(file.size, file.sha256))).collect();
        }
        let kept = model.kept().map(|file| {
            let sum = file.size.zip(file.sha256.clone()).map(|(size, sha256)| Sum { size, sha256 });
            (file.path.clone(), sum)
        });
        kept.chain(model.products().iter().map(|path| ((*path).to_owned(), None))).collect()
    }
}

fn fault(expected: Option<Sum>, found: io::Result<Sum>) -> Option<Fault> {
    match (expected, found) {
        (_, Err(error)) => Some(Fault::Unreadable(error.to_string())),
        (None, Ok(_)) => Some(Fault::Unknown),
        (Some(expected), Ok(found)) if expected.size != found.size => {
            Some(Fault::Size { expected: expected.size, found: found.size })
        }
        (Some(expected), Ok(found)) if expected.sha256 != found.sha256 => {
            Some(Fault::Hash { expected: expected.sha256, found: found.sha256 })
        }
        _ => None,
    }
}
