//! Brackets in a reply: tags, well-formed or not, asides, and brackets that are only text.

use crate::emotion::{Cue, Emotion, EmotionSet};

/// What a model without a grammar may write around a tag.
const OPENING: [char; 4] = ['[', '【', '［', '〔'];
const CLOSING: [char; 4] = [']', '】', '］', '〕'];

/// The longest text between brackets, in characters, that is looked at as a tag.
const LONGEST: usize = 24;

/// What a bracket turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bracket {
    /// A tag of this many characters.
    Cue { cue: Cue, length: usize },
    /// Words that are no tag of the persona and are not meant to be said.
    Aside { length: usize },
    /// Text in brackets: the words are said.
    Text,
    /// More text is needed to tell.
    Unknown,
}

/// Whether a character may begin a tag.
pub(super) fn opens(character: char) -> bool {
    OPENING.contains(&character)
}

/// Reads the bracket at a place. `in_clause` says that the clause has something to say before it.
pub(super) fn read(text: &[char], at: usize, in_clause: bool, ended: bool, emotions: &EmotionSet) -> Bracket {
    let inside = &text[at + 1..];
    let stops = |character: &char| CLOSING.contains(character) || OPENING.contains(character) || *character == '\n';
    let length = inside.iter().take(LONGEST + 1).position(stops);
    let (words, closed) = match length {
        Some(length) => (&inside[..length], CLOSING.contains(&inside[length])),
        None if inside.len() > LONGEST || ended => (&inside[..inside.len().min(LONGEST)], false),
        None => return Bracket::Unknown,
    };
    let label: String = words.iter().collect();
    if closed && let Some(cue) = named(&label, emotions) {
        return Bracket::Cue { cue, length: words.len() + 2 };
    }
    let is_word =
        |character: &char| character.is_alphabetic() || character.is_whitespace() || "'’-_".contains(*character);
    if closed && words.iter().all(is_word) {
        // A tag of nobody's, `[害羞]`, or a stage direction, `[laughs softly]`. In a clause, many words are a remark.
        let remark = in_clause && label.split_whitespace().count() > 3;
        return if remark { Bracket::Text } else { Bracket::Aside { length: words.len() + 2 } };
    }
    if closed && !in_clause && named_with_more(&label, emotions).is_none() && !words.iter().any(|c| c.is_alphabetic()) {
        return Bracket::Text;
    }
    if let Some((cue, used)) = named_with_more(&label, emotions) {
        // `[开心 太好了`: the closing bracket was forgotten.
        return Bracket::Cue { cue, length: used + 1 };
    }
    let cut_off = ended && !closed && at + 1 + words.len() == text.len() && !words.is_empty();
    if cut_off && !in_clause && words.iter().all(|character| character.is_alphabetic()) {
        // The reply broke off inside a tag.
        return Bracket::Aside { length: words.len() + 1 };
    }
    Bracket::Text
}

/// The cue of a label as models write them: spaces, capitals, a final mark, a key before a colon.
fn named(label: &str, emotions: &EmotionSet) -> Option<Cue> {
    let bare = label.trim().trim_end_matches(['!', '！', '.', '。', '~', '～']);
    let value = bare.rsplit([':', '：']).next().unwrap_or(bare);
    [label, bare, value]
        .into_iter()
        .find_map(|label| emotions.cue(&label.trim().to_lowercase()).or(emotions.cue(label)))
}

/// The cue of a label at the start of some words, with how many characters it takes.
fn named_with_more(words: &str, emotions: &EmotionSet) -> Option<(Cue, usize)> {
    let start = words.chars().take_while(|character| character.is_whitespace()).count();
    let rest: String = words.chars().skip(start).collect();
    let own = emotions.tags().iter().map(|tag| tag.label.as_str());
    let labels = own.chain(Emotion::ALL.map(Emotion::zh)).chain(Emotion::ALL.map(Emotion::en));
    let fits = |label: &&str| {
        let Some(after) = strip_prefix_ignoring_case(&rest, label) else { return false };
        // A Latin label is a word of its own: `happyness` is not `happy`.
        let latin = label.chars().last().is_some_and(|last| last.is_ascii_alphabetic());
        !(latin && after.chars().next().is_some_and(char::is_alphanumeric))
    };
    let longest = labels.filter(fits).max_by_key(|label| label.chars().count())?;
    Some((emotions.cue(longest)?, start + longest.chars().count()))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}
