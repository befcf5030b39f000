//! The puppet in a Bevy scene: one dynamic mesh, one texture, one draw call each.

use std::{
    mem::take,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use bevy::{
    asset::{RenderAssetUsages, load_internal_asset, uuid_handle},
    camera::visibility::NoFrustumCulling,
    image::{ImageFilterMode, ImageSampler, ImageSamplerDescriptor},
    mesh::{Indices, MeshVertexBufferLayoutRef, PrimitiveTopology, VertexAttributeValues},
    prelude::*,
    render::render_resource::{
        AsBindGroup, BlendState, Extent3d, RenderPipelineDescriptor, SpecializedMeshPipelineError, TextureDimension,
        TextureFormat,
    },
    shader::ShaderRef,
    sprite_render::{AlphaMode2d, Material2d, Material2dKey, Material2dPlugin},
};
use crossbeam_channel::{Receiver, bounded};

use super::{Art, AvatarError, Frame, Source, atlas::Picture};
use crate::avatar::param::RigPose;

const SHADER: Handle<Shader> = uuid_handle!("7c1b0f1e-7a57-4f7e-9d0a-3b6f6a2d9c41");
/// Texels a unit of the backdrop's drawing: it is out of focus anyway.
const BACKDROP_SCALE: f32 = 0.6;
/// How far behind everything the backdrop stands.
const BACKDROP_DEPTH: f32 = -100.0;

/// Draws every [`Puppet`] as its [`RigPose`] says, and every [`Backdrop`].
///
/// The art is built on a thread of its own; until it is there, puppets are invisible. Where it cannot be built, the reason is
/// logged and puppets stay invisible.
#[derive(Clone, Debug)]
pub struct PuppetPlugin {
    /// A folder with `rig.toml` and `layers/*.svg`; the default avatar without one.
    pub folder: Option<PathBuf>,
    /// Texels a unit of the rig's canvas. 1 is sharp up to a puppet as high as the canvas (1280 pixels).
    pub texels: f32,
}

impl Default for PuppetPlugin {
    fn default() -> Self {
        Self { folder: None, texels: 1.0 }
    }
}

/// A character drawn about its entity's place. It follows the [`RigPose`] of its own entity, or of the one that [`PuppetOf`] names.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
#[require(Transform, Visibility)]
pub struct Puppet {
    /// Height of its canvas in the scene; in a scene of logical pixels, as high as the window to fill it.
    pub height: f32,
}

impl Default for Puppet {
    fn default() -> Self {
        Self { height: 640.0 }
    }
}

/// Lets a [`Puppet`] follow another entity's pose.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuppetOf(pub Entity);

/// A soft, out-of-focus room behind the scene, as large as the camera's view.
#[derive(Component, Clone, Copy, Debug, Default)]
#[require(Sprite, Transform = Transform::from_xyz(0.0, 0.0, BACKDROP_DEPTH), Visibility)]
pub struct Backdrop;

/// What the thread builds.
struct Built {
    art: Art,
    backdrop: Result<image::RgbaImage, AvatarError>,
}

/// The art: being built, or ready.
#[derive(Resource)]
struct Wardrobe {
    building: Mutex<Option<Receiver<Result<Built, AvatarError>>>>,
    dress: Option<Dress>,
}

struct Dress {
    art: Arc<Art>,
    material: Handle<PuppetMaterial>,
    backdrop: Handle<Image>,
}

/// What a puppet's mesh shows, so that a still puppet costs nothing.
#[derive(Component)]
struct Shown {
    pose: RigPose,
    height: f32,
    pixels: f32,
}

/// The atlas, drawn with premultiplied alpha.
#[derive(Asset, TypePath, AsBindGroup, Clone, Debug)]
struct PuppetMaterial {
    #[texture(0)]
    #[sampler(1)]
    atlas: Handle<Image>,
}

impl Material2d for PuppetMaterial {
    fn fragment_shader() -> ShaderRef {
        SHADER.into()
    }

    fn alpha_mode(&self) -> AlphaMode2d {
        AlphaMode2d::Blend
    }

    fn specialize(
        descriptor: &mut RenderPipelineDescriptor,
        _: &MeshVertexBufferLayoutRef,
        _: Material2dKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let targets = descriptor.fragment.iter_mut().flat_map(|fragment| &mut fragment.targets).flatten();
        targets.for_each(|target| target.blend = Some(BlendState::PREMULTIPLIED_ALPHA_BLENDING));
        Ok(())
    }
}

impl Plugin for PuppetPlugin {
    fn build(&self, app: &mut App) {
        load_internal_asset!(app, SHADER, "puppet.wgsl", Shader::from_wgsl);
        app.add_plugins(Material2dPlugin::<PuppetMaterial>::default())
            .insert_resource(build_wardrobe(self.clone()))
            .add_systems(PreUpdate, hang_up)
            .add_systems(Update, dress)
            .add_systems(PostUpdate, (pose, fit_backdrops).before(TransformSystems::Propagate));
    }
}

/// Starts the thread that rasterises the art.
fn build_wardrobe(plugin: PuppetPlugin) -> Wardrobe {
    let (done, building) = bounded(1);
    let build = move || {
        let source = plugin.folder.map_or_else(|| Ok(Source::built_in()), |folder| Source::open(&folder));
        let built = source.and_then(|source| {
            let art = Art::build(&source, plugin.texels.clamp(0.25, 4.0))?;
            Ok(Built { art, backdrop: backdrop() })
        });
        // The app may have ended meanwhile.
        let _ = done.send(built);
    };
    if let Err(error) = thread::Builder::new().name("puppet art".into()).spawn(build) {
        error!("the avatar cannot be drawn: no thread could be started: {error}");
    }
    Wardrobe { building: Mutex::new(Some(building)), dress: None }
}

fn backdrop() -> Result<image::RgbaImage, AvatarError> {
    let svg = include_str!("../../../assets/avatar/backdrop.svg");
    Ok(Picture::draw("backdrop", svg, BACKDROP_SCALE)?.into_image())
}

/// Takes in the art once it is there.
fn hang_up(
    mut wardrobe: ResMut<Wardrobe>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<PuppetMaterial>>,
) {
    let Ok(building) = wardrobe.building.get_mut() else { return };
    let Some(built) = building.as_ref().and_then(|building| building.try_recv().ok()) else { return };
    *building = None;
    match built {
        Err(error) => error!("the avatar cannot be drawn: {error}"),
        Ok(Built { mut art, backdrop }) => {
            let atlas = images.add(atlas_image(&mut art));
            let backdrop = match backdrop {
                Ok(picture) => images.add(texture(picture.width(), picture.height(), picture.into_raw(), 1)),
                Err(error) => {
                    warn!("the backdrop cannot be drawn: {error}");
                    Handle::default()
                }
            };
            wardrobe.dress =
                Some(Dress { art: Arc::new(art), material: materials.add(PuppetMaterial { atlas }), backdrop });
        }
    }
}

/// Moves the atlas's texels to a texture with mipmaps.
fn atlas_image(art: &mut Art) -> Image {
    let levels = take(&mut art.atlas.levels);
    let mut image = texture(art.atlas.width, art.atlas.height, levels.concat(), levels.len() as u32);
    image.sampler = ImageSampler::Descriptor(ImageSamplerDescriptor {
        mipmap_filter: ImageFilterMode::Linear,
        ..ImageSamplerDescriptor::linear()
    });
    image
}

fn texture(width: u32, height: u32, texels: Vec<u8>, levels: u32) -> Image {
    let mut image =
        Image::new_uninit(Extent3d { width, height, ..default() }, TextureDimension::D2, TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::RENDER_WORLD);
    image.data = Some(texels);
    image.texture_descriptor.mip_level_count = levels;
    image.sampler = ImageSampler::linear();
    image
}

/// Gives new puppets a mesh, and new backdrops a picture.
fn dress(
    wardrobe: Res<Wardrobe>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut commands: Commands,
    puppets: Query<Entity, (With<Puppet>, Without<Shown>)>,
    mut backdrops: Query<&mut Sprite, With<Backdrop>>,
) {
    let Some(dress) = &wardrobe.dress else { return };
    for puppet in &puppets {
        let mut mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default());
        mesh.insert_indices(Indices::U32(dress.art.indices.clone()));
        let mut frame = Frame::default();
        dress.art.pose(&RigPose::default(), 1.0, &mut frame);
        put(&mut mesh, frame);
        commands.entity(puppet).insert((
            Mesh2d(meshes.add(mesh)),
            MeshMaterial2d(dress.material.clone()),
            // The mesh moves every frame: its first bounds would soon be wrong.
            NoFrustumCulling,
            Shown { pose: RigPose::default(), height: 0.0, pixels: 0.0 },
        ));
    }
    for mut sprite in &mut backdrops {
        if sprite.image != dress.backdrop {
            sprite.image = dress.backdrop.clone();
        }
    }
}

/// Writes the vertices of puppets whose pose has changed.
fn pose(
    wardrobe: Res<Wardrobe>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut puppets: Query<(Entity, &Puppet, Option<&PuppetOf>, &Mesh2d, &Transform, &mut Shown)>,
    poses: Query<&RigPose>,
) {
    let Some(dress) = &wardrobe.dress else { return };
    for (entity, puppet, of, mesh, transform, mut shown) in &mut puppets {
        let pose = poses.get(of.map_or(entity, |of| of.0)).copied().unwrap_or_default();
        let [width, height] = dress.art.rig.canvas;
        let scale = puppet.height / height;
        let pixels = scale * transform.scale.y.abs();
        if pose == shown.pose && puppet.height == shown.height && pixels == shown.pixels {
            continue;
        }
        let Some(mut mesh) = meshes.get_mut(&mesh.0) else { continue };
        let mut frame = take_frame(&mut mesh);
        dress.art.pose(&pose, pixels, &mut frame);
        for at in &mut frame.positions {
            (at[0], at[1]) = ((at[0] - width / 2.0) * scale, (height / 2.0 - at[1]) * scale);
        }
        put(&mut mesh, frame);
        *shown = Shown { pose, height: puppet.height, pixels };
    }
}

/// The mesh's own buffers, to be written anew without allocating.
fn take_frame(mesh: &mut Mesh) -> Frame {
    let mut frame = Frame::default();
    if let Some(VertexAttributeValues::Float32x3(positions)) = mesh.attribute_mut(Mesh::ATTRIBUTE_POSITION) {
        frame.positions = take(positions);
    }
    if let Some(VertexAttributeValues::Float32x2(uvs)) = mesh.attribute_mut(Mesh::ATTRIBUTE_UV_0) {
        frame.uvs = take(uvs);
    }
    if let Some(VertexAttributeValues::Float32x4(colours)) = mesh.attribute_mut(Mesh::ATTRIBUTE_COLOR) {
        frame.colours = take(colours);
    }
    frame
}

fn put(mesh: &mut Mesh, frame: Frame) {
    mesh.insert_attribute(Mesh::ATTRIBUTE_POSITION, frame.positions);
    mesh.insert_attribute(Mesh::ATTRIBUTE_UV_0, frame.uvs);
    mesh.insert_attribute(Mesh::ATTRIBUTE_COLOR, frame.colours);
}

/// Makes backdrops cover the first camera's view.
fn fit_backdrops(cameras: Query<(&Camera, &GlobalTransform)>, mut backdrops: Query<(&mut Sprite, &mut Transform), With<Backdrop>>) {
    let Some((camera, view)) = cameras.iter().find(|(camera, _)| camera.is_active) else { return };
    let corner = |ndc: Vec3| camera.ndc_to_world(view, ndc).map(Vec3::truncate);
    let (Some(low), Some(high)) = (corner(Vec3::new(-1.0, -1.0, 0.5)), corner(Vec3::new(1.0, 1.0, 0.5))) else { return };
    let side = (high - low).abs().max_element();
    for (mut sprite, mut transform) in &mut backdrops {
        if sprite.custom_size != Some(Vec2::splat(side)) {
            sprite.custom_size = Some(Vec2::splat(side));
        }
        let middle = (low + high) / 2.0;
        if transform.translation.truncate() != middle {
            transform.translation = middle.extend(BACKDROP_DEPTH);
        }
    }
}
