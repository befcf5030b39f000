//! Embedders: what turns a text into a vector, so that near in meaning is near in space.

pub mod bert;
mod centre;

use std::{
    fs,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use self::{
    bert::{Bert, BertConfig},
    centre::{Centre, Side},
};
use super::MemoryError;

/// Of a long text so many windows are embedded, about 2,000 tokens: what a person says fits into one, and a pasted book must
/// not hold up a conversation.
const MAX_WINDOWS: usize = 4;
/// About this many tokens go through the encoder at once, which bounds its memory.
const BATCH_TOKENS: usize = 2048;

/// What turns texts into vectors of length 1.
pub trait Embed {
    /// What the vectors of this embedder are recognised by; vectors of another name are not comparable to its own.
    fn name(&self) -> &str;

    /// The length of a vector.
    fn dimensions(&self) -> usize;

    /// The vector of a text that is to be found.
    ///
    /// # Errors
    /// [`MemoryError::Model`] when the model cannot embed it.
    fn passage(&self, text: &str) -> Result<Vec<f32>, MemoryError>;

    /// The vector of a text that others are to be found by.
    ///
    /// # Errors
    /// As [`Embed::passage`].
    fn query(&self, text: &str) -> Result<Vec<f32>, MemoryError>;

    /// The vectors of many texts that are to be found.
    ///
    /// # Errors
    /// As [`Embed::passage`].
    fn passages(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, MemoryError> {
        texts.iter().map(|text| self.passage(text)).collect()
    }
}

/// How the states of a sequence's tokens become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean (E5, MiniLM).
    #[default]
    Mean,
    /// The state of the first token (BGE).
    First,
}

/// How an embedding model was trained to be asked. The defaults are multilingual-e5-small's.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct EmbedderConfig {
    /// How token states become a vector.
    pub pooling: Pooling,
    /// What stands before a text that others are to be found by.
    pub query_prefix: String,
    /// What stands before a text that is to be found.
    pub passage_prefix: String,
    /// Whether the space is spread out, so that what is relevant stands out and languages do not keep apart.
    pub centred: bool,
}

impl Default for EmbedderConfig {
    fn default() -> Self {
        Self {
            pooling: Pooling::Mean,
            query_prefix: "query: ".into(),
            passage_prefix: "passage: ".into(),
            centred: true,
        }
    }
}

/// multilingual-e5-small (Wang et al., arXiv:2402.05672) and its like: a tokenizer, an encoder, pooling.
pub struct TextEmbedder {
    config: EmbedderConfig,
    folder: PathBuf,
    name: String,
    tokenizer: Tokenizer,
    bert: Bert,
    dimensions: usize,
    /// Tokens a window may have besides the two that enclose it.
    window: usize,
    centre: Option<Centre>,
}

impl TextEmbedder {
    /// Loads `model.safetensors`, `tokenizer.json` and `config.json` from a folder, whose name becomes the embedder's.
    ///
    /// # Errors
    /// [`MemoryError::Model`], naming the file.
    pub fn load(folder: &Path, config: &EmbedderConfig) -> Result<Self, MemoryError> {
        let at = |file: &str| folder.join(file);
        let (settings, weights, tokenizer) = (at("config.json"), at("model.safetensors"), at("tokenizer.json"));
        let text = fs::read_to_string(&settings).map_err(|error| MemoryError::model(&settings, error))?;
        let bert_config: BertConfig =
            serde_json::from_str(&text).map_err(|error| MemoryError::model(&settings, error))?;
        let bert = Bert::open(&weights, &bert_config).map_err(|error| MemoryError::model(&weights, error))?;
        let mut loaded = Tokenizer::from_file(&tokenizer).map_err(|error| MemoryError::model(&tokenizer, error))?;
        // Long texts are cut into windows here, and a batch is not padded.
        loaded.with_padding(None);
        loaded.with_truncation(None).map_err(|error| MemoryError::model(&tokenizer, error))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut embedder = Self {
            config: config.clone(),
            folder: folder.into(),
            name,
            tokenizer: loaded,
            bert,
            dimensions: bert_config.hidden_size,
            window: bert_config.max_tokens() - 2,
            centre: None,
        };
        if config.centred {
            embedder.centre = Some(Centre::measure(|side, texts| embedder.embed(side, texts))?);
            embedder.name += &format!(", centred {}", centre::VERSION);
        }
        Ok(embedder)
    }

    /// The token ids of a text with its prefix, cut into windows that each begin and end like a text of their own.
    fn windows(&self, prefix: &str, text: &str) -> Result<Vec<Vec<u32>>, MemoryError> {
        // No token is shorter than a byte, so no more than this can matter.
        let enough = text.floor_char_boundary(MAX_WINDOWS * self.window * LONGEST_TOKEN);
        let encoding = self.tokenizer.encode_fast(format!("{prefix}{}", &text[..enough]), true);
        let encoding = encoding.map_err(|error| MemoryError::model(&self.folder, error))?;
        let [first, content @ .., last] = encoding.get_ids() else {
            return Err(MemoryError::model(&self.folder, "the tokenizer does not enclose a text in two tokens"));
        };
        let windows = content.chunks(self.window).take(MAX_WINDOWS);
        Ok(windows.map(|window| [&[*first], window, &[*last]].concat()).collect())
    }

    fn embed(&self, side: Side, texts: &[&str]) -> Result<Vec<Vec<f32>>, MemoryError> {
        let prefix = match side {
            Side::Query => &self.config.query_prefix,
            Side::Passage => &self.config.passage_prefix,
        };
        let mut vectors = vec![vec![0.0; self.dimensions]; texts.len()];
        let mut batch: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut tokens = 0;
        for (index, text) in texts.iter().enumerate() {
            for window in self.windows(prefix, text)? {
                if tokens + window.len() > BATCH_TOKENS && !batch.is_empty() {
                    self.pool(std::mem::take(&mut batch), &mut vectors)?;
                    tokens = 0;
                }
                tokens += window.len();
                batch.push((index, window));
            }
        }
        self.pool(batch, &mut vectors)?;
        for vector in &mut vectors {
            normalise(vector);
            if let Some(centre) = &self.centre {
                centre.apply(side, vector);
            }
        }
        Ok(vectors)
    }

    /// Adds the vectors of a batch of windows, weighted by what they hold, to those of their texts.
    fn pool(&self, batch: Vec<(usize, Vec<u32>)>, vectors: &mut [Vec<f32>]) -> Result<(), MemoryError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (owners, windows): (Vec<usize>, Vec<Vec<u32>>) = batch.into_iter().unzip();
        let pooled = || -> candle_core::Result<Vec<Vec<f32>>> {
            let (states, ranges) = self.bert.forward(&windows)?;
            let pooled = ranges.iter().map(|range| {
                let states = states.narrow(0, range.start, range.len())?;
                match self.config.pooling {
                    Pooling::Mean => states.mean(0),
                    Pooling::First => states.get(0),
                }
            });
            Tensor::stack(&pooled.collect::<candle_core::Result<Vec<_>>>()?, 0)?.to_vec2()
        };
        let pooled = pooled().map_err(|error| MemoryError::model(&self.folder, error))?;
        for ((owner, window), pooled) in owners.into_iter().zip(windows).zip(pooled) {
            let weight = (window.len() - 2) as f32;
            vectors[owner].iter_mut().zip(pooled).for_each(|(sum, value)| *sum += weight * value);
        }
        Ok(())
    }

    fn embed_one(&self, side: Side, text: &str) -> Result<Vec<f32>, MemoryError> {
        Ok(self.embed(side, &[text])?.remove(0))
    }
}

/// Bytes of the longest token of XLM-R's vocabulary; a window holds no more than so many times its tokens.
const LONGEST_TOKEN: usize = 48;

impl Embed for TextEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn passage(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        self.embed_one(Side::Passage, text)
    }

    fn query(&self, text: &str) -> Result<Vec<f32>, MemoryError> {
        self.embed_one(Side::Query, text)
    }

    fn passages(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, MemoryError> {
        self.embed(Side::Passage, texts)
    }
}

/// Scales a vector to length 1; zero stays zero.
pub(super) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

/// The cosine of the angle between two vectors of length 1.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums side by side, which the compiler turns into one vector instruction.
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
