//! The engine of the memory stage: an embedder and a store.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    LongTerm, MemoryError, MemoryReply, MemoryRequest,
    embedder::{Embed, EmbedderConfig, TextEmbedder},
    ranking::Ranking,
    store::{Search, Store, StoreConfig},
};
use crate::worker::{Engine, EngineError, Turn};

/// An embedding model and a store on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LmdbConfig {
    /// What turns a text into a vector.
    pub embedder: EmbedderConfig,
    /// Where memories are kept.
    pub store: StoreConfig,
    /// Which of them are brought back.
    pub ranking: Ranking,
}

impl LmdbConfig {
    /// The model in one folder, the store in another, the rest as it is by default.
    pub fn new(model: impl Into<PathBuf>, store: impl Into<PathBuf>) -> Self {
        Self {
            embedder: EmbedderConfig { model: model.into(), ..EmbedderConfig::default() },
            store: StoreConfig { path: store.into(), ..StoreConfig::default() },
            ranking: Ranking::default(),
        }
    }
}

/// Remembers, recalls and forgets.
pub struct MemoryEngine {
    embedder: Box<dyn Embed>,
    store: Store,
    ranking: Ranking,
}

impl MemoryEngine {
    /// Opens the store and loads the model.
    ///
    /// # Errors
    /// [`MemoryError`]: the model or the store cannot be used, or they do not belong together.
    pub fn load(config: &LmdbConfig) -> Result<Self, MemoryError> {
        let store = Store::open(&config.store)?;
        let embedder = TextEmbedder::load(&config.embedder)?;
        Self::new(Box::new(embedder), store, config.ranking)
    }

    /// Joins an embedder and a store.
    ///
    /// # Errors
    /// [`MemoryError::Dimensions`] or [`MemoryError::Embedder`] when the store holds another embedder's vectors.
    pub fn new(embedder: Box<dyn Embed>, store: Store, ranking: Ranking) -> Result<Self, MemoryError> {
        store.check(embedder.as_ref())?;
        Ok(Self { embedder, store, ranking })
    }
}

impl Engine<LongTerm> for MemoryEngine {
    fn serve(&mut self, request: MemoryRequest, turn: &Turn<LongTerm>) -> Result<(), EngineError> {
        let embedder = self.embedder.as_ref();
        match request {
            MemoryRequest::Remember { owner, speaker, text, at } => {
                let vector = embedder.passage(&text).map_err(EngineError::failed)?;
                let id = self.store.remember(embedder, &owner, speaker, &text, at, &vector);
                turn.emit(MemoryReply::Remembered(id.map_err(EngineError::failed)?))
            }
            MemoryRequest::Recall { owner, query, limit, before } => {
                let vector = embedder.query(&query).map_err(EngineError::failed)?;
                turn.check()?;
                let (ranking, now) = (self.ranking, now());
                let search = Search { owner: &owner, vector: &vector, limit, before, ranking, now };
                let found = self.store.search(embedder, &search).map_err(EngineError::failed)?;
                turn.emit(MemoryReply::Recollections(found))
            }
            MemoryRequest::Forget(id) => {
                let forgotten = self.store.forget(id).map_err(EngineError::failed)?;
                turn.emit(MemoryReply::Forgotten(forgotten))
            }
        }
    }
}

/// Seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
