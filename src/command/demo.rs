//! `companion demo`: the whole way from a spoken question to a spoken answer, without screen or sound card.

use std::{path::PathBuf, process::ExitCode};

use bevy_companion::{
    CompanionPlugins,
    app::session::Session,
    audio::{self, AudioError, Pcm},
};
use clap::Args;

use super::{CommandResult, Context, ask::print, frames::Frames};

/// The question that ships inside the program, made with the companion's own voice.
pub fn question() -> Result<Pcm, AudioError> {
    audio::decode_wav(&include_bytes!("../../assets/question.wav")[..], "the shipped question")
}

/// Hear a spoken question, answer it aloud into a file, and draw the avatar while she speaks.
#[derive(Args)]
#[command(after_help = "Example:\n  companion demo --out out/")]
pub struct DemoArgs {
    /// A WAV file with the question; the one that ships inside the program by default.
    #[arg(long, value_name = "IN.wav")]
    audio: Option<PathBuf>,
    /// The folder for the answer and the pictures.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

impl Default for DemoArgs {
    fn default() -> Self {
        Self { audio: None, out: "out".into() }
    }
}

/// Runs the command.
pub fn run(args: &DemoArgs, context: &Context) -> CommandResult {
    let config = context.config()?;
    let (question, name) = match &args.audio {
        Some(path) => (audio::read_wav(path)?, path.display().to_string()),
        None => (question()?, "the shipped question".into()),
    };
    std::fs::create_dir_all(&args.out)?;

    let plugins = CompanionPlugins::from(config.clone()).without_microphone().recording();
    let mut session = Session::new(&config, plugins)?;
    context.say("loading the models…");
    session.wait_until_ready()?;
    context.say(&format!("speaking {name} into her ear ({:.1} s)", question.seconds()));
    session.speak(&question)?;
    let mut frames = Frames::default();
    session.finish_turn(|session, events| {
        events.iter().for_each(|event| print(context, event));
        frames.follow(session, events);
    })?;
    session.finish_remembering()?;

    let answer = args.out.join("answer.wav");
    if let Some(recording) = session.take_recording() {
        audio::write_wav(&answer, &recording)?;
        context.say(&format!("her answer: {} ({:.1} s)", answer.display(), recording.seconds()));
    }
    drop(session);
    match frames.write(&args.out.join("frames")) {
        Ok(sheet) => context.say(&format!("the avatar while she speaks: {}", sheet.display())),
        // Everything but the pictures has been shown; a machine that cannot draw is told so.
        Err(error) => context.say(&format!("the avatar could not be drawn: {error}")),
    }
    Ok(ExitCode::SUCCESS)
}
