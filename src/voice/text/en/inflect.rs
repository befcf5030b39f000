//! Regular endings: how a stem's last sound decides the sound of `-s`, `-ed` and `-ing`.

use super::stress::is_vowel;

/// A regular ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Plural, third person, possessive.
    S,
    /// Past.
    Ed,
    /// Progressive.
    Ing,
}

/// The stems that a word may be an inflection of, likeliest first.
pub fn stems(word: &str) -> Vec<(String, Ending)> {
    let mut stems = Vec::new();
    let mut add = |stem: &str, tail: &str, ending| {
        if stem.len() > 1 {
            stems.push((format!("{stem}{tail}"), ending));
        }
    };
    if let Some(stem) = word.strip_suffix("'s").or_else(|| word.strip_suffix("s'")) {
        add(stem, "", Ending::S);
        add(stem, "s", Ending::S);
    } else if let Some(stem) = word.strip_suffix('s').filter(|stem| !stem.ends_with('s')) {
        add(stem, "", Ending::S);
        if let Some(stem) = stem.strip_suffix("ie") {
            add(stem, "y", Ending::S);
        } else if let Some(stem) = stem.strip_suffix('e') {
            add(stem, "", Ending::S);
        }
    }
    if let Some(stem) = word.strip_suffix("ied") {
        add(stem, "y", Ending::Ed);
    }
    if let Some(stem) = word.strip_suffix("ed").filter(|stem| !stem.ends_with('e')) {
        add(stem, "e", Ending::Ed);
        add(stem, "", Ending::Ed);
        undoubled(stem).into_iter().for_each(|stem| add(stem, "", Ending::Ed));
    }
    if let Some(stem) = word.strip_suffix("ing") {
        add(stem, "", Ending::Ing);
        add(stem, "e", Ending::Ing);
        undoubled(stem).into_iter().for_each(|stem| add(stem, "", Ending::Ing));
    }
    stems
}

/// `runn` → `run`, `panick` → `panic`.
fn undoubled(stem: &str) -> Option<&str> {
    let mut letters = stem.chars().rev();
    let (last, before) = (letters.next()?, letters.next()?);
    let doubled = last == before && "bcdgklmnprstvxz".contains(last);
    if doubled || stem.ends_with("ck") { stem.get(..stem.len() - 1) } else { None }
}

impl Ending {
    /// A stem's phonemes with the ending.
    pub fn join(self, stem: &str) -> String {
        let mut sounds = stem.chars().rev();
        let last = sounds.next().unwrap_or_default();
        let before = sounds.next().unwrap_or_default();
        // Between vowels an American t is a tap.
        let tapped = |ending: &str| match stem.strip_suffix('t') {
            Some(body) if before == 'ɹ' || (is_vowel(before) && before != 'ə') => format!("{body}ɾ{ending}"),
            Some(body) if before == 'ə' => format!("{body}ɾ{ending}"),
            _ => format!("{stem}{ending}"),
        };
        match self {
            Self::S if "ptkfθ".contains(last) => format!("{stem}s"),
            Self::S if "szʃʒʧʤ".contains(last) => format!("{stem}ᵻz"),
            Self::S => format!("{stem}z"),
            Self::Ed if "pkfθʃsʧ".contains(last) => format!("{stem}t"),
            Self::Ed if last == 'd' => format!("{stem}ᵻd"),
            Self::Ed if last == 't' => tapped("ᵻd"),
            Self::Ed => format!("{stem}d"),
            Self::Ing => tapped("ɪŋ"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stems_last_sound_decides_the_ending() {
        assert_eq!(Ending::S.join("kˈæt"), "kˈæts");
        assert_eq!(Ending::S.join("dˈɔɡ"), "dˈɔɡz");
        assert_eq!(Ending::S.join("bˈɑks"), "bˈɑksᵻz");
        assert_eq!(Ending::Ed.join("wˈɔk"), "wˈɔkt");
        assert_eq!(Ending::Ed.join("nˈid"), "nˈidᵻd");
        assert_eq!(Ending::Ed.join("hˈAt"), "hˈAɾᵻd");
        assert_eq!(Ending::Ing.join("ɹˈIt"), "ɹˈIɾɪŋ");
    }

    #[test]
    fn a_word_is_taken_back_to_its_stems() {
        let find = |word: &str, stem: &str| stems(word).iter().any(|(found, _)| found == stem);
        assert!(find("cities", "city") && find("stopped", "stop") && find("making", "make") && find("boys'", "boy"));
    }
}
