//! Model files are refused with a reason when they are no usable model.

use bevy_companion::brain::{
    BrainError,
    gguf::{GgufBrain, GgufConfig},
};

use crate::brain::{SMOLLM, model};

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
