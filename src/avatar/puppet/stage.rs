//! The puppet in a Bevy scene: one dynamic mesh, one texture, one draw call each.

use std::{mem::take, path::PathBuf, sync::Mutex, thread};

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
const BACKDROP_TEXELS: f32 = 0.6;
/// Texels a unit of the rig's canvas, at first: sharp for a puppet 900 pixels high.
const TEXELS: f32 = 0.71;
/// The most that is ever built, about 40 million texels.
const MOST_TEXELS: f32 = 4.0;
/// How far behind everything the backdrop stands.
const BACKDROP_DEPTH: f32 = -100.0;

/// Draws every [`Puppet`] as its [`RigPose`] says, and every [`Backdrop`].
///
/// The art is built on a thread of its own, and again, finer, when a puppet grows beyond it; until it is there, puppets are
/// invisible. Where it cannot be built, the reason is logged and puppets stay invisible.
#[derive(Clone, Debug, Default)]
pub struct PuppetPlugin {
    /// A folder with `rig.toml` and `layers/*.svg`; the default avatar without one.
    pub folder: Option<PathBuf>,
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

/// Keeps a [`Puppet`] framed as head and shoulders in the first camera's view, whatever its size.
#[derive(Component, Clone, Copy, Debug, Default)]
#[require(Puppet)]
pub struct Portrait;

/// Lets a [`Puppet`] follow another entity's pose.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuppetOf(pub Entity);

/// A soft, out-of-focus room behind the scene, as large as the camera's view.
#[derive(Component, Clone, Copy, Debug, Default)]
#[require(Transform = Transform::from_xyz(0.0, 0.0, BACKDROP_DEPTH), Visibility)]
pub struct Backdrop;

impl Backdrop {
    /// The room's light: a window that is cleared with it does not flash before the art is there.
    pub const LIGHT: Color = Color::srgb(0.969, 0.925, 0.953);
}

/// What the thread builds.
struct Built {
    art: Art,
    texels: f32,
    backdrop: Option<Picture>,
}

/// The art: being built, or ready.
#[derive(Resource)]
struct Wardrobe {
    folder: Option<PathBuf>,
    building: Option<Mutex<Receiver<Result<Built, AvatarError>>>>,
    dress: Option<Dress>,
}

struct Dress {
    art: Art,
    texels: f32,
    material: Handle<PuppetMaterial>,
    backdrop: Option<(Handle<Mesh>, Handle<PuppetMaterial>)>,
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
    /// Drawn without blending, which takes a software renderer half the time.
    opaque: bool,
}

impl Material2d for PuppetMaterial {
    fn fragment_shader() -> ShaderRef {
        SHADER.into()
    }

    fn alpha_mode(&self) -> AlphaMode2d {
        if self.opaque { AlphaMode2d::Opaque } else { AlphaMode2d::Blend }
    }

    fn specialize(
        descriptor: &mut RenderPipelineDescriptor,
        _: &MeshVertexBufferLayoutRef,
        _: Material2dKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let targets = descriptor.fragment.iter_mut().flat_map(|fragment| &mut fragment.targets).flatten();
        let blends = targets.filter(|target| target.blend.is_some());
        blends.for_each(|target| target.blend = Some(BlendState::PREMULTIPLIED_ALPHA_BLENDING));
        Ok(())
    }
}

impl Plugin for PuppetPlugin {
    fn build(&self, app: &mut App) {
        load_internal_asset!(app, SHADER, "puppet.wgsl", Shader::from_wgsl);
        let mut wardrobe = Wardrobe { folder: self.folder.clone(), building: None, dress: None };
        wardrobe.build(TEXELS);
        app.add_plugins(Material2dPlugin::<PuppetMaterial>::default())
            .insert_resource(wardrobe)
            .add_systems(PreUpdate, (hang_up, refine).chain())
            .add_systems(Update, dress)
            .add_systems(
                PostUpdate,
                ((fit_portraits, pose).chain(), fit_backdrops).before(TransformSystems::Propagate),
            );
    }
}

impl Wardrobe {
    /// Starts a thread that rasterises the art.
    fn build(&mut self, texels: f32) {
        let (done, building) = bounded(1);
        let folder = self.folder.clone();
        let with_backdrop = self.dress.is_none();
        let build = move || {
            let source = folder.map_or_else(|| Ok(Source::built_in()), |folder| Source::open(&folder));
            let built = source.and_then(|source| {
                let backdrop = if with_backdrop { Some(backdrop()?) } else { None };
                Ok(Built { art: Art::build(&source, texels)?, texels, backdrop })
            });
            // The app may have ended meanwhile.
            let _ = done.send(built);
        };
        match thread::Builder::new().name("puppet art".into()).spawn(build) {
            Ok(_) => self.building = Some(Mutex::new(building)),
            Err(error) => error!("the avatar cannot be drawn: no thread could be started: {error}"),
        }
    }
}

fn backdrop() -> Result<Picture, AvatarError> {
    Picture::draw("backdrop", include_str!("../../../assets/avatar/backdrop.svg"), BACKDROP_TEXELS)
}

/// Takes in the art once it is there.
fn hang_up(
    mut wardrobe: ResMut<Wardrobe>,
    mut images: ResMut<Assets<Image>>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<PuppetMaterial>>,
    mut commands: Commands,
    puppets: Query<Entity, With<Puppet>>,
) {
    let building = wardrobe.building.as_ref().and_then(|building| building.lock().ok()?.try_recv().ok());
    let Some(built) = building else { return };
    wardrobe.building = None;
    match built {
        Err(error) => error!("the avatar cannot be drawn: {error}"),
        Ok(Built { mut art, texels, backdrop }) => {
            let atlas = images.add(atlas_image(&mut art));
            let material = materials.add(PuppetMaterial { atlas, opaque: false });
            let backdrop = backdrop.map(|picture| {
                let picture = picture.into_image();
                let (width, height) = picture.dimensions();
                let atlas = images.add(texture(width, height, picture.into_raw(), 1));
                (meshes.add(square()), materials.add(PuppetMaterial { atlas, opaque: true }))
            });
            let backdrop = backdrop.or_else(|| wardrobe.dress.take()?.backdrop);
            wardrobe.dress = Some(Dress { art, texels, material, backdrop });
            // Those who wear the coarser art are dressed anew.
            for puppet in &puppets {
                commands.entity(puppet).try_remove::<Shown>();
            }
        }
    }
}

/// Has finer art built when a puppet is shown larger than the art is sharp.
fn refine(mut wardrobe: ResMut<Wardrobe>, puppets: Query<(&Puppet, &GlobalTransform)>, cameras: Query<&Camera>) {
    let Some(dress) = wardrobe.dress.as_ref().filter(|_| wardrobe.building.is_none()) else { return };
    let density = cameras.iter().filter_map(Camera::target_scaling_factor).fold(1.0, f32::max);
    let pixels = |(puppet, place): (&Puppet, &GlobalTransform)| {
        puppet.height / dress.art.rig.canvas[1] * place.scale().y.abs() * density
    };
    let needed = puppets.iter().map(pixels).fold(0.0, f32::max).min(MOST_TEXELS);
    if needed > dress.texels * 1.1 {
        wardrobe.build((needed * 1.2).min(MOST_TEXELS));
    }
}

/// A square of side 1 that a backdrop is drawn on.
fn square() -> Mesh {
    let corners = [[-0.5, 0.5], [0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]];
    let mut mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD);
    mesh.insert_indices(Indices::U32(vec![0, 2, 1, 1, 2, 3]));
    let frame = Frame {
        positions: corners.map(|[x, y]| [x, y, 0.0]).to_vec(),
        uvs: corners.map(|[x, y]| [x + 0.5, 0.5 - y]).to_vec(),
        colours: vec![[1.0; 4]; 4],
    };
    put(&mut mesh, frame);
    mesh
}

/// Moves the atlas's texels to a texture with mipmaps.
fn atlas_image(art: &mut Art) -> Image {
    let levels = take(&mut art.atlas.levels);
    let mut image = texture(art.atlas.width, art.atlas.height, levels.concat(), levels.len() as u32);
    // The art is never much finer than the screen, so one level at a time will do; two cost a software renderer a third more.
    image.sampler = ImageSampler::Descriptor(ImageSamplerDescriptor {
        mipmap_filter: ImageFilterMode::Nearest,
        ..ImageSamplerDescriptor::linear()
    });
    image
}

fn texture(width: u32, height: u32, texels: Vec<u8>, levels: u32) -> Image {
    let mut image = Image::new_uninit(
        Extent3d { width, height, ..default() },
        TextureDimension::D2,
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    );
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
    backdrops: Query<Entity, (With<Backdrop>, Without<Mesh2d>)>,
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
    if let Some((mesh, material)) = &dress.backdrop {
        for backdrop in &backdrops {
            commands.entity(backdrop).insert((
                Mesh2d(mesh.clone()),
                MeshMaterial2d(material.clone()),
                NoFrustumCulling,
            ));
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

/// What the first camera sees, where it has a target of known size.
fn view(cameras: &Query<(&Camera, &GlobalTransform)>) -> Option<Rect> {
    let (camera, place) = cameras.iter().find(|(camera, _)| camera.is_active)?;
    let corner = |ndc: Vec3| camera.ndc_to_world(place, ndc).map(Vec3::truncate);
    Some(Rect::from_corners(corner(Vec3::new(-1.0, -1.0, 0.5))?, corner(Vec3::new(1.0, 1.0, 0.5))?))
}

/// Makes backdrops cover the first camera's view.
fn fit_backdrops(cameras: Query<(&Camera, &GlobalTransform)>, mut backdrops: Query<&mut Transform, With<Backdrop>>) {
    let Some(view) = view(&cameras) else { return };
    let side = view.size().max_element();
    let fitted =
        Transform::from_translation(view.center().extend(BACKDROP_DEPTH)).with_scale(Vec3::new(side, side, 1.0));
    for mut transform in &mut backdrops {
        transform.set_if_neq(fitted);
    }
}

/// Frames portraits: her hair reaches the view's upper edge, its lower edge cuts her off below the ribbon.
fn fit_portraits(
    cameras: Query<(&Camera, &GlobalTransform)>,
    mut portraits: Query<(&mut Puppet, &mut Transform), With<Portrait>>,
) {
    let Some(view) = view(&cameras) else { return };
    let height = view.height().min(view.width() * 1.25);
    let at = Vec2::new(view.center().x, view.min.y + height * 0.398);
    for (mut puppet, mut transform) in &mut portraits {
        puppet.set_if_neq(Puppet { height: height * 1.18 });
        let fitted = transform.with_translation(at.extend(transform.translation.z));
        transform.set_if_neq(fitted);
    }
}
