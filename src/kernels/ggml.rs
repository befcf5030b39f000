//! ggml's tensor types, as found in GGUF files, taken apart into what a packed matrix holds.
//!
//! The formats are those of `ggml-common.h` and `ggml-quants.c` in the ggml project: a row is a sequence of blocks,
//! of 32 weights for the older types and of 256 for the k-quants, each with its scales in front or behind.

use half::{bf16, f16};

use super::format::{BLOCK, Format, Scaling};

/// The type of a ggml tensor. The numbers are those in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(non_camel_case_types)]
pub enum GgmlType {
    /// 32-bit floats.
    F32 = 0,
    /// IEEE half floats.
    F16 = 1,
    /// 4 bits, `d·(q - 8)`; 18 bytes for 32 weights.
    Q4_0 = 2,
    /// 4 bits, `d·q + m`; 20 bytes for 32 weights.
    Q4_1 = 3,
    /// 5 bits, `d·(q - 16)`; 22 bytes for 32 weights.
    Q5_0 = 6,
    /// 5 bits, `d·q + m`; 24 bytes for 32 weights.
    Q5_1 = 7,
    /// 8 bits, `d·q`; 34 bytes for 32 weights.
    Q8_0 = 8,
    /// 4 bits, `d·sc·q - dmin·mn`; 144 bytes for 256 weights.
    Q4_K = 12,
    /// 5 bits, `d·sc·q - dmin·mn`; 176 bytes for 256 weights.
    Q5_K = 13,
    /// 6 bits, `d·sc·(q - 32)`; 210 bytes for 256 weights.
    Q6_K = 14,
    /// The upper halves of 32-bit floats.
    BF16 = 30,
}

impl GgmlType {
    /// All that a matrix can be made of.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// The type that a GGUF file gives this number, if it is one of these.
    pub fn from_gguf(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// The weights that share a block, and its bytes.
    pub const fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4_K => (256, 144),
            Self::Q5_K => (256, 176),
            Self::Q6_K => (256, 210),
        }
    }

    /// The packed format that holds this type, without loss for all but plain floats.
    pub(super) const fn format(self) -> Format {
        let (bits, scaling) = match self {
            Self::Q4_0 => (4, Scaling::Plain),
            Self::Q4_1 => (4, Scaling::Affine),
            Self::Q5_0 => (5, Scaling::Plain),
            Self::Q5_1 => (5, Scaling::Affine),
            Self::F32 | Self::F16 | Self::BF16 | Self::Q8_0 => (8, Scaling::Plain),
            Self::Q4_K => (4, Scaling::Nested),
            Self::Q5_K => (5, Scaling::Nested),
            Self::Q6_K => (6, Scaling::Halved),
        };
        Format { bits, scaling }
    }
}

/// A row of plain floats as 32-bit ones.
pub(super) fn floats(kind: GgmlType, row: &[u8], out: &mut [f32]) {
    let wide = row.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let narrow = row.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match kind {
        GgmlType::F16 => out.iter_mut().zip(narrow).for_each(|(o, bits)| *o = f16::from_bits(bits).to_f32()),
        GgmlType::BF16 => out.iter_mut().zip(narrow).for_each(|(o, bits)| *o = bf16::from_bits(bits).to_f32()),
        _ => out.iter_mut().zip(wide).for_each(|(o, x)| *o = x),
    }
}

/// Where the parts of a row go.
pub(super) trait Sink {
    /// The `u` of a block.
    fn quants(&mut self, block: usize, u: &[u8; BLOCK]);
    /// The outer scale of a block, or of the eight blocks from it on, and what is added (zero if symmetric); both
    /// are half floats.
    fn outer(&mut self, block: usize, scale: u16, min: u16);
    /// The inner scales of a block.
    fn inner(&mut self, block: usize, first: u8, second: u8);
}

/// Takes a row of a quantised type apart.
pub(super) fn take_apart(kind: GgmlType, row: &[u8], sink: &mut impl Sink) {
    let (weights, bytes) = kind.block();
    for (n, b) in row.chunks_exact(bytes).enumerate() {
        let block = n * weights / BLOCK;
        match kind {
            GgmlType::Q4_0 | GgmlType::Q4_1 | GgmlType::Q5_0 | GgmlType::Q5_1 => small(kind, block, b, sink),
            GgmlType::Q8_0 => {
                sink.outer(block, half(b, 0), 0);
                sink.quants(block, &std::array::from_fn(|k| b[2 + k] ^ 0x80));
            }
            GgmlType::Q4_K | GgmlType::Q5_K => nested(kind, block, b, sink),
            GgmlType::Q6_K => six(block, b, sink),
            GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 => unreachable!("plain floats have no parts"),
        }
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// `d`, perhaps `m`, perhaps 32 fifth bits, then 16 bytes: low halves for weights 0..16, high halves for 16..32.
fn small(kind: GgmlType, block: usize, b: &[u8], sink: &mut impl Sink) {
    let affine = matches!(kind, GgmlType::Q4_1 | GgmlType::Q5_1);
    let five = matches!(kind, GgmlType::Q5_0 | GgmlType::Q5_1);
    let mut at = 2;
    let min = if affine { half(b, at) } else { 0 };
    at += 2 * usize::from(affine);
    let fifth = if five { u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]) } else { 0 };
    at += 4 * usize::from(five);
    let q = &b[at..at + 16];
    sink.outer(block, half(b, 0), min);
    let low = |k: usize| if k < 16 { q[k] & 15 } else { q[k - 16] >> 4 };
    sink.quants(block, &std::array::from_fn(|k| low(k) | ((fifth >> k & 1) as u8) << 4));
}

/// `d`, `dmin`, eight 6-bit scales and minima in 12 bytes, perhaps 32 bytes of fifth bits, then 128 bytes: of each
/// 32 the low halves are one block and the high halves the next.
fn nested(kind: GgmlType, block: usize, b: &[u8], sink: &mut impl Sink) {
    let s = &b[4..16];
    let (fifth, q) = if kind == GgmlType::Q5_K { (&b[16..48], &b[48..176]) } else { (&b[..0], &b[16..144]) };
    // ggml takes `dmin·mn` off: the same as to add it with its sign turned.
    sink.outer(block, half(b, 0), half(b, 2) ^ 0x8000);
    for j in 0..8 {
        let (scale, min) = match j {
            0..4 => (s[j] & 63, s[j + 4] & 63),
            _ => (s[j + 4] & 15 | (s[j - 4] >> 6) << 4, s[j + 4] >> 4 | (s[j] >> 6) << 4),
        };
        sink.inner(block + j, scale, min);
        let low = |k: usize| q[j / 2 * 32 + k] >> (j % 2 * 4) & 15;
        let high = |k: usize| fifth.get(k).map_or(0, |bits| (bits >> j & 1) << 4);
        sink.quants(block + j, &std::array::from_fn(|k| low(k) | high(k)));
    }
}

/// 128 bytes with four lower bits, 64 with two upper bits, 16 signed scales, `d`. In each half of 128 weights the
/// lower bits of 32 weights are in the low or high halves of 32 bytes, and the upper bits of four such groups in
/// one group of 32 bytes.
fn six(block: usize, b: &[u8], sink: &mut impl Sink) {
    let (lower, upper, scales) = (&b[..128], &b[128..192], &b[192..208]);
    sink.outer(block, half(b, 208), 0);
    for j in 0..8 {
        let (part, group) = (j / 4, j % 4);
        sink.inner(block + j, scales[2 * j], scales[2 * j + 1]);
        let low = |k: usize| lower[part * 64 + group % 2 * 32 + k] >> (group / 2 * 4) & 15;
        let high = |k: usize| upper[part * 32 + k] >> (2 * group) & 3;
        sink.quants(block + j, &std::array::from_fn(|k| low(k) | high(k) << 4));
    }
}
