//! What has been said and heard: the conversation as both sides know it.

use bevy::prelude::*;

use crate::{brain::reply::Sentence, emotion::EmotionSet, worker::TurnId};

/// One turn as it was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// Its number.
    pub turn: TurnId,
    /// What the person said; empty when she spoke first.
    pub user: String,
    /// The recollections that went into the prompt with it, as they were written there.
    pub recollections: String,
    /// What was heard of the reply: the last sentence is cut where playback was stopped.
    pub heard: Vec<Sentence>,
    /// The reply as the model wrote it, tags included; only when all of it was heard.
    pub written: Option<String>,
    /// Whether she was interrupted. Metadata: it never becomes text.
    pub interrupted: bool,
}

impl Exchange {
    /// The reply as text without tags.
    pub fn spoken(&self) -> String {
        join(self.heard.iter().map(|sentence| sentence.text.as_str()))
    }

    /// The reply with tags, as the brain is shown it.
    pub fn tagged(&self, emotions: &EmotionSet) -> String {
        if let Some(written) = &self.written {
            return written.clone();
        }
        let mut tagged = String::new();
        let mut current = None;
        for sentence in &self.heard {
            if current != Some(sentence.cue) {
                let label = emotions.tags().iter().find(|tag| tag.emotion == sentence.cue.emotion);
                let label = label.map_or(sentence.cue.emotion.zh(), |tag| tag.label.as_str());
                tagged.push_str(&format!("[{label}]"));
                current = Some(sentence.cue);
                tagged.push_str(&sentence.text);
            } else {
                tagged = join([tagged.as_str(), &sentence.text]);
            }
        }
        tagged
    }
}

/// Joins sentences with a space, except where either side is written without spaces.
fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    for part in parts {
        let tight = |c: char| c.is_whitespace() || is_cjk(c) || c == ']';
        let spaced = joined.chars().last().is_some_and(|c| !tight(c)) && part.chars().next().is_some_and(|c| !tight(c));
        if spaced {
            joined.push(' ');
        }
        joined.push_str(part);
    }
    joined
}

/// Whether a character belongs to a script written without spaces between words, its punctuation included.
pub fn is_cjk(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

/// The turns of one companion's session, oldest first.
#[derive(Component, Clone, Debug, Default)]
pub struct History {
    exchanges: Vec<Exchange>,
}

impl History {
    /// The turns, oldest first.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Adds a turn that has ended; one in which nothing was said on either side is left out.
    pub fn push(&mut self, exchange: Exchange) {
        if !exchange.user.is_empty() || !exchange.heard.is_empty() {
            self.exchanges.push(exchange);
        }
    }

    /// Drops the older half once the texts pass `limit` characters: rarely and much, so that in between the prompt's
    /// prefix, and with it the brain's KV cache, stays as it is.
    pub fn trim(&mut self, limit: usize) {
        let size = |exchange: &Exchange| exchange.user.len() + exchange.recollections.len() + exchange.spoken().len();
        if self.exchanges.iter().map(size).sum::<usize>() > limit {
            self.exchanges.drain(..self.exchanges.len() / 2);
        }
    }

    /// Forgets the session.
    pub fn clear(&mut self) {
        self.exchanges.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emotion::Emotion;

    fn sentence(index: u32, emotion: Emotion, text: &str) -> Sentence {
        Sentence { index, text: text.into(), cue: emotion.into() }
    }

    #[test]
    fn a_reply_is_shown_to_the_brain_with_its_tags_and_to_people_without() {
        let heard = vec![
            sentence(0, Emotion::Happy, "Hi!"),
            sentence(1, Emotion::Happy, "You are here."),
            sentence(2, Emotion::Calm, "坐吧。"),
        ];
        let exchange = Exchange { heard, ..default() };
        assert_eq!(exchange.spoken(), "Hi! You are here.坐吧。");
        assert_eq!(exchange.tagged(&EmotionSet::english()), "[happy]Hi! You are here.[calm]坐吧。");
    }

    #[test]
    fn trimming_drops_the_older_half_at_once() {
        let mut history = History::default();
        for turn in 0..8 {
            history.push(Exchange { turn: TurnId(turn), user: "0123456789".into(), ..default() });
        }
        history.trim(80);
        assert_eq!(history.exchanges().len(), 8);
        history.trim(79);
        assert_eq!(history.exchanges()[0].turn, TurnId(4));
    }
}
