//! A reply's text, as it streams in, becomes cues and sentences to say.
//!
//! Tags leave the text as [`Cue`]s. The first sentence is cut early, at the first natural break, so that the voice can
//! begin; later ones at sentence ends. What comes out depends on the text alone, never on how it was cut into pieces.

mod bracket;
mod cut;
mod speech;

use bracket::Bracket;
use cut::Cut;

use crate::emotion::{Cue, EmotionSet};

/// What is said in one breath, and the emotion it is said with.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentence {
    /// Its number in the reply, from 0.
    pub index: u32,
    /// What is said: no tags, no markup, no emoji.
    pub text: String,
    /// The last cue before it; calm before the first.
    pub cue: Cue,
}

/// One thing that a [`ReplyParser`] has made out.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyEvent {
    /// The emotion changes here.
    Cue(Cue),
    /// A sentence is complete.
    Sentence(Sentence),
}

/// Makes sentences and cues out of the pieces of one reply.
#[derive(Clone, Debug)]
pub struct ReplyParser {
    emotions: EmotionSet,
    /// Text that belongs to no sentence yet.
    waiting: Vec<char>,
    cue: Cue,
    next_index: u32,
}

/// What stands first in the waiting text.
enum Next {
    /// A sentence of this many characters.
    Sentence(usize),
    /// A bracket at a place.
    Bracket(usize, Bracket),
    /// Nothing that can be told without more text.
    Unknown,
}

impl ReplyParser {
    /// A parser for one reply of a persona with these tags.
    pub fn new(emotions: EmotionSet) -> Self {
        Self { emotions, waiting: Vec::new(), cue: Cue::default(), next_index: 0 }
    }

    /// Takes the next piece, and returns what it completes.
    pub fn push(&mut self, piece: &str) -> Vec<ReplyEvent> {
        self.waiting.extend(piece.chars());
        self.parse(false)
    }

    /// Ends the reply, and returns what is left of it.
    pub fn finish(&mut self) -> Vec<ReplyEvent> {
        self.parse(true)
    }

    fn parse(&mut self, ended: bool) -> Vec<ReplyEvent> {
        let mut events = Vec::new();
        loop {
            match self.next(ended) {
                Next::Sentence(length) => self.say(length, &mut events),
                Next::Bracket(at, Bracket::Cue { cue, length }) => {
                    self.say(at, &mut events);
                    self.waiting.drain(..length);
                    self.cue = cue;
                    events.push(ReplyEvent::Cue(cue));
                }
                Next::Bracket(at, Bracket::Aside { length }) => {
                    self.waiting.drain(at..at + length);
                }
                Next::Bracket(..) | Next::Unknown => break,
            }
        }
        if ended {
            self.say(self.waiting.len(), &mut events);
        }
        events
    }

    fn next(&self, ended: bool) -> Next {
        let text = self.waiting.as_slice();
        let mut cutter = cut::Cutter::new(text, self.next_index == 0, ended);
        let mut at = 0;
        while at < text.len() {
            if bracket::opens(text[at]) {
                match bracket::read(text, at, cutter.has_content(), ended, &self.emotions) {
                    Bracket::Text => {}
                    found => return Next::Bracket(at, found),
                }
            }
            match cutter.step(at) {
                Cut::Here(length) => return Next::Sentence(length),
                Cut::Continue(next) => at = next,
                Cut::Unknown => return Next::Unknown,
            }
        }
        Next::Unknown
    }

    /// Makes a sentence of the first characters, if there is something to say in them.
    fn say(&mut self, length: usize, events: &mut Vec<ReplyEvent>) {
        let raw: String = self.waiting.drain(..length).collect();
        let text = speech::clean(&raw);
        if !text.is_empty() {
            events.push(ReplyEvent::Sentence(Sentence { index: self.next_index, text, cue: self.cue }));
            self.next_index += 1;
        }
    }
}

#[cfg(test)]
mod tests;
