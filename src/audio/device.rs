//! Finding sound devices and telling apart what can go wrong with them.

use std::fmt;

use cpal::{
    BufferSize, Device, ErrorKind, StreamConfig, SupportedBufferSize, SupportedStreamConfig,
    traits::{DeviceTrait, HostTrait},
};

use super::AudioError;

/// Into the program or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Microphones.
    Input,
    /// Speakers.
    Output,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "microphone",
            Self::Output => "speaker",
        })
    }
}

impl Direction {
    fn can(self, device: &Device) -> bool {
        match self {
            Self::Input => device.supports_input(),
            Self::Output => device.supports_output(),
        }
    }

    fn default_device(self) -> Option<Device> {
        let host = cpal::default_host();
        match self {
            Self::Input => host.default_input_device(),
            Self::Output => host.default_output_device(),
        }
    }

    fn default_config(self, device: &Device) -> Result<SupportedStreamConfig, cpal::Error> {
        match self {
            Self::Input => device.default_input_config(),
            Self::Output => device.default_output_config(),
        }
    }
}

/// The names that a configuration may give for a device: what the system calls it, as `id: description`.
///
/// Asking opens every device for a moment; it may take a second. Empty without a sound card.
pub fn device_names(direction: Direction) -> Vec<String> {
    hush();
    let devices = cpal::default_host().devices().into_iter().flatten();
    devices.filter(|device| direction.can(device)).map(|device| format!("{}: {device}", id(&device))).collect()
}

/// The name of the system's default device, when it can be used.
///
/// # Errors
/// [`AudioError::NoDevice`] and [`AudioError::Device`], with what to do.
pub fn default_device(direction: Direction) -> Result<String, AudioError> {
    find(direction, None).map(|found| found.name)
}

/// Keeps ALSA, which writes a page to the terminal for each device that it does not find, from doing so on this thread.
/// The errors come back as values all the same.
fn hush() {
    #[cfg(target_os = "linux")]
    let _ = alsa::Output::local_error_handler();
}

fn id(device: &Device) -> String {
    device.id().map(|id| id.id().to_owned()).unwrap_or_default()
}

/// A device that can be opened, and how.
pub(super) struct Found {
    pub(super) device: Device,
    pub(super) name: String,
    pub(super) config: SupportedStreamConfig,
    direction: Direction,
}

/// Finds the default device, or the one whose id or description is `wanted` or contains it, whatever its case.
pub(super) fn find(direction: Direction, wanted: Option<&str>) -> Result<Found, AudioError> {
    hush();
    let device = match wanted {
        None => direction
            .default_device()
            .ok_or_else(|| AudioError::NoDevice { direction, reason: "the system names no default".into() })?,
        Some(wanted) => named(direction, wanted)?,
    };
    let name = device.to_string();
    // Without a sound card there is still a default device; that it has no configuration is what gives it away.
    let config = direction.default_config(&device).map_err(|error| explain(direction, &name, &error))?;
    Ok(Found { device, name, config, direction })
}

fn named(direction: Direction, wanted: &str) -> Result<Device, AudioError> {
    let devices = cpal::default_host().devices().map_err(|error| explain(direction, wanted, &error))?;
    let wanted_lower = wanted.trim().to_lowercase();
    let names = |device: &Device| [id(device).to_lowercase(), device.to_string().to_lowercase()];
    let devices: Vec<Device> = devices.collect();
    let exact = devices.iter().find(|device| names(device).contains(&wanted_lower));
    let close = || devices.iter().find(|device| names(device).iter().any(|name| name.contains(&wanted_lower)));
    exact.or_else(close).cloned().ok_or_else(|| {
        let known: Vec<String> = devices.iter().map(id).collect();
        let found = if known.is_empty() { "there is none".into() } else { format!("there are {}", known.join(", ")) };
        AudioError::UnknownDevice { direction, wanted: wanted.into(), found }
    })
}

/// Says what an error of the sound system means for the person.
pub(super) fn explain(direction: Direction, device: &str, error: &cpal::Error) -> AudioError {
    match error.kind() {
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => {
            AudioError::NoDevice { direction, reason: error.to_string() }
        }
        kind => AudioError::Device {
            direction,
            device: device.into(),
            reason: error.to_string(),
            denied: kind == ErrorKind::PermissionDenied,
        },
    }
}

/// Whether a stream goes on after an error. The rest means that it must be opened anew.
pub(super) fn is_passing(error: &cpal::Error) -> bool {
    matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied)
}

impl Found {
    /// The error of this device.
    pub(super) fn explain(&self, error: &cpal::Error) -> AudioError {
        explain(self.direction, &self.name, error)
    }

    /// Its configuration with callbacks of about `milliseconds`, as far as the device can do that.
    pub(super) fn stream_config(&self, milliseconds: u32) -> StreamConfig {
        let mut config = self.config.config();
        let frames = (u64::from(config.sample_rate) * u64::from(milliseconds.clamp(1, 1000)) / 1000) as u32;
        if let SupportedBufferSize::Range { min, max } = *self.config.buffer_size()
            && min <= max
        {
            config.buffer_size = BufferSize::Fixed(frames.clamp(min.max(1), max.max(1)));
        }
        config
    }
}

/// Calls a generic function with the sample type that a [`cpal::SampleFormat`] names; `None` for formats that are no PCM.
macro_rules! with_sample_type {
    ($format:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        match $format {
            cpal::SampleFormat::F32 => Some($function::<f32>($($argument),*)),
            cpal::SampleFormat::F64 => Some($function::<f64>($($argument),*)),
            cpal::SampleFormat::I8 => Some($function::<i8>($($argument),*)),
            cpal::SampleFormat::I16 => Some($function::<i16>($($argument),*)),
            cpal::SampleFormat::I24 => Some($function::<cpal::I24>($($argument),*)),
            cpal::SampleFormat::I32 => Some($function::<i32>($($argument),*)),
            cpal::SampleFormat::I64 => Some($function::<i64>($($argument),*)),
            cpal::SampleFormat::U8 => Some($function::<u8>($($argument),*)),
            cpal::SampleFormat::U16 => Some($function::<u16>($($argument),*)),
            cpal::SampleFormat::U24 => Some($function::<cpal::U24>($($argument),*)),
            cpal::SampleFormat::U32 => Some($function::<u32>($($argument),*)),
            cpal::SampleFormat::U64 => Some($function::<u64>($($argument),*)),
            _ => None,
        }
    };
}
pub(super) use with_sample_type;
