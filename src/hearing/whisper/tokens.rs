//! Whisper's vocabulary: text tokens, and the special ones that steer the decoder.

use std::path::Path;

use tokenizers::Tokenizer;

use crate::hearing::HearingError;

/// The tokens of one model.
pub struct Tokens {
    tokenizer: Tokenizer,
    /// `<|startoftranscript|>`.
    pub start: u32,
    /// `<|endoftext|>`; the text tokens are those below it.
    pub end: u32,
    /// `<|nocaptions|>`: its probability at the start says that there is no speech.
    pub no_speech: u32,
    /// The configured languages with their tokens; empty for an English model, which has no language tokens.
    pub languages: Vec<(String, u32)>,
    previous: u32,
    transcribe: u32,
    no_timestamps: u32,
}

impl Tokens {
    /// Reads `tokenizer.json` for a model that speaks `languages` (ISO 639-1), or English only.
    ///
    /// # Errors
    /// [`HearingError`] when the file is missing or lacks a special token, or the model a language.
    pub fn load(path: &Path, multilingual: bool, languages: &[String]) -> Result<Self, HearingError> {
        let failed = |reason: String| HearingError::Model { path: path.into(), reason };
        let tokenizer = Tokenizer::from_file(path).map_err(|error| failed(error.to_string()))?;
        let special = |name: &str| tokenizer.token_to_id(name).ok_or_else(|| failed(format!("it has no token {name}")));
        let language = |code: &String| match tokenizer.token_to_id(&format!("<|{code}|>")) {
            Some(token) if multilingual => Ok((code.clone(), token)),
            _ => Err(HearingError::Language { code: code.clone(), multilingual }),
        };
        let languages = match languages {
            [] => Err(HearingError::NoLanguage),
            [only] if only == "en" && !multilingual => Ok(Vec::new()),
            _ => languages.iter().map(language).collect(),
        }?;
        Ok(Self {
            start: special("<|startoftranscript|>")?,
            end: special("<|endoftext|>")?,
            no_speech: special("<|nocaptions|>").or_else(|_| special("<|nospeech|>"))?,
            previous: special("<|startofprev|>")?,
            transcribe: special("<|transcribe|>")?,
            no_timestamps: special("<|notimestamps|>")?,
            languages,
            tokenizer,
        })
    }

    /// What goes ahead of `<|startoftranscript|>`: nothing, or text that the speech is said to follow. Its last `limit`
    /// tokens are kept.
    pub fn preface(&self, prompt: &str, limit: usize) -> Result<Vec<u32>, HearingError> {
        if prompt.trim().is_empty() {
            return Ok(Vec::new());
        }
        let encoded = self.tokenizer.encode(format!(" {}", prompt.trim()), false).map_err(HearingError::text)?;
        let ids = encoded.get_ids();
        let kept = &ids[ids.len().saturating_sub(limit)..];
        Ok(std::iter::once(self.previous).chain(kept.iter().copied()).collect())
    }

    /// What follows `<|startoftranscript|>`: language (`None` in an English model), task, and no timestamps.
    pub fn task(&self, language: Option<u32>) -> Vec<u32> {
        let task = language.map(|language| [language, self.transcribe]);
        task.into_iter().flatten().chain([self.no_timestamps]).collect()
    }

    /// The text of tokens.
    pub fn text(&self, tokens: &[u32]) -> Result<String, HearingError> {
        self.tokenizer.decode(tokens, true).map_err(HearingError::text)
    }
}
