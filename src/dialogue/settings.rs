//! How conversations are held.

use bevy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::brain::Sampling;

/// How conversations are held: `[dialogue]` in the configuration.
#[derive(Resource, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct DialogueSettings {
    /// How many memories may enter a prompt; 0 recalls nothing.
    pub recollections: usize,
    /// How many bytes of past turns a prompt may hold before the older half is dropped.
    pub history_characters: usize,
    /// Whether the microphone is open at the start; otherwise only the push-to-talk key opens it.
    pub open_microphone: bool,
    /// How the brain draws its tokens.
    pub sampling: Sampling,
}

impl Default for DialogueSettings {
    fn default() -> Self {
        Self { recollections: 4, history_characters: 4000, open_microphone: true, sampling: Sampling::default() }
    }
}
