//! `companion bench`: what this machine can do, stage by stage and in whole turns.

mod stages;
mod turns;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{CommandResult, Context};

/// Measure this machine: time to first audio and its parts, speed of every stage, frame times, memory.
///
/// Machines are noisy: compare figures of one run, and close what else is busy.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  companion bench\n  companion bench brain voice --rounds 5\n  companion bench turn --json"
)]
pub struct BenchArgs {
    /// What to measure; everything by default.
    #[arg(value_enum)]
    what: Vec<Bench>,
    /// How many rounds of each; the median is reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Whisper: real-time factor at 3 s and 10 s.
    Hearing,
    /// The embedder and the store.
    Memory,
    /// The language model: prefill, decode, time to first token cold and cached.
    Brain,
    /// The voice: real-time factor, time to first audio.
    Voice,
    /// Whole spoken turns: end of speech to first audible sample, with its parts; start-up.
    Turn,
    /// Frame times, idle and with every worker busy.
    Frame,
}

/// Runs the command.
pub fn run(args: &BenchArgs, context: &Context) -> CommandResult {
    let config = context.config()?.with_model_paths();
    let rounds = args.rounds as usize;
    let wanted = |bench| args.what.is_empty() || args.what.contains(&bench);
    let report = Report { json: context.json };
    report.machine();
    if wanted(Bench::Hearing) {
        stages::hearing(&config, rounds, &report)?;
    }
    if wanted(Bench::Memory) {
        stages::memory(&config, rounds, &report)?;
    }
    if wanted(Bench::Brain) {
        stages::brain(&config, rounds, &report)?;
    }
    if wanted(Bench::Voice) {
        stages::voice(&config, rounds, &report)?;
    }
    if wanted(Bench::Turn) {
        turns::turn(&config, rounds, &report)?;
    }
    if wanted(Bench::Frame) {
        turns::frame(&config, &report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where figures go.
pub struct Report {
    json: bool,
}

impl Report {
    fn machine(&self) {
        let threads = std::thread::available_parallelism().map_or(0, usize::from);
        let build = if cfg!(debug_assertions) { "dev" } else { "release" };
        if self.json {
            let line =
                serde_json::json!({ "bench": "machine", "threads": threads, "features": features(), "build": build });
            println!("{line}");
        } else {
            println!("{threads} threads, {}, {build} build", features().join(" "));
        }
    }

    /// Prints the figures of one bench, with the peak of this process's memory so far.
    pub fn figures(&self, bench: &str, figures: &[(&str, f64, &str)]) {
        let peak = peak_memory();
        if self.json {
            #[derive(Serialize)]
            struct Line<'a> {
                bench: &'a str,
                peak_memory_mib: Option<f64>,
                figures: serde_json::Map<String, serde_json::Value>,
            }
            let key = |name: &str, unit: &str| format!("{name} [{unit}]");
            let figures = figures.iter().map(|(name, value, unit)| (key(name, unit), (*value).into())).collect();
            println!("{}", serde_json::json!(Line { bench, peak_memory_mib: peak, figures }));
            return;
        }
        println!("\n{bench}");
        for (name, value, unit) in figures {
            println!("  {name:<44} {value:>10.3} {unit}");
        }
        if let Some(peak) = peak {
            println!("  {:<44} {peak:>10.0} MiB", "peak memory of the process so far");
        }
    }
}

/// The vector instructions that the numeric crates choose their paths by.
fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
            ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
        ];
        found.extend(known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name));
    }
    #[cfg(target_arch = "aarch64")]
    {
        let known = [
            ("neon", std::arch::is_aarch64_feature_detected!("neon")),
            ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ];
        found.extend(known.into_iter().filter(|(_, there)| *there).map(|(name, _)| name));
    }
    found
}

/// The most memory this process has held at once, in MiB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// The value a share `at` (0 to 1) of the values is not above.
pub fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len().max(1) - 1) as f64 * at).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// The middle value.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}
