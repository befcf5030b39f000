//! [`ParamId`], the common language of all renderers, and [`RigPose`], one value for each.

use bevy::prelude::Component;

/// Declares the parameters once: variant, id, minimum, default, maximum and meaning.
macro_rules! params {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal in $min:literal..=$max:literal, $default:literal;)+) => {
        /// A parameter of the rig, under Live2D's standard id where there is one.
        ///
        /// Ids, ranges and defaults follow Live2D's standard parameter list (Cubism editor manual, "Standard Parameter
        /// List"), whose "left" is the character's own left and whose positive X is the screen's right. From
        /// [`ParamId::EyeForm`] on, the ids are this crate's: expressive shapes and overlays which that list leaves to
        /// the artist.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ParamId {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl ParamId {
            /// All parameters, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Live2D's name, e.g. `ParamMouthOpenY`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The least and the greatest value.
            pub const fn range(self) -> (f32, f32) {
                match self { $(Self::$variant => ($min, $max)),+ }
            }

            /// The value at rest.
            pub const fn default_value(self) -> f32 {
                match self { $(Self::$variant => $default),+ }
            }
        }

        const COUNT: usize = [$(ParamId::$variant),+].len();
        const REST: [f32; COUNT] = [$($default),+];
    };
}

params! {
    /// The head's turn, in degrees; + faces the screen's right.
    AngleX = "ParamAngleX" in -30.0..=30.0, 0.0;
    /// The head's nod, in degrees; + faces up.
    AngleY = "ParamAngleY" in -30.0..=30.0, 0.0;
    /// The head's tilt, in degrees; + tilts to the screen's right.
    AngleZ = "ParamAngleZ" in -30.0..=30.0, 0.0;
    /// Left eye: 0 closed, 1 open; beyond 1 it widens (the list lets the maximum grow for that).
    EyeLOpen = "ParamEyeLOpen" in 0.0..=1.2, 1.0;
    /// Left eye: 1 smiles.
    EyeLSmile = "ParamEyeLSmile" in 0.0..=1.0, 0.0;
    /// Right eye: 0 closed, 1 open; beyond 1 it widens.
    EyeROpen = "ParamEyeROpen" in 0.0..=1.2, 1.0;
    /// Right eye: 1 smiles.
    EyeRSmile = "ParamEyeRSmile" in 0.0..=1.0, 0.0;
    /// The gaze; + looks to the screen's right.
    EyeBallX = "ParamEyeBallX" in -1.0..=1.0, 0.0;
    /// The gaze; + looks up.
    EyeBallY = "ParamEyeBallY" in -1.0..=1.0, 0.0;
    /// The irises' size; − is smaller.
    EyeBallForm = "ParamEyeBallForm" in -1.0..=1.0, 0.0;
    /// Left brow; + is raised.
    BrowLY = "ParamBrowLY" in -1.0..=1.0, 0.0;
    /// Right brow; + is raised.
    BrowRY = "ParamBrowRY" in -1.0..=1.0, 0.0;
    /// Left brow; − draws the brows together.
    BrowLX = "ParamBrowLX" in -1.0..=1.0, 0.0;
    /// Right brow; − draws the brows together.
    BrowRX = "ParamBrowRX" in -1.0..=1.0, 0.0;
    /// Left brow's slant; − is angry, + is sad.
    BrowLAngle = "ParamBrowLAngle" in -1.0..=1.0, 0.0;
    /// Right brow's slant; − is angry, + is sad.
    BrowRAngle = "ParamBrowRAngle" in -1.0..=1.0, 0.0;
    /// Left brow's arch; + is rounder.
    BrowLForm = "ParamBrowLForm" in -1.0..=1.0, 0.0;
    /// Right brow's arch; + is rounder.
    BrowRForm = "ParamBrowRForm" in -1.0..=1.0, 0.0;
    /// The mouth's temper; + smiles, − frowns.
    MouthForm = "ParamMouthForm" in -1.0..=1.0, 0.0;
    /// The mouth: 0 closed, 1 open.
    MouthOpenY = "ParamMouthOpenY" in 0.0..=1.0, 0.0;
    /// Weight of the vowel "a" in the open mouth's shape.
    A = "ParamA" in 0.0..=1.0, 0.0;
    /// Weight of the vowel "i".
    I = "ParamI" in 0.0..=1.0, 0.0;
    /// Weight of the vowel "u".
    U = "ParamU" in 0.0..=1.0, 0.0;
    /// Weight of the vowel "e".
    E = "ParamE" in 0.0..=1.0, 0.0;
    /// Weight of the vowel "o".
    O = "ParamO" in 0.0..=1.0, 0.0;
    /// Blushing.
    Cheek = "ParamCheek" in 0.0..=1.0, 0.0;
    /// The body's turn, in degrees; + is the screen's right.
    BodyAngleX = "ParamBodyAngleX" in -10.0..=10.0, 0.0;
    /// The body's rise, in degrees; + stretches up.
    BodyAngleY = "ParamBodyAngleY" in -10.0..=10.0, 0.0;
    /// The body's lean, in degrees; + leans to the screen's right.
    BodyAngleZ = "ParamBodyAngleZ" in -10.0..=10.0, 0.0;
    /// Breath: 1 has breathed in.
    Breath = "ParamBreath" in 0.0..=1.0, 0.0;
    /// Swing of the bangs; + is the screen's right.
    HairFront = "ParamHairFront" in -1.0..=1.0, 0.0;
    /// Swing of the side locks and tails; + is the screen's right.
    HairSide = "ParamHairSide" in -1.0..=1.0, 0.0;
    /// Swing of the back hair; + is the screen's right.
    HairBack = "ParamHairBack" in -1.0..=1.0, 0.0;
    /// Bounce of light hair; + is up.
    HairFluffy = "ParamHairFluffy" in -1.0..=1.0, 0.0;
    /// The lids' slant; − is fierce, + droops. (This crate's id, like all that follow.)
    EyeForm = "ParamEyeForm" in -1.0..=1.0, 0.0;
    /// A cat's mouth.
    MouthCat = "ParamMouthCat" in 0.0..=1.0, 0.0;
    /// Sparkling eyes.
    Sparkle = "ParamSparkle" in 0.0..=1.0, 0.0;
    /// Tears.
    Tear = "ParamTear" in 0.0..=1.0, 0.0;
    /// The comic vein of anger.
    Vein = "ParamVein" in 0.0..=1.0, 0.0;
    /// Lines of surprise.
    Exclaim = "ParamExclaim" in 0.0..=1.0, 0.0;
    /// Hearts.
    Heart = "ParamHeart" in 0.0..=1.0, 0.0;
    /// Flowers of joy.
    Flower = "ParamFlower" in 0.0..=1.0, 0.0;
}

impl ParamId {
    /// How many parameters there are.
    pub const COUNT: usize = COUNT;

    /// The parameter of a name such as `ParamAngleX`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.name() == name)
    }

    /// `value` within the parameter's range; its rest value for NaN.
    pub fn clamp(self, value: f32) -> f32 {
        let (least, greatest) = self.range();
        if value.is_nan() { self.default_value() } else { value.clamp(least, greatest) }
    }
}

/// Where every parameter of the rig stands: all that a renderer reads.
///
/// Values are always within their ranges, whatever is written.
#[derive(Component, Clone, Copy, Debug, PartialEq)]
pub struct RigPose([f32; COUNT]);

impl Default for RigPose {
    fn default() -> Self {
        Self(REST)
    }
}

impl RigPose {
    /// A pose at rest but for these values.
    pub fn with(values: impl IntoIterator<Item = (ParamId, f32)>) -> Self {
        let mut pose = Self::default();
        values.into_iter().for_each(|(id, value)| pose.set(id, value));
        pose
    }

    /// One parameter's value.
    pub fn get(&self, id: ParamId) -> f32 {
        self.0[id as usize]
    }

    /// Sets a parameter, clamped to its range; NaN sets it to rest.
    pub fn set(&mut self, id: ParamId, value: f32) {
        self.0[id as usize] = id.clamp(value);
    }

    /// Adds to a parameter, clamped to its range.
    pub fn add(&mut self, id: ParamId, delta: f32) {
        self.set(id, self.get(id) + delta);
    }

    /// The pose `weight` (0 to 1) of the way to another.
    pub fn blend(&self, other: &Self, weight: f32) -> Self {
        let weight = if weight.is_nan() { 0.0 } else { weight.clamp(0.0, 1.0) };
        if weight == 1.0 {
            return *other;
        }
        let mut blended = *self;
        for id in ParamId::ALL {
            blended.set(*id, self.get(*id) + (other.get(*id) - self.get(*id)) * weight);
        }
        blended
    }

    /// All parameters with their values.
    pub fn iter(&self) -> impl Iterator<Item = (ParamId, f32)> + '_ {
        ParamId::ALL.iter().map(|id| (*id, self.get(*id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_live2ds_and_lead_back_to_their_parameter() {
        for id in ParamId::ALL {
            assert!(id.name().starts_with("Param"));
            assert_eq!(ParamId::from_name(id.name()), Some(*id));
            assert_eq!(ParamId::ALL[*id as usize], *id);
        }
        assert_eq!(ParamId::AngleX.range(), (-30.0, 30.0));
        assert_eq!(ParamId::EyeLOpen.default_value(), 1.0);
    }

    #[test]
    fn a_pose_never_leaves_its_ranges() {
        let mut pose = RigPose::default();
        for id in ParamId::ALL {
            let (least, greatest) = id.range();
            pose.set(*id, f32::INFINITY);
            assert_eq!(pose.get(*id), greatest);
            pose.set(*id, f32::NEG_INFINITY);
            assert_eq!(pose.get(*id), least);
            pose.set(*id, f32::NAN);
            assert_eq!(pose.get(*id), id.default_value());
        }
    }

    #[test]
    fn a_blend_goes_from_one_pose_to_the_other() {
        let (rest, turned) = (RigPose::default(), RigPose::with([(ParamId::AngleX, 20.0)]));
        assert_eq!(rest.blend(&turned, 0.0), rest);
        assert_eq!(rest.blend(&turned, 0.5).get(ParamId::AngleX), 10.0);
        assert_eq!(rest.blend(&turned, 7.0), turned);
    }
}
