//! Recollections are asked for and taken in.

use bevy::prelude::*;

use crate::{
    dialogue::{
        event::Fact,
        prompt,
        settings::DialogueSettings,
        turn::{Chronicle, Step, Talk, TalkItem},
    },
    memory::{LongTerm, Memory, MemoryReply, MemoryRequest},
    worker::{Emitted, Refused, Served, Worker},
};

/// Asks memory what it knows about what was said; without a memory the turn goes on at once.
pub(super) fn recall(
    settings: Res<DialogueSettings>,
    workers: Query<&Worker<LongTerm>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for mut talk in &mut companions {
        let ticket = talk.ticket();
        let owner = talk.persona.name.clone();
        let Some(turn) = talk.dialogue.turn.as_mut().filter(|turn| turn.step == Step::Recall) else { continue };
        let Some(worker) = workers.iter().next().filter(|_| settings.recollections > 0) else {
            recalled(&mut talk, &mut chronicle, &[]);
            continue;
        };
        let query = turn.exchange.user.clone();
        let request = MemoryRequest::Recall { owner, query, limit: settings.recollections, before: None };
        match worker.submit(ticket, request) {
            Ok(()) => turn.step = Step::Recalling,
            Err(Refused::Full(_)) => {}
            Err(Refused::Stopped(_)) => recalled(&mut talk, &mut chronicle, &[]),
        }
    }
}

/// Takes recollections in. A memory that fails is reported and the turn goes on without.
pub(super) fn take_recollections(
    mut replies: MessageReader<Emitted<LongTerm>>,
    mut served: MessageReader<Served<LongTerm>>,
    mut companions: Query<Talk>,
    mut chronicle: Chronicle,
) {
    for Emitted { companion, turn: id, output } in replies.read() {
        let (Ok(mut talk), MemoryReply::Recollections(memories)) = (companions.get_mut(*companion), output) else {
            continue;
        };
        if talk.turn(*id).is_some_and(|turn| turn.step == Step::Recalling) {
            recalled(&mut talk, &mut chronicle, memories);
        }
    }
    for Served { companion, turn: id, result, .. } in served.read() {
        let (Ok(mut talk), Err(error)) = (companions.get_mut(*companion), result) else { continue };
        chronicle.tell(*companion, *id, Fact::Failed { stage: "memory".into(), reason: error.to_string() });
        if talk.turn(*id).is_some_and(|turn| turn.step == Step::Recalling) {
            recalled(&mut talk, &mut chronicle, &[]);
        }
    }
}

fn recalled(talk: &mut TalkItem<'_, '_>, chronicle: &mut Chronicle, memories: &[Memory]) {
    let now = chronicle.now();
    let Some(turn) = &mut talk.dialogue.turn else { return };
    turn.step = Step::Think;
    turn.trace.recalled = Some(now);
    turn.exchange.recollections = prompt::recollections(memories, &talk.history, &turn.exchange.user);
    if !memories.is_empty() {
        let memories = memories.iter().map(|memory| memory.text.clone()).collect();
        let id = turn.id;
        chronicle.tell(talk.companion, id, Fact::Recalled { memories });
    }
}
