use bevy::math::Vec2;

use super::{eye::EyeShape, mouth::MouthShape, *};
use crate::{
    avatar::{
        expression,
        param::{
            ParamId::{self, *},
            RigPose,
        },
    },
    emotion::Emotion,
};

fn art() -> &'static Art {
    Art::built_in().expect("the built-in avatar builds")
}

/// Rest, each parameter at both ends, all at one end, the six faces, and a few hundred poses of no sense at all.
fn poses() -> Vec<RigPose> {
    let mut poses = vec![RigPose::default()];
    for id in ParamId::ALL {
        poses.extend([id.range().0, id.range().1].map(|value| RigPose::with([(*id, value)])));
    }
    poses.push(RigPose::with(ParamId::ALL.iter().map(|id| (*id, id.range().0))));
    poses.push(RigPose::with(ParamId::ALL.iter().map(|id| (*id, id.range().1))));
    poses.extend(Emotion::ALL.map(|emotion| expression::face(emotion.into(), 0.0)));
    let mut state = 1_u64;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    for _ in 0..300 {
        poses.push(RigPose::with(ParamId::ALL.iter().map(|id| {
            let (least, greatest) = id.range();
            (*id, least + (greatest - least) * chance())
        })));
    }
    poses
}

fn posed(pose: &RigPose) -> Frame {
    let mut frame = Frame::default();
    art().pose(pose, 0.6, &mut frame);
    frame
}

/// How much of a picture is covered, and by what light, in a rectangle given in shares of its size.
fn seen(pose: &RigPose, [left, top, right, bottom]: [f32; 4]) -> Vec<[u8; 4]> {
    let picture = raster::render(art(), pose, (256, 320));
    let within = |(x, y, _): &(u32, u32, &image::Rgba<u8>)| {
        let (x, y) = (*x as f32 / 256.0, *y as f32 / 320.0);
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    picture.enumerate_pixels().filter(within).map(|(_, _, pixel)| pixel.0).collect()
}

const MOUTH: [f32; 4] = [0.42, 0.48, 0.58, 0.57];
const EYES: [f32; 4] = [0.3, 0.35, 0.7, 0.48];

#[test]
fn every_pose_has_the_same_finite_vertices_within_reach() {
    for pose in poses() {
        let frame = posed(&pose);
        assert_eq!(frame.positions.len(), art().vertex_count());
        assert_eq!(frame.uvs.len(), art().vertex_count());
        assert_eq!(frame.colours.len(), art().vertex_count());
        for at in &frame.positions {
            assert!((-700.0..1800.0).contains(&at[0]) && (-700.0..2000.0).contains(&at[1]), "{at:?} in {pose:?}");
        }
        assert!(frame.colours.iter().flatten().all(|channel| (0.0..=1.0).contains(channel)), "{pose:?}");
    }
    assert!(art().indices.iter().all(|index| (*index as usize) < art().vertex_count()));
}

#[test]
fn no_painted_layer_folds_over() {
    // Drawn parts collapse when they close; the painted ones must keep their orientation.
    let art = art();
    let drawn: Vec<bool> = art.drawn_vertices();
    for pose in poses() {
        let frame = posed(&pose);
        for triangle in art.indices.chunks_exact(3) {
            if drawn[triangle[0] as usize] {
                continue;
            }
            let [a, b, c] = [0, 1, 2].map(|n| Vec2::from_slice(&frame.positions[triangle[n] as usize]));
            assert!((b - a).perp_dot(c - a) > -0.5, "{:?} is turned over in {pose:?}", [a, b, c]);
        }
    }
}

#[test]
fn an_iris_stays_between_the_lids() {
    let rig = &art().rig.eye;
    for pose in poses() {
        for mirrored in [false, true] {
            let shape = EyeShape::new(rig, &pose, mirrored);
            let (inner, outer) = shape.extent();
            for step in 0..=40 {
                let x = outer + (inner - outer) * step as f32 / 40.0;
                let (upper, lower) = shape.opening(x);
                assert!(upper <= lower);
            }
            // Beyond the corners nothing is open, so nothing of an iris is drawn there.
            for x in [inner + 5.0, outer - 5.0] {
                let (upper, lower) = shape.opening(x);
                assert!(lower - upper < 1e-3, "{upper} {lower} at {x} in {pose:?}");
            }
        }
    }
}

#[test]
fn a_closed_mouth_has_no_inside_and_closed_eyes_no_white() {
    for form in [-1.0, -0.4, 0.0, 0.7, 1.0] {
        for cat in [0.0, 0.5, 1.0] {
            let pose = RigPose::with([(MouthForm, form), (MouthCat, cat), (A, 1.0), (O, 1.0)]);
            let shape = MouthShape::new(&art().rig.mouth, &pose);
            assert!(shape.upper.iter().zip(&shape.lower).all(|(upper, lower)| upper.distance(*lower) < 1e-3));
        }
    }
    for smile in [0.0, 0.5, 1.0] {
        let pose = RigPose::with([(EyeLOpen, 0.0), (EyeROpen, 0.0), (EyeLSmile, smile), (EyeRSmile, smile)]);
        let shape = EyeShape::new(&art().rig.eye, &pose, false);
        let (inner, outer) = shape.extent();
        for step in 1..40 {
            let (upper, lower) = shape.opening(outer + (inner - outer) * step as f32 / 40.0);
            assert!(lower - upper < 1e-3);
        }
        let white = |pixel: &&[u8; 4]| pixel[..3].iter().all(|channel| *channel > 252);
        assert_eq!(seen(&pose, EYES).iter().filter(white).count(), 0);
    }
}

#[test]
fn the_vowels_have_five_mouths_and_open_ones_are_seen() {
    let shut = seen(&RigPose::default(), MOUTH);
    let vowels = [A, I, U, E, O].map(|vowel| seen(&RigPose::with([(MouthOpenY, 1.0), (vowel, 1.0)]), MOUTH));
    for (index, vowel) in vowels.iter().enumerate() {
        assert_ne!(*vowel, shut);
        assert!(vowels[..index].iter().all(|other| other != vowel));
    }
}

#[test]
fn she_is_seen_in_full_and_her_effects_only_when_they_are_felt() {
    let everywhere = [0.0, 0.0, 1.0, 1.0];
    let covered = |pose: &RigPose| seen(pose, everywhere).iter().filter(|pixel| pixel[3] > 200).count() as f32;
    let rest = covered(&RigPose::default());
    assert!((0.25..0.7).contains(&(rest / (256.0 * 320.0))), "{rest} pixels");
    for effect in [Exclaim, Heart, Flower] {
        assert!(covered(&RigPose::with([(effect, 1.0)])) > rest + 60.0, "{}", effect.name());
    }
    for effect in [Vein, Tear, Cheek, Sparkle, BrowLAngle, EyeForm, EyeBallX, AngleX, AngleY, AngleZ, Breath, HairSide]
    {
        let shown = seen(&RigPose::with([(effect, effect.range().1)]), everywhere);
        assert_ne!(shown, seen(&RigPose::default(), everywhere), "{} changes nothing", effect.name());
    }
}

#[test]
fn a_broken_rig_says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let failed = |folder: &std::path::Path| Source::open(folder).and_then(|source| Art::build(&source, 0.5)).err();
    let text = failed(folder.path()).expect("nothing is there").to_string();
    assert!(text.contains("layers"), "{text}");
    std::fs::create_dir(folder.path().join("layers")).expect("a folder");
    let rig = include_str!("../../../assets/avatar/rig.toml");
    std::fs::write(folder.path().join("rig.toml"), rig).expect("a file");
    let text = failed(folder.path()).expect("no pictures").to_string();
    assert!(text.contains("layers/") && text.contains(".svg"), "{text}");
    std::fs::write(folder.path().join("rig.toml"), rig.replace("ParamHairSide", "ParamWig")).expect("a file");
    let text = failed(folder.path()).expect("no such parameter").to_string();
    assert!(text.contains("ParamWig"), "{text}");
}

#[test]
fn a_sheet_holds_all_its_pictures() {
    let picture = |shade| image::RgbaImage::from_pixel(4, 3, image::Rgba([shade, 0, 0, 255]));
    let sheet = contact_sheet(&[picture(1), picture(2), picture(3)], 2);
    assert_eq!(sheet.dimensions(), (8, 6));
    assert_eq!([sheet[(0, 0)][0], sheet[(7, 2)][0], sheet[(0, 5)][0], sheet[(7, 5)][3]], [1, 2, 3, 255]);
    assert_eq!(contact_sheet(&[], 3).dimensions(), (1, 1));
}
