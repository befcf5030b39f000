//! The configuration: one TOML file, the environment over it, and the modules' own defaults under it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    audio::{MicrophoneConfig, SpeakerConfig},
    brain::BrainConfig,
    dialogue::{persona::Persona, settings::DialogueSettings},
    hearing::{HearingConfig, vad::VadConfig},
    memory::MemoryConfig,
    models::{self, Manifest},
    voice::VoiceConfig,
};

/// Everything that can be configured; every key has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// A persona's name (a file in `assets/personas`) or file; empty for the one that ships with the crate.
    pub persona: String,
    /// What recognises speech.
    pub hearing: HearingConfig,
    /// What tells speech from silence.
    pub vad: VadConfig,
    /// Where speech comes from.
    pub microphone: MicrophoneConfig,
    /// What remembers.
    pub memory: MemoryConfig,
    /// What thinks.
    pub brain: BrainConfig,
    /// What speaks.
    pub voice: VoiceConfig,
    /// Where speech goes.
    pub speaker: SpeakerConfig,
    /// How conversations are held.
    pub dialogue: DialogueSettings,
    /// The standalone window.
    pub window: WindowConfig,
}

/// The standalone window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct WindowConfig {
    /// Width in logical pixels.
    pub width: u32,
    /// Height in logical pixels.
    pub height: u32,
    /// The most frames a second; on a machine without a GPU drawing shares the cores with the brain.
    pub frames_per_second: f64,
    /// No background and no frame: a desktop pet. Needs a compositor.
    pub transparent: bool,
    /// Above other windows, where the system allows it.
    pub always_on_top: bool,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self { width: 512, height: 640, frames_per_second: 30.0, transparent: false, always_on_top: false }
    }
}

/// Why a configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {path} could not be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid TOML, or has a key or value that is not known.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
    /// An environment variable names no key, or gives it a wrong value.
    #[error(
        "{variable}={value}: {reason}; variables are COMPANION__SECTION__KEY, e.g. COMPANION__VOICE__VOICE=af_heart"
    )]
    Environment {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// The persona is missing or malformed.
    #[error(transparent)]
    Persona(#[from] crate::dialogue::persona::PersonaError),
}

/// What environment variables that override a key begin with.
const PREFIX: &str = "COMPANION__";

impl Config {
    /// Reads the configuration: `path`, or else `companion.toml` in the current folder if there is one, or else the
    /// defaults; then the environment's `COMPANION__SECTION__KEY` over it.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line or with the variable.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let beside = Path::new("companion.toml");
        let file = path.or_else(|| beside.exists().then_some(beside));
        let text = match file {
            None => String::new(),
            Some(file) => std::fs::read_to_string(file)
                .map_err(|source| ConfigError::Read { path: file.display().to_string(), source })?,
        };
        let name = file.unwrap_or(beside).display().to_string();
        let variables = std::env::vars().filter(|(name, _)| name.starts_with(PREFIX));
        Self::parse(&text, &name, variables)
    }

    /// Parses a configuration; `path` is named in errors.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] and [`ConfigError::Environment`].
    pub fn parse(
        text: &str,
        path: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let wrong = |source| ConfigError::Parse { path: path.into(), source: Box::new(source) };
        // Read by itself first: after merging, errors could no longer tell the line.
        let mut config: Self = toml::from_str(text).map_err(wrong)?;
        let mut table: toml::Table = toml::from_str(text).map_err(wrong)?;
        for (variable, value) in variables {
            let wrong =
                |reason: String| ConfigError::Environment { variable: variable.clone(), value: value.clone(), reason };
            let keys: Vec<_> = variable.trim_start_matches(PREFIX).split("__").map(key_case).collect();
            set(&mut table, &keys, parse_value(&value)).map_err(wrong)?;
            config = table.clone().try_into().map_err(|error: toml::de::Error| wrong(error.message().into()))?;
        }
        Ok(config)
    }

    /// The same configuration with every model named by its path: a path left empty is the starter model's, and the
    /// name of a model in the manifest is the path of that model. Doing so twice changes nothing.
    ///
    /// Nothing is checked here: an engine whose model is missing says so, and how to get it, when it is loaded.
    pub fn with_model_paths(mut self) -> Self {
        let runtime = models::onnxruntime().unwrap_or_else(|_| model_file("onnxruntime"));
        if let HearingConfig::Whisper(whisper) = &mut self.hearing {
            in_models(&mut whisper.model, "whisper-base", model_folder);
        }
        in_models(&mut self.vad.model, "silero-vad", model_file);
        in_models(&mut self.vad.library, "onnxruntime", |_| runtime.clone());
        if let BrainConfig::Gguf(gguf) = &mut self.brain {
            in_models(&mut gguf.model, "qwen2.5-coder-0.5b", model_file);
        }
        if let VoiceConfig::Kokoro(kokoro) = &mut self.voice {
            in_models(&mut kokoro.model, "kokoro-82m", model_folder);
            in_models(&mut kokoro.mandarin, "pinyin", model_folder);
            in_models(&mut kokoro.english, "misaki-en", model_folder);
            in_models(&mut kokoro.runtime, "onnxruntime", |_| runtime);
        }
        if let MemoryConfig::Lmdb(lmdb) = &mut self.memory {
            in_models(&mut lmdb.model, "e5-small", model_folder);
            if lmdb.store.as_os_str().is_empty() {
                lmdb.store = models::data_dir().join("memory");
            }
        }
        self
    }

    /// Reads the configured persona.
    ///
    /// # Errors
    /// [`ConfigError::Persona`].
    pub fn persona(&self) -> Result<Persona, ConfigError> {
        match self.persona_file() {
            None => Ok(Persona::default()),
            Some(file) => Ok(Persona::load(&file)?),
        }
    }

    /// The persona's file; none for the one that ships with the crate, unless it stands in `assets/personas`.
    pub fn persona_file(&self) -> Option<PathBuf> {
        let shipped = |name: &str| Path::new("assets/personas").join(format!("{name}.toml"));
        match self.persona.as_str() {
            "" => Some(shipped("xiaoyu")).filter(|file| file.exists()),
            name if Path::new(name).extension().is_some() => Some(name.into()),
            name => Some(shipped(name)),
        }
    }
}

/// Replaces a path that is empty, or is the name of a model, with where the model is.
fn in_models(path: &mut PathBuf, default: &str, place: impl FnOnce(&str) -> PathBuf) {
    let name = path.to_str().unwrap_or_default();
    if name.is_empty() {
        *path = place(default);
    } else if Manifest::embedded().get(name).is_ok() {
        *path = place(name);
    }
}

fn model_folder(name: &str) -> PathBuf {
    models::models_dir().join(name)
}

/// A model's first file, for models that are one file.
fn model_file(name: &str) -> PathBuf {
    let file = Manifest::embedded().get(name).ok().and_then(|model| model.files.first());
    model_folder(name).join(file.map_or("", |file| file.path.as_str()))
}

fn key_case(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// A value as TOML writes it, or a plain string.
fn parse_value(text: &str) -> toml::Value {
    let as_toml = toml::from_str::<toml::Table>(&format!("value = {text}")).ok();
    as_toml.and_then(|mut table| table.remove("value")).unwrap_or_else(|| toml::Value::String(text.into()))
}

fn set(table: &mut toml::Table, keys: &[String], value: toml::Value) -> Result<(), String> {
    match keys {
        [] => Ok(()),
        [key] => {
            table.insert(key.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let inner = table.entry(section.clone()).or_insert_with(|| toml::Table::new().into());
            let inner = inner.as_table_mut().ok_or_else(|| format!("`{section}` is not a section"))?;
            set(inner, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::parse(text, "companion.toml", variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn nothing_is_needed() {
        assert_eq!(parse("", &[]).unwrap(), Config::default());
    }

    #[test]
    fn models_are_named_or_given_by_path() {
        let text = "[brain]\nengine = \"gguf\"\nmodel = \"smollm2-135m\"\n[hearing]\nengine = \"whisper\"\nmodel = \"/opt/w\"\n";
        let config = parse(text, &[]).unwrap().with_model_paths();
        let (BrainConfig::Gguf(gguf), HearingConfig::Whisper(whisper)) = (&config.brain, &config.hearing) else {
            panic!("{config:?}")
        };
        assert!(gguf.model.ends_with("smollm2-135m/model.gguf"), "{gguf:?}");
        assert_eq!(whisper.model, Path::new("/opt/w"));
        assert_eq!(config.clone().with_model_paths(), config);
    }

    #[test]
    fn unknown_keys_are_refused_with_file_and_line() {
        let error = parse("[window]\nwidth = 300\ncolour = 1\n", &[]).unwrap_err().to_string();
        assert!(error.contains("companion.toml") && error.contains("line 3") && error.contains("colour"), "{error}");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let config =
            parse("[window]\nwidth = 300\n", &[("COMPANION__WINDOW__WIDTH", "400"), ("COMPANION__PERSONA", "ada")]);
        let config = config.unwrap();
        assert_eq!((config.window.width, config.persona.as_str()), (400, "ada"));
        let error = parse("", &[("COMPANION__WINDOW__COLOUR", "1")]).unwrap_err().to_string();
        assert!(error.contains("COMPANION__WINDOW__COLOUR=1") && error.contains("colour"), "{error}");
    }
}
