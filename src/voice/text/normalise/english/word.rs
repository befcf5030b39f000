//! Abbreviations and Roman numerals.

use super::{
    super::{Reading, reader::Reader},
    number,
};

/// Abbreviations by what is written, in lower case, with their points. Titles take a name behind them.
#[rustfmt::skip]
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("mrs.", "Missus"), ("mr.", "Mister"), ("ms.", "Miss"), ("prof.", "Professor"), ("gen.", "General"), ("capt.", "Captain"),
    ("lt.", "Lieutenant"), ("sgt.", "Sergeant"), ("rev.", "Reverend"), ("gov.", "Governor"), ("sen.", "Senator"),
    ("hon.", "Honorable"), ("jr.", "Junior"), ("sr.", "Senior"), ("e.g.", "for example"), ("i.e.", "that is"),
    ("etc.", "et cetera"), ("vs.", "versus"), ("approx.", "approximately"), ("dept.", "department"), ("est.", "established"),
    ("inc.", "Incorporated"), ("ltd.", "Limited"), ("corp.", "Corporation"), ("ave.", "Avenue"), ("blvd.", "Boulevard"),
    ("rd.", "Road"), ("mt.", "Mount"), ("ft.", "Fort"), ("jan.", "January"), ("feb.", "February"), ("aug.", "August"),
    ("sept.", "September"), ("oct.", "October"), ("nov.", "November"), ("dec.", "December"), ("vol.", "volume"), ("fig.", "figure"),
    ("w/o", "without"), ("w/", "with"),
];
/// Words that behind one of these are numbers in Roman numerals.
const NUMBERED: &[&str] = &[
    "chapter", "part", "war", "volume", "act", "book", "section", "phase", "type", "level", "episode", "appendix",
    "article", "scene", "fantasy",
];
/// First names of rulers.
const RULERS: &[&str] = &[
    "henry",
    "louis",
    "elizabeth",
    "charles",
    "george",
    "edward",
    "richard",
    "william",
    "james",
    "john",
    "paul",
    "pius",
    "philip",
    "francis",
    "frederick",
    "catherine",
    "nicholas",
    "alexander",
    "peter",
    "benedict",
    "napoleon",
    "mary",
    "leo",
    "gregory",
    "ramses",
];

/// `Dr. Smith`, `e.g.`, `No. 5`, `St. Paul`.
pub fn abbreviation(reader: Reader) -> Reading {
    let capital = reader.peek().is_some_and(char::is_uppercase);
    if reader.before().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let name_follows = |mut behind: Reader| behind.spaces() > 0 && behind.peek().is_some_and(char::is_uppercase);
    let word_before = reader.read().trim_end().ends_with(char::is_alphanumeric);
    let mut behind = reader;
    if behind.eat("Dr.") {
        let words = if name_follows(behind) || !word_before { "Doctor" } else { "Drive" };
        return Some(ending(words, behind));
    }
    if behind.eat("St.") {
        let words = if name_follows(behind) && !is_address(reader.read()) { "Saint" } else { "Street" };
        return Some(ending(words, behind));
    }
    if behind.eat("No.") || behind.eat("Nos.") {
        behind.spaces();
        return behind.peek().is_some_and(|next| next.is_ascii_digit()).then(|| ("number ".to_owned(), behind));
    }
    let words = behind.eat_word(ABBREVIATIONS)?;
    // Abbreviated titles and places are capital, the rest need not be; "sen." and "fig." also end sentences.
    let is_name = words.starts_with(char::is_uppercase);
    (capital || !is_name).then(|| ending(words, behind))
}

/// Whether a house's number stands within the last two words: 221B Baker St.
fn is_address(read: &str) -> bool {
    read.split_whitespace().rev().take(2).any(|word| word.starts_with(|first: char| first.is_ascii_digit()))
}

/// The words, with a full stop where the abbreviation's point also ended the sentence.
fn ending<'t>(words: &str, behind: Reader<'t>) -> (String, Reader<'t>) {
    let mut next = behind.rest().chars();
    let ends = match (next.next(), next.next()) {
        (None, _) => true,
        (Some(' '), Some(after)) => words == "et cetera" && after.is_uppercase(),
        _ => false,
    };
    (if ends && behind.read().ends_with('.') { format!("{words}.") } else { words.to_owned() }, behind)
}

/// Roman numerals where they surely are some: `Henry VIII`, `World War II`, `Chapter IV`.
pub fn regnal(mut reader: Reader) -> Reading {
    let numeral = reader.take_while(|sign| "IVXL".contains(sign));
    if numeral.is_empty()
        || numeral.len() > 8
        || reader.rest().starts_with(|next: char| next.is_alphanumeric() || next == '\'')
    {
        return None;
    }
    let read = &reader.read()[..reader.read().len() - numeral.len()];
    let before = read.strip_suffix(' ')?.rsplit(|sign: char| !sign.is_alphabetic()).next()?.to_ascii_lowercase();
    let value = roman(numeral)?;
    if NUMBERED.contains(&before.as_str()) {
        return Some((number::cardinal(value), reader));
    }
    RULERS.contains(&before.as_str()).then(|| (format!("the {}", number::ordinal(value)), reader))
}

/// The value of a well-formed Roman numeral up to fifty.
fn roman(numeral: &str) -> Option<u64> {
    const SIGNS: &[(&str, u64)] = &[("L", 50), ("XL", 40), ("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1)];
    let mut rest = numeral;
    let mut value = 0;
    for (sign, worth) in SIGNS {
        for _ in 0..if sign.len() == 1 && !"LV".contains(sign) { 3 } else { 1 } {
            if let Some(behind) = rest.strip_prefix(sign) {
                rest = behind;
                value += worth;
            }
        }
    }
    rest.is_empty().then_some(value)
}
