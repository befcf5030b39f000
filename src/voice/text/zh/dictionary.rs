//! The pronunciation dictionaries: phrases of several characters, and every single character.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{lexicon, pinyin::Syllable};
use crate::voice::text::TextError;

/// Longer phrases are not looked for, so reading a word takes time linear in its length.
const LONGEST_PHRASE: usize = 16;

/// How words and characters are read, before their neighbours have had a say.
pub struct Dictionary {
    phrases: HashMap<Box<str>, Box<[Syllable]>>,
    characters: HashMap<char, Syllable>,
}

impl Dictionary {
    /// Loads `phrases_dict.json` (phrase → a list of readings for each character, the first is taken) and
    /// `pinyin_dict.json` (code point in decimal → readings with commas between), and lays our own lexicon over them.
    ///
    /// # Errors
    /// [`TextError::Dictionary`] names the file that is missing or malformed.
    pub fn load(folder: &Path) -> Result<Self, TextError> {
        let mut phrases = load_phrases(folder.join("phrases_dict.json"))?;
        let mut characters = load_characters(folder.join("pinyin_dict.json"))?;
        phrases.extend(lexicon::words().map(|(word, syllables)| (word.into(), syllables)));
        characters.extend(lexicon::characters());
        Ok(Self { phrases, characters })
    }

    /// Sets how a phrase is read, whatever it was before.
    pub fn insert(&mut self, phrase: &str, syllables: Box<[Syllable]>) {
        self.phrases.insert(phrase.into(), syllables);
    }

    /// The reading of exactly this phrase.
    pub fn phrase(&self, phrase: &str) -> Option<&[Syllable]> {
        self.phrases.get(phrase).map(AsRef::as_ref)
    }

    /// The usual reading of one character; `None` for rare characters and whatever is not one.
    pub fn character(&self, han: char) -> Option<Syllable> {
        self.characters.get(&han).copied()
    }

    /// Reads a word: the longest phrases from its left, single characters between them. The flag tells whether a phrase
    /// decided; characters without a reading are left out.
    pub fn read(&self, word: &str) -> Vec<(char, Syllable, bool)> {
        let starts: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        let mut readings = Vec::with_capacity(starts.len());
        let mut at = 0;
        while at + 1 < starts.len() {
            let longest = (starts.len() - 1).min(at + LONGEST_PHRASE);
            let phrase = (at + 1..=longest).rev().find_map(|end| self.phrase(&word[starts[at]..starts[end]]));
            let rest = word[starts[at]..].chars();
            if let Some(syllables) = phrase {
                readings.extend(rest.zip(syllables).map(|(han, &syllable)| (han, syllable, true)));
                at += syllables.len();
            } else {
                let alone = rest.take(1).filter_map(|han| Some((han, self.character(han)?, false)));
                readings.extend(alone);
                at += 1;
            }
        }
        readings
    }
}

/// A string that stays where it is in the file unless it holds an escape.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Text<'json>(#[serde(borrow)] Cow<'json, str>);

/// Syllables by their spelling: a dictionary spells the same fifteen hundred two hundred thousand times.
#[derive(Default)]
struct Spellings<'json>(HashMap<&'json str, Option<Syllable>>);

impl<'json> Spellings<'json> {
    fn parse(&mut self, pinyin: &'json str) -> Option<Syllable> {
        *self.0.entry(pinyin).or_insert_with(|| Syllable::parse(pinyin))
    }
}

fn load_phrases(path: PathBuf) -> Result<HashMap<Box<str>, Box<[Syllable]>>, TextError> {
    let json = fs::read(&path).map_err(|error| unreadable(&path, error))?;
    let entries: HashMap<Text, Vec<Vec<Text>>> =
        serde_json::from_slice(&json).map_err(|error| unreadable(&path, error))?;
    let mut spellings = Spellings::default();
    let mut phrases = HashMap::with_capacity(entries.len());
    for (phrase, readings) in &entries {
        let syllables: Option<Box<[Syllable]>> =
            readings.iter().map(|alternatives| spellings.parse(&alternatives.first()?.0)).collect();
        let whole = syllables.filter(|syllables| syllables.len() == phrase.0.chars().count());
        phrases.extend(whole.map(|syllables| (Box::from(&*phrase.0), syllables)));
    }
    Ok(phrases)
}

fn load_characters(path: PathBuf) -> Result<HashMap<char, Syllable>, TextError> {
    let json = fs::read(&path).map_err(|error| unreadable(&path, error))?;
    let entries: HashMap<Text, Text> = serde_json::from_slice(&json).map_err(|error| unreadable(&path, error))?;
    let mut spellings = Spellings::default();
    let mut characters = HashMap::with_capacity(entries.len());
    for (code, readings) in &entries {
        let han = code.0.parse().ok().and_then(char::from_u32);
        let usual = readings.0.split(',').find_map(|reading| spellings.parse(reading));
        characters.extend(han.zip(usual));
    }
    Ok(characters)
}

fn unreadable(path: &Path, error: impl ToString) -> TextError {
    TextError::Dictionary { path: path.to_owned(), reason: error.to_string() }
}
