//! Where a reply is cut into sentences.
//!
//! Length is counted in *beats*: two for a character that is a syllable by itself (Chinese, kana, Hangul), one for any
//! other letter or digit. About twelve beats are a second of speech.

/// Enough for the voice to begin with: four Chinese characters, or eight letters.
const FIRST_BREAK: u32 = 8;
/// A first sentence without any break is cut between words here.
const FIRST_LONGEST: u32 = 48;
/// A later sentence this long is cut at a comma.
const LATER_BREAK: u32 = 64;
/// A later sentence without any break is cut between words here.
const LATER_LONGEST: u32 = 200;

/// Words whose full stop does not end a sentence, in lower case.
const ABBREVIATIONS: [&str; 32] = [
    "mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "vs", "etc", "e.g", "i.e", "cf", "approx", "dept", "est", "inc",
    "ltd", "co", "corp", "fig", "no", "vol", "jan", "feb", "aug", "sept", "oct", "nov", "dec", "a.m", "p.m",
];

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cut {
    /// The sentence has this many characters.
    Here(usize),
    /// It goes on; look at this place next.
    Continue(usize),
    /// More text is needed to tell.
    Unknown,
}

/// How strongly a mark separates.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    None,
    /// A comma: a break for the first sentence and for long ones.
    Break,
    /// An ellipsis: an end after enough words, a hesitation before.
    Ellipsis,
    /// The end of a sentence.
    End,
}

/// Walks over the text and finds the first cut.
pub(super) struct Cutter<'a> {
    text: &'a [char],
    first: bool,
    ended: bool,
    beats: u32,
}

impl<'a> Cutter<'a> {
    pub fn new(text: &'a [char], first: bool, ended: bool) -> Self {
        Self { text, first, ended, beats: 0 }
    }

    /// Whether there is something to say so far.
    pub fn has_content(&self) -> bool {
        self.beats > 0
    }

    /// Looks at one place.
    pub fn step(&mut self, at: usize) -> Cut {
        let character = self.text[at];
        let (break_at, longest) = if self.first { (FIRST_BREAK, FIRST_LONGEST) } else { (LATER_BREAK, LATER_LONGEST) };
        let syllable = is_syllable(character);
        let between_words = character.is_whitespace() || (syllable && self.beats >= longest + longest / 4);
        if self.beats >= longest && between_words {
            return Cut::Here(at);
        }
        if mark(character) == Mark::None {
            self.beats += if syllable { 2 } else { u32::from(character.is_alphanumeric()) };
            return Cut::Continue(at + 1);
        }
        let Some((end, strongest)) = self.marks_from(at) else { return Cut::Unknown };
        let cuts = match strongest {
            Mark::None => false,
            Mark::Break | Mark::Ellipsis if self.beats < break_at => false,
            Mark::Ellipsis | Mark::End => self.beats > 0,
            Mark::Break => true,
        };
        if cuts { Cut::Here(end) } else { Cut::Continue(end) }
    }

    /// The end of the run of marks and closing quotes at a place, and what it amounts to. None when more text is needed.
    fn marks_from(&self, at: usize) -> Option<(usize, Mark)> {
        let mut end = at;
        let mut strongest = Mark::None;
        let mut dots = 0;
        while let Some(&character) = self.text.get(end) {
            let found = mark(character);
            let closes = end > at && is_closing(character);
            if found == Mark::None && !closes {
                break;
            }
            dots += u32::from(character == '.');
            strongest = if strength(found) > strength(strongest) { found } else { strongest };
            end += 1;
        }
        let next = self.text.get(end).copied();
        if next.is_none() && !self.ended {
            return None;
        }
        let run = &self.text[at..end];
        if dots >= 2 && !run.iter().any(|character| matches!(character, '!' | '?' | '！' | '？' | '。' | '\n')) {
            strongest = Mark::Ellipsis;
        }
        let ascii_only = run.iter().all(|character| character.is_ascii() && *character != '\n');
        let parted = next.is_none_or(|next| next.is_whitespace() || is_syllable(next) || super::bracket::opens(next));
        // Between letters and digits ASCII marks are part of a word: 3.14, 1,000, 12:30, example.com.
        let quoted = next.is_some_and(|next| !next.is_ascii() && !next.is_alphanumeric());
        if ascii_only && !parted && !quoted {
            return Some((end, Mark::None));
        }
        if run == ['.'] && self.is_abbreviation(at, next) {
            return Some((end, Mark::None));
        }
        Some((end, strongest))
    }

    /// Whether the full stop at a place belongs to the word before it.
    fn is_abbreviation(&self, at: usize, next: Option<char>) -> bool {
        let before = &self.text[..at];
        let start = before.iter().rposition(|character| character.is_whitespace() || is_opening(*character));
        let word: String = before[start.map_or(0, |start| start + 1)..].iter().collect();
        // At the very end of a reply it makes no difference.
        if next.is_none() {
            return false;
        }
        let letters: Vec<char> = word.chars().collect();
        let initial = matches!(letters.as_slice(), [letter] if letter.is_uppercase() && *letter != 'I');
        let initials = letters.len() >= 3 && letters.iter().skip(1).step_by(2).all(|dot| *dot == '.');
        // `1.` at the start of a line numbers it.
        let numbering = !letters.is_empty()
            && letters.iter().all(char::is_ascii_digit)
            && before[..before.len() - letters.len()].iter().all(|character| !character.is_alphanumeric());
        initial || initials || numbering || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
    }
}

fn strength(mark: Mark) -> u8 {
    match mark {
        Mark::None => 0,
        Mark::Break => 1,
        Mark::Ellipsis => 2,
        Mark::End => 3,
    }
}

fn mark(character: char) -> Mark {
    match character {
        '.' | '!' | '?' | '。' | '！' | '？' | '｡' | '．' | '‼' | '⁇' | '⁈' | '⁉' | '\n' => Mark::End,
        ';' | '；' => Mark::End,
        '…' | '⋯' => Mark::Ellipsis,
        ',' | '，' | '、' | '､' | ':' | '：' | '—' | '―' | '～' => Mark::Break,
        _ => Mark::None,
    }
}

fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | '»' | ')' | '）' | '」' | '』' | '》' | '〉' | '*' | '_' | '~')
}

fn is_opening(character: char) -> bool {
    matches!(character, '"' | '\'' | '“' | '‘' | '«' | '(' | '（' | '「' | '『' | '《' | '〈' | '*' | '_')
}

/// Whether a character is a syllable or more by itself, in scripts written without spaces.
fn is_syllable(character: char) -> bool {
    matches!(character,
        '\u{3041}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}
