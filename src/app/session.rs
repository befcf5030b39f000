//! A conversation without a window, driven by whoever holds it: the command line, benchmarks, tests.

use std::{
    thread,
    time::{Duration, Instant},
};

use bevy::{ecs::message::MessageCursor, prelude::*, time::Real};
use crossbeam_channel::{Receiver, unbounded};

use crate::{
    CompanionPlugins,
    app::{headless, spawn_companion},
    audio::{Pcm, Speaker, resample},
    brain::Brain,
    config::{Config, ConfigError},
    dialogue::{
        Ask, Greet, Speech, SpeechPart,
        event::{DialogueEvent, Fact},
    },
    hearing::{
        Hearing, SpeechFrame,
        vad::{Ear, EarEvent, VadConfig},
    },
    memory::LongTerm,
    voice::Voice,
    worker::{Stage, Worker, WorkerStatus},
};

/// How long the loop sleeps between updates: the resolution of the moments in a trace.
const TICK: Duration = Duration::from_millis(3);

/// Samples below this are silence: −80 dB.
const SILENCE: f32 = 1e-4;

/// An app with one companion and no window. Dropping it ends the workers.
pub struct Session {
    app: App,
    companion: Entity,
    cursor: MessageCursor<DialogueEvent>,
    speaking: Option<Receiver<SpeechPart>>,
    vad: VadConfig,
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The configuration or persona is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An engine could not be loaded.
    #[error("{stage}: {reason}")]
    Unavailable {
        /// Which stage.
        stage: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// A stage failed in mid-turn.
    #[error("{stage}: {reason}")]
    Failed {
        /// Which stage.
        stage: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The person pressed Ctrl-C, or the app was told to exit.
    #[error("stopped")]
    Stopped,
    /// Speech could not be prepared.
    #[error("{0}")]
    Speech(String),
}

impl Session {
    /// Starts the app with the plugins given, for the companion configured.
    ///
    /// # Errors
    /// [`SessionError::Config`] when the persona is missing or malformed.
    pub fn new(config: &Config, plugins: CompanionPlugins) -> Result<Self, SessionError> {
        let mut app = headless(plugins, true);
        let companion = spawn_companion(&mut app, config)?;
        app.finish();
        app.cleanup();
        let vad = config.clone().with_model_paths().vad;
        Ok(Self { app, companion, cursor: MessageCursor::default(), speaking: None, vad })
    }

    /// The companion.
    pub fn companion(&self) -> Entity {
        self.companion
    }

    /// The app.
    pub fn app(&mut self) -> &mut App {
        &mut self.app
    }

    /// Waits until every engine is loaded and the brain has read what every prompt begins with.
    ///
    /// # Errors
    /// [`SessionError::Unavailable`] for the first that cannot be, [`SessionError::Stopped`] on Ctrl-C.
    pub fn wait_until_ready(&mut self) -> Result<(), SessionError> {
        loop {
            self.update()?;
            let world = self.app.world_mut();
            let loading = [
                is_loading::<Hearing>(world)?,
                is_loading::<LongTerm>(world)?,
                is_loading::<Brain>(world)?,
                is_loading::<Voice>(world)?,
            ];
            if !loading.contains(&true) && world.query::<&Worker<Brain>>().iter(world).all(Worker::is_idle) {
                return Ok(());
            }
        }
    }

    /// Asks a question in writing.
    pub fn ask(&mut self, text: &str) {
        self.app.world_mut().write_message(Ask { companion: self.companion, text: text.into() });
    }

    /// Has her greet.
    pub fn greet(&mut self) {
        self.app.world_mut().write_message(Greet { companion: self.companion });
    }

    /// Lets her hear a whole utterance at once.
    pub fn hear(&mut self, pcm: &Pcm) {
        let pcm = resample(pcm, 16_000);
        let frame = SpeechFrame { pcm, last: true };
        for part in [SpeechPart::Started, SpeechPart::Frame(frame), SpeechPart::Ended { silence: 0.0 }] {
            self.app.world_mut().write_message(Speech { companion: self.companion, part });
        }
    }

    /// Speaks to her as into a microphone: at the speed of speech, through voice activity detection, followed by silence.
    ///
    /// # Errors
    /// [`SessionError::Speech`] when the detector cannot be loaded.
    pub fn speak(&mut self, pcm: &Pcm) -> Result<(), SessionError> {
        let failed = |error: &dyn std::fmt::Display| SessionError::Speech(error.to_string());
        let pcm = resample(pcm, 16_000);
        let mut ear = Ear::load(&self.vad).map_err(|error| failed(&error))?;
        let (part, parts) = unbounded();
        let speak = move || {
            let block = 512;
            let silence = vec![0.0; 16_000 * 3];
            let began = Instant::now();
            for (index, samples) in pcm.samples.chunks(block).chain(silence.chunks(block)).enumerate() {
                let due = Duration::from_secs_f64(((index + 1) * block) as f64 / 16_000.0);
                thread::sleep(due.saturating_sub(began.elapsed()));
                for event in ear.push(samples) {
                    for heard in speech_parts(event) {
                        if part.send(heard).is_err() {
                            return;
                        }
                    }
                }
            }
        };
        thread::Builder::new().name("speaking".into()).spawn(speak).map_err(|error| failed(&error))?;
        self.speaking = Some(parts);
        Ok(())
    }

    /// One update; what has happened in it.
    ///
    /// # Errors
    /// [`SessionError::Stopped`] on Ctrl-C.
    pub fn update(&mut self) -> Result<Vec<DialogueEvent>, SessionError> {
        let companion = self.companion;
        for part in self.speaking.iter().flat_map(Receiver::try_iter) {
            self.app.world_mut().write_message(Speech { companion, part });
        }
        self.app.update();
        if self.app.should_exit().is_some() {
            return Err(SessionError::Stopped);
        }
        let events = self.app.world().resource::<Messages<DialogueEvent>>();
        let happened: Vec<_> = self.cursor.read(events).cloned().collect();
        if happened.is_empty() {
            thread::sleep(TICK);
        }
        Ok(happened)
    }

    /// Goes on until the turn in progress is over; `follow` is called after every update with what happened in it.
    ///
    /// # Errors
    /// [`SessionError::Failed`] when hearing or thinking fails, [`SessionError::Stopped`] on Ctrl-C.
    pub fn finish_turn(&mut self, mut follow: impl FnMut(&mut Self, &[DialogueEvent])) -> Result<(), SessionError> {
        loop {
            let events = self.update()?;
            follow(self, &events);
            for event in events {
                match event.fact {
                    Fact::TurnFinished { .. } => return Ok(()),
                    Fact::Failed { stage, reason } if stage == Hearing::NAME || stage == Brain::NAME => {
                        return Err(SessionError::Failed { stage, reason });
                    }
                    _ => {}
                }
            }
        }
    }

    /// The time since the app's start.
    pub fn now(&self) -> Duration {
        self.app.world().resource::<Time<Real>>().elapsed()
    }

    /// Goes on until everything said has been remembered.
    ///
    /// # Errors
    /// [`SessionError::Stopped`] on Ctrl-C.
    pub fn finish_remembering(&mut self) -> Result<(), SessionError> {
        loop {
            self.update()?;
            let world = self.app.world_mut();
            if world.query::<&Worker<LongTerm>>().iter(world).all(Worker::is_idle) {
                return Ok(());
            }
        }
    }

    /// Everything played since the last time, without the silence around it.
    pub fn take_recording(&mut self) -> Option<Pcm> {
        let recording = self.app.world_mut().get_resource_mut::<Speaker>()?.take_recording()?;
        let audible = |sample: &f32| sample.abs() > SILENCE;
        let margin = recording.rate as usize / 10;
        let first = recording.samples.iter().position(audible)?.saturating_sub(margin);
        let last = recording.samples.iter().rposition(audible)? + margin;
        Some(Pcm::new(&recording.samples[first..last.min(recording.samples.len())], recording.rate))
    }
}

fn is_loading<S: Stage>(world: &mut World) -> Result<bool, SessionError> {
    for worker in world.query::<&Worker<S>>().iter(world) {
        match worker.status() {
            WorkerStatus::Unavailable(reason) => return Err(SessionError::Unavailable { stage: S::NAME, reason }),
            WorkerStatus::Loading => return Ok(true),
            WorkerStatus::Ready => {}
        }
    }
    Ok(false)
}

/// What an ear's event means in a conversation.
fn speech_parts(event: EarEvent) -> Vec<SpeechPart> {
    match event {
        EarEvent::Started => vec![SpeechPart::Started],
        EarEvent::Cancelled => vec![SpeechPart::Cancelled],
        EarEvent::Frame(frame) => vec![SpeechPart::Frame(frame)],
        EarEvent::Ended { frame, silence } => vec![SpeechPart::Frame(frame), SpeechPart::Ended { silence }],
    }
}
