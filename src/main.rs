//! The `companion` command.

mod command;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: nothing has started a thread yet.
        unsafe { bevy_companion::brain::gguf::limit_threads(bevy_companion::brain::gguf::candle_threads()) };
    }
    command::Cli::parse().run()
}
