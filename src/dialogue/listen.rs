//! Speech and typed text open turns.

use bevy::prelude::*;

use crate::{
    dialogue::{
        event::Fact,
        turn::{Chronicle, Step, Talk, submit_all},
    },
    hearing::{Hearing, SpeechFrame},
    memory::Speaker,
    worker::{Emitted, Served, Stage, Worker},
};

/// A request to answer a text, as if it had been said.
#[derive(Message, Clone, Debug)]
pub struct Ask {
    /// Who shall answer.
    pub companion: Entity,
    /// The question.
    pub text: String,
}

/// A request to greet whoever is there with the persona's greeting.
#[derive(Message, Clone, Debug)]
pub struct Greet {
    /// Who shall greet.
    pub companion: Entity,
}

/// A request to stop talking, listening and thinking.
#[derive(Message, Clone, Debug)]
pub struct Hush {
    /// Who shall stop.
    pub companion: Entity,
}

/// Speech that reaches a companion, from the microphone, a file or a remote client.
#[derive(Message, Clone, Debug)]
pub struct Speech {
    /// Who hears it.
    pub companion: Entity,
    /// What is heard.
    pub part: SpeechPart,
}

/// A part of an utterance, in order.
#[derive(Clone, Debug)]
pub enum SpeechPart {
    /// Someone begins to speak: opens a turn.
    Started,
    /// A piece of the speech.
    Frame(SpeechFrame),
    /// The utterance is over.
    Ended {
        /// How long ago its last voiced sample was, in seconds.
        silence: f64,
    },
    /// It was no utterance after all.
    Cancelled,
}

/// Opens turns for typed questions and greetings, and closes them on request.
pub(super) fn take_requests(
    mut asks: MessageReader<Ask>,
    mut greetings: MessageReader<Greet>,
    mut hushes: MessageReader<Hush>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for hush in hushes.read() {
        if let Ok(mut talk) = companions.get_mut(hush.companion) {
            chronicle.take_back(&mut talk);
        }
    }
    for greeting in greetings.read() {
        let Ok(mut talk) = companions.get_mut(greeting.companion) else { continue };
        let language = talk.persona.languages.first().cloned().unwrap_or_default();
        let text = talk.persona.greeting.get(&language, &talk.persona.languages).trim().to_owned();
        if text.is_empty() {
            continue;
        }
        let id = chronicle.begin(&mut talk, Step::Thought);
        if let Some(turn) = talk.turn(id) {
            turn.written = text;
        }
    }
    for ask in asks.read() {
        let Ok(mut talk) = companions.get_mut(ask.companion) else { continue };
        if ask.text.trim().is_empty() {
            continue;
        }
        chronicle.begin(&mut talk, Step::Transcribing);
        user_said(&mut talk, &mut chronicle, ask.text.trim(), None);
    }
}

/// Opens turns for speech, and hands it to the recogniser.
pub(super) fn take_speech(
    mut speech: MessageReader<Speech>,
    workers: Query<&Worker<Hearing>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for Speech { companion, part } in speech.read() {
        let Ok(mut talk) = companions.get_mut(*companion) else { continue };
        if let SpeechPart::Started = part {
            let id = chronicle.begin(&mut talk, Step::Listening);
            chronicle.tell(*companion, id, Fact::SpeechStarted);
            continue;
        }
        let now = chronicle.now();
        let Some(turn) = talk.dialogue.turn.as_mut().filter(|turn| turn.step == Step::Listening) else { continue };
        match part {
            SpeechPart::Started => {}
            SpeechPart::Frame(frame) => turn.unheard.push_back(frame.clone()),
            SpeechPart::Cancelled => {
                talk.turns.begin();
                talk.dialogue.turn = None;
            }
            SpeechPart::Ended { silence } => {
                turn.step = Step::Transcribing;
                turn.trace.asked = now.saturating_sub(std::time::Duration::from_secs_f64(silence.clamp(0.0, 60.0)));
                turn.trace.endpoint = Some(now);
                let id = turn.id;
                chronicle.tell(*companion, id, Fact::SpeechEnded);
            }
        }
    }
    let worker = workers.iter().next();
    for mut talk in &mut companions {
        let ticket = talk.ticket();
        let Some(turn) = talk.dialogue.turn.as_mut().filter(|turn| !turn.unheard.is_empty()) else { continue };
        match worker {
            Some(worker) => submit_all(worker, &ticket, &mut turn.unheard),
            None => chronicle.fail(&mut talk, Hearing::NAME, "no recogniser is configured: add [hearing]".into()),
        }
    }
}

/// Takes transcripts: the final one is what the person said.
pub(super) fn take_transcripts(
    mut transcripts: MessageReader<Emitted<Hearing>>,
    mut served: MessageReader<Served<Hearing>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for Emitted { companion, turn: id, output: transcript } in transcripts.read() {
        let Ok(mut talk) = companions.get_mut(*companion) else { continue };
        let now = chronicle.now();
        let Some(turn) = talk.turn(*id).filter(|_| transcript.is_final) else { continue };
        turn.trace.transcript = Some(now);
        if transcript.text.trim().is_empty() {
            let reason = "no words were heard: speak up, or come closer to the microphone";
            chronicle.fail(&mut talk, Hearing::NAME, reason.into());
        } else {
            user_said(&mut talk, &mut chronicle, transcript.text.trim(), transcript.language.clone());
        }
    }
    for Served { companion, turn: id, result, .. } in served.read() {
        let (Ok(mut talk), Err(error)) = (companions.get_mut(*companion), result) else { continue };
        if talk.turn(*id).is_some() {
            chronicle.fail(&mut talk, Hearing::NAME, error.to_string());
        }
    }
}

fn user_said(
    talk: &mut super::turn::TalkItem<'_, '_>,
    chronicle: &mut Chronicle,
    text: &str,
    language: Option<String>,
) {
    let Some(turn) = &mut talk.dialogue.turn else { return };
    turn.step = Step::Recall;
    turn.exchange.user = text.into();
    let id = turn.id;
    chronicle.tell(talk.companion, id, Fact::UserSaid { text: text.into(), language });
    chronicle.remember(talk, id, Speaker::User, text);
}
