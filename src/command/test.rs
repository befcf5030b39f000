//! `companion test`: dialogue scripts and their verdict.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use bevy_companion::{
    script::{
        Script, ScriptError, find,
        report::{Outcome, exit_status, write_junit},
    },
    testing,
};
use clap::Args;

use super::{CommandResult, Context};

/// Play dialogue scripts and check what they expect.
///
/// Exit status: 0 everything was as expected, 1 something was not, 2 a script could not be run.
#[derive(Args)]
#[command(after_help = "Example:\n  companion test tests/dialogues --junit report.xml")]
pub struct TestArgs {
    /// Scripts, or folders of scripts.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Write a JUnit report here.
    #[arg(long, value_name = "REPORT.xml")]
    junit: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &TestArgs, context: &Context) -> CommandResult {
    let config = context.config()?;
    let mut outcomes = Vec::new();
    for path in &args.paths {
        match find(path) {
            Ok(scripts) => outcomes.extend(scripts.into_iter().map(|file| {
                let began = Instant::now();
                let script = Script::load(&file);
                let name = script.as_ref().map_or_else(|_| file.display().to_string(), |script| script.name.clone());
                let turns = script.and_then(|script| testing::play_script(&script, &file, &config));
                Outcome { path: file.display().to_string(), name, taken: began.elapsed(), turns }
            })),
            Err(error) => {
                let path = path.display().to_string();
                outcomes.push(Outcome {
                    name: path.clone(),
                    path,
                    taken: std::time::Duration::ZERO,
                    turns: Err::<_, ScriptError>(error),
                });
            }
        }
    }
    report(&outcomes, context);
    if let Some(path) = &args.junit {
        write_junit(path, &outcomes)?;
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    context.say(&format!("{} passed, {failed} failed", outcomes.len() - failed));
    Ok(ExitCode::from(exit_status(&outcomes)))
}

fn report(outcomes: &[Outcome], context: &Context) {
    for outcome in outcomes {
        if context.json {
            let unmet: Vec<_> = outcome.turns.iter().flatten().flat_map(|turn| turn.unmet.clone()).collect();
            let error = outcome.turns.as_ref().err().map(ToString::to_string);
            let line = serde_json::json!({
                "event": "script", "path": outcome.path, "name": outcome.name, "passed": outcome.passed(),
                "seconds": outcome.taken.as_secs_f64(), "unmet": unmet, "error": error,
            });
            println!("{line}");
            continue;
        }
        let verdict = if outcome.passed() { "ok" } else { "FAILED" };
        println!("{verdict:>6}  {}  ({:.2} s)", outcome.name, outcome.taken.as_secs_f64());
        match &outcome.turns {
            Err(error) => println!("        {error}"),
            Ok(turns) => {
                for (index, turn) in turns.iter().enumerate() {
                    for unmet in &turn.unmet {
                        println!("        turn {} “{}”: {unmet}", index + 1, turn.said);
                    }
                }
            }
        }
    }
}
