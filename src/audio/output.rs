//! The sound card's side of the speaker: a stream that asks the desk for sound and says when it will be heard.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use bevy::prelude::*;
use cpal::{
    FromSample, OutputCallbackInfo, SizedSample, Stream,
    traits::{DeviceTrait, StreamTrait},
};

use super::{
    AudioError, Direction, SpeakerConfig, SpeakerStatus,
    device::{Found, explain, find, with_sample_type},
    keeper::{Keeper, Kept, Pulse},
    mixer::Mixer,
};

/// What the device's threads and the frame share.
pub(super) struct Desk {
    pub(super) mixer: Mutex<Mixer>,
    pub(super) rate: AtomicU32,
    /// Whether a device asks for the sound. Otherwise the frames do, to keep time.
    pub(super) driven: AtomicBool,
    pub(super) started: Instant,
    pub(super) status: Mutex<SpeakerStatus>,
}

impl Desk {
    /// The mixer, unless someone else has it: neither the callback nor the frame ever waits.
    pub(super) fn try_mixer(&self) -> Option<MutexGuard<'_, Mixer>> {
        match self.mixer.try_lock() {
            Ok(mixer) => Some(mixer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// Keeps the device open on a thread of its own.
pub(super) fn keep(config: &SpeakerConfig, desk: &Arc<Desk>) -> Option<Keeper> {
    let (opening, reporting) = (desk.clone(), desk.clone());
    let (wanted, buffer_ms) = (config.device.clone(), config.buffer_ms.clamp(5, 500));
    let open = move |pulse| open_stream(&opening, wanted.as_deref(), buffer_ms, pulse);
    let wanted = config.device.clone().unwrap_or_else(|| "default".into());
    let lost = move |error: &cpal::Error| explain(Direction::Output, &wanted, error);
    let report = move |kept| {
        let status = match kept {
            Kept::Opened(device) => {
                info!("speaking through {device}");
                SpeakerStatus::Playing(device)
            }
            Kept::Lost(error) => {
                reporting.driven.store(false, Ordering::Release);
                SpeakerStatus::Lost(error.to_string())
            }
        };
        let mut current = reporting.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let (SpeakerStatus::Lost(reason), false) = (&status, matches!(*current, SpeakerStatus::Lost(_))) {
            warn!("nothing can be heard: {reason}");
        }
        *current = status;
    };
    let kept = Keeper::start("speaker", open, lost, report);
    kept.inspect_err(|error| error!("no thread for the speaker: {error}")).ok()
}

fn open_stream(
    desk: &Arc<Desk>,
    wanted: Option<&str>,
    buffer_ms: u32,
    pulse: Pulse,
) -> Result<(Stream, String), AudioError> {
    let found = find(Direction::Output, wanted)?;
    // Devices hold two such periods.
    let config = found.stream_config(buffer_ms / 2);
    {
        let mut mixer = desk.mixer.lock().unwrap_or_else(PoisonError::into_inner);
        mixer.set_rate(config.sample_rate);
        desk.rate.store(config.sample_rate, Ordering::Release);
    }
    let stream = with_sample_type!(found.config.sample_format(), output_stream(&found, config, desk, pulse));
    let unknown = || cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, "its samples are not PCM");
    let stream = stream.unwrap_or_else(|| Err(unknown())).map_err(|error| found.explain(&error))?;
    stream.play().map_err(|error| found.explain(&error))?;
    Ok((stream, found.name))
}

fn output_stream<T: SizedSample + FromSample<f32>>(
    found: &Found,
    config: cpal::StreamConfig,
    desk: &Arc<Desk>,
    pulse: Pulse,
) -> Result<Stream, cpal::Error> {
    let desk = desk.clone();
    let channels = usize::from(config.channels.max(1));
    let rate = f64::from(config.sample_rate.max(1));
    let mut scratch = vec![0.0_f32; config.sample_rate as usize * channels];
    let mut stamps = Stamps::default();
    let failures = pulse.clone();
    let callback = move |data: &mut [T], info: &OutputCallbackInfo| {
        if !pulse.beat() {
            return;
        }
        desk.driven.store(true, Ordering::Release);
        let timestamp = info.timestamp();
        let latency = timestamp.playback.saturating_duration_since(timestamp.callback);
        let span = (data.len() / channels) as f64 / rate;
        let at = stamps.next(desk.seconds() + latency.as_secs_f64(), span);
        if scratch.len() < data.len() {
            scratch.resize(data.len(), 0.0);
        }
        let scratch = &mut scratch[..data.len()];
        match desk.try_mixer() {
            Some(mut mixer) => mixer.render(scratch, channels, at),
            None => scratch.fill(0.0),
        }
        for (sample, mixed) in data.iter_mut().zip(scratch) {
            *sample = T::from_sample(*mixed);
        }
    };
    found.device.build_output_stream(config, callback, move |error| failures.error(error), None)
}

/// When each buffer is heard: the device's own estimates, smoothed, because sound itself does not jitter.
#[derive(Default)]
struct Stamps {
    expected: Option<f64>,
}

impl Stamps {
    /// The moment for a buffer that the device says is heard at `estimate` and that lasts `span` seconds.
    fn next(&mut self, estimate: f64, span: f64) -> f64 {
        let at = match self.expected {
            // A jump is a gap in the stream, a small difference only the jitter of the estimate.
            Some(expected) if (estimate - expected).abs() < 0.05 => expected + (estimate - expected) * 0.05,
            _ => estimate,
        };
        self.expected = Some(at + span);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_the_device_without_its_jitter() {
        let mut stamps = Stamps::default();
        let mut last = stamps.next(10.0, 0.02);
        for n in 1..200 {
            let jitter = if n % 2 == 0 { 0.01 } else { -0.01 };
            let at = stamps.next(10.0 + f64::from(n) * 0.02 + jitter, 0.02);
            assert!((at - last - 0.02).abs() < 0.002, "{at} after {last}");
            last = at;
        }
        // After a gap the device is believed at once.
        assert_eq!(stamps.next(20.0, 0.02), 20.0);
    }
}
