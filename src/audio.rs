//! Sound as values ([`Pcm`], its files, its rate, its loudness) and sound as devices ([`Microphone`], [`Speaker`]).
//!
//! A companion's [`Playback`] is a queue of speech whose cursor is the clock of everything that must agree with what is
//! heard: lips, cues, subtitles, history. All playbacks are mixed in one [`Speaker`].

mod device;
mod envelope;
mod keeper;
mod marks;
mod microphone;
mod mixer;
mod output;
mod playback;
mod resample;
mod speaker;
mod strip;
mod timeline;
mod wav;

use std::sync::Arc;

use bevy::prelude::*;

pub use self::{
    device::{Direction, default_device, device_names},
    envelope::{Envelope, envelope},
    marks::{Mark, Marks},
    microphone::{Microphone, MicrophoneConfig, MicrophoneEvent},
    playback::Playback,
    resample::{Resampler, resample},
    speaker::{Speaker, SpeakerBackend, SpeakerConfig, SpeakerStatus},
    timeline::{Cursor, Heard, Timeline},
    wav::{decode_wav, read_wav, write_wav},
};

/// The highest rate of any sound, in hertz: what the fastest converters do.
pub const MAX_RATE: u32 = 768_000;

/// Mono sound: samples in −1..=1 and their rate.
#[derive(Clone, PartialEq, Default)]
pub struct Pcm {
    /// Samples, shared so that a clone is cheap.
    pub samples: Arc<[f32]>,
    /// Samples a second, in hertz.
    pub rate: u32,
}

impl Pcm {
    /// Sound from samples at `rate` hertz.
    pub fn new(samples: impl Into<Arc<[f32]>>, rate: u32) -> Self {
        Self { samples: samples.into(), rate }
    }

    /// Silence of a length in seconds.
    pub fn silence(seconds: f64, rate: u32) -> Self {
        Self::new(vec![0.0; (seconds.clamp(0.0, 3600.0) * f64::from(rate)).round() as usize], rate)
    }

    /// How long it lasts, in seconds; 0 for a rate of 0.
    pub fn seconds(&self) -> f64 {
        if self.rate == 0 { 0.0 } else { self.samples.len() as f64 / f64::from(self.rate) }
    }

    /// How loud it is on the whole, see [`rms`].
    pub fn rms(&self) -> f32 {
        rms(&self.samples)
    }

    /// Its farthest sample from 0.
    pub fn peak(&self) -> f32 {
        self.samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }
}

impl std::fmt::Debug for Pcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pcm({:.3} s at {} Hz)", self.seconds(), self.rate)
    }
}

/// The root mean square of samples, 0 to 1; 0 for none.
pub fn rms(samples: &[f32]) -> f32 {
    let squares: f64 = samples.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    if samples.is_empty() { 0.0 } else { (squares / samples.len() as f64).sqrt() as f32 }
}

/// A level in decibels below full scale; −∞ for 0.
pub fn decibels(level: f32) -> f32 {
    20.0 * level.log10()
}

/// What can go wrong with sound files, rates and devices.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file is not there or not a WAV file.
    #[error("{path} could not be read as WAV: {source}; give a PCM or float WAV file of any rate and channel count")]
    Read {
        /// The file.
        path: String,
        /// What hound said.
        source: hound::Error,
    },
    /// The file could not be written.
    #[error("{path} could not be written: {source}; is the disk full or the folder missing?")]
    Write {
        /// The file.
        path: String,
        /// What hound said.
        source: hound::Error,
    },
    /// The file holds more sound than is taken at once.
    #[error("{path} holds {seconds:.0} s of sound and {limit:.0} s is the limit; cut it into parts")]
    TooLong {
        /// The file.
        path: String,
        /// How long it is.
        seconds: f64,
        /// How long it may be.
        limit: f64,
    },
    /// No sound has this rate.
    #[error("{rate} Hz is no sample rate: give 1 to {MAX_RATE} Hz")]
    Rate {
        /// The rate.
        rate: u32,
    },
    /// There is no device to be used.
    #[error("there is no {direction} to use ({reason}): plug one in or start the sound server, or {}", match .direction {
        Direction::Input => "type instead of speaking",
        Direction::Output => "set the speaker's `backend = \"null\"` to do without",
    })]
    NoDevice {
        /// Which kind.
        direction: Direction,
        /// What the sound system said.
        reason: String,
    },
    /// No device has the name that was asked for.
    #[error("no {direction} is called `{wanted}`: {found}; leave `device` out for the default one")]
    UnknownDevice {
        /// Which kind.
        direction: Direction,
        /// The name asked for.
        wanted: String,
        /// Which there are.
        found: String,
    },
    /// The device is there but cannot be opened, or has stopped working.
    #[error("the {direction} `{device}` does not work: {reason}{}", if *.denied {
        "; allow the program to use it (on Linux: add yourself to the `audio` group)"
    } else {
        "; is it plugged in, and does no other program hold it?"
    })]
    Device {
        /// Which kind.
        direction: Direction,
        /// Its name.
        device: String,
        /// What the sound system said.
        reason: String,
        /// Whether permission was what was missing.
        denied: bool,
    },
}

/// The systems of [`AudioPlugin`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioSystems {
    /// In `PreUpdate`: speech leaves for the speaker and every cursor moves to what is heard.
    Advance,
}

/// Opens the [`Speaker`] and moves every [`Playback`]'s cursor with it.
///
/// A [`Speaker`] that is already there is kept. Needs Bevy's `TimePlugin`.
#[derive(Clone, Debug, Default)]
pub struct AudioPlugin {
    /// Which speaker.
    pub speaker: SpeakerConfig,
}

impl Plugin for AudioPlugin {
    fn build(&self, app: &mut App) {
        if !app.world().contains_resource::<Speaker>() {
            app.insert_resource(Speaker::open(&self.speaker));
        }
        app.add_systems(PreUpdate, speaker::advance.in_set(AudioSystems::Advance));
    }
}
