//! Tests of the kernels against plain arithmetic in 64 bits.

mod activations;
mod attention;
mod matrix;
mod pieces;
mod pool;
mod product;
mod reference;

use super::{Path, Pool};

/// Random numbers, the same each time.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in -1..1.
    pub(super) fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(super) fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
}

/// A pool of each size for each path of this machine.
pub(super) fn pools() -> Vec<Pool> {
    let pool = |path| [1, 3].map(|threads| Pool::with(threads, path, super::SPIN));
    Path::all().into_iter().flat_map(pool).collect()
}
