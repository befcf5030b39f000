//! Quantised tensors of a file, as candle holds them.

use std::borrow::Cow;

use candle_core::{
    Device, Result,
    quantized::{QStorage, QTensor},
};

use super::file::{GgufFile, TensorPlace};

/// A tensor of a file, copied to a device.
pub(super) fn tensor(file: &GgufFile, place: &TensorPlace, device: &Device) -> Result<QTensor> {
    QTensor::new(QStorage::from_data(aligned(file.bytes(place)), device, place.dtype)?, place.dims.clone())
}

/// candle reads blocks in place and insists on their alignment, at most four bytes.
fn aligned(bytes: &[u8]) -> Cow<'_, [u8]> {
    if (bytes.as_ptr() as usize).is_multiple_of(4) { Cow::Borrowed(bytes) } else { Cow::Owned(bytes.to_vec()) }
}
