//! `companion` without a command: the window, or the headless demonstration where there can be none.

use bevy_companion::audio;

use super::{CommandResult, Context, demo};

/// Opens the window; where there is no display or no sound it says so and runs the demonstration.
pub fn run(context: &Context) -> CommandResult {
    let missing = missing();
    if !missing.is_empty() {
        eprintln!("There is no {} here, so this is the headless demonstration.", missing.join(" and no "));
        eprintln!("(`companion doctor` says what is missing; `companion chat` talks in the terminal.)\n");
        return demo::run(&demo::DemoArgs::default(), context);
    }
    open(context)
}

fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !has_display() {
        missing.push("display");
    }
    if audio::default_device(audio::Direction::Output).is_err() {
        missing.push("sound card");
    }
    missing
}

/// Whether a window can be opened.
pub fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(feature = "window") && (cfg!(not(target_os = "linux")) || set("DISPLAY") || set("WAYLAND_DISPLAY"))
}

#[cfg(feature = "window")]
fn open(context: &Context) -> CommandResult {
    use bevy::app::AppExit;
    match bevy_companion::app::windowed(&context.config()?)?.run() {
        AppExit::Success => Ok(std::process::ExitCode::SUCCESS),
        AppExit::Error(code) => Ok(std::process::ExitCode::from(code.get())),
    }
}

#[cfg(not(feature = "window"))]
fn open(_: &Context) -> CommandResult {
    Err("this build has no window: build it with the `window` feature".into())
}
