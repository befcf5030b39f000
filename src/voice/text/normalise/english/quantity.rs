//! Numbers that count, measure, order and name.

use super::{
    super::{
        Reading,
        reader::{Number, Reader},
        units::{Currency, currency_at, unit_at},
    },
    number,
};

const LONGEST_PHONE: usize = 24;
/// Words for powers of ten behind money.
const SCALES: &[(&str, &str)] = &[
    ("trillion", "trillion"),
    ("billion", "billion"),
    ("million", "million"),
    ("thousand", "thousand"),
    ("k", "thousand"),
    ("m", "million"),
    ("bn", "billion"),
    ("b", "billion"),
    ("t", "trillion"),
];

/// Whether the cursor stands inside a number or a word.
pub fn follows_number(reader: Reader) -> bool {
    let mut before = reader.read().chars().rev();
    match before.next() {
        Some('.' | ':' | '/') => before.next().is_some_and(|digit| digit.is_ascii_digit()),
        Some(before) => before.is_alphanumeric(),
        None => false,
    }
}

/// `555-123-4567`, `(555) 123-4567`, `+1 555 123 4567`, `911`.
pub fn phone(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let start = reader;
    let abroad = reader.eat("+");
    let mut groups: Vec<&str> = Vec::new();
    let mut length = 0;
    loop {
        let mut ahead = reader;
        let bracketed = ahead.eat("(");
        if !groups.is_empty() && !bracketed {
            ahead.eat_one(&['-', ' ', '.']);
        }
        let bracketed = bracketed || ahead.eat("(");
        let Some(group) = ahead.digits(1..=11) else { break };
        if bracketed && ahead.eat(")") {
            ahead.spaces();
        }
        length += group.len() + 1;
        if length > LONGEST_PHONE {
            return None;
        }
        groups.push(group);
        reader = ahead;
    }
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_phone = match lengths[..] {
        [3, 3, 4] | [1, 3, 3, 4] => true,
        [3, 4] => start.rest().as_bytes().get(3) == Some(&b'-'),
        [3] => groups[0] == "911" && calls(start.read()),
        _ => abroad && lengths.iter().sum::<usize>() >= 8,
    };
    let words: Vec<String> = groups.iter().map(|group| number::digits(group)).collect();
    (is_phone && !reader.rest().starts_with(|next: char| next.is_alphanumeric()))
        .then(|| (format!("{}{}", if abroad { "plus " } else { "" }, words.join(", ")), reader))
}

/// Whether a text ends in "call" or "dial".
fn calls(read: &str) -> bool {
    let word = read.trim_end().rsplit(' ').next().unwrap_or_default();
    ["call", "dial"].iter().any(|call| word.eq_ignore_ascii_case(call))
}

/// `v2.0`, `3.5.1`.
pub fn version(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let marked =
        reader.rest().starts_with(['v', 'V']) && reader.rest()[1..].starts_with(|next: char| next.is_ascii_digit());
    if marked {
        reader.next();
    }
    let mut parts = vec![reader.digits(1..=usize::MAX)?];
    loop {
        let mut ahead = reader;
        let part = if ahead.eat(".") { ahead.digits(1..=usize::MAX) } else { None };
        let Some(part) = part else { break };
        parts.push(part);
        reader = ahead;
    }
    let say = |part: &&str| match part.parse() {
        Ok(value) if part.len() <= 2 && parts.len() != 4 => number::cardinal(value),
        _ => number::digits(part),
    };
    let words: Vec<String> = parts.iter().map(say).collect();
    (marked || parts.len() >= 3)
        .then(|| (format!("{}{}", if marked { "version " } else { "" }, words.join(" point ")), reader))
}

/// `$3.50`, `€1.2 million`, `$5k`, `$10-$20`, `100 USD`.
pub fn money(reader: Reader) -> Reading {
    if reader.before().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let (first, behind) = amount(reader)?;
    let mut range = behind;
    if range.eat_one(&['-', '~']).is_some()
        && let Some((last, behind)) = amount(range)
    {
        return Some((format!("{first} to {last}"), behind));
    }
    Some((first, behind))
}

fn amount(mut reader: Reader) -> Reading {
    let minus = if reader.eat("-") { "minus " } else { "" };
    if let Some((currency, length)) = currency_at(reader.rest()) {
        reader.eat(&reader.rest()[..length]);
        reader.spaces();
        let number = reader.number()?;
        let mut scaled = reader;
        scaled.spaces();
        if let Some(scale) = scaled.eat_word(SCALES) {
            return Some((format!("{minus}{} {scale} {}", number::read(&number), currency.many), scaled));
        }
        return Some((format!("{minus}{}", sum(&number, currency)), reader));
    }
    let number = reader.number()?;
    reader.spaces();
    let (currency, length) = currency_at(reader.rest())?;
    reader.eat(&reader.rest()[..length]);
    let sign_of_next = reader.rest().starts_with(|next: char| next.is_ascii_digit());
    (!sign_of_next).then(|| (format!("{minus}{}", sum(&number, currency)), reader))
}

/// Money in whole and hundredths: three dollars and fifty cents.
fn sum(number: &Number, currency: &Currency) -> String {
    let name = |count: &str, one: &'static str, many: &'static str| if count == "1" { one } else { many };
    let whole = Number { fraction: None, ..number.clone() };
    let units = format!("{} {}", number::read(&whole), name(&number.whole, currency.one, currency.many));
    match (number.fraction.as_deref(), currency.cents) {
        (None | Some("00"), _) => units,
        (Some(cents), Some((one, many))) if cents.len() == 2 => {
            let cents = cents.trim_start_matches('0');
            let count: u64 = cents.parse().unwrap_or_default();
            let cents = format!("{} {}", number::cardinal(count), name(cents, one, many));
            if number.whole.trim_start_matches('0').is_empty() { cents } else { format!("{units} and {cents}") }
        }
        _ => format!("{} {}", number::read(number), currency.many),
    }
}

/// `1st`, `22nd`.
pub fn ordinal(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let number = reader.number()?.integer()?;
    let ending = reader.take_while(|sign| sign.is_ascii_alphabetic()).to_ascii_lowercase();
    matches!(&*ending, "st" | "nd" | "rd" | "th").then(|| (number::ordinal(number), reader))
}

/// `1990s`, `the '80s`, `80s`.
pub fn decade(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    reader.eat("'");
    let digits = reader.digits(2..=4).filter(|digits| digits.ends_with('0') && digits.len() != 3)?;
    reader.eat("'");
    let ends = reader.eat("s") && !reader.rest().starts_with(|next: char| next.is_alphanumeric());
    let year: u64 = digits.parse().ok()?;
    let words = if digits.len() == 4 { number::year(year) } else { number::cardinal(year) };
    ends.then(|| (number::plural(&words), reader))
}

/// `1/2` → one half, `2/3` → two thirds.
pub fn fraction(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let over: u64 = reader.digits(1..=3)?.parse().ok()?;
    let under: u64 = reader.eat("/").then(|| reader.digits(1..=3))??.parse().ok().filter(|under| *under > 1)?;
    if reader.rest().starts_with(['/', '-']) {
        return None;
    }
    if (over, under) == (24, 7) {
        return Some(("twenty-four seven".into(), reader));
    }
    let part = match under {
        2 => "half".to_owned(),
        4 => "quarter".to_owned(),
        _ => number::ordinal(under),
    };
    let part = match (over, under) {
        (1, _) => part,
        (_, 2) => "halves".to_owned(),
        _ => format!("{part}s"),
    };
    Some((format!("{} {part}", number::cardinal(over)), reader))
}

/// A number of four digits that is likely a year, and a range of two: `in 1998`, `1998-2007`.
pub fn year(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let year = |reader: &mut Reader| {
        let year = reader.digits(4..=4)?;
        let is_other = reader.rest().starts_with(|next: char| next.is_alphabetic() || next == '%' || next == '°')
            || reader.rest().starts_with(['.', ','])
                && reader.rest()[1..].starts_with(|next: char| next.is_ascii_digit());
        year.parse().ok().filter(|year| !is_other && (1100..=2199).contains(year))
    };
    let first = year(&mut reader)?;
    let mut measured = reader;
    if measured.spaces() > 0 && unit_at(measured.rest()).is_some() {
        return None;
    }
    let mut range = reader;
    if range.eat("-")
        && let Some(last) = year(&mut range)
        && !range.rest().starts_with('-')
    {
        return Some((format!("{} to {}", number::year(first), number::year(last)), range));
    }
    Some((number::year(first), reader))
}

/// A number with its sign, unit or percent, or a range: `-5°C`, `3-5 km`, `10%`, `1,234`.
pub fn quantity(reader: Reader) -> Reading {
    let (first, singular, unit, behind) = measured(reader)?;
    let mut range = behind;
    let starts_digit = |reader: Reader| reader.peek().is_some_and(|next| next.is_ascii_digit());
    if range.eat_one(&['-', '~']).is_some()
        && starts_digit(range)
        && let Some((last, _, last_unit, behind)) = measured(range)
        && !behind.rest().starts_with('-')
    {
        let first_unit = if unit == last_unit { "" } else { unit };
        let space = |unit: &str| if unit.is_empty() { String::new() } else { format!(" {unit}") };
        return Some((format!("{first}{} to {last}{}", space(first_unit), space(last_unit)), behind));
    }
    let unit = singular.unwrap_or(unit);
    Some((if unit.is_empty() { first } else { format!("{first} {unit}") }, behind))
}

/// A number in words, its unit for one if it is one, its unit for many (empty without one), and the cursor behind.
fn measured(mut reader: Reader<'_>) -> Option<(String, Option<&'static str>, &'static str, Reader<'_>)> {
    let before = reader.before();
    let minus = !before.is_some_and(|before| before.is_alphanumeric() || before == ')')
        && reader.eat_one(&['-', '−']).is_some();
    let number = reader.number()?;
    let mut behind = reader;
    let gap = behind.spaces();
    let mut words = match number.integer() {
        // Behind letters a long number is a name: B1203.
        Some(_) if before.is_some_and(char::is_alphabetic) && number.whole.len() >= 3 && !number.grouped => {
            number::digits(&number.whole)
        }
        _ => number::read(&number),
    };
    if minus {
        words.insert_str(0, "minus ");
    }
    if behind.eat("%") {
        return Some((words, None, "percent", behind));
    }
    // "5 s" and "3 m" are rare beside "5 students": a single letter must touch its number.
    let unit = unit_at(behind.rest()).filter(|(_, length)| gap == 0 || *length > 1);
    match unit {
        Some((unit, length)) => {
            behind.eat(&behind.rest()[..length]);
            let is_one = number.whole == "1" && number.fraction.is_none();
            Some((words, is_one.then_some(unit.one), unit.many, behind))
        }
        None => Some((words, None, "", reader)),
    }
}
