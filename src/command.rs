//! The command line: one module a command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod models;
mod say;

/// How a command ends: its exit status, or an error for the person.
pub type CommandResult = Result<ExitCode, Box<dyn std::error::Error>>;

/// A companion that hears you, remembers you, thinks, and answers with a voice and a face. All on this machine.
#[derive(Parser)]
#[command(version, after_help = "Example:\n  companion            # open the window and talk")]
pub struct Cli {
    /// Print one JSON event a line instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch, check and find the models.
    Models(models::ModelsCommand),
    /// Say a sentence.
    Say(say::SayArgs),
}

impl Cli {
    /// Runs the command; an error is printed and becomes exit status 1.
    pub fn run(self) -> ExitCode {
        let context = Context { json: self.json };
        let result = match self.command {
            None => Ok(ExitCode::SUCCESS),
            Some(Command::Models(command)) => command.run(self.json),
            Some(Command::Say(args)) => say::run(&args, &context),
        };
        result.unwrap_or_else(|error| {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        })
    }
}

/// What every command knows.
pub struct Context {
    /// Whether to print JSON.
    pub json: bool,
}

impl Context {
    /// Tells a person, beside the output proper, what is going on.
    pub fn say(&self, text: &str) {
        if !self.json {
            eprintln!("· {text}");
        }
    }
}
