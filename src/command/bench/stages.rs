//! Each stage by itself.

use std::time::Instant;

use bevy_companion::{
    audio::{self, Pcm},
    brain::{BrainConfig, Message, Prompt, Role, Sampling, Token, gguf::GgufBrain},
    config::Config,
    emotion::Cue,
    hearing::{Hearing, HearingConfig, SpeechFrame, whisper::WhisperEars},
    memory::{MemoryConfig, MemoryEngine, MemoryRequest, Speaker},
    voice::{Say, VoiceConfig, kokoro::KokoroVoice},
    worker::{Detached, Engine, Stage, Turn},
};

use super::{super::demo, Report, median};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Serves a request and returns what came out with the seconds until the first output and until the end.
fn serve<S: Stage>(engine: &mut impl Engine<S>, request: S::Request) -> Result<(Vec<S::Output>, f64, f64)> {
    let (turn, outputs): (Turn<S>, Detached<S>) = Turn::detached();
    let began = Instant::now();
    let watch = std::thread::spawn(move || {
        let mut first = None;
        let mut taken = Vec::new();
        for output in outputs.wait() {
            first.get_or_insert_with(|| began.elapsed().as_secs_f64());
            taken.push(output);
        }
        (taken, first)
    });
    let served = engine.serve(request, &turn);
    drop(turn);
    let all = began.elapsed().as_secs_f64();
    let (taken, first) = watch.join().map_err(|_| "a bench thread panicked")?;
    served?;
    Ok((taken, first.unwrap_or(all), all))
}

/// Whisper on speech of 3 s and 10 s.
pub fn hearing(config: &Config, rounds: usize, report: &Report) -> Result<()> {
    let HearingConfig::Whisper(whisper) = &config.hearing else { return Ok(()) };
    let began = Instant::now();
    let mut ears = WhisperEars::load(whisper)?;
    report.figures("hearing: load", &[("load", began.elapsed().as_secs_f64(), "s")]);
    let question = audio::resample(&demo::question()?, 16_000);
    for seconds in [3_usize, 10] {
        // The same speech over and over: as many words a second as a person says.
        let samples: Vec<f32> = question.samples.iter().copied().cycle().take(seconds * 16_000).collect();
        let mut times = Vec::new();
        for _ in 0..rounds {
            let frame = SpeechFrame { pcm: Pcm::new(samples.clone(), 16_000), last: true };
            times.push(serve::<Hearing>(&mut ears, frame)?.2);
        }
        let taken = median(&mut times);
        let name = format!("hearing: {seconds} s of speech");
        report.figures(&name, &[("transcript", taken, "s"), ("real-time factor", taken / seconds as f64, "×")]);
    }
    Ok(())
}

/// Remembering and recalling, with a few hundred memories.
pub fn memory(config: &Config, rounds: usize, report: &Report) -> Result<()> {
    let MemoryConfig::Lmdb(lmdb) = &config.memory else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let mut lmdb = lmdb.clone();
    lmdb.store = folder.path().into();
    let began = Instant::now();
    let mut engine = MemoryEngine::load(&lmdb)?;
    let load = began.elapsed().as_secs_f64();
    let (mut remember, mut recall) = (Vec::new(), Vec::new());
    for number in 0..100 {
        let text = format!("第{number}天我们去了公园，看见了{number}只鸟。");
        let request = MemoryRequest::Remember { owner: "bench".into(), speaker: Speaker::User, text, at: number };
        remember.push(serve(&mut engine, request)?.2);
    }
    for _ in 0..rounds.max(10) {
        let request = MemoryRequest::Recall {
            owner: "bench".into(),
            query: "我们在公园里看见了什么？".into(),
            limit: 4,
            before: None,
        };
        recall.push(serve(&mut engine, request)?.2);
    }
    let figures = [
        ("load", load * 1000.0, "ms"),
        ("remember, on disk", median(&mut remember) * 1000.0, "ms"),
        ("recall among 100", median(&mut recall) * 1000.0, "ms"),
    ];
    report.figures("memory", &figures);
    Ok(())
}

/// The language model: reading, writing, and the first token of a new turn.
pub fn brain(config: &Config, rounds: usize, report: &Report) -> Result<()> {
    let BrainConfig::Gguf(gguf) = &config.brain else { return Ok(()) };
    let began = Instant::now();
    let mut brain = GgufBrain::load(gguf)?;
    let load = began.elapsed().as_secs_f64();

    let text = "The quick brown fox jumps over the lazy dog. ".repeat(80);
    let tokens: Vec<u32> = brain.encode(&text)?.into_iter().take(512).collect();
    let (mut prefill, mut short, mut long) = (Vec::new(), Vec::new(), Vec::new());
    let per_second = |tokens: usize, began: Instant| tokens as f64 / began.elapsed().as_secs_f64();
    for _ in 0..rounds {
        let mut sequence = brain.sequence()?;
        brain.advance(&mut sequence, &tokens[..32])?;
        let began = Instant::now();
        for token in &tokens[32..64] {
            brain.advance(&mut sequence, &[*token])?;
        }
        short.push(per_second(32, began));

        let mut sequence = brain.sequence()?;
        let began = Instant::now();
        brain.advance(&mut sequence, &tokens)?;
        prefill.push(per_second(tokens.len(), began));
        let began = Instant::now();
        for token in &tokens[..16] {
            brain.advance(&mut sequence, &[*token])?;
        }
        long.push(per_second(16, began));
    }

    let persona = config.persona()?;
    let mut messages = vec![Message { role: Role::System, content: persona.personality.get("zh", &[]).into() }];
    for example in persona.examples_in("zh") {
        messages.push(Message { role: Role::User, content: example.user.clone() });
        messages.push(Message { role: Role::Assistant, content: example.reply.get_ref().clone() });
    }
    let mut ask = |question: &str| -> Result<(f64, f64)> {
        messages.push(Message { role: Role::User, content: question.into() });
        let sampling = Sampling { seed: Some(1), max_tokens: 24, ..Sampling::default() };
        let prompt = Prompt { messages: messages.clone(), emotions: persona.emotions.clone(), sampling };
        let (tokens, _, _) = serve(&mut brain, prompt)?;
        let reply: String = tokens.iter().map(|token| if let Token::Text(text) = token { text } else { "" }).collect();
        messages.push(Message { role: Role::Assistant, content: reply });
        let usage = tokens.iter().find_map(|token| if let Token::End(usage) = token { Some(*usage) } else { None });
        let usage = usage.ok_or("the reply did not end")?;
        Ok((usage.first_token_seconds, (usage.prompt_tokens - usage.cached_tokens) as f64))
    };
    let (cold, cold_read) = ask("你好，你叫什么名字？")?;
    let (mut cached, mut cached_read) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (first, read) = ask("那你喜欢吃什么？")?;
        cached.push(first);
        cached_read.push(read);
    }
    let figures = [
        ("load", load, "s"),
        ("prefill of 512", median(&mut prefill), "tokens/s"),
        ("decode after 32", median(&mut short), "tokens/s"),
        ("decode after 512", median(&mut long), "tokens/s"),
        ("first token, cold", cold, "s"),
        ("  tokens read for it", cold_read, "tokens"),
        ("first token, conversation in the KV cache", median(&mut cached), "s"),
        ("  tokens read for it", median(&mut cached_read), "tokens"),
    ];
    report.figures("brain", &figures);
    Ok(())
}

/// The voice, in both languages.
pub fn voice(config: &Config, rounds: usize, report: &Report) -> Result<()> {
    let VoiceConfig::Kokoro(kokoro) = &config.voice else { return Ok(()) };
    let began = Instant::now();
    let mut voice = KokoroVoice::load(kokoro)?;
    report.figures("voice: load", &[("load", began.elapsed().as_secs_f64(), "s")]);
    let sentences = [
        ("voice: one word", "好呀！"),
        ("voice: a Chinese sentence", "今天天气真好，我们一起去公园散步吧。"),
        ("voice: an English sentence", "The weather is lovely today, so let us take a walk."),
    ];
    for (name, text) in sentences {
        let (mut first, mut factor) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let say = Say { sentence: 0, text: text.into(), cue: Cue::default(), voice: String::new() };
            let (chunks, until_first, all) = serve(&mut voice, say)?;
            let seconds: f64 = chunks.iter().map(|chunk| chunk.pcm.seconds()).sum();
            first.push(until_first);
            factor.push(all / seconds);
        }
        report
            .figures(name, &[("first audio", median(&mut first), "s"), ("real-time factor", median(&mut factor), "×")]);
    }
    Ok(())
}
