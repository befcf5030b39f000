//! For tests, here and in host apps: companions on scripted engines and a clock that only moves when told.
//!
//! ```
//! use bevy_companion::{script::Script, testing};
//!
//! let script = Script::new("a greeting").hears("hello").replies("[开心]Hi!");
//! let turns = testing::play(&script)?;
//! assert_eq!(turns[0].observed.reply(), "Hi!");
//! # Ok::<(), bevy_companion::script::ScriptError>(())
//! ```

use std::{path::Path, time::Duration};

use bevy::{prelude::*, time::TimeUpdateStrategy};

use crate::{
    CompanionPlugins,
    audio::SpeakerBackend,
    brain::{self, BrainConfig},
    config::Config,
    dialogue::{Companion, persona::Persona},
    hearing::{self, HearingConfig},
    memory::{self, MemoryConfig},
    script::{Engines, Script, ScriptError, report::TurnOutcome, runner},
    voice::{self, VoiceConfig},
};

/// How far the clock moves with every update of a scripted app.
pub const TICK: Duration = Duration::from_millis(10);

/// A configuration whose engines do as `script` says and whose speaker follows the app's clock.
pub fn scripted(script: &Script) -> Config {
    let lines = script.turns.iter().filter_map(|turn| turn.hears.clone()).collect();
    let rules = script
        .brain
        .iter()
        .map(|rule| brain::scripted::Rule { contains: rule.when.clone(), reply: rule.reply.clone() });
    let mut config = Config {
        hearing: HearingConfig::Scripted(hearing::scripted::ScriptedConfig { lines }),
        memory: MemoryConfig::Scripted(memory::scripted::ScriptedConfig::default()),
        brain: BrainConfig::Scripted(brain::scripted::ScriptedConfig { rules: rules.collect(), ..default() }),
        voice: VoiceConfig::Scripted(voice::scripted::ScriptedConfig::default()),
        ..Config::default()
    };
    config.speaker.backend = SpeakerBackend::Manual;
    config
}

/// An app on these plugins without screen, log or microphone, whose clock moves by [`TICK`] with every update.
pub fn app(plugins: CompanionPlugins) -> App {
    let mut app = App::new();
    app.add_plugins(MinimalPlugins).add_plugins(plugins.without_microphone());
    app.insert_resource(TimeUpdateStrategy::ManualDuration(TICK));
    app.finish();
    app.cleanup();
    app
}

/// Updates an app until `done` holds, at most `limit` times; whether it came to hold.
pub fn update_until(app: &mut App, limit: usize, mut done: impl FnMut(&mut World) -> bool) -> bool {
    (0..limit).any(|_| {
        app.update();
        // Workers answer on threads of their own: give them the time that the clock does not.
        std::thread::sleep(Duration::from_micros(200));
        done(app.world_mut())
    })
}

/// Plays a script with the default persona.
///
/// # Errors
/// [`ScriptError::SetUp`] when a sound file or a model is missing.
pub fn play(script: &Script) -> Result<Vec<TurnOutcome>, ScriptError> {
    play_script(script, Path::new("script.toml"), &Config::default())
}

/// Plays a script that was read from `path`; `config` names the models of scripts on real engines.
///
/// # Errors
/// [`ScriptError::SetUp`] when the persona, a sound file or a model is missing.
pub fn play_script(script: &Script, path: &Path, config: &Config) -> Result<Vec<TurnOutcome>, ScriptError> {
    let failed = |reason: String| ScriptError::SetUp { path: path.display().to_string(), reason };
    let persona = match &script.persona {
        None => config.persona().map_err(|error| failed(error.to_string()))?,
        Some(file) => {
            let beside = path.with_file_name(file);
            let file = if beside.exists() { beside } else { file.clone() };
            Persona::load(&file).map_err(|error| failed(error.to_string()))?
        }
    };
    let memories = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let mut app = match script.engines {
        Engines::Scripted => app(CompanionPlugins::from(scripted(script))),
        Engines::Real => {
            let mut config = config.clone();
            config.dialogue.sampling.seed = Some(script.seed);
            // What a test says must not be remembered in the person's own memories.
            if let MemoryConfig::Lmdb(lmdb) = &mut config.memory {
                lmdb.store = memories.path().into();
            }
            let mut app = app(CompanionPlugins::from(config).recording());
            app.insert_resource(TimeUpdateStrategy::Automatic);
            app
        }
    };
    let companion = app.world_mut().spawn((Companion, persona)).id();
    runner::play(script, path, &mut app, companion)
}
