//! Weights rewritten for the CPU's fast kernels, and the file that keeps them.
//!
//! candle's packed kernels want Q4_K, Q6_K or Q8_0 blocks, columns in multiples of 256 and rows in multiples of 16. Many
//! small models have 896 or 576 columns, and their quantisers then fall back to Q5_0 or Q4_1. Such matrices are rewritten as
//! Q8_0 with columns and rows of zeros added; the result is stored beside the model as `<model>.packed-v1.gguf`, so that this
//! happens once. Q4_0 and Q5_0 blocks become Q8_0 exactly; other types are rounded to 255 levels a block.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use candle_core::{
    Device, Result,
    quantized::{GgmlDType, QTensor},
};
use rayon::prelude::*;
use tracing::{info, warn};

use super::{
    blocks,
    file::{GgufFile, Stamp, TensorPlace},
};
use crate::brain::BrainError;

/// Raised whenever the rewriting changes; older files are then written anew.
const VERSION: u32 = 1;
const ALIGNMENT: usize = 32;
const VERSION_KEY: &str = "companion.pack.version";
const BYTES_KEY: &str = "companion.pack.source-bytes";
const MODIFIED_KEY: &str = "companion.pack.source-modified";

/// The matrix that a fast kernel wants instead of a file's.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    name: String,
    source: TensorPlace,
    dtype: GgmlDType,
    rows: usize,
    columns: usize,
}

impl Plan {
    /// None when the matrix is fine as it is.
    fn of(name: &str, source: TensorPlace) -> Option<Self> {
        let &[source_rows, source_columns] = source.dims.as_slice() else { return None };
        let dtype = match source.dtype {
            kept @ (GgmlDType::Q4K | GgmlDType::Q6K | GgmlDType::Q8_0) => kept,
            // These have kernels of their own, and fewer bytes a weight than Q8_0.
            GgmlDType::Q2K | GgmlDType::Q3K | GgmlDType::Q5K | GgmlDType::Q8K => return None,
            _ => GgmlDType::Q8_0,
        };
        let multiple = if cfg!(target_arch = "x86_64") { 256 } else { 32 };
        let (rows, columns) = (source_rows.next_multiple_of(16), source_columns.next_multiple_of(multiple));
        let changed = (dtype, rows, columns) != (source.dtype, source_rows, source_columns);
        changed.then(|| Self { name: name.into(), source, dtype, rows, columns })
    }

    fn bytes(&self) -> usize {
        self.rows * self.columns / self.dtype.block_size() * self.dtype.type_size()
    }

    /// The rewritten matrix.
    fn run(&self, file: &GgufFile) -> Result<Vec<u8>> {
        let source_columns = self.source.dims[1];
        let source_row = source_columns / self.source.dtype.block_size() * self.source.dtype.type_size();
        let row = self.columns / self.dtype.block_size() * self.dtype.type_size();
        let mut packed = vec![0u8; self.bytes()];
        const ROWS: usize = 64;
        let sources = file.bytes(&self.source).par_chunks(ROWS * source_row);
        sources.zip(packed.par_chunks_mut(ROWS * row)).try_for_each(|(source, packed)| -> Result<()> {
            match self.source.dtype {
                same if same == self.dtype => {
                    for (source, packed) in source.chunks_exact(source_row).zip(packed.chunks_exact_mut(row)) {
                        packed[..source_row].copy_from_slice(source);
                    }
                }
                GgmlDType::Q4_0 => widen_rows(source, source_row, packed, row, widen_q4_0),
                GgmlDType::Q5_0 => widen_rows(source, source_row, packed, row, widen_q5_0),
                dtype => {
                    let rows = source.len() / source_row;
                    let tensor = QTensor::new(blocks::copied(dtype, source)?, (rows, source_columns))?;
                    let floats = tensor.dequantize(&Device::Cpu)?;
                    let padded = floats.pad_with_zeros(1, 0, self.columns - source_columns)?;
                    let quantized = QTensor::quantize(&padded, self.dtype)?;
                    packed[..rows * row].copy_from_slice(&quantized.data()?);
                }
            }
            Ok(())
        })?;
        Ok(packed)
    }
}

fn widen_rows<const N: usize>(
    source: &[u8],
    source_row: usize,
    packed: &mut [u8],
    row: usize,
    widen: fn(&[u8; N], &mut [u8; 34]),
) {
    for (source, packed) in source.chunks_exact(source_row).zip(packed.chunks_exact_mut(row)) {
        for (source, packed) in source.as_chunks::<N>().0.iter().zip(packed.as_chunks_mut::<34>().0) {
            widen(source, packed);
        }
    }
}

/// Q4_0 (scale as f16, 32 nibbles less 8) as Q8_0 (scale as f16, 32 signed bytes), exactly.
fn widen_q4_0(source: &[u8; 18], packed: &mut [u8; 34]) {
    packed[..2].copy_from_slice(&source[..2]);
    for at in 0..16 {
        let nibbles = source[2 + at];
        packed[2 + at] = (nibbles & 0x0F).wrapping_sub(8);
        packed[18 + at] = (nibbles >> 4).wrapping_sub(8);
    }
}

/// Q5_0 (scale as f16, 32 fifth bits, 32 nibbles; less 16) as Q8_0, exactly.
fn widen_q5_0(source: &[u8; 22], packed: &mut [u8; 34]) {
    packed[..2].copy_from_slice(&source[..2]);
    let fifth = u32::from_le_bytes([source[2], source[3], source[4], source[5]]);
    for at in 0..16 {
        let nibbles = source[6 + at];
        let (low, high) = (fifth >> at & 1, fifth >> (at + 16) & 1);
        packed[2 + at] = (nibbles & 0x0F | (low as u8) << 4).wrapping_sub(16);
        packed[18 + at] = (nibbles >> 4 | (high as u8) << 4).wrapping_sub(16);
    }
}

/// A model's matrices for the CPU: from the packed file, from memory, or as the model file has them.
pub(super) struct Packed {
    file: Option<GgufFile>,
    memory: HashMap<String, (Plan, Vec<u8>)>,
}

impl Packed {
    /// No rewriting at all.
    pub fn none() -> Self {
        Self { file: None, memory: HashMap::new() }
    }

    /// Finds the packed file of a model, or writes it; where it cannot be written the matrices stay in memory.
    ///
    /// `matrices` are the names the model will ask for, each with the tensor it is made from.
    pub fn prepare(file: &GgufFile, matrices: &[(String, String)]) -> std::result::Result<Self, BrainError> {
        let mut plans = Vec::new();
        for (name, source) in matrices {
            plans.extend(Plan::of(name, file.place(source)?));
        }
        if plans.is_empty() {
            return Ok(Self::none());
        }
        let path = packed_path(file.path());
        if let Some(found) = open(&path, file.stamp(), &plans) {
            return Ok(Self { file: Some(found), memory: HashMap::new() });
        }
        info!(
            "rewriting {} matrices of {} for this CPU; the next start is quicker",
            plans.len(),
            file.path().display()
        );
        match write(&path, file, &plans) {
            Ok(()) => {
                if let Some(written) = open(&path, file.stamp(), &plans) {
                    return Ok(Self { file: Some(written), memory: HashMap::new() });
                }
                warn!("{} does not read back as it was written; keeping the weights in memory", path.display());
            }
            Err(error) => {
                warn!("{} cannot be written ({error}); the weights are rewritten at every start", path.display());
            }
        }
        let mut memory = HashMap::new();
        for plan in plans {
            let bytes = plan.run(file)?;
            memory.insert(plan.name.clone(), (plan, bytes));
        }
        Ok(Self { file: None, memory })
    }

    /// Takes a rewritten matrix, if this one was.
    pub fn take(&mut self, name: &str) -> Result<Option<QTensor>> {
        if let Some((plan, bytes)) = self.memory.remove(name) {
            return QTensor::new(blocks::copied(plan.dtype, &bytes)?, (plan.rows, plan.columns)).map(Some);
        }
        let Some(file) = self.file.as_ref().filter(|file| file.has(name)) else { return Ok(None) };
        let place = file.place(name).map_err(candle_core::Error::wrap)?;
        blocks::tensor(file, &place, &Device::Cpu).map(Some)
    }
}

/// Where the packed form of a model lies.
fn packed_path(model: &Path) -> PathBuf {
    model.with_extension(format!("packed-v{VERSION}.gguf"))
}

/// Opens a packed file when it belongs to this model and holds all it should.
fn open(path: &Path, source: Stamp, plans: &[Plan]) -> Option<GgufFile> {
    let file = GgufFile::open(path).ok()?;
    let belongs = file.integer(VERSION_KEY) == Some(VERSION.into())
        && file.integer(BYTES_KEY) == Some(source.bytes)
        && file.integer(MODIFIED_KEY) == Some(source.modified);
    let holds = |plan: &Plan| {
        let place = file.place(&plan.name).ok();
        place.is_some_and(|place| place.dtype == plan.dtype && place.dims == [plan.rows, plan.columns])
    };
    (belongs && plans.iter().all(holds)).then_some(file)
}

/// Writes the packed file: first under another name, so that no other process ever sees half of it.
fn write(path: &Path, file: &GgufFile, plans: &[Plan]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    write_header_and_tensors(BufWriter::with_capacity(1 << 20, temporary.as_file_mut()), file, plans)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    share(path)
}

fn write_header_and_tensors(mut to: BufWriter<&mut File>, file: &GgufFile, plans: &[Plan]) -> io::Result<()> {
    let mut header = Vec::new();
    header.extend(b"GGUF");
    header.extend(3u32.to_le_bytes());
    header.extend((plans.len() as u64).to_le_bytes());
    header.extend(3u64.to_le_bytes());
    let text = |header: &mut Vec<u8>, text: &str| {
        header.extend((text.len() as u64).to_le_bytes());
        header.extend(text.as_bytes());
    };
    // GGUF's value types: 4 is u32, 10 is u64.
    text(&mut header, VERSION_KEY);
    header.extend(4u32.to_le_bytes());
    header.extend(VERSION.to_le_bytes());
    for (key, value) in [(BYTES_KEY, file.stamp().bytes), (MODIFIED_KEY, file.stamp().modified)] {
        text(&mut header, key);
        header.extend(10u32.to_le_bytes());
        header.extend(value.to_le_bytes());
    }
    let mut offset = 0;
    for plan in plans {
        text(&mut header, &plan.name);
        header.extend(2u32.to_le_bytes());
        header.extend((plan.columns as u64).to_le_bytes());
        header.extend((plan.rows as u64).to_le_bytes());
        header.extend(type_number(plan.dtype).to_le_bytes());
        header.extend((offset as u64).to_le_bytes());
        offset += plan.bytes().next_multiple_of(ALIGNMENT);
    }
    header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
    to.write_all(&header)?;
    for plan in plans {
        let mut bytes = plan.run(file).map_err(io::Error::other)?;
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        to.write_all(&bytes)?;
    }
    to.flush()
}

/// GGUF's numbers for the types that plans end in.
fn type_number(dtype: GgmlDType) -> u32 {
    match dtype {
        GgmlDType::Q4K => 12,
        GgmlDType::Q6K => 14,
        _ => 8,
    }
}

/// A temporary file is its owner's alone; a model's files are read by whoever may read the model.
fn share(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use candle_core::{Tensor, quantized::QStorage};

    use super::*;

    /// Quantises 32 · `blocks` values and reads them back directly and through the exact rewriting.
    fn widened<const N: usize>(dtype: GgmlDType, widen: fn(&[u8; N], &mut [u8; 34])) -> (Vec<f32>, Vec<f32>) {
        let values: Vec<f32> = (0..256).map(|at| ((at * 37 % 101) as f32 - 50.0) / 13.0).collect();
        let floats = Tensor::from_vec(values, (2, 128), &Device::Cpu).unwrap();
        let source = QTensor::quantize(&floats, dtype).unwrap();
        let bytes = source.data().unwrap().into_owned();
        let row = 256 / 32 * 34;
        let mut packed = vec![0u8; 2 * row];
        widen_rows(&bytes, bytes.len() / 2, &mut packed, row, widen);
        let storage = QStorage::from_data(packed.into(), &Device::Cpu, GgmlDType::Q8_0).unwrap();
        let padded = QTensor::new(storage, (2, 256)).unwrap().dequantize(&Device::Cpu).unwrap();
        assert_eq!(
            padded.narrow(1, 128, 128).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(),
            0.0
        );
        let flat = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (flat(source.dequantize(&Device::Cpu).unwrap()), flat(padded.narrow(1, 0, 128).unwrap()))
    }

    #[test]
    fn q4_0_and_q5_0_become_q8_0_exactly() {
        let (q4, widened_q4) = widened(GgmlDType::Q4_0, widen_q4_0);
        assert_eq!(q4, widened_q4);
        let (q5, widened_q5) = widened(GgmlDType::Q5_0, widen_q5_0);
        assert_eq!(q5, widened_q5);
    }

    #[test]
    fn only_what_the_kernels_cannot_take_is_planned() {
        let place = |dtype, dims: [usize; 2]| TensorPlace { dtype, dims: dims.into(), range: 0..0 };
        assert_eq!(Plan::of("w", place(GgmlDType::Q4K, [4096, 4096])), None);
        assert_eq!(Plan::of("w", place(GgmlDType::Q5K, [4096, 4096])), None);
        let odd = Plan::of("w", place(GgmlDType::Q6K, [32003, 4096])).unwrap();
        assert_eq!((odd.dtype, odd.rows, odd.columns), (GgmlDType::Q6K, 32016, 4096));
        let small = Plan::of("w", place(GgmlDType::Q5_0, [128, 896])).unwrap();
        assert_eq!((small.dtype, small.rows), (GgmlDType::Q8_0, 128));
        assert!(small.columns.is_multiple_of(32) && small.columns >= 896);
    }
}
