//! Threads that wait for short pieces of work.
//!
//! A token takes some hundred products of ten to a hundred microseconds each, so handing over must cost about one.
//! Workers therefore watch a word in memory for a while before they sleep, and a call allocates nothing and takes no
//! lock.
//!
//! A call announces its job by opening the word [`State`]; workers enter by adding one to it, claim parts from a
//! counter until there are none, and leave by taking one off. The caller takes parts too, then closes the word and
//! waits for those inside. A worker that never came, because something else had its core, is not waited for, and one
//! that lost its core inside delays the call by the one part that it holds.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::path::Path;

/// Threads that share the parts of a job with its caller, and the instructions they use.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    /// The handles by which workers are woken, in the order of [`Shared::asleep`].
    wake: Vec<Thread>,
    workers: Vec<JoinHandle<()>>,
    path: Path,
}

/// A number on a cache line of its own, so that writing it does not disturb those who read its neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone<T>(T);

/// How a job is called: the closure, and the number of the part.
type Call = unsafe fn(*const (), usize);

#[derive(Debug, Default)]
struct Shared {
    /// [`OPEN`] while there is a job, plus the number of workers inside, plus [`ROUND`] for each job so far.
    state: Alone<AtomicUsize>,
    /// The next part to be claimed.
    next: Alone<AtomicUsize>,
    /// The job's closure, the function that calls it, and its number of parts: written before opening, read inside.
    closure: AtomicPtr<()>,
    call: AtomicPtr<()>,
    parts: AtomicUsize,
    /// Whether a call is going on.
    busy: Alone<AtomicBool>,
    /// Which workers sleep or are about to.
    asleep: Vec<Alone<AtomicBool>>,
    stop: AtomicBool,
    /// What the first part to panic said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    panicked: AtomicBool,
    spin: Duration,
}

/// Set in the state while workers may enter.
const OPEN: usize = 1 << 16;
/// The part of the state that counts workers inside.
const INSIDE: usize = OPEN - 1;
/// What each job adds to the state, so that a worker tells it from the last one.
const ROUND: usize = OPEN << 1;

/// How long workers watch for work before they sleep.
pub const SPIN: Duration = Duration::from_micros(60);

impl Pool {
    /// A pool of `threads` threads, the caller's included, with the machine's best instructions. With 1 (or 0)
    /// everything runs where it is called.
    pub fn new(threads: usize) -> Self {
        Self::with(threads, Path::best(), SPIN)
    }

    /// As [`Pool::new`], with a choice of instructions and of how long workers watch for work before they sleep.
    pub fn with(threads: usize, path: Path, spin: Duration) -> Self {
        let count = threads.saturating_sub(1).min(INSIDE);
        let asleep = (0..count).map(|_| Alone::default()).collect();
        let shared = Arc::new(Shared { asleep, spin, ..Shared::default() });
        let start = |n: usize| {
            let shared = shared.clone();
            thread::Builder::new().name(format!("kernels-{}", n + 1)).spawn(move || shared.work(n))
        };
        // A machine that gives no more threads leaves a smaller pool.
        let workers: Vec<_> = (0..count).map_while(|n| start(n).ok()).collect();
        let wake = workers.iter().map(|worker| worker.thread().clone()).collect();
        Self { shared, wake, workers, path }
    }

    /// The threads that a call can use, the caller's included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// The instructions that kernels use with this pool.
    pub fn path(&self) -> Path {
        self.path
    }

    /// How many parts to make of `items` equal items: more than threads, so that a slow one gets fewer.
    pub(super) fn chunks(&self, items: usize) -> usize {
        let parts = if self.workers.is_empty() { 1 } else { self.threads() * 6 };
        items.min(parts)
    }

    /// Calls `part` with each number below `parts`, on the caller's thread and any others that come to help, and
    /// returns when all are done. If another call is going on, or `parts` is 1, all run on the caller's.
    ///
    /// # Panics
    /// As a part does; other parts may then not have run. The pool remains of use.
    pub fn run<F: Fn(usize) + Sync>(&self, parts: usize, part: F) {
        let shared = &*self.shared;
        if parts <= 1 || self.workers.is_empty() || shared.busy.0.swap(true, Acquire) {
            (0..parts).for_each(part);
            return;
        }
        /// Calls the closure behind the pointer.
        ///
        /// # Safety
        /// It is a reference to an `F`.
        unsafe fn call<F: Fn(usize)>(closure: *const (), part: usize) {
            // SAFETY: the caller vouches for it.
            unsafe { (*closure.cast::<F>())(part) }
        }
        // Nobody is inside, so nobody reads these; opening publishes them.
        shared.closure.store((&raw const part).cast_mut().cast(), Relaxed);
        shared.call.store(call::<F> as Call as *mut (), Relaxed);
        shared.parts.store(parts, Relaxed);
        shared.next.0.store(0, Relaxed);
        let round = (shared.state.0.load(Relaxed) & !INSIDE).wrapping_add(ROUND);
        // Sequentially consistent, with the same in `sleep`: either the worker sees the state or we see it asleep.
        shared.state.0.store(round | OPEN, SeqCst);
        for (asleep, worker) in shared.asleep.iter().zip(&self.wake) {
            if asleep.0.load(SeqCst) && asleep.0.swap(false, SeqCst) {
                worker.unpark();
            }
        }
        // SAFETY: this is the job just published, and `part` lives until the end of this function, which no worker
        // outstays: it waits for those inside, and none enters once it is closed.
        unsafe { shared.take_parts(&raw const part as *const (), call::<F>, parts) };
        shared.state.0.fetch_and(!OPEN, SeqCst);
        let mut patience = Patience::default();
        while shared.state.0.load(Acquire) & INSIDE != 0 {
            patience.wait();
        }
        let panic = shared.panicked.swap(false, Acquire).then(|| shared.lock().take()).flatten();
        shared.busy.0.store(false, Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for worker in &self.wake {
            worker.unpark();
        }
        for worker in self.workers.drain(..) {
            // A worker cannot panic: parts are caught.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs parts until all are claimed.
    ///
    /// # Safety
    /// `call` may be called with `closure` for the whole time.
    unsafe fn take_parts(&self, closure: *const (), call: Call, parts: usize) {
        loop {
            let part = self.next.0.fetch_add(1, Relaxed);
            if part >= parts {
                return;
            }
            // SAFETY: the caller vouches for it. What a panic leaves behind is the closure's affair, as it would be
            // had it panicked on the caller's thread: the panic is passed on to there.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| unsafe { call(closure, part) })) {
                self.lock().get_or_insert(panic);
                self.panicked.store(true, Release);
                // The others need not be begun.
                self.next.0.fetch_max(parts, Relaxed);
            }
        }
    }

    /// What worker `n` does all its life.
    fn work(&self, n: usize) {
        let mut seen = 0;
        while !self.stop.load(Acquire) {
            let state = self.state.0.load(Acquire);
            if state & OPEN == 0 || state & !INSIDE == seen {
                self.wait(n, seen);
                continue;
            }
            // Entering fails if the job was closed or another worker came in between.
            if self.state.0.compare_exchange(state, state + 1, AcqRel, Relaxed).is_err() {
                continue;
            }
            seen = state & !INSIDE;
            let (closure, parts) = (self.closure.load(Relaxed), self.parts.load(Relaxed));
            // SAFETY: the pointer was made of a `Call`, and it is not null while a job is open.
            let call = unsafe { std::mem::transmute::<*mut (), Call>(self.call.load(Relaxed)) };
            // SAFETY: the caller of the job waits for this worker to leave.
            unsafe { self.take_parts(closure, call, parts) };
            self.state.0.fetch_sub(1, AcqRel);
        }
    }

    /// Whether there is anything for a worker who has seen the job `seen`.
    fn news(&self, seen: usize) -> bool {
        let state = self.state.0.load(SeqCst);
        state & OPEN != 0 && state & !INSIDE != seen || self.stop.load(SeqCst)
    }

    /// Waits for a job other than `seen`, or the end: watches for a while, then sleeps.
    fn wait(&self, n: usize, seen: usize) {
        let start = Instant::now();
        let mut patience = Patience::default();
        while start.elapsed() < self.spin {
            for _ in 0..16 {
                if self.news(seen) {
                    return;
                }
                patience.wait();
            }
        }
        let asleep = &self.asleep[n].0;
        asleep.store(true, SeqCst);
        while asleep.load(SeqCst) && !self.news(seen) {
            thread::park();
        }
        asleep.store(false, SeqCst);
    }
}

/// Waiting that first only burns time and then lets others have the core.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    fn wait(&mut self) {
        self.0 += 1;
        match self.0 {
            // About ten microseconds: as long as a small part takes.
            0..400 => std::hint::spin_loop(),
            400..4000 => thread::yield_now(),
            // Whoever is waited for has lost its core for longer than yielding helps.
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}
