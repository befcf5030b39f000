//! Who a companion is: a TOML file that can be edited while she runs.

use std::{fmt, path::Path};

use bevy::{
    asset::{AssetLoader, LoadContext, io::Reader},
    prelude::*,
};
use serde::Deserialize;

use crate::emotion::EmotionSet;

/// A companion's character: name, manner, voice, tags and example turns.
///
/// Persona files are TOML; unknown keys, an example without a valid tag and an empty name are refused with the line.
#[derive(Asset, Component, TypePath, Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Persona {
    /// What she is called; also whose memories are whose.
    pub name: String,
    /// ISO 639-1 codes of the languages she speaks, the preferred one first.
    #[serde(default = "default_languages")]
    pub languages: Vec<String>,
    /// How she is and speaks: the model's instructions.
    pub personality: Localised,
    /// What she says first, with its tag; may be empty.
    #[serde(default)]
    pub greeting: Localised,
    /// The voice's name; empty for the engine's default.
    #[serde(default)]
    pub voice: String,
    /// The tags she may use; the six Chinese ones by default.
    #[serde(default)]
    pub emotions: EmotionSet,
    /// Example turns, which show small models what a reply looks like.
    #[serde(default)]
    pub examples: Vec<Example>,
}

fn default_languages() -> Vec<String> {
    vec!["zh".into(), "en".into()]
}

/// One example turn.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// ISO 639-1 code of the turn's language.
    pub language: String,
    /// What the person says.
    pub user: String,
    /// What she answers, tags included.
    pub reply: toml::Spanned<String>,
}

/// A text in one language or several: a string, or a table from language to string.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Localised {
    /// Nothing.
    #[default]
    None,
    /// The same for every language.
    One(String),
    /// By ISO 639-1 code.
    Many(std::collections::BTreeMap<String, String>),
}

impl Localised {
    /// The text for `language`, else for the first of `fallbacks` that has one, else any, else nothing.
    pub fn get(&self, language: &str, fallbacks: &[String]) -> &str {
        match self {
            Self::None => "",
            Self::One(text) => text,
            Self::Many(texts) => texts
                .get(language)
                .or_else(|| fallbacks.iter().find_map(|code| texts.get(code)))
                .or_else(|| texts.values().next())
                .map_or("", String::as_str),
        }
    }

    fn texts(&self) -> Vec<&str> {
        match self {
            Self::None => Vec::new(),
            Self::One(text) => vec![text],
            Self::Many(texts) => texts.values().map(String::as_str).collect(),
        }
    }
}

/// Why a persona could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PersonaError {
    /// The file could not be read.
    #[error("the persona {path} could not be read: {source}; personas are TOML files in assets/personas")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid TOML, or has a key or type that a persona does not have.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A value is out of place.
    #[error("{path}:{line}: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Persona {
    /// Reads a persona file.
    ///
    /// # Errors
    /// [`PersonaError`] with the file and, where it can be told, the line.
    pub fn load(path: &Path) -> Result<Self, PersonaError> {
        let name = path.display().to_string();
        let read = std::fs::read_to_string(path);
        Self::parse(&read.map_err(|source| PersonaError::Read { path: name.clone(), source })?, &name)
    }

    /// Parses a persona; `path` is named in errors.
    ///
    /// # Errors
    /// [`PersonaError::Parse`] and [`PersonaError::Invalid`].
    pub fn parse(text: &str, path: &str) -> Result<Self, PersonaError> {
        let persona: Self = toml::from_str(text)
            .map_err(|source| PersonaError::Parse { path: path.into(), source: Box::new(source) })?;
        persona.validate(text, path)?;
        Ok(persona)
    }

    fn validate(&self, text: &str, path: &str) -> Result<(), PersonaError> {
        let invalid = |line, reason| Err(PersonaError::Invalid { path: path.into(), line, reason });
        if self.name.trim().is_empty() {
            return invalid(1, "`name` is empty: give her a name".into());
        }
        if self.languages.is_empty() {
            return invalid(1, "`languages` is empty: name at least one, e.g. [\"zh\"]".into());
        }
        if self.emotions.tags().is_empty() {
            return invalid(1, "`emotions` is empty: leave it out for the six default ones".into());
        }
        for example in &self.examples {
            if let Err(reason) = self.check_tags(example.reply.get_ref()) {
                return invalid(line_of(text, example.reply.span().start), reason);
            }
        }
        for greeting in self.greeting.texts().iter().filter(|greeting| !greeting.is_empty()) {
            if let Err(reason) = self.check_tags(greeting) {
                return invalid(line_of(text, text.find(*greeting).unwrap_or(0)), reason);
            }
        }
        Ok(())
    }

    /// A reply must begin with one of the persona's tags, and hold no other bracketed word.
    fn check_tags(&self, reply: &str) -> Result<(), String> {
        let labels = || {
            let labels: Vec<_> = self.emotions.tags().iter().map(|tag| format!("[{}]", tag.label)).collect();
            labels.join(" ")
        };
        if !reply.starts_with('[') {
            return Err(format!("`{reply}` must begin with a tag: one of {}", labels()));
        }
        for part in reply.split('[').skip(1) {
            let label = part.split_once(']').map_or(part, |(label, _)| label);
            if !self.emotions.tags().iter().any(|tag| tag.label == label) {
                return Err(format!("`[{label}]` is not one of the persona's tags: {}", labels()));
            }
        }
        Ok(())
    }

    /// The example turns in `language`, or in the preferred language when there are none.
    pub fn examples_in<'a>(&'a self, language: &str) -> impl Iterator<Item = &'a Example> {
        let has = |code: &str| self.examples.iter().any(|example| example.language == code);
        let fallback = self.languages.iter().find(|code| has(code)).map_or("", String::as_str);
        let chosen = if has(language) { language.to_owned() } else { fallback.to_owned() };
        self.examples.iter().filter(move |example| example.language == chosen)
    }
}

impl Default for Persona {
    /// The persona that ships with the crate.
    fn default() -> Self {
        Self::parse(DEFAULT, "assets/personas/xiaoyu.toml").unwrap_or_else(|_| Self {
            name: "Companion".into(),
            languages: default_languages(),
            personality: Localised::None,
            greeting: Localised::None,
            voice: String::new(),
            emotions: EmotionSet::default(),
            examples: Vec::new(),
        })
    }
}

const DEFAULT: &str = include_str!("../../assets/personas/xiaoyu.toml");

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1)
}

impl fmt::Display for Persona {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Reads personas as assets, so that an edited file takes effect without a restart.
#[derive(Default, TypePath)]
pub struct PersonaLoader;

impl AssetLoader for PersonaLoader {
    type Asset = Persona;
    type Settings = ();
    type Error = PersonaError;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        (): &(),
        context: &mut LoadContext<'_>,
    ) -> Result<Persona, PersonaError> {
        let path = context.path().to_string();
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes).await;
        read.map_err(|source| PersonaError::Read { path: path.clone(), source })?;
        Persona::parse(&String::from_utf8_lossy(&bytes), &path)
    }

    fn extensions(&self) -> &[&str] {
        &["persona.toml", "toml"]
    }
}

/// The file a companion's persona is kept in step with.
#[derive(Component, Clone, Debug)]
pub struct PersonaFile(pub Handle<Persona>);

/// Copies an edited persona file to its companions; a malformed edit is reported by the asset server and changes nothing.
pub fn reload_personas(
    mut events: MessageReader<AssetEvent<Persona>>,
    personas: Res<Assets<Persona>>,
    mut companions: Query<(&PersonaFile, &mut Persona)>,
) {
    for event in events.read() {
        let AssetEvent::Modified { id } = event else { continue };
        for (file, mut persona) in &mut companions {
            let (true, Some(edited)) = (file.0.id() == *id, personas.get(*id)) else { continue };
            info!("{} has been reloaded", edited.name);
            *persona = edited.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "name = \"Ada\"\npersonality = \"kind\"\n";

    #[test]
    fn the_default_persona_is_sound() {
        let persona = Persona::parse(DEFAULT, "default").unwrap();
        assert!(persona.examples_in("zh").count() >= 3);
        assert!(persona.examples_in("en").count() >= 3);
        assert!(persona.examples_in("fr").count() >= 3, "an unknown language falls back on the preferred one");
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = Persona::parse(&format!("{MINIMAL}colour = 3\n"), "ada.toml").unwrap_err().to_string();
        assert!(error.contains("ada.toml") && error.contains("line 3") && error.contains("colour"), "{error}");
    }

    #[test]
    fn an_example_without_a_valid_tag_is_refused_with_its_line() {
        let example = "[[examples]]\nlanguage = \"en\"\nuser = \"hi\"\nreply = \"[bored] hi\"\n";
        let error = Persona::parse(&format!("{MINIMAL}{example}"), "ada.toml").unwrap_err().to_string();
        assert!(error.starts_with("ada.toml:6:") && error.contains("[bored]"), "{error}");
    }

    #[test]
    fn a_text_may_be_localised() {
        let text = "name = \"Ada\"\n[personality]\nen = \"kind\"\nzh = \"温柔\"\n";
        let persona = Persona::parse(text, "ada.toml").unwrap();
        assert_eq!(persona.personality.get("zh", &[]), "温柔");
        assert_eq!(persona.personality.get("ja", &["en".into()]), "kind");
    }
}
