//! The part a word plays in its sentence, guessed from its neighbours: enough to tell the readings of `record` apart.

/// A part of speech, as far as readings depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing speaks for anything else.
    Unknown,
    /// A noun.
    Noun,
    /// An infinitive, imperative or present form.
    Verb,
    /// A finite past form.
    Past,
    /// A past participle.
    Participle,
    /// An adjective that says what something is.
    Adjective,
    /// An adjective or noun before the noun it belongs to.
    Attribute,
    /// An adverb.
    Adverb,
    /// A determiner.
    Determiner,
}

impl Role {
    /// The dictionary's keys for the role, most specific first.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Unknown => &[],
            Self::Noun => &["NOUN"],
            Self::Verb => &["VERB"],
            Self::Past => &["VBD", "VERB"],
            Self::Participle => &["VBN", "VERB"],
            Self::Adjective => &["ADJ"],
            Self::Attribute => &["ADJ", "NOUN"],
            Self::Adverb => &["ADV"],
            Self::Determiner => &["DT"],
        }
    }
}

/// A word with its neighbours in small letters, nearest first; a pause ends either side.
pub struct Setting<'a> {
    /// What was said before, the last word first.
    pub before: &'a [&'a str],
    /// What follows.
    pub after: &'a [&'a str],
}

const DETERMINERS: &[&str] = &[
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our", "their", "some",
    "any", "no", "every", "each", "another", "one", "two", "several", "many", "few", "such", "own", "whose",
];
const SUBJECTS: &[&str] =
    &["i", "you", "he", "she", "it", "we", "they", "who", "people", "i'd", "you'd", "he'd", "she'd", "we'd", "they'd"];
const MODALS: &[&str] = &[
    "to",
    "will",
    "would",
    "can",
    "could",
    "shall",
    "should",
    "may",
    "might",
    "must",
    "do",
    "does",
    "did",
    "don't",
    "doesn't",
    "didn't",
    "won't",
    "wouldn't",
    "can't",
    "couldn't",
    "shouldn't",
    "cannot",
    "let's",
    "please",
    "i'll",
    "you'll",
    "he'll",
    "she'll",
    "it'll",
    "we'll",
    "they'll",
    "let",
];
const BE: &[&str] = &[
    "am", "is", "are", "was", "were", "be", "been", "being", "i'm", "you're", "he's", "she's", "it's", "we're",
    "they're", "that's", "isn't", "aren't", "wasn't", "weren't", "get", "gets", "got", "seem", "seems", "feel",
    "feels",
];
const HAVE: &[&str] =
    &["have", "has", "had", "having", "i've", "you've", "we've", "they've", "haven't", "hasn't", "hadn't"];
const PREPOSITIONS: &[&str] = &[
    "of", "in", "on", "at", "by", "for", "from", "with", "without", "into", "onto", "about", "over", "under", "after",
    "before", "between", "through", "against", "during", "as", "like", "than",
];
const OBJECTS: &[&str] = &["me", "you", "him", "her", "it", "us", "them", "up", "down", "out", "off", "back", "away"];
const LINKS: &[&str] = &["and", "or", "but", "because", "if", "when", "while", "so", "that", "which"];

impl Setting<'_> {
    /// The likeliest role of a word whose readings differ by role.
    pub fn role(&self, word: &str) -> Role {
        match word {
            "that" => return self.role_of_that(),
            "used" => return if self.follows("to") && !self.preceded_by_be() { Role::Past } else { Role::Unknown },
            "overall" | "underground" | "uphill" if self.after.is_empty() => return Role::Adverb,
            _ => {}
        }
        let next = self.after.first().copied().unwrap_or_default();
        let opens_object = DETERMINERS.contains(&next) || OBJECTS.contains(&next);
        // An adverb between a word and its governor says nothing: "to carefully record", "have never read".
        let mut back = self.before.iter().copied().skip_while(|&word| is_adverb(word));
        let Some(last) = back.next() else {
            // The beginning: an order, or the name of what the sentence is about.
            return if opens_object { Role::Verb } else { Role::Unknown };
        };
        let beforehand = back.next().unwrap_or_default();
        if HAVE.contains(&last) || (HAVE.contains(&beforehand) && SUBJECTS.contains(&last)) {
            return if opens_object || self.after.is_empty() || self.is_link(next) {
                Role::Participle
            } else {
                Role::Noun
            };
        }
        if MODALS.contains(&last) || (MODALS.contains(&beforehand) && SUBJECTS.contains(&last)) {
            return Role::Verb;
        }
        if SUBJECTS.contains(&last) {
            return if word == "read" || word == "wound" { Role::Past } else { Role::Verb };
        }
        if ["too", "very", "quite", "rather", "pretty"].contains(&last) {
            return Role::Adjective;
        }
        if BE.contains(&last) {
            return if self.follows("by") || matches!(word, "read" | "wound") {
                Role::Participle
            } else {
                Role::Adjective
            };
        }
        if DETERMINERS.contains(&last) || last.ends_with("'s") {
            return if self.is_noun_next(next) { Role::Attribute } else { Role::Noun };
        }
        if PREPOSITIONS.contains(&last) {
            return Role::Noun;
        }
        if is_adjective(last) {
            return Role::Noun;
        }
        // After a noun: its verb, when what follows could be an object or a complement.
        if last.ends_with('s') && PREPOSITIONS.contains(&next) {
            return Role::Verb;
        }
        // "the website uses cookies": a plural does not stand before another noun.
        if word.ends_with('s') && self.is_noun_next(next) {
            return Role::Verb;
        }
        if opens_object || next == "into" || next == "to" {
            return Role::Verb;
        }
        if LINKS.contains(&last) { Role::Unknown } else { Role::Noun }
    }

    fn follows(&self, word: &str) -> bool {
        self.after.first() == Some(&word)
    }

    fn preceded_by_be(&self) -> bool {
        self.before.first().is_some_and(|word| BE.contains(word) || HAVE.contains(word))
    }

    fn is_link(&self, next: &str) -> bool {
        LINKS.contains(&next) || PREPOSITIONS.contains(&next)
    }

    /// Whether what follows looks like the noun that an adjective would belong to.
    fn is_noun_next(&self, next: &str) -> bool {
        let small = [DETERMINERS, SUBJECTS, MODALS, BE, HAVE, PREPOSITIONS, OBJECTS, LINKS];
        !next.is_empty()
            && !next.ends_with("ed")
            && !next.ends_with("ly")
            && !small.iter().any(|set| set.contains(&next))
            && !is_adverb(next)
    }

    /// A pointing `that` is stressed, a joining one is not.
    fn role_of_that(&self) -> Role {
        let next = self.after.first().copied().unwrap_or_default();
        let last = self.before.first().copied().unwrap_or_default();
        let points = next.is_empty()
            || BE.contains(&next)
            || (self.before.is_empty() && !SUBJECTS.contains(&next))
            || (PREPOSITIONS.contains(&last) || MODALS.contains(&last) || OBJECTS.contains(&last))
                && !SUBJECTS.contains(&next);
        // "something that is" joins.
        let joins = BE.contains(&next) && !last.is_empty() && !LINKS.contains(&last) && !MODALS.contains(&last);
        if points && !joins { Role::Determiner } else { Role::Unknown }
    }
}

fn is_adverb(word: &str) -> bool {
    const ADVERBS: &[&str] =
        &["not", "never", "always", "often", "also", "just", "still", "ever", "even", "already", "now"];
    ADVERBS.contains(&word) || (word.len() > 4 && word.ends_with("ly"))
}

fn is_adjective(word: &str) -> bool {
    const ADJECTIVES: &[&str] = &[
        "new", "old", "good", "bad", "big", "small", "great", "little", "long", "short", "first", "last", "other",
        "next", "best", "whole", "real", "young", "high", "low", "strong", "hot", "cold", "full", "free", "large",
        "white", "black", "red", "blue", "green", "nice", "dry", "main", "world", "better", "daily", "early", "late",
        "major", "recent",
    ];
    const SUFFIXES: &[&str] = &["ful", "ous", "ive", "ical", "able", "ible", "less", "ese", "ish", "est"];
    ADJECTIVES.contains(&word) || SUFFIXES.iter().any(|suffix| word.len() > suffix.len() + 2 && word.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(before: &str, word: &str, after: &str) -> Role {
        let before: Vec<&str> = before.split_whitespace().rev().collect();
        let after: Vec<&str> = after.split_whitespace().collect();
        Setting { before: &before, after: &after }.role(word)
    }

    #[test]
    fn neighbours_tell_a_noun_from_a_verb() {
        assert_eq!(role("we need to", "record", "a song"), Role::Verb);
        assert_eq!(role("a new", "record", "this week"), Role::Noun);
        assert_eq!(role("", "close", "the door"), Role::Verb);
        assert_eq!(role("it is", "close", "to midnight"), Role::Adjective);
        assert_eq!(role("have you", "read", "the letter"), Role::Participle);
        assert_eq!(role("i", "read", "a book"), Role::Past);
    }
}
