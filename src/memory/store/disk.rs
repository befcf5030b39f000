//! An LMDB environment that grows by itself, may be shared by several processes, and whose errors can be acted on.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
};

use heed::{CommitOrAbort, DatabaseOpener, Env, EnvOpenOptions, MdbError, OnCommit, RoTxn, RwTxn, WithoutTls};

use super::super::MemoryError;

/// Databases in an environment, at most.
const MAX_DATABASES: u32 = 8;
/// The first map: room for some thousands of memories.
const FIRST_MAP: usize = 64 << 20;
/// A file may lack this many pages at its end: those that its last transaction took and gave back.
const UNWRITTEN_PAGES: u64 = 16;

/// The environments that are open in this process: LMDB allows each only once.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Shared>>>> = Mutex::new(None);

struct Shared {
    env: Env<WithoutTls>,
    path: PathBuf,
    /// Held for reading by every transaction, and for writing while the map is resized, when there must be none.
    gate: RwLock<()>,
}

/// An open environment. Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Shared>);

impl Disk {
    /// Opens the environment in a folder, or makes one. `map` is the size of its first map, in bytes.
    pub(super) fn open(folder: &Path, map: Option<usize>) -> Result<Self, MemoryError> {
        let failed = |error: io::Error| explain(folder, heed::Error::Io(error));
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.canonicalize().map_err(failed)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        if let Some(shared) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(Self(shared));
        }
        // Its last user may be closing it just now, on another thread.
        if let Some(closing) = heed::env_closing_event(&path) {
            closing.wait();
        }
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map.unwrap_or(FIRST_MAP)).max_dbs(MAX_DATABASES);
        // SAFETY: the map is LMDB's own file, which nothing here changes but through LMDB, with its locks and flags as they are.
        let env = unsafe { options.open(&path) }.map_err(|error| explain(folder, error))?;
        let disk = Self(Arc::new(Shared { env, path: path.clone(), gate: RwLock::default() }));
        disk.check_length()?;
        open.retain(|_, shared| shared.strong_count() > 0);
        open.insert(path, Arc::downgrade(&disk.0));
        Ok(disk)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Opens databases, or makes them.
    pub(super) fn databases<'e, 'a: 'e, D: OnCommit>(
        &'a self,
        mut open: impl FnMut(&DatabaseOpener<'e, WithoutTls>, &mut RwTxn<'e>) -> heed::Result<D>,
    ) -> Result<D::Committed, MemoryError> {
        loop {
            let gate = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
            let opened = self.0.env.write_txn().and_then(|transaction| {
                self.0.env.create_databases_and_commit(transaction, |opener, transaction| {
                    open(opener, transaction).map(CommitOrAbort::<_, ()>::Commit)
                })
            });
            drop(gate);
            match opened {
                Ok(opened) => return Ok(opened.unwrap_commit()),
                Err(heed::Error::Mdb(MdbError::MapResized)) => self.resize(|_| 0)?,
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Refuses a file that has lost its end: reading beyond it would end the process.
    fn check_length(&self) -> Result<(), MemoryError> {
        let info = self.0.env.info();
        let page = u64::from(self.0.env.unnamed_database_stat().page_size);
        let needed = (info.last_page_number as u64 + 1) * page;
        let file = self.path().join("data.mdb");
        let length = fs::metadata(&file).map_err(|error| self.failed(error))?.len();
        if length >= needed {
            Ok(())
        } else if needed - length <= UNWRITTEN_PAGES * page {
            OpenOptions::new().write(true).open(&file).and_then(|file| file.set_len(needed)).map_err(|e| self.failed(e))
        } else {
            Err(self.damaged(format!("it is cut off after {length} of {needed} bytes")))
        }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> MemoryError {
        MemoryError::Damaged { path: self.path().into(), reason: reason.into() }
    }

    pub(super) fn failed(&self, error: impl Into<Failure>) -> MemoryError {
        match error.into() {
            Failure::Lmdb(error) => explain(self.path(), error),
            Failure::Memory(error) => error,
        }
    }

    /// Reads in one transaction. Transactions of one thread must not stand inside one another.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&RoTxn<WithoutTls>) -> Result<T, Failure>,
    ) -> Result<T, MemoryError> {
        loop {
            let gate = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
            match self.0.env.read_txn() {
                Ok(transaction) => return read(&transaction).map_err(|error| self.failed(error)),
                Err(heed::Error::Mdb(MdbError::MapResized)) => {
                    drop(gate);
                    self.resize(|_| 0)?;
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Writes in one transaction, which is on the disk when this returns. `write` runs again when the map had to grow.
    pub(super) fn write<T>(&self, mut write: impl FnMut(&mut RwTxn) -> Result<T, Failure>) -> Result<T, MemoryError> {
        loop {
            let gate = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
            let written = self.0.env.write_txn().map_err(Failure::from).and_then(|mut transaction| {
                let result = write(&mut transaction)?;
                transaction.commit()?;
                Ok(result)
            });
            drop(gate);
            match written {
                Ok(result) => return Ok(result),
                Err(Failure::Lmdb(heed::Error::Mdb(MdbError::MapFull))) => self.resize(|size| size * 2)?,
                Err(Failure::Lmdb(heed::Error::Mdb(MdbError::MapResized))) => self.resize(|_| 0)?,
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Makes room for so many more bytes before they are written.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), MemoryError> {
        let page = self.0.env.unnamed_database_stat().page_size as usize;
        let wanted = (self.0.env.info().last_page_number + 1) * page + bytes;
        self.resize(|size| size.max(wanted.next_multiple_of(FIRST_MAP)))
    }

    /// Sets the map's size to a function of the present one; 0 stands for the size that another process has given it.
    fn resize(&self, size: impl Fn(usize) -> usize) -> Result<(), MemoryError> {
        let _gate = self.0.gate.write().unwrap_or_else(PoisonError::into_inner);
        let present = self.0.env.info().map_size;
        let wanted = size(present);
        if wanted == present {
            return Ok(());
        }
        // SAFETY: no transaction of this process is active: each holds the gate for reading.
        unsafe { self.0.env.resize(wanted) }.map_err(|error| self.failed(error))
    }
}

/// What can go wrong inside a transaction.
pub(super) enum Failure {
    Lmdb(heed::Error),
    Memory(MemoryError),
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        Self::Lmdb(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lmdb(heed::Error::Io(error))
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl From<arroy::Error> for Failure {
    fn from(error: arroy::Error) -> Self {
        match error {
            arroy::Error::Heed(error) => Self::Lmdb(error),
            arroy::Error::Io(error) => error.into(),
            other => Self::Lmdb(heed::Error::Decoding(Box::new(other))),
        }
    }
}

/// What an error of LMDB means for whoever owns the store.
fn explain(folder: &Path, error: heed::Error) -> MemoryError {
    let path = folder.to_path_buf();
    match error {
        heed::Error::Io(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            MemoryError::Full { path }
        }
        heed::Error::Mdb(
            error @ (MdbError::Invalid
            | MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::VersionMismatch
            | MdbError::Panic
            | MdbError::Incompatible),
        ) => MemoryError::Damaged { path, reason: error.to_string() },
        heed::Error::Decoding(error) => MemoryError::Damaged { path, reason: error.to_string() },
        other => MemoryError::Store { path, reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_a_damaged_store() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let full = explain(Path::new("memory"), heed::Error::Io(full));
        assert!(full.to_string().contains("full") && full.to_string().contains("nothing older is lost"), "{full}");
        let damaged = explain(Path::new("memory"), heed::Error::Mdb(MdbError::Corrupted));
        assert!(damaged.to_string().contains("damaged"), "{damaged}");
    }

    #[test]
    fn an_environment_is_opened_once_a_process_and_again_after_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let first = Disk::open(folder.path(), None).unwrap();
        let second = Disk::open(folder.path(), None).unwrap();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        drop((first, second));
        Disk::open(folder.path(), None).unwrap();
    }
}
