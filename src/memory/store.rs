//! The store: texts and their vectors on disk, in LMDB, for as long as the person wants them.
//!
//! A memory and its vector are written in one transaction, which is on the disk when [`Store::remember`] returns. Several
//! processes may use a store at once (`companion memory add` while the window is open). Small stores are searched exactly;
//! [`index`] takes over what a scan would be slow for, in an environment of its own: building it never holds up a write,
//! and losing it loses nothing.

mod disk;
mod index;
mod schema;

use std::path::{Path, PathBuf};

use self::{
    disk::{Disk, Failure},
    index::Index,
    schema::{Record, Schema, VectorKey},
};
use super::{
    Memory, MemoryError, MemoryId, Speaker,
    embedder::Embed,
    ranking::{Candidate, Distinct, Ranking},
};
use heed::{RoTxn, WithoutTls};

/// Memories that are embedded and written together while a store is embedded anew.
const REINDEX_BATCH: usize = 64;

/// A question to a store.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Whose memories.
    pub owner: &'a str,
    /// The vector of what they should be relevant to.
    pub vector: &'a [f32],
    /// How many at most.
    pub limit: usize,
    /// Only what was said before this moment, in seconds since the Unix epoch.
    pub before: Option<i64>,
    /// How they are chosen.
    pub ranking: Ranking,
    /// The present moment, in seconds since the Unix epoch.
    pub now: i64,
}

/// An open store.
pub struct Store {
    disk: Disk,
    schema: Schema,
    index: Index,
    path: PathBuf,
    index_after: usize,
}

impl Store {
    /// Opens the store in a folder, or makes one. When a search has to scan more memories than `index_after`, they are
    /// indexed in the background.
    ///
    /// # Errors
    /// [`MemoryError::Damaged`], [`MemoryError::Format`], [`MemoryError::Full`] or [`MemoryError::Store`].
    pub fn open(path: &Path, index_after: usize) -> Result<Self, MemoryError> {
        let disk = Disk::open(path, None)?;
        let schema = Schema::open(&disk)?;
        let index = Index::open(&path.join("index"), disk.clone(), schema.clone());
        Ok(Self { disk, schema, index, path: path.into(), index_after })
    }

    /// The store's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the vectors of an embedder can be compared with the store's.
    ///
    /// # Errors
    /// [`MemoryError::Dimensions`] or [`MemoryError::Embedder`] when they cannot.
    pub fn check(&self, embedder: &dyn Embed) -> Result<(), MemoryError> {
        self.disk.read(|txn| self.schema.space(txn, embedder.name(), embedder.dimensions()).map(drop))
    }

    /// Writes down a memory with its vector, made by `embedder`. When this returns it is on the disk.
    ///
    /// # Errors
    /// [`MemoryError::Full`] when there is no room; [`MemoryError::Dimensions`] or [`MemoryError::Embedder`] when the store
    /// holds vectors of another kind; others as for [`Store::open`].
    pub fn remember(
        &self,
        embedder: &dyn Embed,
        owner: &str,
        speaker: Speaker,
        text: &str,
        at: i64,
        vector: &[f32],
    ) -> Result<MemoryId, MemoryError> {
        self.disk.write(|txn| {
            let space = self.schema.space_or_new(txn, embedder.name(), vector.len())?;
            let owner = self.schema.owner_or_new(txn, owner)?;
            let record = Record { owner, speaker, text: text.into(), at };
            let id = self.schema.add(txn, &space, &record, vector)?;
            Ok(MemoryId(id))
        })
    }

    /// The memories that are most relevant to a vector made by `embedder`, the best first.
    ///
    /// # Errors
    /// As for [`Store::remember`].
    pub fn search(&self, embedder: &dyn Embed, search: &Search) -> Result<Vec<Memory>, MemoryError> {
        let Some((space, owner)) = self.disk.read(|txn| {
            let space = self.schema.space(txn, embedder.name(), search.vector.len())?;
            Ok(space.zip(self.schema.owner(txn, search.owner)?))
        })?
        else {
            return Ok(Vec::new());
        };
        let indexed = self.index.covers(owner, &space);
        // What repeats itself, is forgotten or too recent takes up room among the nearest: ask for more until it fits.
        let mut asked = (search.limit * 8).max(64);
        loop {
            let near = if indexed == 0 { Vec::new() } else { self.index.nearest(owner, search.vector, asked) };
            let exhausted = near.len() < asked;
            let (found, scanned) = self.disk.read(|txn| {
                let tail = self.schema.scan(txn, &space, owner, indexed, search.vector)?;
                let scanned = tail.len();
                let mut candidates = tail;
                for id in near {
                    candidates.extend(self.schema.candidate(txn, &space, owner, id, search.vector)?);
                }
                search.ranking.order(&mut candidates, search.before, search.now);
                Ok((self.choose(txn, search, &candidates)?, scanned))
            })?;
            if found.len() >= search.limit || exhausted {
                if scanned > self.index_after {
                    self.index.build_in_background(owner, space);
                }
                return Ok(found);
            }
            asked *= 4;
        }
    }

    fn choose(
        &self,
        txn: &RoTxn<WithoutTls>,
        search: &Search,
        candidates: &[Candidate],
    ) -> Result<Vec<Memory>, Failure> {
        let mut distinct = Distinct::default();
        let mut chosen = Vec::with_capacity(search.limit);
        for candidate in candidates {
            if chosen.len() == search.limit {
                break;
            }
            let record = self.schema.record(txn, candidate.id)?;
            if let Some(record) = record.filter(|record| distinct.insert(&record.text)) {
                chosen.push(record.into_memory(candidate.id, search.owner, candidate.score));
            }
        }
        Ok(chosen)
    }

    /// Forgets a memory for good; whether there was one. An index drops its copy of the vector soon after.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn forget(&self, id: MemoryId) -> Result<bool, MemoryError> {
        let forgotten = self.disk.write(|txn| self.schema.remove(txn, id.0))?;
        let Some((owner, space)) = forgotten else { return Ok(false) };
        if let Some(space) = space.filter(|space| id.0 <= self.index.covers(owner, space)) {
            self.index.build_in_background(owner, space);
        }
        Ok(true)
    }

    /// Forgets everything of an owner, or of all; how much there was.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn forget_all(&self, owner: Option<&str>) -> Result<usize, MemoryError> {
        let (forgotten, space) = self.disk.write(|txn| {
            let ids = self.ids(txn, owner)?;
            let mut owners = Vec::new();
            for id in &ids {
                owners.extend(self.schema.remove(txn, *id)?.map(|(owner, _)| owner));
            }
            owners.sort_unstable();
            owners.dedup();
            Ok(((ids.len(), owners), self.schema.any_space(txn)?))
        })?;
        let (count, owners) = forgotten;
        if let Some(space) = space {
            for owner in owners.into_iter().filter(|owner| self.index.covers(*owner, &space) > 0) {
                self.index.build(owner, &space, &|| false)?;
            }
        }
        Ok(count)
    }

    /// The owners of memories, in the order in which they came.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn owners(&self) -> Result<Vec<String>, MemoryError> {
        self.disk.read(|txn| Ok(self.schema.owners(txn)?.into_iter().map(|(_, name)| name).collect()))
    }

    /// How many memories there are of an owner, or of all.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn count(&self, owner: Option<&str>) -> Result<usize, MemoryError> {
        self.disk.read(|txn| Ok(self.ids(txn, owner)?.len()))
    }

    /// A page of the memories of an owner, or of all: the newest first, `limit` of them after the first `skip`.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn list(&self, owner: Option<&str>, skip: usize, limit: usize) -> Result<Vec<Memory>, MemoryError> {
        self.disk.read(|txn| {
            let owners = self.schema.owners(txn)?;
            let page = self.ids(txn, owner)?.into_iter().rev().skip(skip).take(limit);
            let mut memories = Vec::new();
            for id in page {
                if let Some(record) = self.schema.record(txn, id)? {
                    let owner = owners.iter().find(|(number, _)| *number == record.owner);
                    let owner = owner.map_or_else(String::new, |(_, name)| name.clone());
                    memories.push(record.into_memory(id, &owner, 0.0));
                }
            }
            Ok(memories)
        })
    }

    /// The ids of an owner's memories, or of all, ascending.
    fn ids(&self, txn: &RoTxn<WithoutTls>, owner: Option<&str>) -> Result<Vec<u32>, Failure> {
        match owner {
            None => self.schema.all_ids(txn),
            Some(name) => match (self.schema.any_space(txn)?, self.schema.owner(txn, name)?) {
                (Some(space), Some(owner)) => self.schema.ids(txn, &space, owner, 0),
                _ => Ok(Vec::new()),
            },
        }
    }

    /// Embeds every memory anew and builds the index. The old vectors serve until the new ones are complete; what an
    /// interrupted run has done is kept for the next. `progress` is told how many of how many are done.
    ///
    /// # Errors
    /// As for [`Store::remember`], and whatever the embedder says.
    pub fn reindex(&self, embedder: &dyn Embed, progress: &mut dyn FnMut(usize, usize)) -> Result<(), MemoryError> {
        let next = self.disk.write(|txn| self.schema.next_space(txn, embedder.name(), embedder.dimensions()))?;
        loop {
            let (missing, total) = self.disk.read(|txn| self.schema.missing(txn, &next, REINDEX_BATCH))?;
            let done = total - missing.1;
            progress(done, total);
            if missing.0.is_empty() {
                // Another process may have remembered something since: then there is more to do.
                if self.disk.write(|txn| self.schema.adopt(txn, &next))? {
                    break;
                }
                continue;
            }
            let texts: Vec<&str> = missing.0.iter().map(|(_, record)| record.text.as_str()).collect();
            let vectors = embedder.passages(&texts)?;
            self.disk.write(|txn| {
                for ((id, record), vector) in missing.0.iter().zip(&vectors) {
                    let key = VectorKey { generation: next.generation, owner: record.owner, id: *id };
                    self.schema.put_vector(txn, key, record.at, vector)?;
                }
                Ok(())
            })?;
        }
        let owners = self.disk.read(|txn| self.schema.owners(txn))?;
        for (owner, _) in owners {
            let count = self.disk.read(|txn| Ok(self.schema.ids(txn, &next, owner, 0)?.len()))?;
            if count > self.index_after {
                self.index.build(owner, &next, &|| false)?;
            }
        }
        Ok(())
    }

    /// Indexes an owner's memories now, whatever their number, and waits for it.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn build_index(&self, owner: &str) -> Result<(), MemoryError> {
        let found = self.disk.read(|txn| Ok(self.schema.any_space(txn)?.zip(self.schema.owner(txn, owner)?)))?;
        found.map_or(Ok(()), |(space, owner)| self.index.build(owner, &space, &|| false))
    }

    /// How many of an owner's memories the index answers for; the others are scanned.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn indexed(&self, owner: &str) -> Result<usize, MemoryError> {
        let Some((space, owner)) =
            self.disk.read(|txn| Ok(self.schema.any_space(txn)?.zip(self.schema.owner(txn, owner)?)))?
        else {
            return Ok(0);
        };
        let covered = self.index.covers(owner, &space);
        self.disk.read(|txn| {
            let ids = self.schema.ids(txn, &space, owner, 0)?;
            Ok(ids.partition_point(|id| *id <= covered))
        })
    }
}
