//! The voice on its real models, measured, and heard by the recogniser.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use bevy_companion::{
    emotion::{Cue, Emotion},
    models::models_dir,
    onnx,
    voice::{
        Say, SpeechChunk,
        kokoro::{KokoroConfig, KokoroError, KokoroVoice, voices},
        text::en::English,
    },
    worker::{Engine, EngineError, Turn},
};
use ort::value::TensorRef;
use serde::Deserialize;

const RATE: usize = 24_000;
/// 10 ms.
const FRAME: usize = RATE / 100;

pub fn record(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/voice").join(name)).unwrap()
}

fn config() -> KokoroConfig {
    KokoroConfig {
        model: models_dir().join("kokoro-82m"),
        runtime: models_dir().join("onnxruntime/libonnxruntime.so"),
        mandarin: models_dir().join("pinyin"),
        english: models_dir().join("misaki-en"),
        ..KokoroConfig::default()
    }
}

/// Kokoro, loaded once a process.
fn kokoro() -> MutexGuard<'static, KokoroVoice> {
    static KOKORO: OnceLock<Mutex<KokoroVoice>> = OnceLock::new();
    let kokoro = KOKORO.get_or_init(|| Mutex::new(KokoroVoice::load(&config()).unwrap()));
    kokoro.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn say(text: &str, voice: &str, cue: Cue) -> Vec<SpeechChunk> {
    let (turn, spoken) = Turn::detached();
    let say = Say { sentence: 1, text: text.into(), voice: voice.into(), cue };
    kokoro().serve(say, &turn).unwrap();
    drop(turn);
    spoken.wait().collect()
}

pub fn samples(chunks: &[SpeechChunk]) -> Vec<f32> {
    chunks.iter().flat_map(|chunk| chunk.pcm.samples.iter().copied()).collect()
}

fn root_mean_square(samples: &[f32]) -> f32 {
    (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
}

/// Loudness of the louder half of the frames, in decibels.
fn loudness(samples: &[f32]) -> f32 {
    let mut frames: Vec<f32> = samples.chunks(FRAME).map(root_mean_square).collect();
    frames.sort_unstable_by(f32::total_cmp);
    20.0 * root_mean_square(&frames[frames.len() / 2..]).log10()
}

/// The median pitch in hertz of the voiced frames, by autocorrelation.
fn pitch(samples: &[f32]) -> f32 {
    const WINDOW: usize = 4 * FRAME;
    let lags = RATE / 500..RATE / 80;
    let mut pitches = Vec::new();
    for frame in samples.windows(WINDOW + lags.end).step_by(2 * FRAME) {
        let energy = |at: usize| frame[at..at + WINDOW].iter().map(|sample| sample * sample).sum::<f32>();
        let alike = |lag: usize| {
            let product: f32 = frame[..WINDOW].iter().zip(&frame[lag..]).map(|(a, b)| a * b).sum();
            product / (energy(0) * energy(lag)).sqrt().max(1e-9)
        };
        let best = lags.clone().map(alike).fold(0.0, f32::max);
        if energy(0) / WINDOW as f32 > 1e-4 && best > 0.8 {
            // The shortest lag that is nearly as good: its multiples are as good.
            let lag = lags.clone().find(|&lag| alike(lag) > 0.95 * best).unwrap();
            pitches.push(RATE as f32 / lag as f32);
        }
    }
    pitches.sort_unstable_by(f32::total_cmp);
    pitches[pitches.len() / 2]
}

#[test]
fn speech_comes_in_chunks_that_cover_the_text_and_join_without_clicks() {
    let text = "好的！今天天气真不错，我们一起去公园散步吧。路上可以聊聊天，顺便买点好吃的 ice cream，你觉得怎么样？";
    let chunks = say(text, "", Cue::default());
    assert!(chunks.len() >= 2, "{} chunks", chunks.len());
    assert_eq!(chunks.iter().map(|chunk| &text[chunk.text.clone()]).collect::<String>(), text);
    assert!(chunks.iter().all(|chunk| chunk.sentence == 1 && chunk.pcm.rate as usize == RATE));
    assert!(chunks.iter().rev().skip(1).all(|chunk| !chunk.last) && chunks.last().unwrap().last);
    let all = samples(&chunks);
    assert!(all.iter().all(|sample| sample.is_finite() && sample.abs() <= 1.0));
    let seconds = all.len() as f32 / RATE as f32;
    assert!((6.0..18.0).contains(&seconds), "{seconds} s for {} characters", text.chars().count());
    assert!((-24.0..-14.0).contains(&loudness(&all)), "{} dB", loudness(&all));
    for chunk in &chunks {
        let (first, last) = (chunk.pcm.samples.first().unwrap(), chunk.pcm.samples.last().unwrap());
        assert!(first.abs() < 1e-3 && last.abs() < 1e-3, "a chunk begins at {first} and ends at {last}");
    }
}

#[test]
fn a_sentence_without_anything_to_say_still_ends() {
    for text in ["", "……", "🙂"] {
        let chunks = say(text, "", Cue::default());
        assert!(chunks.len() == 1 && chunks[0].last && chunks[0].text == (0..text.len()), "{text:?}: {chunks:?}");
    }
}

#[test]
fn a_sentence_longer_than_the_model_takes_is_spoken_whole() {
    let text = "我们慢慢地走过那座很长很长的老石桥".repeat(16);
    let chunks = say(&text, "", Cue::default());
    assert!(chunks.len() > 1);
    let seconds = samples(&chunks).len() as f32 / RATE as f32;
    assert!(seconds > 0.1 * text.chars().count() as f32, "{seconds} s");
}

#[test]
fn emotions_differ_in_pitch_rate_and_loudness() {
    let text = "我刚刚听说了这个消息，你觉得怎么样？";
    let measured: BTreeMap<Emotion, [f32; 3]> = Emotion::ALL
        .into_iter()
        .map(|emotion| {
            let spoken = samples(&say(text, "", emotion.into()));
            let measured = [pitch(&spoken), spoken.len() as f32 / RATE as f32, loudness(&spoken)];
            println!("{emotion}: {:.0} Hz, {:.2} s, {:.1} dB", measured[0], measured[1], measured[2]);
            (emotion, measured)
        })
        .collect();
    let [pitch, seconds, loudness] = [0, 1, 2].map(|at| move |emotion: Emotion| (emotion, at));
    let of = |(emotion, at): (Emotion, usize)| measured[&emotion][at];
    use Emotion::{Angry, Calm, Coquettish, Happy, Sad, Surprised};
    assert!(of(pitch(Happy)) > 1.1 * of(pitch(Calm)) && of(pitch(Surprised)) > 1.1 * of(pitch(Calm)));
    assert!(of(pitch(Sad)) < 0.9 * of(pitch(Calm)));
    assert!(of(seconds(Sad)) > 1.1 * of(seconds(Calm)) && of(seconds(Angry)) < 0.95 * of(seconds(Calm)));
    assert!(of(seconds(Coquettish)) > 1.05 * of(seconds(Calm)));
    assert!(of(loudness(Angry)) > of(loudness(Calm)) + 2.0 && of(loudness(Sad)) < of(loudness(Calm)) - 2.0);
}

#[test]
fn voices_are_about_equally_loud() {
    // Loud, quiet and middling ones: 12 dB lie between the first two as the model speaks.
    let levels = ["if_sara", "af_nova", "zf_xiaoxiao", "zm_yunxi"]
        .map(|voice| loudness(&samples(&say("It is good to see you again, my friend.", voice, Cue::default()))));
    let (low, high) = levels.iter().fold((0.0_f32, -99.0_f32), |(low, high), &level| (low.min(level), high.max(level)));
    assert!(high - low < 3.0, "{levels:?}");
}

#[test]
fn a_superseded_sentence_is_left_unspoken() {
    let (turn, spoken) = Turn::detached();
    let mut kokoro = kokoro();
    let say = Say { text: "我们慢慢地走过那座很长很长的老石桥，".repeat(8), ..Say::default() };
    let served = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            spoken.supersede();
        });
        kokoro.serve(say, &turn)
    });
    assert!(matches!(served, Err(EngineError::Superseded)), "{served:?}");
    assert!(spoken.drain().all(|chunk| !chunk.last));
}

#[test]
fn what_cannot_be_loaded_says_why_and_what_to_do() {
    let fails = |config: KokoroConfig| KokoroVoice::load(&config).err().unwrap();
    let unknown = fails(KokoroConfig { voice: "zf_xiaoxia".into(), ..config() });
    assert!(unknown.to_string().contains("zf_xiaoxiao"), "{unknown}");
    assert!(matches!(fails(KokoroConfig { speed: f32::NAN, ..config() }), KokoroError::Speed { .. }));
    assert!(matches!(fails(KokoroConfig { model: "/nowhere".into(), ..config() }), KokoroError::Voice { .. }));
    // The graph as packaged lacks the inputs that emotions need.
    let folder = tempfile::tempdir().unwrap();
    let kokoro = models_dir().join("kokoro-82m");
    for (from, to) in [("voices", "voices"), ("vocab.json", "vocab.json"), ("raw/model.int8.onnx", "model.onnx")] {
        std::os::unix::fs::symlink(kokoro.join(from), folder.path().join(to)).unwrap();
    }
    let unconverted = fails(KokoroConfig { model: folder.path().into(), ..config() });
    assert!(unconverted.to_string().contains("companion models pull"), "{unconverted}");
    assert!(voices(&kokoro).unwrap().len() > 50);
}

#[test]
fn the_converted_graph_says_what_the_packaged_one_says() {
    let kokoro = models_dir().join("kokoro-82m");
    #[derive(Deserialize)]
    struct Vocabulary {
        vocab: BTreeMap<char, i64>,
    }
    let vocabulary: Vocabulary = serde_json::from_slice(&std::fs::read(kokoro.join("vocab.json")).unwrap()).unwrap();
    let tokens: Vec<i64> =
        "həlˈO ðˈɛɹ, hˌW ɑɹ ju dˈuɪŋ tədˈA?".chars().map(|phoneme| vocabulary.vocab[&phoneme]).collect();
    let voice = std::fs::read(kokoro.join("voices/af_heart.bin")).unwrap();
    let row = (tokens.len() - 1) * 1024;
    let style: Vec<f32> =
        voice[row..row + 1024].as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
    let padded: Vec<i64> = [0].into_iter().chain(tokens).chain([0]).collect();
    let envelopes = ["raw/model.int8.onnx", "model.onnx"].map(|file| {
        let runtime = models_dir().join("onnxruntime/libonnxruntime.so");
        let mut session = onnx::session(&runtime, &kokoro.join(file), 2).unwrap();
        let one = [1.0_f32];
        let mut inputs = ort::inputs![
            "tokens" => TensorRef::from_array_view(([1, padded.len()], &padded[..])).unwrap(),
            "style" => TensorRef::from_array_view(([1, 256], &style[..])).unwrap(),
            "speed" => TensorRef::from_array_view(([1], &one[..])).unwrap(),
        ];
        for name in ["range", "pitch"] {
            if session.inputs().iter().any(|input| input.name() == name) {
                inputs.push((name.into(), TensorRef::from_array_view(([1], &one[..])).unwrap().into()));
            }
        }
        let outputs = session.run(inputs).unwrap();
        let (_, samples) = outputs["audio"].try_extract_tensor::<f32>().unwrap();
        samples.chunks(2 * FRAME).map(root_mean_square).collect::<Vec<f32>>()
    });
    let [packaged, converted] = &envelopes;
    let lengths = converted.len() as f32 / packaged.len() as f32;
    assert!((0.95..1.05).contains(&lengths), "{} and {} frames", packaged.len(), converted.len());
    // Quantised activations may lengthen a sound by a frame or two: the best of a few shifts counts.
    let best = (0..5_usize)
        .map(|shift| correlation(&packaged[shift..], converted).max(correlation(packaged, &converted[shift..])));
    let best = best.fold(0.0, f32::max);
    assert!(best > 0.9, "correlation {best}");
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len());
    let mean = |values: &[f32]| values[..count].iter().sum::<f32>() / count as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        product += (a - mean_a) * (b - mean_b);
        square_a += (a - mean_a).powi(2);
        square_b += (b - mean_b).powi(2);
    }
    product / (square_a * square_b).sqrt()
}

#[test]
fn english_phonemes_agree_with_misaki() {
    #[derive(Deserialize)]
    struct Record {
        sentences: Vec<Sentence>,
    }
    #[derive(Deserialize)]
    struct Sentence {
        text: String,
        phonemes: String,
    }
    let english = English::load(&models_dir().join("misaki-en")).unwrap();
    let record: Record = serde_json::from_str(&record("en.json")).unwrap();
    let (mut same, mut words) = (0, 0);
    for sentence in &record.sentences {
        let ours = english.phonemes(&sentence.text);
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (ours.split(' ').collect(), sentence.phonemes.split(' ').collect());
        assert_eq!(ours.len(), theirs.len(), "{}", sentence.text);
        words += theirs.len();
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            same += usize::from(ours == theirs);
            if ours != theirs {
                println!("{ours} for {theirs} in {:?}", sentence.text);
            }
        }
    }
    println!("{same} of {words} words");
    assert!(same as f64 > 0.985 * words as f64, "{same} of {words} words");
}
