//! How packed weights lie in memory.
//!
//! A matrix is cut into panels of 16 output rows, the last one padded with rows of zeros. In a panel the weights of
//! 32 consecutive columns form a block; within it a weight is `s·u + m` with an unsigned `u` of 4, 5, 6 or 8 bits.
//! A panel is a sequence of groups of blocks, each the scales of its blocks (the head) followed by their `u` (the
//! bodies), and panels follow one another without gaps: a product reads memory strictly forwards in one stream. That
//! matters more than anything else here. With all heads of a panel in front of all bodies, two streams that start in
//! the same page, the processor's own prefetching gave up and products ran at half the speed; even a head of five
//! lines read little by little, behind the bodies that follow it, cost a fifth.
//!
//! The body of a block holds vectors of 64 bytes, byte `4·row + i` of vector `j` standing for column `4·j + i`:
//! just what a byte dot product needs to sum 16 rows in 16 lanes.
//!
//! | bits | body of a block |
//! |---|---|
//! | 4 | 4 vectors: low halves for `j`, high halves for `j + 4` |
//! | 5 | as for 4, then one vector with the fifth bit for `j` in bit `j` |
//! | 6 | as for 4, then two vectors with the upper two bits for `j` in bits `2·(j % 4)` of vector `j / 4` |
//! | 8 | 8 vectors |
//!
//! | scaling | `s`, `m` | blocks in a group | head |
//! |---|---|---|---|
//! | [`Plain`](Scaling::Plain) | `d`, `-2^(bits-1)·d` | 2 | per block 16 × f16 `d` |
//! | [`Affine`](Scaling::Affine) | `d`, `m` | 1 | 16 × f16 `d`, 16 × f16 `m` |
//! | [`Nested`](Scaling::Nested) | `d·sc`, `e·mn` | 2 | per block 16 × u8 `sc`, 16 × u8 `mn` |
//! | [`Halved`](Scaling::Halved) | `d·sc`, `-32·d·sc` | 2 | per block and 16 columns 16 × i8 `sc` |
//!
//! The last group of a plain panel may have one block only. In the last two scalings four groups form a nest, which
//! has 16 × f16 `d` and 16 × f16 `e` (or nothing) in front.
//!
//! These are ggml's own numbers, so that nothing is lost; as 32-bit floats the scales of the k-quants would add a
//! third to what a product has to read.

use super::simd::LANES;

/// Columns in a block.
pub(super) const BLOCK: usize = 32;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Blocks that share the outer scale of nested scalings.
pub(super) const NEST: usize = 8;

/// What scales a block; see the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scaling {
    Plain,
    Affine,
    Nested,
    Halved,
}

/// How the weights of a matrix are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) bits: u32,
    pub(super) scaling: Scaling,
}

impl Format {
    /// Bytes of a block's body.
    pub(super) const fn body(self) -> usize {
        self.bits as usize * BLOCK * LANES / 8
    }

    /// Blocks in a group. Its head is a cache line.
    const fn group(self) -> usize {
        match self.scaling {
            Scaling::Affine => 1,
            Scaling::Plain | Scaling::Nested | Scaling::Halved => 2,
        }
    }

    /// Bytes in front of 8 blocks.
    const fn nest(self) -> usize {
        match self.scaling {
            Scaling::Plain | Scaling::Affine => 0,
            Scaling::Nested | Scaling::Halved => LINE,
        }
    }

    /// Bytes of a panel.
    pub(super) const fn panel(self, blocks: usize) -> usize {
        blocks.div_ceil(NEST) * self.nest() + blocks.div_ceil(self.group()) * LINE + blocks * self.body()
    }

    /// Where the nest of `block` starts in its panel.
    const fn nest_at(self, block: usize) -> usize {
        block / NEST * (self.nest() + NEST / self.group() * LINE + NEST * self.body())
    }

    /// Where the head of `block`'s group is in its panel.
    const fn head_at(self, block: usize) -> usize {
        let group = block % NEST / self.group();
        self.nest_at(block) + self.nest() + group * (LINE + self.group() * self.body())
    }

    /// Where the body of `block` is in its panel.
    pub(super) const fn body_at(self, block: usize) -> usize {
        self.head_at(block) + LINE + block % self.group() * self.body()
    }

    /// Where the outer scale (f16) of `block` and its inner one are in its panel.
    pub(super) const fn scale_at(self, block: usize) -> (usize, usize) {
        let own = self.head_at(block) + block % self.group() * 2 * LANES;
        match self.scaling {
            Scaling::Plain | Scaling::Affine => (own, own),
            Scaling::Nested | Scaling::Halved => (self.nest_at(block), own),
        }
    }

    /// Whether every weight is `s·(u - 2^(bits-1))`.
    pub(super) const fn symmetric(self) -> bool {
        matches!(self.scaling, Scaling::Plain | Scaling::Halved)
    }

    /// Puts the 32 `u` of one row into the body of a block.
    pub(super) fn put(self, body: &mut [u8], lane: usize, u: &[u8; BLOCK]) {
        let mut put = |vector: usize, bytes: [u8; 4]| {
            let at = vector * 64 + lane * 4;
            body[at..at + 4].copy_from_slice(&bytes);
        };
        let four = |j: usize| -> [u8; 4] { [u[4 * j], u[4 * j + 1], u[4 * j + 2], u[4 * j + 3]] };
        if self.bits == 8 {
            for j in 0..8 {
                put(j, four(j));
            }
            return;
        }
        for j in 0..4 {
            let (low, high) = (four(j), four(j + 4));
            put(j, std::array::from_fn(|i| low[i] & 15 | high[i] << 4));
        }
        match self.bits {
            5 => put(4, std::array::from_fn(|i| (0..8).fold(0, |bits, j| bits | (four(j)[i] >> 4) << j))),
            6 => {
                for half in 0..2 {
                    let upper = |i| (0..4).fold(0, |bits, c| bits | (four(4 * half + c)[i] >> 4) << (2 * c));
                    put(4 + half, std::array::from_fn(upper));
                }
            }
            _ => {}
        }
    }

    /// The 32 `u` of one row from the body of a block.
    pub(super) fn get(self, body: &[u8], lane: usize) -> [u8; BLOCK] {
        std::array::from_fn(|k| {
            let (j, i) = (k / 4, k % 4);
            let byte = |vector: usize| body[vector * 64 + lane * 4 + i];
            if self.bits == 8 {
                return byte(j);
            }
            let low = byte(j % 4) >> (j / 4 * 4) & 15;
            match self.bits {
                5 => low | (byte(4) >> j & 1) << 4,
                6 => low | (byte(4 + j / 4) >> (2 * (j % 4)) & 3) << 4,
                _ => low,
            }
        })
    }
}
