//! Rules for Chinese text.

mod code;
mod date;
pub(super) mod number;
mod quantity;

use super::{Reading, Rule, is_han, reader::Reader};

/// In the order in which they are tried.
pub const RULES: &[Rule] = &[
    date::date,
    date::year,
    date::time,
    code::phone,
    code::version,
    code::model,
    code::code,
    quantity::fraction,
    quantity::quantity,
    operator,
    power,
];

/// An operator between numbers or names: `3 × 4`, `a = b`.
fn operator(reader: Reader) -> Reading {
    let before = reader.read().trim_end().chars().next_back()?;
    let mut behind = reader;
    let spaced = behind.spaces() > 0;
    let sign = behind.next()?;
    let words = match sign {
        '+' => "加",
        '-' | '−' => "减",
        '×' | '*' => "乘",
        '÷' => "除以",
        '/' if spaced => "除以",
        '=' => "等于",
        '<' => "小于",
        '>' => "大于",
        '≤' => "小于等于",
        '≥' => "大于等于",
        '≠' => "不等于",
        '≈' => "约等于",
        '±' => "正负",
        _ => return None,
    };
    let spaced = behind.spaces() > 0 && spaced;
    let operand = |sign: char| {
        sign.is_alphanumeric() || matches!(sign, '(' | ')' | '（' | '）' | '²' | '³' | '%' | '√' | '°' | '℃')
    };
    let after = behind.peek()?;
    let joins = operand(before) && (operand(after) || matches!(after, '-' | '−'));
    // A hyphen is a minus between spaces, or where an equation goes on.
    let is_minus =
        sign != '-' || (before.is_ascii_digit() && after.is_ascii_digit() && (spaced || equals_follows(behind)));
    (joins && is_minus).then(|| (words.into(), behind))
}

/// Whether the number at the cursor is followed by an equals sign.
fn equals_follows(mut reader: Reader) -> bool {
    reader.number().is_some() && {
        reader.spaces();
        matches!(reader.peek(), Some('=' | '≈'))
    }
}

/// Powers and roots: `2^10`, `5²`, `√9`.
fn power(mut reader: Reader) -> Reading {
    let after_operand = reader.before().is_some_and(|before| before.is_alphanumeric() || before == ')');
    match reader.next()? {
        '^' if after_operand => Some((format!("的{}次方", number::read(&reader.number()?)), reader)),
        '²' if after_operand => Some(("的平方".into(), reader)),
        '³' if after_operand => Some(("的立方".into(), reader)),
        '√' => Some(("根号".into(), reader)),
        'π' => Some(("派".into(), reader)),
        '±' => Some(("正负".into(), reader)),
        _ => None,
    }
}

/// Copies what no rule wants: a Latin word whole, or one character with its punctuation made Chinese.
pub fn write_plain(reader: &mut Reader, out: &mut String) {
    let latin = reader.take_while(|sign| sign.is_ascii_alphabetic());
    if !latin.is_empty() {
        out.push_str(latin);
        return;
    }
    let before = reader.before();
    let Some(sign) = reader.next() else { return };
    let after = reader.rest().trim_start().chars().next();
    let latin_before = before.is_some_and(|before| before.is_ascii_alphanumeric());
    let between_latin = latin_before && after.is_some_and(|after| after.is_ascii_alphanumeric());
    let touches_latin = between_latin && reader.peek() == after;
    match sign {
        '.' if between_latin => out.push_str(if touches_latin { "." } else { ". " }),
        ',' | '!' | '?' | ':' | ';' if between_latin => out.push(sign),
        '.' | '｡' => out.push('。'),
        ',' | '､' => out.push('，'),
        '!' => out.push('！'),
        '?' => out.push('？'),
        ':' => out.push('：'),
        ';' => out.push('；'),
        '(' => out.push('（'),
        ')' => out.push('）'),
        '《' | '〈' | '「' | '『' | '【' | '«' => out.push('“'),
        '》' | '〉' | '」' | '』' | '】' | '»' => out.push('”'),
        '\'' if touches_latin => out.push('\''),
        '-' if touches_latin && !after.is_some_and(|after| after.is_ascii_digit()) => out.push('-'),
        '-' if latin_before || between_latin => out.push(' '),
        '-' | '|' => out.push('，'),
        '/' if per(before, after) => out.push('每'),
        '/' => out.push(if touches_latin { ' ' } else { '、' }),
        '&' => out.push('和'),
        '@' => out.push_str("艾特 "),
        '+' if latin_before || before == Some('+') || out.ends_with('加') => out.push('加'),
        '+' if after.is_some_and(is_han) => out.push('加'),
        '°' => out.push('度'),
        '\'' | '#' | '*' | '^' | '~' | '_' | '=' | '<' | '>' | '[' | ']' | '{' | '}' | '\\' | '·' | '・' | '•'
        | '$' | '%' | '+' => {
            out.push(' ');
        }
        _ => out.push(sign),
    }
}

/// Whether a slash stands for "each": 元/月.
fn per(before: Option<char>, after: Option<char>) -> bool {
    let costs = before.is_some_and(|before| "元块角分次个人升克米里度斤千字".contains(before));
    costs && after.is_some_and(|after| "月天年日小时秒分人次个斤千公平晚夜周亩张份位件".contains(after))
}
