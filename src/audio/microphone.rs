//! The microphone: any device, as 16 kHz mono.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use bevy::prelude::*;
use cpal::{
    InputCallbackInfo, Sample, SizedSample, Stream,
    traits::{DeviceTrait, StreamTrait},
};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rtrb::{Consumer, Producer, RingBuffer};
use serde::{Deserialize, Serialize};

use super::{
    AudioError, Direction, Resampler,
    device::{Found, explain, find, with_sample_type},
    keeper::{Keeper, Kept, Pulse},
};

/// The rate that hearing works at, in hertz.
const RATE: u32 = 16_000;
/// Samples a block: 10 ms.
const BLOCK: usize = 160;
/// How much sound waits for a busy listener, in seconds.
const BACKLOG: usize = 4;
/// How long a device may take to open.
const PATIENCE: Duration = Duration::from_secs(10);
/// The listener looks this often, should nobody wake it.
const LOOK: Duration = Duration::from_millis(20);

/// How the microphone is set up.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct MicrophoneConfig {
    /// The device's id or description, or a part of it (see `device_names`); the system's default when left out.
    pub device: Option<String>,
    /// How much sound comes at a time, in milliseconds, 5 to 200.
    pub buffer_ms: u32,
}

impl Default for MicrophoneConfig {
    fn default() -> Self {
        Self { device: None, buffer_ms: 20 }
    }
}

/// What becomes of a microphone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicrophoneEvent {
    /// It listens, through the device of this name.
    Opened(String),
    /// It hears nothing, for this reason; it is tried again every few seconds.
    Lost(String),
}

/// An open microphone. Dropping it closes the device.
pub struct Microphone {
    muted: Arc<AtomicBool>,
    events: Receiver<MicrophoneEvent>,
    name: String,
    // The device closes first, and the listener ends with it.
    _keeper: Keeper,
    _listener: Listener,
}

impl Microphone {
    /// Opens the microphone and hands its sound to `on_block`, as 16 kHz mono, 160 samples (10 ms) at a time.
    ///
    /// `on_block` runs on a thread of the microphone's own, not in the device's callback, so it may take its time: up to
    /// 4 s of sound wait for it. When the device is lost no blocks come until it is back. Opening may take a second;
    /// do not call it from a system.
    ///
    /// # Errors
    /// [`AudioError::NoDevice`] without a microphone, [`AudioError::UnknownDevice`] for a name that no device has,
    /// [`AudioError::Device`] for one that cannot be opened.
    pub fn open(config: &MicrophoneConfig, on_block: impl FnMut(&[f32]) + Send + 'static) -> Result<Self, AudioError> {
        let muted = Arc::<AtomicBool>::default();
        let failed = |error: std::io::Error| AudioError::Device {
            direction: Direction::Input,
            device: config.device.clone().unwrap_or_else(|| "default".into()),
            reason: error.to_string(),
            denied: false,
        };
        let listener = Listener::start(muted.clone(), on_block).map_err(failed)?;
        let sound = listener.sound.clone();
        let thread = listener.thread.clone();
        let (wanted, buffer_ms) = (config.device.clone(), config.buffer_ms.clamp(5, 200));
        let open = move |pulse| open_stream(&sound, &thread, wanted.as_deref(), buffer_ms, pulse);
        let wanted = config.device.clone().unwrap_or_else(|| "default".into());
        let lost = move |error: &cpal::Error| explain(Direction::Input, &wanted, error);
        let (told, events) = unbounded();
        let (first_told, first) = bounded(1);
        let mut is_lost = false;
        let report = move |kept| match kept {
            Kept::Opened(name) => {
                is_lost = false;
                let _ = first_told.try_send(Ok(name.clone()));
                let _ = told.send(MicrophoneEvent::Opened(name));
            }
            Kept::Lost(error) => {
                if !is_lost {
                    let _ = told.send(MicrophoneEvent::Lost(error.to_string()));
                }
                is_lost = true;
                let _ = first_told.try_send(Err(error));
            }
        };
        let keeper = Keeper::start("microphone", open, lost, report).map_err(failed)?;
        let name = first.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let reason = format!("it did not answer within {} s", PATIENCE.as_secs());
            Err(AudioError::NoDevice { direction: Direction::Input, reason })
        })?;
        Ok(Self { muted, events, name, _keeper: keeper, _listener: listener })
    }

    /// Stops or resumes listening. While muted the blocks are silence, so that what was being said comes to an end.
    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Release);
    }

    /// Whether it is muted.
    pub fn is_muted(&self) -> bool {
        self.muted.load(Ordering::Acquire)
    }

    /// The name of the device that was opened first.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What has become of it: the first event is that it was opened.
    pub fn events(&self) -> &Receiver<MicrophoneEvent> {
        &self.events
    }
}

/// A stream's sound and its rate.
type Sound = (Consumer<f32>, u32);

/// The thread that turns a device's sound into blocks.
struct Listener {
    sound: Sender<Sound>,
    thread: Thread,
    stop: Arc<AtomicBool>,
}

impl Listener {
    fn start(muted: Arc<AtomicBool>, mut on_block: impl FnMut(&[f32]) + Send + 'static) -> std::io::Result<Self> {
        let (sound, streams) = unbounded::<Sound>();
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let work = move || {
            let mut stream: Option<(Consumer<f32>, Blocks)> = None;
            while !stopped.load(Ordering::Acquire) {
                if let Some((sound, rate)) = streams.try_iter().last() {
                    stream = Blocks::new(rate).map(|blocks| (sound, blocks));
                }
                if let Some((sound, blocks)) = &mut stream
                    && let Ok(chunk) = sound.read_chunk(sound.slots())
                {
                    let (first, second) = chunk.as_slices();
                    let is_muted = muted.load(Ordering::Acquire);
                    blocks.push(first, is_muted, &mut on_block);
                    blocks.push(second, is_muted, &mut on_block);
                    chunk.commit_all();
                }
                thread::park_timeout(LOOK);
            }
        };
        let thread = thread::Builder::new().name("listener".into()).spawn(work)?.thread().clone();
        Ok(Self { sound, thread, stop })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Sound of any rate, cut into blocks of 16 kHz.
struct Blocks {
    converter: Resampler,
    samples: Vec<f32>,
}

impl Blocks {
    fn new(rate: u32) -> Option<Self> {
        let converter = Resampler::new(rate, RATE).ok()?;
        Some(Self { converter, samples: Vec::new() })
    }

    fn push(&mut self, sound: &[f32], is_muted: bool, on_block: &mut impl FnMut(&[f32])) {
        self.converter.push(sound, &mut self.samples);
        let whole = self.samples.len() - self.samples.len() % BLOCK;
        for block in self.samples[..whole].chunks_exact_mut(BLOCK) {
            if is_muted {
                block.fill(0.0);
            }
            on_block(block);
        }
        self.samples.drain(..whole);
    }
}

fn open_stream(
    sound: &Sender<Sound>,
    listener: &Thread,
    wanted: Option<&str>,
    buffer_ms: u32,
    pulse: Pulse,
) -> Result<(Stream, String), AudioError> {
    let found = find(Direction::Input, wanted)?;
    let config = found.stream_config(buffer_ms);
    let (producer, consumer) = RingBuffer::new(config.sample_rate as usize * BACKLOG);
    let _ = sound.send((consumer, config.sample_rate));
    let stream =
        with_sample_type!(found.config.sample_format(), input_stream(&found, config, producer, listener, pulse));
    let unknown = || cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, "its samples are not PCM");
    let stream = stream.unwrap_or_else(|| Err(unknown())).map_err(|error| found.explain(&error))?;
    stream.play().map_err(|error| found.explain(&error))?;
    Ok((stream, found.name))
}

fn input_stream<T: SizedSample>(
    found: &Found,
    config: cpal::StreamConfig,
    mut sound: Producer<f32>,
    listener: &Thread,
    pulse: Pulse,
) -> Result<Stream, cpal::Error>
where
    f32: cpal::FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let listener = listener.clone();
    let failures = pulse.clone();
    let callback = move |data: &[T], _: &InputCallbackInfo| {
        if !pulse.beat() {
            return;
        }
        for frame in data.chunks_exact(channels) {
            let sum: f32 = frame.iter().map(|sample| f32::from_sample(*sample)).sum();
            let mono = sum / channels as f32;
            // With a listener this far behind, the newest sound is lost.
            let _ = sound.push(if mono.is_finite() { mono } else { 0.0 });
        }
        listener.unpark();
    };
    found.device.build_input_stream(config, callback, move |error| failures.error(error), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rate_becomes_blocks_of_16_khz_and_muting_makes_them_silent() {
        for rate in [8_000, 16_000, 44_100, 48_000, 192_000] {
            let mut blocks = Blocks::new(rate).unwrap();
            let sound: Vec<f32> =
                (0..rate).map(|n| (n as f32 * 400.0 * std::f32::consts::TAU / rate as f32).sin()).collect();
            let (mut heard, mut lengths) = (Vec::new(), Vec::new());
            for piece in sound.chunks(701) {
                blocks.push(piece, false, &mut |block: &[f32]| {
                    heard.extend_from_slice(block);
                    lengths.push(block.len());
                });
            }
            assert!(lengths.iter().all(|length| *length == BLOCK));
            // What is missing waits in the filter: less than 30 ms.
            assert!((15_500..=16_000).contains(&heard.len()), "{} samples from {rate} Hz", heard.len());
            assert!((super::super::rms(&heard[1600..]) - std::f32::consts::FRAC_1_SQRT_2).abs() < 0.01);
            blocks.push(&sound, true, &mut |block: &[f32]| assert!(block.iter().all(|sample| *sample == 0.0)));
        }
        assert!(Blocks::new(0).is_none());
    }
}
