//! The command line: one module a command.

mod ask;
mod bench;
mod chat;
mod demo;
mod doctor;
mod frames;
mod memory;
mod models;
mod say;
mod test;
mod transcribe;
mod window;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bevy_companion::config::{Config, ConfigError};
use clap::{Parser, Subcommand};
use serde::Serialize;

/// How a command ends: its exit status, or an error for the person.
pub type CommandResult = Result<ExitCode, Box<dyn std::error::Error>>;

/// A companion that hears you, remembers you, thinks, and answers with a voice and a face. All on this machine.
#[derive(Parser)]
#[command(
    version,
    after_help = "Without a command the window opens. First time here? `companion doctor` says what is missing.\n\nExamples:\n  companion\n  companion chat\n  companion ask 今天心情怎么样？ --out answer.wav"
)]
pub struct Cli {
    /// Print one JSON event a line instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// The configuration; by default `companion.toml` in the current folder, if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "COMPANION_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Chat(chat::ChatArgs),
    Ask(ask::AskArgs),
    Transcribe(transcribe::TranscribeArgs),
    Say(say::SayArgs),
    Memory(memory::MemoryArgs),
    Models(models::ModelsArgs),
    Doctor(doctor::DoctorArgs),
    Demo(demo::DemoArgs),
    Test(test::TestArgs),
    Bench(bench::BenchArgs),
}

impl Cli {
    /// Runs the command; an error is printed and becomes exit status 1.
    pub fn run(self) -> ExitCode {
        let context = Context { json: self.json, config: self.config };
        let result = match &self.command {
            None => window::run(&context),
            Some(Command::Chat(args)) => chat::run(args, &context),
            Some(Command::Ask(args)) => ask::run(args, &context),
            Some(Command::Transcribe(args)) => transcribe::run(args, &context),
            Some(Command::Say(args)) => say::run(args, &context),
            Some(Command::Memory(args)) => memory::run(args, &context),
            Some(Command::Models(args)) => models::run(args, &context),
            Some(Command::Doctor(args)) => doctor::run(args, &context),
            Some(Command::Demo(args)) => demo::run(args, &context),
            Some(Command::Test(args)) => test::run(args, &context),
            Some(Command::Bench(args)) => bench::run(args, &context),
        };
        result.unwrap_or_else(|error| {
            context.fail(error.as_ref());
            ExitCode::FAILURE
        })
    }
}

/// What every command knows.
pub struct Context {
    /// Whether to print JSON.
    pub json: bool,
    config: Option<PathBuf>,
}

impl Context {
    /// Reads the configuration.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref())
    }

    /// Tells a person, beside the output proper, what is going on.
    pub fn say(&self, text: &str) {
        if !self.json {
            eprintln!("· {text}");
        }
    }

    /// Prints an event of a turn as a JSON line.
    pub fn event(&self, turn: u64, at: Duration, fact: &impl Serialize) {
        #[derive(Serialize)]
        struct Line<'a, F> {
            turn: u64,
            at: f64,
            #[serde(flatten)]
            fact: &'a F,
        }
        match serde_json::to_string(&Line { turn, at: at.as_secs_f64(), fact }) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("an event could not be written: {error}"),
        }
    }

    fn fail(&self, error: &dyn std::error::Error) {
        if self.json {
            println!("{}", serde_json::json!({ "event": "error", "reason": error.to_string() }));
        } else {
            eprintln!("error: {error}");
        }
    }
}
