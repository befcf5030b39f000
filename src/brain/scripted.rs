//! A brain that says what it was told to: for tests, and for trying out everything around a brain.

use std::{thread, time::Duration};

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::{Brain, BrainError, Prompt, Role, Token, Usage};
use crate::worker::{Engine, EngineError, Turn};

/// The longest sleep between two looks at whether the reply is still wanted.
const NAP: Duration = Duration::from_millis(10);

/// What [`ScriptedBrain`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedConfig {
    /// Replies, tags included, in the order in which they are given.
    pub replies: Vec<String>,
    /// Replies to particular words; they come before `replies` and are never used up.
    pub rules: Vec<Rule>,
    /// What to do when `replies` are used up.
    pub exhausted: Exhausted,
    /// Characters a token.
    pub piece: usize,
    /// Milliseconds before each token.
    pub delay_ms: u64,
}

impl Default for ScriptedConfig {
    fn default() -> Self {
        Self { replies: Vec::new(), rules: Vec::new(), exhausted: Exhausted::default(), piece: 2, delay_ms: 0 }
    }
}

/// A reply to particular words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// The rule applies when the question, or a recollection that came with it, contains this.
    pub contains: String,
    /// What is said then.
    pub reply: String,
}

/// What a script does after its last reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exhausted {
    /// Fails with [`BrainError::Exhausted`], so that a test that says too much is noticed.
    #[default]
    Error,
    /// Says what the person said, under the first tag of the persona.
    Echo,
}

/// An engine that answers from a script.
#[derive(Debug)]
pub struct ScriptedBrain {
    config: ScriptedConfig,
    used: usize,
}

impl ScriptedBrain {
    /// An engine at the beginning of its script.
    pub fn new(config: ScriptedConfig) -> Self {
        Self { config, used: 0 }
    }

    fn reply(&mut self, prompt: &Prompt) -> Result<String, BrainError> {
        // The question, and the recollections that stand before it.
        let asked =
            prompt.messages.iter().rposition(|message| message.role == Role::Assistant).map_or(0, |last| last + 1);
        let said: String = prompt.messages[asked..].iter().map(|message| message.content.as_str()).collect();
        if let Some(rule) = self.config.rules.iter().find(|rule| said.contains(&rule.contains)) {
            return Ok(rule.reply.clone());
        }
        let reply = self.config.replies.get(self.used).cloned();
        self.used += usize::from(reply.is_some());
        match (reply, self.config.exhausted) {
            (Some(reply), _) => Ok(reply),
            (None, Exhausted::Error) => Err(BrainError::Exhausted { replies: self.config.replies.len() }),
            (None, Exhausted::Echo) => {
                let tag = prompt.emotions.tags().first().map(|tag| format!("[{}]", tag.label));
                Ok(tag.unwrap_or_default() + &said)
            }
        }
    }

    fn wait(&self, turn: &Turn<Brain>) -> Result<(), EngineError> {
        let mut left = Duration::from_millis(self.config.delay_ms);
        while !left.is_zero() {
            turn.check()?;
            let nap = left.min(NAP);
            thread::sleep(nap);
            left -= nap;
        }
        turn.check()
    }
}

impl Engine<Brain> for ScriptedBrain {
    fn serve(&mut self, prompt: Prompt, turn: &Turn<Brain>) -> Result<(), EngineError> {
        if prompt.sampling.max_tokens == 0 {
            return turn.emit(Token::End(Usage::default()));
        }
        let reply = self.reply(&prompt).map_err(EngineError::failed)?;
        let characters: Vec<&str> = reply.graphemes(true).collect();
        let mut usage = Usage { prompt_tokens: prompt.messages.len(), ..Usage::default() };
        for piece in characters.chunks(self.config.piece.max(1)) {
            self.wait(turn)?;
            turn.emit(Token::Text(piece.concat()))?;
            usage.reply_tokens += 1;
        }
        turn.emit(Token::End(usage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{brain::Message, emotion::EmotionSet};

    fn ask(brain: &mut ScriptedBrain, said: &str) -> Result<String, EngineError> {
        let (turn, outputs) = Turn::detached();
        let messages = vec![Message { role: Role::User, content: said.into() }];
        brain.serve(Prompt { messages, ..Prompt::default() }, &turn)?;
        let mut outputs: Vec<Token> = outputs.drain().collect();
        assert!(matches!(outputs.pop(), Some(Token::End(_))));
        Ok(outputs.into_iter().map(|token| if let Token::Text(text) = token { text } else { panic!() }).collect())
    }

    #[test]
    fn replies_come_in_order_and_then_run_out() {
        let replies = vec!["[开心] 你好！".into(), "[happy] Hi!".into()];
        let mut brain = ScriptedBrain::new(ScriptedConfig { replies, ..ScriptedConfig::default() });
        assert_eq!(ask(&mut brain, "a").unwrap(), "[开心] 你好！");
        assert_eq!(ask(&mut brain, "b").unwrap(), "[happy] Hi!");
        assert!(ask(&mut brain, "c").unwrap_err().to_string().contains("2 replies are used up"));
    }

    #[test]
    fn rules_come_first_and_an_echo_last() {
        let rules = vec![Rule { contains: "name".into(), reply: "[calm] Xia.".into() }];
        let config = ScriptedConfig { rules, exhausted: Exhausted::Echo, ..ScriptedConfig::default() };
        let mut brain = ScriptedBrain::new(config);
        assert_eq!(ask(&mut brain, "your name?").unwrap(), "[calm] Xia.");
        let first = &EmotionSet::default().tags()[0].label.clone();
        assert_eq!(ask(&mut brain, "hm").unwrap(), format!("[{first}]hm"));
    }

    #[test]
    fn pieces_never_cut_a_character() {
        let replies = vec!["é👩‍👧好".into()];
        let mut brain = ScriptedBrain::new(ScriptedConfig { replies, piece: 1, ..ScriptedConfig::default() });
        let (turn, outputs) = Turn::detached();
        brain.serve(Prompt::default(), &turn).unwrap();
        let pieces: Vec<Token> = outputs.drain().take(3).collect();
        assert_eq!(pieces, ["é", "👩‍👧", "好"].map(|piece| Token::Text(piece.into())));
    }

    #[test]
    fn a_newer_turn_ends_a_slow_reply() {
        let replies = vec!["one two three".into()];
        let mut brain = ScriptedBrain::new(ScriptedConfig { replies, delay_ms: 60_000, ..ScriptedConfig::default() });
        let (turn, outputs) = Turn::detached();
        let ended = thread::scope(|scope| {
            let serving = scope.spawn(|| brain.serve(Prompt::default(), &turn));
            outputs.supersede();
            serving.join().unwrap()
        });
        assert!(matches!(ended, Err(EngineError::Superseded)));
    }
}
