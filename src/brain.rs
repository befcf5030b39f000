//! The brain: a [`Prompt`] in, [`Token`]s out, tagged with emotions by a grammar.

pub mod gguf;
pub mod protocol;
pub mod reply;
pub mod sampler;
pub mod scripted;
pub mod template;
pub mod vocabulary;

use std::path::PathBuf;

use bevy::app::{App, Plugin};
use serde::{Deserialize, Serialize};

use crate::{
    emotion::EmotionSet,
    worker::{EngineError, Stage, Worker, add_worker},
};
use gguf::{GgufBrain, GgufConfig};
use scripted::{ScriptedBrain, ScriptedConfig};

/// The brain stage: [`Prompt`] → [`Token`]s.
#[derive(Debug)]
pub struct Brain;

impl Stage for Brain {
    const NAME: &'static str = "brain";
    const INBOX: usize = 8;
    type Request = Prompt;
    type Output = Token;
}

/// Who a message is from, in the chat template's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The companion.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who it is from.
    pub role: Role,
    /// What it says. The companion's carry their tags, as the model wrote them.
    pub content: String,
}

/// What the brain is asked: the conversation so far, ending with what the person said.
///
/// The longer the prefix it shares with the previous prompt of the same companion, the sooner the first token comes:
/// put what changes late.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The tags the reply may use.
    pub emotions: EmotionSet,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// How tokens are drawn from the model's distribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy; around 0.7 is lively.
    pub temperature: f32,
    /// Keep the smallest set of tokens whose probability reaches this, 0..=1; 1 keeps all.
    pub top_p: f32,
    /// Keep this many most probable tokens; 0 keeps all.
    pub top_k: usize,
    /// Drop tokens less probable than this fraction of the most probable, 0..=1.
    pub min_p: f32,
    /// Divide (or multiply, when negative) the logits of recent tokens by this; 1 is off.
    pub repetition_penalty: f32,
    /// How many recent tokens the penalty sees.
    pub repetition_window: usize,
    /// The seed of the draw; none draws one from the system.
    pub seed: Option<u64>,
    /// The most tokens of one reply. With 0 the prompt is only read, so that one which begins with it is answered sooner.
    pub max_tokens: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.9,
            top_k: 40,
            min_p: 0.05,
            repetition_penalty: 1.1,
            repetition_window: 64,
            seed: None,
            max_tokens: 160,
        }
    }
}

/// What the brain streams back.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// The next piece of the reply, tags included; always whole characters.
    Text(String),
    /// The reply has ended.
    End(Usage),
}

/// What a reply cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in the prompt.
    pub prompt_tokens: usize,
    /// Of these, how many were still in the KV cache.
    pub cached_tokens: usize,
    /// Tokens drawn.
    pub reply_tokens: usize,
    /// Seconds from the request to the first token.
    pub first_token_seconds: f64,
    /// Seconds from the first token to the last.
    pub decode_seconds: f64,
}

/// Which engine thinks, and how it is configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BrainConfig {
    /// A language model in a GGUF file.
    Gguf(GgufConfig),
    /// Replies written beforehand, for tests.
    Scripted(ScriptedConfig),
}

impl Default for BrainConfig {
    fn default() -> Self {
        Self::Gguf(GgufConfig::default())
    }
}

/// Starts the worker that a configuration names. The engine loads on the worker's thread.
pub fn worker(config: &BrainConfig) -> Worker<Brain> {
    match config.clone() {
        BrainConfig::Gguf(config) => Worker::spawn(move || GgufBrain::load(&config).map_err(EngineError::failed)),
        BrainConfig::Scripted(config) => Worker::spawn(move || Ok(ScriptedBrain::new(config.clone()))),
    }
}

/// Adds the brain as configured; its engine loads on the worker's thread.
#[derive(Clone, Debug, Default)]
pub struct BrainPlugin {
    /// Which engine, and how.
    pub config: BrainConfig,
}

impl Plugin for BrainPlugin {
    fn build(&self, app: &mut App) {
        add_worker(app, worker(&self.config));
    }
}

/// What can go wrong between a prompt and a reply.
#[derive(Debug, thiserror::Error)]
pub enum BrainError {
    /// The model file is missing or not readable.
    #[error("the language model {path} cannot be opened: {source}; run `companion models pull`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The model file is truncated or damaged.
    #[error("{path} is not a whole GGUF file: {reason}; run `companion models verify`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is of a family whose forward pass is not implemented.
    #[error("{path} is a `{found}` model; supported are `llama` (also Mistral, SmolLM2) and `qwen2` (also Qwen2.5)")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// Its `general.architecture`.
        found: String,
    },
    /// The model is of a supported family, but has something that is not implemented.
    #[error("{path} needs {what}, which is not supported; use another model or another quantisation of it")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it needs.
        what: String,
    },
    /// The chat template is no valid Jinja, or refuses the conversation.
    #[error("the model's chat template failed: {0}")]
    Template(String),
    /// Text could not be cut into tokens.
    #[error("text could not be cut into tokens: {0}")]
    Tokenize(String),
    /// The prompt does not fit, even without the older messages.
    #[error(
        "the prompt and its reply take {tokens} tokens, the context holds {context}: shorten the persona, or raise `context`"
    )]
    TooLong {
        /// Tokens of the prompt with the room its reply needs.
        tokens: usize,
        /// The configured context.
        context: usize,
    },
    /// No token of the vocabulary continues the reply: a label that the tokenizer cannot spell, or logits that are all NaN.
    #[error("the model offers no token that the emotion grammar allows; check the persona's labels and the model file")]
    DeadEnd,
    /// A script has no reply left.
    #[error("the script's {replies} replies are used up; add one, or set `exhausted = \"echo\"`")]
    Exhausted {
        /// How many there were.
        replies: usize,
    },
    /// The forward pass failed.
    #[error("inference failed: {0}")]
    Inference(#[from] candle_core::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_named_in_toml_and_a_misspelt_setting_is_an_error() {
        let config: BrainConfig = toml::from_str("engine = \"gguf\"\nmodel = \"a.gguf\"\ncontext = 2048").unwrap();
        let expected = GgufConfig { model: "a.gguf".into(), context: 2048, ..GgufConfig::default() };
        assert_eq!(config, BrainConfig::Gguf(expected));
        let misspelt = toml::from_str::<BrainConfig>("engine = \"gguf\"\ncontex = 2048").unwrap_err().to_string();
        assert!(misspelt.contains("contex"), "{misspelt}");
        let scripted: BrainConfig =
            toml::from_str("engine = \"scripted\"\nreplies = [\"[happy] Hi\"]\nexhausted = \"echo\"").unwrap();
        assert!(matches!(scripted, BrainConfig::Scripted(config) if config.replies.len() == 1));
    }
}
