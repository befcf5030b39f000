//! From a reply's text to what is said aloud.

/// Takes out what is not for the ear: markup, emoji, brackets, invisible characters. Empty when there is nothing to say.
pub(super) fn clean(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    let mut line_start = true;
    let characters: Vec<char> = raw.chars().collect();
    for (at, &character) in characters.iter().enumerate() {
        let next = characters.get(at + 1);
        let bullet = line_start && matches!(character, '-' | '+' | '•' | '>') && next.is_some_and(|next| *next == ' ');
        if character == '\n' || !character.is_whitespace() {
            line_start = character == '\n' || (line_start && bullet);
        }
        if bullet || is_markup(character, at, &characters) || is_picture(character) || is_bracket(character) {
            continue;
        }
        if character.is_whitespace() || character.is_control() {
            if !clean.is_empty() && !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else {
            clean.push(character);
        }
    }
    // What is left of a sentence whose beginning was a tag may begin with a comma.
    let clean = clean
        .trim_start_matches(|first: char| first.is_whitespace() || "，。、！？；：,.!?;:…".contains(first))
        .trim_end();
    if clean.contains(char::is_alphanumeric) { clean.to_owned() } else { String::new() }
}

fn is_markup(character: char, at: usize, all: &[char]) -> bool {
    match character {
        '*' | '`' => true,
        // `#` before a digit is said: "number 1".
        '#' => !all.get(at + 1).is_some_and(char::is_ascii_digit),
        // Underscores and tildes mark words at their edges; inside they belong to them.
        '_' | '~' => {
            let word =
                |at: Option<usize>| at.and_then(|at| all.get(at)).is_some_and(|neighbour| neighbour.is_alphanumeric());
            !(word(at.checked_sub(1)) && word(Some(at + 1)))
        }
        _ => false,
    }
}

fn is_bracket(character: char) -> bool {
    matches!(character, '[' | ']' | '【' | '】' | '［' | '］' | '〔' | '〕')
}

/// Emoji, pictographs and what joins and colours them (Unicode's Extended_Pictographic, without letters and digits).
fn is_picture(character: char) -> bool {
    matches!(character,
        '\u{1F000}'..='\u{1FBFF}' | '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}' | '\u{2300}'..='\u{23FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{206F}' | '\u{20E3}' | '\u{FEFF}'
        | '\u{E0000}'..='\u{E007F}' | '\u{FFFC}' | '\u{FFFD}')
}
