//! ggml's formats dequantised weight by weight, as their definitions read, and random tensors in them.

use half::{bf16, f16};

use super::Random;
use crate::kernels::GgmlType;

fn half_at(b: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([b[at], b[at + 1]]).to_f32()
}

/// Weight `i` of a block.
fn weight(kind: GgmlType, b: &[u8], i: usize) -> f32 {
    let nibble = |bytes: &[u8], i: usize| if i < 16 { bytes[i] & 0x0f } else { bytes[i - 16] >> 4 };
    match kind {
        GgmlType::F32 => f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        GgmlType::F16 => half_at(b, 0),
        GgmlType::BF16 => bf16::from_le_bytes([b[0], b[1]]).to_f32(),
        GgmlType::Q4_0 => (f32::from(nibble(&b[2..], i)) - 8.0) * half_at(b, 0),
        GgmlType::Q4_1 => f32::from(nibble(&b[4..], i)) * half_at(b, 0) + half_at(b, 2),
        GgmlType::Q5_0 => {
            let high = b[2 + i / 8] >> (i % 8) & 1;
            (f32::from(nibble(&b[6..], i) + 16 * high) - 16.0) * half_at(b, 0)
        }
        GgmlType::Q5_1 => {
            let high = b[4 + i / 8] >> (i % 8) & 1;
            f32::from(nibble(&b[8..], i) + 16 * high) * half_at(b, 0) + half_at(b, 2)
        }
        GgmlType::Q8_0 => f32::from(b[2 + i] as i8) * half_at(b, 0),
        GgmlType::Q4_K | GgmlType::Q5_K => {
            let (d, dmin, scales) = (half_at(b, 0), half_at(b, 2), &b[4..16]);
            let group = i / 32;
            let (sc, mn) = if group < 4 {
                (scales[group] & 0x3f, scales[group + 4] & 0x3f)
            } else {
                (
                    (scales[group + 4] & 0x0f) | ((scales[group - 4] >> 6) << 4),
                    (scales[group + 4] >> 4) | ((scales[group] >> 6) << 4),
                )
            };
            let quants = if kind == GgmlType::Q5_K { &b[48..] } else { &b[16..] };
            let byte = quants[i / 64 * 32 + i % 32];
            let mut q = if i % 64 < 32 { byte & 0x0f } else { byte >> 4 };
            if kind == GgmlType::Q5_K && b[16 + i % 32] & (1 << group) != 0 {
                q += 16;
            }
            d * f32::from(sc) * f32::from(q) - dmin * f32::from(mn)
        }
        GgmlType::Q6_K => {
            let (d, scale) = (half_at(b, 208), b[192 + i / 16] as i8);
            // Within each 128: the quarter says which half of which byte, and which pair of upper bits.
            let (part, within) = (i / 128, i % 128);
            let (quarter, l) = (within / 32, within % 32);
            let low = b[part * 64 + (quarter & 1) * 32 + l];
            let low = if quarter < 2 { low & 0x0f } else { low >> 4 };
            let high = b[128 + part * 32 + l] >> (2 * quarter) & 3;
            d * f32::from(scale) * (f32::from(low | high << 4) - 32.0)
        }
    }
}

/// All weights of a tensor.
pub(super) fn dequantise(kind: GgmlType, bytes: &[u8]) -> Vec<f32> {
    let (weights, size) = kind.block();
    bytes.chunks_exact(size).flat_map(|b| (0..weights).map(move |i| weight(kind, b, i))).collect()
}

/// A tensor of random bits with sensible scales.
pub(super) fn tensor(random: &mut Random, kind: GgmlType, rows: usize, columns: usize) -> Vec<u8> {
    let (weights, size) = kind.block();
    let mut bytes = Vec::new();
    for _ in 0..rows * columns / weights {
        let mut b: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
        let scales: &[usize] = match kind {
            GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q8_0 => &[0],
            GgmlType::Q4_1 | GgmlType::Q5_1 | GgmlType::Q4_K | GgmlType::Q5_K => &[0, 2],
            GgmlType::Q6_K => &[208],
            GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 => &[],
        };
        for at in scales {
            // Now and then zero or a denormal.
            let scale = match random.below(40) {
                0 => 0.0,
                1 => 3e-6,
                _ => random.float() * 0.02,
            };
            b[*at..at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        }
        let x = random.float();
        match kind {
            GgmlType::F32 => b.copy_from_slice(&x.to_le_bytes()),
            GgmlType::F16 => b.copy_from_slice(&f16::from_f32(x).to_le_bytes()),
            GgmlType::BF16 => b.copy_from_slice(&bf16::from_f32(x).to_le_bytes()),
            _ => {}
        }
        bytes.extend(b);
    }
    bytes
}
