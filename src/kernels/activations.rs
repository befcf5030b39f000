//! Activations, quantised to 8 bits.

use super::format::BLOCK;
use super::path::Path;
use super::simd::{Kernel, LANES, Simd};

/// Rows that lie side by side in memory, the most that a product keeps in registers.
pub(super) const TILE: usize = 8;

/// What a product needs to know of 32 quantised activations besides themselves.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub(super) struct Meta {
    /// An activation is its byte times this.
    pub(super) scale: f32,
    /// The sum of the activations as quantised.
    pub(super) sum: f32,
    /// The sums of all 32 bytes and of the first and second 16, with the sign turned.
    pub(super) less: [i32; 3],
}

/// M rows of K activations as signed bytes, with a scale for each 32 columns (the greatest of the 32 over 127).
///
/// The buffers are kept from one use to the next. Rows lie in tiles of 8, the last one lower: within a tile the
/// bytes of a block's rows follow one another, then those of the next block.
///
/// A block without a finite greatest value has NaN for its scale, and so have all products with its row. A block
/// whose greatest value is below 1.5e-36 counts as zero.
#[derive(Clone, Default, Debug)]
pub struct Activations {
    rows: usize,
    columns: usize,
    bytes: Vec<i8>,
    meta: Vec<Meta>,
}

impl Activations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `x`, rows of `columns` floats one after the other, in place of what was there.
    ///
    /// # Panics
    /// If `columns` is not a multiple of 32 or `x` is not whole rows.
    pub fn quantise(&mut self, path: Path, columns: usize, x: &[f32]) {
        assert!(columns > 0 && columns.is_multiple_of(BLOCK), "{columns} columns are not a multiple of 32");
        assert!(x.len().is_multiple_of(columns), "{} activations are not rows of {columns}", x.len());
        (self.rows, self.columns) = (x.len() / columns, columns);
        self.bytes.resize(x.len(), 0);
        self.meta.resize(x.len() / BLOCK, Meta::default());
        path.run(Quantise { columns, x, bytes: &mut self.bytes, meta: &mut self.meta });
    }

    /// M, the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// K, the length of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The tile of rows that starts at `row`, a multiple of 8.
    pub(super) fn tile(&self, row: usize) -> Tile<'_> {
        let (height, blocks) = (TILE.min(self.rows - row), self.columns / BLOCK);
        Tile {
            height,
            bytes: &self.bytes[row * self.columns..][..height * self.columns],
            meta: &self.meta[row * blocks..][..height * blocks],
        }
    }

    /// Writes a row as its products see it, K floats.
    ///
    /// # Panics
    /// If there is no such row or `out` is not K long.
    pub fn dequantise_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.columns, "row {row} of {} × {}", self.rows, self.columns);
        let tile = self.tile(row / TILE * TILE);
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let n = block * tile.height + row % TILE;
            for (o, q) in out.iter_mut().zip(&tile.bytes[n * BLOCK..]) {
                *o = f32::from(*q) * tile.meta[n].scale;
            }
        }
    }
}

/// Up to 8 rows of activations; block `b` of row `r` is number `b·height + r`.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) height: usize,
    pub(super) bytes: &'a [i8],
    pub(super) meta: &'a [Meta],
}

struct Quantise<'a> {
    columns: usize,
    x: &'a [f32],
    bytes: &'a mut [i8],
    meta: &'a mut [Meta],
}

impl Kernel for Quantise<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = self.columns / BLOCK;
        for (n, row) in self.x.chunks_exact(self.columns).enumerate() {
            let first = n / TILE * TILE;
            let height = TILE.min(self.x.len() / self.columns - first);
            for (block, x) in row.chunks_exact(BLOCK).enumerate() {
                let at = first * blocks + block * height + n % TILE;
                self.meta[at] = quantise(s, x, &mut self.bytes[at * BLOCK..][..BLOCK]);
            }
        }
    }
}

/// Quantises 32 activations.
#[inline(always)]
fn quantise<S: Simd>(s: S, x: &[f32], bytes: &mut [i8]) -> Meta {
    assert!(x.len() == BLOCK && bytes.len() == BLOCK);
    // SAFETY: both halves of the 32 floats have 16.
    let (low, high) = unsafe { (s.load(x.as_ptr()), s.load(x.as_ptr().add(LANES))) };
    let most = s.greatest(s.max(s.abs(low), s.abs(high)));
    // A NaN may be lost in the greatest value, but not in a sum of products with zero.
    let zero = s.sum(s.fma(low, s.splat(0.0), s.mul(high, s.splat(0.0))));
    if !(most < f32::INFINITY && zero == 0.0) {
        bytes.fill(0);
        return Meta { scale: f32::NAN, sum: f32::NAN, less: [0; 3] };
    }
    // Below this the reciprocal would overflow.
    if most < 1.5e-36 {
        bytes.fill(0);
        return Meta::default();
    }
    let reciprocal = s.splat(127.0 / most);
    let (low, high) = (s.round(s.mul(low, reciprocal)), s.round(s.mul(high, reciprocal)));
    // SAFETY: both halves of the 32 bytes have 16.
    unsafe {
        s.store_i8(bytes.as_mut_ptr(), low);
        s.store_i8(bytes.as_mut_ptr().add(LANES), high);
    }
    let (low, high) = (s.sum(low), s.sum(high));
    let scale = most / 127.0;
    Meta { scale, sum: scale * (low + high), less: [-((low + high) as i32), -(low as i32), -(high as i32)] }
}
