//! Voices: tables of style vectors, one row for every length of utterance.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::KokoroError;

/// The longest utterance the model takes, in phonemes.
pub const LONGEST: usize = 510;
/// A style's numbers: the first half shapes the timbre, the second the prosody.
pub const STYLE: usize = 256;

/// A voice's style vectors, `[LONGEST, STYLE]`.
#[derive(Clone)]
pub struct VoiceTable(Arc<[f32]>);

impl VoiceTable {
    /// Reads raw little-endian f32.
    fn read(path: &Path) -> Result<Self, KokoroError> {
        let failed = |reason: String| KokoroError::Voice { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let expected = LONGEST * STYLE * size_of::<f32>();
        if bytes.len() != expected {
            return Err(failed(format!("it has {} bytes; a voice has {expected}, [510, 1, 256] f32", bytes.len())));
        }
        let values: Arc<[f32]> = bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(failed("it holds values that are not numbers".into()));
        }
        Ok(Self(values))
    }

    /// The style for an utterance of `phonemes` phonemes.
    pub fn style(&self, phonemes: usize) -> [f32; STYLE] {
        let row = phonemes.clamp(1, LONGEST) - 1;
        std::array::from_fn(|at| self.0[row * STYLE + at])
    }
}

/// The voices in a folder; each is read when it is first wanted.
pub struct Voices {
    folder: PathBuf,
    names: BTreeSet<String>,
    read: BTreeMap<String, VoiceTable>,
}

impl Voices {
    /// Lists a folder of `NAME.bin` files.
    ///
    /// # Errors
    /// [`KokoroError::Voice`] when the folder cannot be read or holds no voice.
    pub fn list(folder: &Path) -> Result<Self, KokoroError> {
        let failed = |reason: String| KokoroError::Voice { path: folder.into(), reason };
        let entries = std::fs::read_dir(folder).map_err(|error| failed(error.to_string()))?;
        let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".bin")?.to_owned());
        let names: BTreeSet<String> = entries.filter_map(|entry| name(entry.ok()?.path())).collect();
        if names.is_empty() {
            return Err(failed("it holds no .bin files".into()));
        }
        Ok(Self { folder: folder.into(), names, read: BTreeMap::new() })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether there is a voice of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// A voice by name.
    ///
    /// # Errors
    /// [`KokoroError::UnknownVoice`] with the names nearest to it, [`KokoroError::Voice`] when its file is damaged.
    pub fn get(&mut self, name: &str) -> Result<VoiceTable, KokoroError> {
        if let Some(voice) = self.read.get(name) {
            return Ok(voice.clone());
        }
        if !self.has(name) {
            return Err(KokoroError::UnknownVoice { name: name.into(), near: self.near(name) });
        }
        let voice = VoiceTable::read(&self.folder.join(format!("{name}.bin")))?;
        self.read.insert(name.into(), voice.clone());
        Ok(voice)
    }

    fn near(&self, name: &str) -> String {
        let mut names: Vec<&str> = self.names().collect();
        names.sort_by_key(|other| distance(name, other));
        names.truncate(4);
        names.join(", ")
    }
}

/// Letters to change, add or drop to turn one name into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(from != to)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_of_the_wrong_size_is_refused_and_an_unknown_one_names_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("zf_short.bin"), [0; 12]).unwrap();
        std::fs::write(folder.path().join("am_far.bin"), vec![0; LONGEST * STYLE * 4]).unwrap();
        let mut voices = Voices::list(folder.path()).unwrap();
        assert!(voices.get("zf_short").err().unwrap().to_string().contains("12 bytes"));
        assert!(voices.get("zf_shirt").err().unwrap().to_string().contains("zf_short, am_far"));
        assert_eq!(voices.get("am_far").unwrap().style(9999), [0.0; STYLE]);
    }
}
