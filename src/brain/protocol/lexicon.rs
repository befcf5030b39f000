//! What each token of a vocabulary may be in a clause, worked out once a model.

use super::super::vocabulary::{TokenKind, Vocabulary};

/// What a token may be inside a clause, when no character is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Whole characters with something to say among them.
    Content,
    /// Whole characters with nothing to say: spaces, punctuation.
    Blank,
    /// Ends in the middle of a character; what precedes is allowed.
    Dangling,
    /// Begins in the middle of a character.
    Continuing,
    /// Has a bracket: whether it is allowed depends on the tags.
    Walk,
    /// Ends the reply.
    End,
    /// Control tokens, bytes that are no text, characters that are never said.
    Never,
}

/// The classes of a vocabulary's tokens, and the tokens by their first byte.
#[derive(Clone, Debug)]
pub struct Lexicon {
    classes: Vec<Class>,
    starting_with: Vec<Vec<u32>>,
}

impl Lexicon {
    /// Classifies a vocabulary.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let mut starting_with = vec![Vec::new(); 256];
        let mut classes = Vec::with_capacity(vocabulary.len());
        for (token, bytes, kind) in vocabulary.iter() {
            classes.push(match kind {
                TokenKind::Text => classify(bytes),
                TokenKind::End => Class::End,
                TokenKind::Control => Class::Never,
            });
            if let (TokenKind::Text, Some(&first)) = (kind, bytes.first()) {
                starting_with[first as usize].push(token);
            }
        }
        Self { classes, starting_with }
    }

    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }

    pub(super) fn class(&self, token: u32) -> Class {
        self.classes.get(token as usize).copied().unwrap_or(Class::Never)
    }

    pub(super) fn starting_with(&self, byte: u8) -> &[u32] {
        &self.starting_with[byte as usize]
    }
}

fn classify(bytes: &[u8]) -> Class {
    let is_continuation = |byte: &u8| (0x80..=0xBF).contains(byte);
    if bytes.first().is_some_and(is_continuation) {
        return Class::Continuing;
    }
    let (text, dangling) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) if error.error_len().is_some() => return Class::Never,
        Err(error) => (std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), true),
    };
    if bytes.is_empty() || (dangling && !can_be_said(&bytes[text.len()..])) {
        Class::Never
    } else if text.contains(['[', ']']) {
        Class::Walk
    } else if text.contains(is_unspeakable) {
        Class::Never
    } else if dangling {
        Class::Dangling
    } else if text.contains(is_content) {
        Class::Content
    } else {
        Class::Blank
    }
}

/// Whether a character says something: a letter or a digit of any script.
pub(super) fn is_content(character: char) -> bool {
    character.is_alphanumeric()
}

/// Whether some character that begins with these bytes may be said. An incomplete character that may not would be a dead end.
pub(super) fn can_be_said(prefix: &[u8]) -> bool {
    let Some(&lead) = prefix.first() else { return false };
    let (length, bits) = match lead {
        0xC2..=0xDF => (2, u32::from(lead & 0x1F)),
        0xE0..=0xEF => (3, u32::from(lead & 0x0F)),
        0xF0..=0xF4 => (4, u32::from(lead & 0x07)),
        _ => return false,
    };
    let known = prefix[1..].iter().fold(bits, |bits, byte| bits << 6 | u32::from(byte & 0x3F));
    let missing = 6 * (length - prefix.len().min(length)) as u32;
    // Blocks are far larger than the step, and the step of a longer prefix divides that of a shorter one, so what is found
    // here is found again when the next byte is tried.
    let step = 1usize << missing.saturating_sub(6);
    let mut candidates = (known << missing..(known + 1) << missing).step_by(step);
    candidates.any(|code| char::from_u32(code).is_some_and(|character| !is_unspeakable(character)))
}

/// Whether a character is never part of a clause: brackets, what looks like one, and what cannot be seen or heard.
pub(super) fn is_unspeakable(character: char) -> bool {
    match character {
        '\n' => false,
        '[' | ']' => true,
        // Square, lenticular and tortoise-shell brackets of all widths and orientations (Unicode general category Ps, Pe).
        '【' | '】' | '［' | '］' | '〔' | '〕' | '〖' | '〗' | '〘' | '〙' | '〚' | '〛' => true,
        '⟦' | '⟧' | '⟬' | '⟭' | '❲' | '❳' | '⁅' | '⁆' | '﹝' | '﹞' | '﹇' | '﹈' => true,
        '︗' | '︘' | '︹' | '︺' | '︻' | '︼' | '⦋' | '⦌' | '⦍' | '⦎' | '⦏' | '⦐' => true,
        '⦗' | '⦘' | '⎡'..='⎦' | '⎴'..='⎶' | '⌈'..='⌋' | '⌜'..='⌟' | '⸢'..='⸥' | '⸨' | '⸩' => {
            true
        }
        '\u{2E55}'..='\u{2E5C}' => true,
        // Invisible characters, direction marks and variation selectors other than those that emoji need.
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}' => true,
        '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFF}' => true,
        // Private use, noncharacters and the language tags.
        '\u{E000}'..='\u{F8FF}' | '\u{FDD0}'..='\u{FDEF}' | '\u{E0000}'..='\u{10FFFF}' => true,
        character => character.is_control(),
    }
}
