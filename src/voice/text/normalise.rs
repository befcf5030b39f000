//! Normalisation: what is written becomes what is said. Numbers, dates, units and signs are written out as words.
//!
//! Three steps: [`clean`] takes out what is only for the eye; then rules stand at every number, sign and Latin word and
//! the first that fits writes it out; what no rule wants is copied, its punctuation made uniform.

mod chinese;
mod clean;
mod english;
mod link;
mod reader;
mod units;

use self::reader::Reader;
use super::{Language, is_han};

/// What a rule has written out, and the cursor behind what it stands for.
type Reading<'t> = Option<(String, Reader<'t>)>;

/// A rule: it looks at the cursor and either writes out what stands there or leaves it to the next.
type Rule = for<'t> fn(Reader<'t>) -> Reading<'t>;

/// Writes a text out as it is said in `language`, on one line, with the punctuation that the voice knows.
///
/// Words of the other script are kept (Latin words in a Chinese text are for an English voice to read). Emoji, markup and
/// control characters are dropped. Takes time linear in the text's length.
pub fn normalise(text: &str, language: Language) -> String {
    let text = clean::clean(text, language);
    let (rules, write_plain): (&[Rule], fn(&mut Reader, &mut String)) = match language {
        Language::Zh => (chinese::RULES, chinese::write_plain),
        Language::En => (english::RULES, english::write_plain),
    };
    let mut out = String::with_capacity(text.len() * 2);
    let mut reader = Reader::new(&text);
    while reader.peek().is_some() {
        if let Some((words, behind)) = link::link(reader, language) {
            out.push_str(&words);
            reader = behind;
        } else if let Some((words, behind)) = rules.iter().find_map(|rule| rule(reader)) {
            join(&words, language, &mut out);
            reader = behind;
        } else {
            write_plain(&mut reader, &mut out);
        }
    }
    tidy(&out)
}

/// Appends written-out words, apart from a Latin word before them.
fn join(words: &str, language: Language, out: &mut String) {
    let latin = |sign: char| sign.is_ascii_alphanumeric();
    let touches = match language {
        Language::Zh => words.starts_with(latin),
        Language::En => true,
    };
    if touches && out.ends_with(latin) && !words.is_empty() {
        out.push(' ');
    }
    out.push_str(words);
}

/// Single spaces, none before a mark, none between Chinese characters, and no mark at the beginning.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for sign in text.chars() {
        if sign == ' ' {
            space = true;
            continue;
        }
        let opens_or_word = sign.is_alphanumeric() || matches!(sign, '“' | '(' | '（' | '\'' | '—' | '…');
        if out.is_empty() && !opens_or_word {
            continue;
        }
        let before = out.chars().next_back();
        if std::mem::take(&mut space) && opens_or_word && before.is_some_and(|before| !is_dense(before, sign)) {
            out.push(' ');
        }
        let repeats = matches!(sign, '，' | '。' | '、' | ',' | '；')
            && before.is_some_and(|before| "，。！？：；、…—,.!?:;".contains(before));
        if !repeats {
            out.push(sign);
        }
    }
    out
}

/// Whether Chinese writes these two signs without a space between.
fn is_dense(before: char, after: char) -> bool {
    let wide = |sign: char| is_han(sign) || matches!(sign, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}');
    let either = |sign: char| matches!(sign, '“' | '”' | '—' | '…');
    match (wide(before), wide(after)) {
        (true, true) => true,
        (true, false) => either(after),
        (false, true) => either(before),
        (false, false) => false,
    }
}

#[cfg(test)]
mod tests;
