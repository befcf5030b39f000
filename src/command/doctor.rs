//! `companion doctor`: what is there, what is missing, and what to do about it.

use std::process::ExitCode;

use bevy_companion::{audio, models};
use clap::Args;

use super::{CommandResult, Context, window::has_display};

/// Look at this machine: display, GPU, sound, models, memory; say what is missing and what to do.
///
/// Exit status: 0 everything needed is there, 1 something is missing.
#[derive(Args)]
#[command(after_help = "Example:\n  companion doctor")]
pub struct DoctorArgs {}

/// One thing looked at.
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Good,
    /// Not there, and the companion does without it in some way.
    Lacking,
    /// Needed and not there.
    Missing,
}

/// Runs the command.
pub fn run(_: &DoctorArgs, context: &Context) -> CommandResult {
    let mut findings = vec![configuration(context), display(), gpu()];
    findings.push(sound("microphone", audio::Direction::Input));
    findings.push(sound("speaker", audio::Direction::Output));
    findings.extend(starter_models());
    findings.push(memories());
    findings.push(ram());
    for Finding { what, state, detail } in &findings {
        if context.json {
            let state = match state {
                State::Good => "good",
                State::Lacking => "lacking",
                State::Missing => "missing",
            };
            println!("{}", serde_json::json!({ "event": "finding", "what": what, "state": state, "detail": detail }));
        } else {
            let mark = match state {
                State::Good => "✓",
                State::Lacking => "–",
                State::Missing => "✗",
            };
            println!("{mark} {what:<14} {detail}");
        }
    }
    let missing = findings.iter().any(|finding| finding.state == State::Missing);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn finding(what: &'static str, state: State, detail: impl Into<String>) -> Finding {
    Finding { what, state, detail: detail.into() }
}

fn configuration(context: &Context) -> Finding {
    let persona = context.config().and_then(|config| config.persona());
    match persona {
        Ok(persona) => finding("configuration", State::Good, format!("sound; the persona is {}", persona.name)),
        Err(error) => finding("configuration", State::Missing, error.to_string()),
    }
}

fn display() -> Finding {
    if has_display() {
        finding("display", State::Good, "a window can be opened")
    } else {
        let remedy = "none: `companion` runs the headless demonstration, `companion chat` talks in the terminal";
        finding("display", State::Lacking, remedy)
    }
}

#[cfg(feature = "window")]
fn gpu() -> Finding {
    let instance = wgpu::Instance::default();
    let adapters = bevy::tasks::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut names: Vec<_> = adapters
        .iter()
        .map(|adapter| {
            let info = adapter.get_info();
            (info.device_type == wgpu::DeviceType::Cpu, format!("{} ({:?})", info.name, info.backend))
        })
        .collect();
    names.sort();
    match names.first() {
        Some((false, name)) => finding("GPU", State::Good, name.clone()),
        Some((true, name)) => finding("GPU", State::Lacking, format!("none; drawing on the processor through {name}")),
        None => finding(
            "GPU",
            State::Lacking,
            "nothing to draw with: install a Vulkan driver (Debian: mesa-vulkan-drivers)",
        ),
    }
}

#[cfg(not(feature = "window"))]
fn gpu() -> Finding {
    finding("GPU", State::Lacking, "this build draws nothing (no `window` feature)")
}

fn sound(what: &'static str, direction: audio::Direction) -> Finding {
    match audio::default_device(direction) {
        Ok(name) => finding(what, State::Good, name),
        Err(error) => finding(what, State::Lacking, error.to_string()),
    }
}

fn starter_models() -> Vec<Finding> {
    let of = |name: &str| match models::locate(name) {
        Ok(folder) => finding("model", State::Good, format!("{name}: {}", folder.display())),
        Err(error) => finding("model", State::Missing, error.to_string()),
    };
    models::starter().iter().map(|name| of(name)).collect()
}

fn memories() -> Finding {
    let folder = models::data_dir();
    let writable = std::fs::create_dir_all(&folder).and_then(|()| tempfile::NamedTempFile::new_in(&folder).map(drop));
    match writable {
        Ok(()) => finding("memories", State::Good, format!("kept in {}", folder.display())),
        Err(error) => {
            let remedy =
                format!("{} cannot be written: {error}; set COMPANION_DATA to a folder that can", folder.display());
            finding("memories", State::Missing, remedy)
        }
    }
}

/// About what the starter models need beside everything else, in bytes.
const RAM_NEEDED: u64 = 2 << 30;

fn ram() -> Finding {
    let mut system = match sysinfo::System::new() {
        Ok(system) => system,
        Err(error) => return finding("memory", State::Lacking, format!("the system does not tell: {error}")),
    };
    system.refresh_memory();
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let free = system.available_memory();
    let detail = format!("{:.1} GiB free of {:.1}", gib(free), gib(system.total_memory()));
    if free >= RAM_NEEDED {
        finding("memory", State::Good, detail)
    } else {
        finding(
            "memory",
            State::Lacking,
            format!("{detail}: the starter models want {:.0}; close something", gib(RAM_NEEDED)),
        )
    }
}
