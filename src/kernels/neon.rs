//! The vector operations for 64-bit ARM: byte products with NEON, the rest as in portable code, whose arrays the
//! compiler turns into NEON by itself.
//!
//! No such machine was at hand. The logic has run on another architecture with stand-ins for the intrinsics; that it
//! compiles for ARM, and how fast it is, has not been seen. The byte dot product (`sdot`) is not used: its intrinsic
//! is not stable in the Rust that this was written for.

use std::arch::aarch64::*;

use super::portable::Portable;
use super::simd::{Kernel, LANES, Simd};

/// NEON, which every 64-bit ARM has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        Some(Self(()))
    }

    /// Runs a kernel. The instructions are always enabled, so this needs no function of its own.
    pub(super) fn run(self, kernel: impl Kernel) {
        kernel.run(self);
    }
}

type F = [f32; LANES];
type I = [u32; LANES];

/// Adds to each lane of `sum` the products of four signed bytes with four others, which are the same for all lanes.
#[inline(always)]
fn dot(sum: I, w: I, a: i32) -> I {
    // SAFETY: every 64-bit ARM has NEON; the arrays and the vectors are 64 bytes of plain numbers.
    unsafe {
        let mut sum: [int32x4_t; 4] = std::mem::transmute(sum);
        let w: [int8x16_t; 4] = std::mem::transmute(w);
        let a = vreinterpretq_s8_s32(vdupq_n_s32(a));
        for i in 0..4 {
            // Products in 16 bits, at most 128·127; pairs and then fours of them in 32.
            let low = vpaddlq_s16(vmull_s8(vget_low_s8(w[i]), vget_low_s8(a)));
            let high = vpaddlq_s16(vmull_s8(vget_high_s8(w[i]), vget_high_s8(a)));
            sum[i] = vaddq_s32(sum[i], vpaddq_s32(low, high));
        }
        std::mem::transmute(sum)
    }
}

#[rustfmt::skip]
impl Simd for Neon {
    type F = F;
    type I = I;
    type B = I;
    const TILE: usize = 4;
    const SIGNED_BYTES: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> F { [x; LANES] }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> F {
        // SAFETY: the caller vouches for the memory.
        unsafe { Portable.load(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: F) {
        // SAFETY: as above.
        unsafe { Portable.store(p, x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> F {
        // SAFETY: as above.
        unsafe { Portable.load_f16(p) }
    }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: F) {
        // SAFETY: as above.
        unsafe { Portable.store_f16(p, x) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8, x: F) {
        // SAFETY: as above.
        unsafe { Portable.store_i8(p, x) }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F { Portable.add(a, b) }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F { Portable.sub(a, b) }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F { Portable.mul(a, b) }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F { Portable.div(a, b) }
    #[inline(always)]
    fn fma(self, a: F, b: F, mut c: F) -> F {
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) { *c = a.mul_add(b, *c); }
        c
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F { Portable.max(a, b) }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F { Portable.min(a, b) }
    #[inline(always)]
    fn abs(self, a: F) -> F { Portable.abs(a) }
    #[inline(always)]
    fn round(self, a: F) -> F { Portable.round(a) }
    #[inline(always)]
    fn scale2(self, x: F, n: F) -> F { Portable.scale2(x, n) }
    #[inline(always)]
    fn sum(self, a: F) -> f32 { Portable.sum(a) }
    #[inline(always)]
    fn greatest(self, a: F) -> f32 { Portable.greatest(a) }

    #[inline(always)]
    fn splat_i(self, x: i32) -> I { Portable.splat_i(x) }
    #[inline(always)]
    unsafe fn load_i(self, p: *const u8) -> I {
        // SAFETY: as above.
        unsafe { Portable.load_i(p) }
    }
    #[inline(always)]
    unsafe fn store_i(self, p: *mut u8, x: I) {
        // SAFETY: as above.
        unsafe { Portable.store_i(p, x) }
    }
    #[inline(always)]
    unsafe fn widen_u8(self, p: *const u8) -> I {
        // SAFETY: as above.
        unsafe { Portable.widen_u8(p) }
    }
    #[inline(always)]
    unsafe fn widen_i8(self, p: *const u8) -> I {
        // SAFETY: as above.
        unsafe { Portable.widen_i8(p) }
    }
    #[inline(always)]
    fn and(self, a: I, mask: u8) -> I { Portable.and(a, mask) }
    #[inline(always)]
    fn merge(self, base: I, bits: I, mask: u8) -> I { Portable.merge(base, bits, mask) }
    #[inline(always)]
    fn shr(self, a: I, n: u32) -> I { Portable.shr(a, n) }
    #[inline(always)]
    fn shl(self, a: I, n: u32) -> I { Portable.shl(a, n) }
    #[inline(always)]
    fn shl_lanes(self, a: I, n: u32) -> I { Portable.shl_lanes(a, n) }
    #[inline(always)]
    fn to_f(self, a: I) -> F { Portable.to_f(a) }
    #[inline(always)]
    unsafe fn dot(self, sum: I, u: I, a: *const i8) -> I {
        // SAFETY: the caller vouches for 4 bytes at `a`.
        dot(sum, u, unsafe { a.cast::<i32>().read_unaligned() })
    }
    #[inline(always)]
    fn bytes(self, mut u: I) -> I {
        for u in &mut u { *u ^= 0x8080_8080; }
        u
    }
    #[inline(always)]
    unsafe fn dot_bytes(self, sum: I, u: I, a: *const i8) -> I {
        // SAFETY: the caller vouches for 4 bytes at `a`.
        dot(sum, u, unsafe { a.cast::<i32>().read_unaligned() })
    }
}
