use std::path::Path;
use super::*;
use crate::{avatar::{expression, param::{ParamId::{self, *}, RigPose}}, emotion::Emotion};

#[test]
fn look() {
    let art = Art::build(&Source::open(Path::new("assets/avatar")).unwrap(), 1.0).unwrap();
    let calm = expression::face(Emotion::Calm.into(), 1.0);
    let with = |values: &[(ParamId, f32)]| { let mut pose = calm; values.iter().for_each(|(id, v)| pose.set(*id, *v)); pose };
    let mut sheets: Vec<(&str, Vec<RigPose>, usize)> = Vec::new();
    sheets.push(("emotions", Emotion::ALL.iter().map(|e| expression::face((*e).into(), 0.0)).collect(), 3));
    sheets.push(("settled", Emotion::ALL.iter().map(|e| expression::face((*e).into(), 1.0)).collect(), 3));
    let v = |id| with(&[(MouthOpenY, 1.0), (id, 1.0)]);
    sheets.push(("mouths", vec![v(A), v(I), v(U), v(E), v(O), with(&[(MouthOpenY, 0.5), (A, 1.0)]), with(&[(MouthOpenY, 0.15), (A, 0.5)]), with(&[(MouthForm, -1.0)]), with(&[(MouthOpenY, 0.8), (MouthForm, 1.0)]), with(&[(MouthOpenY, 0.6), (MouthForm, -1.0)])], 5));
    let lid = |o, s| with(&[(EyeLOpen, o), (EyeROpen, o), (EyeLSmile, s), (EyeRSmile, s)]);
    sheets.push(("eyes", vec![lid(1.0, 0.0), lid(0.75, 0.0), lid(0.5, 0.0), lid(0.3, 0.0), lid(0.15, 0.0), lid(0.0, 0.0), lid(0.9, 1.0), lid(0.5, 1.0), lid(0.0, 1.0), with(&[(EyeBallX, -1.0), (EyeBallY, 1.0)])], 5));
    let t = |x, y, z: f32| with(&[(AngleX, x), (AngleY, y), (AngleZ, z), (BodyAngleX, x / 4.0)]);
    sheets.push(("turns", vec![t(-30.0, 0.0, 0.0), t(0.0, 0.0, 0.0), t(30.0, 0.0, 0.0), t(0.0, 30.0, 0.0), t(0.0, -30.0, 0.0), t(0.0, 0.0, 20.0), t(20.0, 20.0, 0.0), t(-20.0, -20.0, -8.0), with(&[(HairFront, 1.0), (HairSide, 1.0), (HairBack, 1.0)])], 3));
    sheets.push(("close", vec![calm, expression::face(Emotion::Angry.into(), 0.0), v(A), expression::face(Emotion::Sad.into(), 0.0)], 2));
    #[cfg(feature = "window")]
    if std::env::var("GPU").is_ok() {
        let t = std::time::Instant::now();
        let frames = render_frames(&sheets[0].1, (512, 640)).unwrap();
        println!("gpu {:?}", t.elapsed());
        contact_sheet(&frames, 3).save("/work/out/avatar/gpu.png").unwrap();
        return;
    }
    let want = std::env::var("LOOK").unwrap_or_default();
    for (name, poses, columns) in sheets {
        if !want.is_empty() && !want.split(',').any(|w| w == name) { continue; }
        let face = matches!(name, "mouths" | "eyes");
        let close = name == "close";
        let size = if face { (614, 768) } else if close { (1024, 1280) } else { (440, 550) };
        let frames: Vec<_> = poses.iter().map(|pose| {
            let drawn = raster::render(&art, pose, size);
            let mut ground = image::RgbaImage::from_pixel(size.0, size.1, image::Rgba([243, 241, 250, 255]));
            image::imageops::overlay(&mut ground, &drawn, 0, 0);
            if face { image::imageops::crop_imm(&ground, 130, 220, 360, 260).to_image() } else if close { image::imageops::crop_imm(&ground, 212, 330, 600, 430).to_image() } else { ground }
        }).collect();
        contact_sheet(&frames, columns).save(format!("/work/out/avatar/{name}.png")).unwrap();
    }
}
