//! Dates and times of day.

use super::{
    super::{Reading, reader::Reader},
    number,
    quantity::follows_number,
};

/// Months by name and by abbreviation.
const MONTHS: &[(&str, usize)] = &[
    ("january", 0),
    ("february", 1),
    ("march", 2),
    ("april", 3),
    ("may", 4),
    ("june", 5),
    ("july", 6),
    ("august", 7),
    ("september", 8),
    ("october", 9),
    ("november", 10),
    ("december", 11),
    ("jan.", 0),
    ("feb.", 1),
    ("mar.", 2),
    ("apr.", 3),
    ("jun.", 5),
    ("jul.", 6),
    ("aug.", 7),
    ("sept.", 8),
    ("sep.", 8),
    ("oct.", 9),
    ("nov.", 10),
    ("dec.", 11),
    ("jan", 0),
    ("feb", 1),
    ("mar", 2),
    ("apr", 3),
    ("jun", 5),
    ("jul", 6),
    ("aug", 7),
    ("sept", 8),
    ("sep", 8),
    ("oct", 9),
    ("nov", 10),
    ("dec", 11),
];
const NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `2024-05-01`, `2024/5/1`, and `5/1/2024` with the month first.
pub fn numeric(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let mut behind = reader;
    let (year, month, day) = if let Some(year) = behind.digits(4..=4) {
        let separator = behind.eat_one(&['-', '/', '.'])?;
        let month = behind.within(2, 1..=12)?;
        behind.eat_one(&[separator])?;
        (year, month, behind.within(2, 1..=31)?)
    } else {
        let month = reader.within(2, 1..=12)?;
        reader.eat("/").then_some(())?;
        let day = reader.within(2, 1..=31)?;
        reader.eat("/").then_some(())?;
        behind = reader;
        (behind.digits(4..=4)?, month, day)
    };
    (!behind.rest().starts_with(['-', '/'])).then(|| (written(month as usize - 1, day, Some(year)), behind))
}

/// `May 1, 2024`, `Jan. 5th`, `March 2020`.
pub fn month_first(mut reader: Reader) -> Reading {
    let month = month(&mut reader)?;
    reader.spaces();
    if let Some(year) = year(&mut reader) {
        return Some((format!("{} {year}", NAMES[month]), reader));
    }
    let day = day(&mut reader)?;
    let mut behind = reader;
    behind.eat(",");
    behind.spaces();
    let digits = behind.rest();
    match year(&mut behind) {
        Some(_) => Some((written(month, day, digits.get(..4)), behind)),
        None => Some((written(month, day, None), reader)),
    }
}

/// `1 May 2024`, `the 4th of July`.
pub fn day_first(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let day = day(&mut reader)?;
    reader.spaces();
    let of = reader.eat("of ");
    let month = month(&mut reader)?;
    let mut behind = reader;
    behind.eat(",");
    behind.spaces();
    let digits = behind.rest();
    let of = if of { " of" } else { "" };
    match year(&mut behind).and(digits.get(..4)) {
        Some(digits) if of.is_empty() => Some((written(month, day, Some(digits)), behind)),
        _ if of.is_empty() => Some((written(month, day, None), reader)),
        _ => Some((format!("{}{of} {}", number::ordinal(day.into()), NAMES[month]), reader)),
    }
}

fn written(month: usize, day: u32, year: Option<&str>) -> String {
    let date = format!("{} {}", NAMES[month], number::ordinal(day.into()));
    match year.and_then(|year| year.parse().ok()) {
        Some(year) => format!("{date}, {}", number::year(year)),
        None => date,
    }
}

/// A month's name: capital, since may and march are also other words.
fn month(reader: &mut Reader) -> Option<usize> {
    let is_name = reader.peek().is_some_and(|first| first.is_ascii_uppercase());
    if !is_name || reader.before().is_some_and(char::is_alphanumeric) {
        return None;
    }
    reader.eat_word(MONTHS)
}

fn day(reader: &mut Reader) -> Option<u32> {
    let mut ahead = *reader;
    let day = ahead.within(2, 1..=31)?;
    let ending = ahead.take_while(|sign| sign.is_ascii_alphabetic());
    let is_number = ahead.rest().starts_with([':', '%', '-', '/'])
        || ahead.rest().starts_with('.') && ahead.rest()[1..].starts_with(|next: char| next.is_ascii_digit());
    if !matches!(ending, "" | "st" | "nd" | "rd" | "th") || is_number {
        return None;
    }
    *reader = ahead;
    Some(day)
}

fn year(reader: &mut Reader) -> Option<String> {
    let mut ahead = *reader;
    let year = ahead.within(4, 1000..=2199)?;
    if ahead.rest().starts_with(|next: char| next.is_alphabetic()) {
        return None;
    }
    *reader = ahead;
    Some(number::year(year.into()))
}

/// `3:30 pm`, `14:05`, `8:00`.
pub fn time(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let hour = reader.within(2, 0..=24)?;
    let mut behind = reader;
    let minute =
        if behind.eat(":") { Some(behind.digits(2..=2)?.parse().ok().filter(|minute| *minute < 60)?) } else { None };
    let mut half = behind;
    half.spaces();
    let halves = [("a.m.", "AM"), ("p.m.", "PM"), ("am", "AM"), ("pm", "PM")];
    let said = half.eat_word(&halves);
    if said.is_some() {
        // The point of p.m. may also end the sentence.
        let ends = half.rest().is_empty() && half.read().ends_with('.');
        behind = half;
        let clock = clock(hour, minute.unwrap_or(0), true);
        return Some((format!("{clock} {}{}", said.unwrap_or_default(), if ends { "." } else { "" }), behind));
    }
    let minute = minute?;
    (!behind.rest().starts_with([':', '/'])).then(|| (clock(hour, minute, false), behind))
}

fn clock(hour: u32, minute: u64, half: bool) -> String {
    let hours = number::cardinal(hour.into());
    match minute {
        0 if half => hours,
        0 if hour > 12 || hour == 0 => format!("{hours} hundred"),
        0 => format!("{hours} o'clock"),
        1..10 => format!("{hours} oh {}", number::cardinal(minute)),
        _ => format!("{hours} {}", number::cardinal(minute)),
    }
}
