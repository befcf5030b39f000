//! A windowless app that takes pictures of a puppet.

use std::time::{Duration, Instant};

use bevy::{
    camera::{CameraPlugin, RenderTarget},
    core_pipeline::CorePipelinePlugin,
    mesh::MeshPlugin,
    prelude::*,
    render::{
        RenderPlugin,
        render_resource::TextureFormat,
        view::screenshot::{Screenshot, ScreenshotCaptured},
    },
    sprite::SpritePlugin,
    sprite_render::SpriteRenderPlugin,
    tasks::block_on,
    text::TextPlugin,
    window::ExitCondition,
};
use crossbeam_channel::{Receiver, bounded};
use image::RgbaImage;

use super::{
    AvatarError, Puppet, PuppetPlugin,
    atlas::{to_linear, to_srgb},
};
use crate::avatar::param::RigPose;

/// How long a picture is waited for. A software adapter under load takes its time over the first one.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pictures of [`super::render_frames`], drawn with a graphics adapter.
pub fn render_frames(poses: &[RigPose], size: (u32, u32)) -> Result<Vec<RgbaImage>, AvatarError> {
    let (mut app, target, puppet) = open(size)?;
    let mut pictures = Vec::with_capacity(poses.len());
    for (index, pose) in poses.iter().enumerate() {
        app.world_mut().entity_mut(puppet).insert(*pose);
        app.update();
        let begun = Instant::now();
        let picture = loop {
            if let Some(picture) = shoot(&mut app, &target, begun).filter(|picture| picture.pixels().any(|p| p[3] > 0))
            {
                break picture;
            }
            if begun.elapsed() > PATIENCE {
                return Err(AvatarError::NotDrawn { index, count: poses.len(), seconds: PATIENCE.as_secs() });
            }
        };
        pictures.push(picture);
    }
    Ok(pictures)
}

/// A windowless app with one puppet before one camera.
fn open((width, height): (u32, u32)) -> Result<(App, Handle<Image>, Entity), AvatarError> {
    find_adapter()?;
    let render = RenderPlugin { synchronous_pipeline_compilation: true, ..default() };
    let windowless = WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
    let mut app = App::new();
    // Only what drawing needs: no winit, no user interface, no logging of its own.
    app.add_plugins((
        MinimalPlugins,
        TransformPlugin,
        windowless,
        AssetPlugin::default(),
        render,
        ImagePlugin::default_linear(),
        MeshPlugin,
        CameraPlugin,
        CorePipelinePlugin,
        TextPlugin,
        SpritePlugin,
        SpriteRenderPlugin,
        PuppetPlugin::default(),
    ));
    app.finish();
    app.cleanup();

    let target = Image::new_target_texture(width.max(1), height.max(1), TextureFormat::Rgba8UnormSrgb, None);
    let target = app.world_mut().resource_mut::<Assets<Image>>().add(target);
    let camera = Camera { clear_color: ClearColorConfig::Custom(Color::NONE), ..default() };
    app.world_mut().spawn((Camera2d, camera, RenderTarget::from(target.clone()), Msaa::Off));
    // As the CPU draws it: as large as fits, centred.
    let high = (height as f32).min(width as f32 * 1.25);
    let puppet = app.world_mut().spawn((Puppet { height: high }, RigPose::default())).id();
    Ok((app, target, puppet))
}

/// Bevy ends the process's thread where there is no graphics adapter, so it is asked for beforehand.
fn find_adapter() -> Result<(), AvatarError> {
    let adapters = block_on(wgpu::Instance::default().enumerate_adapters(wgpu::Backends::all()));
    if adapters.is_empty() { Err(AvatarError::NoAdapter) } else { Ok(()) }
}

/// Draws one frame and reads it back; nothing yet when the renderer is not ready.
fn shoot(app: &mut App, target: &Handle<Image>, begun: Instant) -> Option<RgbaImage> {
    let (sender, taken): (_, Receiver<Image>) = bounded(1);
    app.world_mut().spawn(Screenshot::image(target.clone())).observe(move |captured: On<ScreenshotCaptured>| {
        // Only the first answer is wanted.
        let _ = sender.try_send(captured.image.clone());
    });
    while begun.elapsed() <= PATIENCE {
        app.update();
        if let Ok(image) = taken.try_recv() {
            return straighten(image);
        }
    }
    None
}

/// What the camera left is premultiplied; pictures on disk are not.
fn straighten(image: Image) -> Option<RgbaImage> {
    let (width, height) = (image.width(), image.height());
    let mut picture = RgbaImage::from_raw(width, height, image.data?)?;
    for pixel in picture.pixels_mut().filter(|pixel| (1..255).contains(&pixel[3])) {
        let alpha = f32::from(pixel[3]) / 255.0;
        for channel in 0..3 {
            pixel[channel] = to_srgb(to_linear(pixel[channel]) / alpha);
        }
    }
    Some(picture)
}
