//! The voice on its real model.

use std::path::PathBuf;

use bevy_companion::models::convert;

fn models() -> PathBuf {
    let folder = std::env::var_os("COMPANION_MODELS").expect("set COMPANION_MODELS to the folder of the models");
    PathBuf::from(folder)
}

#[test]
fn zz_convert() {
    let kokoro = models().join("kokoro-82m");
    convert::kokoro::convert(&kokoro.join("raw"), &kokoro, &mut |_| ()).unwrap();
}
