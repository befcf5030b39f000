//! Plays a script on an app.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bevy::{ecs::message::MessageCursor, prelude::*, time::Real};

use crate::{
    audio,
    brain::Brain,
    dialogue::{
        Ask, Hush, Speech, SpeechPart,
        event::{DialogueEvent, Fact},
        history::History,
        persona::Persona,
    },
    hearing::{Hearing, SpeechFrame},
    memory::{LongTerm, MemoryRequest},
    script::{
        Engines, Script, ScriptError, ScriptedTurn,
        expect::{Observed, unmet},
        report::TurnOutcome,
    },
    voice::Voice,
    worker::{Stage, Ticket, TurnId, Worker},
};

/// How long a turn may take on the script's clock.
const TURN_LIMIT: Duration = Duration::from_secs(120);
/// How long scripted engines may take by the wall's clock before they are taken to hang.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Whether every worker of the app has served all requests and every report has been taken.
pub fn is_settled(world: &mut World) -> bool {
    fn idle<S: Stage>(world: &mut World) -> bool {
        world.query::<&Worker<S>>().iter(world).all(Worker::is_idle)
    }
    idle::<Hearing>(world) && idle::<LongTerm>(world) && idle::<Brain>(world) && idle::<Voice>(world)
}

/// One update; on scripted engines virtual time stands still until they have answered.
fn step(app: &mut App, engines: Engines) {
    app.update();
    match engines {
        Engines::Real => std::thread::sleep(Duration::from_millis(2)),
        Engines::Scripted => {
            let since = Instant::now();
            // What has come back waits for the next update, so only unserved requests are waited for.
            while since.elapsed() < SETTLE_LIMIT && !is_served(app.world_mut()) {
                std::thread::yield_now();
            }
        }
    }
}

fn is_served(world: &mut World) -> bool {
    fn served<S: Stage>(world: &mut World) -> bool {
        world.query::<&Worker<S>>().iter(world).all(Worker::is_served)
    }
    served::<Hearing>(world) && served::<LongTerm>(world) && served::<Brain>(world) && served::<Voice>(world)
}

/// Plays a script's turns with `companion`, in an app whose workers were made for it.
///
/// # Errors
/// [`ScriptError::SetUp`] when a sound file cannot be read.
pub fn play(script: &Script, path: &Path, app: &mut App, companion: Entity) -> Result<Vec<TurnOutcome>, ScriptError> {
    remember(script, app, companion);
    let mut cursor = MessageCursor::<DialogueEvent>::default();
    script.turns.iter().map(|turn| play_turn(script, turn, path, app, companion, &mut cursor)).collect()
}

fn remember(script: &Script, app: &mut App, companion: Entity) {
    let owner = app.world().get::<Persona>(companion).map(|persona| persona.name.clone()).unwrap_or_default();
    let at = jiff::Timestamp::now().as_second();
    let mut workers = app.world_mut().query::<&Worker<LongTerm>>();
    if let Some(worker) = workers.iter(app.world()).next() {
        for remembered in &script.remembers {
            let (owner, text) = (owner.clone(), remembered.text.clone());
            let request = MemoryRequest::Remember { owner, speaker: remembered.speaker, text, at };
            let _ = worker.submit(Ticket::standing(companion, TurnId(0)), request);
        }
    }
    let since = Instant::now();
    while since.elapsed() < SETTLE_LIMIT && !is_settled(app.world_mut()) {
        step(app, script.engines);
    }
}

fn play_turn(
    script: &Script,
    turn: &ScriptedTurn,
    path: &Path,
    app: &mut App,
    companion: Entity,
    cursor: &mut MessageCursor<DialogueEvent>,
) -> Result<TurnOutcome, ScriptError> {
    say(turn, path, app, companion)?;
    let mut observed = Observed::default();
    let clock = |app: &App| app.world().resource::<Time<Real>>().elapsed();
    let (began, mut audible, mut hushed) = (clock(app), None, false);
    while !observed.ended && clock(app).saturating_sub(began) < TURN_LIMIT {
        step(app, script.engines);
        let events = app.world().resource::<Messages<DialogueEvent>>();
        for event in cursor.read(events).filter(|event| event.companion == companion) {
            observed.ended |= matches!(event.fact, Fact::TurnFinished { .. } | Fact::Interrupted { .. });
            // A voice or memory that fails leaves the turn going on without; anything else ends it.
            observed.ended |=
                matches!(&event.fact, Fact::Failed { stage, .. } if stage == "hearing" || stage == "brain");
            if matches!(event.fact, Fact::SentenceStarted { .. }) {
                audible.get_or_insert(event.at);
            }
            observed.facts.push(event.fact.clone());
        }
        if let (Some(after), Some(audible), false) = (turn.interrupt_after, audible, hushed)
            && clock(app).saturating_sub(audible).as_secs_f64() >= after
        {
            app.world_mut().write_message(Hush { companion });
            hushed = true;
        }
    }
    observed.history = app.world().get::<History>(companion).map_or(0, |history| history.exchanges().len());
    let said = [&turn.text, &turn.hears].into_iter().flatten().next().cloned();
    let said = said.or_else(|| turn.audio.as_ref().map(|file| file.display().to_string())).unwrap_or_default();
    let unmet = unmet(&turn.expect, &observed);
    Ok(TurnOutcome { said, observed, unmet })
}

fn say(turn: &ScriptedTurn, path: &Path, app: &mut App, companion: Entity) -> Result<(), ScriptError> {
    if let Some(text) = &turn.text {
        app.world_mut().write_message(Ask { companion, text: text.clone() });
        return Ok(());
    }
    let pcm = match &turn.audio {
        None => audio::Pcm::new(vec![0.0; 16_000], 16_000),
        Some(file) => {
            let failed = |error: audio::AudioError| ScriptError::SetUp {
                path: path.display().to_string(),
                reason: error.to_string(),
            };
            let pcm = audio::read_wav(&path.with_file_name(file)).map_err(failed)?;
            audio::resample(&pcm, 16_000)
        }
    };
    let parts =
        [SpeechPart::Started, SpeechPart::Frame(SpeechFrame { pcm, last: true }), SpeechPart::Ended { silence: 0.0 }];
    for part in parts {
        app.world_mut().write_message(Speech { companion, part });
    }
    Ok(())
}
