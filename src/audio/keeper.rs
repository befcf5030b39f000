//! A device stream that is opened, watched, and opened again when it is lost, on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bevy::prelude::*;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::{AudioError, device::is_passing};

/// A stream that has called nobody for so long is dead, whatever it says.
const STALLED: Duration = Duration::from_secs(3);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long to wait before the first attempt to open a lost device again; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// How long a dropped keeper waits for its thread.
const GRACE: Duration = Duration::from_millis(500);

/// What becomes of a stream.
pub(super) enum Kept {
    /// It runs, on the device of this name.
    Opened(String),
    /// It could not be opened, or it ended.
    Lost(AudioError),
}

/// Where a stream's callbacks report.
#[derive(Clone)]
pub(super) struct Pulse {
    beats: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    errors: Sender<cpal::Error>,
}

impl Pulse {
    /// The stream is alive. Call it from the data callback, and do nothing there when it says false: the stream has been
    /// given up.
    pub(super) fn beat(&self) -> bool {
        self.beats.fetch_add(1, Ordering::Relaxed);
        !self.over.load(Ordering::Acquire)
    }

    /// The stream has met an error. Call it from the error callback.
    pub(super) fn error(&self, error: cpal::Error) {
        if is_passing(&error) {
            debug!("sound stream: {error}");
        } else {
            // A broken stream may repeat itself without end; once is enough.
            let _ = self.errors.try_send(error);
        }
    }
}

/// Keeps one stream open until it is dropped.
pub(super) struct Keeper {
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Starts to keep what `open` opens. `report` is told what becomes of it, on the keeper's thread, and `explain` says
    /// what an error of a running stream means.
    pub(super) fn start<S: Send + 'static>(
        name: &str,
        mut open: impl FnMut(Pulse) -> Result<(S, String), AudioError> + Send + 'static,
        explain: impl Fn(&cpal::Error) -> AudioError + Send + 'static,
        mut report: impl FnMut(Kept) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let (ending, ended) = bounded(0);
        let work = move || {
            let _ending: Sender<()> = ending;
            let mut wait = FIRST_WAIT;
            loop {
                let (errors, failures) = bounded(1);
                let pulse = Pulse { beats: Arc::default(), over: Arc::default(), errors };
                match open(pulse.clone()) {
                    Ok((stream, device)) => {
                        wait = FIRST_WAIT;
                        report(Kept::Opened(device));
                        let error = watch(&pulse.beats, &failures, &stopped);
                        pulse.over.store(true, Ordering::Release);
                        let Some(error) = error else { return close(stream) };
                        report(Kept::Lost(explain(&error)));
                        close(stream);
                    }
                    Err(error) => report(Kept::Lost(error)),
                }
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        };
        thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(Self { stop: Some(stop), ended })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.take();
        if self.ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
            debug!("a sound device takes its time to close; leaving it");
        }
    }
}

/// Closes a stream, or leaves it: PulseAudio's client can wait for itself for ever when its server has died.
fn close<S: Send + 'static>(stream: S) {
    let (closing, closed) = bounded::<()>(0);
    let work = move || {
        drop(stream);
        drop(closing);
    };
    if thread::Builder::new().name("sound closing".into()).spawn(work).is_ok() {
        let _ = closed.recv_timeout(GRACE / 2);
    }
}

/// Waits for a stream to fail; `None` when it is to be closed.
fn watch(beats: &AtomicU64, failures: &Receiver<cpal::Error>, stopped: &Receiver<()>) -> Option<cpal::Error> {
    let (mut seen, mut still) = (u64::MAX, Duration::ZERO);
    loop {
        crossbeam_channel::select! {
            recv(stopped) -> _ => return None,
            recv(failures) -> failure => {
                let gone = || cpal::Error::new(cpal::ErrorKind::StreamInvalidated);
                return Some(failure.unwrap_or_else(|_| gone()));
            }
            default(LOOK) => {
                let beat = beats.load(Ordering::Relaxed);
                still = if beat == seen { still + LOOK } else { Duration::ZERO };
                if still >= STALLED {
                    let reason = format!("the device has stood still for {} s", STALLED.as_secs());
                    return Some(cpal::Error::with_message(cpal::ErrorKind::DeviceNotAvailable, reason));
                }
                seen = beat;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(reason: &'static str) -> AudioError {
        AudioError::NoDevice { direction: super::super::Direction::Output, reason: reason.into() }
    }

    /// A stream that never finishes closing.
    struct Stuck(Pulse);

    impl Drop for Stuck {
        fn drop(&mut self) {
            assert!(!self.0.beat(), "its callbacks still count");
            loop {
                thread::park();
            }
        }
    }

    #[test]
    fn a_stream_that_does_not_close_is_left_behind() {
        let (told, news) = bounded(16);
        let keeper = Keeper::start(
            "keeper test",
            |pulse| {
                pulse.error(cpal::ErrorKind::StreamInvalidated.into());
                Ok((Stuck(pulse), "stuck".into()))
            },
            |_| gone("unplugged"),
            move |kept| told.send(matches!(kept, Kept::Opened(_))).unwrap_or_default(),
        );
        assert_eq!(news.iter().take(3).collect::<Vec<_>>(), [true, false, true]);
        drop(keeper);
    }

    #[test]
    fn a_lost_stream_is_opened_again_and_a_dropped_keeper_ends() {
        let (told, news) = bounded(16);
        let mut attempts = 0;
        let keeper = Keeper::start(
            "keeper test",
            move |pulse| {
                attempts += 1;
                pulse.beat();
                match attempts {
                    1 => {
                        pulse.error(cpal::ErrorKind::Xrun.into());
                        pulse.error(cpal::ErrorKind::StreamInvalidated.into());
                        pulse.error(cpal::ErrorKind::StreamInvalidated.into());
                        Ok((pulse, "first".into()))
                    }
                    2 => Err(gone("still away")),
                    _ => Ok((pulse, "second".into())),
                }
            },
            |_| gone("unplugged"),
            move |kept| {
                let _ = told.send(match kept {
                    Kept::Opened(device) => device,
                    Kept::Lost(error) => error.to_string(),
                });
            },
        );
        let news: Vec<String> = news.iter().take(4).collect();
        assert_eq!((&news[0][..], &news[3][..]), ("first", "second"));
        assert!(news[1].contains("unplugged") && news[2].contains("still away"), "{news:?}");
        drop(keeper);
    }
}
