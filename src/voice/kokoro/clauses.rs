//! Where a sentence may be cut, so that its beginning is heard while its end is still being made.

use std::ops::Range;

/// How long a pause is made after a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// None to speak of: the cut is not at a mark.
    None,
    /// After a comma.
    Short,
    /// After a colon, semicolon or dash.
    Medium,
    /// After a sentence.
    Long,
}

impl Pause {
    /// Its length at normal speed.
    pub const fn seconds(self) -> f32 {
        match self {
            Self::None => 0.03,
            Self::Short => 0.16,
            Self::Medium => 0.24,
            Self::Long => 0.36,
        }
    }
}

/// A stretch of text that ends at a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its bytes, marks and following spaces included.
    pub text: Range<usize>,
    /// What its last mark asks for.
    pub pause: Pause,
}

/// Cuts a text after its marks. The clauses cover it without gaps.
pub fn clauses(text: &str) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let (mut start, mut pause) = (0, Pause::None);
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    for (at, &(byte, character)) in characters.iter().enumerate() {
        let after = characters.get(at + 1).map(|&(_, next)| next);
        if let Some(mark) = pause_of(&text[..byte], character, after) {
            // Of several marks the strongest counts: "?!", "。”".
            pause = if mark.seconds() > pause.seconds() { mark } else { pause };
        }
        let closes = after.is_some_and(|next| {
            let closing = is_closing(next) && !character.is_whitespace();
            next.is_whitespace() || closing || pause_of("", next, None).is_some()
        });
        if pause != Pause::None && !closes {
            let end = after.map_or(text.len(), |_| characters[at + 1].0);
            clauses.push(Clause { text: start..end, pause });
            (start, pause) = (end, Pause::None);
        }
    }
    if start < text.len() {
        clauses.push(Clause { text: start..text.len(), pause });
    }
    clauses
}

/// Cuts a clause that is too long for the model near its middle, at a space if there is one.
pub fn halves(text: &str, range: &Range<usize>) -> Option<[Range<usize>; 2]> {
    let clause = &text[range.clone()];
    let middle = clause.len() / 2;
    let distance = |at: &usize| at.abs_diff(middle);
    let cuts = |weak: bool| {
        let inside = clause.char_indices().filter(move |&(_, c)| !weak || c.is_whitespace() || c == '、');
        inside.map(|(at, character)| at + character.len_utf8()).filter(|&at| at < clause.len())
    };
    let cut = cuts(true)
        .min_by_key(distance)
        .filter(|at| distance(at) < middle / 2)
        .or_else(|| cuts(false).min_by_key(distance))?;
    Some([range.start..range.start + cut, range.start + cut..range.end])
}

fn pause_of(before: &str, character: char, after: Option<char>) -> Option<Pause> {
    // "3.14", "10:30", "1,000": a mark inside a word or number is none.
    let free = after.is_none_or(|next| !next.is_ascii_alphanumeric());
    match character {
        '。' | '！' | '？' | '…' | '\n' => Some(Pause::Long),
        '；' | '：' | '—' => Some(Pause::Medium),
        '，' => Some(Pause::Short),
        '.' if free && !is_abbreviation(before) => Some(Pause::Long),
        '!' | '?' if free => Some(Pause::Long),
        ';' | ':' if free => Some(Pause::Medium),
        ',' if free => Some(Pause::Short),
        _ => None,
    }
}

/// Whether the dot after `before` belongs to its word: "J. Smith", "U.S. Army", "e.g. this", "Mr. Fox".
fn is_abbreviation(before: &str) -> bool {
    const ABBREVIATIONS: &[&str] = &["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "No", "Jr", "Sr", "approx"];
    let word = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '"' | '“')).next().unwrap_or_default();
    let initial = word.chars().count() == 1 && word != "I" && word.chars().all(char::is_uppercase);
    let dotted = word.split('.').count() > 1 && word.split('.').all(|part| part.chars().count() == 1);
    initial || dotted || ABBREVIATIONS.contains(&word)
}

fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | ')' | '）' | '」' | '』' | '》' | '】' | ']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        clauses(text).into_iter().map(|clause| &text[clause.text]).collect()
    }

    #[test]
    fn a_text_is_cut_after_its_marks() {
        assert_eq!(cut("你好，我是小雪。你呢？"), ["你好，", "我是小雪。", "你呢？"]);
        assert_eq!(cut("Well, \"he said so.\" Did he?!"), ["Well, ", "\"he said so.\" ", "Did he?!"]);
        assert_eq!(cut("no marks"), ["no marks"]);
        assert_eq!(cut(""), [""; 0]);
    }

    #[test]
    fn marks_inside_words_and_numbers_do_not_cut() {
        assert_eq!(cut("Pi is 3.14, at 10:30 it cost 1,000."), ["Pi is 3.14, ", "at 10:30 it cost 1,000."]);
        assert_eq!(cut("The U.S. Army, e.g. here."), ["The U.S. Army, ", "e.g. here."]);
    }

    #[test]
    fn a_long_clause_is_halved_at_a_space() {
        let text = "one two three four";
        assert_eq!(halves(text, &(0..text.len())), Some([0..8, 8..18]));
        assert_eq!(halves("一二三四", &(0..12)), Some([0..6, 6..12]));
        assert_eq!(halves("一", &(0..3)), None);
    }
}
