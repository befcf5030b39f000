//! Long-term memory: remember, recall, forget.
//!
//! A [`MemoryEngine`] joins an embedder, which turns a text into a vector, to a [`store`], which keeps texts and vectors on
//! disk. What it has acknowledged as remembered is on the disk; what it recalls is the same after a restart.

pub mod embedder;
mod engine;
pub mod ranking;
pub mod scripted;
pub mod store;

use std::path::{Path, PathBuf};

use bevy::app::{App, Plugin};
use serde::{Deserialize, Serialize};

pub use self::engine::{LmdbConfig, MemoryEngine};
use self::scripted::{ScriptedConfig, ScriptedMemory};
use crate::worker::{EngineError, Stage, Worker, add_worker};

/// The memory stage: [`MemoryRequest`] → [`MemoryReply`].
#[derive(Debug)]
pub struct LongTerm;

impl Stage for LongTerm {
    const NAME: &'static str = "memory";
    const INBOX: usize = 64;
    type Request = MemoryRequest;
    type Output = MemoryReply;
}

/// A memory's number in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryId(pub u32);

/// Who said what is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The person.
    #[default]
    User,
    /// The companion.
    Companion,
    /// Neither: a fact added by hand.
    Note,
}

/// One memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Its number.
    pub id: MemoryId,
    /// Whose store it is in: the companion's persona name, so that two companions keep apart what they know.
    pub owner: String,
    /// Who said it.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// Cosine similarity to the query that brought it up, −1..=1; 0 when it was not searched for.
    #[serde(default)]
    pub score: f32,
}

/// What memory is asked.
#[derive(Clone, Debug)]
pub enum MemoryRequest {
    /// Remember this. Send it with a standing ticket. Answered by [`MemoryReply::Remembered`] once it is on disk.
    Remember {
        /// Whose memory.
        owner: String,
        /// Who said it.
        speaker: Speaker,
        /// What was said.
        text: String,
        /// When, in seconds since the Unix epoch.
        at: i64,
    },
    /// Bring back what is relevant to a text. Answered by [`MemoryReply::Recollections`].
    Recall {
        /// Whose memory.
        owner: String,
        /// What it should be relevant to.
        query: String,
        /// How many at most.
        limit: usize,
        /// Only what was said before this moment, in seconds since the Unix epoch: a session's start keeps out what its
        /// history still holds.
        before: Option<i64>,
    },
    /// Forget one memory for good. Answered by [`MemoryReply::Forgotten`].
    Forget(MemoryId),
}

/// What memory answers.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryReply {
    /// It is on disk under this number.
    Remembered(MemoryId),
    /// The most relevant first.
    Recollections(Vec<Memory>),
    /// Whether there was such a memory.
    Forgotten(bool),
}

/// Which engine remembers.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "engine", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MemoryConfig {
    /// An embedding model and a store on disk.
    Lmdb(LmdbConfig),
    /// Words in common, kept in this process only.
    Scripted(ScriptedConfig),
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self::Lmdb(LmdbConfig::default())
    }
}

/// Starts the worker of a configuration. A model that is missing makes it [unavailable](crate::worker::WorkerStatus).
pub fn worker(config: &MemoryConfig) -> Worker<LongTerm> {
    match config.clone() {
        MemoryConfig::Lmdb(config) => Worker::spawn(move || MemoryEngine::load(&config).map_err(EngineError::failed)),
        MemoryConfig::Scripted(config) => Worker::spawn(move || Ok(ScriptedMemory::new(&config))),
    }
}

/// Adds memory as configured; its engine loads on the worker's thread.
#[derive(Clone, Debug, Default)]
pub struct MemoryPlugin {
    /// Which engine, and how.
    pub config: MemoryConfig,
}

impl Plugin for MemoryPlugin {
    fn build(&self, app: &mut App) {
        add_worker(app, worker(&self.config));
    }
}

/// Why memory failed.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The embedding model is missing, damaged or of a form that is not known.
    #[error("the embedding model cannot be used: {path}: {reason}; run `companion models pull e5-small`")]
    Model {
        /// The file or folder.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// The embedder makes vectors of another length than the store holds.
    #[error(
        "the store holds {stored}-dimensional vectors, but the embedder makes {given}: run `companion memory reindex`"
    )]
    Dimensions {
        /// What the store holds.
        stored: usize,
        /// What the embedder makes.
        given: usize,
    },
    /// The store's vectors were made by another embedder, so the new ones could not be compared with them.
    #[error("the store's vectors were made by {stored}, but the embedder is {given}: run `companion memory reindex`")]
    Embedder {
        /// Who made what the store holds.
        stored: String,
        /// Who would add to it.
        given: String,
    },
    /// The store was written by a newer version.
    #[error("the store {path} is of format {found}, but this version knows {known}: use a newer `companion`")]
    Format {
        /// The store's folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What this version reads and writes.
        known: u32,
    },
    /// The store is damaged.
    #[error("the store {path} is damaged: {reason}; restore it from a copy, or move it away and begin a new one")]
    Damaged {
        /// The store's folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no room for another memory. What was there before still is.
    #[error(
        "the disk that holds {path} is full, so this was not remembered; nothing older is lost. Make room and try again"
    )]
    Full {
        /// The store's folder.
        path: PathBuf,
    },
    /// The store cannot be opened, read or written.
    #[error("the store {path}: {reason}")]
    Store {
        /// The store's folder.
        path: PathBuf,
        /// What the system or the database said.
        reason: String,
    },
}

impl MemoryError {
    fn model(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        Self::Model { path: path.as_ref().into(), reason: reason.to_string() }
    }
}
