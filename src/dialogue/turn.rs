//! The turn in progress, and what happens to it when it is taken back.

use std::{collections::VecDeque, ops::Range, time::Duration};

use bevy::{ecs::query::QueryData, ecs::system::SystemParam, prelude::*, time::Real};

use crate::{
    audio::Playback,
    brain::{
        Usage,
        reply::{ReplyParser, Sentence},
    },
    dialogue::{
        event::{DialogueEvent, EmotionChanged, Fact, Interrupted, Latency, Trace, TurnFinished},
        history::{Exchange, History},
        persona::Persona,
    },
    emotion::Cue,
    hearing::SpeechFrame,
    memory::{MemoryRequest, Speaker},
    voice::Say,
    worker::{Refused, Stage, Ticket, TurnId, Turns, Worker},
};

/// What a companion is doing, as a person would say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// Someone speaks to her.
    Listening,
    /// She knows, or is about to know, what was said, and has not yet answered.
    Thinking,
    /// Her voice is heard.
    Speaking,
}

/// A companion's part in a conversation: its phase, the turn in progress and the last one's numbers.
#[derive(Component, Debug, Default)]
pub struct Dialogue {
    pub(super) turn: Option<TurnInProgress>,
    last: Option<(Latency, Option<Usage>)>,
}

impl Dialogue {
    /// What she is doing.
    pub fn phase(&self) -> Phase {
        match &self.turn {
            None => Phase::Idle,
            Some(turn) if turn.step == Step::Listening => Phase::Listening,
            Some(turn) if turn.trace.first_audio.is_some() => Phase::Speaking,
            Some(_) => Phase::Thinking,
        }
    }

    /// What the last finished turn took.
    pub fn last_latency(&self) -> Option<Latency> {
        self.last.map(|(latency, _)| latency)
    }

    /// What the brain did in the last finished turn.
    pub fn last_usage(&self) -> Option<Usage> {
        self.last.and_then(|(_, usage)| usage)
    }
}

/// How far a turn has come. Each step's request waits in the turn until the worker has room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Listening,
    Transcribing,
    Recall,
    Recalling,
    Think,
    Thinking,
    /// The brain has said all it wants to say.
    Thought,
}

#[derive(Debug)]
pub(super) struct TurnInProgress {
    pub id: TurnId,
    pub step: Step,
    pub exchange: Exchange,
    /// Speech that the recogniser's inbox had no room for.
    pub unheard: VecDeque<SpeechFrame>,
    pub parser: ReplyParser,
    pub written: String,
    pub sentences: Vec<Sentence>,
    /// Sentences that the voice's inbox had no room for.
    pub unsaid: VecDeque<Say>,
    /// How many sentences the voice has wholly delivered, or given up.
    pub voiced: usize,
    /// How far the reply has been shown without being said, as sentence and byte: there is no voice, or it failed.
    pub shown: Option<(u32, usize)>,
    /// The emotion that is heard and seen now.
    pub cue: Option<Cue>,
    pub trace: Trace,
    pub usage: Option<Usage>,
}

impl TurnInProgress {
    pub fn new(id: TurnId, step: Step, persona: &Persona, now: Duration) -> Self {
        Self {
            id,
            step,
            exchange: Exchange { turn: id, ..default() },
            unheard: VecDeque::new(),
            parser: ReplyParser::new(persona.emotions.clone()),
            written: String::new(),
            sentences: Vec::new(),
            unsaid: VecDeque::new(),
            voiced: 0,
            shown: None,
            cue: None,
            trace: Trace { asked: now, ..default() },
            usage: None,
        }
    }

    /// Whether everything thought has been voiced.
    pub fn is_voiced(&self) -> bool {
        self.step == Step::Thought && self.unsaid.is_empty() && self.voiced >= self.sentences.len()
    }
}

/// Everything of one companion that its turns touch.
#[derive(QueryData)]
#[query_data(mutable)]
pub(super) struct Talk {
    pub companion: Entity,
    pub turns: &'static Turns,
    pub dialogue: &'static mut Dialogue,
    pub history: &'static mut History,
    pub persona: &'static Persona,
    pub playback: &'static mut Playback,
}

impl TalkItem<'_, '_> {
    /// The turn in progress, when it is the given one.
    pub fn turn(&mut self, id: TurnId) -> Option<&mut TurnInProgress> {
        self.dialogue.turn.as_mut().filter(|turn| turn.id == id)
    }

    /// A ticket for work of the current turn.
    pub fn ticket(&self) -> Ticket {
        self.turns.ticket(self.companion)
    }
}

/// The way facts and memories leave a turn.
#[derive(SystemParam)]
pub(super) struct Chronicle<'w, 's> {
    time: Res<'w, Time<Real>>,
    events: MessageWriter<'w, DialogueEvent>,
    commands: Commands<'w, 's>,
    unremembered: ResMut<'w, Unremembered>,
}

impl Chronicle<'_, '_> {
    pub fn now(&self) -> Duration {
        self.time.elapsed()
    }

    /// Tells that a sentence begins to be heard, and with it a new emotion when it brings one.
    pub fn sentence_started(&mut self, talk: &mut TalkItem<'_, '_>, index: u32) {
        let now = self.now();
        let Some(turn) = &mut talk.dialogue.turn else { return };
        let Some(sentence) = turn.sentences.iter().find(|sentence| sentence.index == index).cloned() else { return };
        turn.trace.first_audio.get_or_insert(now);
        let (id, cue) = (turn.id, sentence.cue);
        if turn.cue.replace(cue) != Some(cue) {
            let Cue { emotion, intensity } = cue;
            self.tell(talk.companion, id, Fact::EmotionChanged { emotion, intensity });
        }
        self.tell(talk.companion, id, Fact::SentenceStarted { sentence: index, text: sentence.text });
    }

    /// Tells what happened to everyone who listens.
    pub fn tell(&mut self, companion: Entity, turn: TurnId, fact: Fact) {
        match &fact {
            Fact::Interrupted { heard } => {
                self.commands.trigger(Interrupted { companion, turn, heard: heard.clone() });
            }
            Fact::TurnFinished { reply, latency, .. } => {
                self.commands.trigger(TurnFinished { companion, turn, reply: reply.clone(), latency: *latency });
            }
            Fact::EmotionChanged { emotion, intensity } => {
                let cue = Cue { emotion: *emotion, intensity: *intensity };
                self.commands.trigger(EmotionChanged { companion, cue });
            }
            _ => {}
        }
        self.events.write(DialogueEvent { companion, turn, at: self.time.elapsed(), fact });
    }

    /// Has something remembered, in a way that no newer turn takes back.
    pub fn remember(&mut self, talk: &TalkItem<'_, '_>, turn: TurnId, speaker: Speaker, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let at = jiff::Timestamp::now().as_second();
        let request =
            MemoryRequest::Remember { owner: talk.persona.name.clone(), speaker, text: text.trim().into(), at };
        self.unremembered.0.push_back((Ticket::standing(talk.companion, turn), request));
    }

    /// Begins a turn; what was going on is interrupted first, and only what was heard of it enters the history.
    pub fn begin(&mut self, talk: &mut TalkItem<'_, '_>, step: Step) -> TurnId {
        self.take_back(talk);
        let id = talk.turns.begin();
        talk.dialogue.turn = Some(TurnInProgress::new(id, step, talk.persona, self.now()));
        id
    }

    /// Takes the turn in progress back: its work becomes stale, its voice stops.
    pub fn take_back(&mut self, talk: &mut TalkItem<'_, '_>) {
        if let Some((id, heard)) = self.cut(talk) {
            self.tell(talk.companion, id, Fact::Interrupted { heard });
        }
    }

    /// Stops a turn where it stands; the turn and what was heard of its reply, when she was already answering.
    fn cut(&mut self, talk: &mut TalkItem<'_, '_>) -> Option<(TurnId, String)> {
        let played = talk.playback.stop().map(|cursor| (cursor.sentence, cursor.text));
        let mut turn = talk.dialogue.turn.take()?;
        talk.turns.begin();
        turn.exchange.heard = heard(&turn.sentences, played.max(turn.shown));
        turn.exchange.interrupted = true;
        let (id, said) = (turn.id, turn.exchange.spoken());
        self.remember(talk, id, Speaker::Companion, &said);
        talk.history.push(turn.exchange);
        (!matches!(turn.step, Step::Listening | Step::Transcribing)).then_some((id, said))
    }

    /// Ends a turn whose reply has been heard to the end.
    pub fn finish(&mut self, talk: &mut TalkItem<'_, '_>) {
        let Some(mut turn) = talk.dialogue.turn.take() else { return };
        turn.trace.finished = Some(self.now());
        turn.exchange.heard = turn.sentences;
        turn.exchange.written = (!turn.written.is_empty()).then_some(turn.written);
        let (id, reply, latency) = (turn.id, turn.exchange.spoken(), turn.trace.latency());
        self.remember(talk, id, Speaker::Companion, &reply);
        talk.history.push(turn.exchange);
        talk.dialogue.last = Some((latency, turn.usage));
        self.tell(talk.companion, id, Fact::TurnFinished { reply, latency, usage: turn.usage });
    }

    /// Gives a turn up: nothing of the reply was, or will be, heard beyond what already was.
    pub fn fail(&mut self, talk: &mut TalkItem<'_, '_>, stage: &'static str, reason: String) {
        let Some(turn) = &talk.dialogue.turn else { return };
        let id = turn.id;
        self.tell(talk.companion, id, Fact::Failed { stage: stage.into(), reason });
        self.cut(talk);
    }
}

/// What was heard of a reply that playback stopped at byte `cut.end` of sentence `cut.start`.
fn heard(sentences: &[Sentence], cut: Option<(u32, usize)>) -> Vec<Sentence> {
    let Some((last, bytes)) = cut else { return Vec::new() };
    let whole = sentences.iter().filter(|sentence| sentence.index < last).cloned();
    let part = sentences.iter().find(|sentence| sentence.index == last).and_then(|sentence| {
        let text = sentence.text.get(word_boundary(&sentence.text, bytes))?.trim_end().to_owned();
        (!text.is_empty()).then(|| Sentence { text, ..sentence.clone() })
    });
    whole.chain(part).collect()
}

/// The part of `text` up to byte `at`, drawn back to the end of the last whole word.
fn word_boundary(text: &str, at: usize) -> Range<usize> {
    use unicode_segmentation::UnicodeSegmentation;
    let words = text.split_word_bound_indices().map(|(start, word)| start + word.len());
    0..words.take_while(|end| *end <= at).last().unwrap_or(0)
}

/// What still has to be remembered, should memory's inbox be full for a while.
#[derive(Resource, Default)]
pub(super) struct Unremembered(VecDeque<(Ticket, MemoryRequest)>);

/// Hands what is to be remembered to memory as fast as it takes it; dropped when there is no memory at all.
pub(super) fn remember(mut unremembered: ResMut<Unremembered>, workers: Query<&Worker<crate::memory::LongTerm>>) {
    let Some(worker) = workers.iter().next() else {
        unremembered.0.clear();
        return;
    };
    while let Some((ticket, request)) = unremembered.0.pop_front() {
        if let Err(Refused::Full(request) | Refused::Stopped(request)) = worker.submit(ticket.clone(), request) {
            unremembered.0.push_front((ticket, request));
            return;
        }
    }
}

/// Submits requests from the front of a queue until the inbox is full.
pub(super) fn submit_all<S: Stage>(worker: &Worker<S>, ticket: &Ticket, queue: &mut VecDeque<S::Request>) {
    while let Some(request) = queue.pop_front() {
        if let Err(Refused::Full(request) | Refused::Stopped(request)) = worker.submit(ticket.clone(), request) {
            queue.push_front(request);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emotion::Emotion;

    #[test]
    fn only_whole_words_that_were_heard_count() {
        let sentence = |index, text: &str| Sentence { index, text: text.into(), cue: Emotion::Calm.into() };
        let sentences = [sentence(0, "Hello there."), sentence(1, "How are you today?")];
        let texts = |cut| heard(&sentences, cut).iter().map(|sentence| sentence.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(None), Vec::<String>::new());
        assert_eq!(texts(Some((1, 6))), ["Hello there.", "How"]);
        assert_eq!(texts(Some((1, 0))), ["Hello there."]);
        assert_eq!(texts(Some((0, 99))), ["Hello there."]);
    }

    #[test]
    fn chinese_is_cut_at_characters() {
        assert_eq!(word_boundary("你好吗", 4), 0..3);
    }
}
