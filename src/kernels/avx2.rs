//! The vector operations with AVX2, FMA and F16C (Haswell, Zen and later), two registers to a vector.
//!
//! With `VNNI` they use the byte dot product that some machines without AVX-512 have (AVX-VNNI: Alder Lake and
//! later; no machine at hand had it without AVX-512, so that variant has been compiled but not run). Without it a dot
//! product is `vpmaddubsw`, which sums pairs in 16 bits and saturates: two products of bytes up to 127 fit (at most
//! 2·127·127), two with bytes up to 255 do not. Full bytes are therefore taken as signed and go as |w| · ±a, at most
//! 2·128·127 = 32512.

use std::arch::x86_64::*;

use super::simd::{Kernel, Simd};

/// The proof that the machine has AVX2, FMA and F16C, and AVX-VNNI if `VNNI`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2<const VNNI: bool>(());

impl Avx2<false> {
    pub(super) fn detect() -> Option<Self> {
        let has =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub(super) fn run(self, kernel: impl Kernel) {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn inside(simd: Avx2<false>, kernel: impl Kernel) {
            kernel.run(simd);
        }
        // SAFETY: `self` exists only where `detect` found the features.
        unsafe { inside(self, kernel) }
    }
}

impl Avx2<true> {
    pub(super) fn detect() -> Option<Self> {
        (Avx2::<false>::detect().is_some() && is_x86_feature_detected!("avxvnni")).then_some(Self(()))
    }

    /// Runs a kernel compiled for these instructions.
    pub(super) fn run(self, kernel: impl Kernel) {
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        fn inside(simd: Avx2<true>, kernel: impl Kernel) {
            kernel.run(simd);
        }
        // SAFETY: `self` exists only where `detect` found the features.
        unsafe { inside(self, kernel) }
    }
}

type F = [__m256; 2];
type I = [__m256i; 2];

/// One or more intrinsics.
macro_rules! x86 {
    ($($body:tt)*) => {
        // SAFETY: `self` proves that the machine has the instructions; where there is a pointer, the caller vouches
        // for what the trait asks of it.
        unsafe { $($body)* }
    };
}

#[rustfmt::skip]
impl<const VNNI: bool> Simd for Avx2<VNNI> {
    type F = F;
    type I = I;
    /// The absolute values, and the signed values.
    type B = (I, I);
    const TILE: usize = 2;
    const SIGNED_BYTES: bool = !VNNI;

    #[inline(always)]
    fn splat(self, x: f32) -> F { x86!([_mm256_set1_ps(x); 2]) }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> F { x86!([_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]) }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: F) {
        x86!(_mm256_storeu_ps(p, x[0]); _mm256_storeu_ps(p.add(8), x[1]))
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> F {
        x86!([_mm256_cvtph_ps(_mm_loadu_si128(p.cast())), _mm256_cvtph_ps(_mm_loadu_si128(p.add(8).cast()))])
    }
    #[inline(always)]
    unsafe fn store_f16(self, p: *mut u16, x: F) {
        x86!(
            _mm_storeu_si128(p.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[0]));
            _mm_storeu_si128(p.add(8).cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[1]))
        )
    }
    #[inline(always)]
    unsafe fn store_i8(self, p: *mut i8, x: F) {
        x86!(
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
            // Packing works within halves; this puts them back in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(p.cast(), bytes)
        )
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F { x86!([_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]) }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F { x86!([_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]) }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F { x86!([_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]) }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F { x86!([_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]) }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        x86!([_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])])
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F { x86!([_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])]) }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F { x86!([_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])]) }
    #[inline(always)]
    fn abs(self, a: F) -> F {
        x86!(
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        )
    }
    #[inline(always)]
    fn round(self, a: F) -> F {
        const MODE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        x86!([_mm256_round_ps::<MODE>(a[0]), _mm256_round_ps::<MODE>(a[1])])
    }
    #[inline(always)]
    fn scale2(self, x: F, n: F) -> F {
        x86!(
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n[0]), bias));
            let high = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n[1]), bias));
            [_mm256_mul_ps(x[0], _mm256_castsi256_ps(low)), _mm256_mul_ps(x[1], _mm256_castsi256_ps(high))]
        )
    }
    #[inline(always)]
    fn sum(self, a: F) -> f32 {
        x86!(
            let a = _mm256_add_ps(a[0], a[1]);
            let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)))
        )
    }
    #[inline(always)]
    fn greatest(self, a: F) -> f32 {
        x86!(
            let a = _mm256_max_ps(a[0], a[1]);
            let a = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let a = _mm_max_ps(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)))
        )
    }

    #[inline(always)]
    fn splat_i(self, x: i32) -> I { x86!([_mm256_set1_epi32(x); 2]) }
    #[inline(always)]
    unsafe fn load_i(self, p: *const u8) -> I {
        x86!([_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(32).cast())])
    }
    #[inline(always)]
    unsafe fn store_i(self, p: *mut u8, x: I) {
        x86!(_mm256_storeu_si256(p.cast(), x[0]); _mm256_storeu_si256(p.add(32).cast(), x[1]))
    }
    #[inline(always)]
    unsafe fn widen_u8(self, p: *const u8) -> I {
        x86!([_mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast())), _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.add(8).cast()))])
    }
    #[inline(always)]
    unsafe fn widen_i8(self, p: *const u8) -> I {
        x86!([_mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())), _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.add(8).cast()))])
    }
    #[inline(always)]
    fn and(self, a: I, mask: u8) -> I {
        x86!(
            let mask = _mm256_set1_epi8(mask as i8);
            [_mm256_and_si256(a[0], mask), _mm256_and_si256(a[1], mask)]
        )
    }
    #[inline(always)]
    fn merge(self, base: I, bits: I, mask: u8) -> I {
        let bits = self.and(bits, mask);
        x86!([_mm256_or_si256(base[0], bits[0]), _mm256_or_si256(base[1], bits[1])])
    }
    #[inline(always)]
    fn shr(self, a: I, n: u32) -> I {
        x86!(
            let n = _mm_cvtsi32_si128(n as i32);
            [_mm256_srl_epi16(a[0], n), _mm256_srl_epi16(a[1], n)]
        )
    }
    #[inline(always)]
    fn shl(self, a: I, n: u32) -> I {
        x86!(
            let n = _mm_cvtsi32_si128(n as i32);
            [_mm256_sll_epi16(a[0], n), _mm256_sll_epi16(a[1], n)]
        )
    }
    #[inline(always)]
    fn shl_lanes(self, a: I, n: u32) -> I {
        x86!(
            let n = _mm_cvtsi32_si128(n as i32);
            [_mm256_sll_epi32(a[0], n), _mm256_sll_epi32(a[1], n)]
        )
    }
    #[inline(always)]
    fn to_f(self, a: I) -> F { x86!([_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])]) }
    #[inline(always)]
    unsafe fn dot(self, sum: I, u: I, a: *const i8) -> I {
        x86!(
            let a = _mm256_set1_epi32(a.cast::<i32>().read_unaligned());
            if VNNI {
                [_mm256_dpbusd_avx_epi32(sum[0], u[0], a), _mm256_dpbusd_avx_epi32(sum[1], u[1], a)]
            } else {
                let ones = _mm256_set1_epi16(1);
                [
                    _mm256_add_epi32(sum[0], _mm256_madd_epi16(_mm256_maddubs_epi16(u[0], a), ones)),
                    _mm256_add_epi32(sum[1], _mm256_madd_epi16(_mm256_maddubs_epi16(u[1], a), ones)),
                ]
            }
        )
    }
    #[inline(always)]
    fn bytes(self, u: I) -> (I, I) {
        if VNNI {
            return (u, u);
        }
        x86!(
            let top = _mm256_set1_epi8(-128);
            let w = [_mm256_xor_si256(u[0], top), _mm256_xor_si256(u[1], top)];
            ([_mm256_abs_epi8(w[0]), _mm256_abs_epi8(w[1])], w)
        )
    }
    #[inline(always)]
    unsafe fn dot_bytes(self, sum: I, (u, w): (I, I), a: *const i8) -> I {
        x86!(
            if VNNI {
                return self.dot(sum, u, a);
            }
            let a = _mm256_set1_epi32(a.cast::<i32>().read_unaligned());
            let ones = _mm256_set1_epi16(1);
            let low = _mm256_maddubs_epi16(u[0], _mm256_sign_epi8(a, w[0]));
            let high = _mm256_maddubs_epi16(u[1], _mm256_sign_epi8(a, w[1]));
            [
                _mm256_add_epi32(sum[0], _mm256_madd_epi16(low, ones)),
                _mm256_add_epi32(sum[1], _mm256_madd_epi16(high, ones)),
            ]
        )
    }
    #[inline(always)]
    fn prefetch(self, p: *const u8) { x86!(_mm_prefetch::<_MM_HINT_T1>(p.cast())) }
}
