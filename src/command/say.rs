//! `companion say`: a sentence as sound.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use bevy_companion::{
    audio::{self, Pcm},
    emotion::{Cue, Emotion},
    models,
    voice::{
        Say, SpeechChunk,
        kokoro::{self, KokoroConfig, KokoroVoice},
    },
    worker::{Engine, Turn},
};
use clap::Args;

use super::{CommandResult, Context};

/// Say a sentence, and write it to a WAV file.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  companion say 你好，很高兴见到你！ --emotion 开心 --out hello.wav\n  companion say \"I missed you.\" --emotion sad --voice af_heart --out missed.wav\n  companion say --list-voices"
)]
pub struct SayArgs {
    /// What to say: Chinese, English, or both.
    #[arg(required_unless_present = "list_voices")]
    text: Option<String>,
    /// How to say it: 平静 开心 生气 悲伤 惊讶 撒娇, or calm happy angry sad surprised coquettish.
    #[arg(long, default_value = "calm")]
    emotion: Emotion,
    /// How strongly, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    intensity: f32,
    /// Whose voice.
    #[arg(long, default_value = "zf_xiaoxiao")]
    voice: String,
    /// Factor of the speaking rate, 0.5 to 2.
    #[arg(long, default_value_t = 1.0)]
    speed: f32,
    /// Threads to compute with.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Where to write the speech.
    #[arg(long, value_name = "OUT.wav", required_unless_present = "list_voices")]
    out: Option<PathBuf>,
    /// Print the names of the voices instead.
    #[arg(long, conflicts_with_all = ["text", "out"])]
    list_voices: bool,
}

/// Runs the command.
pub fn run(args: &SayArgs, context: &Context) -> CommandResult {
    let model = models::locate("kokoro-82m")?;
    if args.list_voices {
        list(&kokoro::voices(&model)?, context);
        return Ok(ExitCode::SUCCESS);
    }
    let config = KokoroConfig {
        model,
        runtime: models::onnxruntime()?,
        mandarin: models::locate("pinyin")?,
        english: models::locate("misaki-en")?,
        voice: args.voice.clone(),
        speed: args.speed,
        threads: args.threads,
        ..KokoroConfig::default()
    };
    context.say("loading…");
    let begun = Instant::now();
    let mut kokoro = KokoroVoice::load(&config)?;
    let loading = begun.elapsed();
    let text = args.text.clone().unwrap_or_default();
    let cue = Cue { emotion: args.emotion, intensity: args.intensity };
    let phonemes = kokoro.phonemes(&text);
    let said = say(&mut kokoro, Say { text, cue, ..Say::default() })?;
    if let Some(out) = &args.out {
        audio::write_wav(out, &said.pcm)?;
    }
    let seconds = said.pcm.seconds();
    let factor = said.elapsed.as_secs_f64() / seconds.max(1e-9);
    if context.json {
        let line = serde_json::json!({
            "event": "said",
            "voice": args.voice,
            "emotion": args.emotion,
            "phonemes": phonemes,
            "seconds": seconds,
            "chunks": said.chunks,
            "load": loading.as_secs_f64(),
            "time_to_first_audio": said.first.as_secs_f64(),
            "elapsed": said.elapsed.as_secs_f64(),
            "real_time_factor": factor,
        });
        println!("{line}");
    } else {
        println!("{seconds:.2} s of speech in {} chunks", said.chunks);
        println!("first audio after {:.2} s, real-time factor {factor:.2}", said.first.as_secs_f64());
    }
    Ok(ExitCode::SUCCESS)
}

/// A finished sentence and how long it took.
struct Said {
    pcm: Pcm,
    chunks: usize,
    first: Duration,
    elapsed: Duration,
}

fn say(kokoro: &mut KokoroVoice, say: Say) -> Result<Said, Box<dyn std::error::Error>> {
    let (turn, spoken) = Turn::detached();
    let begun = Instant::now();
    // Beside the engine, because what matters is when the first chunk arrives.
    let listener = std::thread::spawn(move || {
        let mut first = None;
        let chunks: Vec<SpeechChunk> =
            spoken.wait().inspect(|_| _ = first.get_or_insert_with(|| begun.elapsed())).collect();
        (first.unwrap_or_default(), chunks)
    });
    let served = kokoro.serve(say, &turn);
    let elapsed = begun.elapsed();
    drop(turn);
    let (first, chunks) = listener.join().map_err(|_| "the listening thread panicked")?;
    served?;
    let rate = chunks.first().map_or(0, |chunk| chunk.pcm.rate);
    let samples: Arc<[f32]> = chunks.iter().flat_map(|chunk| chunk.pcm.samples.iter().copied()).collect();
    Ok(Said { pcm: Pcm { samples, rate }, chunks: chunks.len(), first, elapsed })
}

fn list(voices: &[String], context: &Context) {
    for voice in voices {
        if context.json {
            println!("{}", serde_json::json!({ "event": "voice", "name": voice }));
        } else {
            println!("{voice}");
        }
    }
}
