//! Whole turns on scripted engines, in virtual time.

use bevy::prelude::*;
use bevy_companion::{
    CompanionPlugins,
    brain::{self, BrainConfig},
    dialogue::{
        Ask, Companion, Dialogue, Phase,
        event::{EmotionChanged, Fact, Interrupted, TurnFinished},
        history::History,
        persona::Persona,
    },
    emotion::Emotion,
    script::{Script, runner::is_settled},
    testing,
    worker::Worker,
};

#[test]
fn a_question_is_answered_and_remembered_by_both_sides() {
    let turns = testing::play(&Script::new("greets").hears("你好").replies("[开心]你好呀！今天真好。")).unwrap();
    assert_eq!(turns[0].observed.reply(), "你好呀！今天真好。");
    assert_eq!(turns[0].observed.history, 1);
}

#[test]
fn the_same_script_always_gives_the_same_moments() {
    let script = Script::new("twice").asks("讲个故事").replies("[平静]从前有座山。[开心]山里有座庙！").asks("后来呢");
    let moments = || {
        let turns = testing::play(&script).unwrap();
        turns.iter().map(|turn| turn.observed.latency().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(moments(), moments());
}

#[test]
fn only_what_was_heard_of_an_interrupted_reply_counts() {
    let long = "[平静]从前有一座山，山里有一座庙。庙里有一个老和尚，在给小和尚讲故事。故事讲的是什么呢？";
    let script = Script::new("cut").asks("讲个故事").replies(long).interrupted_after(1.0);
    let turns = testing::play(&script).unwrap();
    let heard = turns[0].observed.reply();
    assert!(!heard.is_empty() && heard.chars().count() < 30, "“{heard}” should be the beginning only");
    assert!(turns[0].observed.facts.iter().any(|fact| matches!(fact, Fact::Interrupted { .. })));
}

#[test]
fn tags_never_become_text() {
    let reply = "[开心]好呀。[生气]不行！[开心]开心[平静]了。";
    let turns = testing::play(&Script::new("tags").asks("嗯").replies(reply)).unwrap();
    let texts: Vec<_> = turns[0]
        .observed
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::SentenceReady { text, .. } | Fact::SentenceStarted { text, .. } => Some(text.clone()),
            Fact::TurnFinished { reply, .. } => Some(reply.clone()),
            _ => None,
        })
        .collect();
    assert!(texts.len() >= 9, "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains(['[', ']']) && !text.contains("生气")), "{texts:?}");
}

/// What observers were told.
#[derive(Resource, Default)]
struct Told(Vec<String>);

fn watched(script: &Script) -> App {
    let mut app = testing::app(CompanionPlugins::from(testing::scripted(script)));
    app.init_resource::<Told>()
        .add_observer(|on: On<EmotionChanged>, mut told: ResMut<Told>| told.0.push(on.cue.emotion.to_string()))
        .add_observer(|on: On<TurnFinished>, mut told: ResMut<Told>| told.0.push(format!("finished {}", on.reply)))
        .add_observer(|_: On<Interrupted>, mut told: ResMut<Told>| told.0.push("interrupted".into()));
    app
}

fn idle(world: &mut World) -> bool {
    let idle = world.query::<&Dialogue>().iter(world).all(|dialogue| dialogue.phase() == Phase::Idle);
    idle && is_settled(world)
}

#[test]
fn observers_are_told_what_is_heard() {
    let mut app = watched(&Script::new("observed").replies("[悲伤]唉。[开心]不过没关系！"));
    let companion = app.world_mut().spawn(Companion).id();
    app.world_mut().write_message(Ask { companion, text: "怎么了".into() });
    app.update();
    assert!(testing::update_until(&mut app, 5000, idle));
    assert_eq!(app.world().resource::<Told>().0, ["sad", "happy", "finished 唉。不过没关系！"]);
}

#[test]
fn two_companions_share_the_workers_and_keep_their_conversations_apart() {
    let script = Script::new("two").replies_to("苹果", "[开心]我也爱吃苹果。").replies("[平静]我喜欢梨。");
    let mut app = watched(&script);
    let personas = ["小雨", "小雪"].map(|name| Persona { name: name.into(), ..Persona::default() });
    let [one, two] = personas.map(|persona| app.world_mut().spawn((Companion, persona)).id());
    app.world_mut().write_message(Ask { companion: one, text: "苹果好吃吗".into() });
    app.world_mut().write_message(Ask { companion: two, text: "你喜欢什么".into() });
    app.update();
    assert!(testing::update_until(&mut app, 5000, idle));
    let spoken = |entity| app.world().get::<History>(entity).unwrap().exchanges()[0].spoken();
    assert_eq!([spoken(one), spoken(two)], ["我也爱吃苹果。", "我喜欢梨。"]);
    let world = app.world_mut();
    assert_eq!(world.query::<&Worker<brain::Brain>>().iter(world).count(), 1);
}

#[test]
fn a_newer_question_takes_the_older_one_back() {
    let script = Script::new("newer").replies_to("天气", "[平静]今天下雨。").replies("[开心]让我想想。");
    let mut app = watched(&script);
    let companion = app.world_mut().spawn(Companion).id();
    app.world_mut().write_message(Ask { companion, text: "讲个故事".into() });
    app.update();
    app.world_mut().write_message(Ask { companion, text: "今天天气怎么样".into() });
    app.update();
    assert!(testing::update_until(&mut app, 5000, idle));
    assert_eq!(app.world().resource::<Told>().0.last().unwrap(), "finished 今天下雨。");
    let history = app.world().get::<History>(companion).unwrap();
    assert!(history.exchanges()[0].interrupted && history.exchanges()[0].heard.is_empty());
}

#[test]
fn a_host_may_replace_any_plugin() {
    let script = Script::new("replaced").replies("[平静]旧的。");
    let mut app = App::new();
    let rules = vec![brain::scripted::Rule { contains: String::new(), reply: "[惊讶]新的！".into() }];
    let mine = BrainConfig::Scripted(brain::scripted::ScriptedConfig { rules, ..Default::default() });
    let plugins = CompanionPlugins::from(testing::scripted(&script)).without_microphone().build();
    app.add_plugins(MinimalPlugins).add_plugins(plugins.set(brain::BrainPlugin { config: mine }));
    app.insert_resource(bevy::time::TimeUpdateStrategy::ManualDuration(testing::TICK));
    let companion = app.world_mut().spawn(Companion).id();
    app.world_mut().write_message(Ask { companion, text: "嗯".into() });
    app.update();
    assert!(testing::update_until(&mut app, 5000, idle));
    let history = app.world().get::<History>(companion).unwrap();
    assert_eq!(history.exchanges()[0].heard[0].cue.emotion, Emotion::Surprised);
}
