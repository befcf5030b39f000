//! What is written, and what is said.

mod chinese;
mod english;

use super::{chinese as zh, english as en, *};

fn check(language: Language, cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(written, said)| (written, said, normalise(written, language)))
        .filter(|(_, said, got)| *said != got)
        .map(|(written, said, got)| format!("{written:?}\n  expected {said:?}\n  got      {got:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn chinese_is_said_as_people_say_it() {
    check(Language::Zh, chinese::CASES);
}

#[test]
fn english_is_said_as_people_say_it() {
    check(Language::En, english::CASES);
}

/// Numbers as `cn2an` and `num2words` (two independent packages) write them.
#[test]
fn numbers_agree_with_reference_packages() {
    #[derive(serde::Deserialize)]
    struct Reference {
        number: u64,
        zh: String,
        en: String,
        ordinal: String,
        year: Option<String>,
    }
    let json = include_str!("../../../../tests/records/voice/normalise.json");
    let references: Vec<Reference> = serde_json::from_str(json).unwrap();
    assert!(references.len() >= 100);
    for reference in references {
        let number = reference.number;
        assert_eq!(zh::number::cardinal(number), reference.zh);
        assert_eq!(en::number::cardinal(number), reference.en);
        assert_eq!(en::number::ordinal(number), reference.ordinal);
        if let Some(year) = reference.year {
            assert_eq!(en::number::year(number), year);
        }
    }
}

/// Strings that no one would write, of the characters that rules look for.
#[test]
fn anything_can_be_normalised() {
    const SIGNS: &[&str] = &[
        "0",
        "1",
        "2",
        "9",
        "12",
        "2024",
        "13800138000",
        ".",
        ",",
        "，",
        ":",
        "：",
        "-",
        "–",
        "~",
        "/",
        "%",
        "°C",
        "℃",
        "$",
        "¥",
        "+",
        "=",
        "^",
        "²",
        "(",
        ")",
        "（",
        "[",
        "](",
        "!",
        "？",
        "…",
        "。",
        "\"",
        "'",
        "*",
        "`",
        "#",
        "@",
        "&",
        "_",
        "|",
        "\n",
        " ",
        "年",
        "月",
        "第",
        "个",
        "点",
        "km",
        "GB",
        "k",
        "am",
        "st",
        "s",
        "VIII",
        "Mr.",
        "St.",
        "e.g.",
        "http://",
        "www.",
        "a",
        "Z",
        "é",
        "中",
        "文",
        "😀",
        "\u{200d}",
        "\u{fe0f}",
        "\u{301}",
        "①",
        "½",
        "Ⅳ",
        "１",
        "Ａ",
        "\0",
        "\u{10ffff}",
        "٣",
        "ß",
    ];
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for _ in 0..20_000 {
        let length = random(24);
        let text: String = (0..length).map(|_| SIGNS[random(SIGNS.len())]).collect();
        for language in [Language::Zh, Language::En] {
            let said = normalise(&text, language);
            let ascii = said.contains(|sign: char| sign.is_ascii_digit());
            assert!(!ascii, "{text:?} keeps a digit: {said:?}");
        }
    }
}

/// Each of these would take minutes if any rule looked at the rest of the text again and again.
#[test]
fn hostile_text_takes_linear_time() {
    let pieces = [
        "1", "1-", "1.", "1,", "1:", "1/", "a.", "a@", "$", "[", "](", "(", "“", " ", "-", "/", "是1", "St. ", "I ",
        "+", "1 ", "😀", "a/1", "，",
    ];
    for piece in pieces {
        let text = piece.repeat(200_000 / piece.len());
        normalise(&text, Language::Zh);
        normalise(&text, Language::En);
    }
}
