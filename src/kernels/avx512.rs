//! The vector operations with AVX-512 and its byte dot product (VNNI): Ice Lake, Zen 4 and later.

use std::arch::x86_64::*;

use super::simd::{Kernel, Simd};

/// The proof that the machine has AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub(super) fn run(self, kernel: impl Kernel) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
        fn inside(simd: Avx512, kernel: impl Kernel) {
            kernel.run(simd);
        }
        // SAFETY: `self` exists only where `detect` found the features.
        unsafe { inside(self, kernel) }
    }
}

/// One or more intrinsics.
macro_rules! x86 {
    ($($body:tt)*) => {
        // SAFETY: `self` proves that the machine has the instructions; where there is a pointer, the caller vouches
        // for what the trait asks of it.
        unsafe { $($body)* }
    };
}

#[rustfmt::skip]
impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type B = __m512i;
    const TILE: usize = 8;
    const SIGNED_BYTES: bool = false;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 { x86!(_mm512_set1_ps(x)) }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 { x86!(_mm512_loadu_ps(p)) }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m512) { x86!(_mm512_storeu_ps(p, x)) }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> __m512 { x86!(_mm512_cvtph_ps(_mm256_loadu_si256(p.cast()))) }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: __m512) {
        x86!(_mm256_storeu_si256(p.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x)))
    }
    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8, x: __m512) {
        x86!(_mm_storeu_si128(p.cast(), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x))))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 { x86!(_mm512_add_ps(a, b)) }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 { x86!(_mm512_sub_ps(a, b)) }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 { x86!(_mm512_mul_ps(a, b)) }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 { x86!(_mm512_div_ps(a, b)) }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 { x86!(_mm512_fmadd_ps(a, b, c)) }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 { x86!(_mm512_max_ps(a, b)) }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 { x86!(_mm512_min_ps(a, b)) }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 { x86!(_mm512_abs_ps(a)) }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 { x86!(_mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(a)) }
    #[inline(always)]
    fn scale2(self, x: __m512, n: __m512) -> __m512 {
        x86!(
            // Not less than or unordered, so that NaN stays.
            let kept = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(n, _mm512_set1_ps(-127.0));
            _mm512_maskz_scalef_ps(kept, x, n)
        )
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 { x86!(_mm512_reduce_add_ps(a)) }
    #[inline(always)]
    fn greatest(self, a: __m512) -> f32 { x86!(_mm512_reduce_max_ps(a)) }

    #[inline(always)]
    fn splat_i(self, x: i32) -> __m512i { x86!(_mm512_set1_epi32(x)) }
    #[inline(always)]
    unsafe fn load_i(self, p: *const u8) -> __m512i { x86!(_mm512_loadu_si512(p.cast())) }
    #[inline(always)]
    unsafe fn store_i(self, p: *mut u8, x: __m512i) { x86!(_mm512_storeu_si512(p.cast(), x)) }
    #[inline(always)]
    unsafe fn widen_u8(self, p: *const u8) -> __m512i { x86!(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()))) }
    #[inline(always)]
    unsafe fn widen_i8(self, p: *const u8) -> __m512i { x86!(_mm512_cvtepi8_epi32(_mm_loadu_si128(p.cast()))) }
    #[inline(always)]
    fn and(self, a: __m512i, mask: u8) -> __m512i { x86!(_mm512_and_si512(a, _mm512_set1_epi8(mask as i8))) }
    #[inline(always)]
    fn merge(self, base: __m512i, bits: __m512i, mask: u8) -> __m512i {
        // The table of a | (b & c).
        x86!(_mm512_ternarylogic_epi32::<0xF8>(base, bits, _mm512_set1_epi8(mask as i8)))
    }
    #[inline(always)]
    fn shr(self, a: __m512i, n: u32) -> __m512i { x86!(_mm512_srl_epi16(a, _mm_cvtsi32_si128(n as i32))) }
    #[inline(always)]
    fn shl(self, a: __m512i, n: u32) -> __m512i { x86!(_mm512_sll_epi16(a, _mm_cvtsi32_si128(n as i32))) }
    #[inline(always)]
    fn shl_lanes(self, a: __m512i, n: u32) -> __m512i { x86!(_mm512_sll_epi32(a, _mm_cvtsi32_si128(n as i32))) }
    #[inline(always)]
    fn to_f(self, a: __m512i) -> __m512 { x86!(_mm512_cvtepi32_ps(a)) }
    #[inline(always)]
    unsafe fn dot(self, sum: __m512i, u: __m512i, a: *const i8) -> __m512i {
        x86!(_mm512_dpbusd_epi32(sum, u, _mm512_set1_epi32(a.cast::<i32>().read_unaligned())))
    }
    #[inline(always)]
    fn bytes(self, u: __m512i) -> __m512i { u }
    #[inline(always)]
    unsafe fn dot_bytes(self, sum: __m512i, u: __m512i, a: *const i8) -> __m512i {
        x86!(self.dot(sum, u, a))
    }
    #[inline(always)]
    fn prefetch(self, p: *const u8) { x86!(_mm_prefetch::<_MM_HINT_T1>(p.cast())) }
}
