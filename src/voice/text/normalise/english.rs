//! Rules for English text.

mod date;
pub(super) mod number;
mod quantity;
mod word;

use super::{Reading, Rule, reader::Reader};

/// In the order in which they are tried.
pub const RULES: &[Rule] = &[
    date::numeric,
    date::month_first,
    date::day_first,
    date::time,
    quantity::phone,
    quantity::version,
    quantity::money,
    quantity::ordinal,
    quantity::decade,
    quantity::fraction,
    quantity::year,
    quantity::quantity,
    word::abbreviation,
    word::regnal,
    operator,
];

/// An operator between numbers or names, and signs that are words.
fn operator(reader: Reader) -> Reading {
    let before = reader.read().trim_end().chars().next_back();
    let mut behind = reader;
    let spaced = behind.spaces() > 0;
    let sign = behind.next()?;
    let next = behind.peek();
    let spaced = behind.spaces() > 0 && spaced;
    let after = behind.peek();
    let alone = |word: &str| Some((format!(" {word} "), behind));
    match sign {
        '&' => return alone("and"),
        '@' if next.is_some_and(char::is_alphanumeric) => return alone("at"),
        '#' if next.is_some_and(|next| next.is_ascii_digit()) => return alone("number"),
        '#' if next.is_some_and(char::is_alphabetic) => return alone("hashtag"),
        '#' if before.is_some_and(char::is_alphabetic) && !spaced => return alone("sharp"),
        '%' => return alone("percent"),
        '√' => return alone("the square root of"),
        'π' => return alone("pi"),
        '²' if before.is_some() => return alone("squared"),
        '³' if before.is_some() => return alone("cubed"),
        '+' if before.is_some_and(|before| before.is_alphanumeric() || before == '+')
            && !next.is_some_and(char::is_alphanumeric) =>
        {
            return alone("plus");
        }
        _ => {}
    }
    let operand = |sign: Option<char>| sign.is_some_and(|sign| sign.is_alphanumeric() || "()%°-−√π".contains(sign));
    if !operand(before) || !operand(after) {
        return None;
    }
    let between_digits =
        before.is_some_and(|sign| sign.is_ascii_digit()) && after.is_some_and(|sign| sign.is_ascii_digit());
    alone(match sign {
        '+' => "plus",
        '−' => "minus",
        '-' if spaced && between_digits => "minus",
        '×' => "times",
        '*' if between_digits => "times",
        '÷' => "divided by",
        '/' if spaced && between_digits => "divided by",
        '=' => "equals",
        '<' => "is less than",
        '>' => "is greater than",
        '≤' => "is at most",
        '≥' => "is at least",
        '≠' => "is not",
        '≈' => "is about",
        '±' => "plus or minus",
        '^' => "to the power of",
        _ => return None,
    })
}

/// Copies what no rule wants: a word whole, or one character with its punctuation made English.
pub fn write_plain(reader: &mut Reader, out: &mut String) {
    let word = reader.take_while(|sign| sign.is_alphabetic());
    if !word.is_empty() {
        // 5G, 221B: the letters are a word of their own behind the number's.
        if reader.read()[..reader.read().len() - word.len()].ends_with(|before: char| before.is_ascii_digit()) {
            out.push(' ');
        }
        out.push_str(word);
        return;
    }
    let before = reader.before();
    let Some(sign) = reader.next() else { return };
    let inside = before.is_some_and(char::is_alphanumeric) && reader.peek().is_some_and(char::is_alphanumeric);
    match sign {
        '.' | ':' | '\'' if inside => out.push(sign),
        ',' | '.' | '!' | '?' | ';' | ':' => {
            out.push(sign);
            out.push(' ');
        }
        '，' | '、' => out.push_str(", "),
        '。' => out.push_str(". "),
        '！' => out.push_str("! "),
        '？' => out.push_str("? "),
        '：' => out.push_str(": "),
        '；' => out.push_str("; "),
        '（' => out.push('('),
        '）' => out.push(')'),
        '《' | '〈' | '「' | '『' | '【' | '«' => out.push('“'),
        '》' | '〉' | '」' | '』' | '】' | '»' => out.push('”'),
        '-' if inside => out.push('-'),
        '-' if before == Some(' ') && reader.peek() == Some(' ') => out.push('—'),
        '/' if inside => out.push_str(if out.ends_with("and") { " " } else { " or " }),
        // An apostrophe that opens or closes a word: 'tis, dogs'.
        '\'' if before.is_some_and(char::is_alphabetic) && before != Some('s') => {}
        '°' => out.push_str(" degrees "),
        '\'' | '#' | '*' | '^' | '~' | '_' | '=' | '<' | '>' | '[' | ']' | '{' | '}' | '\\' | '|' | '·' | '•' | '$'
        | '/' | '-' | '@' | '+' => {
            out.push(' ');
        }
        _ => out.push(sign),
    }
}
