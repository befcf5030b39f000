//! The index: trees of random planes (arroy) over an owner's vectors, for stores that are too large to scan.
//!
//! It is derived from the store, so it lives in an environment of its own. Building it, which takes seconds and one long
//! transaction, holds up no one who remembers; and when it is missing, damaged or of another generation, the store is
//! scanned instead until it has been built again.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use arroy::{Reader, Writer, distances::Cosine};
use heed::{
    Database,
    byteorder::BigEndian,
    types::{SerdeJson, U16},
};
use rand::{SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{
    super::MemoryError,
    disk::{Disk, Failure},
    schema::{Schema, Space},
};

/// Vectors that are read from the store at once, so that no reader of it lives long.
const BATCH: usize = 4096;
/// How many more candidates than asked for the trees are made to yield: recall for time.
const OVERSAMPLING: usize = 4;

/// What has been indexed of an owner.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Built {
    generation: u32,
    /// Every memory up to this id is in the index, or forgotten.
    upto: u32,
}

/// The index of a store.
pub(super) struct Index {
    trees: Option<Arc<Trees>>,
    stop: Arc<AtomicBool>,
    builder: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Opens the index in a folder, or begins a new one. What cannot be used is a warning and an empty index.
    pub(super) fn open(folder: &Path, store: Disk, schema: Schema) -> Self {
        let trees = Trees::open(folder, &store, &schema).or_else(|error| {
            warn!("{error}: building the index anew");
            // Whoever has it open keeps what it sees.
            let _ = fs::remove_dir_all(folder);
            Trees::open(folder, &store, &schema)
        });
        let trees = trees.inspect_err(|error| warn!("{error}: searching without an index")).ok();
        Self { trees: trees.map(Arc::new), stop: Arc::default(), builder: Mutex::default() }
    }

    /// The id up to which the index answers for an owner's memories; 0 when it answers for none.
    pub(super) fn covers(&self, owner: u16, space: &Space) -> u32 {
        let built = self.trees.as_ref().and_then(|trees| trees.built(owner).ok().flatten());
        built.filter(|built| built.generation == space.generation).map_or(0, |built| built.upto)
    }

    /// The ids of the vectors that are likely the nearest, at most `count`.
    pub(super) fn nearest(&self, owner: u16, query: &[f32], count: usize) -> Vec<u32> {
        let Some(trees) = &self.trees else { return Vec::new() };
        trees.nearest(owner, query, count).unwrap_or_else(|error| {
            warn!("{error}");
            Vec::new()
        })
    }

    /// Builds an owner's part of the index and waits for it.
    pub(super) fn build(
        &self,
        owner: u16,
        space: &Space,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), MemoryError> {
        self.trees.as_ref().map_or(Ok(()), |trees| trees.build(owner, space, cancelled))
    }

    /// Builds an owner's part of the index on a thread of its own, unless one is at work already.
    pub(super) fn build_in_background(&self, owner: u16, space: Space) {
        let Some(trees) = self.trees.clone() else { return };
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        if builder.as_ref().is_some_and(|builder| !builder.is_finished()) {
            return;
        }
        let stop = self.stop.clone();
        let work = move || match trees.build(owner, &space, &|| stop.load(Ordering::Relaxed)) {
            Ok(()) => info!("the memory index is up to date"),
            Err(error) => warn!("the memory index was not built: {error}"),
        };
        match thread::Builder::new().name("memory-index".into()).spawn(work) {
            Ok(handle) => *builder = Some(handle),
            Err(error) => warn!("the memory index was not built: {error}"),
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let builder = self.builder.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(builder) = builder {
            let _ = builder.join();
        }
    }
}

struct Trees {
    disk: Disk,
    trees: arroy::Database<'static, Cosine>,
    built: Database<'static, U16<BigEndian>, SerdeJson<Built>>,
    store: Disk,
    schema: Schema,
}

impl Trees {
    fn open(folder: &Path, store: &Disk, schema: &Schema) -> Result<Self, MemoryError> {
        let disk = Disk::open(folder, None)?;
        let (trees, built) = disk.databases(|opener, txn| {
            let trees = opener.create_database(txn, Some("trees"))?;
            Ok((trees, opener.create_database(txn, Some("built"))?))
        })?;
        Ok(Self { disk, trees, built, store: store.clone(), schema: schema.clone() })
    }

    fn built(&self, owner: u16) -> Result<Option<Built>, MemoryError> {
        self.disk.read(|txn| Ok(self.built.get(txn, &owner)?))
    }

    fn nearest(&self, owner: u16, query: &[f32], count: usize) -> Result<Vec<u32>, MemoryError> {
        self.disk.read(|txn| {
            let reader = Reader::<Cosine>::open(txn, owner, self.trees)?;
            let mut nearest = reader.nns(count);
            if let Some(oversampling) = std::num::NonZeroUsize::new(OVERSAMPLING) {
                nearest.oversampling(oversampling);
            }
            Ok(nearest.by_vector(txn, query)?.into_iter().map(|(id, _)| id).collect())
        })
    }

    /// Brings an owner's trees up to date with the store: adds what is new, removes what is forgotten.
    fn build(&self, owner: u16, space: &Space, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<(), MemoryError> {
        // Half the cores: whoever talks meanwhile needs the rest.
        let threads = (thread::available_parallelism().map_or(1, usize::from) / 2).max(1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|_| "memory-index".into()).build();
        let pool = pool.map_err(|error| self.disk.failed(Failure::from(std::io::Error::other(error))))?;
        pool.install(|| self.build_here(owner, space, cancelled))
    }

    fn build_here(&self, owner: u16, space: &Space, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<(), MemoryError> {
        let live = self.store.read(|txn| self.schema.ids(txn, space, owner, 0))?;
        let known =
            self.built(owner)?.filter(|built| built.generation == space.generation).map_or(0, |built| built.upto);
        let new = live.len() - live.partition_point(|id| *id <= known);
        self.disk.reserve(new * (space.dimensions * 12 + 2048))?;
        self.disk.write(|txn| {
            let writer = Writer::<Cosine>::new(self.trees, owner, space.dimensions);
            if known == 0 {
                writer.clear(txn)?;
            } else {
                let reader_ids: Vec<u32> = {
                    let reader = Reader::<Cosine>::open(txn, owner, self.trees)?;
                    reader.item_ids().iter().collect()
                };
                for id in reader_ids.into_iter().filter(|id| live.binary_search(id).is_err()) {
                    writer.del_item(txn, id)?;
                }
            }
            let mut upto = known;
            loop {
                let batch = self.store.read(|txn| self.schema.vectors_after(txn, space, owner, upto, BATCH))?;
                let Some((last, _)) = batch.last() else { break };
                upto = *last;
                for (id, vector) in &batch {
                    writer.add_item(txn, *id, vector)?;
                }
                if cancelled() {
                    return Err(self.cancelled());
                }
            }
            let mut rng = StdRng::seed_from_u64(u64::from(owner));
            let mut builder = writer.builder(&mut rng);
            match builder.cancel(cancelled).build(txn) {
                Err(arroy::Error::BuildCancelled) => return Err(self.cancelled()),
                built => built?,
            }
            self.built.put(txn, &owner, &Built { generation: space.generation, upto })?;
            Ok(())
        })
    }

    fn cancelled(&self) -> Failure {
        MemoryError::Store { path: self.disk.path().into(), reason: "the building of the index was cancelled".into() }
            .into()
    }
}
