//! `companion chat`: a conversation in the terminal.

use std::{
    io::{BufRead, IsTerminal, Write},
    process::ExitCode,
    thread,
};

use bevy_companion::{
    CompanionPlugins,
    app::session::{Session, SessionError},
    dialogue::event::Fact,
};
use clap::Args;
use crossbeam_channel::Receiver;

use super::{CommandResult, Context, ask::print};

/// Talk with her in the terminal: type, and she answers in text, or aloud with --voice.
///
/// A line typed while she answers interrupts her. /quit, Ctrl-D or Ctrl-C ends the conversation.
#[derive(Args)]
#[command(after_help = "Example:\n  companion chat --voice")]
pub struct ChatArgs {
    /// Speak the answers aloud.
    #[arg(long)]
    voice: bool,
}

/// Runs the command.
pub fn run(args: &ChatArgs, context: &Context) -> CommandResult {
    let config = context.config()?;
    let mut plugins = CompanionPlugins::from(config.clone()).without_microphone().without_hearing();
    if !args.voice {
        plugins = plugins.without_voice();
    }
    let mut session = Session::new(&config, plugins)?;
    context.say("loading… (/quit or Ctrl-D ends the conversation)");
    session.wait_until_ready()?;
    session.greet();
    let talked = talk(&mut session, &lines(), context);
    // Ctrl-C ends a conversation; it is no failure.
    if !matches!(talked, Ok(()) | Err(SessionError::Stopped)) {
        talked?;
    }
    match session.finish_remembering() {
        Ok(()) | Err(SessionError::Stopped) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

fn talk(session: &mut Session, lines: &Receiver<String>, context: &Context) -> Result<(), SessionError> {
    let mut answering = true;
    let mut ended = false;
    loop {
        for event in session.update()? {
            print(context, &event);
            if matches!(event.fact, Fact::TurnFinished { .. } | Fact::Failed { .. }) {
                answering = false;
                prompt(context);
            }
        }
        // A person may interrupt her; a piped question waits for the answer to the one before.
        if answering && !std::io::stdin().is_terminal() {
            continue;
        }
        match lines.try_recv() {
            Ok(line) if line.trim() == "/quit" => return Ok(()),
            Ok(line) if line.trim().is_empty() => prompt(context),
            Ok(line) => {
                session.ask(&line);
                answering = true;
            }
            Err(crossbeam_channel::TryRecvError::Empty) => {}
            Err(crossbeam_channel::TryRecvError::Disconnected) => ended = true,
        }
        // What was piped in is answered to the end.
        if ended && !answering {
            return Ok(());
        }
    }
}

fn prompt(context: &Context) {
    if !context.json {
        print!("» ");
        let _ = std::io::stdout().flush();
    }
}

/// Lines of standard input, read on a thread of their own.
fn lines() -> Receiver<String> {
    let (line, lines) = crossbeam_channel::bounded(0);
    thread::spawn(move || {
        for read in std::io::stdin().lock().lines() {
            let Ok(read) = read else { return };
            if line.send(read).is_err() {
                return;
            }
        }
    });
    lines
}
