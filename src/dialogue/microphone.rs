//! The microphone's way into a conversation: open, held to talk, or off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bevy::prelude::*;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::{
    audio::{Microphone, MicrophoneConfig, MicrophoneEvent},
    dialogue::{
        listen::{Speech, SpeechPart},
        turn::{Dialogue, Phase},
    },
    hearing::vad::{Ear, EarEvent, VadConfig},
    worker::CompanionSystems,
};

/// The companion that hears the microphone. Give it to one at a time.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct HearsMicrophone;

/// What the person has set the microphone to, and how it is.
#[derive(Resource, Clone, Debug, Default)]
pub struct MicrophoneControl {
    /// Everything that is said is heard.
    pub open: bool,
    /// The push-to-talk key is down: what is said now is heard in any case.
    pub held: bool,
    /// Why nothing can be heard, when nothing can.
    pub trouble: Option<String>,
}

/// Opens the microphone on threads of its own and turns what is said into [`Speech`].
#[derive(Clone, Debug, Default)]
pub struct MicrophonePlugin {
    /// Whether it is open at the start; otherwise only the push-to-talk key opens it.
    pub open: bool,
    /// Which microphone.
    pub microphone: MicrophoneConfig,
    /// What tells speech from silence.
    pub vad: VadConfig,
}

impl Plugin for MicrophonePlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(MicrophoneControl { open: self.open, ..default() })
            .insert_resource(Line::open(self.microphone.clone(), self.vad.clone()))
            .add_systems(Update, (steer, hear).chain().before(CompanionSystems::Listen));
    }
}

/// What comes from the listening threads.
enum Report {
    Heard(EarEvent),
    Device(MicrophoneEvent),
    Trouble(String),
}

/// The connection to the listening threads; closing it stops them.
#[derive(Resource)]
struct Line {
    reports: Receiver<Report>,
    switches: Arc<Switches>,
    _open: Sender<()>,
}

#[derive(Default)]
struct Switches {
    listening: AtomicBool,
    held: AtomicBool,
}

impl Line {
    fn open(microphone: MicrophoneConfig, vad: VadConfig) -> Self {
        let (report, reports) = unbounded();
        let (open, closed) = bounded::<()>(0);
        let switches = Arc::new(Switches::default());
        let listener = Listener { report: report.clone(), switches: switches.clone() };
        let listen = move || {
            if let Err(reason) = listener.listen(&microphone, &vad, &closed) {
                let _ = listener.report.send(Report::Trouble(reason));
            }
        };
        if let Err(error) = thread::Builder::new().name("listening".into()).spawn(listen) {
            let _ = report.send(Report::Trouble(error.to_string()));
        }
        Self { reports, switches, _open: open }
    }
}

#[derive(Clone)]
struct Listener {
    report: Sender<Report>,
    switches: Arc<Switches>,
}

impl Listener {
    /// Holds the microphone open until the line is closed.
    fn listen(&self, config: &MicrophoneConfig, vad: &VadConfig, closed: &Receiver<()>) -> Result<(), String> {
        let mut ear = Ear::load(vad).map_err(|error| error.to_string())?;
        let (switches, report) = (self.switches.clone(), self.report.clone());
        let mut was_held = false;
        let microphone = Microphone::open(config, move |block: &[f32]| {
            let held = switches.held.load(Ordering::Acquire);
            let mut tell = |event| drop(report.send(Report::Heard(event)));
            if held != was_held {
                was_held = held;
                ear.hold(held).into_iter().for_each(&mut tell);
            }
            if held || switches.listening.load(Ordering::Acquire) {
                ear.push(block).into_iter().for_each(&mut tell);
            } else {
                ear.reset().into_iter().for_each(&mut tell);
            }
        });
        let microphone = microphone.map_err(|error| error.to_string())?;
        loop {
            for event in microphone.events().try_iter() {
                let _ = self.report.send(Report::Device(event));
            }
            let waited = closed.recv_timeout(Duration::from_millis(100));
            if waited == Err(crossbeam_channel::RecvTimeoutError::Disconnected) {
                return Ok(());
            }
        }
    }
}

/// Sets the switches. Without echo cancellation she would hear herself: while she speaks only the key opens her ears.
fn steer(control: Res<MicrophoneControl>, line: Res<Line>, listeners: Query<&Dialogue, With<HearsMicrophone>>) {
    let speaking = listeners.iter().any(|dialogue| dialogue.phase() == Phase::Speaking);
    line.switches.listening.store(control.open && !speaking, Ordering::Release);
    line.switches.held.store(control.held, Ordering::Release);
}

/// Hands on what was heard.
fn hear(
    line: Res<Line>,
    mut control: ResMut<MicrophoneControl>,
    listeners: Query<Entity, With<HearsMicrophone>>,
    mut speech: MessageWriter<Speech>,
) {
    for report in line.reports.try_iter() {
        let parts = match report {
            Report::Trouble(reason) => {
                warn!("nothing can be heard: {reason}");
                control.trouble = Some(reason);
                continue;
            }
            Report::Device(MicrophoneEvent::Lost(reason)) => {
                warn!("the microphone is gone: {reason}");
                control.trouble = Some(reason);
                continue;
            }
            Report::Device(MicrophoneEvent::Opened(name)) => {
                info!("listening to {name}");
                control.trouble = None;
                continue;
            }
            Report::Heard(EarEvent::Started) => vec![SpeechPart::Started],
            Report::Heard(EarEvent::Cancelled) => vec![SpeechPart::Cancelled],
            Report::Heard(EarEvent::Frame(frame)) => vec![SpeechPart::Frame(frame)],
            Report::Heard(EarEvent::Ended { frame, silence }) => {
                vec![SpeechPart::Frame(frame), SpeechPart::Ended { silence }]
            }
        };
        for companion in &listeners {
            speech.write_batch(parts.iter().cloned().map(|part| Speech { companion, part }));
        }
    }
}
