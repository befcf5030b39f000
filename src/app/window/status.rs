//! How she is doing, at a glance: listening, thinking or speaking, and whether the microphone is open.

use bevy::prelude::*;

use super::{Hers, theme};
use crate::{
    avatar::Attention,
    brain::Brain,
    dialogue::{Dialogue, Phase, microphone::MicrophoneControl},
    hearing::Hearing,
    voice::Voice,
    worker::{Stage, Worker, WorkerStatus},
};

pub struct StatusPlugin;

impl Plugin for StatusPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(Startup, spawn).add_systems(Update, (talk_keys, press_microphone, show_phase, show_microphone));
    }
}

#[derive(Component)]
struct PhaseDot;

#[derive(Component)]
struct PhaseText;

#[derive(Component)]
struct MicrophoneButton;

#[derive(Component)]
struct MicrophoneText;

fn spawn(mut commands: Commands) {
    let row = Node {
        position_type: PositionType::Absolute,
        left: px(14),
        top: px(14),
        align_items: AlignItems::Center,
        column_gap: px(8),
        ..default()
    };
    commands.spawn(theme::panel(row)).with_children(|row| {
        let dot = Node { width: px(12), height: px(12), border_radius: BorderRadius::MAX, ..default() };
        row.spawn((PhaseDot, dot, BackgroundColor(Color::WHITE)));
        row.spawn((PhaseText, Text::default(), theme::font(14.0), TextColor(theme::TEXT)));
    });
    let corner = Node { position_type: PositionType::Absolute, left: px(14), top: px(54), ..default() };
    commands.spawn((theme::panel(corner), MicrophoneButton, Button)).with_child((
        MicrophoneText,
        Text::default(),
        theme::font(13.0),
        TextColor(theme::DIM),
    ));
}

/// F2 held talks, F4 opens and closes the microphone.
fn talk_keys(keys: Res<ButtonInput<KeyCode>>, control: Option<ResMut<MicrophoneControl>>) {
    let Some(mut control) = control else { return };
    let held = keys.pressed(KeyCode::F2);
    if control.held != held {
        control.held = held;
    }
    if keys.just_pressed(KeyCode::F4) {
        control.open = !control.open;
    }
}

fn press_microphone(
    buttons: Query<&Interaction, (Changed<Interaction>, With<MicrophoneButton>)>,
    control: Option<ResMut<MicrophoneControl>>,
) {
    let Some(mut control) = control else { return };
    if buttons.iter().any(|interaction| *interaction == Interaction::Pressed) {
        control.open = !control.open;
    }
}

fn show_phase(
    time: Res<Time>,
    dialogues: Hers<(&Dialogue, Option<&Attention>)>,
    loading: Loading,
    mut dots: Query<&mut BackgroundColor, With<PhaseDot>>,
    mut texts: Query<&mut Text, With<PhaseText>>,
) {
    let (Some((dialogue, _)), Ok(mut dot), Ok(mut text)) =
        (dialogues.iter().next(), dots.single_mut(), texts.single_mut())
    else {
        return;
    };
    let (label, hue, pace) = match dialogue.phase() {
        Phase::Idle => ("Here · 在呢", 150.0, 0.0),
        Phase::Listening => ("Listening · 在听", 200.0, 1.2),
        Phase::Thinking => ("Thinking · 在想", 45.0, 2.0),
        Phase::Speaking => ("Speaking · 在说", 330.0, 1.6),
    };
    let label = loading.what().map_or_else(|| label.to_owned(), |stage| format!("{label}   ({stage})"));
    let pulse = (time.elapsed_secs() * pace * std::f32::consts::TAU).cos().mul_add(0.25, 0.75);
    dot.0 = Color::hsla(hue, 0.75, 0.62, if pace > 0.0 { pulse } else { 1.0 });
    if text.0 != label {
        text.0 = label;
    }
}

fn show_microphone(control: Option<Res<MicrophoneControl>>, mut texts: Query<&mut Text, With<MicrophoneText>>) {
    let (Some(control), Ok(mut text)) = (control, texts.single_mut()) else { return };
    if !control.is_changed() {
        return;
    }
    text.0 = match (&control.trouble, control.held, control.open) {
        (Some(_), ..) => "No microphone · 没有麦克风".into(),
        (None, true, _) => "Speak now · 请说".into(),
        (None, _, true) => "Microphone open · 麦克风已开 (F4)".into(),
        (None, ..) => "Microphone off · 麦克风已关 (F4)".into(),
    };
}

/// Which engines are still loading, or are not to be had.
#[derive(bevy::ecs::system::SystemParam)]
struct Loading<'w, 's> {
    hearing: Query<'w, 's, &'static Worker<Hearing>>,
    brain: Query<'w, 's, &'static Worker<Brain>>,
    voice: Query<'w, 's, &'static Worker<Voice>>,
}

impl Loading<'_, '_> {
    fn what(&self) -> Option<String> {
        fn of<S: Stage>(workers: &Query<&Worker<S>>) -> Option<(&'static str, WorkerStatus)> {
            let status = workers.iter().next()?.status();
            (status != WorkerStatus::Ready).then_some((S::NAME, status))
        }
        let (stage, status) = of(&self.brain).or_else(|| of(&self.voice)).or_else(|| of(&self.hearing))?;
        Some(match status {
            WorkerStatus::Unavailable(_) => format!("no {stage}"),
            _ => format!("loading {stage}"),
        })
    }
}
