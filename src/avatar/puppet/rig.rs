//! The rig's description, as it stands in `rig.toml`: layers, how they move, and the curves of the face.

use serde::{Deserialize, Deserializer};

use crate::avatar::param::ParamId;

/// A point or a vector on the canvas.
pub type Point = [f32; 2];

/// A whole rig.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rig {
    /// Width and height.
    pub canvas: Point,
    /// The head, which most layers follow.
    pub head: Head,
    /// Back to front.
    #[serde(rename = "layer")]
    pub layers: Vec<Layer>,
    /// The eyes.
    pub eye: Eye,
    /// The brows.
    pub brow: Brow,
    /// The mouth.
    pub mouth: Mouth,
}

/// How the head turns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Head {
    /// Where it sits on the neck.
    pub pivot: Point,
    /// Its middle.
    pub centre: Point,
    /// The radii of the dome that gives layers their depth.
    pub radius: Point,
    /// Degrees of turn at `AngleX` = 30.
    pub yaw: f32,
    /// Degrees of nod at `AngleY` = 30.
    pub pitch: f32,
    /// Degrees of tilt for a degree of `AngleZ`.
    pub roll: f32,
    /// The depth of eyes, brows and mouth.
    pub face: Depth,
}

/// How far a layer stands out of the picture's plane.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Depth {
    /// Everywhere.
    pub lift: f32,
    /// More at the head's centre, none at its rim.
    pub dome: f32,
}

/// One layer: a picture that is bent, or a part of the face that is drawn.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Layer {
    /// The picture is `layers/NAME.svg`.
    pub name: String,
    /// Drawn instead of a picture.
    #[serde(default)]
    pub part: Option<Part>,
    /// Shown twice: as it is, and mirrored about the canvas's middle.
    #[serde(default)]
    pub mirror: bool,
    /// How it goes with the head.
    #[serde(default)]
    pub follow: Follow,
    /// [`Depth::lift`].
    #[serde(default)]
    pub lift: f32,
    /// [`Depth::dome`].
    #[serde(default)]
    pub dome: f32,
    /// What makes it swing.
    #[serde(default)]
    pub swing: Vec<Swing>,
    /// What makes it appear; always there without it.
    #[serde(default)]
    pub shown: Option<Shown>,
    /// Of a drawn part.
    #[serde(default = "one")]
    pub opacity: f32,
}

fn one() -> f32 {
    1.0
}

/// A part of the face that is drawn from curves.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Both eyes.
    Eyes,
    /// Both brows.
    Brows,
    /// The mouth.
    Mouth,
}

/// How a layer goes with the head.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Follow {
    /// Turns with it.
    #[default]
    Head,
    /// Is carried, not turned, from one point of it.
    Hang {
        /// The point.
        at: Point,
        /// How much of the point's movement it takes, at the height `from`.
        weight: f32,
        /// Where that begins to lessen.
        #[serde(default)]
        from: f32,
        /// Where it has lessened to `end`.
        #[serde(default)]
        to: f32,
        /// What is left of `weight` there.
        #[serde(default = "one")]
        end: f32,
    },
    /// Is held by it at the height `to`, and by the body at `from`.
    Neck {
        /// The body's end.
        from: f32,
        /// The head's end.
        to: f32,
    },
    /// Is moved a little above the height `from`, by `weight` from `to` on.
    Body {
        /// How much.
        weight: f32,
        /// Where it begins.
        from: f32,
        /// Where it is full.
        to: f32,
    },
}

/// A parameter that moves a layer's free end.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Swing {
    /// The parameter.
    #[serde(deserialize_with = "param")]
    pub by: ParamId,
    /// The height of the fixed end.
    pub from: f32,
    /// The height of the free end.
    pub to: f32,
    /// How far the free end goes for 1.
    pub reach: f32,
    /// Up instead of to the right.
    #[serde(default)]
    pub up: bool,
}

/// A parameter that lets a layer appear.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shown {
    /// The parameter; the layer is opaque at 1.
    #[serde(deserialize_with = "param")]
    pub by: ParamId,
    /// Opacity at 0; below 0 the layer appears late.
    #[serde(default)]
    pub rest: f32,
    /// It grows as it appears.
    #[serde(default)]
    pub grows: bool,
}

fn param<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ParamId, D::Error> {
    let name = String::deserialize(deserializer)?;
    ParamId::from_name(&name).ok_or_else(|| {
        serde::de::Error::custom(format!("`{name}` is not a parameter: use an id such as ParamHairSide"))
    })
}

/// A colour, `#rrggbb`, held as linear light.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour(pub [f32; 3]);

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let value = value.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a colour like #a0b1c2")))?;
        Ok(Self([16, 8, 0].map(|shift| super::atlas::to_linear((value >> shift) as u8))))
    }
}

/// Six points of a lid, from the inner to the outer corner.
pub type Lid = [Point; 6];

/// The eye on the screen's left.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Eye {
    /// Where it is.
    pub centre: Point,
    /// The size of the pictures of iris, glint and sparkle.
    #[serde(rename = "box")]
    pub size_of_box: Point,
    /// The iris's centre at rest.
    pub iris: Point,
    /// How far it goes.
    pub look: Point,
    /// How much of its size `EyeBallForm` changes.
    pub size: f32,
    /// How far `EyeForm` slants the corners.
    pub slant: f32,
    /// How far opening beyond 1 raises the lid.
    pub wide: f32,
    /// The upper lid's shapes.
    pub upper: UpperLid,
    /// The lower lid's shapes.
    pub lower: LowerLid,
    /// The white.
    pub white: Colour,
    /// The lashes.
    pub lash: Colour,
    /// The lashes' colour at the inner corner.
    pub lash_corner: Colour,
    /// The fold above the lid.
    pub crease: Colour,
    /// The lower lashes.
    pub lower_lash: Colour,
    /// The upper lid's shadow on the eyeball.
    pub shadow: Colour,
    /// What wells up at `Tear`.
    pub tear: Colour,
}

/// Key shapes of the upper lid.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpperLid {
    /// At 1.
    pub open: Lid,
    /// At ½.
    pub half: Lid,
    /// At 0.
    pub closed: Lid,
    /// Closed in a smile.
    pub smile: Lid,
}

/// Key shapes of the lower lid.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowerLid {
    /// At rest.
    pub open: Lid,
    /// Raised by a smile.
    pub smile: Lid,
}

/// The brow on the screen's left.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Brow {
    /// Where it is.
    pub centre: Point,
    /// From the inner to the outer end.
    pub points: [Point; 4],
    /// How far `BrowForm` raises each point.
    pub arch: [f32; 4],
    /// Degrees of slant at `BrowAngle` = 1.
    pub slant: f32,
    /// How far `BrowY` raises it.
    pub raise: f32,
    /// How far `BrowX` moves it.
    pub together: f32,
    /// At its thickest.
    pub width: f32,
    /// Its colour.
    pub colour: Colour,
}

/// Half a lip's curve: the corner, two points, the middle.
pub type HalfLip = [Point; 4];

/// An open mouth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenMouth {
    /// The upper lip.
    pub upper: HalfLip,
    /// The lower lip.
    pub lower: HalfLip,
    /// How much of the teeth is seen.
    pub teeth: f32,
}

/// A shape for each temper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tempers<T> {
    /// `MouthForm` = 0.
    pub rest: T,
    /// `MouthForm` = 1.
    pub smile: T,
    /// `MouthForm` = −1.
    pub frown: T,
    /// `MouthCat` = 1.
    pub cat: T,
}

/// The mouth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mouth {
    /// Where it is.
    pub centre: Point,
    /// Closed: both lips on one line.
    pub closed: Tempers<HalfLip>,
    /// Open, without a vowel.
    pub open: Tempers<OpenMouth>,
    /// The vowel's mouth, fully open.
    pub a: OpenMouth,
    /// The vowel's mouth, fully open.
    pub i: OpenMouth,
    /// The vowel's mouth, fully open.
    pub u: OpenMouth,
    /// The vowel's mouth, fully open.
    pub e: OpenMouth,
    /// The vowel's mouth, fully open.
    pub o: OpenMouth,
    /// How far the teeth come down.
    pub teeth_depth: f32,
    /// The lips' line.
    pub lip: Colour,
    /// The inside, from the upper lip to the lower.
    pub inside: [Colour; 3],
    /// The tongue.
    pub tongue: Colour,
    /// The teeth.
    pub teeth: Colour,
    /// The little shadow under the lower lip.
    pub accent: Colour,
}
