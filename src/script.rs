//! Headless dialogue tests: conversations written down with what is expected of them.
//!
//! A script is a TOML file: a persona, engines (scripted or real), a seed, and turns. On scripted engines time is virtual,
//! so a minute of talk takes milliseconds and the same script always gives the same events at the same moments.

pub mod expect;
pub mod report;
pub mod runner;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{memory::Speaker, script::expect::Expect};

/// A conversation and what is expected of it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Script {
    /// What the script shows, as a sentence.
    pub name: String,
    /// A persona file, beside the script or in the current folder; the default persona when left out.
    #[serde(default)]
    pub persona: Option<PathBuf>,
    /// What answers.
    #[serde(default)]
    pub engines: Engines,
    /// The seed of everything drawn.
    #[serde(default)]
    pub seed: u64,
    /// What the scripted brain replies: the first rule that fits the question.
    #[serde(default)]
    pub brain: Vec<Rule>,
    /// What is remembered before the first turn.
    #[serde(default)]
    pub remembers: Vec<Remembered>,
    /// The turns, in order.
    #[serde(rename = "turn")]
    pub turns: Vec<ScriptedTurn>,
}

/// What answers in a script.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Engines {
    /// Engines that do as the script says, in virtual time.
    #[default]
    Scripted,
    /// The configured models, in real time.
    Real,
}

/// What the scripted brain replies to what.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// A part of the prompt's last message, or of the recollections before it; empty fits everything.
    #[serde(default)]
    pub when: String,
    /// The reply, tags included.
    pub reply: String,
}

/// Something remembered before the first turn.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Remembered {
    /// Who said it.
    #[serde(default)]
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
}

/// One turn: something said, and what should come of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScriptedTurn {
    /// What the person types.
    pub text: Option<String>,
    /// A WAV file of what the person says, beside the script.
    pub audio: Option<PathBuf>,
    /// What the scripted recogniser makes of the audio; an utterance without a file is a second of silence.
    pub hears: Option<String>,
    /// Stop her this many seconds after she begins to be heard.
    pub interrupt_after: Option<f64>,
    /// What should come of it.
    pub expect: Expect,
}

/// Why a script could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file could not be read.
    #[error("{path} could not be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a script.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A turn says nothing, or too much.
    #[error("{path}: turn {turn}: {reason}")]
    Turn {
        /// The file.
        path: String,
        /// The turn, from 1.
        turn: usize,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The persona, a model or a sound file is missing or broken.
    #[error("{path}: {reason}")]
    SetUp {
        /// The script.
        path: String,
        /// What is missing.
        reason: String,
    },
    /// The folder holds no scripts.
    #[error("there are no .toml files in {0}")]
    Empty(String),
}

impl Script {
    /// An empty script on scripted engines; add turns with [`asks`](Self::asks) and [`hears`](Self::hears).
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            persona: None,
            engines: Engines::Scripted,
            seed: 0,
            brain: Vec::new(),
            remembers: Vec::new(),
            turns: Vec::new(),
        }
    }

    /// Adds a typed turn.
    pub fn asks(mut self, text: impl Into<String>) -> Self {
        self.turns.push(ScriptedTurn { text: Some(text.into()), ..ScriptedTurn::default() });
        self
    }

    /// Adds a spoken turn, of which the recogniser makes `text`.
    pub fn hears(mut self, text: impl Into<String>) -> Self {
        self.turns.push(ScriptedTurn { hears: Some(text.into()), ..ScriptedTurn::default() });
        self
    }

    /// Adds a reply to every question that no earlier rule fits; tags included.
    pub fn replies(self, reply: impl Into<String>) -> Self {
        self.replies_to("", reply)
    }

    /// Adds a reply to questions that contain `when`.
    pub fn replies_to(mut self, when: impl Into<String>, reply: impl Into<String>) -> Self {
        self.brain.push(Rule { when: when.into(), reply: reply.into() });
        self
    }

    /// Interrupts the newest turn this many seconds after its reply begins to be heard.
    pub fn interrupted_after(mut self, seconds: f64) -> Self {
        if let Some(turn) = self.turns.last_mut() {
            turn.interrupt_after = Some(seconds);
        }
        self
    }

    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] with the file and the line or turn.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Read { path: name.clone(), source })?;
        Self::parse(&text, &name)
    }

    /// Parses a script; `path` is named in errors.
    ///
    /// # Errors
    /// [`ScriptError::Parse`] and [`ScriptError::Turn`].
    pub fn parse(text: &str, path: &str) -> Result<Self, ScriptError> {
        let script: Self = toml::from_str(text)
            .map_err(|source| ScriptError::Parse { path: path.into(), source: Box::new(source) })?;
        for (index, turn) in script.turns.iter().enumerate() {
            let invalid =
                |reason: &str| ScriptError::Turn { path: path.into(), turn: index + 1, reason: reason.into() };
            match (&turn.text, &turn.audio, &turn.hears) {
                (Some(_), None, None) | (None, Some(_), _) | (None, None, Some(_)) => {}
                (None, None, None) => return Err(invalid("says nothing: give `text`, `audio` or `hears`")),
                (Some(_), ..) => {
                    return Err(invalid("is typed and spoken: give either `text`, or `audio` and `hears`"));
                }
            }
            if script.engines == Engines::Scripted && turn.audio.is_some() && turn.hears.is_none() {
                return Err(invalid("has `audio` for a scripted recogniser: give `hears` as well"));
            }
        }
        Ok(script)
    }
}

/// The scripts at `path`: the file itself, or the `.toml` files of a folder in the order of their names.
///
/// # Errors
/// [`ScriptError::Read`] and [`ScriptError::Empty`].
pub fn find(path: &Path) -> Result<Vec<PathBuf>, ScriptError> {
    let read = |source| ScriptError::Read { path: path.display().to_string(), source };
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(read)?.collect();
    let mut found: Vec<_> = entries.map_err(read)?.into_iter().map(|entry| entry.path()).collect();
    found.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    if found.is_empty() { Err(ScriptError::Empty(path.display().to_string())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_scripts_are_refused_with_the_place() {
        let error = |text| Script::parse(text, "a.toml").unwrap_err().to_string();
        assert!(error("name = \"x\"\n[[turn]]\ntxt = \"hi\"\n").contains("line 3"));
        assert!(error("name = \"x\"\n[[turn]]\n").contains("turn 1: says nothing"));
        assert!(error("name = \"x\"\n[[turn]]\ntext = \"a\"\nhears = \"b\"\n").contains("typed and spoken"));
        assert!(error("name = \"x\"\n[[turn]]\naudio = \"a.wav\"\n").contains("give `hears`"));
    }
}
