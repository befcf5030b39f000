//! What is where in the store's environment.
//!
//! | database | key | value |
//! |---|---|---|
//! | `meta` | a name | JSON: the format, the next id, the [`Space`] of the vectors, that of a reindexing under way |
//! | `owners` | u16 | the owner's name |
//! | `memories` | u32 id | JSON: a [`Record`] |
//! | `vectors` | u32 generation, u16 owner, u32 id | i64 time, f32 values, little-endian |
//!
//! Keys are big-endian, so that one owner's vectors of one generation stand together, by age.

use std::{ops::Bound, path::PathBuf};

use heed::{
    Database, RoTxn, RwTxn, WithoutTls,
    byteorder::BigEndian,
    types::{Bytes, SerdeJson, Str, U16, U32},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    super::{Memory, MemoryError, MemoryId, Speaker, ranking::Candidate},
    disk::{Disk, Failure},
};

/// The format that this version reads and writes.
const FORMAT: u32 = 1;

/// Vectors that can be compared with each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Space {
    /// Who made them.
    pub embedder: String,
    /// Their length.
    pub dimensions: usize,
    /// Counts the reindexings.
    pub generation: u32,
}

/// A memory as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub owner: u16,
    pub speaker: Speaker,
    pub text: String,
    pub at: i64,
}

impl Record {
    pub(super) fn into_memory(self, id: u32, owner: &str, score: f32) -> Memory {
        Memory { id: MemoryId(id), owner: owner.into(), speaker: self.speaker, text: self.text, at: self.at, score }
    }
}

/// Where a vector stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct VectorKey {
    pub generation: u32,
    pub owner: u16,
    pub id: u32,
}

impl VectorKey {
    fn bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&self.generation.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.owner.to_be_bytes());
        bytes[6..].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    fn id_of(bytes: &[u8]) -> Result<u32, Failure> {
        bytes.last_chunk().map(|id| u32::from_be_bytes(*id)).ok_or_else(|| undecodable("a vector's key is too short"))
    }
}

/// The databases.
#[derive(Clone)]
pub(super) struct Schema {
    path: PathBuf,
    meta: Database<'static, Str, Bytes>,
    owners: Database<'static, U16<BigEndian>, Str>,
    memories: Database<'static, U32<BigEndian>, SerdeJson<Record>>,
    vectors: Database<'static, Bytes, Bytes>,
}

impl Schema {
    pub(super) fn open(disk: &Disk) -> Result<Self, MemoryError> {
        let (meta, owners, memories, vectors) = disk.databases(|opener, txn| {
            let meta = opener.create_database(txn, Some("meta"))?;
            let owners = opener.create_database(txn, Some("owners"))?;
            let memories = opener.create_database(txn, Some("memories"))?;
            Ok((meta, owners, memories, opener.create_database(txn, Some("vectors"))?))
        })?;
        let schema = Self { path: disk.path().into(), meta, owners, memories, vectors };
        disk.write(|txn| match schema.get(txn, "format")? {
            None => schema.put(txn, "format", &FORMAT),
            Some(FORMAT) => Ok(()),
            Some(found) => Err(MemoryError::Format { path: schema.path.clone(), found, known: FORMAT }.into()),
        })?;
        Ok(schema)
    }

    fn get<T: DeserializeOwned>(&self, txn: &RoTxn<WithoutTls>, name: &str) -> Result<Option<T>, Failure> {
        let Some(bytes) = self.meta.get(txn, name)? else { return Ok(None) };
        serde_json::from_slice(bytes).map(Some).map_err(|error| undecodable(format!("{name}: {error}")))
    }

    fn put<T: Serialize>(&self, txn: &mut RwTxn, name: &str, value: &T) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(value).map_err(|error| Failure::Lmdb(heed::Error::Encoding(Box::new(error))))?;
        Ok(self.meta.put(txn, name, &bytes)?)
    }

    /// The space of the store's vectors, whoever made them; none before the first.
    pub(super) fn any_space(&self, txn: &RoTxn<WithoutTls>) -> Result<Option<Space>, Failure> {
        self.get(txn, "space")
    }

    /// The space of the store's vectors, when they are an embedder's.
    pub(super) fn space(
        &self,
        txn: &RoTxn<WithoutTls>,
        embedder: &str,
        dimensions: usize,
    ) -> Result<Option<Space>, Failure> {
        match self.any_space(txn)? {
            Some(space) if space.dimensions != dimensions => {
                Err(MemoryError::Dimensions { stored: space.dimensions, given: dimensions }.into())
            }
            Some(space) if space.embedder != embedder => {
                Err(MemoryError::Embedder { stored: space.embedder, given: embedder.into() }.into())
            }
            space => Ok(space),
        }
    }

    /// As [`Schema::space`]; an empty store takes on the embedder's.
    pub(super) fn space_or_new(&self, txn: &mut RwTxn, embedder: &str, dimensions: usize) -> Result<Space, Failure> {
        let stored = self.any_space(txn)?;
        if stored.is_none() || self.memories.is_empty(txn)? {
            let generation = stored.as_ref().map_or(0, |space| space.generation);
            let space = Space { embedder: embedder.into(), dimensions, generation };
            if stored.as_ref() != Some(&space) {
                let generation = generation + 1;
                self.put(txn, "space", &Space { generation, ..space.clone() })?;
                return Ok(Space { generation, ..space });
            }
        }
        self.space(txn, embedder, dimensions)?.ok_or_else(|| undecodable("the space of the vectors is missing"))
    }

    pub(super) fn owners(&self, txn: &RoTxn<WithoutTls>) -> Result<Vec<(u16, String)>, Failure> {
        self.owners
            .iter(txn)?
            .map(|entry| entry.map(|(id, name)| (id, name.to_owned())).map_err(Failure::from))
            .collect()
    }

    pub(super) fn owner(&self, txn: &RoTxn<WithoutTls>, name: &str) -> Result<Option<u16>, Failure> {
        Ok(self.owners(txn)?.into_iter().find(|(_, owner)| owner == name).map(|(id, _)| id))
    }

    pub(super) fn owner_or_new(&self, txn: &mut RwTxn, name: &str) -> Result<u16, Failure> {
        if let Some(owner) = self.owner(txn, name)? {
            return Ok(owner);
        }
        let last = self.owners.last(txn)?.map(|(id, _)| id);
        let reason = || "it has 65536 owners, and there is no number left for another".to_owned();
        let next = last.map_or(Some(0), |last| last.checked_add(1));
        let next = next.ok_or_else(|| MemoryError::Store { path: self.path.clone(), reason: reason() })?;
        self.owners.put(txn, &next, name)?;
        Ok(next)
    }

    /// Writes a memory and its vector under a number that none has had before.
    pub(super) fn add(&self, txn: &mut RwTxn, space: &Space, record: &Record, vector: &[f32]) -> Result<u32, Failure> {
        let id: u32 = self.get(txn, "next-id")?.unwrap_or(1);
        let reason = || "4294967295 memories have been numbered, and there is no number left".to_owned();
        let next = id.checked_add(1).ok_or_else(|| MemoryError::Store { path: self.path.clone(), reason: reason() })?;
        self.put(txn, "next-id", &next)?;
        self.memories.put(txn, &id, record)?;
        self.put_vector(txn, VectorKey { generation: space.generation, owner: record.owner, id }, record.at, vector)?;
        Ok(id)
    }

    pub(super) fn put_vector(&self, txn: &mut RwTxn, key: VectorKey, at: i64, vector: &[f32]) -> Result<(), Failure> {
        let mut value = Vec::with_capacity(8 + vector.len() * 4);
        value.extend(at.to_le_bytes());
        value.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
        Ok(self.vectors.put(txn, &key.bytes(), &value)?)
    }

    pub(super) fn record(&self, txn: &RoTxn<WithoutTls>, id: u32) -> Result<Option<Record>, Failure> {
        Ok(self.memories.get(txn, &id)?)
    }

    /// Removes a memory and its vectors; whose it was, and the space it was in.
    pub(super) fn remove(&self, txn: &mut RwTxn, id: u32) -> Result<Option<(u16, Option<Space>)>, Failure> {
        let Some(record) = self.record(txn, id)? else { return Ok(None) };
        self.memories.delete(txn, &id)?;
        let space = self.any_space(txn)?;
        let next: Option<Space> = self.get(txn, "next-space")?;
        for space in [&space, &next].into_iter().flatten() {
            self.vectors.delete(txn, &VectorKey { generation: space.generation, owner: record.owner, id }.bytes())?;
        }
        Ok(Some((record.owner, space)))
    }

    pub(super) fn all_ids(&self, txn: &RoTxn<WithoutTls>) -> Result<Vec<u32>, Failure> {
        let keys = self.memories.remap_data_type::<heed::types::DecodeIgnore>();
        keys.iter(txn)?.map(|entry| entry.map(|(id, ())| id).map_err(Failure::from)).collect()
    }

    /// The ids of an owner's memories after one, ascending.
    pub(super) fn ids(
        &self,
        txn: &RoTxn<WithoutTls>,
        space: &Space,
        owner: u16,
        after: u32,
    ) -> Result<Vec<u32>, Failure> {
        let mut ids = Vec::new();
        self.each(txn, space, owner, after, |id, _| {
            ids.push(id);
            true
        })?;
        Ok(ids)
    }

    /// Shows an owner's vectors after an id, ascending, until `visit` declines.
    fn each<'t>(
        &self,
        txn: &'t RoTxn<WithoutTls>,
        space: &Space,
        owner: u16,
        after: u32,
        mut visit: impl FnMut(u32, &'t [u8]) -> bool,
    ) -> Result<(), Failure> {
        let Some(first) = after.checked_add(1) else { return Ok(()) };
        let [from, to] = [first, u32::MAX].map(|id| VectorKey { generation: space.generation, owner, id }.bytes());
        for entry in self.vectors.range(txn, &between(&from, &to))? {
            let (key, value) = entry?;
            if !visit(VectorKey::id_of(key)?, value) {
                break;
            }
        }
        Ok(())
    }

    /// The nearness of an owner's memories after an id, by comparing each.
    pub(super) fn scan(
        &self,
        txn: &RoTxn<WithoutTls>,
        space: &Space,
        owner: u16,
        after: u32,
        query: &[f32],
    ) -> Result<Vec<Candidate>, Failure> {
        let mut candidates = Vec::new();
        let mut bad = None;
        self.each(txn, space, owner, after, |id, value| {
            match compare(id, value, query) {
                Some(candidate) => candidates.push(candidate),
                None => bad = Some(id),
            }
            bad.is_none()
        })?;
        match bad {
            None => Ok(candidates),
            Some(id) => Err(undecodable(format!("the vector of memory {id} is not {} numbers long", query.len()))),
        }
    }

    /// The nearness of one memory, when it is still there.
    pub(super) fn candidate(
        &self,
        txn: &RoTxn<WithoutTls>,
        space: &Space,
        owner: u16,
        id: u32,
        query: &[f32],
    ) -> Result<Option<Candidate>, Failure> {
        let key = VectorKey { generation: space.generation, owner, id };
        Ok(self.vectors.get(txn, &key.bytes())?.and_then(|value| compare(id, value, query)))
    }

    /// At most `limit` of an owner's vectors after an id, ascending.
    pub(super) fn vectors_after(
        &self,
        txn: &RoTxn<WithoutTls>,
        space: &Space,
        owner: u16,
        after: u32,
        limit: usize,
    ) -> Result<Vec<(u32, Vec<f32>)>, Failure> {
        let mut vectors = Vec::new();
        self.each(txn, space, owner, after, |id, value| {
            let numbers = value.get(8..).unwrap_or_default().as_chunks::<4>().0;
            vectors.push((id, numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()));
            vectors.len() < limit
        })?;
        Ok(vectors)
    }

    /// The space that a reindexing fills: the one that an interrupted run has begun, when it is the same embedder's.
    pub(super) fn next_space(&self, txn: &mut RwTxn, embedder: &str, dimensions: usize) -> Result<Space, Failure> {
        let begun: Option<Space> = self.get(txn, "next-space")?;
        if let Some(begun) = &begun {
            if begun.embedder == embedder && begun.dimensions == dimensions {
                return Ok(begun.clone());
            }
            self.drop_generation(txn, begun.generation)?;
        }
        let used = [begun, self.any_space(txn)?].into_iter().flatten().map(|space| space.generation).max();
        let next = Space { embedder: embedder.into(), dimensions, generation: used.unwrap_or(0) + 1 };
        self.put(txn, "next-space", &next)?;
        Ok(next)
    }

    /// At most `limit` memories that have no vector in a space, how many such there are, and how many memories.
    pub(super) fn missing(
        &self,
        txn: &RoTxn<WithoutTls>,
        space: &Space,
        limit: usize,
    ) -> Result<((Vec<(u32, Record)>, usize), usize), Failure> {
        let mut first = Vec::new();
        let (mut missing, mut total) = (0, 0);
        for entry in self.memories.iter(txn)? {
            let (id, record) = entry?;
            total += 1;
            let key = VectorKey { generation: space.generation, owner: record.owner, id };
            if self.vectors.get(txn, &key.bytes())?.is_none() {
                missing += 1;
                if first.len() < limit {
                    first.push((id, record));
                }
            }
        }
        Ok(((first, missing), total))
    }

    /// Makes a space that is complete the store's, and drops the old vectors; whether it was complete.
    pub(super) fn adopt(&self, txn: &mut RwTxn, next: &Space) -> Result<bool, Failure> {
        if self.missing(txn, next, 1)?.0.1 > 0 {
            return Ok(false);
        }
        if let Some(old) = self.any_space(txn)?.filter(|old| old.generation != next.generation) {
            self.drop_generation(txn, old.generation)?;
        }
        self.put(txn, "space", next)?;
        self.meta.delete(txn, "next-space")?;
        Ok(true)
    }

    fn drop_generation(&self, txn: &mut RwTxn, generation: u32) -> Result<(), Failure> {
        let from = VectorKey { generation, owner: 0, id: 0 }.bytes();
        let to = VectorKey { generation, owner: u16::MAX, id: u32::MAX }.bytes();
        self.vectors.delete_range(txn, &between(&from, &to))?;
        Ok(())
    }
}

/// A range that includes both ends.
fn between<'a>(from: &'a [u8], to: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(from), Bound::Included(to))
}

/// The nearness of a stored vector to a query; none when it is of another length.
fn compare(id: u32, value: &[u8], query: &[f32]) -> Option<Candidate> {
    let (at, numbers) = value.split_first_chunk::<8>()?;
    let (numbers, rest) = numbers.as_chunks::<4>();
    if numbers.len() != query.len() || !rest.is_empty() {
        return None;
    }
    // Eight sums side by side, which the compiler turns into one vector instruction.
    let mut sums = [0.0; 8];
    let (groups, last) = numbers.as_chunks::<8>();
    let (queries, last_queries) = query.as_chunks::<8>();
    for (group, query) in groups.iter().zip(queries) {
        for lane in 0..8 {
            sums[lane] += f32::from_le_bytes(group[lane]) * query[lane];
        }
    }
    let rest: f32 = last.iter().zip(last_queries).map(|(number, query)| f32::from_le_bytes(*number) * query).sum();
    Some(Candidate { id, score: sums.iter().sum::<f32>() + rest, at: i64::from_le_bytes(*at) })
}

fn undecodable(reason: impl Into<String>) -> Failure {
    Failure::Lmdb(heed::Error::Decoding(reason.into().into()))
}
