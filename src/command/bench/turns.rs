//! Whole turns, and what they do to the frame.

use std::time::Instant;

use bevy_companion::{
    CompanionPlugins, app::session::Session, config::Config, dialogue::event::Fact, memory::MemoryConfig,
};

use super::{super::demo, Report, median, quantile};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A session whose memories are thrown away afterwards.
fn session(config: &Config) -> Result<(Session, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let mut config = config.clone();
    if let MemoryConfig::Lmdb(lmdb) = &mut config.memory {
        lmdb.store = folder.path().into();
    }
    config.dialogue.sampling.seed = Some(1);
    let plugins = CompanionPlugins::from(config.clone()).without_microphone().recording();
    Ok((Session::new(&config, plugins)?, folder))
}

/// Spoken turns, in real time.
pub fn turn(config: &Config, rounds: usize, report: &Report) -> Result<()> {
    let question = demo::question()?;
    let began = Instant::now();
    let (mut session, _memories) = session(config)?;
    session.update()?;
    let first_frame = began.elapsed().as_secs_f64();
    session.wait_until_ready()?;
    let ready = began.elapsed().as_secs_f64();
    report.figures("start-up", &[("to the first frame", first_frame, "s"), ("to everything loaded", ready, "s")]);

    let (mut all, mut cached, mut prompts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds + 1 {
        session.speak(&question)?;
        session.finish_turn(|_, events| {
            for event in events {
                if let Fact::TurnFinished { latency, usage, .. } = &event.fact {
                    // The first turn reads the whole prompt, later ones only what is new: it is told apart.
                    if round == 0 {
                        let figures = [
                            ("to first audio", latency.to_first_audio, "s"),
                            ("first token", latency.first_token, "s"),
                        ];
                        report.figures("first turn", &figures);
                    } else {
                        all.push(*latency);
                        cached.extend(usage.map(|usage| usage.cached_tokens as f64));
                        prompts.extend(usage.map(|usage| usage.prompt_tokens as f64));
                    }
                }
            }
        })?;
        session.finish_remembering()?;
    }
    let middle = |part: fn(&bevy_companion::dialogue::event::Latency) -> f64| {
        median(&mut all.iter().map(part).collect::<Vec<_>>())
    };
    let figures = [
        ("end of speech to first audible sample", middle(|l| l.to_first_audio), "s"),
        ("  the same without the endpoint wait", middle(|l| l.to_first_audio - l.endpoint), "s"),
        ("  endpoint wait", middle(|l| l.endpoint), "s"),
        ("  hearing", middle(|l| l.hearing), "s"),
        ("  recall", middle(|l| l.recall), "s"),
        ("  first token", middle(|l| l.first_token), "s"),
        ("  first clause", middle(|l| l.first_clause), "s"),
        ("  voice", middle(|l| l.voice), "s"),
        ("  playback", middle(|l| l.playback), "s"),
        ("prompt", median(&mut prompts), "tokens"),
        ("  of these still in the KV cache", median(&mut cached), "tokens"),
    ];
    report.figures("turn", &figures);
    Ok(())
}

/// How long an update takes, with nothing to do and in the middle of a turn.
pub fn frame(config: &Config, report: &Report) -> Result<()> {
    let (mut session, _memories) = session(config)?;
    session.wait_until_ready()?;
    let mut idle = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        session.app().update();
        idle.push(began.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    session.ask("讲一个长一点的故事给我听吧。");
    let mut busy = Vec::new();
    for _ in 0..1200 {
        let began = Instant::now();
        session.app().update();
        busy.push(began.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut figures = Vec::new();
    for (names, times) in [
        (["idle, p50", "idle, p99", "idle, longest"], &mut idle),
        (["busy, p50", "busy, p99", "busy, longest"], &mut busy),
    ] {
        for (name, at) in names.into_iter().zip([0.5, 0.99, 1.0]) {
            figures.push((name, quantile(times, at), "ms"));
        }
    }
    report.figures("frame (all systems of a headless app, one update)", &figures);
    Ok(())
}
