//! The tokenizer that a GGUF file carries: byte-level BPE with one of the known pre-tokenizers.

use std::collections::{BTreeSet, HashMap};

use candle_core::quantized::gguf_file::Value;
use tokenizers::{
    NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    models::bpe::{BPE, Vocab},
    normalizers::unicode::NFC,
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::file::GgufFile;
use crate::brain::{
    BrainError,
    template::unshield,
    vocabulary::{TokenKind, Vocabulary},
};

/// Control tokens that end a reply, whatever the metadata says about them.
const ENDS: [&str; 7] =
    ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>", "<|end_of_turn|>", "</s>"];

/// Splits that the patterns of Qwen2 and Llama 3 have in common; only the runs of digits differ.
fn pattern(digits: &str) -> String {
    let contractions = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    let spaces = r"\s*[\r\n]+|\s+(?!\S)|\s+";
    format!(r"{contractions}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{spaces}")
}

/// Text to token ids and back.
pub(super) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocabulary: Vocabulary,
    /// Control tokens by their text.
    controls: HashMap<String, u32>,
    longest_control: usize,
    /// The bytes that control tokens begin with.
    control_starts: Vec<u8>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
}

impl Tokenizer {
    /// Builds the tokenizer of a file.
    pub fn read(file: &GgufFile) -> Result<Self, BrainError> {
        let unsupported = |what: String| BrainError::Unsupported { path: file.path().into(), what };
        let model = file.text("tokenizer.ggml.model").unwrap_or("none");
        if model != "gpt2" {
            return Err(unsupported(format!("a `{model}` tokenizer (only byte-level BPE, `gpt2`, is)")));
        }
        let pre = file.text("tokenizer.ggml.pre").unwrap_or("default");
        let (normalizer, pre_tokenizer, whole_words) = pipeline(pre)
            .map_err(|reason| file.malformed(reason))?
            .ok_or_else(|| unsupported(format!("the pre-tokenizer `{pre}`")))?;

        let tokens = file.list("tokenizer.ggml.tokens").unwrap_or_default();
        let types = file.list("tokenizer.ggml.token_type").unwrap_or_default();
        if tokens.is_empty() {
            return Err(file.malformed("it has no `tokenizer.ggml.tokens`"));
        }
        let bytes_of = byte_alphabet();
        let mut vocabulary = Vocabulary::default();
        let (mut words, mut controls) = (Vocab::new(), HashMap::new());
        for (id, token) in tokens.iter().enumerate() {
            let (id, text) = (id as u32, token.to_string().map(String::as_str).unwrap_or_default());
            // llama.cpp's token types: 1 is normal, 3 control, 4 user-defined.
            if types.get(id as usize).is_none_or(|kind| matches!(kind, Value::I32(1) | Value::U32(1))) {
                let bytes: Option<Vec<u8>> = text.chars().map(|letter| bytes_of.get(&letter).copied()).collect();
                vocabulary.push(&bytes.unwrap_or_default(), TokenKind::Text);
                words.insert(text.to_owned(), id);
            } else {
                let ends = ENDS.contains(&text);
                vocabulary.push(text.as_bytes(), if ends { TokenKind::End } else { TokenKind::Control });
                controls.insert(text.to_owned(), id);
            }
        }
        controls.remove("");
        let id = |key: &str| {
            let id = file.integer(&format!("tokenizer.ggml.{key}"));
            id.and_then(|id| u32::try_from(id).ok()).filter(|&id| (id as usize) < tokens.len())
        };
        let (bos, eos) = (id("bos_token_id"), id("eos_token_id"));
        for end in [eos, id("eot_token_id"), id("eom_token_id")].into_iter().flatten() {
            vocabulary.set_kind(end, TokenKind::End);
        }

        let merges = merges(file, &words)?;
        let bpe = BPE::builder().vocab_and_merges(words, merges).ignore_merges(whole_words).build();
        let failed = |error: tokenizers::Error| file.malformed(format!("its tokenizer does not fit together: {error}"));
        let mut inner = tokenizers::Tokenizer::new(bpe.map_err(failed)?);
        inner.with_normalizer(normalizer).map_err(failed)?;
        inner.with_pre_tokenizer(Some(pre_tokenizer));
        Ok(Self {
            inner,
            vocabulary,
            control_starts: controls
                .keys()
                .filter_map(|control| control.bytes().next())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            longest_control: controls.keys().map(String::len).max().unwrap_or(0),
            controls,
            bos,
            eos,
            add_bos: file.flag("tokenizer.ggml.add_bos_token").unwrap_or(false),
        })
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The texts of the control tokens.
    pub fn controls(&self) -> impl Iterator<Item = &str> + Clone {
        self.controls.keys().map(String::as_str)
    }

    /// The template's `bos_token`.
    pub fn bos(&self) -> String {
        self.control_text(self.bos)
    }

    /// The template's `eos_token`.
    pub fn eos(&self) -> String {
        self.control_text(self.eos)
    }

    fn control_text(&self, token: Option<u32>) -> String {
        token.map(|id| String::from_utf8_lossy(self.vocabulary.bytes(id)).into_owned()).unwrap_or_default()
    }

    /// The ids of plain text. Nothing in it is ever read as a control token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, BrainError> {
        let encoded = self.inner.encode_fast(text, false);
        encoded.map(|encoding| encoding.get_ids().to_vec()).map_err(|error| BrainError::Tokenize(error.to_string()))
    }

    /// The ids of a rendered conversation, in which the control tokens that are left whole are read as such.
    pub fn encode_rendered(&self, rendered: &str) -> Result<Vec<u32>, BrainError> {
        let mut ids: Vec<u32> = self.bos.filter(|_| self.add_bos).into_iter().collect();
        let mut text_start = 0;
        let mut at = 0;
        while at < rendered.len() {
            let Some((length, control)) = self.control_at(rendered, at) else {
                at += rendered[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            ids.extend(self.encode(&unshield(&rendered[text_start..at]))?);
            // A template that writes the beginning itself must not get a second one.
            if !(ids == [control] && self.add_bos && self.bos == Some(control)) {
                ids.push(control);
            }
            at += length;
            text_start = at;
        }
        ids.extend(self.encode(&unshield(&rendered[text_start..]))?);
        Ok(ids)
    }

    /// The longest control token that begins at a byte.
    fn control_at(&self, rendered: &str, at: usize) -> Option<(usize, u32)> {
        let rest = &rendered[at..];
        if !self.control_starts.contains(rest.as_bytes().first()?) {
            return None;
        }
        let lengths = (1..=self.longest_control.min(rest.len())).rev();
        let mut found = lengths.filter_map(|length| Some((length, *self.controls.get(rest.get(..length)?)?)));
        found.next()
    }
}

/// What a pre-tokenizer's name stands for: normaliser, splits, and whether a word that is a token is never merged.
///
/// The names are those of llama.cpp (`llama_vocab_pre_type`); what they mean is in the models' own tokenizer files.
type Pipeline = (Option<NormalizerWrapper>, PreTokenizerWrapper, bool);

fn pipeline(name: &str) -> Result<Option<Pipeline>, String> {
    let split = |pattern: &str| {
        let split = Split::new(SplitPattern::Regex(pattern.into()), SplitDelimiterBehavior::Isolated, false)
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(Sequence::new(vec![split.into(), ByteLevel::new(false, false, false).into()]).into())
    };
    Ok(Some(match name {
        "qwen2" | "deepseek-r1-qwen" => (Some(NFC.into()), split(&pattern(r"\p{N}"))?, false),
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" => (None, split(&pattern(r"\p{N}{1,3}"))?, true),
        "smollm" => {
            let splits = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
            (None, Sequence::new(splits).into(), false)
        }
        "gpt-2" | "default" => (None, ByteLevel::new(false, true, true).into(), false),
        _ => return Ok(None),
    }))
}

/// The merges in order of rank. One whose result is no token is dropped; the builder would refuse them all.
fn merges(file: &GgufFile, words: &Vocab) -> Result<Vec<(String, String)>, BrainError> {
    let entries = file.list("tokenizer.ggml.merges").unwrap_or_default();
    let mut merges = Vec::with_capacity(entries.len());
    let mut joined = String::new();
    for entry in entries {
        let entry = entry.to_string().map(String::as_str).unwrap_or_default();
        let Some((left, right)) = entry.split_once(' ') else {
            return Err(file.malformed(format!("its merge `{entry}` is not a pair")));
        };
        joined.clear();
        joined.extend([left, right]);
        if words.contains_key(left) && words.contains_key(right) && words.contains_key(&joined) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    Ok(merges)
}

/// GPT-2's letters for bytes: printable Latin-1 stands for itself, the other bytes follow from U+0100 on.
fn byte_alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let plain = (0..=255u8).filter(printable).map(|byte| (char::from(byte), byte));
    let shifted = (0..=255u8).filter(|byte| !printable(byte)).enumerate();
    let shifted = shifted.filter_map(|(at, byte)| Some((char::from_u32(0x100 + at as u32)?, byte)));
    plain.chain(shifted).collect()
}
