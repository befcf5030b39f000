//! The brain is prompted, its tokens become sentences.

use bevy::prelude::*;

use crate::{
    brain::{Brain, Sampling, Token, reply::ReplyEvent},
    dialogue::{
        event::Fact,
        history::{Exchange, History},
        persona::Persona,
        prompt::prompt,
        settings::DialogueSettings,
        turn::{Chronicle, Dialogue, Step, Talk, TalkItem},
    },
    voice::Say,
    worker::{Emitted, Refused, Served, Stage, Turns, Worker},
};

/// Lets the brain read what every prompt of a companion begins with while nobody is waiting, so that the first reply comes
/// as soon as the tenth.
pub(super) fn warm_up(
    settings: Res<DialogueSettings>,
    workers: Query<&Worker<Brain>>,
    companions: Query<(Entity, &Turns, &Persona, &History, &Dialogue), Changed<Persona>>,
) {
    let Some(worker) = workers.iter().next() else { return };
    for (companion, turns, persona, history, dialogue) in &companions {
        if dialogue.turn.is_none() {
            let sampling = Sampling { max_tokens: 0, ..settings.sampling.clone() };
            // Refused, the first reply is only later.
            let _ = worker.submit(turns.ticket(companion), prompt(persona, history, &Exchange::default(), &sampling));
        }
    }
}

/// Puts the conversation to the brain.
pub(super) fn think(
    settings: Res<DialogueSettings>,
    workers: Query<&Worker<Brain>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for mut talk in &mut companions {
        if talk.dialogue.turn.as_ref().is_none_or(|turn| turn.step != Step::Think) {
            continue;
        }
        talk.history.trim(settings.history_characters);
        let ticket = talk.ticket();
        let Some(turn) = &mut talk.dialogue.turn else { continue };
        let Some(worker) = workers.iter().next() else {
            chronicle.fail(&mut talk, Brain::NAME, "no model is configured: add [brain]".into());
            continue;
        };
        match worker.submit(ticket, prompt(talk.persona, &talk.history, &turn.exchange, &settings.sampling)) {
            Ok(()) => turn.step = Step::Thinking,
            Err(Refused::Full(_)) => {}
            Err(Refused::Stopped(_)) => chronicle.fail(&mut talk, Brain::NAME, "it has stopped".into()),
        }
    }
}

/// Takes tokens, and cuts them into sentences as they come.
pub(super) fn take_tokens(
    mut tokens: MessageReader<Emitted<Brain>>,
    mut served: MessageReader<Served<Brain>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for Emitted { companion, turn: id, output } in tokens.read() {
        let Ok(mut talk) = companions.get_mut(*companion) else { continue };
        let now = chronicle.now();
        let Some(turn) = talk.turn(*id) else { continue };
        match output {
            Token::End(usage) => turn.usage = Some(*usage),
            Token::Text(text) => {
                turn.trace.first_token.get_or_insert(now);
                turn.written.push_str(text);
                let parsed = turn.parser.push(text);
                thought(&mut talk, &mut chronicle, parsed);
            }
        }
    }
    for Served { companion, turn: id, result, .. } in served.read() {
        let Ok(mut talk) = companions.get_mut(*companion) else { continue };
        let Some(turn) = talk.turn(*id) else { continue };
        match result {
            Err(error) => chronicle.fail(&mut talk, Brain::NAME, error.to_string()),
            Ok(()) => {
                turn.step = Step::Thought;
                let parsed = turn.parser.finish();
                thought(&mut talk, &mut chronicle, parsed);
            }
        }
    }
    // A greeting is thought already: it only has to be cut.
    for mut talk in &mut companions {
        let Some(turn) = &mut talk.dialogue.turn else { continue };
        if turn.step == Step::Thought && turn.sentences.is_empty() && !turn.written.is_empty() {
            let mut parsed = turn.parser.push(&turn.written);
            parsed.extend(turn.parser.finish());
            thought(&mut talk, &mut chronicle, parsed);
        }
    }
}

fn thought(talk: &mut TalkItem<'_, '_>, chronicle: &mut Chronicle, parsed: Vec<ReplyEvent>) {
    let now = chronicle.now();
    for event in parsed {
        // A cue travels with the sentence that it colours.
        let ReplyEvent::Sentence(sentence) = event else { continue };
        let Some(turn) = &mut talk.dialogue.turn else { return };
        turn.trace.first_clause.get_or_insert(now);
        turn.unsaid.push_back(Say {
            sentence: sentence.index,
            text: sentence.text.clone(),
            cue: sentence.cue,
            voice: talk.persona.voice.clone(),
        });
        turn.sentences.push(sentence.clone());
        let (id, emotion) = (turn.id, sentence.cue.emotion);
        let fact = Fact::SentenceReady { sentence: sentence.index, text: sentence.text, emotion };
        chronicle.tell(talk.companion, id, fact);
    }
}
