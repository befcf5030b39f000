//! F3: what the last turn took, by stage.

use bevy::prelude::*;

use super::{Hers, theme};
use crate::dialogue::{Dialogue, event::Latency};

pub struct LatencyPlugin;

impl Plugin for LatencyPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(Startup, spawn).add_systems(Update, (toggle, show).chain());
    }
}

#[derive(Component)]
struct Overlay;

fn spawn(mut commands: Commands) {
    let corner = Node { position_type: PositionType::Absolute, right: px(14), top: px(14), ..default() };
    let text = (Overlay, Text::default(), theme::font(13.0), TextColor(theme::TEXT));
    commands.spawn((theme::panel(corner), Visibility::Hidden, Name::new("latency"))).with_child(text);
}

fn toggle(
    keys: Res<ButtonInput<KeyCode>>,
    overlays: Query<&ChildOf, With<Overlay>>,
    mut visibilities: Query<&mut Visibility>,
) {
    if !keys.just_pressed(KeyCode::F3) {
        return;
    }
    for ChildOf(panel) in &overlays {
        if let Ok(mut visibility) = visibilities.get_mut(*panel) {
            *visibility = if *visibility == Visibility::Hidden { Visibility::Visible } else { Visibility::Hidden };
        }
    }
}

fn show(dialogues: Hers<&Dialogue>, mut overlays: Query<&mut Text, With<Overlay>>) {
    let (Some(dialogue), Ok(mut text)) = (dialogues.iter().next(), overlays.single_mut()) else { return };
    let mut lines = dialogue.last_latency().map_or_else(|| "no turn yet".into(), |latency| table(&latency));
    if let Some(usage) = dialogue.last_usage() {
        lines.push_str(&format!(
            "\nprompt {} tokens, {} cached\nreply {} tokens, {:.1}/s",
            usage.prompt_tokens,
            usage.cached_tokens,
            usage.reply_tokens,
            usage.reply_tokens.saturating_sub(1) as f64 / usage.decode_seconds.max(1e-3)
        ));
    }
    if text.0 != lines {
        text.0 = lines;
    }
}

/// One line a stage, in milliseconds, each with a bar of its share.
fn table(latency: &Latency) -> String {
    let stages = [
        ("endpoint", latency.endpoint),
        ("hearing", latency.hearing),
        ("recall", latency.recall),
        ("first token", latency.first_token),
        ("first clause", latency.first_clause),
        ("voice", latency.voice),
        ("playback", latency.playback),
    ];
    let whole = latency.to_first_audio.max(1e-3);
    let mut lines: Vec<_> = stages
        .iter()
        .map(|(stage, seconds)| {
            let bar = "|".repeat((seconds / whole * 20.0).round() as usize);
            format!("{:>5.0} ms  {stage}  {bar}", seconds * 1000.0)
        })
        .collect();
    lines.push(format!("{:>5.0} ms  to first audio", latency.to_first_audio * 1000.0));
    lines.push(format!("{:>5.0} ms  in all", latency.total * 1000.0));
    lines.join("\n")
}
