//! [`Art`]: a puppet ready to be posed. Built from SVG layers and `rig.toml`, off the main thread.

use std::{collections::HashMap, fs, ops::Range, path::Path, sync::LazyLock};

use bevy::math::Vec2;
use rayon::prelude::*;

use super::{
    AvatarError,
    atlas::{Atlas, Picture},
    face::{self, Pen},
    rig::{Depth, Follow, Layer, Part, Rig, Shown, Swing},
    warp::Warp,
};
use crate::avatar::{
    expression::ease,
    param::{ParamId, RigPose},
};

/// The side of a mesh's cells, in units of the canvas.
const CELL: f32 = 40.0;
/// Pictures that are drawn inside the eyes.
const EYE_PICTURES: [&str; 3] = ["iris", "glint", "sparkle"];

macro_rules! layers {
    ($($name:literal)+) => {
        [$(($name, include_str!(concat!("../../../assets/avatar/layers/", $name, ".svg")))),+]
    };
}

/// The files of a puppet.
pub struct Source {
    rig: String,
    layers: HashMap<String, String>,
}

impl Source {
    /// The default avatar, which is part of the program.
    pub fn built_in() -> Self {
        let layers = layers!("back-hair" "neck" "body" "tail" "tie" "face" "face-shadow" "nose" "blush" "blush-lines" "tear"
            "side-hair" "front-hair" "ahoge" "clip" "vein" "exclaim" "hearts" "flowers" "iris" "glint" "sparkle");
        let layers = layers.into_iter().map(|(name, svg)| (name.into(), svg.into())).collect();
        Self { rig: include_str!("../../../assets/avatar/rig.toml").into(), layers }
    }

    /// A folder with a `rig.toml` and `layers/*.svg`.
    ///
    /// # Errors
    /// [`AvatarError::Read`] when a file is missing or unreadable.
    pub fn open(folder: &Path) -> Result<Self, AvatarError> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|error| AvatarError::Read { path: path.into(), reason: error.to_string() })
        };
        let listed = folder.join("layers");
        let unlisted = |error: std::io::Error| AvatarError::Read { path: listed.clone(), reason: error.to_string() };
        let mut layers = HashMap::new();
        for entry in fs::read_dir(&listed).map_err(unlisted)? {
            let path = entry.map_err(unlisted)?.path();
            if let (Some("svg"), Some(name)) =
                (path.extension().and_then(|end| end.to_str()), path.file_stem().and_then(|name| name.to_str()))
            {
                layers.insert(name.to_owned(), read(&path)?);
            }
        }
        Ok(Self { rig: read(&folder.join("rig.toml"))?, layers })
    }
}

/// A puppet's vertices in one pose, in units of the canvas: +x right, +y down.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Where each vertex is.
    pub positions: Vec<[f32; 3]>,
    /// Its texture coordinates.
    pub uvs: Vec<[f32; 2]>,
    /// What the texture is multiplied with: linear light, premultiplied.
    pub colours: Vec<[f32; 4]>,
}

/// A vertex of a bent picture, at rest.
#[derive(Clone, Copy, Debug)]
struct Rest {
    at: Vec2,
    uv: [f32; 2],
    depth: f32,
    weight: f32,
    /// Where the head's movement is taken from, if not from the vertex itself.
    hangs_from: Option<Vec2>,
    /// How far up each of the layer's swings this vertex is, 0 to 1.
    swung: [f32; 2],
}

/// What fills a stretch of the vertices.
enum Piece {
    Picture { vertices: Range<usize>, swing: Vec<Swing>, shown: Option<Shown>, middle: Vec2, mirrored: bool },
    Part { part: Part, opacity: f32 },
}

/// A puppet ready to be posed: one texture and one mesh.
pub struct Art {
    /// What it was built from.
    pub rig: Rig,
    /// The texture.
    pub atlas: Atlas,
    /// Three indices a triangle, in the order of drawing.
    pub indices: Vec<u32>,
    pub(super) eye_pictures: [face::EyePicture; 3],
    rest: Vec<Rest>,
    pieces: Vec<Piece>,
    vertices: usize,
}

impl Art {
    /// The default avatar at one texel a unit, built at first use and shared.
    ///
    /// # Errors
    /// Those of [`Art::build`]; the built-in files are tested not to have any.
    pub fn built_in() -> Result<&'static Self, &'static AvatarError> {
        static ART: LazyLock<Result<Art, AvatarError>> = LazyLock::new(|| Art::build(&Source::built_in(), 1.0));
        ART.as_ref()
    }

    /// Rasterises the layers at `scale` texels a unit and lays a mesh over each. Takes a fraction of a second.
    ///
    /// # Errors
    /// [`AvatarError::Rig`] for a `rig.toml` that does not parse, [`AvatarError::Layer`] for a picture that is missing, broken
    /// or empty.
    pub fn build(source: &Source, scale: f32) -> Result<Self, AvatarError> {
        let rig: Rig = toml::from_str(&source.rig).map_err(|error| AvatarError::Rig { reason: error.to_string() })?;
        let of_layers = rig.layers.iter().filter(|layer| layer.part.is_none()).map(|layer| layer.name.as_str());
        let names: Vec<&str> = EYE_PICTURES.into_iter().chain(of_layers).collect();
        let draw = |name: &&str| match source.layers.get(*name) {
            Some(svg) => Picture::draw(name, svg, scale),
            None => Err(AvatarError::Layer { name: (*name).into(), reason: "there is no such file in layers/".into() }),
        };
        let pictures: Vec<Picture> = names.par_iter().map(draw).collect::<Result<_, _>>()?;
        let atlas = Atlas::pack(&pictures, scale);
        let eye_pictures = [0, 1, 2].map(|n| face::EyePicture { covers: pictures[n].covers, place: atlas.places[n] });

        let mut art = Self {
            rig: rig.clone(),
            eye_pictures,
            atlas,
            indices: Vec::new(),
            rest: Vec::new(),
            pieces: Vec::new(),
            vertices: 0,
        };
        let mut next = EYE_PICTURES.len();
        for layer in &rig.layers {
            match layer.part {
                Some(part) => art.add_part(part, layer.opacity),
                None => {
                    let sides: &[bool] = if layer.mirror { &[false, true] } else { &[false] };
                    for mirrored in sides {
                        art.add_picture(layer, &pictures[next], art.atlas.places[next], *mirrored);
                    }
                    next += 1;
                }
            }
        }
        Ok(art)
    }

    fn add_part(&mut self, part: Part, opacity: f32) {
        for band in face::bands(part) {
            for column in 0..band.columns as u32 {
                for row in 0..face::ROWS as u32 - 1 {
                    let corner = self.vertices as u32 + column * face::ROWS as u32 + row;
                    self.add_cell(
                        [corner, corner + face::ROWS as u32, corner + 1, corner + face::ROWS as u32 + 1],
                        band.mirrored,
                    );
                }
            }
            self.vertices += (band.columns + 1) * face::ROWS;
        }
        self.pieces.push(Piece::Part { part, opacity });
    }

    /// Two triangles between corners that are named as the letter Z is written.
    fn add_cell(&mut self, [a, b, c, d]: [u32; 4], mirrored: bool) {
        self.indices.extend(if mirrored { [a, c, b, b, c, d] } else { [a, b, c, b, d, c] });
    }

    /// Lays a mesh over the seen part of a picture.
    fn add_picture(&mut self, layer: &Layer, picture: &Picture, place: [f32; 4], mirrored: bool) {
        let [left, top, width, height] = picture.covers;
        let (columns, rows) = ((width / CELL).ceil().max(1.0) as usize, (height / CELL).ceil().max(1.0) as usize);
        let corner = |column: usize, row: usize| {
            Vec2::new(left + width * column as f32 / columns as f32, top + height * row as f32 / rows as f32)
        };
        let warp = Warp::new(&self.rig.head, self.rig.canvas, &RigPose::default());
        let first = self.vertices;
        let mut known = HashMap::new();
        for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
            let (low, high) = (corner(column, row), corner(column + 1, row + 1));
            if !picture.is_seen([low.x, low.y, high.x, high.y]) {
                continue;
            }
            let corners =
                [(column, row), (column + 1, row), (column, row + 1), (column + 1, row + 1)].map(|(column, row)| {
                    *known.entry((column, row)).or_insert_with(|| {
                        let uv = [
                            place[0] + place[2] * column as f32 / columns as f32,
                            place[1] + place[3] * row as f32 / rows as f32,
                        ];
                        self.rest.push(rest(layer, corner(column, row), uv, &warp));
                        self.vertices += 1;
                        self.vertices as u32 - 1
                    })
                });
            self.add_cell(corners, mirrored);
        }
        let start = self.rest.len() - (self.vertices - first);
        if mirrored {
            for rest in &mut self.rest[start..] {
                rest.at.x = self.rig.canvas[0] - rest.at.x;
                rest.hangs_from = rest.hangs_from.map(|at| Vec2::new(self.rig.canvas[0] - at.x, at.y));
            }
        }
        let middle = Vec2::new(left + width / 2.0, top + height / 2.0);
        let middle = if mirrored { Vec2::new(self.rig.canvas[0] - middle.x, middle.y) } else { middle };
        self.pieces.push(Piece::Picture {
            vertices: start..self.rest.len(),
            swing: layer.swing.iter().take(2).copied().collect(),
            shown: layer.shown,
            middle,
            mirrored,
        });
    }

    /// How many vertices every frame has.
    pub fn vertex_count(&self) -> usize {
        self.vertices
    }

    /// Which vertices belong to drawn parts.
    #[cfg(test)]
    pub(super) fn drawn_vertices(&self) -> Vec<bool> {
        let of = |piece: &Piece| match piece {
            Piece::Picture { vertices, .. } => vec![false; vertices.len()],
            Piece::Part { part, .. } => {
                vec![true; face::bands(*part).iter().map(|band| (band.columns + 1) * face::ROWS).sum()]
            }
        };
        self.pieces.iter().flat_map(of).collect()
    }

    /// Computes where `pose` moves every vertex. `pixels` is how many of the screen's pixels a unit of the canvas takes: edges
    /// that are drawn, not painted, are softened over about one.
    pub fn pose(&self, pose: &RigPose, pixels: f32, frame: &mut Frame) {
        frame.positions.clear();
        frame.uvs.clear();
        frame.colours.clear();
        let warp = Warp::new(&self.rig.head, self.rig.canvas, pose);
        for piece in &self.pieces {
            match piece {
                Piece::Part { part, opacity } => {
                    let mut pen = Pen::new(self, &warp, pixels, *opacity, frame);
                    face::draw(&mut pen, *part, pose);
                }
                Piece::Picture { vertices, swing, shown, middle, mirrored } => {
                    let shown_at = |shown: &Shown| ease(shown.rest + (1.0 - shown.rest) * pose.get(shown.by));
                    let opacity = shown.as_ref().map_or(1.0, shown_at);
                    let size = match shown {
                        _ if opacity <= 0.0 => 0.0,
                        Some(Shown { grows: true, .. }) => 0.5 + 0.5 * opacity,
                        _ => 1.0,
                    };
                    for rest in &self.rest[vertices.clone()] {
                        let at = carry(rest, *middle, size, swing, *mirrored, &warp, pose);
                        frame.positions.push([at.x, at.y, 0.0]);
                        frame.uvs.push(rest.uv);
                        frame.colours.push([opacity; 4]);
                    }
                }
            }
        }
        debug_assert_eq!(frame.positions.len(), self.vertices);
    }
}

/// How a vertex goes with the head, at rest.
fn rest(layer: &Layer, at: Vec2, uv: [f32; 2], warp: &Warp) -> Rest {
    let between = |from: f32, to: f32| if from == to { 0.0 } else { ((at.y - from) / (to - from)).clamp(0.0, 1.0) };
    let depth = warp.depth(Depth { lift: layer.lift, dome: layer.dome }, at);
    let (weight, depth, hangs_from) = match layer.follow {
        Follow::Head => (1.0, depth, None),
        Follow::Hang { at: point, weight, from, to, end } => {
            (weight * (1.0 + (end - 1.0) * between(from, to)), layer.lift, Some(Vec2::from(point)))
        }
        Follow::Neck { from, to } => (ease(between(from, to)), layer.lift, None),
        Follow::Body { weight, from, to } => {
            (weight * ease(between(from, to)), layer.lift, Some(Vec2::new(at.x, 735.0)))
        }
    };
    // A free end swings the more the further it is from the fixed one.
    let mut swung = [0.0; 2];
    for (amount, swing) in swung.iter_mut().zip(&layer.swing) {
        *amount = between(swing.from, swing.to).powf(1.5);
    }
    Rest { at, uv, depth, weight, hangs_from, swung }
}

fn carry(rest: &Rest, middle: Vec2, size: f32, swing: &[Swing], mirrored: bool, warp: &Warp, pose: &RigPose) -> Vec2 {
    let mut at = middle + (rest.at - middle) * size;
    for (swing, amount) in swing.iter().zip(rest.swung) {
        let reach = pose.get(swing.by) * swing.reach * amount;
        if swing.up {
            at.y -= reach;
        } else {
            // The two sides hang a little differently, or they would look like a cut-out.
            at.x += reach * if mirrored { 1.0 } else { 0.86 };
        }
    }
    let anchor = rest.hangs_from.unwrap_or(at);
    warp.body(at + (warp.head(anchor, rest.depth) - anchor) * rest.weight)
}

/// A parameter's value for the eye on the screen's left (her right) or the other.
pub(super) fn sided(pose: &RigPose, mirrored: bool, right: ParamId, left: ParamId) -> f32 {
    pose.get(if mirrored { left } else { right })
}
