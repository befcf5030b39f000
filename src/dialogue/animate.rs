//! What is heard moves the avatar: lips, expression and posture.

use bevy::prelude::*;

use crate::{
    audio::Playback,
    avatar::{Attention, Expression, Mouth, lip_sync::VowelEstimator},
    dialogue::{
        event::EmotionChanged,
        turn::{Dialogue, Phase},
    },
};

/// Lets the mouth follow the sound at the playback cursor.
pub(super) fn move_lips(mut lips: Local<VowelEstimator>, mut companions: Query<(&Playback, &mut Mouth)>) {
    for (playback, mut mouth) in &mut companions {
        mouth.set_if_neq(lips.mouth(playback));
    }
}

/// Lets the posture say what she is doing.
pub(super) fn attend(mut companions: Query<(&Dialogue, &mut Attention)>) {
    for (dialogue, mut attention) in &mut companions {
        attention.set_if_neq(match dialogue.phase() {
            Phase::Idle => Attention::Idle,
            Phase::Listening => Attention::Listening,
            Phase::Thinking => Attention::Thinking,
            Phase::Speaking => Attention::Speaking,
        });
    }
}

/// Shows an emotion when it is heard.
pub(super) fn express(change: On<EmotionChanged>, mut companions: Query<&mut Expression>) {
    if let Ok(mut expression) = companions.get_mut(change.companion) {
        expression.show(change.cue);
    }
}
