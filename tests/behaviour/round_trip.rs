//! What the voice says, the ears must understand: sentence by sentence, and several in one breath.

use std::collections::BTreeMap;

use bevy_companion::{
    audio::{Pcm, resample},
    emotion::Cue,
    hearing::{
        HearingError,
        whisper::{WhisperConfig, WhisperEars},
    },
    models::models_dir,
};
use ferrous_opencc::{OpenCC, config::BuiltinConfig};
use serde::Deserialize;

use super::voice::{record, samples, say};

/// What is heard.
const RATE: u32 = 16_000;
/// What is spoken.
const VOICE_RATE: u32 = 24_000;

/// As a microphone hears it: at its rate, with a quarter of a second of room before and after.
fn through_the_air(spoken: &[f32]) -> Vec<f32> {
    let room = [0.0; RATE as usize / 4];
    [&room, &resample(&Pcm::new(spoken, VOICE_RATE), RATE).samples[..], &room].concat()
}

/// What is compared: words without marks, Chinese characters one by one in simplified script.
fn words(text: &str) -> Vec<String> {
    let text = OpenCC::from_config(BuiltinConfig::T2s).unwrap().convert(text).to_lowercase();
    let mut spaced = String::new();
    for character in text.chars() {
        match character {
            '\u{4e00}'..='\u{9fff}' => spaced.extend([' ', character, ' ']),
            '\'' => {}
            _ if character.is_alphanumeric() => spaced.push(character),
            _ => spaced.push(' '),
        }
    }
    spaced.split_whitespace().map(String::from).collect()
}

/// How many words would have to be changed, added or dropped.
fn errors(heard: &[String], said: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=said.len()).collect();
    for (i, a) in heard.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in said.iter().enumerate() {
            let cost = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[said.len()]
}

/// Wrong words, and all words, over pairs of what was said and how it sounded.
fn misheard<'a>(ears: &WhisperEars, spoken: impl Iterator<Item = (String, Vec<f32>)> + 'a) -> (usize, usize) {
    let (mut wrong, mut total) = (0, 0);
    for (said, sound) in spoken {
        let heard = ears.transcribe(&sound, &mut || Ok::<(), HearingError>(())).unwrap().text;
        let (heard_words, said_words) = (words(&heard), words(&said));
        let errors = errors(&heard_words, &said_words);
        if errors > 0 {
            println!("{errors} of {}: {said} | {heard}", said_words.len());
        }
        wrong += errors;
        total += said_words.len();
    }
    (wrong, total)
}

#[test]
fn real_speech_is_understood_alone_and_three_sentences_at_a_time() {
    #[derive(Deserialize)]
    struct List {
        voice: String,
        sentences: Vec<String>,
    }
    let lists: BTreeMap<String, List> = toml::from_str(&record("sentences.toml")).unwrap();
    for (language, list) in &lists {
        let languages = vec![language.clone()];
        let config = WhisperConfig { model: models_dir().join("whisper-base"), languages, ..WhisperConfig::default() };
        let ears = WhisperEars::load(&config).unwrap();
        let sounds = list.sentences.iter().map(|said| samples(&say(said, &list.voice, Cue::default())));
        let spoken: Vec<(String, Vec<f32>)> = list.sentences.iter().cloned().zip(sounds).collect();
        let alone = spoken.iter().map(|(said, sound)| (said.clone(), through_the_air(sound)));
        // Eight to ten seconds, where a recogniser that is given too little silence, or too much, drops one of the three.
        let together = spoken.windows(3).map(|three| {
            let said: Vec<&str> = three.iter().map(|(said, _)| said.as_str()).collect();
            let sound: Vec<&[f32]> = three.iter().map(|(_, sound)| &sound[..]).collect();
            (said.join(" "), through_the_air(&sound.concat()))
        });
        let (wrong, total) = misheard(&ears, alone);
        println!("{language}: {wrong} of {total} wrong alone");
        assert!(wrong * 10 < total, "{language}: {wrong} of {total} wrong");
        let (wrong, total) = misheard(&ears, together);
        println!("{language}: {wrong} of {total} wrong by threes");
        assert!(wrong * 10 < total, "{language}: {wrong} of {total} wrong by threes");
    }
}
