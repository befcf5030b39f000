//! ONNX Runtime, loaded once a process from the shared library that `companion models pull` installs.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::{
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
};

static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// What can go wrong between a model file and a session.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The runtime's library is missing or not loadable.
    #[error("ONNX Runtime could not be loaded from {library}: {reason}; run `companion models pull onnxruntime`")]
    Library {
        /// The library's path.
        library: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The model is missing, truncated or of an unsupported form.
    #[error("{model} could not be loaded: {reason}; run `companion models verify`")]
    Model {
        /// The model's path.
        model: PathBuf,
        /// What the runtime said.
        reason: String,
    },
}

/// Opens a model with `threads` intra-op threads, on the library at `library`.
///
/// The library is loaded by the first call; later calls share it, whatever path they give.
///
/// # Errors
/// [`OnnxError`], with the file and the remedy.
pub fn session(library: &Path, model: &Path, threads: usize) -> Result<Session, OnnxError> {
    let environment = environment(library)?;
    let failed = |reason: String| OnnxError::Model { model: model.into(), reason };
    // The runtime ends the process on some malformed inputs; a missing file at least is told apart here.
    std::fs::metadata(model).map_err(|error| failed(error.to_string()))?;
    let mut builder = Session::builder(&environment)
        .map_err(|error| failed(error.to_string()))?
        .with_intra_threads(threads.max(1))
        .map_err(|error| failed(error.to_string()))?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(|error| failed(error.to_string()))?
        // Spinning threads would take the frame's core between calls.
        .with_intra_op_spinning(false)
        .map_err(|error| failed(error.to_string()))?;
    builder.commit_from_file(model).map_err(|error| failed(error.to_string()))
}

fn environment(library: &Path) -> Result<Environment, OnnxError> {
    let failed = |reason: String| OnnxError::Library { library: library.into(), reason };
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    std::fs::metadata(library).map_err(|error| failed(error.to_string()))?;
    let builder = ort::init_from(library).map_err(|error| failed(error.to_string()))?;
    let built = builder.with_name("bevy_companion").with_telemetry(false).build();
    Ok(environment.insert(built.map_err(|error| failed(error.to_string()))?).clone())
}
