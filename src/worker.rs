//! The one way work leaves the frame: a [`Worker`] runs an [`Engine`] on a thread of its own.
//!
//! A worker is an entity that every companion shares, so weights are loaded once. Requests travel in a bounded inbox under
//! a [`Ticket`], which names the companion and its turn; when that companion begins a newer turn the ticket is *stale*, the
//! engine's next [`Turn::emit`] fails, and whatever was still queued is skipped. Systems never wait: [`poll`] drains what
//! has come back and writes it as Bevy messages.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bevy::prelude::*;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};

/// How long a dropped worker is waited for before its thread is left to end by itself.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(1500);

/// One step of a turn: what it is called, what it is asked and what it answers.
pub trait Stage: Send + Sync + 'static {
    /// The stage's name in logs, errors and traces.
    const NAME: &'static str;
    /// How many requests may wait; a full inbox hands the request back.
    const INBOX: usize;
    /// What the stage is asked.
    type Request: Send + 'static;
    /// What it streams back, any number of times a request.
    type Output: Send + Sync + 'static;
}

/// What does a stage's work. It lives on its worker's thread and need not be `Send`.
pub trait Engine<S: Stage> {
    /// Answers one request, emitting outputs on `turn` as they come.
    ///
    /// # Errors
    /// Propagate [`Turn::emit`]'s error with `?`: that is the cancellation point. Anything else is reported to the app
    /// as [`Served`] and the engine goes on with the next request.
    fn serve(&mut self, request: S::Request, turn: &Turn<S>) -> Result<(), EngineError>;
}

/// Why an engine did not finish a request.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A newer turn of the same companion, or the end of the app, took this one's place. Not a fault.
    #[error("superseded by a newer turn")]
    Superseded,
    /// The engine panicked; it has been dropped and is loaded again.
    #[error("the {stage} engine panicked: {message}; it is being restarted")]
    Panicked {
        /// [`Stage::NAME`].
        stage: &'static str,
        /// The panic's payload.
        message: String,
    },
    /// The engine could not be loaded, so it serves nothing.
    #[error("the {stage} engine is not available: {reason}")]
    Unavailable {
        /// [`Stage::NAME`].
        stage: &'static str,
        /// Why, and what to do about it.
        reason: String,
    },
    /// The engine's own error.
    #[error(transparent)]
    Failed(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl EngineError {
    /// Wraps an engine's own error.
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

/// The number of a turn. A companion's turns are numbered from 1 in the order they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(pub u64);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "turn {}", self.0)
    }
}

/// The turns of one companion. Beginning a turn makes every older one stale, everywhere at once.
#[derive(Component, Clone, Debug, Default)]
pub struct Turns(Arc<AtomicU64>);

impl Turns {
    /// Begins a new turn, and so takes back all work of the older ones.
    pub fn begin(&self) -> TurnId {
        TurnId(self.0.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// The newest turn; `TurnId(0)` before the first.
    pub fn current(&self) -> TurnId {
        TurnId(self.0.load(Ordering::Acquire))
    }

    /// A ticket for work of the current turn.
    pub fn ticket(&self, companion: Entity) -> Ticket {
        Ticket { companion, turn: self.current(), newest: Some(self.0.clone()) }
    }
}

/// The right to a worker's time: whose work it is, and in which turn.
#[derive(Clone, Debug)]
pub struct Ticket {
    companion: Entity,
    turn: TurnId,
    newest: Option<Arc<AtomicU64>>,
}

impl Ticket {
    /// A ticket that no newer turn makes stale, for work that must be done all the same (remembering what was said).
    pub fn standing(companion: Entity, turn: TurnId) -> Self {
        Self { companion, turn, newest: None }
    }

    /// Whose work this is.
    pub fn companion(&self) -> Entity {
        self.companion
    }

    /// The turn it belongs to.
    pub fn turn(&self) -> TurnId {
        self.turn
    }

    fn is_standing(&self) -> bool {
        self.newest.is_none()
    }

    /// Whether a newer turn has begun since.
    pub fn is_stale(&self) -> bool {
        self.newest.as_ref().is_some_and(|newest| newest.load(Ordering::Acquire) > self.turn.0)
    }
}

/// An engine's view of the request it is serving.
pub struct Turn<S: Stage> {
    ticket: Ticket,
    stop: Arc<AtomicBool>,
    outbox: Sender<Report<S>>,
}

impl<S: Stage> Turn<S> {
    /// A turn outside any app whose outputs arrive at the returned receiver, for the command line, benchmarks and tests.
    pub fn detached() -> (Self, Detached<S>) {
        let (outbox, reports) = unbounded();
        let turns = Turns::default();
        turns.begin();
        let ticket = turns.ticket(Entity::PLACEHOLDER);
        (Self { ticket, stop: Arc::default(), outbox }, Detached { reports, turns })
    }

    /// Whose work this is.
    pub fn companion(&self) -> Entity {
        self.ticket.companion
    }

    /// The turn being served.
    pub fn id(&self) -> TurnId {
        self.ticket.turn
    }

    /// Whether the work is wanted no longer. Long computations ask between steps.
    pub fn is_stale(&self) -> bool {
        self.ticket.is_stale() || (self.stop.load(Ordering::Acquire) && !self.ticket.is_standing())
    }

    /// Fails when the work is wanted no longer: a cancellation point for steps that emit nothing.
    ///
    /// # Errors
    /// [`EngineError::Superseded`].
    pub fn check(&self) -> Result<(), EngineError> {
        if self.is_stale() { Err(EngineError::Superseded) } else { Ok(()) }
    }

    /// Hands an output to the app.
    ///
    /// # Errors
    /// [`EngineError::Superseded`] when the work is wanted no longer; return it with `?`.
    pub fn emit(&self, output: S::Output) -> Result<(), EngineError> {
        self.check()?;
        let (companion, turn) = (self.ticket.companion, self.ticket.turn);
        self.outbox.send(Report::Emitted(Emitted { companion, turn, output })).map_err(|_| EngineError::Superseded)
    }
}

/// The receiving end of [`Turn::detached`].
pub struct Detached<S: Stage> {
    reports: Receiver<Report<S>>,
    turns: Turns,
}

impl<S: Stage> Detached<S> {
    /// Makes the turn stale.
    pub fn supersede(&self) {
        self.turns.begin();
    }

    /// What has been emitted and not yet taken; never waits.
    pub fn drain(&self) -> impl Iterator<Item = S::Output> + '_ {
        self.reports.try_iter().filter_map(Report::output)
    }

    /// Waits for outputs until the turn is dropped.
    pub fn wait(&self) -> impl Iterator<Item = S::Output> + '_ {
        self.reports.iter().filter_map(Report::output)
    }
}

/// An engine's output, as a Bevy message. Stale outputs are dropped before they become one.
#[derive(Message, Clone, Debug)]
pub struct Emitted<S: Stage> {
    /// Whose work it is.
    pub companion: Entity,
    /// In which turn.
    pub turn: TurnId,
    /// What came out.
    pub output: S::Output,
}

/// The end of a request, as a Bevy message. Superseded requests end without one.
#[derive(Message, Clone, Debug)]
pub struct Served<S: Stage> {
    /// Whose work it was.
    pub companion: Entity,
    /// In which turn.
    pub turn: TurnId,
    /// How it ended.
    pub result: Result<(), Arc<EngineError>>,
    stage: std::marker::PhantomData<fn() -> S>,
}

enum Report<S: Stage> {
    Emitted(Emitted<S>),
    Served { ticket: Ticket, result: Result<(), Arc<EngineError>> },
}

impl<S: Stage> Report<S> {
    fn output(self) -> Option<S::Output> {
        match self {
            Self::Emitted(emitted) => Some(emitted.output),
            Self::Served { .. } => None,
        }
    }
}

/// What a worker is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WorkerStatus {
    /// Loading its engine; requests wait in the inbox.
    #[default]
    Loading,
    /// Ready for, or serving, requests.
    Ready,
    /// The engine could not be loaded; the text says why and what to do.
    Unavailable(String),
}

/// A refused request, handed back to whoever made it.
#[derive(Debug, thiserror::Error)]
pub enum Refused<R> {
    /// The inbox is full; try again on a later frame.
    #[error("the inbox is full")]
    Full(R),
    /// The worker's thread has ended.
    #[error("the worker has stopped")]
    Stopped(R),
}

/// A thread that runs one stage's engine, shared by all companions.
#[derive(Component)]
pub struct Worker<S: Stage> {
    inbox: Option<Sender<(Ticket, S::Request)>>,
    reports: Receiver<Report<S>>,
    ended: Receiver<()>,
    stop: Arc<AtomicBool>,
    status: Arc<Mutex<WorkerStatus>>,
    unserved: Arc<AtomicU64>,
}

/// Lets the frame go first where there are fewer cores than threads. Threads that the engine starts inherit it.
fn step_back() {
    // A nice value of 5 on Linux: a third of the weight of the frame's thread. With a tenth a renderer on the processor left
    // nothing to the voice.
    if let Ok(priority) = ThreadPriorityValue::try_from(37_u8)
        && let Err(error) = set_current_thread_priority(ThreadPriority::Crossplatform(priority))
    {
        debug!("a worker keeps the priority it was born with: {error:?}");
    }
}

impl<S: Stage> Worker<S> {
    /// Starts a worker. `load` runs on the worker's thread, and runs again after a panic.
    pub fn spawn<E: Engine<S>>(load: impl Fn() -> Result<E, EngineError> + Send + 'static) -> Self {
        let (inbox, requests) = bounded(S::INBOX);
        let (outbox, reports) = unbounded();
        let (end, ended) = bounded::<()>(0);
        let stop = Arc::new(AtomicBool::new(false));
        let status = Arc::new(Mutex::new(WorkerStatus::Loading));
        let unserved = Arc::new(AtomicU64::new(0));
        let desk = Desk { requests, outbox, stop: stop.clone(), status: status.clone(), unserved: unserved.clone() };
        let spawned = thread::Builder::new().name(S::NAME.into()).spawn(move || {
            let _end = end;
            step_back();
            desk.work(load);
        });
        if let Err(error) = spawned {
            set_status(&status, WorkerStatus::Unavailable(format!("no thread could be started: {error}")));
        }
        Self { inbox: Some(inbox), reports, ended, stop, status, unserved }
    }

    /// Puts a request into the inbox; never waits.
    ///
    /// # Errors
    /// [`Refused`] hands the request back when the inbox is full or the worker has ended.
    pub fn submit(&self, ticket: Ticket, request: S::Request) -> Result<(), Refused<S::Request>> {
        let Some(inbox) = &self.inbox else { return Err(Refused::Stopped(request)) };
        self.unserved.fetch_add(1, Ordering::AcqRel);
        inbox.try_send((ticket, request)).map_err(|refused| {
            self.unserved.fetch_sub(1, Ordering::AcqRel);
            match refused {
                TrySendError::Full((_, request)) => Refused::Full(request),
                TrySendError::Disconnected((_, request)) => Refused::Stopped(request),
            }
        })
    }

    /// Whether every request has been served; reports may still wait for [`poll`].
    pub fn is_served(&self) -> bool {
        self.unserved.load(Ordering::Acquire) == 0
    }

    /// Whether every request has been served and every report been taken: nothing more will come unasked.
    pub fn is_idle(&self) -> bool {
        self.is_served() && self.reports.is_empty()
    }

    /// What the worker is doing.
    pub fn status(&self) -> WorkerStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the engine's current work stale and refuses further requests, without waiting.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.inbox = None;
    }
}

impl<S: Stage> Drop for Worker<S> {
    fn drop(&mut self) {
        self.stop();
        // The thread's end drops the sender of `ended`, so either answer within the grace means it is gone.
        if self.ended.recv_timeout(SHUTDOWN_GRACE) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            warn!("the {} engine did not stop within {SHUTDOWN_GRACE:?}; leaving it", S::NAME);
        }
    }
}

/// The worker's end of its channels, on its thread.
struct Desk<S: Stage> {
    requests: Receiver<(Ticket, S::Request)>,
    outbox: Sender<Report<S>>,
    stop: Arc<AtomicBool>,
    status: Arc<Mutex<WorkerStatus>>,
    unserved: Arc<AtomicU64>,
}

impl<S: Stage> Desk<S> {
    fn work<E: Engine<S>>(self, load: impl Fn() -> Result<E, EngineError>) {
        let mut engine = self.load(&load);
        for (ticket, request) in &self.requests {
            let result = self.serve(&mut engine, &ticket, request);
            if let Err(EngineError::Panicked { .. }) = result {
                engine = self.load(&load);
            }
            if !matches!(result, Err(EngineError::Superseded)) {
                // Nobody is left to take the report once the worker is dropped; the requests are served all the same.
                let _ = self.outbox.send(Report::Served { ticket, result: result.map_err(Arc::new) });
            }
            self.unserved.fetch_sub(1, Ordering::AcqRel);
        }
        // A panic while an engine is dropped (a model's destructor) must not abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
    }

    fn serve<E: Engine<S>>(
        &self,
        engine: &mut Result<E, String>,
        ticket: &Ticket,
        request: S::Request,
    ) -> Result<(), EngineError> {
        let turn = Turn { ticket: ticket.clone(), stop: self.stop.clone(), outbox: self.outbox.clone() };
        // A standing request is never stale, so it is served even while the app is closing.
        turn.check()?;
        let engine =
            engine.as_mut().map_err(|reason| EngineError::Unavailable { stage: S::NAME, reason: reason.clone() })?;
        catch_unwind(AssertUnwindSafe(|| engine.serve(request, &turn))).unwrap_or_else(|panic| {
            Err(EngineError::Panicked { stage: S::NAME, message: panic_message(panic.as_ref()) })
        })
    }

    fn load<E: Engine<S>>(&self, load: &impl Fn() -> Result<E, EngineError>) -> Result<E, String> {
        set_status(&self.status, WorkerStatus::Loading);
        let loaded = catch_unwind(AssertUnwindSafe(load))
            .map_err(|panic| format!("it panicked while loading: {}", panic_message(panic.as_ref())))
            .and_then(|loaded| loaded.map_err(|error| error.to_string()));
        match &loaded {
            Ok(_) => set_status(&self.status, WorkerStatus::Ready),
            Err(reason) => {
                error!("the {} engine is not available: {reason}", S::NAME);
                set_status(&self.status, WorkerStatus::Unavailable(reason.clone()));
            }
        }
        loaded
    }
}

fn set_status(status: &Mutex<WorkerStatus>, new: WorkerStatus) {
    *status.lock().unwrap_or_else(PoisonError::into_inner) = new;
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Drains what the workers of one stage have sent back. Runs in [`CompanionSystems::Poll`].
pub fn poll<S: Stage>(
    workers: Query<&Worker<S>>,
    companions: Query<&Turns>,
    mut emitted: MessageWriter<Emitted<S>>,
    mut served: MessageWriter<Served<S>>,
) {
    for worker in &workers {
        for report in worker.reports.try_iter() {
            match report {
                Report::Emitted(output) => {
                    emitted.write(output);
                }
                Report::Served { ticket, result } => {
                    let (companion, turn) = (ticket.companion, ticket.turn);
                    if !ticket.is_stale() && (companions.contains(companion) || result.is_err()) {
                        served.write(Served { companion, turn, result, stage: std::marker::PhantomData });
                    }
                }
            }
        }
    }
}

/// Stops all workers of one stage at once when the app exits, so that dropping them one by one is quick.
pub fn stop_on_exit<S: Stage>(mut exits: MessageReader<AppExit>, mut workers: Query<&mut Worker<S>>) {
    if exits.read().next().is_some() {
        workers.iter_mut().for_each(|mut worker| worker.stop());
    }
}

/// Adds a stage's messages and systems to an app; every plugin that needs the stage may call it.
pub fn add_stage<S: Stage>(app: &mut App) {
    if app.world().contains_resource::<Messages<Emitted<S>>>() {
        return;
    }
    app.add_message::<Emitted<S>>()
        .add_message::<Served<S>>()
        .add_systems(PreUpdate, poll::<S>.in_set(CompanionSystems::Poll))
        .add_systems(Last, stop_on_exit::<S>);
}

/// Adds a stage to an app together with the worker that does its work.
pub fn add_worker<S: Stage>(app: &mut App, worker: Worker<S>) {
    add_stage::<S>(app);
    app.world_mut().spawn((Name::new(S::NAME), worker));
}

/// The order of a frame. `Poll` is in `PreUpdate`, `Listen` to `Animate` are chained in `Update`, `Flush` is in `PostUpdate`.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompanionSystems {
    /// What workers have sent back becomes messages.
    Poll,
    /// Speech and typed text open turns.
    Listen,
    /// Recollections are asked for and taken in.
    Recall,
    /// The brain is prompted, its tokens become sentences.
    Think,
    /// Sentences go to the voice, speech to playback.
    Speak,
    /// The playback cursor and the cues move the avatar.
    Animate,
    /// Events leave for the outside.
    Flush,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Stage for Echo {
        const NAME: &'static str = "echo";
        const INBOX: usize = 2;
        type Request = &'static str;
        type Output = String;
    }

    /// Repeats what it is told for as long as it is wanted; panics and fails on request.
    struct Parrot(crossbeam_channel::Sender<&'static str>);

    impl Engine<Echo> for Parrot {
        fn serve(&mut self, request: &'static str, turn: &Turn<Echo>) -> Result<(), EngineError> {
            let _ = self.0.send(request);
            match request {
                "panic" => panic!("squawk"),
                "fail" => Err(EngineError::failed("no seeds")),
                "forever" => loop {
                    turn.check()?;
                    thread::sleep(Duration::from_millis(1));
                },
                text => turn.emit(text.to_owned()),
            }
        }
    }

    struct Cage {
        app: App,
        worker: Entity,
        turns: [(Entity, Turns); 2],
        begun: crossbeam_channel::Receiver<&'static str>,
    }

    impl Cage {
        fn new() -> Self {
            let mut app = App::new();
            app.add_plugins(MinimalPlugins);
            add_stage::<Echo>(&mut app);
            let (begin, begun) = unbounded();
            let worker = app.world_mut().spawn(Worker::spawn(move || Ok(Parrot(begin.clone())))).id();
            let turns = [(); 2].map(|()| {
                let turns = Turns::default();
                turns.begin();
                (app.world_mut().spawn(turns.clone()).id(), turns)
            });
            Self { app, worker, turns, begun }
        }

        fn worker(&self) -> &Worker<Echo> {
            self.app.world().get(self.worker).unwrap()
        }

        fn submit(&self, companion: usize, request: &'static str) -> Result<(), Refused<&'static str>> {
            let (entity, turns) = &self.turns[companion];
            self.worker().submit(turns.ticket(*entity), request)
        }

        /// What has been said, and how requests ended, once the worker is idle.
        fn outcome(&mut self) -> (Vec<String>, Vec<Result<(), String>>) {
            let (mut said, mut ended) = (Vec::new(), Vec::new());
            for _ in 0..5000 {
                self.app.update();
                let world = self.app.world_mut();
                said.extend(world.resource_mut::<Messages<Emitted<Echo>>>().drain().map(|emitted| emitted.output));
                let mut served = world.resource_mut::<Messages<Served<Echo>>>();
                ended.extend(served.drain().map(|served| served.result.map_err(|error| error.to_string())));
                if self.worker().is_idle() {
                    return (said, ended);
                }
                thread::sleep(Duration::from_millis(1));
            }
            panic!("the worker never became idle");
        }
    }

    #[test]
    fn outputs_come_back_as_messages_in_order() {
        let mut cage = Cage::new();
        cage.submit(0, "a").unwrap();
        cage.submit(1, "b").unwrap();
        let (said, ended) = cage.outcome();
        assert_eq!((said, ended), (vec!["a".to_owned(), "b".to_owned()], vec![Ok(()), Ok(())]));
    }

    #[test]
    fn a_newer_turn_takes_back_only_its_own_companions_work() {
        let mut cage = Cage::new();
        cage.submit(0, "forever").unwrap();
        assert_eq!(cage.begun.recv().unwrap(), "forever");
        cage.submit(0, "stale").unwrap();
        cage.submit(1, "other").unwrap();
        cage.turns[0].1.begin();
        let (said, ended) = cage.outcome();
        assert_eq!((said, ended), (vec!["other".to_owned()], vec![Ok(())]));
    }

    #[test]
    fn a_panic_is_reported_and_survived() {
        let mut cage = Cage::new();
        cage.submit(0, "panic").unwrap();
        cage.submit(0, "still here").unwrap();
        let (said, ended) = cage.outcome();
        assert_eq!(said, ["still here"]);
        assert!(ended[0].as_ref().unwrap_err().contains("squawk"), "{ended:?}");
        assert_eq!(ended[1], Ok(()));
    }

    #[test]
    fn a_full_inbox_hands_the_request_back() {
        let mut cage = Cage::new();
        cage.submit(0, "forever").unwrap();
        cage.begun.recv().unwrap();
        cage.submit(0, "1").unwrap();
        cage.submit(0, "2").unwrap();
        assert!(matches!(cage.submit(0, "3"), Err(Refused::Full("3"))));
        cage.turns[0].1.begin();
        assert_eq!(cage.outcome().0, Vec::<String>::new());
    }

    #[test]
    fn errors_and_engines_that_do_not_load_are_reported() {
        let mut cage = Cage::new();
        cage.submit(0, "fail").unwrap();
        assert_eq!(cage.outcome().1, [Err("no seeds".to_owned())]);

        let broken = Worker::<Echo>::spawn(|| Err::<Parrot, _>(EngineError::failed("no model")));
        *cage.app.world_mut().get_mut::<Worker<Echo>>(cage.worker).unwrap() = broken;
        cage.submit(0, "hello").unwrap();
        let ended = cage.outcome().1;
        assert!(ended[0].as_ref().unwrap_err().contains("no model"), "{ended:?}");
        assert_eq!(cage.worker().status(), WorkerStatus::Unavailable("no model".into()));
    }

    #[test]
    fn a_dropped_worker_ends_its_thread_but_serves_what_must_not_be_lost() {
        let cage = Cage::new();
        cage.submit(0, "forever").unwrap();
        assert_eq!(cage.begun.recv().unwrap(), "forever");
        let (entity, turns) = &cage.turns[0];
        cage.worker().submit(Ticket::standing(*entity, turns.current()), "remember").unwrap();
        let begun = cage.begun.clone();
        drop(cage);
        assert_eq!(begun.iter().collect::<Vec<_>>(), ["remember"]);
    }
}
