//! What runs every frame, every token or every sentence, by itself and without any model: `cargo bench`.
//!
//! How fast the models are, and whole turns, is what `companion bench` measures.

use std::hint::black_box;

use bevy_companion::{
    audio::{Pcm, envelope, resample},
    avatar::lip_sync::mouth_open,
    brain::{Sampling, reply::ReplyParser, sampler::Sampler},
    emotion::EmotionSet,
    voice::text::{Language, normalise::normalise},
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// The vocabulary of Qwen2.5.
const VOCABULARY: usize = 151_936;
/// Speech goes in at the voice's rate and out at the device's.
const RATES: (u32, u32) = (24_000, 48_000);

/// A second of something that rises and falls as speech does.
fn babble() -> Pcm {
    let sample = |n: u32| {
        let seconds = n as f32 / RATES.0 as f32;
        0.3 * (seconds * 12.0).sin().abs() * (seconds * 1200.0).sin()
    };
    Pcm::new((0..RATES.0).map(sample).collect::<Vec<f32>>(), RATES.0)
}

/// Logits with a few likely tokens above many unlikely ones.
fn logits() -> Vec<f32> {
    (0..VOCABULARY as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 * 12.0 - 8.0).collect()
}

fn brain(bench: &mut Criterion) {
    let logits = logits();
    let recent: Vec<u32> = (0..64).collect();
    let mut sampler = Sampler::new(&Sampling { seed: Some(1), ..Sampling::default() });
    bench.bench_function("sampler: draw one of 151 936 tokens", |bench| {
        bench.iter_batched_ref(
            || logits.clone(),
            |logits| sampler.draw(black_box(logits), &recent),
            BatchSize::LargeInput,
        );
    });
    bench.bench_function("reply: parse a reply of three sentences", |bench| {
        bench.iter(|| {
            let mut parser = ReplyParser::new(EmotionSet::default());
            let pieces = ["[开心]", "你好呀，", "今天天气", "真好！", "[平静]", "我们去公园", "散步吧。"];
            let events: usize = pieces.iter().map(|piece| parser.push(black_box(piece)).len()).sum();
            events + parser.finish().len()
        });
    });
}

fn voice(bench: &mut Criterion) {
    bench.bench_function("text: read numbers, dates and units aloud", |bench| {
        let text = "2024年5月1日早上8:30，气温23.5℃，花了¥199，完成了85%。";
        bench.iter(|| normalise(black_box(text), Language::Zh));
    });
}

fn audio(bench: &mut Criterion) {
    let speech = babble();
    bench.bench_function("audio: resample one second to the device's rate", |bench| {
        bench.iter(|| resample(black_box(&speech), RATES.1));
    });
    bench.bench_function("lips: loudness envelope of one second", |bench| {
        bench.iter(|| envelope(black_box(&speech), 0.01));
    });
    let loudness = envelope(&speech, 0.01);
    bench.bench_function("lips: opening of the mouth in one frame", |bench| {
        bench.iter(|| mouth_open(black_box(&loudness), black_box(0.4)));
    });
}

criterion_group!(hot_paths, brain, voice, audio);
criterion_main!(hot_paths);
