//! American English → Kokoro's phonemes.
//!
//! Words are looked up in the dictionary that Kokoro was trained with (misaki's gold and silver lists); what it lacks is
//! tried as an inflection, an initialism and a compound, and last read by a model that has learned spelling from the
//! dictionary. Function words are weakened, and words with several readings are told apart, by their neighbours.
//! There is no espeak here, the usual last resort: it is under the GPL, which this crate's licence does not admit, and
//! its phonemes are not quite those that the model has heard.

mod inflect;
mod lexicon;
mod role;
mod speller;
mod stress;
mod words;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use self::{
    lexicon::{Found, Lexicon},
    role::{Role, Setting},
    speller::Speller,
    stress::Emphasis,
    words::{Token, tokens},
};
use super::TextError;

/// The English front end.
pub struct English {
    lexicon: Arc<Lexicon>,
    /// Learned beside the loading, because most sentences never need it.
    speller: Arc<OnceLock<Speller>>,
}

/// What is said right after a word, as far as the word cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Pause,
    Vowel,
    Consonant,
}

/// A word, its neighbours, and what follows.
struct Place<'a> {
    setting: Setting<'a>,
    next: Next,
    /// Whether the whole text is in capitals, which then mean nothing.
    shouted: bool,
}

impl English {
    /// Loads `us_gold.json` and `us_silver.json` from `dictionary`, and begins to learn spelling from them.
    ///
    /// # Errors
    /// [`TextError::Dictionary`].
    pub fn load(dictionary: &Path) -> Result<Self, TextError> {
        let english = Self { lexicon: Arc::new(Lexicon::load(dictionary)?), speller: Arc::default() };
        let (lexicon, speller) = (english.lexicon.clone(), english.speller.clone());
        // Where no thread can be had, the first unknown word waits instead.
        let _ = std::thread::Builder::new().name("spelling".into()).spawn(move || {
            speller.get_or_init(|| Speller::learn(lexicon.words()));
        });
        Ok(english)
    }

    /// The phonemes of an English run with its punctuation, words apart by spaces. Digits are read one by one and
    /// symbols dropped: normalise first.
    pub fn phonemes(&self, text: &str) -> String {
        let tokens = tokens(text);
        let shouted = is_shouted(text);
        let lowered: Vec<String> = tokens.iter().map(|token| token.text.to_lowercase()).collect();
        let mut spoken: Vec<String> = Vec::with_capacity(tokens.len());
        let mut next = Next::Pause;
        // From the end, because a word's form depends on the sound that follows it.
        for (at, token) in tokens.iter().enumerate().rev() {
            let phonemes = if token.is_word {
                let before: Vec<&str> =
                    (0..at).rev().take_while(|&at| tokens[at].is_word).take(4).map(|at| &*lowered[at]).collect();
                let after: Vec<&str> = (at + 1..tokens.len())
                    .take_while(|&at| tokens[at].is_word)
                    .take(3)
                    .map(|at| &*lowered[at])
                    .collect();
                let place = Place { setting: Setting { before: &before, after: &after }, next, shouted };
                self.word(&token.text, &place)
            } else {
                token.text.clone()
            };
            next = following(&phonemes).unwrap_or(next);
            spoken.push(phonemes);
        }
        spoken.reverse();
        join(&tokens, &spoken)
    }

    /// One token of letters, digits, apostrophes, hyphens and dots.
    fn word(&self, word: &str, place: &Place) -> String {
        let parts = words::parts(word);
        if self.lexicon.knows(word) {
            return self.simple(word, place);
        }
        let initials = word.trim_end_matches('.').contains('.').then(|| self.lexicon.spell(word)).flatten();
        initials.unwrap_or_else(|| if parts.len() < 2 { self.simple(word, place) } else { self.parts(&parts, place) })
    }

    /// A compound: its lesser half is weakened.
    fn parts(&self, parts: &[String], place: &Place) -> String {
        let mut spoken: Vec<String> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let next = if at + 1 == parts.len() { place.next } else { Next::Consonant };
            let alone = Setting { before: &[], after: &[] };
            spoken.push(self.simple(part, &Place { setting: alone, next, shouted: place.shouted }));
        }
        let mut order: Vec<usize> = (0..spoken.len()).filter(|&at| !spoken[at].is_empty()).collect();
        let primaries = order.iter().filter(|&&at| spoken[at].contains('ˈ')).count();
        let lesser: Vec<usize> = if order.len() == 2 && parts[order[0]].chars().count() == 1 {
            vec![order[1]]
        } else if order.len() < 2 || primaries <= order.len().div_ceil(2) {
            Vec::new()
        } else {
            order.sort_by_key(|&at| (spoken[at].contains('ˈ'), stress::weight(&spoken[at])));
            order[..order.len() / 2].to_vec()
        };
        for at in lesser {
            spoken[at] = Emphasis::Weakened.apply(std::mem::take(&mut spoken[at]));
        }
        spoken.concat()
    }

    /// A word without hyphens.
    fn simple(&self, word: &str, place: &Place) -> String {
        let plain = words::plain(word);
        let word = if self.lexicon.knows(&plain) { &plain } else { plain.trim_end_matches('.') };
        if let Some(phonemes) = self.by_context(word, place) {
            return phonemes;
        }
        let emphasis = if place.shouted { Emphasis::Plain } else { Emphasis::of(word) };
        self.known(word, place, emphasis)
            .or_else(|| self.inflected(word, place, emphasis))
            .or_else(|| self.initialism(word, place))
            .or_else(|| self.compound(&word.to_lowercase()))
            .or_else(|| self.guess(&word.to_lowercase()))
            .unwrap_or_default()
    }

    /// Function words whose form depends on the sound that follows.
    fn by_context(&self, word: &str, place: &Place) -> Option<String> {
        let lower = word.to_lowercase();
        let first = place.setting.before.is_empty();
        let phonemes =
            match (&*lower, place.next) {
                // The letter is written large and stands last or before another letter; the article is not.
                ("a", next) if word == "a" || (first && next != Next::Pause) || place.shouted => {
                    if next == Next::Pause { "ˈA" } else { "ɐ" }
                }
                ("a", _) => "ˈA",
                ("an", _) => "ɐn",
                ("am", Next::Pause) => "æm",
                ("am", _) if word == "am" => "ɐm",
                ("i", _) if word == "I" => "ˌI",
                ("the", Next::Vowel) => "ði",
                ("the", _) => "ðə",
                ("to", Next::Vowel) => "tʊ",
                ("to", Next::Consonant) => "tə",
                ("to", Next::Pause) => "tu",
                ("in", Next::Pause) => "ˈɪn",
                ("in", _) => "ɪn",
                ("vs" | "vs.", _) => "vˈɜɹsəs",
                _ => return None,
            };
        Some(phonemes.into())
    }

    /// A word of the dictionary.
    fn known(&self, word: &str, place: &Place, emphasis: Emphasis) -> Option<String> {
        let lower = word.to_lowercase();
        // Capitals that the dictionary lacks are either an initialism or emphasis.
        let large = word.chars().count() > 1 && emphasis == Emphasis::Strong;
        let form = match self.lexicon.knows(word) {
            true => word,
            false if large && !self.lexicon.is_common(&lower) => return None,
            false => &lower,
        };
        let role = if large { self.role_of_capitals(place) } else { self.role(form, place) };
        match self.lexicon.look_up(form, role, place.next == Next::Pause)? {
            Found::Phonemes(phonemes) => Some(emphasis.apply(phonemes.into())),
            Found::Letters => self.lexicon.spell(form),
        }
    }

    fn role(&self, word: &str, place: &Place) -> Role {
        if self.lexicon.is_ambiguous(word) { place.setting.role(&word.to_lowercase()) } else { Role::Unknown }
    }

    /// `US` after an article or preposition is the country, elsewhere a shouted `us`.
    fn role_of_capitals(&self, place: &Place) -> Role {
        match place.setting.role("") {
            Role::Noun | Role::Attribute => Role::Noun,
            role => role,
        }
    }

    fn inflected(&self, word: &str, place: &Place, emphasis: Emphasis) -> Option<String> {
        inflect::stems(word).into_iter().find_map(|(stem, ending)| {
            let spoken = self.known(&stem, place, emphasis).or_else(|| {
                // "PCs", "CEO's"
                let initials = stem.len() > 1 && stem.chars().all(char::is_uppercase) && word.len() <= stem.len() + 2;
                if initials { self.lexicon.spell(&stem) } else { None }
            })?;
            Some(ending.join(&spoken))
        })
    }

    /// Capitals that are no word, and letters without a vowel.
    fn initialism(&self, word: &str, place: &Place) -> Option<String> {
        let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
        let large = !place.shouted && word.chars().all(|letter| letter.is_uppercase() || letter == '.');
        let voiceless = !word.to_lowercase().contains(['a', 'e', 'i', 'o', 'u', 'y']);
        let spelt = letters == 1 || (large && (letters <= 4 || voiceless)) || (voiceless && letters <= 5);
        if spelt { self.lexicon.spell(word) } else { None }
    }

    /// Two everyday words written as one.
    fn compound(&self, word: &str) -> Option<String> {
        let boundaries = word.char_indices().map(|(at, _)| at).filter(|&at| at >= 4 && at + 4 <= word.len());
        boundaries.rev().find_map(|at| {
            let (first, second) = word.split_at(at);
            if !self.lexicon.is_common(first) || !self.lexicon.is_common(second) {
                return None;
            }
            let read = |part| match self.lexicon.look_up(part, Role::Noun, false)? {
                Found::Phonemes(phonemes) => Some(String::from(phonemes)),
                Found::Letters => None,
            };
            Some(read(first)? + &Emphasis::Weakened.apply(read(second)?))
        })
    }

    /// The spelling model's reading, ending by ending.
    fn guess(&self, word: &str) -> Option<String> {
        let speller = self.speller.get_or_init(|| Speller::learn(self.lexicon.words()));
        match word.strip_suffix("'s") {
            Some(stem) => speller.read(stem).map(|phonemes| inflect::Ending::S.join(&phonemes)),
            None => speller.read(&word.replace('\'', "")),
        }
    }
}

/// Whether capitals are the writer's tone of voice: two words or more, and hardly a small letter.
fn is_shouted(text: &str) -> bool {
    let capital_words = text.split_whitespace().filter(|word| word.chars().filter(|c| c.is_uppercase()).count() > 1);
    !text.contains(char::is_lowercase) && capital_words.count() > 1
}

/// What a word sees of the phonemes or the mark that follows it; quotes are looked through.
fn following(phonemes: &str) -> Option<Next> {
    phonemes.chars().find_map(|phoneme| match phoneme {
        ';' | ':' | ',' | '.' | '!' | '?' | '—' | '…' => Some(Next::Pause),
        _ if stress::is_vowel(phoneme) => Some(Next::Vowel),
        _ if stress::is_consonant(phoneme) => Some(Next::Consonant),
        _ => None,
    })
}

/// Joins what was spoken with the spaces that were written; taps and glottal stops as the model's vocabulary has them.
fn join(tokens: &[Token], spoken: &[String]) -> String {
    let mut joined = String::new();
    for (token, phonemes) in tokens.iter().zip(spoken) {
        if token.spaced && !joined.is_empty() && !joined.ends_with(' ') && !phonemes.is_empty() {
            joined.push(' ');
        }
        joined.push_str(phonemes);
    }
    joined.replace('ɾ', "T").replace('ʔ', "t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> std::path::PathBuf {
        std::env::var_os("COMPANION_MODELS").unwrap_or_else(|| "models".into()).into()
    }

    #[test]
    fn capitals_initials_and_unknown_words_are_read() {
        let english = English::load(&models().join("misaki-en")).unwrap();
        for (text, phonemes) in [
            ("I LOVE YOU", "ˌI lˈʌv ju"),
            ("This is SO GOOD!", "ðˌɪs ɪz sˈO ɡˈʊd!"),
            ("The US economy told us.", "ðə jˌuˈɛs ikˈɑnəmi tˈOld ˌʌs."),
            ("an A and a B, vitamin A.", "ɐn ˈA ænd ɐ bˈi, vˈITəmən ˈA."),
            ("rock'n'roll 'tis 'quoted words'", "ɹˌɑknɹˈOl tˈɪz kwˈOTᵻd wˈɜɹdz"),
            ("PCs and ChatGPT", "pˌisˈiz ænd ʧˌætʤˌipˌitˈi"),
            ("café", "kæfˈA"),
            ("photoshopped", "fˈOTəʃˌɑpt"),
            ("", ""),
            ("§ 你好", ""),
        ] {
            assert_eq!(english.phonemes(text), phonemes, "{text}");
        }
    }

    #[test]
    fn words_kept_from_the_speller_are_mostly_read_right() {
        let lexicon = Lexicon::load(&models().join("misaki-en")).unwrap();
        let kept =
            |word: &str| word.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 60 == 7;
        let speller = Speller::learn(lexicon.words().filter(|(word, _)| !kept(word)));
        let plain = |phonemes: &str| phonemes.replace(['ˈ', 'ˌ'], "");
        let words: Vec<_> = lexicon
            .words()
            .filter(|(word, _)| kept(word) && word.bytes().all(|byte| byte.is_ascii_lowercase()) && word.len() > 2)
            .collect();
        let right = words
            .iter()
            .filter(|(word, phonemes)| speller.read(word).is_some_and(|read| plain(&read) == plain(phonemes)));
        let share = right.count() as f64 / words.len() as f64;
        println!("{share:.3} of {} words that were not learned from", words.len());
        assert!(words.len() > 500 && share > 0.65, "{share:.3} of {} words", words.len());
    }

    #[test]
    fn a_missing_dictionary_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = English::load(folder.path()).err().unwrap().to_string();
        assert!(error.contains("us_gold.json"), "{error}");
        std::fs::write(folder.path().join("us_gold.json"), "{}").unwrap();
        std::fs::write(folder.path().join("us_silver.json"), "{}").unwrap();
        assert!(English::load(folder.path()).err().unwrap().to_string().contains("spell A"));
    }
}
