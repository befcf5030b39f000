//! Products of packed matrices with quantised activations.

use super::activations::Activations;
use super::matmul::{Matmul, Out};
use super::matrix::Matrix;
use super::matvec::{Matvec, Picked, Span};
use super::pool::Pool;

/// One linear layer to be applied: `out = activations · matrixᵀ`, perhaps plus a bias, perhaps added to `out`.
///
/// Several with the same activations go into one [`multiply`]: the projections to queries, keys and values, or gate
/// and up, whose matrices may be of different types and heights.
#[derive(Debug)]
pub struct Product<'a> {
    matrix: &'a Matrix,
    out: &'a mut [f32],
    bias: Option<&'a [f32]>,
    add: bool,
}

impl<'a> Product<'a> {
    /// Writes M rows of N outputs to `out`.
    pub fn new(matrix: &'a Matrix, out: &'a mut [f32]) -> Self {
        Self { matrix, out, bias: None, add: false }
    }

    /// Adds a bias, N long, to each row of outputs.
    pub fn bias(mut self, bias: &'a [f32]) -> Self {
        assert_eq!(bias.len(), self.matrix.rows(), "the bias does not fit {:?}", self.matrix);
        self.bias = Some(bias);
        self
    }

    /// Adds to what `out` has (a residual connection) in place of overwriting it.
    pub fn add(mut self) -> Self {
        self.add = true;
        self
    }
}

/// What a thread needs of a [`Product`].
struct Part<'a> {
    matrix: &'a Matrix,
    out: Out<'a>,
}

// SAFETY: threads write different panels of the outputs.
unsafe impl Sync for Part<'_> {}

/// The most products that can share a call.
pub const PRODUCTS: usize = 8;

/// Computes up to 8 products with the same activations, M × K.
///
/// # Panics
/// If a matrix has not K columns, an output not M × N floats, or there are more than 8 products.
pub fn multiply(pool: &Pool, activations: &Activations, products: &mut [Product<'_>]) {
    assert!(products.len() <= PRODUCTS, "{} products in one call", products.len());
    let m = activations.rows();
    let mut parts: [Option<Part<'_>>; PRODUCTS] = Default::default();
    let mut panels = 0;
    for (part, product) in parts.iter_mut().zip(products) {
        let matrix = product.matrix;
        assert_eq!(activations.columns(), matrix.columns(), "the activations do not fit {matrix:?}");
        assert_eq!(product.out.len(), m * matrix.rows(), "the outputs do not fit {matrix:?}");
        let out = Out { start: product.out.as_mut_ptr(), bias: product.bias, add: product.add };
        *part = Some(Part { matrix, out });
        panels += matrix.panels();
    }
    if m == 0 {
        return;
    }
    let chunks = pool.chunks(panels);
    let parts = &parts;
    pool.run(chunks, |chunk| {
        let (mut start, end) = (chunk * panels / chunks, (chunk + 1) * panels / chunks);
        let mut base = 0;
        for part in parts.iter().flatten() {
            let after = base + part.matrix.panels();
            if start < after.min(end) {
                run(pool, part, activations, start - base..after.min(end) - base);
                start = after;
            }
            base = after;
        }
    });
}

/// Computes some panels of a product.
fn run(pool: &Pool, part: &Part<'_>, activations: &Activations, panels: std::ops::Range<usize>) {
    let &Part { matrix, out } = part;
    if activations.rows() == 1 {
        let panels = Span { panels, rows: matrix.rows(), out };
        pool.path().run(Matvec { matrix, row: activations.tile(0), panels });
    } else {
        pool.path().run(Matmul { matrix, activations, panels, out });
    }
}

/// Computes chosen outputs of one row of activations: `out[i]` is output `rows[i]`. Rows in ascending order share
/// work.
///
/// # Panics
/// If there is not one row of K activations, a row is not below N, or `out` is not as long as `rows`.
pub fn multiply_rows(pool: &Pool, activations: &Activations, matrix: &Matrix, rows: &[u32], out: &mut [f32]) {
    assert_eq!(activations.rows(), 1, "chosen outputs are for one row of activations");
    assert_eq!(activations.columns(), matrix.columns(), "the activations do not fit {matrix:?}");
    assert_eq!(rows.len(), out.len(), "as many outputs as rows");
    assert!(rows.iter().all(|row| (*row as usize) < matrix.rows()), "a row is beyond those of {matrix:?}");
    let chunks = pool.chunks(rows.len());
    let out = Shared(out.as_mut_ptr());
    let out = &out;
    pool.run(chunks, |chunk| {
        let (start, end) = (chunk * rows.len() / chunks, (chunk + 1) * rows.len() / chunks);
        // SAFETY: each chunk is run once, and no two share an output.
        let out = unsafe { std::slice::from_raw_parts_mut(out.0.add(start), end - start) };
        let panels = Picked { rows: &rows[start..end], out, done: 0 };
        pool.path().run(Matvec { matrix, row: activations.tile(0), panels });
    });
}

/// A pointer to outputs of which threads write different parts.
pub(super) struct Shared(pub(super) *mut f32);

// SAFETY: whoever shares it keeps the parts apart.
unsafe impl Sync for Shared {}
