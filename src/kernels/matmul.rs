//! The product with several rows of activations. It waits for arithmetic: a panel's weights are unpacked once to a
//! place that stays in the first-level cache, and then used for all rows, several at a time in registers.

use std::cell::Cell;

use super::activations::{Activations, Meta, TILE, Tile};
use super::format::{BLOCK, Scaling};
use super::lines::Lines;
use super::matrix::Matrix;
use super::simd::{Kernel, LANES, Simd};
use super::unpack::{Layout, scales, start, unpack, with_layout};

/// Blocks that are unpacked at a time: 20 KiB.
const CHUNK: usize = 32;
/// Bytes of an unpacked block: 8 vectors of bytes and two of scales.
const UNPACKED: usize = 10 * 64;

thread_local! {
    static SCRATCH: Cell<Lines> = Cell::default();
}

/// The product of some panels of a matrix with rows of activations.
pub(super) struct Matmul<'a> {
    pub(super) matrix: &'a Matrix,
    pub(super) activations: &'a Activations,
    pub(super) panels: std::ops::Range<usize>,
    pub(super) out: Out<'a>,
}

/// Outputs, rows of N floats, of which several threads write different columns.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    pub(super) start: *mut f32,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) add: bool,
}

impl Out<'_> {
    /// Adds `x` to the up to 16 outputs from `at` on of a row of `columns`; `first` if nothing was added before.
    ///
    /// # Safety
    /// The row is within the outputs, and no other thread uses these of them.
    #[inline(always)]
    pub(super) unsafe fn put<S: Simd>(self, s: S, row: usize, columns: usize, at: usize, first: bool, x: S::F) {
        let n = LANES.min(columns - at);
        // SAFETY: the caller vouches for them.
        let out = unsafe { std::slice::from_raw_parts_mut(self.start.add(row * columns + at), n) };
        let mut x = x;
        if self.add || !first {
            x = s.add(x, s.get(out, 0, 0.0));
        }
        if let Some(bias) = self.bias.filter(|_| first) {
            x = s.add(x, s.get(&bias[..at + n], at, 0.0));
        }
        s.put(out, 0, x);
    }
}

impl Kernel for Matmul<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut scratch = SCRATCH.take();
        scratch.grow(CHUNK * UNPACKED);
        with_layout!(self.matrix.format, L => run::<S, L>(s, &self, scratch.as_mut_ptr()));
        SCRATCH.set(scratch);
    }
}

#[inline(always)]
fn run<S: Simd, L: Layout>(s: S, job: &Matmul<'_>, scratch: *mut u8) {
    let (matrix, blocks) = (job.matrix, job.matrix.blocks());
    assert!(job.activations.columns() == matrix.columns());
    for panel in job.panels.clone() {
        let bytes = matrix.panel(panel);
        let mut from = 0;
        while from < blocks {
            let n = CHUNK.min(blocks - from);
            // SAFETY: the slice is a panel of the matrix, whose layout was looked up; the scratch has a chunk.
            unsafe { unpack_chunk::<S, L>(s, bytes, from, n, scratch) };
            let mut row = 0;
            while row < job.activations.rows() {
                let tile = job.activations.tile(row);
                // SAFETY: the chunk was unpacked, and the tile has these blocks; the caller of the kernel gave each
                // thread panels of its own.
                unsafe { multiply::<S, L::Unpacked>(s, job, tile, row, panel, from, n, scratch) };
                row += TILE;
            }
            from += n;
        }
    }
}

/// Unpacks `n` blocks of a panel from `from` on.
///
/// # Safety
/// The slice is a panel of this layout with these blocks; the scratch has room for them.
#[inline(always)]
unsafe fn unpack_chunk<S: Simd, L: Layout>(s: S, panel: &[u8], from: usize, n: usize, scratch: *mut u8) {
    for b in 0..n {
        // SAFETY: the block is in the panel, and its place in the scratch.
        unsafe {
            let u = unpack::<S, L>(s, panel.as_ptr().add(L::FORMAT.body_at(from + b)));
            let to = scratch.add(b * UNPACKED);
            for (j, u) in u.iter().enumerate() {
                s.store_i(to.add(64 * j), *u);
            }
            let scale = scales::<S, L>(s, panel.as_ptr(), from + b);
            s.store(to.add(8 * 64).cast(), scale.first);
            s.store(to.add(9 * 64).cast(), scale.second);
        }
    }
}

/// Multiplies an unpacked chunk with a tile of activations.
///
/// # Safety
/// The scratch has `n` blocks, those from `from` on of the panel, the tile has them too, and no other thread writes
/// this panel's outputs.
#[inline(always)]
unsafe fn multiply<S: Simd, L: Layout>(
    s: S,
    job: &Matmul<'_>,
    tile: Tile<'_>,
    first: usize,
    panel: usize,
    from: usize,
    n: usize,
    scratch: *const u8,
) {
    let mut row = 0;
    macro_rules! rows {
        ($n:literal) => {
            while S::TILE >= $n && tile.height - row >= $n {
                // SAFETY: there are as many rows left.
                let sums = unsafe { sums::<S, L, $n>(s, tile, row, from, n, scratch) };
                for (r, sum) in sums.iter().enumerate() {
                    let sum = s.mul(*sum, s.splat(job.matrix.gain));
                    // SAFETY: the panel's outputs are this thread's.
                    unsafe {
                        job.out.put(s, first + row + r, job.matrix.rows(), panel * LANES, from == 0, sum);
                    }
                }
                row += $n;
            }
        };
    }
    rows!(8);
    rows!(4);
    rows!(2);
    rows!(1);
}

/// The sums of a panel's 16 outputs over a chunk, for `R` rows from `row` on in the tile.
///
/// # Safety
/// As for [`multiply`]; the tile has the rows.
#[inline(always)]
unsafe fn sums<S: Simd, L: Layout, const R: usize>(
    s: S,
    tile: Tile<'_>,
    row: usize,
    from: usize,
    n: usize,
    scratch: *const u8,
) -> [S::F; R] {
    debug_assert!(row + R <= tile.height && (from + n) * tile.height <= tile.meta.len());
    let at = from * tile.height + row;
    let (mut bytes, mut meta) = (tile.bytes.as_ptr().wrapping_add(at * BLOCK), tile.meta.as_ptr().wrapping_add(at));
    let mut sum = [s.splat(0.0); R];
    for b in 0..n {
        // SAFETY: the caller vouches for the blocks of the scratch and for the rows of the tile.
        unsafe {
            let u = scratch.add(b * UNPACKED);
            let meta_of = std::slice::from_raw_parts(meta, R);
            let (first, second) = (s.load(u.add(8 * 64).cast()), s.load(u.add(9 * 64).cast()));
            if matches!(L::FORMAT.scaling, Scaling::Halved) {
                add_part::<S, L, R>(s, &mut sum, u, 0, 4, bytes, meta_of, 1, first);
                add_part::<S, L, R>(s, &mut sum, u, 4, 8, bytes, meta_of, 2, second);
            } else {
                add_part::<S, L, R>(s, &mut sum, u, 0, 8, bytes, meta_of, 0, first);
            }
            if !L::FORMAT.symmetric() {
                for r in 0..R {
                    sum[r] = s.fma(second, s.splat(meta_of[r].sum), sum[r]);
                }
            }
        }
        bytes = bytes.wrapping_add(tile.height * BLOCK);
        meta = meta.wrapping_add(tile.height);
    }
    sum
}

/// Adds the products of vectors `from..to` of a block.
///
/// # Safety
/// The block is unpacked at `u`; at `bytes` are `R` rows of activations.
#[inline(always)]
unsafe fn add_part<S: Simd, L: Layout, const R: usize>(
    s: S,
    sum: &mut [S::F; R],
    u: *const u8,
    from: usize,
    to: usize,
    bytes: *const i8,
    meta: &[Meta],
    part: usize,
    scale: S::F,
) {
    let mut dot = [s.splat_i(0); R];
    for r in 0..R {
        dot[r] = start::<S, L>(s, &meta[r], part);
    }
    for j in from..to {
        // SAFETY: the block has 8 vectors, and each row 32 activations.
        unsafe {
            let w = s.load_i(u.add(64 * j));
            if L::FORMAT.bits == 8 {
                let w = s.bytes(w);
                for (r, dot) in dot.iter_mut().enumerate() {
                    *dot = s.dot_bytes(*dot, w, bytes.add(r * BLOCK + 4 * j));
                }
            } else {
                for (r, dot) in dot.iter_mut().enumerate() {
                    *dot = s.dot(*dot, w, bytes.add(r * BLOCK + 4 * j));
                }
            }
        }
    }
    for r in 0..R {
        sum[r] = s.fma(s.to_f(dot[r]), s.mul(scale, s.splat(meta[r].scale)), sum[r]);
    }
}
