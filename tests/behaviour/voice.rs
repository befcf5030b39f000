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

#[test]
fn zz_bench() {
    use ort::value::TensorRef;
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let f: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
    };
    let kokoro = models().join("kokoro-82m");
    let lib = models().join("onnxruntime/libonnxruntime.so");
    let vocab: serde_json::Value = serde_json::from_slice(&std::fs::read(kokoro.join("vocab.json")).unwrap()).unwrap();
    let v: Vec<f32> = std::fs::read(kokoro.join("voices/zf_xiaoxiao.bin")).unwrap().chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    let mut sessions: Vec<_> = ["raw/model.int8.onnx", "model.onnx"].iter().map(|m| { let t = std::time::Instant::now(); let s = bevy_companion::onnx::session(&lib, &kokoro.join(m), 2).unwrap(); println!("load {m} {:?}", t.elapsed()); s }).collect();
    for ps in ["ni↗xau↓.", "ʨi→ntʰjɛ→ntʰjɛ→nʨʰi↘ ꭧə→npuʦʰwo↘, wo↓mən i↘ʨʰi↓ ʨʰy↘ kʊ→ŋɥɛ↗n sa↘npu↘ pa."] {
        let mut tokens = vec![0_i64]; tokens.extend(ps.chars().filter_map(|c| vocab["vocab"][c.to_string()].as_i64())); tokens.push(0);
        let n = tokens.len() - 3;
        let style = &v[n * 256..n * 256 + 256];
        for round in 0..3 { for (k, s) in sessions.iter_mut().enumerate() {
            let (t, c) = (std::time::Instant::now(), cpu());
            let one = [1.0_f32];
            let mut inputs = ort::inputs!["tokens" => TensorRef::from_array_view(([1, tokens.len()], &tokens[..])).unwrap(), "style" => TensorRef::from_array_view(([1, 256], style)).unwrap(), "speed" => TensorRef::from_array_view(([1], &one[..])).unwrap()];
            if k == 1 { inputs.push(("range".into(), TensorRef::from_array_view(([1], &one[..])).unwrap().into())); inputs.push(("pitch".into(), TensorRef::from_array_view(([1], &one[..])).unwrap().into())); }
            let out = s.run(inputs).unwrap();
            let (_, a) = out["audio"].try_extract_tensor::<f32>().unwrap();
            println!("{round} {} {:.2}s wall {:.2} cpu {:.2}", ["int8", "f32"][k], a.len() as f64 / 24000.0, t.elapsed().as_secs_f64(), cpu() - c);
        } }
    }
}

#[test]
fn zz_speak() {
    use bevy_companion::{voice::{Say, kokoro::*}, worker::{Engine, Turn}, emotion::*};
    let jobs: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(std::env::var("JOBS").unwrap()).unwrap()).unwrap();
    let mut config = KokoroConfig { model: models().join("kokoro-82m"), runtime: models().join("onnxruntime/libonnxruntime.so"), mandarin: models().join("pinyin"), english: models().join("misaki-en"), ..KokoroConfig::default() };
    config.warm_up = true;
    let t = std::time::Instant::now();
    let mut k = KokoroVoice::load(&config).unwrap();
    println!("load {:?}", t.elapsed());
    for job in jobs {
        let s = |key: &str| job[key].as_str().unwrap_or_default().to_string();
        let (turn, out) = Turn::detached();
        let cue = Cue { emotion: s("emotion").parse().unwrap_or_default(), intensity: 1.0 };
        let t = std::time::Instant::now();
        k.serve(Say { text: s("text"), voice: s("voice"), cue, ..Say::default() }, &turn).unwrap();
        drop(turn);
        let samples: Vec<f32> = out.wait().flat_map(|c| c.pcm.samples.to_vec()).collect();
        bevy_companion::audio::write_wav(std::path::Path::new(&s("out")), &bevy_companion::audio::Pcm::new(samples, 24000)).unwrap();
        println!("{} {:?} {}", s("out"), t.elapsed(), k.phonemes(&s("text")));
    }
}
