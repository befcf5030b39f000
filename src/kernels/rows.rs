//! Work that is done row by row.

use super::pool::Pool;
use super::product::Shared;
use super::simd::{Kernel, Simd};

/// What is done to one row.
pub(super) trait Rows: Copy + Sync {
    /// Computes the row whose first float is number `at`, into `out`.
    fn row<S: Simd>(self, s: S, at: usize, out: &mut [f32]);
}

/// Floats below which another thread is not worth waking: some microseconds of work.
const ALONE: usize = 16 * 1024;

/// Computes rows of `columns` floats, on several threads if they are many.
pub(super) fn in_rows(pool: &Pool, columns: usize, out: &mut [f32], rows: impl Rows) {
    if out.is_empty() {
        return;
    }
    assert!(columns > 0 && out.len().is_multiple_of(columns), "{} floats are not rows of {columns}", out.len());
    let count = out.len() / columns;
    let parts = if out.len() < ALONE { 1 } else { pool.chunks(count) };
    let out = Shared(out.as_mut_ptr());
    let out = &out;
    pool.run(parts, |part| {
        let (from, to) = (part * count / parts, (part + 1) * count / parts);
        // SAFETY: each part is run once, and no two share a row.
        let out = unsafe { std::slice::from_raw_parts_mut(out.0.add(from * columns), (to - from) * columns) };
        pool.path().run(Part { columns, at: from * columns, out, rows });
    });
}

/// Some of the rows.
struct Part<'a, R> {
    columns: usize,
    at: usize,
    out: &'a mut [f32],
    rows: R,
}

impl<R: Rows> Kernel for Part<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (n, out) in self.out.chunks_exact_mut(self.columns).enumerate() {
            self.rows.row(s, self.at + n * self.columns, out);
        }
    }
}
