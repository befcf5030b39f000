//! The emotion grammar, `reply := (tag clause)+`, and how it is forced on a model token by token.
//!
//! A tag is `[label]` for one of the persona's labels; a clause is text with something to say in it. The grammar runs over
//! bytes, so it does not matter how a tokenizer cuts a tag: a token is allowed when all of its bytes are, one after the
//! other. What is allowed is left to the model's probabilities, so it is the model that picks the emotion.

mod lexicon;

use std::sync::Arc;

pub use lexicon::Lexicon;
use lexicon::{Class, can_be_said, is_content, is_unspeakable};

use super::vocabulary::{TokenKind, Vocabulary};
use crate::emotion::EmotionSet;

/// With so few tokens left, a clause that has said nothing yet must say something at once. A character of four bytes takes
/// at most four tokens.
const RESERVE: usize = 4;

/// The grammar of one persona's replies over one model's vocabulary.
///
/// With an empty [`EmotionSet`] a reply is one clause without tags.
#[derive(Clone, Debug)]
pub struct Grammar {
    vocabulary: Arc<Vocabulary>,
    lexicon: Arc<Lexicon>,
    tags: Vec<Node>,
}

/// A node of the byte trie of all `[label]`s; node 0 is the root, before the bracket.
#[derive(Clone, Debug, Default)]
struct Node {
    children: Vec<(u8, usize)>,
    /// Bytes from here to the end of the longest label below, bracket included.
    longest: usize,
}

/// Where a reply stands in the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrammarState {
    place: Place,
    /// The bytes of a character that is not complete yet, in a clause.
    pending: [u8; 4],
    pending_len: usize,
    /// Bytes drawn that are not whole characters yet, tags included.
    unsent: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Tag { node: usize },
    Clause { content: bool },
}

impl GrammarState {
    /// Whether the reply may end here: its last clause says something.
    pub fn may_end(&self) -> bool {
        self.place == Place::Clause { content: true }
    }

    /// Whether a tag has begun and not ended, or must begin.
    pub fn in_tag(&self) -> bool {
        matches!(self.place, Place::Tag { .. })
    }
}

impl Grammar {
    /// The grammar of `emotions` over a vocabulary and its [`Lexicon`].
    pub fn new(vocabulary: Arc<Vocabulary>, lexicon: Arc<Lexicon>, emotions: &EmotionSet) -> Self {
        let mut tags = vec![Node::default()];
        for tag in emotions.tags() {
            insert(&mut tags, format!("[{}]", tag.label).as_bytes());
        }
        Self { vocabulary, lexicon, tags }
    }

    /// The start of a reply.
    pub fn start(&self) -> GrammarState {
        let place = if self.has_tags() { Place::Tag { node: 0 } } else { Place::Clause { content: false } };
        GrammarState { place, pending: [0; 4], pending_len: 0, unsent: Vec::new() }
    }

    /// The fewest tokens that are enough for any tag and something to say, however the model spells them.
    pub fn shortest(&self) -> usize {
        self.tags[0].longest + RESERVE
    }

    fn has_tags(&self) -> bool {
        !self.tags[0].children.is_empty()
    }

    /// Sets the logits of all tokens that may not come next to minus infinity.
    ///
    /// `left` is how many tokens the reply may still take, this one included: a tag is not begun when it could not be
    /// followed by something to say.
    pub fn mask(&self, state: &GrammarState, left: usize, logits: &mut [f32]) {
        let Some(few) = self.few(state, left) else {
            let content = state.place == Place::Clause { content: true };
            return self.mask_clause(state, content, left, logits);
        };
        let kept = few.iter().filter_map(|&token| Some((token as usize, *logits.get(token as usize)?)));
        let kept: Vec<(usize, f32)> = kept.collect();
        logits.fill(f32::NEG_INFINITY);
        kept.into_iter().for_each(|(token, logit)| logits[token] = logit);
    }

    /// The tokens that may come next where they are few, in ascending order: inside a tag or a character. Elsewhere none is
    /// returned, and most tokens may.
    pub fn few(&self, state: &GrammarState, left: usize) -> Option<Vec<u32>> {
        let next_bytes: Vec<u8> = match state.place {
            Place::Tag { node } => self.tags[node].children.iter().map(|(byte, _)| *byte).collect(),
            Place::Clause { .. } if state.pending_len == 0 => return None,
            Place::Clause { .. } => (0x80..=0xBF).collect(),
        };
        let candidates = next_bytes.iter().flat_map(|&byte| self.lexicon.starting_with(byte)).copied();
        let mut allowed: Vec<u32> = candidates.filter(|&token| self.allows_by_walking(state, token, left)).collect();
        allowed.sort_unstable();
        Some(allowed)
    }

    fn mask_clause(&self, state: &GrammarState, content: bool, left: usize, logits: &mut [f32]) {
        let urgent = !content && left <= RESERVE;
        let classes = self.lexicon.classes();
        for (token, logit) in logits.iter_mut().enumerate() {
            let allowed = match classes.get(token) {
                Some(Class::Content) => true,
                Some(Class::Blank | Class::Dangling) => !urgent,
                Some(Class::End) => content,
                Some(Class::Walk) => !urgent && self.allows_by_walking(state, token as u32, left),
                Some(Class::Continuing | Class::Never) | None => false,
            };
            if !allowed {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    fn allows_by_walking(&self, state: &GrammarState, token: u32, left: usize) -> bool {
        let bytes = self.vocabulary.bytes(token);
        if bytes.is_empty() || self.lexicon.class(token) == Class::Never {
            return false;
        }
        let (mut place, mut pending) = (state.place, Pending::of(state));
        let mut opened = false;
        for &byte in bytes {
            let was_in_tag = matches!(place, Place::Tag { .. });
            let Some(next) = self.step(place, &mut pending, byte) else { return false };
            opened |= !was_in_tag && matches!(next, Place::Tag { .. });
            place = next;
        }
        // A tag begun by this token must have room to end and to be followed by something.
        let needed = match place {
            Place::Tag { node } => self.tags[node].longest + RESERVE,
            Place::Clause { content: false } => RESERVE,
            Place::Clause { content: true } => 0,
        };
        !opened || left > needed
    }

    /// The place after one more byte; none when the grammar forbids it.
    fn step(&self, place: Place, pending: &mut Pending, byte: u8) -> Option<Place> {
        match place {
            Place::Tag { node } => {
                let (_, child) = self.tags[node].children.iter().find(|(label_byte, _)| *label_byte == byte)?;
                let ended = self.tags[*child].children.is_empty();
                Some(if ended { Place::Clause { content: false } } else { Place::Tag { node: *child } })
            }
            Place::Clause { content } => match pending.push(byte)? {
                None => Some(place),
                // Never two tags in a row: there is something to say between them.
                Some('[') if content && self.has_tags() => self.step(Place::Tag { node: 0 }, pending, b'['),
                Some(character) if is_unspeakable(character) => None,
                Some(character) => Some(Place::Clause { content: content || is_content(character) }),
            },
        }
    }

    /// Takes a drawn token, and returns the characters it completes.
    ///
    /// End and control tokens, and tokens that [`Grammar::mask`] forbids, change nothing and complete nothing.
    pub fn advance(&self, state: &mut GrammarState, token: u32) -> String {
        if self.vocabulary.kind(token) != TokenKind::Text {
            return String::new();
        }
        let bytes = self.vocabulary.bytes(token);
        let (mut place, mut pending) = (state.place, Pending::of(state));
        for &byte in bytes {
            let Some(next) = self.step(place, &mut pending, byte) else { return String::new() };
            place = next;
        }
        state.place = place;
        (state.pending, state.pending_len) = (pending.bytes, pending.len);
        state.unsent.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&state.unsent) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = state.unsent.split_off(whole);
        let text = std::mem::replace(&mut state.unsent, rest);
        String::from_utf8(text).unwrap_or_default()
    }
}

fn insert(tags: &mut Vec<Node>, label: &[u8]) {
    let mut at = 0;
    tags[0].longest = tags[0].longest.max(label.len());
    for (depth, &byte) in label.iter().enumerate() {
        let known = tags[at].children.iter().find(|(child_byte, _)| *child_byte == byte).map(|(_, child)| *child);
        at = known.unwrap_or_else(|| {
            let child = tags.len();
            tags.push(Node::default());
            tags[at].children.push((byte, child));
            child
        });
        tags[at].longest = tags[at].longest.max(label.len() - depth - 1);
    }
}

/// The bytes of a character under construction.
#[derive(Clone, Copy)]
struct Pending {
    bytes: [u8; 4],
    len: usize,
}

impl Pending {
    fn of(state: &GrammarState) -> Self {
        Self { bytes: state.pending, len: state.pending_len }
    }

    /// None when the bytes can no longer become a character that is ever said; `Some(None)` when more are needed.
    fn push(&mut self, byte: u8) -> Option<Option<char>> {
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        match std::str::from_utf8(&self.bytes[..self.len]) {
            Ok(text) => {
                let character = text.chars().next();
                self.len = 0;
                Some(character)
            }
            Err(error) if error.error_len().is_none() && can_be_said(&self.bytes[..self.len]) => Some(None),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
