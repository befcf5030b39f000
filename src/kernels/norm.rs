//! Normalisation of rows.

use super::pool::Pool;
use super::rows::{Rows, in_rows};
use super::simd::{LANES, Simd};

/// `out = x / sqrt(mean(x²) + eps) · weight`, for each row of `weight.len()` floats.
///
/// # Panics
/// If `x` and `out` are not equally many whole rows.
pub fn rms_norm(pool: &Pool, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "as many outputs as inputs");
    in_rows(pool, weight.len(), out, RmsNorm { x, weight, eps });
}

#[derive(Clone, Copy)]
struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
}

impl Rows for RmsNorm<'_> {
    #[inline(always)]
    fn row<S: Simd>(self, s: S, at: usize, out: &mut [f32]) {
        let x = &self.x[at..at + out.len()];
        let mut squares = [s.splat(0.0); 2];
        let mut i = 0;
        while i < x.len() {
            let v = s.get(x, i, 0.0);
            squares[i / LANES % 2] = s.fma(v, v, squares[i / LANES % 2]);
            i += LANES;
        }
        let mean = s.sum(s.add(squares[0], squares[1])) / x.len() as f32;
        let scale = s.splat(1.0 / (mean + self.eps).sqrt());
        let mut i = 0;
        while i < x.len() {
            s.put(out, i, s.mul(s.mul(s.get(x, i, 0.0), scale), s.get(self.weight, i, 0.0)));
            i += LANES;
        }
    }
}

/// `out = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias`, for each row of `weight.len()` floats.
///
/// # Panics
/// If `x` and `out` are not equally many whole rows, or `bias` is not as long as `weight`.
pub fn layer_norm(pool: &Pool, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "as many outputs as inputs");
    assert_eq!(weight.len(), bias.len(), "a bias for each weight");
    in_rows(pool, weight.len(), out, LayerNorm { x, weight, bias, eps });
}

#[derive(Clone, Copy)]
struct LayerNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

impl Rows for LayerNorm<'_> {
    #[inline(always)]
    fn row<S: Simd>(self, s: S, at: usize, out: &mut [f32]) {
        let x = &self.x[at..at + out.len()];
        let mut sum = s.splat(0.0);
        let mut i = 0;
        while i < x.len() {
            sum = s.add(sum, s.get(x, i, 0.0));
            i += LANES;
        }
        // The variance is taken of the differences, not as a difference of squares, which would lose digits; past
        // the end of the row the mean stands in, so that the difference is zero.
        let mean = s.sum(sum) / x.len() as f32;
        let mut squares = s.splat(0.0);
        let mut i = 0;
        while i < x.len() {
            let v = s.sub(s.get(x, i, mean), s.splat(mean));
            squares = s.fma(v, v, squares);
            i += LANES;
        }
        let scale = s.splat(1.0 / (s.sum(squares) / x.len() as f32 + self.eps).sqrt());
        let mut i = 0;
        while i < x.len() {
            let v = s.mul(s.sub(s.get(x, i, 0.0), s.splat(mean)), scale);
            s.put(out, i, s.fma(v, s.get(self.weight, i, 0.0), s.get(self.bias, i, 0.0)));
            i += LANES;
        }
    }
}
