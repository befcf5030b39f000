//! Rotary position embedding.

use super::pool::Pool;
use super::rows::{Rows, in_rows};
use super::simd::Simd;

/// Which of a head's numbers are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// `i` and `i + dims/2`: GPT-NeoX's way, ggml's for qwen2.
    Halves,
    /// `2i` and `2i + 1`: the original way, and that of llama-family models in GGUF files, whose converter has put
    /// the rows of the projections in this order.
    Neighbours,
}

/// The sines and cosines of all positions of a context.
#[derive(Clone, Debug)]
pub struct Rope {
    pairs: Pairs,
    dims: usize,
    positions: usize,
    /// For each position, `dims/2` cosines and then as many sines.
    turns: Vec<f32>,
}

impl Rope {
    /// Turns the first `dims` numbers of each head, pair `i` by `position · base^(-2i/dims)`.
    ///
    /// # Panics
    /// If `dims` is odd or zero.
    pub fn new(pairs: Pairs, dims: usize, base: f32, positions: usize) -> Self {
        Self::with_factors(pairs, dims, base, positions, &[])
    }

    /// As [`Rope::new`], with pair `i` turned `factors[i]` times more slowly (llama 3's `rope_freqs.weight`); empty
    /// for none.
    ///
    /// # Panics
    /// If `dims` is odd or zero, or there are factors but not `dims / 2`.
    pub fn with_factors(pairs: Pairs, dims: usize, base: f32, positions: usize, factors: &[f32]) -> Self {
        assert!(dims > 0 && dims.is_multiple_of(2), "{dims} numbers are not pairs");
        assert!(factors.is_empty() || factors.len() == dims / 2, "{} factors for {dims} numbers", factors.len());
        let mut turns = Vec::with_capacity(positions * dims);
        // In 64 bits: far into a context an angle in 32 would have lost the digits that matter.
        let frequency = |i: usize| {
            f64::from(base).powf(-2.0 * i as f64 / dims as f64) / factors.get(i).map_or(1.0, |f| f64::from(*f))
        };
        let frequencies: Vec<f64> = (0..dims / 2).map(frequency).collect();
        for position in 0..positions {
            turns.extend(frequencies.iter().map(|f| (position as f64 * f).cos() as f32));
            turns.extend(frequencies.iter().map(|f| (position as f64 * f).sin() as f32));
        }
        Self { pairs, dims, positions, turns }
    }

    /// Positions that there are turns for.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Turns `x`, one row of heads of `head_dim` numbers for each position from `start` on.
    ///
    /// # Panics
    /// If `x` is not whole rows, a head is shorter than what is to be turned, or a position is beyond the table.
    pub fn apply(&self, pool: &Pool, x: &mut [f32], heads: usize, head_dim: usize, start: usize) {
        let columns = heads * head_dim;
        assert!(self.dims <= head_dim, "{} numbers of heads of {head_dim}", self.dims);
        assert!(columns > 0 && x.len().is_multiple_of(columns), "{} floats are not rows of {columns}", x.len());
        assert!(start + x.len() / columns <= self.positions, "beyond {} positions", self.positions);
        in_rows(pool, columns, x, Turn { rope: self, columns, head_dim, start });
    }
}

#[derive(Clone, Copy)]
struct Turn<'a> {
    rope: &'a Rope,
    columns: usize,
    head_dim: usize,
    start: usize,
}

impl Rows for Turn<'_> {
    #[inline(always)]
    fn row<S: Simd>(self, _: S, at: usize, out: &mut [f32]) {
        // Plain loops, which the compiler turns into the vectors of the function that this ends up in.
        let (dims, half) = (self.rope.dims, self.rope.dims / 2);
        let turns = &self.rope.turns[(self.start + at / self.columns) * dims..][..dims];
        let (cos, sin) = turns.split_at(half);
        for head in out.chunks_exact_mut(self.head_dim) {
            let head = &mut head[..dims];
            match self.rope.pairs {
                Pairs::Halves => {
                    let (a, b) = head.split_at_mut(half);
                    for i in 0..half {
                        (a[i], b[i]) = (a[i] * cos[i] - b[i] * sin[i], a[i] * sin[i] + b[i] * cos[i]);
                    }
                }
                Pairs::Neighbours => {
                    for i in 0..half {
                        let (a, b) = (head[2 * i], head[2 * i + 1]);
                        head[2 * i] = a * cos[i] - b * sin[i];
                        head[2 * i + 1] = a * sin[i] + b * cos[i];
                    }
                }
            }
        }
    }
}
