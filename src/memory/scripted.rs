//! A memory without a model and without a disk, for tests and scripts.

use serde::{Deserialize, Serialize};

use super::{
    LongTerm, Memory, MemoryError, MemoryId, MemoryReply, MemoryRequest, Speaker,
    embedder::{Embed, cosine, normalise},
    engine::now,
    ranking::{Candidate, Distinct, Ranking},
};
use crate::worker::{Engine, EngineError, Turn};

/// What a scripted memory knows from the beginning.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedConfig {
    /// Whose memories these are.
    pub owner: String,
    /// Facts, as if added by hand long ago.
    pub facts: Vec<String>,
    /// Which memories are brought back.
    pub ranking: Ranking,
}

/// Remembers in this process; what it recalls has words in common with the query.
pub struct ScriptedMemory {
    embedder: NGrams,
    memories: Vec<(Memory, Vec<f32>)>,
    next: u32,
    ranking: Ranking,
}

impl ScriptedMemory {
    /// A memory that knows its configuration's facts.
    pub fn new(config: &ScriptedConfig) -> Self {
        let mut memory = Self { embedder: NGrams::default(), memories: Vec::new(), next: 1, ranking: config.ranking };
        for fact in &config.facts {
            memory.remember(config.owner.clone(), Speaker::Note, fact.clone(), 0);
        }
        memory
    }

    fn remember(&mut self, owner: String, speaker: Speaker, text: String, at: i64) -> MemoryId {
        let id = MemoryId(self.next);
        self.next += 1;
        let vector = self.embedder.embed(&text);
        self.memories.push((Memory { id, owner, speaker, text, at, score: 0.0 }, vector));
        id
    }

    fn recall(&self, owner: &str, query: &str, limit: usize, before: Option<i64>) -> Vec<Memory> {
        let query = self.embedder.embed(query);
        let own = self.memories.iter().filter(|(memory, _)| memory.owner == owner);
        let mut candidates: Vec<_> = own
            .map(|(memory, vector)| Candidate { id: memory.id.0, score: cosine(&query, vector), at: memory.at })
            .collect();
        self.ranking.order(&mut candidates, before, now());
        let mut distinct = Distinct::default();
        let chosen = candidates.iter().filter_map(|candidate| {
            let (memory, _) = self.memories.iter().find(|(memory, _)| memory.id.0 == candidate.id)?;
            distinct.insert(&memory.text).then(|| Memory { score: candidate.score, ..memory.clone() })
        });
        chosen.take(limit).collect()
    }

    fn forget(&mut self, id: MemoryId) -> bool {
        let before = self.memories.len();
        self.memories.retain(|(memory, _)| memory.id != id);
        self.memories.len() < before
    }
}

impl Engine<LongTerm> for ScriptedMemory {
    fn serve(&mut self, request: MemoryRequest, turn: &Turn<LongTerm>) -> Result<(), EngineError> {
        turn.emit(match request {
            MemoryRequest::Remember { owner, speaker, text, at } => {
                MemoryReply::Remembered(self.remember(owner, speaker, text, at))
            }
            MemoryRequest::Recall { owner, query, limit, before } => {
                MemoryReply::Recollections(self.recall(&owner, &query, limit, before))
            }
            MemoryRequest::Forget(id) => MemoryReply::Forgotten(self.forget(id)),
        })
    }
}

/// An embedder that needs no model: pairs of neighbouring characters, hashed. It knows spellings, not meanings.
#[derive(Clone, Debug)]
pub struct NGrams {
    /// The length of a vector.
    pub dimensions: usize,
}

impl Default for NGrams {
    fn default() -> Self {
        Self { dimensions: 256 }
    }
}

impl NGrams {
    fn embed(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        let letters = text.to_lowercase();
        for word in letters.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            // Enclosed, so that a single character is a pair, too.
            let word: Vec<char> = ['^'].into_iter().chain(word.chars()).chain(['$']).collect();
            for pair in word.windows(2) {
                vector[hash(pair) as usize % self.dimensions] += 1.0;
            }
        }
        normalise(&mut vector);
        vector
    }
}

/// FNV-1a over whole characters, then mixed downward, so that the low bits depend on all of them.
fn hash(pair: &[char]) -> u64 {
    let hash = pair.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, letter| {
        (hash ^ u64::from(u32::from(*letter))).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

impl Embed for NGrams {
    fn name(&self) -> &str {
        "n-grams"
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn passage(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        Ok(self.embed(text))
    }

    fn query(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        Ok(self.embed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryReply::{Forgotten, Recollections, Remembered};

    fn ask(memory: &mut ScriptedMemory, request: MemoryRequest) -> MemoryReply {
        let (turn, replies) = Turn::detached();
        memory.serve(request, &turn).unwrap();
        replies.drain().next().unwrap()
    }

    fn recall(memory: &mut ScriptedMemory, owner: &str, query: &str) -> Vec<String> {
        let request = MemoryRequest::Recall { owner: owner.into(), query: query.into(), limit: 3, before: None };
        match ask(memory, request) {
            Recollections(memories) => memories.into_iter().map(|memory| memory.text).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn facts_are_recalled_by_their_words_and_for_their_owner_only() {
        let facts = ["My cat is called Mochi", "我最喜欢的颜色是蓝色"].map(String::from).into();
        let config = ScriptedConfig { owner: "Aya".into(), facts, ..ScriptedConfig::default() };
        let mut memory = ScriptedMemory::new(&config);
        assert_eq!(recall(&mut memory, "Aya", "what is my cat called?"), ["My cat is called Mochi"]);
        assert_eq!(recall(&mut memory, "Aya", "我喜欢什么颜色"), ["我最喜欢的颜色是蓝色"]);
        assert!(recall(&mut memory, "Bo", "what is my cat called?").is_empty());
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let mut memory = ScriptedMemory::new(&ScriptedConfig::default());
        let remember = MemoryRequest::Remember {
            owner: "Aya".into(),
            speaker: Speaker::User,
            text: "I like green tea".into(),
            at: 5,
        };
        assert_eq!(ask(&mut memory, remember), Remembered(MemoryId(1)));
        assert_eq!(ask(&mut memory, MemoryRequest::Forget(MemoryId(1))), Forgotten(true));
        assert_eq!(ask(&mut memory, MemoryRequest::Forget(MemoryId(1))), Forgotten(false));
        assert!(recall(&mut memory, "Aya", "green tea").is_empty());
    }

    #[test]
    fn an_unknown_option_is_refused() {
        let config = r#"{ "owner": "Aya", "path": "/tmp" }"#;
        serde_json::from_str::<ScriptedConfig>(config).expect_err("no such option");
    }
}
