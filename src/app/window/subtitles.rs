//! Subtitles: what the person said and what she is saying, in step with what is heard.

use bevy::prelude::*;

use super::{Hers, theme};
use crate::dialogue::event::{DialogueEvent, Fact};

pub struct SubtitlesPlugin;

impl Plugin for SubtitlesPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(Startup, spawn).add_systems(Update, follow);
    }
}

#[derive(Component)]
struct Panel;

#[derive(Component)]
enum Line {
    User,
    Hers,
    Notice,
}

fn spawn(mut commands: Commands) {
    let column = Node {
        position_type: PositionType::Absolute,
        left: px(14),
        right: px(14),
        bottom: px(66),
        flex_direction: FlexDirection::Column,
        row_gap: px(3),
        ..default()
    };
    let line = |line, size, colour| (line, Text::default(), theme::font(size), TextColor(colour));
    commands.spawn((Panel, theme::panel(column), Visibility::Hidden)).with_children(|panel| {
        panel.spawn(line(Line::User, 14.0, theme::DIM));
        panel.spawn(line(Line::Hers, 19.0, theme::TEXT));
        panel.spawn(line(Line::Notice, 13.0, theme::WARNING));
    });
}

fn follow(
    mut events: MessageReader<DialogueEvent>,
    companions: Hers<Entity>,
    mut panel: Query<&mut Visibility, With<Panel>>,
    mut lines: Query<(&Line, &mut Text)>,
) {
    for event in events.read().filter(|event| companions.contains(event.companion)) {
        let (mut user, mut hers, mut notice) = match &event.fact {
            Fact::UserSaid { text, .. } => (Some(format!("› {text}")), Some(String::new()), Some(String::new())),
            Fact::SentenceStarted { text, .. } => (None, Some(text.clone()), Some(String::new())),
            Fact::Failed { reason, .. } => (None, None, Some(reason.clone())),
            _ => continue,
        };
        for (line, mut text) in &mut lines {
            let new = match line {
                Line::User => user.take(),
                Line::Hers => hers.take(),
                Line::Notice => notice.take(),
            };
            if let Some(new) = new {
                text.0 = new;
            }
        }
        if let Ok(mut visibility) = panel.single_mut() {
            *visibility = Visibility::Visible;
        }
    }
}
