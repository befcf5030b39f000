//! `companion ask`: one question, one answer.

use std::path::PathBuf;

use bevy_companion::{
    CompanionPlugins,
    app::session::Session,
    audio,
    dialogue::event::{DialogueEvent, Fact},
    emotion::Emotion,
};
use clap::Args;

use super::{CommandResult, Context, frames::Frames};

/// Ask one question, typed or spoken, and hear the answer.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  companion ask 今天心情怎么样？\n  companion ask --audio question.wav --out answer.wav --frames frames/\n  companion ask \"What do you remember about me?\" --json"
)]
pub struct AskArgs {
    /// The question.
    #[arg(required_unless_present = "audio")]
    text: Option<String>,
    /// A WAV file with the question, of any rate and channel count.
    #[arg(long, value_name = "IN.wav", conflicts_with = "text")]
    audio: Option<PathBuf>,
    /// Write the spoken answer here.
    #[arg(long, value_name = "OUT.wav")]
    out: Option<PathBuf>,
    /// Write pictures of the avatar while she speaks, and a contact sheet of them, into this folder.
    #[arg(long, value_name = "DIR")]
    frames: Option<PathBuf>,
    /// Answer in text only: nothing is spoken and no voice is loaded.
    #[arg(long, conflicts_with_all = ["out", "frames"])]
    silent: bool,
}

/// Runs the command.
pub fn run(args: &AskArgs, context: &Context) -> CommandResult {
    let config = context.config()?;
    let mut plugins = CompanionPlugins::from(config.clone()).without_microphone();
    if args.silent {
        plugins = plugins.without_voice();
    } else if args.out.is_some() || args.frames.is_some() {
        plugins = plugins.recording();
    }
    if args.audio.is_none() {
        plugins = plugins.without_hearing();
    }
    let question = args.audio.as_deref().map(audio::read_wav).transpose()?;
    let mut session = Session::new(&config, plugins)?;
    context.say("loading…");
    session.wait_until_ready()?;
    match (&question, &args.text) {
        (Some(pcm), _) => session.hear(pcm),
        (None, text) => session.ask(text.as_deref().unwrap_or_default()),
    }
    let mut frames = args.frames.as_ref().map(|_| Frames::default());
    session.finish_turn(|session, events| {
        events.iter().for_each(|event| print(context, event));
        if let Some(frames) = &mut frames {
            frames.follow(session, events);
        }
    })?;
    session.finish_remembering()?;
    if let (Some(path), Some(recording)) = (&args.out, session.take_recording()) {
        audio::write_wav(path, &recording)?;
        context.say(&format!("answer: {}", path.display()));
    }
    if let (Some(folder), Some(frames)) = (&args.frames, frames) {
        let sheet = frames.write(folder)?;
        context.say(&format!("frames: {}", sheet.display()));
    }
    Ok(std::process::ExitCode::SUCCESS)
}

/// Prints what happened: a JSON object a line, or what a person wants to read.
pub fn print(context: &Context, event: &DialogueEvent) {
    if context.json {
        context.event(event.turn.0, event.at, &event.fact);
        return;
    }
    match &event.fact {
        Fact::UserSaid { text, .. } => println!("› {text}"),
        Fact::Recalled { memories } => context.say(&format!("remembers: {}", memories.join(" · "))),
        Fact::SentenceReady { text, emotion, .. } => println!("{} {text}", face(*emotion)),
        Fact::Interrupted { .. } => context.say("interrupted"),
        Fact::Failed { stage, reason } => eprintln!("{stage}: {reason}"),
        Fact::TurnFinished { latency, usage, .. } => {
            let ms = |seconds: f64| (seconds * 1000.0).round();
            let parts = [
                ("hearing", latency.hearing),
                ("recall", latency.recall),
                ("first token", latency.first_token),
                ("first clause", latency.first_clause),
                ("voice", latency.voice),
            ];
            // What a turn did without, such as hearing when the question was typed, is no part of it.
            let parts: Vec<_> = parts.into_iter().filter(|(_, seconds)| *seconds > 0.0).collect();
            if parts.is_empty() {
                return;
            }
            let parts: Vec<_> = parts.iter().map(|(name, seconds)| format!("{name} {} ms", ms(*seconds))).collect();
            let mut line = parts.join(", ");
            if latency.to_first_audio > 0.0 {
                line.push_str(&format!("; first audio after {} ms", ms(latency.to_first_audio)));
            }
            if let Some(usage) = usage {
                line.push_str(&format!("; prompt {} tokens ({} cached)", usage.prompt_tokens, usage.cached_tokens));
            }
            context.say(&line);
        }
        _ => {}
    }
}

fn face(emotion: Emotion) -> &'static str {
    match emotion {
        Emotion::Calm => "🙂",
        Emotion::Happy => "😄",
        Emotion::Angry => "😠",
        Emotion::Sad => "😢",
        Emotion::Surprised => "😲",
        Emotion::Coquettish => "🥰",
    }
}
