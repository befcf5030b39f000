use super::{
    eye::EyeShape,
    mouth::MouthShape,
    *,
};
use crate::avatar::param::{ParamId, RigPose};

fn art() -> &'static Art {
    Art::built_in().expect("the built-in avatar builds")
}

#[test]
fn look() {
    let art = art();
    let time = std::time::Instant::now();
    let mut frame = Frame::default();
    for _ in 0..100 {
        art.pose(&RigPose::default(), 0.5, &mut frame);
    }
    println!("{} vertices, {} triangles, pose {:?}", art.vertex_count(), art.indices.len() / 3, time.elapsed() / 100);
    println!("atlas {} × {}", art.atlas.width, art.atlas.height);
    let time = std::time::Instant::now();
    Art::build(&Source::built_in(), 1.0).unwrap();
    println!("build {:?}", time.elapsed());
    let time = std::time::Instant::now();
    let image = raster::render(art, &RigPose::with([(ParamId::MouthForm, 0.5)]), (820, 1024));
    println!("raster {:?}", time.elapsed());
    image.save("/work/out/avatar/rest.png").unwrap();
}
