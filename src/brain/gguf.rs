//! Language models in GGUF files: on the processor by our own kernels, on a GPU by candle.

mod blocks;
mod cpu;
mod device;
mod file;
mod model;
mod sequence;
mod shape;
mod tokenizer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use bevy::prelude::Entity;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use file::GgufFile;
use model::Model;
pub use sequence::Sequence;
use shape::ModelShape;
use tokenizer::Tokenizer;

use super::{
    Brain, BrainError, Message, Prompt, Role, Token, Usage,
    protocol::{Grammar, Lexicon},
    sampler::Sampler,
    template::ChatTemplate,
    vocabulary::{TokenKind, Vocabulary},
};
use crate::{
    emotion::EmotionSet,
    worker::{Engine, EngineError, Turn},
};

/// How [`GgufBrain`] is configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct GgufConfig {
    /// The model file.
    pub model: PathBuf,
    /// The longest prompt and reply together, in tokens; no more than the model was trained for.
    pub context: usize,
    /// How many companions' conversations are kept ready at once; the one not heard of for longest is dropped.
    pub conversations: usize,
    /// Where to compute.
    pub device: ComputeDevice,
    /// How many threads to compute with on the processor; one a core by default, at most eight.
    pub threads: Option<usize>,
}

impl Default for GgufConfig {
    fn default() -> Self {
        Self { model: PathBuf::new(), context: 4096, conversations: 4, device: ComputeDevice::default(), threads: None }
    }
}

/// Where a model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputeDevice {
    /// The best there is in this build and on this machine.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU; needs the `cuda` feature.
    Cuda,
    /// An Apple GPU; needs the `metal` feature.
    Metal,
}

impl ComputeDevice {
    /// The device; the CPU, with a warning, when the one asked for cannot be had.
    fn open(self) -> Device {
        let wanted = match self {
            Self::Cpu => return Device::Cpu,
            Self::Auto if !cfg!(any(feature = "cuda", feature = "metal")) => return Device::Cpu,
            Self::Cuda => Device::new_cuda(0),
            Self::Metal => Device::new_metal(0),
            Self::Auto if cfg!(feature = "cuda") => Device::new_cuda(0),
            Self::Auto => Device::new_metal(0),
        };
        wanted.unwrap_or_else(|error| {
            warn!("no {self:?} device ({error}); the language model runs on the CPU");
            Device::Cpu
        })
    }
}

/// The threads that a language model computes with unless it is told otherwise: one a core, at most eight. More gain
/// nothing, for a token is bound by memory.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8))
}

/// The threads that candle, which hears and embeds, should have: half of the machine's cores, at least one.
///
/// They wait for each other in a barrier at every product. Where they have to share cores with anything else, more of them
/// are slower, by a factor of ten at worst.
pub fn candle_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// Limits how many threads candle computes with in this process.
///
/// # Safety
/// It sets environment variables: call it at the start of `main`, while the process has one thread.
pub unsafe fn limit_threads(threads: usize) {
    for variable in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: the caller promises that no other thread runs.
        unsafe { std::env::set_var(variable, threads.max(1).to_string()) };
    }
}

/// A Llama- or Qwen2-family language model.
pub struct GgufBrain {
    model: Model,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    vocabulary: Arc<Vocabulary>,
    lexicon: Arc<Lexicon>,
    /// The grammars of the personas met so far.
    grammars: Vec<(EmotionSet, Grammar)>,
    /// The companions' conversations, the latest last.
    conversations: Vec<(Entity, Sequence)>,
    kept_conversations: usize,
    context: usize,
}

impl GgufBrain {
    /// Loads a model.
    ///
    /// # Errors
    /// [`BrainError`] when the file is missing, truncated or of an architecture that is not supported.
    pub fn load(config: &GgufConfig) -> Result<Self, BrainError> {
        let started = Instant::now();
        let file = GgufFile::open(&config.model)?;
        let shape = ModelShape::read(&file)?;
        let device = config.device.open();
        let context = config.context.clamp(1, shape.context);
        if context < config.context {
            warn!("{} was trained for {context} tokens, not {}", config.model.display(), config.context);
        }
        // Both take about as long, and neither needs the other.
        let threads = config.threads.unwrap_or_else(default_threads);
        let (tokenizer, model) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| Tokenizer::read(&file));
            let model = Model::load(&file, shape, context, &device, threads);
            (tokenizer.join(), model)
        });
        let tokenizer = tokenizer.map_err(|_| file.malformed("its tokenizer cannot be read"))?;
        let (tokenizer, model) = (tokenizer?, model?);
        if tokenizer.vocabulary().len() < model.vocabulary() {
            let (tokens, logits) = (tokenizer.vocabulary().len(), model.vocabulary());
            info!("the model has {logits} logits for {tokens} tokens; the rest are never drawn");
        }
        let template = ChatTemplate::new(file.text("tokenizer.chat_template"), &tokenizer.bos(), &tokenizer.eos())?;
        let vocabulary = Arc::new(tokenizer.vocabulary().clone());
        let lexicon = Arc::new(Lexicon::new(&vocabulary));
        info!("{} loaded in {:.1?}", name(&config.model), started.elapsed());
        Ok(Self {
            model,
            tokenizer,
            template,
            vocabulary,
            lexicon,
            grammars: Vec::new(),
            conversations: Vec::new(),
            kept_conversations: config.conversations.max(1),
            context,
        })
    }

    /// The model's tokens.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// The longest prompt and reply together, in tokens.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The ids of plain text. Control tokens in it are not recognised.
    ///
    /// # Errors
    /// [`BrainError::Tokenize`], in theory.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, BrainError> {
        self.tokenizer.encode(text)
    }

    /// The ids of a conversation as the model's template lays it out, up to where the reply begins.
    ///
    /// # Errors
    /// [`BrainError::Template`] when the template refuses the conversation.
    pub fn encode_conversation(&self, messages: &[Message]) -> Result<Vec<u32>, BrainError> {
        self.tokenizer.encode_rendered(&self.template.render(messages, self.tokenizer.controls())?)
    }

    /// An empty sequence, for [`GgufBrain::advance`].
    ///
    /// # Errors
    /// [`BrainError::Inference`] when there is no memory for it.
    pub fn sequence(&self) -> Result<Sequence, BrainError> {
        Ok(self.model.sequence()?)
    }

    /// Appends tokens to a sequence and returns the logits of the token after them: prefill with many, decode with one.
    ///
    /// # Errors
    /// [`BrainError::TooLong`] when the sequence would exceed the context, [`BrainError::Inference`] when candle fails.
    pub fn advance(&self, sequence: &mut Sequence, tokens: &[u32]) -> Result<Vec<f32>, BrainError> {
        self.check_length(sequence.tokens().len() + tokens.len())?;
        Ok(self.model.advance(sequence, tokens, None, &|| Ok(()))?)
    }

    fn check_length(&self, tokens: usize) -> Result<(), BrainError> {
        if tokens <= self.context { Ok(()) } else { Err(BrainError::TooLong { tokens, context: self.context }) }
    }

    fn grammar(&mut self, emotions: &EmotionSet) -> Grammar {
        if let Some((_, grammar)) = self.grammars.iter().find(|(set, _)| set == emotions) {
            return grammar.clone();
        }
        let grammar = Grammar::new(self.vocabulary.clone(), self.lexicon.clone(), emotions);
        self.grammars.push((emotions.clone(), grammar.clone()));
        grammar
    }

    /// The ids of a prompt that leaves `room` tokens for the reply.
    ///
    /// From a conversation that is too long the oldest messages are left out, several at a time: were it one by one, each
    /// turn would begin differently from the last, and nothing computed before could be used again.
    fn encode_fitting(&self, messages: &[Message], room: usize) -> Result<Vec<u32>, BrainError> {
        const AT_ONCE: usize = 8;
        let preamble = messages.iter().take_while(|message| message.role == Role::System).count();
        let droppable = messages.len().saturating_sub(preamble + 1);
        let mut dropped = 0;
        loop {
            let kept: Vec<Message> =
                messages[..preamble].iter().chain(&messages[preamble + dropped..]).cloned().collect();
            let ids = self.encode_conversation(&kept)?;
            if ids.len() + room <= self.context {
                return Ok(ids);
            }
            if dropped == droppable {
                return Err(BrainError::TooLong { tokens: ids.len() + room, context: self.context });
            }
            dropped = (dropped + AT_ONCE).min(droppable);
        }
    }

    /// Takes a companion's conversation out, or begins one; [`GgufBrain::put_back`] it.
    fn take_conversation(&mut self, companion: Entity) -> Result<Sequence, BrainError> {
        let found = self.conversations.iter().position(|(whose, _)| *whose == companion);
        match found {
            Some(at) => Ok(self.conversations.remove(at).1),
            None => self.sequence(),
        }
    }

    fn put_back(&mut self, companion: Entity, sequence: Sequence) {
        self.conversations.push((companion, sequence));
        let surplus = self.conversations.len().saturating_sub(self.kept_conversations);
        self.conversations.drain(..surplus);
    }

    fn reply(&mut self, prompt: &Prompt, sequence: &mut Sequence, turn: &Turn<Brain>) -> Result<Usage, EngineError> {
        let started = Instant::now();
        let grammar = self.grammar(&prompt.emotions);
        let wanted = prompt.sampling.max_tokens.max(grammar.shortest());
        // A long limit must not crowd the conversation out of the context.
        let room = wanted.min((self.context / 4).max(grammar.shortest()));
        let ids = self.encode_fitting(&prompt.messages, room).map_err(EngineError::failed)?;
        let limit = wanted.min(self.context - ids.len());

        let cached = sequence.shared_with(&ids);
        sequence.truncate(cached);
        let advance = |sequence: &mut Sequence, tokens: &[u32], rows: Option<&[u32]>| {
            let check = || if turn.is_stale() { Err(candle_core::Error::msg("superseded")) } else { Ok(()) };
            let logits = self.model.advance(sequence, tokens, rows, &check);
            logits.map_err(|error| turn.check().err().unwrap_or_else(|| EngineError::failed(BrainError::from(error))))
        };
        let mut usage = Usage { prompt_tokens: ids.len(), cached_tokens: cached, ..Usage::default() };
        if prompt.sampling.max_tokens == 0 {
            advance(sequence, &ids[cached..], Some(&[]))?;
            return Ok(usage);
        }
        let mut sampler = Sampler::new(&prompt.sampling);
        let mut state = grammar.start();
        // What the model has not been shown yet. Where the grammar leaves no choice it need not be asked, and reads several
        // tokens at once later.
        let mut unread = ids[cached..].to_vec();
        // Control tokens stand for no words, so using them again is no repetition.
        let mut recent: Vec<u32> = ids.into_iter().filter(|&id| self.vocabulary.kind(id) == TokenKind::Text).collect();
        let (mut first_token, mut said) = (None, String::new());
        for left in (1..=limit).rev() {
            let few = grammar.few(&state, left);
            let token = if let Some([only]) = few.as_deref() {
                *only
            } else {
                let mut logits = advance(sequence, &unread, few.as_deref())?;
                unread.clear();
                grammar.mask(&state, left, &mut logits);
                let seen = if state.in_tag() { &[] } else { recent.as_slice() };
                let token = sampler.draw(&mut logits, seen);
                let first = *first_token.get_or_insert_with(Instant::now);
                usage.first_token_seconds = (first - started).as_secs_f64();
                usage.decode_seconds = first.elapsed().as_secs_f64();
                token.ok_or_else(|| EngineError::failed(BrainError::DeadEnd))?
            };
            unread.push(token);
            usage.reply_tokens += 1;
            if self.vocabulary.kind(token) == TokenKind::End {
                break;
            }
            let in_tag = state.in_tag();
            said.push_str(&grammar.advance(&mut state, token));
            // What the grammar says before the model has been asked is no answer yet.
            if first_token.is_some() && !said.is_empty() {
                turn.emit(Token::Text(std::mem::take(&mut said)))?;
            }
            if !in_tag {
                recent.push(token);
            }
        }
        Ok(usage)
    }
}

impl Engine<Brain> for GgufBrain {
    fn serve(&mut self, prompt: Prompt, turn: &Turn<Brain>) -> Result<(), EngineError> {
        let mut sequence = self.take_conversation(turn.companion()).map_err(EngineError::failed)?;
        let replied = self.reply(&prompt, &mut sequence, turn);
        self.put_back(turn.companion(), sequence);
        turn.emit(Token::End(replied?))
    }
}

fn name(model: &Path) -> String {
    model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
