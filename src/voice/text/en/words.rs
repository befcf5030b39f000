//! Text → words and marks.

use unicode_normalization::UnicodeNormalization;

/// A word, or a punctuation mark that the model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word as written but for its apostrophes, or the mark as the model's vocabulary has it.
    pub text: String,
    /// Whether it is a word.
    pub is_word: bool,
    /// Whether a space stands before it.
    pub spaced: bool,
}

/// Splits text. A word may hold apostrophes, hyphens and, between letters, dots.
pub fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.nfkc().map(straight).collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut spaced = true;
    let mut at = 0;
    while let Some(&first) = characters.get(at) {
        let start = at;
        at += 1;
        if is_inside(first) || (first == '\'' && is_clipped(&characters[at..])) {
            while let Some(&next) = characters.get(at) {
                let after = characters.get(at + 1).copied().unwrap_or(' ');
                let joins = matches!(next, '\'' | '-') && is_inside(after);
                let apostrophe = next == '\'' && characters[at - 1] == 's' && !is_quoted(&characters[..start]);
                let dotted = next == '.' && is_dotted(&characters[start..at], &characters[at + 1..]);
                if !is_inside(next) && !joins && !apostrophe && !dotted {
                    break;
                }
                at += 1;
            }
            tokens.push(Token { text: characters[start..at].iter().collect(), is_word: true, spaced });
            spaced = false;
            continue;
        }
        let mark = match first {
            ' ' | '\t' | '\n' | '\r' => None,
            '-' | '–' | '—' | '―' if first != '-' || spaced => Some("—"),
            '-' | '/' | '_' => {
                spaced = true;
                continue;
            }
            '&' => Some("and"),
            '+' => Some("plus"),
            '@' => Some("at"),
            '%' => Some("percent"),
            ';' | ':' | ',' | '.' | '!' | '?' | '…' | '"' | '(' | ')' | '“' | '”' => {
                let mark = first.to_string();
                match tokens.last_mut().filter(|last| !last.is_word && !spaced) {
                    Some(last) if first == '.' && last.text == "." => last.text = "…".into(),
                    Some(last) if last.text == mark || (first == '.' && last.text == "…") => {}
                    _ => tokens.push(Token { text: mark, is_word: false, spaced }),
                }
                spaced = false;
                continue;
            }
            _ => {
                // What cannot be said still parts its neighbours.
                spaced = true;
                continue;
            }
        };
        match mark {
            None => spaced = true,
            Some("—") => {
                tokens.push(Token { text: "—".into(), is_word: false, spaced });
                spaced = false;
            }
            Some(word) => {
                tokens.push(Token { text: word.into(), is_word: true, spaced: true });
                spaced = true;
            }
        }
    }
    tokens
}

/// What the parts of a word are: around hyphens, at a change from small to capital letters, and each digit.
pub fn parts(word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut previous = ' ';
    let characters: Vec<char> = word.chars().collect();
    for (at, &character) in characters.iter().enumerate() {
        let next_is_small = characters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let hump = character.is_uppercase()
            && (previous.is_lowercase() || (previous.is_uppercase() && next_is_small && at > 1));
        let digit = character.is_ascii_digit() || previous.is_ascii_digit();
        if character == '-' || hump || digit {
            parts.push(String::new());
        }
        if character != '-' {
            let last = parts.len() - 1;
            match digit_name(character) {
                Some(name) => parts[last].push_str(name),
                None => parts[last].push(character),
            }
        }
        previous = character;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Without accents, dots of abbreviation kept.
pub fn plain(word: &str) -> String {
    word.nfd().filter(|character| character.is_ascii()).collect()
}

fn digit_name(character: char) -> Option<&'static str> {
    let names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    names.get(usize::try_from(character.to_digit(10)?).ok()?).copied()
}

fn straight(character: char) -> char {
    match character {
        '‘' | '’' | 'ʼ' | '`' => '\'',
        other => other,
    }
}

/// Whether what follows an apostrophe has lost its beginning, and is not quoted.
fn is_clipped(rest: &[char]) -> bool {
    const CLIPPED: &[&str] = &["tis", "twas", "cause", "em", "til", "bout", "round", "n"];
    let word: String = rest.iter().take_while(|character| is_inside(**character)).collect();
    CLIPPED.contains(&&*word.to_lowercase())
}

fn is_inside(character: char) -> bool {
    character.is_alphanumeric()
}

/// Whether a single quote was opened before: then an apostrophe after s closes it.
fn is_quoted(before: &[char]) -> bool {
    let opens = |window: &[char]| window[0].is_whitespace() && window[1] == '\'';
    before.first() == Some(&'\'') || before.windows(2).any(opens)
}

/// Whether a dot belongs to its word: `U.S.`, `e.g.`, `Mr.` before more text.
fn is_dotted(word: &[char], rest: &[char]) -> bool {
    let Some(&after) = rest.first() else { return false };
    let letters = word.iter().rev().take_while(|&&character| character != '.').count();
    let initials = letters == 1 && (after.is_alphabetic() || word.contains(&'.'));
    let word: String = word.iter().collect();
    initials || (matches!(&*word, "Mr" | "Mrs" | "Ms" | "Dr" | "Jr" | "Sr" | "Prof" | "vs" | "etc") && after != '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_keep_what_belongs_to_them() {
        assert_eq!(texts("The boys' U.S. well-known can’t!"), ["The", "boys'", "U.S.", "well-known", "can't", "!"]);
        assert_eq!(texts("Mr. Fox... hm — 'yes'"), ["Mr.", "Fox", "…", "hm", "—", "yes"]);
        assert_eq!(texts(""), [""; 0]);
    }

    #[test]
    fn a_word_falls_into_its_parts() {
        assert_eq!(parts("YouTube"), ["You", "Tube"]);
        assert_eq!(parts("ChatGPT"), ["Chat", "GPT"]);
        assert_eq!(parts("mother-in-law"), ["mother", "in", "law"]);
        assert_eq!(parts("R2D2"), ["R", "two", "D", "two"]);
        assert_eq!(parts("FBI"), ["FBI"]);
    }
}
