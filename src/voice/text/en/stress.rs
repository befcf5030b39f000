//! Stress marks in phoneme strings: `ˈ` primary and `ˌ` secondary stand directly before their vowel.

/// Whether a phoneme is a vowel that can be stressed (capitals are diphthongs).
pub fn is_vowel(phoneme: char) -> bool {
    "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ".contains(phoneme)
}

/// Whether a phoneme is a consonant.
pub fn is_consonant(phoneme: char) -> bool {
    "bdfhjklmnpstvwzðŋɡɹɾTʃʒʤʧθ".contains(phoneme)
}

/// With `mark` before the first vowel.
pub fn stressed(phonemes: &str, mark: char) -> String {
    let mut marked = phonemes.to_owned();
    if let Some((at, _)) = phonemes.char_indices().find(|&(_, phoneme)| is_vowel(phoneme)) {
        marked.insert(at, mark);
    }
    marked
}

/// How a word's stress is changed by its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emphasis {
    /// As the dictionary has it.
    Plain,
    /// A capitalised word: an unstressed one gets a secondary stress.
    Lifted,
    /// A word in capitals: gets a primary stress if it has none.
    Strong,
    /// A lesser part of a compound: its primary stress becomes secondary.
    Weakened,
}

impl Emphasis {
    /// What a word's capitals ask for.
    pub fn of(word: &str) -> Self {
        if word.chars().all(|letter| !letter.is_uppercase()) {
            Self::Plain
        } else if word.chars().any(char::is_lowercase) {
            Self::Lifted
        } else {
            Self::Strong
        }
    }

    /// Applies it.
    pub fn apply(self, phonemes: String) -> String {
        let (primary, secondary) = (phonemes.contains('ˈ'), phonemes.contains('ˌ'));
        match self {
            Self::Lifted if !primary && !secondary => stressed(&phonemes, 'ˌ'),
            Self::Strong if !primary && secondary => phonemes.replace('ˌ', "ˈ"),
            Self::Strong if !primary => stressed(&phonemes, 'ˈ'),
            Self::Weakened if primary => phonemes.replace('ˌ', "").replace('ˈ', "ˌ"),
            _ => phonemes,
        }
    }
}

/// How heavy a word is: its sounds, diphthongs and affricates twice.
pub fn weight(phonemes: &str) -> usize {
    phonemes.chars().map(|phoneme| if "AIOQWYʤʧ".contains(phoneme) { 2 } else { 1 }).sum()
}
