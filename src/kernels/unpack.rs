//! Packed weights to vectors: the part of a product that knows the formats.

use super::activations::Meta;
use super::format::{Format, Scaling};
use super::simd::{LANES, Simd};

/// A [`Format`] known when compiling.
pub(super) trait Layout {
    const FORMAT: Format;
    /// The layout whose products are computed in the same way once the bytes are unpacked.
    type Unpacked: Layout;
    /// The symmetric formats' zero is at `2^ZERO`.
    const ZERO: u32 = Self::FORMAT.bits - 1;
}

macro_rules! layouts {
    ($($name:ident: $bits:literal $scaling:ident => $unpacked:ident;)*) => {
        $(
            pub(super) struct $name;
            impl Layout for $name {
                const FORMAT: Format = Format { bits: $bits, scaling: Scaling::$scaling };
                type Unpacked = $unpacked;
            }
        )*
        /// Evaluates an expression with a name for the layout of a format.
        macro_rules! with_layout {
            ($format:expr, $layout:ident => $e:expr) => {
                match ($format.bits, $format.scaling) {
                    $(($bits, $crate::kernels::format::Scaling::$scaling) => {
                        type $layout = $crate::kernels::unpack::$name;
                        $e
                    })*
                    _ => unreachable!("no matrix has this format"),
                }
            };
        }
        pub(super) use with_layout;
    };
}

layouts! {
    Plain4: 4 Plain => Plain4;
    Plain5: 5 Plain => Plain5;
    Plain8: 8 Plain => Plain8;
    Affine4: 4 Affine => Affine4;
    Affine5: 5 Affine => Affine4;
    Nested4: 4 Nested => Affine4;
    Nested5: 5 Nested => Affine4;
    Halved6: 6 Halved => Halved6;
}

/// The scales of a block for its 16 rows.
pub(super) struct Scales<F> {
    /// What `u` is times; for halved scalings that of the first 16 columns.
    pub(super) first: F,
    /// What is added, or the scale of the second 16 columns, or nothing of use.
    pub(super) second: F,
}

/// The scales of a block.
///
/// # Safety
/// `panel` is a panel of this layout that has the block.
#[inline(always)]
pub(super) unsafe fn scales<S: Simd, L: Layout>(s: S, panel: *const u8, block: usize) -> Scales<S::F> {
    let (outer, inner) = L::FORMAT.scale_at(block);
    // SAFETY: these are places in the head of the panel.
    unsafe {
        let half = panel.add(outer).cast::<u16>();
        let d = s.load_f16(half);
        match L::FORMAT.scaling {
            Scaling::Plain => Scales { first: d, second: d },
            Scaling::Affine => Scales { first: d, second: s.load_f16(half.add(LANES)) },
            Scaling::Nested => {
                let sc = s.to_f(s.widen_u8(panel.add(inner)));
                let mn = s.to_f(s.widen_u8(panel.add(inner + LANES)));
                Scales { first: s.mul(d, sc), second: s.mul(s.load_f16(half.add(LANES)), mn) }
            }
            Scaling::Halved => {
                let first = s.to_f(s.widen_i8(panel.add(inner)));
                let second = s.to_f(s.widen_i8(panel.add(inner + LANES)));
                Scales { first: s.mul(d, first), second: s.mul(d, second) }
            }
        }
    }
}

/// The weights of a block as bytes: in vector `j` the columns from `4·j` on.
///
/// # Safety
/// `body` is the body of a block of this layout.
#[inline(always)]
pub(super) unsafe fn unpack<S: Simd, L: Layout>(s: S, body: *const u8) -> [S::I; 8] {
    let mut u = [s.splat_i(0); 8];
    // SAFETY: a body has 8 vectors with 8 bits, 4 with 4, one more with 5 and two more with 6.
    unsafe {
        if L::FORMAT.bits == 8 {
            for (j, u) in u.iter_mut().enumerate() {
                *u = s.load_i(body.add(64 * j));
            }
            return u;
        }
        for j in 0..4 {
            let both = s.load_i(body.add(64 * j));
            u[j] = s.and(both, 15);
            u[j + 4] = s.and(s.shr(both, 4), 15);
        }
        if L::FORMAT.bits == 5 {
            let fifth = s.load_i(body.add(4 * 64));
            for (j, u) in u.iter_mut().enumerate() {
                let bit = if j < 4 { s.shl(fifth, 4 - j as u32) } else { s.shr(fifth, j as u32 - 4) };
                *u = s.merge(*u, bit, 0x10);
            }
        }
        if L::FORMAT.bits == 6 {
            for half in 0..2 {
                let upper = s.load_i(body.add((4 + half) * 64));
                u[4 * half] = s.merge(u[4 * half], s.shl(upper, 4), 0x30);
                u[4 * half + 1] = s.merge(u[4 * half + 1], s.shl(upper, 2), 0x30);
                u[4 * half + 2] = s.merge(u[4 * half + 2], upper, 0x30);
                u[4 * half + 3] = s.merge(u[4 * half + 3], s.shr(upper, 2), 0x30);
            }
        }
    }
    u
}

/// What the sum of products over columns `part` (0 all of a block, 1 its first half, 2 its second) starts from: in
/// symmetric formats it takes off the zero that `u` has, in whole numbers and so exactly.
#[inline(always)]
pub(super) fn start<S: Simd, L: Layout>(s: S, meta: &Meta, part: usize) -> S::I {
    if !L::FORMAT.symmetric() || (L::FORMAT.bits == 8 && S::SIGNED_BYTES) {
        s.splat_i(0)
    } else {
        s.shl_lanes(s.splat_i(meta.less[part]), L::ZERO)
    }
}
