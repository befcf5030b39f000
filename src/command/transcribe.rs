//! `companion transcribe`: what a recording says.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use bevy_companion::{
    audio::{self, resample},
    hearing::{
        HearingConfig, HearingError, Transcript,
        whisper::{WhisperConfig, WhisperEars},
    },
    models,
};
use clap::Args;

use super::{CommandResult, Context};

/// Write down what a recording says.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  companion transcribe question.wav\n  companion transcribe interview.wav --language zh\n  companion transcribe question.wav --json"
)]
pub struct TranscribeArgs {
    /// A WAV file of any length, rate and channel count.
    #[arg(value_name = "IN.wav")]
    audio: PathBuf,
    /// The language spoken, as an ISO 639-1 code; by default it is found out among the configured ones.
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
}

/// Runs the command.
pub fn run(args: &TranscribeArgs, context: &Context) -> CommandResult {
    let speech = resample(&audio::read_wav(&args.audio)?, 16_000);
    let mut config = match context.config()?.hearing {
        HearingConfig::Whisper(config) => config,
        HearingConfig::Scripted(_) => WhisperConfig::default(),
    };
    if config.model.as_os_str().is_empty() {
        config.model = models::locate("whisper-base")?;
    }
    config.languages = args.language.clone().map_or(config.languages, |language| vec![language]);
    context.say("loading…");
    let ears = WhisperEars::load(&config)?;
    let began = Instant::now();
    let heard = ears.transcribe(&speech.samples, &mut || Ok::<(), HearingError>(()))?;
    print(&heard, began.elapsed().as_secs_f64(), context.json);
    Ok(ExitCode::SUCCESS)
}

fn print(heard: &Transcript, took: f64, json: bool) {
    if json {
        let Transcript { text, language, seconds, .. } = heard;
        let factor = if *seconds > 0.0 { took / seconds } else { 0.0 };
        println!(
            "{}",
            serde_json::json!({ "text": text, "language": language, "seconds": seconds, "real_time_factor": factor })
        );
    } else {
        println!("{}", heard.text);
    }
}
