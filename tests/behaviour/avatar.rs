//! An avatar in a headless app: what is felt, said and attended to moves the rig.

use std::time::Duration;

use bevy::{prelude::*, time::TimeUpdateStrategy};
use bevy_companion::{
    avatar::{
        Attention, AvatarPlugin, Expression, LookAt, Mouth,
        param::{ParamId, RigPose},
    },
    emotion::Emotion,
};

const FRAME: Duration = Duration::from_millis(16);

fn stage() -> (App, Entity) {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, AvatarPlugin)).insert_resource(TimeUpdateStrategy::ManualDuration(FRAME));
    let avatar = app.world_mut().spawn(Expression::default()).id();
    app.update();
    (app, avatar)
}

/// Plays some frames and returns the poses.
fn play(app: &mut App, avatar: Entity, frames: usize) -> Vec<RigPose> {
    let mut pose = || {
        app.update();
        *app.world().get::<RigPose>(avatar).expect("an expression brings a pose")
    };
    (0..frames).map(|_| pose()).collect()
}

fn mean(poses: &[RigPose], id: ParamId) -> f32 {
    poses.iter().map(|pose| pose.get(id)).sum::<f32>() / poses.len() as f32
}

#[test]
fn an_avatar_left_alone_lives_quietly() {
    let (mut app, avatar) = stage();
    let poses = play(&mut app, avatar, 1_000);
    let all = |id: ParamId| poses.iter().map(move |pose| pose.get(id));
    assert!(all(ParamId::EyeLOpen).any(|open| open < 0.05) && mean(&poses, ParamId::EyeLOpen) > 0.85, "blinks");
    assert!(all(ParamId::Breath).any(|breath| breath > 0.95) && all(ParamId::Breath).any(|breath| breath < 0.05));
    assert!(all(ParamId::MouthOpenY).all(|open| open == 0.0), "says nothing");
    for pair in poses.windows(2) {
        for id in [ParamId::AngleX, ParamId::AngleY, ParamId::AngleZ, ParamId::BodyAngleX, ParamId::HairSide] {
            let (least, greatest) = id.range();
            assert!((pair[1].get(id) - pair[0].get(id)).abs() < 0.02 * (greatest - least), "{} jerks", id.name());
        }
    }
}

#[test]
fn speech_moves_the_mouth_and_silence_closes_it() {
    let (mut app, avatar) = stage();
    let said = Mouth { open: 0.8, vowels: [0.0, 0.0, 0.0, 0.0, 1.0] };
    app.world_mut().entity_mut(avatar).insert((said, Attention::Speaking));
    let spoken = play(&mut app, avatar, 40);
    assert!((spoken[39].get(ParamId::MouthOpenY) - 0.8).abs() < 0.01);
    assert!((spoken[39].get(ParamId::O) - 1.0).abs() < 0.01);
    app.world_mut().entity_mut(avatar).insert((Mouth::default(), Attention::Idle));
    assert!(play(&mut app, avatar, 60)[59].get(ParamId::MouthOpenY) < 0.001);
}

#[test]
fn a_cue_is_seen_within_half_a_second_whether_or_not_she_speaks() {
    for attention in [Attention::Idle, Attention::Speaking] {
        let (mut app, avatar) = stage();
        app.world_mut().entity_mut(avatar).insert(attention);
        app.world_mut().get_mut::<Expression>(avatar).expect("spawned").show(Emotion::Angry.into());
        let poses = play(&mut app, avatar, 31);
        assert!(poses[30].get(ParamId::BrowLAngle) < -0.9);
        assert!(poses[30].get(ParamId::Vein) > 0.9);
    }
}

#[test]
fn attention_shows_in_posture_and_gaze() {
    let (mut app, avatar) = stage();
    let idle = play(&mut app, avatar, 400);
    app.world_mut().entity_mut(avatar).insert(Attention::Listening);
    let listening = play(&mut app, avatar, 400);
    assert!(mean(&listening, ParamId::AngleZ) > mean(&idle, ParamId::AngleZ) + 1.0);
    app.world_mut().entity_mut(avatar).insert(Attention::Thinking);
    let thinking = play(&mut app, avatar, 400);
    assert!(mean(&thinking, ParamId::EyeBallY) > mean(&idle, ParamId::EyeBallY) + 0.3);
    app.world_mut().entity_mut(avatar).insert((Attention::Idle, LookAt(Vec2::new(-1.0, 0.0))));
    let looking = play(&mut app, avatar, 400);
    assert!(mean(&looking[100..], ParamId::EyeBallX) < -0.6 && mean(&looking[100..], ParamId::AngleX) < -6.0);
}

#[test]
fn a_long_frame_does_no_harm() {
    let (mut app, avatar) = stage();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_secs(3_600)));
    app.world_mut().get_mut::<Expression>(avatar).expect("spawned").show(Emotion::Surprised.into());
    for pose in play(&mut app, avatar, 20) {
        assert!(pose.iter().all(|(_, value)| value.is_finite()));
    }
}

#[cfg(feature = "window")]
mod drawn {
    use bevy_companion::avatar::{
        expression::face,
        puppet::{Art, raster, render_frames},
    };

    use super::*;

    /// The software adapter and our own rasteriser share nothing but the vertices and the texture.
    #[test]
    fn the_graphics_adapter_and_the_cpu_draw_the_same_pictures() {
        let mut speaking = face(Emotion::Calm.into(), 1.0);
        speaking.set(ParamId::MouthOpenY, 1.0);
        let poses = [face(Emotion::Calm.into(), 1.0), speaking, face(Emotion::Sad.into(), 0.0)];
        let drawn = render_frames(&poses, (320, 400)).expect("a picture, by whatever means");
        let art = Art::built_in().expect("the built-in avatar builds");
        for (picture, pose) in drawn.iter().zip(&poses) {
            assert!(picture.pixels().filter(|pixel| pixel[3] == 255).count() > 30_000, "nothing is drawn");
            let reference = raster::render(art, pose, (320, 400));
            let difference: u64 = picture
                .pixels()
                .zip(reference.pixels())
                .map(|(a, b)| {
                    let seen = |pixel: &image::Rgba<u8>, n: usize| u64::from(pixel[n]) * u64::from(pixel[3]) / 255;
                    (0..3).map(|n| seen(a, n).abs_diff(seen(b, n))).sum::<u64>()
                })
                .sum();
            let mean = difference as f64 / (320.0 * 400.0 * 3.0);
            assert!(mean < 2.5, "they differ by {mean} levels of 255");
        }
        assert_ne!(drawn[0], drawn[1], "the mouth is seen to open");
    }
}
