//! Long-term memory: remember, recall, forget.

pub mod embedder;
pub mod scripted;
pub mod store;

use serde::{Deserialize, Serialize};

use crate::worker::Stage;

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
