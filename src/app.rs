//! Two hosts for the same [`CompanionPlugins`](crate::CompanionPlugins): without a screen, and in a window.

pub mod session;
#[cfg(feature = "window")]
pub mod window;

use std::path::Path;

use bevy::{
    app::TerminalCtrlCHandlerPlugin,
    log::{Level, LogPlugin},
    prelude::*,
};

use crate::{
    CompanionPlugins,
    config::{Config, ConfigError},
    dialogue::{
        Companion,
        persona::{Persona, PersonaFile},
    },
};

/// What is logged unless `RUST_LOG` says otherwise: what people can do something about.
const LOG_FILTER: &str = "warn,bevy_companion=info,wgpu=error,naga=error,bevy_render=error,bevy_winit=error,ort=error";

fn log_plugin(quiet: bool) -> LogPlugin {
    let filter = if quiet { "error,wgpu=off,naga=off,ort=off" } else { LOG_FILTER };
    LogPlugin { level: Level::INFO, filter: std::env::var("RUST_LOG").unwrap_or_else(|_| filter.into()), ..default() }
}

/// The assets are what lies beside the persona's file: it is the only one, and all that is watched is its folder.
fn asset_plugin(config: &Config) -> AssetPlugin {
    let file = config.persona_file().and_then(|file| std::path::absolute(file).ok());
    let folder = file.as_deref().and_then(Path::parent).filter(|folder| folder.is_dir());
    AssetPlugin {
        file_path: folder.map_or_else(|| ".".into(), |folder| folder.display().to_string()),
        watch_for_changes_override: Some(folder.is_some()),
        ..default()
    }
}

/// An app without screen or window, for tests, servers and the command line.
///
/// `quiet` leaves only errors in the log, so that what a command prints stands alone.
pub fn headless(plugins: CompanionPlugins, quiet: bool) -> App {
    let mut app = App::new();
    // There is one log for the whole process, and a process may run several apps.
    if !tracing::dispatcher::has_been_set() {
        app.add_plugins(log_plugin(quiet));
    }
    let assets = asset_plugin(&plugins.config);
    app.add_plugins((MinimalPlugins, TerminalCtrlCHandlerPlugin, assets)).add_plugins(plugins);
    // An error in a system must not end a conversation.
    app.set_error_handler(bevy::ecs::error::error);
    app
}

/// Spawns the configured companion, kept in step with its persona's file.
///
/// # Errors
/// [`ConfigError::Persona`] when the persona is missing or malformed.
pub fn spawn_companion(app: &mut App, config: &Config) -> Result<Entity, ConfigError> {
    let persona = config.persona()?;
    let companion = app.world_mut().spawn((Companion, Name::new(persona.name.clone()), persona)).id();
    let file = config.persona_file().and_then(|file| Some(file.file_name()?.to_str()?.to_owned()));
    if let (Some(file), Some(assets)) = (file, app.world().get_resource::<AssetServer>()) {
        let handle: Handle<Persona> = assets.load(file);
        app.world_mut().entity_mut(companion).insert(PersonaFile(handle));
    }
    Ok(companion)
}

/// An app with the avatar's window.
///
/// # Errors
/// [`ConfigError::Persona`] when the persona is missing or malformed.
#[cfg(feature = "window")]
pub fn windowed(config: &Config) -> Result<App, ConfigError> {
    use bevy::{
        window::{PresentMode, WindowLevel, WindowResolution},
        winit::{UpdateMode, WinitSettings},
    };

    use crate::{
        avatar::puppet::{Backdrop, Portrait, PuppetPlugin},
        dialogue::microphone::HearsMicrophone,
    };

    let WindowConfig { width, height, frames_per_second, transparent, always_on_top } = config.window.clone();
    let persona = config.persona()?;
    let window = Window {
        title: persona.name.clone(),
        name: Some("companion".into()),
        resolution: WindowResolution::new(width, height),
        present_mode: PresentMode::AutoVsync,
        transparent,
        decorations: !transparent,
        window_level: if always_on_top { WindowLevel::AlwaysOnTop } else { WindowLevel::Normal },
        ime_enabled: true,
        ..default()
    };
    let mut app = App::new();
    let plugins = DefaultPlugins
        .set(WindowPlugin { primary_window: Some(window), ..default() })
        .set(log_plugin(false))
        .set(asset_plugin(config));
    app.add_plugins(plugins)
        .add_plugins(CompanionPlugins::from(config.clone()))
        .add_plugins((PuppetPlugin::default(), window::WindowUiPlugin));
    app.set_error_handler(bevy::ecs::error::error);
    // The frame rate is capped: without a GPU each frame takes the cores from brain and voice.
    let frame = std::time::Duration::from_secs_f64(1.0 / frames_per_second.clamp(1.0, 240.0));
    app.insert_resource(WinitSettings {
        focused_mode: UpdateMode::reactive_low_power(frame),
        unfocused_mode: UpdateMode::reactive_low_power(frame),
    });
    app.insert_resource(ClearColor(if transparent { Color::NONE } else { Backdrop::LIGHT }));
    app.add_systems(Startup, move |mut commands: Commands| {
        commands.spawn((Camera2d, Msaa::Off));
        if !transparent {
            commands.spawn(Backdrop);
        }
    });
    let companion = spawn_companion(&mut app, config)?;
    app.world_mut().entity_mut(companion).insert((HearsMicrophone, Portrait));
    Ok(app)
}

#[cfg(feature = "window")]
use crate::config::WindowConfig;

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::{
        brain::{BrainConfig, scripted::ScriptedConfig as ScriptedBrain},
        memory::{MemoryConfig, scripted::ScriptedConfig as ScriptedMemory},
    };

    #[test]
    fn an_edited_persona_takes_effect_wherever_its_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ada.toml");
        let write = |name: &str| fs::write(&file, format!("name = {name}\npersonality = \"kind\"\n")).unwrap();
        write("\"Ada\"");
        let config = Config {
            persona: file.display().to_string(),
            brain: BrainConfig::Scripted(ScriptedBrain::default()),
            memory: MemoryConfig::Scripted(ScriptedMemory::default()),
            ..Config::default()
        };
        let plugins = CompanionPlugins::from(config.clone()).without_hearing().without_voice();
        let mut app = headless(plugins, true);
        let companion = spawn_companion(&mut app, &config).unwrap();
        let mut until = |wanted: &str| {
            (0..1000).any(|_| {
                app.update();
                std::thread::sleep(Duration::from_millis(10));
                app.world().get::<Persona>(companion).is_some_and(|persona| persona.name == wanted)
            })
        };
        assert!(until("Ada"));
        // The watcher must have begun before the file changes, and tells nobody when it has.
        std::thread::sleep(Duration::from_millis(500));
        write("[broken");
        write("\"Grace\"");
        assert!(until("Grace"));
    }
}
