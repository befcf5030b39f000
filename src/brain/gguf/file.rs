//! A GGUF file in memory: its metadata, and where its tensors lie.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::{
    fs::File,
    io::Cursor,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use candle_core::quantized::{GgmlDType, gguf_file};
use memmap2::Mmap;

use crate::brain::BrainError;

/// A mapped GGUF file whose tensors all lie inside it.
pub(super) struct GgufFile {
    path: PathBuf,
    map: Mmap,
    content: gguf_file::Content,
}

/// One tensor's place in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorPlace {
    pub dtype: GgmlDType,
    /// Slowest first, as candle has them; GGUF stores them the other way round.
    pub dims: Vec<usize>,
    /// The bytes in the file.
    pub range: Range<usize>,
}

impl GgufFile {
    /// Maps a file and checks that its header can be read and that all its tensors are there.
    pub fn open(path: &Path) -> Result<Self, BrainError> {
        let missing = |source| BrainError::Open { path: path.into(), source };
        let file = File::open(path).map_err(missing)?;
        // SAFETY: the map is only read. A model file that another process truncates while it is mapped ends this one, as it
        // would with any runtime that maps weights; our own files are replaced by renaming, never written in place.
        let map = unsafe { Mmap::map(&file) }.map_err(missing)?;
        // The reader checks its counts against the file, but divides by an alignment that may be zero.
        let content = catch_unwind(AssertUnwindSafe(|| gguf_file::Content::read(&mut Cursor::new(&map[..]))));
        let reason = match content {
            Ok(Ok(content)) => {
                let file = Self { path: path.into(), map, content };
                file.content.tensor_infos.keys().try_for_each(|name| file.place(name).map(|_| ()))?;
                return Ok(file);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its header contradicts itself".into(),
        };
        Err(BrainError::Malformed { path: path.into(), reason })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error about this file.
    pub fn malformed(&self, reason: impl Into<String>) -> BrainError {
        BrainError::Malformed { path: self.path.clone(), reason: reason.into() }
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.content.tensor_infos.contains_key(tensor)
    }

    /// Where a tensor lies.
    pub fn place(&self, tensor: &str) -> Result<TensorPlace, BrainError> {
        let Some(info) = self.content.tensor_infos.get(tensor) else {
            return Err(self.malformed(format!("it has no tensor `{tensor}`")));
        };
        let dtype = info.ggml_dtype;
        let dims = info.shape.dims().to_vec();
        let elements = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let bytes = elements
            .filter(|_| dims.last().is_some_and(|last| last.is_multiple_of(dtype.block_size())))
            .and_then(|elements| (elements / dtype.block_size()).checked_mul(dtype.type_size()));
        let Some(bytes) = bytes else {
            return Err(self.malformed(format!("tensor `{tensor}` cannot be {dims:?} of {dtype:?}")));
        };
        let start = usize::try_from(self.content.tensor_data_offset.saturating_add(info.offset)).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes);
        if end > self.map.len() {
            let length = self.map.len();
            return Err(self.malformed(format!("tensor `{tensor}` ends at byte {end}, the file at {length}")));
        }
        Ok(TensorPlace { dtype, dims, range: start..end })
    }

    /// A tensor's bytes.
    pub fn bytes(&self, place: &TensorPlace) -> &[u8] {
        &self.map[place.range.clone()]
    }

    pub fn value(&self, key: &str) -> Option<&gguf_file::Value> {
        self.content.metadata.get(key)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            gguf_file::Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number of any integer type.
    pub fn integer(&self, key: &str) -> Option<u64> {
        use gguf_file::Value::{I8, I16, I32, I64, U8, U16, U32, U64};
        match *self.value(key)? {
            U8(value) => Some(value.into()),
            U16(value) => Some(value.into()),
            U32(value) => Some(value.into()),
            U64(value) => Some(value),
            I8(value) => value.try_into().ok(),
            I16(value) => value.try_into().ok(),
            I32(value) => value.try_into().ok(),
            I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    pub fn float(&self, key: &str) -> Option<f64> {
        match *self.value(key)? {
            gguf_file::Value::F32(value) => Some(value.into()),
            gguf_file::Value::F64(value) => Some(value),
            _ => None,
        }
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        match *self.value(key)? {
            gguf_file::Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// A list's entries; none when the key is missing or is no list.
    pub fn list(&self, key: &str) -> Option<&[gguf_file::Value]> {
        match self.value(key)? {
            gguf_file::Value::Array(values) => Some(values),
            _ => None,
        }
    }
}
