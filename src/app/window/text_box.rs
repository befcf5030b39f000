//! The line to type into: Enter sends, Escape stops her.

use bevy::{input::keyboard::Key, input_focus::AutoFocus, prelude::*, text::EditableText};

use super::{Hers, theme};
use crate::dialogue::{Ask, Hush};

pub struct TextBoxPlugin;

impl Plugin for TextBoxPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(Startup, spawn).add_systems(Update, (send, hint));
    }
}

#[derive(Component)]
struct Field;

#[derive(Component)]
struct Hint;

fn spawn(mut commands: Commands) {
    let field = Node {
        position_type: PositionType::Absolute,
        left: px(14),
        right: px(14),
        bottom: px(14),
        height: px(42),
        padding: UiRect::axes(px(14), px(9)),
        border_radius: BorderRadius::all(px(21)),
        overflow: Overflow::clip(),
        ..default()
    };
    commands.spawn((field, BackgroundColor(theme::FIELD))).with_children(|row| {
        row.spawn((
            Field,
            EditableText { max_characters: Some(2000), ..default() },
            theme::font(17.0),
            TextColor(theme::INK),
            Node { width: percent(100), ..default() },
            AutoFocus,
        ));
        row.spawn((
            Hint,
            Text::new("Type here, or hold F2 to talk · 输入文字，或按住 F2 说话"),
            theme::font(14.0),
            TextColor(theme::INK.with_alpha(0.5)),
            Node { position_type: PositionType::Absolute, left: px(16), top: px(11), ..default() },
        ));
    });
}

fn send(
    keys: Res<ButtonInput<Key>>,
    mut fields: Query<&mut EditableText, With<Field>>,
    companions: Hers<Entity>,
    mut asks: MessageWriter<Ask>,
    mut hushes: MessageWriter<Hush>,
) {
    let (Ok(mut field), Some(companion)) = (fields.single_mut(), companions.iter().next()) else { return };
    // While an input method composes, its keys are its own.
    if field.is_composing() {
        return;
    }
    if keys.just_pressed(Key::Escape) {
        hushes.write(Hush { companion });
    }
    if keys.just_pressed(Key::Enter) {
        let text = field.value().to_string();
        if !text.trim().is_empty() {
            asks.write(Ask { companion, text });
            field.clear();
        }
    }
}

fn hint(
    fields: Query<&EditableText, (With<Field>, Changed<EditableText>)>,
    mut hints: Query<&mut Visibility, With<Hint>>,
) {
    let (Ok(field), Ok(mut hint)) = (fields.single(), hints.single_mut()) else { return };
    let empty = field.value().to_string().is_empty() && !field.is_composing();
    *hint = if empty { Visibility::Inherited } else { Visibility::Hidden };
}
