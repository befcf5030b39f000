//! Quantised weights that stay in the mapped file instead of being copied out of it.
//!
//! candle repacks most matrices for its kernels the first time they are used. The pages they came from are then clean and
//! unused, so the system may drop them: the weights are in memory once, not twice.

use std::{borrow::Cow, marker::PhantomData, ops::Range, sync::Arc};

use candle_core::{
    CpuStorage, Device, Result, bail,
    quantized::{GgmlDType, GgmlType, QStorage, QTensor, QuantizedType, k_quants},
};
use half::{bf16, f16};
use memmap2::Mmap;

use super::file::{GgufFile, TensorPlace};

/// A tensor of a file on a device: mapped on the CPU, copied elsewhere.
pub(super) fn tensor(file: &GgufFile, place: &TensorPlace, device: &Device) -> Result<QTensor> {
    let bytes = file.bytes(place);
    let storage = match device {
        Device::Cpu => mapped(file.map(), place).map_or_else(|| copied(place.dtype, bytes), Ok)?,
        device => QStorage::from_data(aligned(bytes), device, place.dtype)?,
    };
    QTensor::new(storage, place.dims.clone())
}

/// A tensor of bytes in memory, on the CPU.
pub(super) fn copied(dtype: GgmlDType, bytes: &[u8]) -> Result<QStorage> {
    QStorage::from_data(aligned(bytes), &Device::Cpu, dtype)
}

/// candle reads blocks in place and insists on their alignment, at most four bytes.
fn aligned(bytes: &[u8]) -> Cow<'_, [u8]> {
    if (bytes.as_ptr() as usize).is_multiple_of(4) { Cow::Borrowed(bytes) } else { Cow::Owned(bytes.to_vec()) }
}

fn mapped(map: &Arc<Mmap>, place: &TensorPlace) -> Option<QStorage> {
    let range = place.range.clone();
    let blocks: Box<dyn QuantizedType> = match place.dtype {
        GgmlDType::F32 => Box::new(Blocks::<f32>::new(map, range)?),
        GgmlDType::F16 => Box::new(Blocks::<f16>::new(map, range)?),
        GgmlDType::BF16 => Box::new(Blocks::<bf16>::new(map, range)?),
        GgmlDType::Q4_0 => Box::new(Blocks::<k_quants::BlockQ4_0>::new(map, range)?),
        GgmlDType::Q4_1 => Box::new(Blocks::<k_quants::BlockQ4_1>::new(map, range)?),
        GgmlDType::Q5_0 => Box::new(Blocks::<k_quants::BlockQ5_0>::new(map, range)?),
        GgmlDType::Q5_1 => Box::new(Blocks::<k_quants::BlockQ5_1>::new(map, range)?),
        GgmlDType::Q8_0 => Box::new(Blocks::<k_quants::BlockQ8_0>::new(map, range)?),
        GgmlDType::Q8_1 => Box::new(Blocks::<k_quants::BlockQ8_1>::new(map, range)?),
        GgmlDType::Q2K => Box::new(Blocks::<k_quants::BlockQ2K>::new(map, range)?),
        GgmlDType::Q3K => Box::new(Blocks::<k_quants::BlockQ3K>::new(map, range)?),
        GgmlDType::Q4K => Box::new(Blocks::<k_quants::BlockQ4K>::new(map, range)?),
        GgmlDType::Q5K => Box::new(Blocks::<k_quants::BlockQ5K>::new(map, range)?),
        GgmlDType::Q6K => Box::new(Blocks::<k_quants::BlockQ6K>::new(map, range)?),
        GgmlDType::Q8K => Box::new(Blocks::<k_quants::BlockQ8K>::new(map, range)?),
    };
    Some(QStorage::Cpu(blocks))
}

/// A run of GGML blocks in a mapped file.
struct Blocks<T> {
    map: Arc<Mmap>,
    range: Range<usize>,
    kind: PhantomData<fn() -> T>,
}

impl<T: GgmlType> Blocks<T> {
    /// None when the bytes are not aligned, not whole blocks or not in the map.
    fn new(map: &Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        let bytes = map.get(range.clone())?;
        let fits =
            (bytes.as_ptr() as usize).is_multiple_of(align_of::<T>()) && bytes.len().is_multiple_of(size_of::<T>());
        fits.then(|| Self { map: map.clone(), range, kind: PhantomData })
    }

    fn blocks(&self) -> &[T] {
        let bytes = &self.map[self.range.clone()];
        // SAFETY: `new` has checked alignment and length, `T` is one of GGML's block types (C structs of integers and half
        // floats, for which any bytes are a value), and the map lives as long as `self`.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) }
    }
}

impl<T: GgmlType> QuantizedType for Blocks<T> {
    fn dtype(&self) -> GgmlDType {
        T::DTYPE
    }

    fn matmul_t(&self, mkn: (usize, usize, usize), lhs: &[f32], dst: &mut [f32]) -> Result<()> {
        k_quants::matmul(mkn, lhs, self.blocks(), dst)
    }

    fn matmul_t_f16(&self, mkn: (usize, usize, usize), lhs: &[f16], dst: &mut [f16]) -> Result<()> {
        k_quants::matmul_f16(mkn, lhs, self.blocks(), dst)
    }

    fn embedding(&self, ids: &[u32], rows: usize, hidden: usize) -> Result<CpuStorage> {
        let row_blocks = hidden / T::BLCK_SIZE;
        let blocks = self.blocks();
        if row_blocks * T::BLCK_SIZE != hidden || blocks.len() != rows * row_blocks {
            bail!("an embedding of {rows} × {hidden} does not fit {} blocks of {}", blocks.len(), T::BLCK_SIZE)
        }
        let mut vectors = vec![0f32; ids.len() * hidden];
        for (&id, vector) in ids.iter().zip(vectors.chunks_exact_mut(hidden.max(1))) {
            let row = id as usize;
            if row >= rows {
                bail!("token {row} is outside the embedding's {rows} rows")
            }
            T::to_float(&blocks[row * row_blocks..(row + 1) * row_blocks], vector);
        }
        Ok(CpuStorage::F32(vectors))
    }

    fn dequantize(&self, elements: usize) -> Result<CpuStorage> {
        let mut values = vec![0f32; elements];
        T::to_float(self.blocks(), &mut values);
        Ok(CpuStorage::F32(values))
    }

    fn storage_size_in_bytes(&self) -> usize {
        self.range.len()
    }

    fn as_ptr(&self) -> *const u8 {
        self.map[self.range.clone()].as_ptr()
    }

    fn block_size(&self) -> usize {
        T::BLCK_SIZE
    }

    fn from_float(&mut self, _: &[f32]) {
        unreachable!("mapped weights are never written");
    }

    fn from_float_imatrix(&mut self, _: &[f32], _: &[f32], _: usize) {
        unreachable!("mapped weights are never written");
    }

    fn size(&self) -> usize {
        self.range.len()
    }
}
