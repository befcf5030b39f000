//! Sentences go to the voice, speech to playback; what has been heard moves the turn on.

use bevy::prelude::*;

use crate::{
    audio::Heard,
    dialogue::{
        event::Fact,
        turn::{Chronicle, Talk, submit_all},
    },
    voice::Voice,
    worker::{Emitted, Served, Stage, Worker},
};

/// Hands sentences to the voice; without one they count as heard when they are shown.
pub(super) fn say(workers: Query<&Worker<Voice>>, mut companions: Query<Talk>, mut chronicle: Chronicle) {
    for mut talk in &mut companions {
        let ticket = talk.ticket();
        let Some(turn) = talk.dialogue.turn.as_mut().filter(|turn| !turn.unsaid.is_empty()) else { continue };
        if let Some(worker) = workers.iter().next() {
            submit_all(worker, &ticket, &mut turn.unsaid);
            continue;
        }
        for say in std::mem::take(&mut turn.unsaid) {
            show(&mut talk, &mut chronicle, say.sentence);
        }
    }
}

/// Queues speech for playback.
pub(super) fn take_speech(
    mut chunks: MessageReader<Emitted<Voice>>,
    mut served: MessageReader<Served<Voice>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for Emitted { companion, turn: id, output: chunk } in chunks.read() {
        let Ok(mut talk) = companions.get_mut(*companion) else { continue };
        let now = chronicle.now();
        let Some(turn) = talk.turn(*id) else { continue };
        turn.trace.first_chunk.get_or_insert(now);
        talk.playback.push(chunk.sentence, chunk.pcm.clone(), chunk.text.clone(), chunk.last);
    }
    for Served { companion, turn: id, result, .. } in served.read() {
        let Ok(mut talk) = companions.get_mut(*companion) else { continue };
        let Some(turn) = talk.turn(*id) else { continue };
        match result {
            Ok(()) => turn.voiced += 1,
            // The voice serves sentences in order, so the one that failed is the next one due.
            Err(error) => {
                let sentence = turn.voiced as u32;
                let fact = Fact::Failed { stage: Voice::NAME.into(), reason: error.to_string() };
                chronicle.tell(*companion, *id, fact);
                show(&mut talk, &mut chronicle, sentence);
            }
        }
    }
}

/// Follows the playback cursor: subtitles and emotions come with the sound, and the turn ends with it.
pub(super) fn follow(mut companions: Query<Talk>, mut chronicle: Chronicle) {
    for mut talk in &mut companions {
        let heard: Vec<_> = talk.playback.news().collect();
        for moment in heard {
            if let Heard::SentenceStarted(sentence) = moment {
                chronicle.sentence_started(&mut talk, sentence);
            }
        }
        let over = talk.dialogue.turn.as_ref().is_some_and(|turn| turn.is_voiced());
        if over && talk.playback.is_idle() {
            chronicle.finish(&mut talk);
        }
    }
}

/// Shows a sentence that will not be said.
fn show(talk: &mut super::turn::TalkItem<'_, '_>, chronicle: &mut Chronicle, index: u32) {
    let Some(turn) = &mut talk.dialogue.turn else { return };
    turn.voiced += 1;
    let length =
        turn.sentences.iter().find(|sentence| sentence.index == index).map_or(0, |sentence| sentence.text.len());
    turn.shown = Some((index, length));
    chronicle.sentence_started(talk, index);
}
