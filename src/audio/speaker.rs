//! The speaker: where all companions' voices are mixed, and the clock of what is heard.
//!
//! It talks to the device through cpal itself and not through Bevy's or kira's audio, because those keep the device's
//! playback timestamp to themselves: their positions run ahead of the ear by the device's buffers, and the cursor is the
//! companion's clock. cpal gives, with every buffer, the moment at which it will be heard.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bevy::{platform::cell::SyncCell, prelude::*};
use rtrb::{Consumer, RingBuffer};
use serde::{Deserialize, Serialize};

use super::{
    Pcm, Playback,
    keeper::Keeper,
    mixer::{Doors, Mixer},
    output::{Desk, keep},
    resample,
    strip::Strip,
};

/// The rate of the desk while no device names one, in hertz.
const RATE: u32 = 48_000;
/// Frames that are mixed at a time while no device asks for them: 10 ms.
const BLOCK: usize = 480;
/// How far behind real time the desk catches up after a long frame.
const CATCH_UP: f64 = 2.0;
/// How much sound is kept for the recording between two frames, in seconds.
const TAP: usize = 20;

/// What plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpeakerBackend {
    /// The sound card. While there is none, speech goes on in real time, unheard, until there is one.
    #[default]
    Device,
    /// Nothing: companions speak in real time, unheard.
    Null,
    /// Nothing, and time is Bevy's `Time`: for tests, whose clock they set.
    Manual,
}

/// How the speaker is set up.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SpeakerConfig {
    /// What plays.
    pub backend: SpeakerBackend,
    /// The device's id or description, or a part of it (see `device_names`); the system's default when left out.
    pub device: Option<String>,
    /// The length of the device's buffer, in milliseconds, 5 to 500: more of it survives a busier machine, less of it
    /// stops sooner. The cursor allows for it.
    pub buffer_ms: u32,
    /// How loud everything plays: 1 is as the voices made it.
    pub volume: f32,
    /// Whether to keep everything that is played, for [`Speaker::take_recording`].
    pub record: bool,
}

impl Default for SpeakerConfig {
    fn default() -> Self {
        Self { backend: SpeakerBackend::Device, device: None, buffer_ms: 80, volume: 1.0, record: false }
    }
}

/// How the speaker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeakerStatus {
    /// The device is being opened for the first time.
    Opening,
    /// The device of this name plays.
    Playing(String),
    /// There is no device, for this reason: speech goes on unheard, and the device is tried again every few seconds.
    Lost(String),
    /// Nothing is meant to be heard ([`SpeakerBackend::Null`] and [`SpeakerBackend::Manual`]).
    Silent,
}

/// Mixes every [`Playback`] and plays the sum.
///
/// Nothing here makes a frame wait. Dropping it closes the device.
#[derive(Resource)]
pub struct Speaker {
    desk: Arc<Desk>,
    doors: SyncCell<Doors>,
    /// Strips for which there was no room at the door.
    #[expect(clippy::vec_box, reason = "the box goes through the door as it is")]
    arrivals: SyncCell<Vec<Box<Strip>>>,
    backend: SpeakerBackend,
    now: f64,
    /// Until when the frames, and not a device, have made sound.
    mixed: f64,
    scratch: Vec<f32>,
    recording: Option<Recording>,
    _keeper: Option<Keeper>,
}

/// Everything played so far: the parts differ in rate.
struct Recording {
    tap: SyncCell<Consumer<f32>>,
    parts: Vec<(u32, Vec<f32>)>,
}

impl Recording {
    fn drain(&mut self, rate: u32) {
        if self.parts.last().is_none_or(|(last, _)| *last != rate) {
            self.parts.push((rate, Vec::new()));
        }
        let tap = self.tap.get();
        if let (Some((_, samples)), Ok(chunk)) = (self.parts.last_mut(), tap.read_chunk(tap.slots())) {
            samples.extend(chunk);
        }
    }
}

impl Speaker {
    /// Opens a speaker. It never fails: without a device, speech goes on unheard and the device is tried again;
    /// [`status`](Self::status) tells.
    pub fn open(config: &SpeakerConfig) -> Self {
        let (tap, recording) = if config.record {
            let (tap, tapped) = RingBuffer::new(TAP * RATE as usize);
            (Some(tap), Some(Recording { tap: SyncCell::new(tapped), parts: Vec::new() }))
        } else {
            (None, None)
        };
        let volume = if config.volume.is_finite() { config.volume.max(0.0) } else { 1.0 };
        let (mixer, doors) = Mixer::new(RATE, volume, tap);
        let is_device = config.backend == SpeakerBackend::Device;
        let desk = Arc::new(Desk {
            mixer: Mutex::new(mixer),
            rate: AtomicU32::new(RATE),
            driven: AtomicBool::new(false),
            started: Instant::now(),
            status: Mutex::new(if is_device { SpeakerStatus::Opening } else { SpeakerStatus::Silent }),
        });
        Self {
            doors: SyncCell::new(doors),
            arrivals: SyncCell::new(Vec::new()),
            backend: config.backend,
            now: 0.0,
            mixed: 0.0,
            scratch: vec![0.0; BLOCK],
            recording,
            _keeper: is_device.then(|| keep(config, &desk)).flatten(),
            desk,
        }
    }

    /// The time on the clock that cursors follow, in seconds since the speaker was opened.
    pub fn now(&self) -> f64 {
        self.now
    }

    /// How it is doing.
    pub fn status(&self) -> SpeakerStatus {
        self.desk.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rate at which sound is mixed, in hertz: the device's.
    pub fn rate(&self) -> u32 {
        self.desk.rate.load(Ordering::Acquire)
    }

    /// Everything that was played since the last call, silence included, in mono. `None` unless
    /// [`SpeakerConfig::record`] was set.
    pub fn take_recording(&mut self) -> Option<Pcm> {
        let rate = self.rate();
        let recording = self.recording.as_mut()?;
        recording.drain(rate);
        let parts = std::mem::take(&mut recording.parts).into_iter().map(|(rate, samples)| Pcm::new(samples, rate));
        let samples: Vec<f32> = parts.flat_map(|part| resample(&part, rate).samples.to_vec()).collect();
        Some(Pcm::new(samples, rate))
    }

    /// Opens a playback's line, if it has none yet, and sends what it has to say.
    pub fn attach(&mut self, playback: &mut Playback) {
        let (arrivals, doors) = (self.arrivals.get(), self.doors.get());
        arrivals.extend(playback.connect());
        while doors.retired.pop().is_ok() {}
        while !arrivals.is_empty() && !doors.newcomers.is_full() {
            let _ = doors.newcomers.push(arrivals.swap_remove(0));
        }
        playback.send(self.rate());
    }

    /// Moves the clock on: by `delta` for [`SpeakerBackend::Manual`], to the present otherwise.
    pub fn advance(&mut self, delta: Duration) {
        let earlier = self.now;
        self.now = match self.backend {
            SpeakerBackend::Manual => self.now + delta.as_secs_f64(),
            SpeakerBackend::Device | SpeakerBackend::Null => self.desk.seconds(),
        };
        if self.desk.driven.load(Ordering::Acquire) {
            self.mixed = self.now;
        } else {
            if self.backend != SpeakerBackend::Manual && earlier > 0.0 {
                self.mixed = self.mixed.max(self.now - CATCH_UP);
            }
            self.mix();
        }
        let rate = self.rate();
        if let Some(recording) = &mut self.recording {
            recording.drain(rate);
        }
    }

    /// Does what a device would: asks for the sound of the time that has passed.
    fn mix(&mut self) {
        let desk = self.desk.clone();
        let Some(mut mixer) = desk.try_mixer() else { return };
        let rate = f64::from(mixer.rate());
        if self.recording.is_none() && mixer.is_idle() {
            self.mixed = self.now;
            return;
        }
        // Half a frame of rounding must not leave the last frame of a step to the next one.
        let mut frames = ((self.now - self.mixed) * rate + 1e-6).floor().max(0.0) as usize;
        while frames > 0 {
            let count = frames.min(BLOCK);
            mixer.render(&mut self.scratch[..count], 1, self.mixed);
            self.mixed += count as f64 / rate;
            frames -= count;
            if let Some(recording) = &mut self.recording {
                recording.drain(mixer.rate());
            }
        }
    }
}

/// Sends speech to the speaker, moves its clock on, and every cursor with it.
pub(super) fn advance(time: Res<Time>, mut speaker: ResMut<Speaker>, mut playbacks: Query<&mut Playback>) {
    for mut playback in &mut playbacks {
        speaker.attach(&mut playback);
    }
    speaker.advance(time.delta());
    let now = speaker.now();
    for mut playback in &mut playbacks {
        playback.listen(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual(record: bool) -> Speaker {
        Speaker::open(&SpeakerConfig { backend: SpeakerBackend::Manual, record, ..default() })
    }

    fn tone(seconds: f64, rate: u32) -> Pcm {
        let frames = (seconds * f64::from(rate)) as usize;
        Pcm::new((0..frames).map(|n| (n as f32 * 0.1).sin() * 0.5).collect::<Vec<_>>(), rate)
    }

    #[test]
    fn a_host_that_sets_the_time_hears_exactly_that_much() {
        let mut speaker = manual(true);
        let mut playback = Playback::default();
        playback.push(0, tone(1.0, 24_000), 0..10, true);
        for step in 1..=12 {
            speaker.attach(&mut playback);
            speaker.advance(Duration::from_millis(100));
            playback.listen(speaker.now());
            if let Some(cursor) = playback.cursor() {
                let ahead = step as f64 * 0.1 - cursor.seconds;
                assert!((0.0..0.006).contains(&ahead), "step {step}: {cursor:?}");
            } else {
                assert!(step >= 10, "silent at step {step}");
            }
        }
        assert!(playback.is_idle() && !playback.is_sounding());
        let recording = speaker.take_recording().unwrap();
        assert_eq!((recording.rate, recording.samples.len()), (48_000, 57_600));
        assert!((recording.rms() - 0.3536 * (1.0_f32 / 1.2).sqrt()).abs() < 0.002);
        assert!(speaker.take_recording().unwrap().samples.is_empty());
    }

    #[test]
    fn hours_of_silence_cost_nothing() {
        let mut speaker = manual(false);
        let mut playback = Playback::default();
        for _ in 0..10 {
            speaker.attach(&mut playback);
            speaker.advance(Duration::from_secs(36_000));
        }
        playback.push(0, tone(0.5, 24_000), 0..1, true);
        speaker.attach(&mut playback);
        speaker.advance(Duration::from_millis(100));
        playback.listen(speaker.now());
        assert!((playback.cursor().unwrap().seconds - 0.1).abs() < 0.006);
    }

    #[test]
    fn the_configuration_reads_as_it_is_documented() {
        let config: SpeakerConfig = toml::from_str("backend = \"null\"\nbuffer-ms = 40\nrecord = true").unwrap();
        assert_eq!((config.backend, config.buffer_ms, config.volume), (SpeakerBackend::Null, 40, 1.0));
        assert!(toml::from_str::<SpeakerConfig>("bufer-ms = 1").is_err());
    }
}
