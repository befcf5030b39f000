//! Colours, sizes and the font of the interface.

use bevy::{
    prelude::*,
    tasks::{AsyncComputeTaskPool, Task, block_on, futures_lite::future},
};

use crate::models;

/// The font model that holds Chinese and Japanese glyphs; Bevy's own has none.
const FONT: &str = "noto-sans-sc";

pub const PANEL: Color = Color::srgba(0.10, 0.09, 0.14, 0.62);
pub const FIELD: Color = Color::srgba(1.0, 1.0, 1.0, 0.88);
pub const TEXT: Color = Color::srgb(0.98, 0.97, 1.0);
pub const DIM: Color = Color::srgba(0.90, 0.88, 0.96, 0.75);
pub const INK: Color = Color::srgb(0.16, 0.14, 0.22);
pub const WARNING: Color = Color::srgb(1.0, 0.80, 0.55);

/// Text of the interface's family in `size` logical pixels.
pub fn font(size: f32) -> TextFont {
    TextFont::from_font_size(FontSize::Px(size))
}

/// A rounded translucent panel.
pub fn panel(node: Node) -> impl Bundle {
    (
        Node { padding: UiRect::axes(px(12), px(7)), border_radius: BorderRadius::all(px(12)), ..node },
        BackgroundColor(PANEL),
    )
}

/// Makes Bevy's default font one that shows Chinese and Japanese, once it has been read: the `noto-sans-sc` model.
///
/// Where that is not installed the default stays as it is, and the log says so.
pub struct FontPlugin;

impl Plugin for FontPlugin {
    fn build(&self, app: &mut App) {
        app.add_systems(Startup, read_font).add_systems(Update, take_font.run_if(resource_exists::<FontBeingRead>));
    }
}

#[derive(Resource)]
struct FontBeingRead(Task<Result<Vec<u8>, String>>);

fn read_font(mut commands: Commands) {
    commands.insert_resource(FontBeingRead(AsyncComputeTaskPool::get().spawn(async {
        let folder = models::locate(FONT).map_err(|error| error.to_string())?;
        let file = std::fs::read_dir(&folder)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "ttf" || extension == "otf"))
            .ok_or_else(|| format!("{} holds no font", folder.display()))?;
        std::fs::read(file).map_err(|error| error.to_string())
    })));
}

/// Puts the font in the place of Bevy's default, so that every text of the window can show every language.
fn take_font(mut commands: Commands, mut reading: ResMut<FontBeingRead>, mut fonts: ResMut<Assets<Font>>) {
    let Some(read) = block_on(future::poll_once(&mut reading.0)) else { return };
    commands.remove_resource::<FontBeingRead>();
    match read {
        Ok(bytes) => {
            if let Err(error) = fonts.insert(&Handle::default(), Font::from_bytes(bytes)) {
                warn!("the interface's font could not be set: {error}");
            }
        }
        Err(error) => warn!("Chinese and Japanese will show as boxes: {error}"),
    }
}
