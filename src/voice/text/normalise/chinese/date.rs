//! Dates, years and times of day.

use super::{
    super::{Reading, reader::Reader},
    number,
};

/// What joins the parts of dates, times and decimals.
const LINKS: &[char] = &['-', '/', ':', '.'];

/// `2024-05-01`, `2024/5/1`, `2024.5.1`, and a month alone as `2024-05`.
pub fn date(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let year = reader.digits(4..=4).filter(|year| year.starts_with(['1', '2']))?;
    let separator = reader.eat_one(&['-', '/', '.'])?;
    let month_start = reader;
    let month = reader.within(2, 1..=12)?;
    let mut behind = reader;
    let day = if behind.eat_one(&[separator]).is_some() { behind.within(2, 1..=31) } else { None };
    let month = number::cardinal(month.into());
    let year = number::digits(year);
    match day {
        Some(day) if !goes_on(behind, LINKS) => {
            behind.eat("日");
            Some((format!("{year}年{month}月{}日", number::cardinal(day.into())), behind))
        }
        None if separator == '-'
            && !goes_on(reader, LINKS)
            && month_start.rest().starts_with(['0', '1'])
            && is_two_digits(month_start) =>
        {
            Some((format!("{year}年{month}月"), reader))
        }
        _ => None,
    }
}

fn is_two_digits(mut reader: Reader) -> bool {
    reader.digits(2..=2).is_some()
}

/// Years are read digit by digit: `2024年`, `2019-2021年`, `98年夏天`, `80后`.
pub fn year(mut reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    let digits = reader.digits(2..=4)?;
    let mut behind = reader;
    if digits.len() == 4
        && behind.eat_one(&['-', '~']).is_some()
        && let Some(last) = behind.digits(4..=4)
        && [digits, last].iter().all(|year| is_year(year))
        && !goes_on(behind, LINKS)
    {
        return Some((format!("{}到{}", number::digits(digits), number::digits(last)), behind));
    }
    let is_generation = digits.len() == 2 && digits.ends_with(['0', '5']) && reader.rest().starts_with('后');
    let after = reader.rest().strip_prefix('年').unwrap_or_default();
    let is_year = match digits.len() {
        _ if !reader.rest().starts_with('年') => false,
        4 => !(digits.ends_with("00") && spans(after)),
        2 if digits.starts_with('0') => true,
        2 => {
            digits >= "70"
                && after
                    .starts_with(|next: char| next.is_ascii_digit() || "出毕春夏秋冬底初那入版款生我".contains(next))
        }
        _ => false,
    };
    (is_generation || is_year).then(|| (number::digits(digits), reader))
}

fn is_year(digits: &str) -> bool {
    ("1000".."2200").contains(&digits)
}

/// Whether years are counted rather than named: 5000年的历史, 2000年前.
fn spans(after: &str) -> bool {
    ["前", "来", "的历史", "历史", "间", "以", "后", "之"].iter().any(|span| after.starts_with(span))
}

/// `14:30`, `8:05:30`, `9:00-17:30`, `3:30 pm`; and `3:2` as a score.
pub fn time(reader: Reader) -> Reading {
    if follows_number(reader) {
        return None;
    }
    if let Some((from, behind)) = clock(reader) {
        let mut until = behind;
        until.spaces();
        let ranges = until.eat_one(&['-', '~']).is_some();
        until.spaces();
        return match clock(until) {
            Some((to, behind)) if ranges => Some((format!("{from}到{to}"), behind)),
            _ => Some((from, behind)),
        };
    }
    let mut score = reader;
    let ours = score.within(3, 0..=999)?;
    let theirs = score.eat(":").then(|| score.within(3, 0..=999))??;
    (!goes_on(score, LINKS))
        .then(|| (format!("{}比{}", number::cardinal(ours.into()), number::cardinal(theirs.into())), score))
}

fn clock(mut reader: Reader) -> Reading {
    let scored = reader.read().trim_end().ends_with(['分', '比']);
    let hour = reader.within(2, 0..=24).filter(|_| !scored)?;
    let minute = two_digits(&mut reader)?;
    let second = two_digits(&mut reader);
    if goes_on(reader, &[':']) {
        return None;
    }
    let mut words = if hour == 2 { "两点".to_owned() } else { format!("{}点", number::cardinal(hour.into())) };
    let part = |value: u32, name: &str| {
        let zero = if value < 10 { "零" } else { "" };
        format!("{zero}{}{name}", number::cardinal(value.into()))
    };
    match (minute, second) {
        (0, None) => {}
        (0, Some(0)) => words.push('整'),
        (minute, second) => {
            words.push_str(&if minute == 0 { "零分".to_owned() } else { part(minute, "分") });
            words.extend(second.map(|second| if second == 0 { "零秒".to_owned() } else { part(second, "秒") }));
        }
    }
    let mut behind = reader;
    behind.spaces();
    let halves = [("a.m.", "上午"), ("p.m.", "下午"), ("am", "上午"), ("pm", "下午")];
    if let Some(half) = behind.eat_word(&halves) {
        return Some((format!("{half}{words}"), behind));
    }
    Some((words, reader))
}

/// `:05`, below sixty.
fn two_digits(reader: &mut Reader) -> Option<u32> {
    let mut ahead = *reader;
    let value =
        if ahead.eat(":") { ahead.digits(2..=2)?.parse().ok().filter(|value| *value < 60)? } else { return None };
    *reader = ahead;
    Some(value)
}

/// Whether the cursor stands inside a number or a Latin word.
pub fn follows_number(reader: Reader) -> bool {
    let mut before = reader.read().chars().rev();
    match before.next() {
        Some('.' | ':' | '/') => before.next().is_some_and(|digit| digit.is_ascii_digit()),
        Some(before) => before.is_ascii_alphanumeric(),
        None => false,
    }
}

/// Whether what has been read turns out to be the beginning of something longer, joined by one of `links`.
pub fn goes_on(reader: Reader, links: &[char]) -> bool {
    let mut rest = reader.rest().chars();
    let is_digit = |next: Option<char>| next.is_some_and(|next| next.is_ascii_digit());
    match rest.next() {
        Some(link) if links.contains(&link) => is_digit(rest.next()),
        next => is_digit(next),
    }
}
