//! The pronunciation dictionary: what Kokoro was trained on, so that its readings are the model's own.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};

use super::role::Role;
use crate::voice::text::TextError;

/// Two dictionaries: *gold*, checked by hand and with readings by role, and *silver*, derived.
pub struct Lexicon {
    gold: HashMap<Box<str>, Reading>,
    silver: HashMap<Box<str>, Box<str>>,
}

/// How a word is read.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Reading {
    /// One way.
    One(Box<str>),
    /// By role; `None` means letter by letter. The key `DEFAULT` covers the rest, `None` a word before a pause.
    ByRole(BTreeMap<Box<str>, Option<Box<str>>>),
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Phonemes.
    Phonemes(&'a str),
    /// In this role the word is an initialism.
    Letters,
}

impl Lexicon {
    /// Reads `us_gold.json` and `us_silver.json`.
    ///
    /// # Errors
    /// [`TextError::Dictionary`] with the file that is missing or malformed.
    pub fn load(folder: &Path) -> Result<Self, TextError> {
        let lexicon = Self { gold: read(&folder.join("us_gold.json"))?, silver: read(&folder.join("us_silver.json"))? };
        let path = folder.join("us_gold.json");
        for letter in 'A'..='Z' {
            if !matches!(lexicon.gold.get(&*letter.to_string()), Some(Reading::One(_))) {
                return Err(TextError::Dictionary { path, reason: format!("it does not say how to spell {letter}") });
            }
        }
        Ok(lexicon)
    }

    /// All words with one reading that are not written in capitals: what spelling can be learned from.
    pub fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        self.gold.iter().filter_map(|(word, reading)| match reading {
            Reading::One(phonemes) if !word.chars().skip(1).any(char::is_uppercase) => Some((&**word, &**phonemes)),
            _ => None,
        })
    }

    /// Whether a word, or the same with its first letter's case changed, is in either dictionary.
    pub fn knows(&self, word: &str) -> bool {
        self.gold(word).is_some() || self.silver(word).is_some()
    }

    /// Whether a word is an everyday one: in the checked dictionary, in small letters.
    pub fn is_common(&self, word: &str) -> bool {
        self.gold.contains_key(word)
    }

    /// How a word is read in a role; `before_pause` when nothing is said right after it.
    pub fn look_up(&self, word: &str, role: Role, before_pause: bool) -> Option<Found<'_>> {
        match self.gold(word) {
            Some(Reading::One(phonemes)) => Some(Found::Phonemes(phonemes)),
            Some(Reading::ByRole(readings)) => {
                let alone = if before_pause { readings.get("None") } else { None };
                let by_role = || role.keys().iter().find_map(|&key| readings.get(key));
                let reading = alone.or_else(by_role).or_else(|| readings.get("DEFAULT"))?;
                Some(reading.as_deref().map_or(Found::Letters, Found::Phonemes))
            }
            None => self.silver(word).map(Found::Phonemes),
        }
    }

    /// Whether the reading of a word depends on its role.
    pub fn is_ambiguous(&self, word: &str) -> bool {
        matches!(self.gold(word), Some(Reading::ByRole(_)))
    }

    /// An initialism letter by letter, the last one stressed; `None` when it holds anything but letters.
    pub fn spell(&self, letters: &str) -> Option<String> {
        let mut spelt = String::new();
        for letter in letters.chars().filter(|&letter| letter != '.') {
            match self.gold.get(&*letter.to_ascii_uppercase().to_string())? {
                Reading::One(name) => spelt.push_str(name),
                Reading::ByRole(_) => return None,
            }
        }
        let mut spelt = spelt.replace('ˈ', "ˌ");
        let last = spelt.rfind('ˌ')?;
        spelt.replace_range(last..last + 'ˌ'.len_utf8(), "ˈ");
        Some(spelt)
    }

    fn gold(&self, word: &str) -> Option<&Reading> {
        self.gold.get(word).or_else(|| self.gold.get(&*other_case(word)?))
    }

    fn silver(&self, word: &str) -> Option<&str> {
        self.silver.get(word).or_else(|| self.silver.get(&*other_case(word)?)).map(|phonemes| &**phonemes)
    }
}

/// `word` ↔ `Word`; nothing for single letters and other mixtures of case.
fn other_case(word: &str) -> Option<String> {
    let mut letters = word.chars();
    let first = letters.next()?;
    let rest = letters.as_str();
    if rest.is_empty() || rest.contains(char::is_uppercase) {
        return None;
    }
    let first: String =
        if first.is_uppercase() { first.to_lowercase().collect() } else { first.to_uppercase().collect() };
    Some(first + rest)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, TextError> {
    let failed = |reason: String| TextError::Dictionary { path: path.into(), reason };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
}
