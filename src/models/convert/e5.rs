//! See the convert module.

use std::path::Path;

use super::ConvertError;

/// Not written yet.
///
/// # Errors
/// Always.
pub fn convert(raw: &Path, _out: &Path, _progress: &mut dyn FnMut(f32)) -> Result<(), ConvertError> {
    Err(ConvertError::unsupported(raw, "this converter is not part of this build"))
}
