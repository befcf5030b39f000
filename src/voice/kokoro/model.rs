//! The network: phonemes and a style in, a waveform out.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use ort::{
    session::{RunOptions, Session},
    value::TensorRef,
};
use serde::Deserialize;

use super::{
    KokoroError,
    voices::{LONGEST, STYLE},
};
use crate::onnx;

/// How often a running inference looks whether it is still wanted.
const WATCH: Duration = Duration::from_millis(20);
/// What the converted graph takes; the package's own lacks the last two.
const INPUTS: [&str; 5] = ["tokens", "style", "speed", "range", "pitch"];

/// How an utterance is to be spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    /// Who speaks: the style vector.
    pub style: [f32; STYLE],
    /// Factor of the speaking rate.
    pub speed: f32,
    /// Factor of the intonation's width.
    pub range: f32,
    /// Factor of the pitch.
    pub pitch: f32,
}

/// Kokoro's graph and vocabulary.
pub struct Model {
    session: Session,
    vocabulary: HashMap<char, i64>,
    path: PathBuf,
}

#[derive(Deserialize)]
struct Vocabulary {
    vocab: HashMap<char, i64>,
}

impl Model {
    /// Opens `model.onnx` and `vocab.json` in `folder`.
    ///
    /// # Errors
    /// [`KokoroError::Vocabulary`], [`KokoroError::Onnx`], or [`KokoroError::Graph`] for a graph that was not converted.
    pub fn load(runtime: &Path, folder: &Path, threads: usize) -> Result<Self, KokoroError> {
        let path = folder.join("vocab.json");
        let failed = |reason: String| KokoroError::Vocabulary { path: path.clone(), reason };
        let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
        let vocabulary: Vocabulary = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        let path = folder.join("model.onnx");
        let session = onnx::session(runtime, &path, threads)?;
        let inputs: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
        if !INPUTS.iter().all(|input| inputs.contains(input)) {
            return Err(KokoroError::Graph { path, inputs: inputs.join(", ") });
        }
        Ok(Self { session, vocabulary: vocabulary.vocab, path })
    }

    /// Phonemes as tokens; what the vocabulary lacks is left out.
    pub fn tokens(&self, phonemes: &str) -> Vec<i64> {
        phonemes.chars().filter_map(|phoneme| self.vocabulary.get(&phoneme).copied()).collect()
    }

    /// Speaks at most [`LONGEST`] tokens; `None` when `unwanted` came true meanwhile.
    ///
    /// # Errors
    /// [`KokoroError::Run`], also for an output that is not finite.
    pub fn speak(
        &mut self,
        tokens: &[i64],
        delivery: &Delivery,
        unwanted: impl Fn() -> bool + Sync,
    ) -> Result<Option<Vec<f32>>, KokoroError> {
        let path = self.path.clone();
        let failed = |reason: String| KokoroError::Run { path: path.clone(), reason };
        let kept = &tokens[..tokens.len().min(LONGEST)];
        let padded: Vec<i64> = [0].into_iter().chain(kept.iter().copied()).chain([0]).collect();
        let options = RunOptions::new().map_err(|error| failed(error.to_string()))?;
        let done = AtomicBool::new(false);
        let samples = thread::scope(|scope| {
            // The runtime cannot be asked to look up by itself, so a second thread stops it.
            let watch = scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    if unwanted() && options.terminate().is_ok() {
                        return true;
                    }
                    thread::park_timeout(WATCH);
                }
                false
            });
            let samples = infer(&mut self.session, &padded, delivery, &options);
            done.store(true, Ordering::Release);
            watch.thread().unpark();
            let stopped = watch.join().unwrap_or(false);
            if stopped { Ok(None) } else { samples.map(Some) }
        });
        let samples = samples.map_err(|error| failed(error.to_string()))?;
        match samples {
            Some(samples) if samples.iter().any(|sample| !sample.is_finite()) => {
                Err(failed("its output is not finite".into()))
            }
            samples => Ok(samples),
        }
    }
}

fn infer(session: &mut Session, tokens: &[i64], delivery: &Delivery, options: &RunOptions) -> ort::Result<Vec<f32>> {
    let [speed, range, pitch] = [[delivery.speed], [delivery.range], [delivery.pitch]];
    let inputs = ort::inputs![
        "tokens" => TensorRef::from_array_view(([1, tokens.len()], tokens))?,
        "style" => TensorRef::from_array_view(([1, STYLE], &delivery.style[..]))?,
        "speed" => TensorRef::from_array_view(([1], &speed[..]))?,
        "range" => TensorRef::from_array_view(([1], &range[..]))?,
        "pitch" => TensorRef::from_array_view(([1], &pitch[..]))?,
    ];
    let outputs = session.run_with_options(inputs, options)?;
    let (_, samples) = outputs["audio"].try_extract_tensor::<f32>()?;
    Ok(samples.to_vec())
}
