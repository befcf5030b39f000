//! A local AI companion for Bevy: it hears, remembers, thinks, answers with an emotional voice, and moves while it speaks.
//!
//! Add [`CompanionPlugins`] to an app and spawn a [`Companion`](dialogue::Companion): the rest comes with it. Inference
//! runs on worker threads that all companions of an app share; systems only drain channels, so no frame ever waits.
//!
//! ```no_run
//! use bevy::prelude::*;
//! use bevy_companion::prelude::*;
//!
//! fn main() {
//!     App::new()
//!         .add_plugins((MinimalPlugins, CompanionPlugins::default()))
//!         .add_systems(Startup, |mut commands: Commands, mut asks: MessageWriter<Ask>| {
//!             let companion = commands.spawn(Companion).id();
//!             asks.write(Ask { companion, text: "你好！".into() });
//!         })
//!         .add_observer(|heard: On<TurnFinished>| println!("{}", heard.reply))
//!         .run();
//! }
//! ```
//!
//! Every plugin of the group can be replaced (`CompanionPlugins::default().build().set(…)`) or left out (`.disable`), and a
//! turn goes on without what is missing as far as it can.

pub mod app;
pub mod audio;
pub mod avatar;
pub mod brain;
pub mod config;
pub mod dialogue;
pub mod emotion;
pub mod hearing;
pub mod kernels;
pub mod memory;
pub mod models;
pub mod onnx;
pub mod script;
pub mod testing;
pub mod voice;
pub mod worker;

use bevy::app::{PluginGroup, PluginGroupBuilder};

use crate::{
    audio::{AudioPlugin, SpeakerBackend},
    avatar::AvatarPlugin,
    brain::BrainPlugin,
    config::Config,
    dialogue::{DialoguePlugin, microphone::MicrophonePlugin},
    hearing::HearingPlugin,
    memory::MemoryPlugin,
    voice::VoicePlugin,
};

/// What most users need.
pub mod prelude {
    pub use crate::{
        CompanionPlugins,
        config::Config,
        dialogue::{
            Ask, Companion, Dialogue, Greet, Hush, Phase,
            event::{DialogueEvent, EmotionChanged, Fact, Interrupted, TurnFinished},
            history::History,
            microphone::{HearsMicrophone, MicrophoneControl},
            persona::Persona,
        },
        emotion::{Cue, Emotion},
        worker::CompanionSystems,
    };
}

/// Everything a companion needs except a renderer, configured by a [`Config`].
///
/// For the default avatar add [`PuppetPlugin`](avatar::puppet::PuppetPlugin) (feature `window`), or read
/// [`RigPose`](avatar::RigPose) with a renderer of your own.
#[derive(Clone, Debug)]
pub struct CompanionPlugins {
    config: Config,
    hearing: bool,
    microphone: bool,
    voice: bool,
}

impl Default for CompanionPlugins {
    fn default() -> Self {
        Self::from(Config::default())
    }
}

impl From<Config> for CompanionPlugins {
    fn from(config: Config) -> Self {
        Self { config, hearing: true, microphone: true, voice: true }
    }
}

impl CompanionPlugins {
    /// Without a microphone; speech may still come as messages.
    pub fn without_microphone(mut self) -> Self {
        self.microphone = false;
        self
    }

    /// Without a recogniser: questions come in writing.
    pub fn without_hearing(mut self) -> Self {
        (self.hearing, self.microphone) = (false, false);
        self
    }

    /// Without a voice: replies count as heard when they are shown.
    pub fn without_voice(mut self) -> Self {
        self.voice = false;
        self.config.speaker.backend = SpeakerBackend::Null;
        self
    }

    /// Plays to no device, at the speed of speech, and keeps what was played (see
    /// [`Speaker::take_recording`](audio::Speaker::take_recording)).
    pub fn recording(mut self) -> Self {
        self.config.speaker.backend = SpeakerBackend::Null;
        self.config.speaker.record = true;
        self
    }
}

impl PluginGroup for CompanionPlugins {
    fn build(self) -> PluginGroupBuilder {
        let config = self.config.with_model_paths();
        let open = config.dialogue.open_microphone;
        let mut group = PluginGroupBuilder::start::<Self>()
            .add(AudioPlugin { speaker: config.speaker })
            .add(AvatarPlugin)
            .add(DialoguePlugin { settings: config.dialogue })
            .add(MemoryPlugin { config: config.memory })
            .add(BrainPlugin { config: config.brain });
        if self.voice {
            group = group.add(VoicePlugin { config: config.voice });
        }
        if self.hearing {
            group = group.add(HearingPlugin { config: config.hearing });
        }
        if self.microphone {
            group = group.add(MicrophonePlugin { open, microphone: config.microphone, vad: config.vad });
        }
        group
    }
}
