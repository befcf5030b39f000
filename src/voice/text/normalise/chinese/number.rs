//! Numbers in Chinese.

use crate::voice::text::normalise::reader::Number;

const DIGITS: [&str; 10] = ["零", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
/// Longer whole numbers are read digit by digit.
const LONGEST_CARDINAL: usize = 16;

/// Digit by digit: a year, an account. Whatever is not a digit is left out.
pub fn digits(digits: &str) -> String {
    digits.chars().filter_map(|digit| Some(DIGITS[digit.to_digit(10)? as usize])).collect()
}

/// Digit by digit as over the telephone, where 一 would be mistaken for 七.
pub fn dialled(digits: &str) -> String {
    self::digits(digits).replace('一', "幺")
}

/// A whole number as one counts: 10010 → 一万零一十, without 两.
pub fn cardinal(number: u64) -> String {
    let mut out = String::new();
    write_cardinal(number, &mut out);
    // Ten to nineteen at the beginning go without their 一: 十二, 十万.
    match out.strip_prefix("一十") {
        Some(rest) => format!("十{rest}"),
        None => out,
    }
}

/// A whole number as one says it before what it counts: 200 → 两百, 2 → 二.
pub fn spoken(number: u64) -> String {
    let plain = cardinal(number);
    match plain.strip_prefix('二') {
        Some(rest) if rest.starts_with(['百', '千', '万', '亿']) => format!("两{rest}"),
        _ => plain,
    }
}

/// Any number: leading zeros and great lengths digit by digit, decimals behind 点.
pub fn read(number: &Number) -> String {
    let whole = &number.whole;
    let is_code = whole.len() > 1 && whole.starts_with('0') || whole.len() > LONGEST_CARDINAL;
    let whole = match whole.parse() {
        Ok(value) if !is_code => spoken(value),
        _ => digits(whole),
    };
    match &number.fraction {
        Some(fraction) => format!("{whole}点{}", digits(fraction)),
        None => whole,
    }
}

fn write_cardinal(number: u64, out: &mut String) {
    const YI: u64 = 100_000_000;
    const WAN: u64 = 10_000;
    match number {
        0..WAN => write_section(number, out),
        WAN..YI => write_parts(number, WAN, "万", out),
        _ => write_parts(number, YI, "亿", out),
    }
}

/// Writes how many times `power` is in a number, its name, and the rest, behind a 零 if its first place is empty.
fn write_parts(number: u64, power: u64, name: &str, out: &mut String) {
    let rest = number % power;
    write_cardinal(number / power, out);
    out.push_str(name);
    if rest > 0 {
        out.push_str(if rest < power / 10 { DIGITS[0] } else { "" });
        write_cardinal(rest, out);
    }
}

/// Writes a number below ten thousand.
fn write_section(number: u64, out: &mut String) {
    if number == 0 {
        out.push_str(DIGITS[0]);
    }
    let mut rest = number;
    for (power, name) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
        let digit = rest / power;
        rest %= power;
        if digit > 0 {
            out.push_str(DIGITS[digit as usize]);
            out.push_str(name);
            if rest > 0 && rest < power / 10 {
                out.push_str(DIGITS[0]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cardinals_count() {
        let cases = [
            (0, "零"),
            (10, "十"),
            (12, "十二"),
            (20, "二十"),
            (105, "一百零五"),
            (110, "一百一十"),
            (1024, "一千零二十四"),
            (1004, "一千零四"),
            (10000, "一万"),
            (10010, "一万零一十"),
            (100_000, "十万"),
            (120_000, "十二万"),
            (1_000_001, "一百万零一"),
            (20_002_000, "二千万二千"),
            (123_456_789, "一亿二千三百四十五万六千七百八十九"),
            (100_000_000_000, "一千亿"),
            (1_000_000_000_000, "一万亿"),
        ];
        for (number, expected) in cases {
            assert_eq!(cardinal(number), expected, "{number}");
        }
        assert_eq!(spoken(200), "两百");
        assert_eq!(spoken(22), "二十二");
    }
}
