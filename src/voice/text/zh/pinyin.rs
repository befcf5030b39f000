//! Pinyin syllables, and how Kokoro spells their sounds.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A tone of Mandarin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// High and level: mā.
    First,
    /// Rising: má.
    Second,
    /// Low: mǎ.
    Third,
    /// Falling: mà.
    Fourth,
    /// Light, without a contour of its own: ma.
    Neutral,
}

impl Tone {
    /// The mark that follows the nucleus in Kokoro's phonemes.
    pub fn arrow(self) -> &'static str {
        match self {
            Self::First => "→",
            Self::Second => "↗",
            Self::Third => "↓",
            Self::Fourth => "↘",
            Self::Neutral => "",
        }
    }

    /// The tone a combining accent stands for.
    fn of_accent(accent: char) -> Option<Self> {
        Some(match accent {
            '\u{304}' => Self::First,
            '\u{301}' => Self::Second,
            '\u{30c}' => Self::Third,
            '\u{300}' => Self::Fourth,
            _ => return None,
        })
    }

    fn of_digit(digit: char) -> Option<Self> {
        Some(match digit {
            '1' => Self::First,
            '2' => Self::Second,
            '3' => Self::Third,
            '4' => Self::Fourth,
            '0' | '5' => Self::Neutral,
            _ => return None,
        })
    }
}

/// A syllable of Mandarin: its letters and its tone. Seven bytes, since a dictionary holds two hundred thousand.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Syllable {
    /// The letters without the tone, `v` for ü and `E` for ê, padded with zeros.
    letters: [u8; 6],
    /// The tone.
    pub tone: Tone,
}

impl Syllable {
    /// Reads pinyin with an accent (`zhōng`, `lǜ`) or a digit (`zhong1`, `lv4`); without either the tone is neutral.
    /// `None` for what is not a syllable of Mandarin.
    pub fn parse(pinyin: &str) -> Option<Self> {
        let mut syllable = Self { letters: [0; 6], tone: Tone::Neutral };
        let mut length = 0;
        for letter in pinyin.nfd() {
            match letter {
                'a'..='z' => {
                    *syllable.letters.get_mut(length)? = letter as u8;
                    length += 1;
                }
                '\u{308}' if length > 0 && syllable.letters[length - 1] == b'u' => syllable.letters[length - 1] = b'v',
                '\u{302}' if length > 0 && syllable.letters[length - 1] == b'e' => syllable.letters[length - 1] = b'E',
                _ => syllable.tone = Tone::of_accent(letter).or_else(|| Tone::of_digit(letter))?,
            }
        }
        syllable.sound().map(|_| syllable)
    }

    /// The letters without the tone, `v` for ü.
    pub fn letters(&self) -> &str {
        let length = self.letters.iter().position(|&letter| letter == 0).unwrap_or(self.letters.len());
        std::str::from_utf8(&self.letters[..length]).unwrap_or_default()
    }

    /// The syllable with its tone as a digit, 5 for neutral: `nü3`, and `huar1` if it is `rhotic`.
    pub fn pinyin(&self, rhotic: bool) -> String {
        let letters = self.letters().replace('v', "ü").replace('E', "ê");
        format!("{letters}{}{}", if rhotic { "r" } else { "" }, self.tone as u8 + 1)
    }

    /// Appends the syllable's phonemes, closed by a retroflex ending if it is `rhotic` (花儿, 一点儿).
    pub fn write_phonemes(&self, rhotic: bool, out: &mut String) {
        let Some((onset, rhyme)) = self.sound() else { return };
        let Rhyme { glide, nucleus, coda, .. } = rhyme;
        out.push_str(onset);
        out.push_str(glide);
        if rhotic {
            out.push_str(rhotic_nucleus(nucleus, coda));
            out.push_str(self.tone.arrow());
            out.push('ɚ');
        } else {
            out.push_str(nucleus);
            out.push_str(self.tone.arrow());
            out.push_str(coda);
        }
    }

    fn sound(&self) -> Option<(&'static str, &'static Rhyme)> {
        let letters = self.letters();
        // The whole syllable is tried as a rhyme last: in `n` and `ng` what looks like an initial is none.
        INITIALS.iter().filter(|(initial, _)| letters.starts_with(initial)).find_map(|&(initial, onset)| {
            let place = if initial.is_empty() { Place::Alone } else { Place::AfterInitial };
            let written = match (initial, &letters[initial.len()..]) {
                // The vowel of zhi, chi, shi, ri, zi, ci, si is a held consonant.
                ("zh" | "ch" | "sh" | "r" | "z" | "c" | "s", "i") => "-i",
                // ü is written u after j, q and x, where no u can stand.
                ("j" | "q" | "x", "u") => "v",
                ("j" | "q" | "x", "ue") => "ve",
                ("j" | "q" | "x", "uan") => "van",
                ("j" | "q" | "x", "un") => "vn",
                (_, rest) => rest,
            };
            let rhyme = RHYMES.iter().find(|rhyme| rhyme.written == written && rhyme.place.allows(place))?;
            Some((onset, rhyme))
        })
    }
}

impl fmt::Debug for Syllable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pinyin(false))
    }
}

/// Reads syllables written one after another with spaces: `yín háng`. `None` if any is not one.
pub fn parse_all(pinyin: &str) -> Option<Box<[Syllable]>> {
    pinyin.split_whitespace().map(Syllable::parse).collect()
}

/// What is left of a rhyme before a retroflex ending: -n and -i fall away, -ŋ too.
fn rhotic_nucleus(nucleus: &'static str, coda: &str) -> &'static str {
    match (nucleus, coda) {
        ("ai", _) | ("ɛ", "n") => "a",
        ("ei", _) => "ə",
        _ => nucleus,
    }
}

/// Initials and their onsets, the longer before the shorter. Syllables with y- or w- have none: see [`RHYMES`].
const INITIALS: &[(&str, &str)] = &[
    ("zh", "ꭧ"),
    ("ch", "ꭧʰ"),
    ("sh", "ʂ"),
    ("b", "p"),
    ("p", "pʰ"),
    ("m", "m"),
    ("f", "f"),
    ("d", "t"),
    ("t", "tʰ"),
    ("n", "n"),
    ("l", "l"),
    ("g", "k"),
    ("k", "kʰ"),
    ("h", "x"),
    ("j", "ʨ"),
    ("q", "ʨʰ"),
    ("x", "ɕ"),
    ("r", "ɻ"),
    ("z", "ʦ"),
    ("c", "ʦʰ"),
    ("s", "s"),
    ("", ""),
];

/// Where a rhyme is written as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    AfterInitial,
    Alone,
    Either,
}

impl Place {
    fn allows(self, place: Self) -> bool {
        self == Self::Either || self == place
    }
}

/// A rhyme as pinyin writes it and as it sounds; the tone's mark stands behind the nucleus.
struct Rhyme {
    written: &'static str,
    place: Place,
    glide: &'static str,
    nucleus: &'static str,
    coda: &'static str,
}

const fn rhyme(
    written: &'static str,
    place: Place,
    glide: &'static str,
    nucleus: &'static str,
    coda: &'static str,
) -> Rhyme {
    Rhyme { written, place, glide, nucleus, coda }
}

/// The rhymes of Mandarin in Kokoro's spelling. A syllable that pinyin begins with y or w stands here whole.
#[rustfmt::skip]
const RHYMES: &[Rhyme] = &{
    use Place::{AfterInitial, Alone, Either};
    [
        rhyme("a",    Either, "", "a",  ""),
        rhyme("ai",   Either, "", "ai", ""),
        rhyme("an",   Either, "", "a",  "n"),
        rhyme("ang",  Either, "", "a",  "ŋ"),
        rhyme("ao",   Either, "", "au", ""),
        rhyme("e",    Either, "", "ɤ",  ""),
        rhyme("E",    Either, "", "ɛ",  ""),
        rhyme("ei",   Either, "", "ei", ""),
        rhyme("en",   Either, "", "ə",  "n"),
        rhyme("eng",  Either, "", "ə",  "ŋ"),
        rhyme("er",   Alone,  "", "ɚ",  ""),
        rhyme("ou",   Either, "", "ou", ""),
        rhyme("ong",  AfterInitial, "", "ʊ", "ŋ"),
        rhyme("o",    Alone,  "", "ɔ",  ""),
        rhyme("-i",   AfterInitial, "", "ɨ", ""),

        rhyme("i",    AfterInitial, "",  "i",  ""),   rhyme("yi",   Alone, "",  "i",  ""),
        rhyme("ia",   AfterInitial, "j", "a",  ""),   rhyme("ya",   Alone, "j", "a",  ""),
        rhyme("ian",  AfterInitial, "j", "ɛ",  "n"),  rhyme("yan",  Alone, "j", "ɛ",  "n"),
        rhyme("iang", AfterInitial, "j", "a",  "ŋ"),  rhyme("yang", Alone, "j", "a",  "ŋ"),
        rhyme("iao",  AfterInitial, "j", "au", ""),   rhyme("yao",  Alone, "j", "au", ""),
        rhyme("ie",   AfterInitial, "j", "e",  ""),   rhyme("ye",   Alone, "j", "e",  ""),
        rhyme("in",   AfterInitial, "",  "i",  "n"),  rhyme("yin",  Alone, "",  "i",  "n"),
        rhyme("ing",  AfterInitial, "",  "i",  "ŋ"),  rhyme("ying", Alone, "",  "i",  "ŋ"),
        rhyme("iong", AfterInitial, "j", "ʊ",  "ŋ"),  rhyme("yong", Alone, "j", "ʊ",  "ŋ"),
        rhyme("iu",   AfterInitial, "j", "ou", ""),   rhyme("you",  Alone, "j", "ou", ""),
        rhyme("yo",   Alone,        "j", "ɔ",  ""),   rhyme("yai",  Alone, "j", "ai", ""),

        rhyme("u",    AfterInitial, "",  "u",  ""),   rhyme("wu",   Alone, "",  "u",  ""),
        rhyme("ua",   AfterInitial, "w", "a",  ""),   rhyme("wa",   Alone, "w", "a",  ""),
        rhyme("uai",  AfterInitial, "w", "ai", ""),   rhyme("wai",  Alone, "w", "ai", ""),
        rhyme("uan",  AfterInitial, "w", "a",  "n"),  rhyme("wan",  Alone, "w", "a",  "n"),
        rhyme("uang", AfterInitial, "w", "a",  "ŋ"),  rhyme("wang", Alone, "w", "a",  "ŋ"),
        rhyme("ui",   AfterInitial, "w", "ei", ""),   rhyme("wei",  Alone, "w", "ei", ""),
        rhyme("un",   AfterInitial, "w", "ə",  "n"),  rhyme("wen",  Alone, "w", "ə",  "n"),
        rhyme("o",    AfterInitial, "w", "o",  ""),   rhyme("weng", Alone, "w", "ə",  "ŋ"),
        rhyme("uo",   AfterInitial, "w", "o",  ""),   rhyme("wo",   Alone, "w", "o",  ""),
        rhyme("wong", Alone,        "",  "ʊ",  "ŋ"),

        rhyme("v",    AfterInitial, "",  "y",  ""),   rhyme("yu",   Alone, "",  "y",  ""),
        rhyme("ve",   AfterInitial, "ɥ", "e",  ""),   rhyme("yue",  Alone, "ɥ", "e",  ""),
        rhyme("van",  AfterInitial, "ɥ", "ɛ",  "n"),  rhyme("yuan", Alone, "ɥ", "ɛ",  "n"),
        rhyme("vn",   AfterInitial, "",  "y",  "n"),  rhyme("yun",  Alone, "",  "y",  "n"),

        // The held consonants of 嗯, 呣 and 哼.
        rhyme("m",    Alone, "",  "m", ""),
        rhyme("n",    Alone, "",  "n", ""),
        rhyme("ng",   Alone, "",  "ŋ", ""),
        rhyme("hm",   Alone, "h", "m", ""),
        rhyme("hng",  Alone, "h", "ŋ", ""),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    fn phonemes(pinyin: &str) -> String {
        let mut out = String::new();
        for syllable in parse_all(pinyin).expect(pinyin) {
            syllable.write_phonemes(false, &mut out);
        }
        out
    }

    #[test]
    fn accents_and_digits_name_the_same_syllable() {
        for (accent, digit) in [("zhōng", "zhong1"), ("lǜ", "lv4"), ("nǚ", "nü3"), ("ế", "E2"), ("ma", "ma5")] {
            let expected = if digit == "E2" { Syllable::parse("ê2") } else { Syllable::parse(digit) };
            assert_eq!(Syllable::parse(accent), expected, "{accent}");
            assert!(expected.is_some(), "{digit}");
        }
    }

    #[test]
    fn what_is_not_a_syllable_is_refused() {
        for nonsense in ["", "zz", "bian6", "zhuangzhuang", "中", "ng2g", "x", "¨", "a\u{301}\u{323}"] {
            assert_eq!(Syllable::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn sounds_follow_the_scheme() {
        let cases = [
            ("yín háng", "i↗nxa↗ŋ"),
            ("zhōng guó", "ꭧʊ→ŋkwo↗"),
            ("xué shēng", "ɕɥe↗ʂə→ŋ"),
            ("ér zi", "ɚ↗ʦɨ"),
            ("nǚ lüè", "ny↓lɥe↘"),
            ("liú shuǐ", "ljou↗ʂwei↓"),
            ("bó rì chūn", "pwo↗ɻɨ↘ꭧʰwə→n"),
            ("quán jūn yuàn", "ʨʰɥɛ↗nʨy→nɥɛ↘n"),
            ("ó ńg ń hng", "ɔ↗ŋ↗n↗hŋ"),
        ];
        for (pinyin, expected) in cases {
            assert_eq!(phonemes(pinyin), expected, "{pinyin}");
        }
    }

    /// All syllables of the dictionaries, as `misaki` spells them.
    #[test]
    fn every_syllable_is_spelled_as_in_the_reference() {
        let json = include_str!("../../../../tests/records/voice/zh_syllables.json");
        let reference: std::collections::BTreeMap<String, String> = serde_json::from_str(json).unwrap();
        assert!(reference.len() > 400);
        // It spells 哟 (yō) like 我, having no rhyme for it.
        for (pinyin, expected) in reference.into_iter().filter(|(pinyin, _)| pinyin != "yō") {
            assert_eq!(phonemes(&pinyin), expected, "{pinyin}");
        }
    }

    #[test]
    fn a_retroflex_ending_takes_the_place_of_the_coda() {
        let cases = [
            ("huā", "xwa→ɚ"),
            ("diǎn", "tja↓ɚ"),
            ("huì", "xwə↘ɚ"),
            ("wán", "wa↗ɚ"),
            ("shì", "ʂɨ↘ɚ"),
            ("kòng", "kʰʊ↘ɚ"),
        ];
        for (pinyin, expected) in cases {
            let mut out = String::new();
            Syllable::parse(pinyin).unwrap().write_phonemes(true, &mut out);
            assert_eq!(out, expected, "{pinyin}");
        }
    }
}
