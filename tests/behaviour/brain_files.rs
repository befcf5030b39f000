//! Model files: rewritten once for the CPU, and refused with a reason when they are no usable model.

use bevy_companion::brain::{
    BrainError,
    gguf::{GgufBrain, GgufConfig},
};

use crate::brain::{SMOLLM, model};

#[test]
fn rewritten_weights_are_stored_once_and_done_without_where_they_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::copy(model(SMOLLM), &path).unwrap();
    let packed = folder.path().join("model.packed-v1.gguf");
    let config = GgufConfig { model: path.clone(), ..GgufConfig::default() };
    let logits = |brain: &GgufBrain| brain.advance(&mut brain.sequence().unwrap(), &[1, 2, 3]).unwrap();

    let first = logits(&GgufBrain::load(&config).unwrap());
    let written = std::fs::metadata(&packed).unwrap();
    assert_eq!(logits(&GgufBrain::load(&config).unwrap()), first);
    assert_eq!(
        std::fs::metadata(&packed).unwrap().modified().unwrap(),
        written.modified().unwrap(),
        "it is not written again"
    );

    // Half a file, or one of another model, is not trusted.
    std::fs::OpenOptions::new().write(true).open(&packed).unwrap().set_len(written.len() / 2).unwrap();
    assert_eq!(logits(&GgufBrain::load(&config).unwrap()), first);
    assert_eq!(std::fs::metadata(&packed).unwrap().len(), written.len());

    // A folder in its place stands for a disk that cannot be written.
    std::fs::remove_file(&packed).unwrap();
    std::fs::create_dir_all(packed.join("in the way")).unwrap();
    assert_eq!(logits(&GgufBrain::load(&config).unwrap()), first);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "no half-written file is left behind: {left:?}");
}

/// The smallest GGUF header that names an architecture.
fn header(architecture: &str) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(20u64.to_le_bytes());
    bytes.extend(b"general.architecture");
    bytes.extend(8u32.to_le_bytes());
    bytes.extend((architecture.len() as u64).to_le_bytes());
    bytes.extend(architecture.as_bytes());
    bytes
}

fn refusal(bytes: &[u8]) -> BrainError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    GgufBrain::load(&GgufConfig { model: path, ..GgufConfig::default() }).err().expect("it is refused")
}

#[test]
fn files_that_are_no_usable_model_are_refused_with_a_reason() {
    let missing = GgufConfig { model: "/nowhere/model.gguf".into(), ..GgufConfig::default() };
    let error = GgufBrain::load(&missing).err().unwrap().to_string();
    assert!(error.contains("/nowhere/model.gguf") && error.contains("companion models pull"), "{error}");

    let error = refusal(&header("gemma3")).to_string();
    assert!(error.contains("`gemma3`") && error.contains("`qwen2`") && error.contains("`llama`"), "{error}");
    assert!(matches!(refusal(&header("llama")), BrainError::Malformed { .. }));
    assert!(matches!(refusal(b""), BrainError::Open { .. } | BrainError::Malformed { .. }));
    assert!(matches!(refusal(b"not a model at all, but long enough"), BrainError::Malformed { .. }));

    let whole = std::fs::read(model(SMOLLM)).unwrap();
    for length in [10, 1000, 2_000_000, 50_000_000, whole.len() - 1] {
        let error = refusal(&whole[..length]);
        assert!(matches!(error, BrainError::Malformed { .. }), "{length}: {error}");
        assert!(error.to_string().contains("companion models verify"), "{error}");
    }
}

#[test]
fn a_damaged_header_is_no_panic() {
    use rand::{RngExt, SeedableRng};
    let whole = std::fs::read(model(SMOLLM)).unwrap();
    // The header without the weights: however it is damaged, it must be refused.
    let header = &whole[..1 << 21];
    let mut random = rand::rngs::StdRng::seed_from_u64(5);
    for _ in 0..100 {
        let mut damaged = header.to_vec();
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..1600);
            damaged[at] = random.random();
        }
        refusal(&damaged);
    }
}
