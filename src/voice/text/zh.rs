//! Mandarin: Chinese characters become Kokoro's phonemes.
//!
//! A clause is cut into words, words are read from the dictionaries, the readings that depend on neighbours are settled
//! ([`polyphone`]), tones act on one another ([`sandhi`]), and the syllables are spelled in the phoneme scheme of
//! Kokoro-82M v1.0 (that of the `misaki` package: IPA with an arrow for the tone behind each nucleus).

mod dictionary;
mod lexicon;
mod mark;
mod pinyin;
mod polyphone;
mod sandhi;

use std::{path::Path, thread};

use ferrous_opencc::{OpenCC, config::BuiltinConfig};
use jieba_rs::Jieba;

use self::{
    dictionary::Dictionary,
    pinyin::{Syllable, parse_all},
};
use super::TextError;

/// The frequency of words that segmentation must not cut: more than any in its dictionary.
const UNCUT: usize = 1_000_000;
/// Idioms that segmentation cuts are looked for across this many words.
const IDIOM_WORDS: usize = 5;
/// An idiom has four characters, of three bytes each.
const IDIOM_BYTES: usize = 12;

/// The Mandarin front end. Loading takes a fraction of a second, and it holds some 40 MB.
pub struct Mandarin {
    dictionary: Dictionary,
    segmenter: Jieba,
    simplifier: Option<OpenCC>,
}

/// A pronunciation that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{word:?} cannot be read {pinyin:?}: write one syllable of pinyin a character, like `chóng qìng` or `chong2 qing4`"
)]
pub struct BadPronunciation {
    /// The word.
    pub word: String,
    /// What was given for it.
    pub pinyin: String,
}

/// A word of a clause with its readings, one a character.
struct Word<'t> {
    text: &'t str,
    /// Part of speech in jieba's tags: `n…` noun, `v…` verb, `a…` adjective, `d…` adverb, `r…` pronoun, `m…` numeral.
    tag: &'t str,
    readings: Vec<Reading>,
    /// Whether its rhythm is 1 + 2 (纸老虎) rather than 2 + 1 (展览馆).
    splits_after_one: bool,
}

/// A character and how it is read.
struct Reading {
    han: char,
    syllable: Syllable,
    /// Whether a dictionary phrase decided, so that neighbours have no say.
    settled: bool,
}

/// A part of a text on its way to being said.
enum Part<'a> {
    /// The words between two marks; there may be none.
    Clause(&'a [Word<'a>]),
    /// What Kokoro knows the mark as.
    Mark(&'static str),
}

impl Mandarin {
    /// Loads the dictionaries from a folder with `phrases_dict.json` and `pinyin_dict.json` (from pypinyin).
    ///
    /// # Errors
    /// [`TextError::Dictionary`] names the file that is missing or malformed.
    pub fn load(dictionary: &Path) -> Result<Self, TextError> {
        let (segmenter, dictionary) = thread::scope(|scope| {
            let segmenter = scope.spawn(segmenter);
            let dictionary = Dictionary::load(dictionary);
            (segmenter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), dictionary)
        });
        Ok(Self { dictionary: dictionary?, segmenter, simplifier: OpenCC::from_config(BuiltinConfig::T2s).ok() })
    }

    /// Adds pronunciations that come before all others: names, and words that a persona says in its own way.
    ///
    /// # Errors
    /// [`BadPronunciation`] for the first one that is not one syllable of pinyin a character.
    pub fn with_overrides<'a>(
        mut self,
        overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadPronunciation> {
        for (word, pinyin) in overrides {
            let simplified = self.simplify(word);
            let read = parse_all(pinyin).filter(|read| !read.is_empty() && read.len() == simplified.chars().count());
            let read = read.ok_or_else(|| BadPronunciation { word: word.into(), pinyin: pinyin.into() })?;
            self.dictionary.insert(&simplified, read);
            self.segmenter.add_word(&simplified, Some(UNCUT), None);
        }
        Ok(self)
    }

    /// The phonemes of a Chinese text with its punctuation. Whatever is neither (Latin letters, characters that no
    /// dictionary knows) is silent; numbers should have been written out before ([`super::normalise`]).
    ///
    /// Takes time linear in the text's length, and emits no symbol outside Kokoro's vocabulary.
    pub fn phonemes(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        self.speak(text, |part| match part {
            Part::Clause(words) => {
                for (at, word) in words.iter().enumerate() {
                    out.push_str(if at > 0 { " " } else { "" });
                    word.spoken().for_each(|(syllable, rhotic)| syllable.write_phonemes(rhotic, &mut out));
                }
            }
            Part::Mark(mark) => mark::write(mark, &mut out),
        });
        out.truncate(out.trim_end().len());
        out
    }

    /// The pinyin of a Chinese text as it is said, tones as digits after all changes, a retroflex ending as `r`:
    /// 一点儿也不好 is `yi4 dianr3 ye3 bu4 hao3`. For people who look for a pronunciation to override.
    pub fn pinyin(&self, text: &str) -> String {
        let mut syllables = Vec::new();
        self.speak(text, |part| {
            if let Part::Clause(words) = part {
                syllables.extend(words.iter().flat_map(Word::spoken).map(|(syllable, rhotic)| syllable.pinyin(rhotic)));
            }
        });
        syllables.join(" ")
    }

    /// Hands the text's clauses and the marks between them to `say`, in order.
    fn speak(&self, text: &str, mut say: impl FnMut(Part)) {
        let text = self.simplify(text);
        let mut clause = String::new();
        for sign in text.chars().chain(['\n']) {
            let mark = mark::of(sign);
            if self.dictionary.character(sign).is_some() {
                clause.push(sign);
            } else if !mark.is_empty() {
                // A character that is neither is passed over without a pause.
                let mut words = self.words(&clause);
                self.settle(&clause, sign, &mut words);
                sandhi::apply(&mut words);
                say(Part::Clause(&words));
                say(Part::Mark(mark));
                clause.clear();
            }
        }
    }

    /// Traditional characters become simplified ones, and stray digits characters.
    fn simplify(&self, text: &str) -> String {
        let simplified =
            self.simplifier.as_ref().map_or_else(|| text.to_owned(), |simplifier| simplifier.convert(text));
        if !simplified.contains(|sign: char| sign.is_ascii_digit()) {
            return simplified;
        }
        let digits = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
        simplified.chars().map(|sign| sign.to_digit(10).map_or(sign, |digit| digits[digit as usize])).collect()
    }

    /// Cuts a clause into words and reads each by itself.
    fn words<'t>(&'t self, clause: &'t str) -> Vec<Word<'t>> {
        let cut = self.segmenter.tag(clause, true);
        let mut words: Vec<Word> = Vec::with_capacity(cut.len());
        let mut at = 0;
        while let Some(first) = cut.get(at) {
            let joined = self.joined(clause, &cut[at..]);
            let text = &clause[first.byte_start..cut[at + joined - 1].byte_end];
            at += joined;
            if text == "儿"
                && let Some(before) = words.last_mut()
                && before.takes_ending()
            {
                before.text = &clause[first.byte_start - before.text.len()..first.byte_end];
                before.readings.extend(self.readings(text));
                continue;
            }
            let splits_after_one = self.splits_after_one(text);
            words.push(Word { text, tag: first.tag, readings: self.readings(text), splits_after_one });
        }
        words
    }

    /// How many of the segmenter's words, from the first, are one: an idiom, or a character said twice.
    fn joined(&self, clause: &str, cut: &[jieba_rs::Tag]) -> usize {
        let text = |count: usize| &clause[cut[0].byte_start..cut[count - 1].byte_end];
        let idiom = (2..=cut.len().min(IDIOM_WORDS))
            .rev()
            .find(|&count| text(count).len() >= IDIOM_BYTES && self.dictionary.phrase(text(count)).is_some());
        idiom.unwrap_or_else(|| match cut {
            [first, second, ..] if first.word == second.word && first.byte_end - first.byte_start <= 4 => 2,
            _ => 1,
        })
    }

    fn readings(&self, text: &str) -> Vec<Reading> {
        let read = self.dictionary.read(text).into_iter();
        read.map(|(han, syllable, settled)| Reading { han, syllable, settled }).collect()
    }

    fn splits_after_one(&self, text: &str) -> bool {
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).take(4).collect();
        let [_, first, second] = cuts[..] else { return false };
        !self.segmenter.has_word(&text[..second]) && self.segmenter.has_word(&text[first..])
    }

    /// Settles the readings that depend on the neighbours.
    fn settle(&self, clause: &str, end: char, words: &mut [Word]) {
        let tags: Vec<&str> = words.iter().map(|word| word.tag).collect();
        let mut at = 0;
        for (index, word) in words.iter_mut().enumerate() {
            let previous = index.checked_sub(1).map_or("", |before| tags[before]);
            let next = tags.get(index + 1).copied().unwrap_or_default();
            let length = word.readings.len();
            let alone = length == 1;
            for (inside, reading) in word.readings.iter_mut().enumerate() {
                let (before, after) = (&clause[..at], &clause[at + reading.han.len_utf8()..]);
                at += reading.han.len_utf8();
                let spoken = match reading.han {
                    _ if reading.settled => None,
                    // 跑得快, cut as one word.
                    '得' if length == 3 && inside == 1 && !before.ends_with('不') => Syllable::parse("de"),
                    '得' if alone && polyphone::is_complement(previous, next) => Syllable::parse("de"),
                    '地' if alone && polyphone::is_adverbial(previous, next) => Syllable::parse("de"),
                    han if before.is_empty() => polyphone::interjection(han, if after.is_empty() { end } else { ' ' })
                        .or_else(|| polyphone::reading(han, before, after)),
                    '得' if alone => polyphone::reading('得', before, after).or_else(|| Syllable::parse("de")),
                    han => polyphone::reading(han, before, after),
                };
                reading.syllable = spoken.unwrap_or(reading.syllable);
            }
        }
    }
}

impl Word<'_> {
    /// Whether a 儿 that segmentation cut off belongs to this word.
    fn takes_ending(&self) -> bool {
        !self.tag.starts_with(['r', 'u', 'p', 'c']) || matches!(self.text, "这" | "那" | "哪")
    }

    /// The syllables to say, each with whether it has a retroflex ending.
    fn spoken(&self) -> impl Iterator<Item = (Syllable, bool)> {
        let has_ending = self.text.ends_with('儿') && self.readings.len() > 1 && !lexicon::is_child(self.text);
        let last = self.readings.len() - usize::from(has_ending);
        let spoken = self.readings[..last].iter().enumerate();
        spoken.map(move |(at, reading)| (reading.syllable, has_ending && at + 1 == last))
    }
}

/// The segmenter with the words of our lexicon.
fn segmenter() -> Jieba {
    let mut segmenter = Jieba::new();
    for (word, _) in lexicon::words() {
        segmenter.add_word(word, None, None);
    }
    segmenter
}
