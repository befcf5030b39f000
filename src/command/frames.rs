//! Pictures of the avatar while she speaks, taken where there is no window.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bevy_companion::{
    app::session::Session,
    avatar::{
        RigPose,
        puppet::{contact_sheet, render_frames},
    },
    dialogue::event::{DialogueEvent, Fact},
};

/// Pictures a second of speech.
const RATE: f64 = 10.0;
/// Columns of the contact sheet, and the most pictures on it.
const COLUMNS: usize = 4;
const ON_SHEET: usize = 12;
/// Width and height of a picture.
const SIZE: (u32, u32) = (384, 480);

/// Poses collected while she speaks.
#[derive(Default)]
pub struct Frames {
    poses: Vec<RigPose>,
    next: Option<Duration>,
}

impl Frames {
    /// Takes the poses that are due, from the first sentence to the end of the turn. Call it after every update.
    pub fn follow(&mut self, session: &mut Session, events: &[DialogueEvent]) {
        for event in events {
            match event.fact {
                Fact::SentenceStarted { .. } if self.next.is_none() => self.next = Some(event.at),
                Fact::TurnFinished { .. } => self.next = None,
                _ => {}
            }
        }
        let (companion, now) = (session.companion(), session.now());
        let Some(next) = self.next.filter(|next| now >= *next) else { return };
        if let Some(pose) = session.app().world().get::<RigPose>(companion) {
            self.poses.push(*pose);
            self.next = Some(next + Duration::from_secs_f64(1.0 / RATE));
        }
    }

    /// Draws the poses into `folder` and returns the contact sheet's path.
    pub fn write(self, folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
        std::fs::create_dir_all(folder)?;
        let frames = render_frames(&self.poses, SIZE)?;
        for (index, frame) in frames.iter().enumerate() {
            frame.save(folder.join(format!("{index:04}.png")))?;
        }
        let step = frames.len().div_ceil(ON_SHEET).max(1);
        let chosen: Vec<_> = frames.into_iter().step_by(step).collect();
        let sheet = folder.join("contact-sheet.png");
        contact_sheet(&chosen, COLUMNS).save(&sheet)?;
        Ok(sheet)
    }
}
