//! A companion and its turns: the one place that knows all stages and turns one's output into the next one's request.

mod animate;
pub mod event;
pub mod history;
mod listen;
pub mod microphone;
pub mod persona;
pub mod prompt;
mod recall;
pub mod settings;
mod speak;
mod think;
mod turn;

use bevy::prelude::*;

pub use listen::{Ask, Greet, Hush, Speech, SpeechPart};
pub use turn::{Dialogue, Phase};

use crate::{
    audio::Playback,
    avatar::{Attention, Expression, LookAt, Mouth},
    dialogue::{
        event::DialogueEvent,
        history::History,
        persona::{Persona, PersonaLoader, reload_personas},
        settings::DialogueSettings,
    },
    worker::{CompanionSystems, Turns},
};

/// A whole companion: spawn this one component, and the rest comes with it.
///
/// All companions of an app share its workers. Give it a [`Persona`] of its own to make it somebody else.
#[derive(Component, Clone, Copy, Debug, Default)]
#[require(Name::new("Companion"), Turns, Dialogue, History, Persona, Playback, Expression, Mouth, Attention, LookAt)]
pub struct Companion;

/// Adds the turns of all companions. Stages whose plugins are missing are done without, as far as a turn can be.
#[derive(Clone, Debug, Default)]
pub struct DialoguePlugin {
    /// How conversations are held.
    pub settings: DialogueSettings,
}

impl Plugin for DialoguePlugin {
    fn build(&self, app: &mut App) {
        use crate::{brain::Brain, hearing::Hearing, memory::LongTerm, voice::Voice, worker::add_stage};
        add_stage::<Hearing>(app);
        add_stage::<LongTerm>(app);
        add_stage::<Brain>(app);
        add_stage::<Voice>(app);
        app.insert_resource(self.settings.clone())
            .init_resource::<turn::Unremembered>()
            .add_message::<Ask>()
            .add_message::<Greet>()
            .add_message::<Hush>()
            .add_message::<Speech>()
            .add_message::<DialogueEvent>()
            .configure_sets(
                Update,
                (
                    CompanionSystems::Listen,
                    CompanionSystems::Recall,
                    CompanionSystems::Think,
                    CompanionSystems::Speak,
                    CompanionSystems::Animate,
                )
                    .chain(),
            )
            .add_systems(
                Update,
                (
                    (listen::take_requests, listen::take_speech, listen::take_transcripts)
                        .chain()
                        .in_set(CompanionSystems::Listen),
                    (recall::take_recollections, recall::recall).chain().in_set(CompanionSystems::Recall),
                    (think::warm_up, think::think, think::take_tokens).chain().in_set(CompanionSystems::Think),
                    (speak::say, speak::take_speech, speak::follow, animate::attend, animate::move_lips)
                        .chain()
                        .in_set(CompanionSystems::Speak),
                ),
            )
            .add_observer(animate::express)
            .add_systems(PostUpdate, turn::remember.in_set(CompanionSystems::Flush));
        if app.is_plugin_added::<AssetPlugin>() {
            app.init_asset::<Persona>().register_asset_loader(PersonaLoader).add_systems(Update, reload_personas);
        }
    }
}
