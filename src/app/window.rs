//! The standalone window: the avatar, what is said, a line to type into, and how she is doing.

mod latency;
mod status;
mod subtitles;
mod text_box;
mod theme;

use bevy::prelude::*;

pub use self::theme::FontPlugin;
use crate::dialogue::Companion;

/// Adds the window's interface for the app's first [`Companion`].
pub struct WindowUiPlugin;

impl Plugin for WindowUiPlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins((
            FontPlugin,
            status::StatusPlugin,
            subtitles::SubtitlesPlugin,
            text_box::TextBoxPlugin,
            latency::LatencyPlugin,
        ));
    }
}

/// The companion whose window it is.
type Hers<'w, 's, D> = Query<'w, 's, D, With<Companion>>;
