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
    store::{Search, Store},
};
use crate::worker::{Engine, EngineError, Turn};

/// An embedding model and a store on disk.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LmdbConfig {
    /// The folder of the embedding model: `model.safetensors`, `tokenizer.json` and `config.json`.
    pub model: PathBuf,
    /// The folder of the store. It is made when it is missing.
    pub store: PathBuf,
    /// How the model was trained to be asked.
    pub embedder: EmbedderConfig,
    /// Which memories are brought back.
    pub ranking: Ranking,
    /// When a search has to scan more memories than this, they are indexed in the background.
    pub index_after: usize,
}

impl Default for LmdbConfig {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            store: PathBuf::new(),
            embedder: EmbedderConfig::default(),
            ranking: Ranking::default(),
            index_after: 10_000,
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
        let store = Store::open(&config.store, config.index_after)?;
        let embedder = TextEmbedder::load(&config.model, &config.embedder)?;
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
