//! Two characters that talk with each other: the plugin in somebody else's scene.
//!
//! ```sh
//! cargo run --example npc
//! ```

use std::time::Duration;

use bevy::{
    prelude::*,
    winit::{UpdateMode, WinitSettings},
};
use bevy_companion::{
    app::window::FontPlugin,
    avatar::puppet::{Puppet, PuppetPlugin},
    prelude::*,
};

/// How many turns they talk before they fall silent.
const TURNS: u32 = 8;
/// From one picture to the next.
const FRAME: Duration = Duration::from_millis(33);

fn main() -> AppExit {
    App::new()
        .add_plugins(DefaultPlugins.set(WindowPlugin {
            primary_window: Some(Window { title: "Two who talk".into(), resolution: (960, 600).into(), ..default() }),
            ..default()
        }))
        // The two share one brain and one voice engine; nobody listens to the microphone.
        .add_plugins((CompanionPlugins::default().without_hearing(), PuppetPlugin::default(), FontPlugin))
        // Without a graphics card every frame takes time from the brain and the voice.
        .insert_resource(WinitSettings {
            focused_mode: UpdateMode::reactive_low_power(FRAME),
            unfocused_mode: UpdateMode::reactive_low_power(FRAME),
        })
        .insert_resource(ClearColor(Color::srgb(0.87, 0.91, 0.94)))
        .add_systems(Startup, set_scene)
        .add_systems(Update, show)
        .add_observer(pass_on)
        .run()
}

/// Whom a character talks with.
#[derive(Component)]
struct TalksWith(Entity);

/// The line below a character.
#[derive(Component)]
struct Caption(Entity);

#[derive(Resource, Default)]
struct Turns(u32);

fn set_scene(mut commands: Commands, mut asks: MessageWriter<Ask>) {
    commands.spawn((Camera2d, Msaa::Off));
    commands.init_resource::<Turns>();

    let persona = |name: &str, voice: &str, personality: &str| Persona {
        name: name.into(),
        voice: voice.into(),
        personality: bevy_companion::dialogue::persona::Localised::One(personality.into()),
        ..Persona::default()
    };
    let rain = persona("小雨", "zf_xiaoxiao", "你是小雨，一个活泼的女孩，正在和好朋友小雪聊天。每次只说一两句话。");
    let snow =
        persona("小雪", "zf_xiaoyi", "你是小雪，一个安静、爱吃甜食的女孩，正在和好朋友小雨聊天。每次只说一两句话。");
    let [rain, snow] = [(rain, -230.0), (snow, 230.0)].map(|(persona, x)| {
        let at = Transform::from_xyz(x, 20.0, 0.0).with_scale(Vec3::splat(0.8));
        let npc = commands.spawn((Companion, persona, Puppet::default(), at)).id();
        let below = Node {
            position_type: PositionType::Absolute,
            bottom: px(24),
            left: if x < 0.0 { px(24) } else { px(504) },
            width: px(432),
            ..default()
        };
        commands.spawn((Caption(npc), Text::default(), TextColor(Color::srgb(0.2, 0.2, 0.3)), below));
        npc
    });
    commands.entity(rain).insert(TalksWith(snow));
    commands.entity(snow).insert(TalksWith(rain));
    asks.write(Ask { companion: rain, text: "小雨，今天你想吃什么？".into() });
}

/// What one has said is what the other is asked.
fn pass_on(turn: On<TurnFinished>, friends: Query<&TalksWith>, mut turns: ResMut<Turns>, mut asks: MessageWriter<Ask>) {
    turns.0 += 1;
    if let (Ok(friend), true) = (friends.get(turn.companion), turns.0 < TURNS) {
        asks.write(Ask { companion: friend.0, text: turn.reply.clone() });
    }
}

/// Subtitles: each sentence when it begins to be heard.
fn show(mut events: MessageReader<DialogueEvent>, mut captions: Query<(&Caption, &mut Text)>) {
    for event in events.read() {
        let Fact::SentenceStarted { text: sentence, .. } = &event.fact else { continue };
        for (_, mut text) in captions.iter_mut().filter(|(caption, _)| caption.0 == event.companion) {
            text.0.clone_from(sentence);
        }
    }
}
