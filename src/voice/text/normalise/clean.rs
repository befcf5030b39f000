//! Takes out of a text what is only for the eye: markup, emoji, widths of letters, repeated marks.

use unicode_normalization::UnicodeNormalization;

use crate::voice::text::{Language, is_han};

/// How far a closing bracket is looked for; what is farther away does not belong to the opening one.
const LONGEST_LINK: usize = 512;

/// The text as one line of plain words. Numbers and units are left as they are, and so are the marks inside them.
pub fn clean(text: &str, language: Language) -> String {
    let stop = match language {
        Language::Zh => '。',
        Language::En => '.',
    };
    let mut out = String::with_capacity(text.len() + 8);
    for line in text.lines() {
        let line = without_block_markup(line);
        if line.is_empty() {
            continue;
        }
        if out.ends_with(|last: char| is_word(last) || matches!(last, ')' | '”' | '）')) {
            out.push(stop);
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let line = match list_number(line) {
            Some((number, item)) => {
                out.push_str(number);
                out.push_str(if language == Language::Zh { "、" } else { ", " });
                item
            }
            None => line,
        };
        write_line(line, language, &mut out);
    }
    out.truncate(out.trim_end().len());
    out
}

/// A line without the markup it begins with: headings, quotes, list bullets, rules and fences.
fn without_block_markup(line: &str) -> &str {
    let line = line.trim();
    let is_rule = line.len() >= 3 && line.chars().all(|sign| "-*_=|:~` ".contains(sign));
    if is_rule || line.starts_with("```") {
        return "";
    }
    let line = line.trim_start_matches('>').trim_start();
    let heading = line.trim_start_matches('#');
    if heading.len() < line.len() && heading.starts_with(' ') {
        return heading.trim();
    }
    let bullets = ["- ", "* ", "+ ", "• ", "· ", "● ", "[ ] ", "[x] "];
    bullets.iter().fold(line, |line, bullet| line.strip_prefix(bullet).unwrap_or(line)).trim().trim_matches('|').trim()
}

/// `1. ` or `2) ` at the beginning of a line: the number, and the item.
fn list_number(line: &str) -> Option<(&str, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = line.split_at(digits);
    let item = rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))?;
    (1..=2).contains(&digits).then(|| (number, item.trim_start()))
}

fn write_line(line: &str, language: Language, out: &mut String) {
    let mut rest = line;
    // An emoji between words stands where a speaker would take a short breath.
    let mut breath = false;
    let mut quoted = false;
    while let Some(sign) = rest.chars().next() {
        let after = &rest[sign.len_utf8()..];
        if let Some((label, behind)) = link(rest).or_else(|| emoticon(rest, out)) {
            write_line(label, language, out);
            breath |= label.is_empty();
            rest = behind;
            continue;
        }
        rest = after;
        if is_picture(sign) {
            breath = true;
            continue;
        }
        if std::mem::take(&mut breath) && is_word(sign) && out.ends_with(is_word) {
            out.push_str(if language == Language::Zh { "，" } else { ", " });
        }
        match sign {
            '"' | '＂' => {
                out.push(if quoted { '”' } else { '“' });
                quoted = !quoted;
            }
            '*' if !(out.trim_end().ends_with(|last: char| last.is_ascii_digit())
                && starts_with_digit(after.trim_start())) => {}
            '`' => {}
            '：' if out.ends_with(|last: char| last.is_ascii_digit()) && starts_with_digit(after) => out.push(':'),
            _ => write_plain(sign, out),
        }
    }
}

/// Writes one character in its plain form.
fn write_plain(sign: char, out: &mut String) {
    match sign {
        '.' if out.ends_with("..") => {
            out.truncate(out.len() - 2);
            push_once('…', out);
        }
        '.' | '。' | '·' if out.ends_with('…') => {}
        '。' if out.ends_with('。') => {
            out.truncate(out.len() - '。'.len_utf8());
            push_once('…', out);
        }
        '=' if out.ends_with(['!', '<', '>']) => {
            let sign = match out.pop() {
                Some('!') => '≠',
                Some('<') => '≤',
                _ => '≥',
            };
            out.push(sign);
        }
        '-' if out.ends_with('-') => {
            out.truncate(out.len() - 1);
            push_once('—', out);
        }
        '-' | '–' | '―' if out.ends_with('—') => {}
        '！' | '？' | '，' | '、' | '；' | '：' | '!' | '?' | '—' | '…' | '~' => push_once(sign, out),
        '～' | '〜' | '∼' => push_once('~', out),
        '―' | '─' => push_once('—', out),
        // Full-width letters, digits and symbols; Chinese punctuation stays what it is.
        '０'..='９'
        | 'Ａ'..='Ｚ'
        | 'ａ'..='ｚ'
        | '％'
        | '＋'
        | '－'
        | '＝'
        | '＜'
        | '＞'
        | '／'
        | '＠'
        | '＃'
        | '＆'
        | '＊'
        | '．'
        | '＄'
        | '＿'
        | '｜'
        | '＾'
        | '［'
        | '］'
        | '｛'
        | '｝'
        | '＇' => {
            out.extend(char::from_u32(sign as u32 - 0xFEE0));
        }
        '‐' | '‑' | '–' => out.push('-'),
        '‘' | '’' | 'ʼ' => out.push('\''),
        '＂' => out.push('"'),
        '①'..='⑳' => {
            out.extend(sign.nfkc());
            out.push('、');
        }
        'Ⅰ'..='Ⅻ' | 'ⅰ'..='ⅻ' => out.push_str(&((sign as u32 - 0x2160) % 16 + 1).to_string()),
        // Units in one square, numbers in brackets, ligatures; the fraction slash of ½ is an ordinary one.
        '㌀'..='㏿' | '⑴'..='⒇' | '⒈'..='⒛' | 'ﬀ'..='ﬆ' | '¼' | '½' | '¾' | '⅐'..='⅞' => {
            out.extend(
                sign.nfkc().map(|plain| if plain == '⁄' { '/' } else { plain }).filter(|plain| !"()".contains(*plain)),
            );
        }
        _ if sign.is_whitespace() => push_once(' ', out),
        _ if is_invisible(sign) => {}
        _ => out.push(sign),
    }
}

fn push_once(sign: char, out: &mut String) {
    if !out.ends_with(sign) {
        out.push(sign);
    }
}

/// `[label](target)` or `![label](target)`: the label, and what is behind.
fn link(text: &str) -> Option<(&str, &str)> {
    let label = text.strip_prefix("![").or_else(|| text.strip_prefix('['))?;
    let close = find_near(label, "](")?;
    let target = &label[close + 2..];
    let end = find_near(target, ")")?;
    (!target[..end].contains(char::is_whitespace)).then(|| (&label[..close], &target[end + 1..]))
}

fn find_near(text: &str, wanted: &str) -> Option<usize> {
    let mut end = text.len().min(LONGEST_LINK);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].find(wanted)
}

/// A face drawn with letters and marks, to be passed over: an empty label, and what is behind.
fn emoticon<'t>(text: &'t str, before: &str) -> Option<(&'t str, &'t str)> {
    const FACES: &[&str] = &[
        ":-)", ":-(", ":-D", ":-P", ";-)", ":')", ":'(", ":)", ":(", ":D", ";)", ":P", ":p", "^_^", "^-^", "^^", "T_T",
        "T-T", "QAQ", "QWQ", "QwQ", "TAT", "-_-", ">_<", "o_O", "O_o", "XD", "xD", "orz", "Orz", "(T_T)", "<3",
    ];
    let first = *text.as_bytes().first()?;
    if let Some(face) = FACES.iter().find(|face| face.as_bytes()[0] == first && text.starts_with(**face)) {
        let behind = &text[face.len()..];
        let is_part = |neighbour: Option<char>| neighbour.is_some_and(|sign| sign.is_ascii_alphanumeric());
        let stands_alone = !is_part(before.chars().next_back()) && !is_part(behind.chars().next());
        return stands_alone.then_some(("", behind));
    }
    let inside = text.strip_prefix(['(', '（'])?;
    let end = inside.char_indices().take(16).find(|(_, sign)| matches!(sign, ')' | '）'))?.0;
    let face = &inside[..end];
    let close = inside[end..].chars().next().map_or(0, char::len_utf8);
    let is_read = |sign: char| sign.is_ascii_alphanumeric() || is_han(sign) || matches!(sign, 'À'..='ɏ' | '０'..='ｚ');
    let drawn = end > 0 && !face.contains(is_read);
    drawn.then(|| ("", &inside[end + close..]))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|next: char| next.is_ascii_digit())
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric()
}

/// Emoji, dingbats, arrows, box drawing and other pictures.
fn is_picture(sign: char) -> bool {
    matches!(sign,
        '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{2500}'..='\u{25ff}' | '\u{3200}'..='\u{32ff}' | '※' | '〒' | '〓')
        && sign != '─'
}

/// Control characters, joiners, variation selectors, the parts of emoji sequences, private and unassigned characters.
fn is_invisible(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}
