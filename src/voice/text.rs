//! The text front end: what is written becomes what is said, and that becomes phonemes.
//!
//! A sentence may mix Chinese and English. Numbers and symbols are read in the language that dominates it
//! ([`normalise`]), then every run of one script goes to its own front end ([`zh`], [`en`]).

pub mod en;
pub mod normalise;
pub mod zh;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A language that the front end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Mandarin Chinese.
    Zh,
    /// American English.
    En,
}

/// Why a text front end could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A pronunciation dictionary is missing or malformed.
    #[error("the dictionary {path} could not be loaded: {reason}; run `companion models pull`")]
    Dictionary {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

impl Language {
    /// The language that a text is mostly in: a Chinese character weighs as much as an English word. `None` for a text
    /// without letters.
    pub fn of(text: &str) -> Option<Self> {
        let chinese = text.chars().filter(|&character| is_han(character)).count();
        let english = text.split(|c: char| !c.is_alphabetic() || is_han(c)).filter(|word| !word.is_empty()).count();
        match (chinese, english) {
            (0, 0) => None,
            _ if chinese >= english => Some(Self::Zh),
            _ => Some(Self::En),
        }
    }
}

/// The front ends of all languages.
pub struct Reader {
    mandarin: zh::Mandarin,
    english: en::English,
}

impl Reader {
    /// Loads the dictionaries from the folders of the models `pinyin` and `misaki-en`.
    ///
    /// # Errors
    /// [`TextError::Dictionary`].
    pub fn load(mandarin: &Path, english: &Path) -> Result<Self, TextError> {
        Ok(Self { mandarin: zh::Mandarin::load(mandarin)?, english: en::English::load(english)? })
    }

    /// Kokoro's phonemes for a text in which Chinese and English may be mixed; numbers are read in `language`.
    pub fn phonemes(&self, text: &str, language: Language) -> String {
        let said = normalise::normalise(text, language);
        let mut phonemes = String::new();
        for (language, run) in runs(&said, language) {
            let spoken = match language {
                Language::Zh => self.mandarin.phonemes(run),
                Language::En => self.english.phonemes(run),
            };
            let spoken = spoken.trim();
            let parted = phonemes.is_empty() || spoken.starts_with([',', '.', '!', '?', ';', ':', '…', ')', '”']);
            if !parted && !spoken.is_empty() {
                phonemes.push(' ');
            }
            phonemes.push_str(spoken);
        }
        phonemes
    }
}

/// Cuts a text where its script changes. Marks and spaces stay with what they follow; those at the beginning, and texts
/// without letters, count as `fallback`.
fn runs(text: &str, fallback: Language) -> Vec<(Language, &str)> {
    let mut runs = Vec::new();
    let (mut start, mut current) = (0, None);
    for (at, character) in text.char_indices() {
        let language = match character {
            _ if is_han(character) => Language::Zh,
            _ if character.is_alphanumeric() => Language::En,
            _ => continue,
        };
        if current.is_some_and(|current| current != language) {
            runs.push((current.unwrap_or(fallback), &text[start..at]));
            start = at;
        }
        current = Some(language);
    }
    if start < text.len() {
        runs.push((current.unwrap_or(fallback), &text[start..]));
    }
    runs
}

/// Chinese characters, as far as Unicode has them in use.
pub fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}' | '〇' | '々')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dominant_language_is_that_of_most_words() {
        assert_eq!(Language::of("我喜欢 Rust 语言"), Some(Language::Zh));
        assert_eq!(Language::of("How do you say 你好 in English?"), Some(Language::En));
        assert_eq!(Language::of("3.14!"), None);
    }

    #[test]
    fn marks_stay_with_the_run_they_follow() {
        let cut = runs("“你好，” said Bevy，对吧？", Language::Zh);
        assert_eq!(cut, [(Language::Zh, "“你好，” "), (Language::En, "said Bevy，"), (Language::Zh, "对吧？")]);
        assert_eq!(runs("…", Language::En), [(Language::En, "…")]);
        assert_eq!(runs("", Language::En), []);
    }
}
