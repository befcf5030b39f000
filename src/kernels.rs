//! CPU kernels for quantised transformers.
//!
//! [`Matrix`] holds the weights of a linear layer packed from a GGUF file, [`Activations`] what it is applied to,
//! and [`multiply`] does so, on the threads of a [`Pool`] and with the best instructions that the machine has (a
//! [`Path`]).

mod activations;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cache;
mod format;
mod gate;
mod ggml;
mod lines;
mod matmul;
mod matrix;
mod matvec;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norm;
mod path;
mod pool;
mod portable;
mod product;
mod rope;
mod rows;
mod simd;
mod unpack;

#[cfg(test)]
mod tests;

pub use activations::Activations;
pub use attention::{Mask, attention};
pub use cache::KvCache;
pub use gate::{gelu, silu_mul, softmax};
pub use ggml::GgmlType;
pub use matrix::Matrix;
pub use norm::{layer_norm, rms_norm};
pub use path::Path;
pub use pool::{Pool, SPIN};
pub use product::{PRODUCTS, Product, multiply, multiply_rows};
pub use rope::{Pairs, Rope};

/// Why weights could not be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// The columns are not whole blocks.
    Columns {
        /// The tensor's type.
        kind: GgmlType,
        /// K.
        columns: usize,
    },
    /// The bytes are not those of the rows.
    Bytes {
        /// The tensor's type.
        kind: GgmlType,
        /// N.
        rows: usize,
        /// K.
        columns: usize,
        /// The bytes that there are.
        bytes: usize,
    },
}

impl std::fmt::Display for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Columns { kind, columns } => write!(f, "rows of {columns} weights are not whole blocks of {kind:?}"),
            Self::Bytes { kind, rows, columns, bytes } => {
                write!(f, "{bytes} bytes are not {rows} rows of {columns} weights of {kind:?}")
            }
        }
    }
}

impl std::error::Error for KernelError {}
