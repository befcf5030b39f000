//! The product with one row of activations. It waits for memory: each weight is used once.
//!
//! Memory is read forwards in one stream, which the processor follows by itself as far as the end of a page; one line
//! of each block is asked for that far ahead, so that it starts on the next page early. Asking for every line, or
//! into the first-level cache, takes the place of its own prefetching and was slower by up to a third.

use std::ops::Range;

use super::activations::{Meta, Tile};
use super::format::{BLOCK, Scaling};
use super::matmul::Out;
use super::matrix::Matrix;
use super::simd::{Kernel, LANES, Simd};
use super::unpack::{Layout, scales, start, unpack, with_layout};

/// How far ahead a line is asked for, in bytes: a page.
const AHEAD: usize = 4096;

/// Which panels are computed, and where their outputs go.
pub(super) trait Panels {
    /// The next panel.
    fn next(&mut self) -> Option<usize>;
    /// Takes the 16 outputs of that panel.
    fn put<S: Simd>(&mut self, s: S, panel: usize, outputs: S::F);
}

/// Panels one after the other.
pub(super) struct Span<'a> {
    pub(super) panels: Range<usize>,
    /// N.
    pub(super) rows: usize,
    pub(super) out: Out<'a>,
}

impl Panels for Span<'_> {
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let panel = self.panels.start;
        self.panels.start += 1;
        (panel < self.panels.end).then_some(panel)
    }

    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, panel: usize, outputs: S::F) {
        // SAFETY: whoever made this gave each thread panels of its own.
        unsafe { self.out.put(s, 0, self.rows, panel * LANES, true, outputs) }
    }
}

/// The panels of chosen rows; neighbours in the same panel share its product.
pub(super) struct Picked<'a> {
    pub(super) rows: &'a [u32],
    /// As long as `rows`.
    pub(super) out: &'a mut [f32],
    pub(super) done: usize,
}

impl Panels for Picked<'_> {
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        self.rows.get(self.done).map(|row| *row as usize / LANES)
    }

    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, panel: usize, outputs: S::F) {
        let mut lanes = [0.0; LANES];
        // SAFETY: the array has 16 floats.
        unsafe { s.store(lanes.as_mut_ptr(), outputs) };
        while self.done < self.rows.len() && self.rows[self.done] as usize / LANES == panel {
            self.out[self.done] = lanes[self.rows[self.done] as usize % LANES];
            self.done += 1;
        }
    }
}

/// The product of a matrix with one row of activations.
pub(super) struct Matvec<'a, P> {
    pub(super) matrix: &'a Matrix,
    /// The row of activations, a tile of height 1.
    pub(super) row: Tile<'a>,
    pub(super) panels: P,
}

impl<P: Panels> Kernel for Matvec<'_, P> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_layout!(self.matrix.format, L => run::<S, L, P>(s, self))
    }
}

#[inline(always)]
fn run<S: Simd, L: Layout, P: Panels>(s: S, mut job: Matvec<'_, P>) {
    assert!(job.row.height == 1 && job.row.bytes.len() == job.matrix.columns());
    assert!(job.row.meta.len() == job.matrix.blocks());
    let gain = s.splat(job.matrix.gain);
    while let Some(panel) = job.panels.next() {
        let bytes = job.matrix.panel(panel);
        // SAFETY: the slice is a panel of the matrix, whose layout was looked up, and the row is as long.
        let sum = unsafe { product::<S, L>(s, bytes.as_ptr(), job.row.bytes.as_ptr(), job.row.meta) };
        job.panels.put(s, panel, s.mul(sum, gain));
    }
}

/// The 16 sums of a panel.
///
/// # Safety
/// `panel` is a panel of this layout with as many blocks as `meta`, and 32 activations per block are at `row`.
#[inline(always)]
unsafe fn product<S: Simd, L: Layout>(s: S, panel: *const u8, mut row: *const i8, meta: &[Meta]) -> S::F {
    let (mut sum, mut more) = (s.splat(0.0), s.splat(0.0));
    for (block, meta) in meta.iter().enumerate() {
        let body = panel.wrapping_add(L::FORMAT.body_at(block));
        s.prefetch(body.wrapping_add(AHEAD));
        // SAFETY: the block is in the panel, and its activations in the row.
        unsafe {
            let u = unpack::<S, L>(s, body);
            let scale = scales::<S, L>(s, panel, block);
            let a = s.splat(meta.scale);
            if matches!(L::FORMAT.scaling, Scaling::Halved) {
                let (mut low, mut high) = (start::<S, L>(s, meta, 1), start::<S, L>(s, meta, 2));
                for j in 0..4 {
                    low = s.dot(low, u[j], row.add(4 * j));
                    high = s.dot(high, u[j + 4], row.add(4 * j + 16));
                }
                sum = s.fma(s.to_f(low), s.mul(scale.first, a), sum);
                more = s.fma(s.to_f(high), s.mul(scale.second, a), more);
            } else {
                let mut dot = start::<S, L>(s, meta, 0);
                for (j, u) in u.iter().enumerate() {
                    dot = if L::FORMAT.bits == 8 {
                        s.dot_bytes(dot, s.bytes(*u), row.add(4 * j))
                    } else {
                        s.dot(dot, *u, row.add(4 * j))
                    };
                }
                sum = s.fma(s.to_f(dot), s.mul(scale.first, a), sum);
                if !L::FORMAT.symmetric() {
                    more = s.fma(scale.second, s.splat(meta.sum), more);
                }
            }
        }
        row = row.wrapping_add(BLOCK);
    }
    s.add(sum, more)
}
