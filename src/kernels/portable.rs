//! The vector operations in plain Rust, for machines with none of the others and as the yardstick in tests.

use half::f16;

use super::simd::{LANES, Simd};

/// Plain Rust; any machine has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

type F = [f32; LANES];
type I = [u32; LANES];

/// Applies an expression to the lanes of one or two arrays.
macro_rules! lanes {
    ($a:ident, $b:ident => $e:expr) => {{
        let mut out = $a;
        for (o, $b) in out.iter_mut().zip($b) {
            let $a = *o;
            *o = $e;
        }
        out
    }};
    ($a:ident => $e:expr) => {{
        let mut out = $a;
        for o in out.iter_mut() {
            let $a = *o;
            *o = $e;
        }
        out
    }};
}

const fn mask32(mask: u8) -> u32 {
    mask as u32 * 0x0101_0101
}

/// The dot product of four unsigned or signed bytes with four signed ones.
#[inline(always)]
fn dot4(u: u32, offset: i32, a: [i8; 4]) -> i32 {
    let mut sum = 0;
    for (u, a) in u.to_le_bytes().into_iter().zip(a) {
        sum += (i32::from(u) - offset) * i32::from(a);
    }
    sum
}

#[rustfmt::skip]
impl Simd for Portable {
    type F = F;
    type I = I;
    type B = I;
    const TILE: usize = 4;
    const SIGNED_BYTES: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> F { [x; LANES] }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> F {
        // SAFETY: the caller vouches for 16 floats at `p`.
        unsafe { p.cast::<F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: F) {
        // SAFETY: the caller vouches for 16 floats at `p`.
        unsafe { p.cast::<F>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> F {
        // SAFETY: the caller vouches for 16 half floats at `p`.
        let bits = unsafe { p.cast::<[u16; LANES]>().read_unaligned() };
        let mut out = [0.0; LANES];
        for (o, b) in out.iter_mut().zip(bits) {
            *o = f16::from_bits(b).to_f32();
        }
        out
    }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: F) {
        let mut bits = [0; LANES];
        for (b, x) in bits.iter_mut().zip(x) {
            *b = f16::from_f32(x).to_bits();
        }
        // SAFETY: the caller vouches for 16 half floats at `p`.
        unsafe { p.cast::<[u16; LANES]>().write_unaligned(bits) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8, x: F) {
        let mut bytes = [0; LANES];
        for (b, x) in bytes.iter_mut().zip(x) {
            *b = x as i8;
        }
        // SAFETY: the caller vouches for 16 bytes at `p`.
        unsafe { p.cast::<[i8; LANES]>().write_unaligned(bytes) }
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F { lanes!(a, b => a + b) }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F { lanes!(a, b => a - b) }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F { lanes!(a, b => a * b) }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F { lanes!(a, b => a / b) }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        // Not `mul_add`: where the machine has no such instruction that is a slow library call.
        let product = self.mul(a, b);
        self.add(product, c)
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F { lanes!(a, b => if a > b { a } else { b }) }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F { lanes!(a, b => if a < b { a } else { b }) }
    #[inline(always)]
    fn abs(self, a: F) -> F { lanes!(a => a.abs()) }
    #[inline(always)]
    fn round(self, a: F) -> F { lanes!(a => a.round_ties_even()) }
    #[inline(always)]
    fn scale2(self, x: F, n: F) -> F { lanes!(x, n => x * f32::from_bits(((n as i32 + 127) as u32) << 23)) }
    #[inline(always)]
    fn sum(self, a: F) -> f32 { a.iter().sum() }
    #[inline(always)]
    fn greatest(self, a: F) -> f32 { a.into_iter().fold(f32::NEG_INFINITY, f32::max) }

    #[inline(always)]
    fn splat_i(self, x: i32) -> I { [x as u32; LANES] }
    #[inline(always)]
    unsafe fn load_i(self, p: *const u8) -> I {
        // SAFETY: the caller vouches for 64 bytes at `p`.
        let mut x = unsafe { p.cast::<I>().read_unaligned() };
        for x in &mut x { *x = u32::from_le(*x); }
        x
    }
    #[inline(always)]
    unsafe fn store_i(self, p: *mut u8, mut x: I) {
        for x in &mut x { *x = x.to_le(); }
        // SAFETY: the caller vouches for 64 bytes at `p`.
        unsafe { p.cast::<I>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn widen_u8(self, p: *const u8) -> I {
        // SAFETY: the caller vouches for 16 bytes at `p`.
        let bytes = unsafe { p.cast::<[u8; LANES]>().read_unaligned() };
        let mut out = [0; LANES];
        for (o, b) in out.iter_mut().zip(bytes) { *o = u32::from(b); }
        out
    }
    #[inline(always)]
    unsafe fn widen_i8(self, p: *const u8) -> I {
        // SAFETY: the caller vouches for 16 bytes at `p`.
        let bytes = unsafe { p.cast::<[i8; LANES]>().read_unaligned() };
        let mut out = [0; LANES];
        for (o, b) in out.iter_mut().zip(bytes) { *o = i32::from(b) as u32; }
        out
    }
    #[inline(always)]
    fn and(self, a: I, mask: u8) -> I { lanes!(a => a & mask32(mask)) }
    #[inline(always)]
    fn merge(self, base: I, bits: I, mask: u8) -> I { lanes!(base, bits => base | (bits & mask32(mask))) }
    #[inline(always)]
    fn shr(self, a: I, n: u32) -> I { lanes!(a => a >> n) }
    #[inline(always)]
    fn shl(self, a: I, n: u32) -> I { lanes!(a => a << n) }
    #[inline(always)]
    fn shl_lanes(self, a: I, n: u32) -> I { lanes!(a => a << n) }
    #[inline(always)]
    fn to_f(self, a: I) -> F {
        let mut out = [0.0; LANES];
        for (o, a) in out.iter_mut().zip(a) { *o = a as i32 as f32; }
        out
    }
    #[inline(always)]
    unsafe fn dot(self, sum: I, u: I, a: *const i8) -> I {
        // SAFETY: the caller vouches for 4 bytes at `a`.
        let a = unsafe { a.cast::<[i8; 4]>().read_unaligned() };
        lanes!(sum, u => sum.wrapping_add(dot4(u, 0, a) as u32))
    }
    #[inline(always)]
    fn bytes(self, u: I) -> I { u }
    #[inline(always)]
    unsafe fn dot_bytes(self, sum: I, u: I, a: *const i8) -> I {
        // SAFETY: the caller vouches for 4 bytes at `a`.
        let a = unsafe { a.cast::<[i8; 4]>().read_unaligned() };
        lanes!(sum, u => sum.wrapping_add(dot4(u, 128, a) as u32))
    }
}
