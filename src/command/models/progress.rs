//! Showing a pull: a bar on a terminal, plain lines elsewhere, JSON lines on demand.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use bevy_companion::models::{Event, Outcome, Step};
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use serde_json::json;

/// How often progress becomes a line where there is no bar to redraw.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What a person, or a program, sees of a pull.
pub struct Progress {
    json: bool,
    bar: Option<ProgressBar>,
    step: Option<Step>,
    /// The last reason that was told for leaving a source: an unreachable hub is told once.
    told: String,
    last_line: Instant,
}

impl Progress {
    /// JSON lines on standard output, or text on standard error.
    pub fn new(json: bool) -> Self {
        let bar = (!json && stderr().is_terminal()).then(|| ProgressBar::new(0));
        Self { json, bar, step: None, told: String::new(), last_line: Instant::now() }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event) {
        if let Event::Progress { model, step, done, total } = event {
            return self.progress(event, model, *step, *done, *total);
        }
        if self.json {
            return println!("{}", json!(event));
        }
        self.step = None;
        if let Event::Fallback { reason, .. } = event
            && std::mem::replace(&mut self.told, reason.clone()) == *reason
        {
            return;
        }
        self.line(match event {
            Event::Waiting => "another pull is at work in this folder; waiting for it".into(),
            Event::Present { model } => format!("{model}: already installed"),
            Event::Started { model } => format!("{model}: fetching"),
            Event::Fallback { model, reason } => format!("{model}: {reason}; using packages instead"),
            Event::Installed { model, bytes, seconds } => {
                format!("{model}: installed, {} in {seconds:.1} s", DecimalBytes(*bytes))
            }
            Event::Failed { model, error } => format!("{model}: FAILED: {error}"),
            Event::Progress { .. } => return,
        });
    }

    /// Shows that a model is being read.
    pub fn reading(&mut self, model: &str, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{msg} {spinner} {decimal_bytes}"));
            bar.set_message(format!("{model}: reading"));
            bar.set_position(bytes);
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Says how the pull ended.
    pub fn close(&mut self, outcome: &Outcome) {
        self.clear();
        let (present, installed, failed) = (outcome.present.len(), outcome.installed.len(), outcome.failed.len());
        if self.json {
            println!("{}", json!({ "event": "done", "present": present, "installed": installed, "failed": failed }));
        } else if installed + failed == 0 {
            eprintln!("nothing is missing");
        } else {
            eprintln!("{installed} installed, {present} were there already, {failed} failed");
        }
    }

    fn progress(&mut self, event: &Event, model: &str, step: Step, done: u64, total: u64) {
        let begins = self.step.replace(step) != Some(step);
        if let Some(bar) = &self.bar {
            if begins {
                bar.set_style(style_of(step, total));
                bar.set_message(format!("{model}: {}", word(step)));
                bar.reset_eta();
            }
            bar.set_length(total);
            bar.set_position(done);
        } else if begins || self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let percent = (done * 100).checked_div(total);
            match (self.json, percent) {
                (true, _) => println!("{}", json!(event)),
                (false, Some(percent)) => eprintln!("{model}: {} {percent} %", word(step)),
                (false, None) => eprintln!("{model}: {}", word(step)),
            }
        }
    }

    fn line(&self, text: String) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Downloading => "downloading",
        Step::Unpacking => "unpacking",
        Step::Converting => "converting",
    }
}

fn style_of(step: Step, total: u64) -> ProgressStyle {
    match (step, total) {
        (Step::Converting, _) => style("{msg} [{wide_bar}] {percent} %"),
        (_, 0) => style("{msg} {spinner} {decimal_bytes} ({decimal_bytes_per_sec})"),
        _ => style("{msg} [{wide_bar}] {decimal_bytes} of {decimal_total_bytes} ({decimal_bytes_per_sec}, {eta})"),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
