//! Numbers in English.

use crate::voice::text::normalise::reader::Number;

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const POWERS: [(u64, &str); 6] = [
    (1_000_000_000_000_000_000, "quintillion"),
    (1_000_000_000_000_000, "quadrillion"),
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1000, "thousand"),
];
/// Cardinals whose ordinals are not made with -th.
const ORDINALS: [(&str, &str); 7] = [
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
];

/// A whole number as one counts: 105 → one hundred five.
pub fn cardinal(number: u64) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = number;
    for (power, name) in POWERS {
        if rest >= power {
            words.push(format!("{} {name}", below_thousand(rest / power)));
            rest %= power;
        }
    }
    if rest > 0 || number == 0 {
        words.push(below_thousand(rest));
    }
    words.join(" ")
}

fn below_thousand(number: u64) -> String {
    match number {
        0..20 => ONES[number as usize].to_owned(),
        20..100 => {
            let tens = TENS[(number / 10) as usize];
            if number.is_multiple_of(10) { tens.to_owned() } else { format!("{tens}-{}", ONES[(number % 10) as usize]) }
        }
        _ => {
            let hundreds = format!("{} hundred", below_thousand(number / 100));
            if number.is_multiple_of(100) { hundreds } else { format!("{hundreds} {}", below_thousand(number % 100)) }
        }
    }
}

/// 21 → twenty-first.
pub fn ordinal(number: u64) -> String {
    let cardinal = cardinal(number);
    let at = cardinal.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (head, last) = cardinal.split_at(at);
    let last = match ORDINALS.iter().find(|(cardinal, _)| *cardinal == last) {
        Some((_, ordinal)) => (*ordinal).to_owned(),
        None => last.strip_suffix('y').map_or_else(|| format!("{last}th"), |stem| format!("{stem}ieth")),
    };
    format!("{head}{last}")
}

/// A year: 1998 → nineteen ninety-eight, 2007 → two thousand seven, 2024 → twenty twenty-four, 1905 → nineteen oh five.
pub fn year(year: u64) -> String {
    let (century, rest) = (year / 100, year % 100);
    match (century, rest) {
        (1..=9, _) if year < 1000 => cardinal(year),
        (_, 0) if !century.is_multiple_of(10) => format!("{} hundred", cardinal(century)),
        (_, 0..10) if century.is_multiple_of(10) => cardinal(year),
        (_, 1..10) => format!("{} oh {}", cardinal(century), cardinal(rest)),
        _ => format!("{} {}", cardinal(century), cardinal(rest)),
    }
}

/// Digit by digit: 555 → five five five. Whatever is not a digit is left out.
pub fn digits(digits: &str) -> String {
    let words: Vec<&str> = digits.chars().filter_map(|digit| Some(ONES[digit.to_digit(10)? as usize])).collect();
    words.join(" ")
}

/// Any number: leading zeros and great lengths digit by digit, decimals behind "point".
pub fn read(number: &Number) -> String {
    let whole = match number.whole.parse() {
        Ok(value) if !(number.whole.len() > 1 && number.whole.starts_with('0')) && number.whole.len() <= 18 => {
            cardinal(value)
        }
        _ => digits(&number.whole),
    };
    match &number.fraction {
        Some(fraction) => format!("{whole} point {}", digits(fraction)),
        None => whole,
    }
}

/// The many of the last word: twenty → twenties, six → sixes.
pub fn plural(words: &str) -> String {
    match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if words.ends_with(['x', 's']) => format!("{words}es"),
        None => format!("{words}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert_eq!(cardinal(0), "zero");
        assert_eq!(cardinal(1_000_105), "one million one hundred five");
        assert_eq!(cardinal(u64::MAX).split(' ').next(), Some("eighteen"));
        assert_eq!(ordinal(1), "first");
        assert_eq!(ordinal(20), "twentieth");
        assert_eq!(ordinal(112), "one hundred twelfth");
        let years = [
            (1998, "nineteen ninety-eight"),
            (2000, "two thousand"),
            (2007, "two thousand seven"),
            (2024, "twenty twenty-four"),
            (1905, "nineteen oh five"),
            (1900, "nineteen hundred"),
            (1066, "ten sixty-six"),
        ];
        for (number, expected) in years {
            assert_eq!(year(number), expected);
        }
    }
}
