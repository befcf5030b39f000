//! Hearing with the real models, against what other programs heard.

use std::{
    f32::consts::PI,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use bevy_companion::{
    audio::{Pcm, read_wav},
    hearing::{
        Hearing, HearingError, SpeechFrame, Transcript,
        vad::{Detector, Ear, EarEvent, Silero, VadConfig, WINDOW},
        whisper::{WhisperConfig, WhisperEars},
    },
    models::{convert::whisper::convert, models_dir},
    worker::{Engine, EngineError, Turn},
};
use serde_json::Value;

const RATE: u32 = 16_000;

fn records() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/hearing")
}

fn record(name: &str) -> Value {
    let text = std::fs::read_to_string(records().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn clip(name: &str) -> Vec<f32> {
    let pcm = read_wav(&records().join(name).with_extension("wav")).unwrap();
    assert_eq!(pcm.rate, RATE);
    pcm.samples.to_vec()
}

fn ears(model: &str, languages: &[&str]) -> WhisperEars {
    let languages = languages.iter().map(|language| (*language).into()).collect();
    WhisperEars::load(&WhisperConfig { model: models_dir().join(model), languages, ..Default::default() }).unwrap()
}

/// Whisper base for Chinese, English and Japanese, loaded once.
fn base() -> &'static WhisperEars {
    static EARS: OnceLock<WhisperEars> = OnceLock::new();
    EARS.get_or_init(|| ears("whisper-base", &["zh", "en", "ja"]))
}

fn hear(ears: &WhisperEars, speech: &[f32]) -> Transcript {
    ears.transcribe(speech, &mut || Ok::<(), HearingError>(())).unwrap()
}

/// Letters and digits only, lower-case, in simplified characters.
fn normal(text: &str) -> Vec<char> {
    use ferrous_opencc::{OpenCC, config::BuiltinConfig};
    let simplified = OpenCC::from_config(BuiltinConfig::T2s).unwrap().convert(text);
    simplified.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The edit distance between two texts as a share of the second's length.
fn error_rate(heard: &str, said: &str) -> f64 {
    let (heard, said) = (normal(heard), normal(said));
    let mut row: Vec<usize> = (0..=said.len()).collect();
    for (i, a) in heard.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in said.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[said.len()] as f64 / said.len().max(1) as f64
}

#[test]
fn whisper_base_hears_what_faster_whisper_heard() {
    for name in ["talk_en", "cat_en", "park_zh", "dream_zh", "fun_ja"] {
        let reference = &record(&format!("{name}.json"))["heard"]["whisper-base"];
        let heard = hear(base(), &clip(name));
        let text = reference["text"].as_str().unwrap();
        println!("{name}: {:?} ({:?}); reference {text:?}", heard.text, heard.language);
        assert_eq!(heard.language.as_deref(), reference["language"].as_str(), "{name}");
        assert!(error_rate(&heard.text, text) <= 0.05, "{name}: {:?} is not {text:?}", heard.text);
        assert!(heard.is_final);
    }
}

#[test]
fn whisper_tiny_en_hears_what_faster_whisper_heard() {
    let ears = ears("whisper-tiny-en", &["en"]);
    for name in ["talk_en", "cat_en"] {
        let reference = record(&format!("{name}.json"));
        let heard = hear(&ears, &clip(name));
        let text = reference["heard"]["whisper-tiny-en"]["text"].as_str().unwrap();
        assert!(error_rate(&heard.text, text) <= 0.05, "{name}: {:?} is not {text:?}", heard.text);
        assert_eq!(heard.language.as_deref(), Some("en"));
    }
}

#[test]
fn an_english_model_refuses_chinese() {
    let config = WhisperConfig { model: models_dir().join("whisper-tiny-en"), ..Default::default() };
    let refused = WhisperEars::load(&config).err().map(|error| error.to_string()).unwrap();
    assert!(refused.contains("English only"), "{refused}");
}

#[test]
fn chinese_comes_in_simplified_characters() {
    let heard = hear(base(), &clip("park_zh"));
    assert!(heard.text.contains("我们去公园"), "{:?}", heard.text);
}

#[test]
fn speech_arrives_in_frames_and_leaves_as_one_transcript() {
    let mut ears = ears("whisper-base", &["zh", "en"]);
    let (turn, heard) = Turn::<Hearing>::detached();
    let speech = clip("talk_en");
    let frames: Vec<_> = speech.chunks(1536).collect();
    for (index, samples) in frames.iter().enumerate() {
        let last = index + 1 == frames.len();
        ears.serve(SpeechFrame { pcm: Pcm::new(*samples, RATE), last }, &turn).unwrap();
        assert_eq!(heard.drain().count(), usize::from(last), "after frame {index}");
    }
    // The next utterance of the same turn begins from nothing, and an empty one is no crash.
    ears.serve(SpeechFrame { pcm: Pcm::default(), last: true }, &turn).unwrap();
    let empty: Vec<_> = heard.drain().collect();
    assert_eq!(empty, [Transcript { is_final: true, ..Default::default() }]);
}

#[test]
fn speech_at_another_rate_is_refused() {
    let mut ears = ears("whisper-tiny-en", &["en"]);
    let (turn, _heard) = Turn::<Hearing>::detached();
    let frame = SpeechFrame { pcm: Pcm::new([0.1; 4410], 44_100), last: true };
    let refused = ears.serve(frame, &turn).unwrap_err().to_string();
    assert!(refused.contains("44100 Hz") && refused.contains("16000 Hz"), "{refused}");
}

#[test]
fn a_newer_turn_stops_a_transcription() {
    let mut ears = ears("whisper-tiny-en", &["en"]);
    let (turn, heard) = Turn::<Hearing>::detached();
    heard.supersede();
    let frame = SpeechFrame { pcm: Pcm::new(clip("cat_en"), RATE), last: true };
    assert!(matches!(ears.serve(frame, &turn), Err(EngineError::Superseded)));
    assert_eq!(heard.drain().count(), 0);

    // In the middle: the check is asked often, and its answer is final.
    let mut asked = 0;
    let stopped = ears.transcribe(&clip("cat_en"), &mut || {
        asked += 1;
        if asked > 6 { Err(HearingError::NoLanguage) } else { Ok(()) }
    });
    assert!(matches!(stopped, Err(HearingError::NoLanguage)));
    assert_eq!(asked, 7);
}

#[test]
fn what_is_no_speech_is_no_text() {
    let second = RATE as usize;
    let tone = |hertz: f32| -> Vec<f32> {
        (0..2 * second).map(|n| 0.3 * (2.0 * PI * hertz * n as f32 / RATE as f32).sin()).collect()
    };
    let mut seed = 1_u32;
    let mut noise = |loudness: f32| -> Vec<f32> {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..2 * second).map(|_| loudness * next()).collect()
    };
    let sounds = [
        ("nothing", Vec::new()),
        ("a click", vec![0.5; 800]),
        ("silence", vec![0.0; 3 * second]),
        ("not a number", vec![f32::NAN; 2 * second]),
        ("infinity", vec![f32::INFINITY; second / 20]),
        ("a low tone", tone(220.0)),
        ("a high tone", tone(3000.0)),
        ("faint noise", noise(0.005)),
        ("loud noise", noise(0.3)),
    ];
    for (name, sound) in sounds {
        let heard = hear(base(), &sound);
        println!("{name}: {:?}", heard.text);
        assert!(heard.is_final);
        // Harmless: at most an interjection, never a made-up sentence.
        assert!(normal(&heard.text).len() <= 8, "{name} was heard as {:?}", heard.text);
    }
}

#[test]
fn not_a_number_within_speech_does_no_harm() {
    let mut speech = clip("cat_en");
    speech.iter_mut().step_by(997).for_each(|sample| *sample = f32::NAN);
    let heard = hear(base(), &speech);
    assert!(error_rate(&heard.text, "Do you remember the little black cat in the garden?") < 0.2, "{:?}", heard.text);
}

#[test]
fn long_speech_is_heard_to_its_end() {
    let ears = ears("whisper-tiny-en", &["en"]);
    // The pauses leave one question of each kind a window: Whisper itself says a thing once that it hears often.
    let (talk, cat) = (clip("talk_en"), clip("cat_en"));
    let (short, long) = (vec![0.0; RATE as usize], vec![0.0; 15 * RATE as usize]);
    let speech = [&talk[..], &short, &cat, &long].concat().repeat(5);
    assert!(speech.len() > 100 * RATE as usize);
    let heard = hear(&ears, &speech);
    let said =
        "What would you like to talk about today? Do you remember the little black cat in the garden? ".repeat(5);
    let rate = error_rate(&heard.text, &said);
    assert!(rate < 0.1, "{rate}: {:?}", heard.text);
    assert!((heard.seconds - speech.len() as f64 / f64::from(RATE)).abs() < 1e-6);
}

#[test]
fn short_answers_are_heard_once() {
    for (name, from, to) in [("talk_en", 0.0, 0.45), ("park_zh", 0.0, 0.75)] {
        let at = |seconds: f64| (seconds * f64::from(RATE)) as usize;
        let heard = hear(base(), &clip(name)[at(from)..at(to)]);
        assert!(normal(&heard.text).len() <= 12, "{name} until {to} s is {:?}", heard.text);
    }
}

#[test]
fn a_damaged_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let load = || {
        let model = folder.path().to_path_buf();
        WhisperEars::load(&WhisperConfig { model, languages: vec!["en".into()], ..Default::default() }).err().unwrap()
    };
    let told = |error: HearingError, file: &str| {
        let text = error.to_string();
        assert!(matches!(error, HearingError::Model { .. }) && text.contains(file) && text.contains("pull"), "{text}");
    };
    told(load(), "config.json");
    let whole = models_dir().join("whisper-tiny-en");
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(whole.join(file), folder.path().join(file)).unwrap();
    }
    told(load(), "model.safetensors");
    let weights = std::fs::read(whole.join("model.safetensors")).unwrap();
    for length in [0, 7, 100, 20_000, weights.len() / 2] {
        std::fs::write(folder.path().join("model.safetensors"), &weights[..length]).unwrap();
        told(load(), "model.safetensors");
    }
    std::fs::write(folder.path().join("config.json"), r#"{"d_model": 384}"#).unwrap();
    told(load(), "config.json");
}

#[test]
fn the_package_file_converts_into_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let whole = models_dir().join("whisper-tiny-en");
    convert(&whole.join("raw"), folder.path(), &mut |_| ()).unwrap();
    let config = WhisperConfig { model: folder.path().into(), languages: vec!["en".into()], ..Default::default() };
    let heard = hear(&WhisperEars::load(&config).unwrap(), &clip("talk_en"));
    assert!(error_rate(&heard.text, "What would you like to talk about today?") <= 0.05, "{:?}", heard.text);
}

fn vad() -> VadConfig {
    VadConfig {
        model: models_dir().join("silero-vad/silero_vad.onnx"),
        library: models_dir().join("onnxruntime/libonnxruntime.so"),
        ..Default::default()
    }
}

/// A clip as the probabilities were recorded: after half a second of silence, before a whole one.
fn padded(name: &str) -> Vec<f32> {
    [vec![0.0; 8000], clip(name), vec![0.0; 16_000]].concat()
}

#[test]
fn voice_activity_agrees_with_its_makers_wrapper() {
    for (name, expected) in record("vad.json")["probabilities"].as_object().unwrap() {
        let mut silero = Silero::load(&vad()).unwrap();
        let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
        let sound = padded(name);
        let windows = sound.as_chunks::<WINDOW>().0;
        for (index, (window, expected)) in windows.iter().zip(&expected).enumerate() {
            let probability = f64::from(silero.probability(window).unwrap());
            assert!((probability - expected).abs() < 2e-3, "{name}, window {index}: {probability}, not {expected}");
        }
    }
}

#[test]
fn the_ear_cuts_speech_out_of_silence() {
    for name in ["park_zh", "cat_en"] {
        let mut ear = Ear::load(&vad()).unwrap();
        let events: Vec<EarEvent> = padded(name).chunks(441).flat_map(|piece| ear.push(piece)).collect();
        assert!(matches!(events.first(), Some(EarEvent::Started)), "{name}: {events:?}");
        let Some(EarEvent::Ended { silence, .. }) = events.last() else { panic!("{name}: {events:?}") };
        assert!((0.5..0.54).contains(silence), "{silence}");
        let samples: usize = events
            .iter()
            .map(|event| match event {
                EarEvent::Frame(frame) | EarEvent::Ended { frame, .. } => frame.pcm.samples.len(),
                _ => 0,
            })
            .sum();
        let (kept, whole) = (samples as f64 / 16e3, clip(name).len() as f64 / 16e3);
        assert!((whole - 0.2..whole + 0.5).contains(&kept), "{name}: {kept} s of {whole} s");
        let starts = events.iter().filter(|event| matches!(event, EarEvent::Started)).count();
        assert_eq!(starts, 1, "{name}: one utterance");
    }
}

#[test]
fn not_a_number_does_not_deafen_the_ear() {
    let mut ear = Ear::load(&vad()).unwrap();
    ear.push(&[f32::NAN; 16_000]);
    assert!(ear.push(&padded("cat_en")).iter().any(|event| matches!(event, EarEvent::Ended { .. })));
}

#[test]
fn a_missing_detector_is_told() {
    let config = VadConfig { model: "nowhere/silero_vad.onnx".into(), ..vad() };
    let told = Ear::load(&config).err().unwrap().to_string();
    assert!(told.contains("nowhere/silero_vad.onnx"), "{told}");
}
