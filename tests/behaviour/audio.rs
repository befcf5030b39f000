//! Speech from the queue to the ear, in a host that sets the time.

use std::{path::Path, time::Duration};

use bevy::{prelude::*, time::TimeUpdateStrategy};
use bevy_companion::{
    audio::{
        AudioPlugin, Heard, Pcm, Playback, Speaker, SpeakerBackend, SpeakerConfig, SpeakerStatus, read_wav, resample,
    },
    avatar::lip_sync::VowelEstimator,
};

const FRAME: Duration = Duration::from_millis(16);

fn speech() -> Pcm {
    read_wav(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/audio/speech.wav"))
        .expect("the recorded speech")
}

fn host(backend: SpeakerBackend, step: Duration) -> App {
    let mut app = App::new();
    let speaker = SpeakerConfig { backend, record: true, ..default() };
    app.add_plugins((MinimalPlugins, AudioPlugin { speaker }));
    app.insert_resource(TimeUpdateStrategy::ManualDuration(step));
    app.update();
    app
}

fn playback(app: &mut App, companion: Entity) -> Mut<'_, Playback> {
    app.world_mut().get_mut::<Playback>(companion).expect("a playback")
}

/// Pushes the recorded speech as sentence 0 in `pieces` pieces of a text of 30 bytes.
fn say(app: &mut App, companion: Entity, pieces: usize) -> Pcm {
    let speech = speech();
    let length = speech.samples.len().div_ceil(pieces);
    for (index, piece) in speech.samples.chunks(length).enumerate() {
        let text = index * 30 / pieces..(index + 1) * 30 / pieces;
        playback(app, companion).push(0, Pcm::new(piece, speech.rate), text, index + 1 == pieces);
    }
    speech
}

#[test]
fn what_is_played_is_what_was_said() {
    let mut app = host(SpeakerBackend::Manual, FRAME);
    let companion = app.world_mut().spawn(Playback::default()).id();
    let speech = say(&mut app, companion, 7);
    let mut last = 0.0;
    let mut news = Vec::new();
    while !playback(&mut app, companion).is_idle() {
        app.update();
        let mut playback = playback(&mut app, companion);
        news.extend(playback.news());
        if let Some(cursor) = playback.cursor() {
            assert!(cursor.seconds >= last && cursor.seconds - last < 0.02, "from {last} to {}", cursor.seconds);
            let share = cursor.seconds / speech.seconds();
            assert!((cursor.text as f64 - share * 30.0).abs() < 1.6, "{cursor:?}");
            last = cursor.seconds;
        }
    }
    assert_eq!(news, [Heard::SentenceStarted(0), Heard::SentenceFinished(0), Heard::Idle]);
    let heard = app.world_mut().resource_mut::<Speaker>().take_recording().expect("a recording");
    let said = resample(&speech, heard.rate);
    // A few milliseconds of filter; what differs is how the two filters end below 8 kHz. A lost sample would cost far more.
    let (start, error) = best_match(&heard.samples, &said.samples, 2400);
    assert!(error < 5e-3, "an error of {error} at {start}");
    let shifted: Vec<f32> = [&said.samples[..60_000], &said.samples[60_024..]].concat();
    assert!(best_match(&heard.samples, &shifted, 2400).1 > 2e-2);
}

/// Where `needle` fits `hay` best, up to `most` samples in, and the energy of the difference as a share of the whole.
fn best_match(hay: &[f32], needle: &[f32], most: usize) -> (usize, f64) {
    let energy: f64 = needle.iter().map(|sample| f64::from(sample * sample)).sum();
    let error = |start: usize| {
        let pairs = hay[start..].iter().zip(needle);
        pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / energy
    };
    let starts = (0..most.min(hay.len())).map(|start| (start, error(start)));
    starts.min_by(|a, b| a.1.total_cmp(&b.1)).expect("somewhere to start")
}

#[test]
fn a_slow_voice_makes_the_cursor_wait_and_loses_nothing() {
    let mut app = host(SpeakerBackend::Manual, FRAME);
    let companion = app.world_mut().spawn(Playback::default()).id();
    let speech = speech();
    let half = speech.samples.len() / 2;
    playback(&mut app, companion).push(0, Pcm::new(&speech.samples[..half], speech.rate), 0..15, false);
    for _ in 0..200 {
        app.update();
    }
    let waiting = playback(&mut app, companion).cursor().expect("an open sentence");
    assert_eq!(waiting.text, 15);
    assert!((waiting.seconds - half as f64 / f64::from(speech.rate)).abs() < 1e-9);
    assert!(!playback(&mut app, companion).is_sounding() && !playback(&mut app, companion).is_idle());
    playback(&mut app, companion).push(0, Pcm::new(&speech.samples[half..], speech.rate), 15..30, true);
    app.update();
    app.update();
    assert!(playback(&mut app, companion).is_sounding());
    for _ in 0..200 {
        app.update();
    }
    assert!(playback(&mut app, companion).is_idle());
    let heard = app.world_mut().resource_mut::<Speaker>().take_recording().expect("a recording");
    let energy = |samples: &[f32]| samples.iter().map(|sample| f64::from(sample * sample)).sum::<f64>();
    let ratio = energy(&heard.samples) / energy(&resample(&speech, heard.rate).samples);
    assert!((ratio - 1.0).abs() < 0.01, "{ratio} of the sound arrived");
}

#[test]
fn a_stop_says_what_was_heard_and_the_next_turn_begins_anew() {
    let mut app = host(SpeakerBackend::Manual, FRAME);
    let companion = app.world_mut().spawn(Playback::default()).id();
    say(&mut app, companion, 3);
    for _ in 0..62 {
        app.update();
    }
    let stopped = playback(&mut app, companion).stop().expect("it was speaking");
    assert_eq!(stopped.sentence, 0);
    assert!((0.95..1.0).contains(&stopped.seconds), "{stopped:?}");
    assert!(playback(&mut app, companion).is_idle() && playback(&mut app, companion).cursor().is_none());
    assert_eq!(playback(&mut app, companion).news().collect::<Vec<_>>(), [Heard::SentenceStarted(0)]);
    let before = app.world_mut().resource_mut::<Speaker>().take_recording().expect("a recording").samples.len();
    assert!(before > 40_000);
    for _ in 0..10 {
        app.update();
    }
    let rest = app.world_mut().resource_mut::<Speaker>().take_recording().expect("a recording").samples;
    let loud = rest.iter().rposition(|sample| sample.abs() > 1e-4).unwrap_or(0);
    assert!(loud < 960, "still sounding {loud} samples later");
    say(&mut app, companion, 2);
    for _ in 0..10 {
        app.update();
    }
    let cursor = playback(&mut app, companion).cursor().expect("the next turn");
    assert!((0.14..=0.16).contains(&cursor.seconds), "{cursor:?}");
}

#[test]
fn two_companions_may_speak_at_once_and_a_despawned_one_falls_silent() {
    let mut app = host(SpeakerBackend::Manual, FRAME);
    let tone = |seconds: usize| Pcm::new(vec![0.25; 24_000 * seconds], 24_000);
    let [first, second] = [0, 1].map(|_| app.world_mut().spawn(Playback::default()).id());
    playback(&mut app, first).push(0, tone(2), 0..1, true);
    playback(&mut app, second).push(0, tone(2), 0..1, true);
    let level = |app: &mut App| {
        app.world_mut().resource_mut::<Speaker>().take_recording();
        for _ in 0..10 {
            app.update();
        }
        app.world_mut().resource_mut::<Speaker>().take_recording().expect("a recording").samples[6000]
    };
    for _ in 0..5 {
        app.update();
    }
    assert!((level(&mut app) - 0.5).abs() < 0.01);
    playback(&mut app, first).set_gain(0.5);
    assert!((level(&mut app) - 0.375).abs() < 0.01);
    app.world_mut().despawn(second);
    assert!((level(&mut app) - 0.125).abs() < 0.01);
    assert!(playback(&mut app, first).level() > 0.2);
}

#[test]
fn the_mouth_moves_while_it_speaks_and_is_shut_before_and_after() {
    let mut app = host(SpeakerBackend::Manual, FRAME);
    let companion = app.world_mut().spawn(Playback::default()).id();
    let mut estimator = VowelEstimator::default();
    assert_eq!(estimator.mouth(&playback(&mut app, companion)).open, 0.0);
    say(&mut app, companion, 4);
    let (mut widest, mut shut, mut shapes) = (0.0_f32, 0, [0.0_f32; 5]);
    while !playback(&mut app, companion).is_idle() {
        app.update();
        let mouth = estimator.mouth(&playback(&mut app, companion));
        widest = widest.max(mouth.open);
        shut += u32::from(mouth.open == 0.0);
        if mouth.open > 0.0 {
            let weights = mouth.vowels;
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{weights:?}");
            shapes = std::array::from_fn(|vowel| shapes[vowel].max(weights[vowel]));
        }
    }
    assert!(widest > 0.9 && shut > 10, "open to {widest}, shut in {shut} frames");
    assert!(shapes.iter().filter(|most| **most > 0.4).count() >= 4, "only these shapes: {shapes:?}");
    assert_eq!(estimator.mouth(&playback(&mut app, companion)).open, 0.0);
}

#[test]
fn without_a_sound_card_a_companion_speaks_in_real_time_unheard() {
    let mut app = host(SpeakerBackend::Null, FRAME);
    assert_eq!(app.world().resource::<Speaker>().status(), SpeakerStatus::Silent);
    let companion = app.world_mut().spawn(Playback::default()).id();
    playback(&mut app, companion).push(0, Pcm::silence(0.15, 24_000), 0..1, true);
    let started = std::time::Instant::now();
    let mut news = Vec::new();
    while news.last() != Some(&Heard::Idle) {
        app.update();
        news.extend(playback(&mut app, companion).news());
        assert!(started.elapsed() < Duration::from_secs(60), "never idle: {news:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(started.elapsed() >= Duration::from_millis(150));
}
