//! Activation functions, and softmax.

use super::pool::Pool;
use super::rows::{Rows, in_rows};
use super::simd::{LANES, Simd};

/// Floats that are worked on as if they were a row, where there is no meaning in rows.
const PIECE: usize = 512;

/// Does something to each of many floats, in pieces.
fn in_pieces(pool: &Pool, out: &mut [f32], rows: impl Rows) {
    let whole = out.len() / PIECE * PIECE;
    let (pieces, rest) = out.split_at_mut(whole);
    in_rows(pool, PIECE, pieces, rows);
    if !rest.is_empty() {
        in_rows(pool, rest.len(), rest, After { at: whole, rows });
    }
}

/// Rows that are preceded by others.
#[derive(Clone, Copy)]
struct After<R> {
    at: usize,
    rows: R,
}

impl<R: Rows> Rows for After<R> {
    #[inline(always)]
    fn row<S: Simd>(self, s: S, at: usize, out: &mut [f32]) {
        self.rows.row(s, self.at + at, out);
    }
}

/// `gate = gate · σ(gate) · up`, each: the gated unit of llama and qwen.
///
/// # Panics
/// If there are not equally many.
pub fn silu_mul(pool: &Pool, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "a gate for each");
    in_pieces(pool, gate, SiluMul { up });
}

#[derive(Clone, Copy)]
struct SiluMul<'a> {
    up: &'a [f32],
}

impl Rows for SiluMul<'_> {
    #[inline(always)]
    fn row<S: Simd>(self, s: S, at: usize, gate: &mut [f32]) {
        let up = &self.up[at..at + gate.len()];
        let mut i = 0;
        while i < gate.len() {
            let x = s.get(gate, i, 0.0);
            let e = s.exp(s.sub(s.splat(0.0), x));
            let silu = s.div(x, s.add(s.splat(1.0), e));
            s.put(gate, i, s.mul(silu, s.get(up, i, 0.0)));
            i += LANES;
        }
    }
}

/// `x = x · Φ(x)`, each, with the normal distribution's Φ (the variant with erf, not the one with tanh), to about
/// 2e-7.
pub fn gelu(pool: &Pool, x: &mut [f32]) {
    in_pieces(pool, x, Gelu);
}

#[derive(Clone, Copy)]
struct Gelu;

impl Rows for Gelu {
    #[inline(always)]
    fn row<S: Simd>(self, s: S, _: usize, out: &mut [f32]) {
        let mut i = 0;
        while i < out.len() {
            let x = s.get(out, i, 0.0);
            // Abramowitz & Stegun 7.1.26: erfc(z) = (a1·t + … + a5·t^5)·e^(-z²) with t = 1 / (1 + p·z), for z ≥ 0.
            let z = s.mul(s.abs(x), s.splat(std::f32::consts::FRAC_1_SQRT_2));
            let t = s.div(s.splat(1.0), s.fma(z, s.splat(0.327_591_1), s.splat(1.0)));
            let mut erfc = s.splat(1.061_405_4);
            for a in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
                erfc = s.fma(erfc, t, s.splat(a));
            }
            let erfc = s.mul(s.mul(erfc, t), s.exp(s.sub(s.splat(0.0), s.mul(z, z))));
            // x·Φ(x) is x - x·erfc/2 above zero and x·erfc/2 below.
            let part = s.mul(s.mul(s.abs(x), s.splat(0.5)), erfc);
            s.put(out, i, s.sub(s.max(s.splat(0.0), x), part));
            i += LANES;
        }
    }
}

/// Makes each row of `columns` floats a distribution: `x = e^x / Σ e^x`. Minus infinity becomes zero.
///
/// A row of nothing but minus infinity becomes NaN.
///
/// # Panics
/// If `x` is not whole rows.
pub fn softmax(pool: &Pool, columns: usize, x: &mut [f32]) {
    in_rows(pool, columns, x, Softmax);
}

#[derive(Clone, Copy)]
struct Softmax;

impl Rows for Softmax {
    #[inline(always)]
    fn row<S: Simd>(self, s: S, _: usize, out: &mut [f32]) {
        let mut most = s.splat(f32::NEG_INFINITY);
        let mut i = 0;
        while i < out.len() {
            most = s.max(s.get(out, i, f32::NEG_INFINITY), most);
            i += LANES;
        }
        let most = s.splat(s.greatest(most));
        let mut sum = s.splat(0.0);
        let mut i = 0;
        while i < out.len() {
            let e = s.exp(s.sub(s.get(out, i, f32::NEG_INFINITY), most));
            sum = s.add(sum, e);
            s.put(out, i, e);
            i += LANES;
        }
        let scale = s.splat(1.0 / s.sum(sum));
        let mut i = 0;
        while i < out.len() {
            s.put(out, i, s.mul(s.get(out, i, 0.0), scale));
            i += LANES;
        }
    }
}
