//! The few vector operations that every kernel is written in.
//!
//! All vectors hold 512 bits, whatever the machine has: one register with AVX-512, two with AVX2, four with NEON, an
//! array in portable code. A kernel is therefore written once, over [`Simd`], and the layout of packed weights (16
//! output rows side by side) is the same everywhere.
//!
//! A value of an implementing type is the proof that the machine has its instructions, which is what makes the
//! arithmetic safe to call; only what takes a pointer is `unsafe`. Everything is `inline(always)`, so that it lands
//! inside the `target_feature` function that [`Path::run`](super::path::Path) enters. For the same reason kernels
//! use loops over arrays and no closures: a closure that is not inlined would be compiled without the features.

/// `f32` lanes in a vector, and output rows in a panel of packed weights.
pub(super) const LANES: usize = 16;

/// Something to be run with the machine's vectors; see [`Path::run`](super::path::Path).
pub(super) trait Kernel {
    /// Runs with the vectors of `simd`. Implementations are `inline(always)`.
    fn run<S: Simd>(self, simd: S);
}

/// Vectors of 16 `f32`, of 16 `i32` or of 64 bytes.
pub(super) trait Simd: Copy + Send + Sync {
    /// 16 × `f32`.
    type F: Copy;
    /// 16 × `i32`, or 64 bytes.
    type I: Copy;
    /// 64 bytes made ready for [`Simd::dot_bytes`].
    type B: Copy;
    /// Activation rows that a product keeps in registers at once, 8 at most.
    const TILE: usize;
    /// Whether [`Simd::dot_bytes`] takes the bytes as `u - 128`; otherwise as `u`.
    const SIGNED_BYTES: bool;

    fn splat(self, x: f32) -> Self::F;
    /// # Safety
    /// 16 floats are readable at `p`.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// # Safety
    /// 16 floats are writable at `p`.
    unsafe fn store(self, p: *mut f32, x: Self::F);
    /// # Safety
    /// 16 half floats are readable at `p`.
    unsafe fn load_f16(self, p: *const u16) -> Self::F;
    /// # Safety
    /// 16 half floats are writable at `p`.
    unsafe fn store_f16(self, p: *mut u16, x: Self::F);
    /// Stores whole numbers within -128..=127 as bytes.
    ///
    /// # Safety
    /// 16 bytes are writable at `p`.
    unsafe fn store_i8(self, p: *mut i8, x: Self::F);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the machine can.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The greater; `b` if either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The lesser; `b` if either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// To the nearest whole number, halves to the even one.
    fn round(self, a: Self::F) -> Self::F;
    /// `x · 2^n` for whole `n` within -127..=127 (`n = -127` gives zero).
    fn scale2(self, x: Self::F, n: Self::F) -> Self::F;
    /// The sum of the lanes.
    fn sum(self, a: Self::F) -> f32;
    /// The greatest lane, where none is NaN.
    fn greatest(self, a: Self::F) -> f32;

    fn splat_i(self, x: i32) -> Self::I;
    /// # Safety
    /// 64 bytes are readable at `p`.
    unsafe fn load_i(self, p: *const u8) -> Self::I;
    /// # Safety
    /// 64 bytes are writable at `p`.
    unsafe fn store_i(self, p: *mut u8, x: Self::I);
    /// 16 bytes to 16 lanes, unsigned.
    ///
    /// # Safety
    /// 16 bytes are readable at `p`.
    unsafe fn widen_u8(self, p: *const u8) -> Self::I;
    /// 16 bytes to 16 lanes, signed.
    ///
    /// # Safety
    /// 16 bytes are readable at `p`.
    unsafe fn widen_i8(self, p: *const u8) -> Self::I;
    /// `a & mask`, per byte.
    fn and(self, a: Self::I, mask: u8) -> Self::I;
    /// `base | (bits & mask)`, per byte.
    fn merge(self, base: Self::I, bits: Self::I, mask: u8) -> Self::I;
    /// Shifts right; what crosses from byte to byte is for the caller to mask off. `n` is at most 7 and constant.
    fn shr(self, a: Self::I, n: u32) -> Self::I;
    /// Shifts left; what crosses from byte to byte is for the caller to mask off. `n` is at most 7 and constant.
    fn shl(self, a: Self::I, n: u32) -> Self::I;
    /// Shifts each 32-bit lane left; `n` is constant.
    fn shl_lanes(self, a: Self::I, n: u32) -> Self::I;
    fn to_f(self, a: Self::I) -> Self::F;
    /// In each lane, adds the products of its four unsigned bytes, below 128, with the four signed bytes at `a`,
    /// which are the same for all lanes and none -128.
    ///
    /// # Safety
    /// 4 bytes are readable at `a`.
    unsafe fn dot(self, sum: Self::I, u: Self::I, a: *const i8) -> Self::I;
    fn bytes(self, u: Self::I) -> Self::B;
    /// [`Simd::dot`] for bytes of any value, read as [`Simd::SIGNED_BYTES`] says.
    ///
    /// # Safety
    /// 4 bytes are readable at `a`.
    unsafe fn dot_bytes(self, sum: Self::I, u: Self::B, a: *const i8) -> Self::I;
    /// Asks for a cache line to be brought near, to the second level and not the first; any address will do.
    fn prefetch(self, _: *const u8) {}

    /// The first `x.len()`, at most 16, lanes from `x`, the others `fill`.
    #[inline(always)]
    fn load_part(self, x: &[f32], fill: f32) -> Self::F {
        let mut lanes = [fill; LANES];
        lanes[..x.len()].copy_from_slice(x);
        // SAFETY: the array has 16 floats.
        unsafe { self.load(lanes.as_ptr()) }
    }

    /// Stores the first `out.len()`, at most 16, lanes.
    #[inline(always)]
    fn store_part(self, out: &mut [f32], x: Self::F) {
        let mut lanes = [0.0; LANES];
        // SAFETY: the array has 16 floats.
        unsafe { self.store(lanes.as_mut_ptr(), x) };
        out.copy_from_slice(&lanes[..out.len()]);
    }

    /// 16 lanes of `x` from `at` on, `fill` for those past its end.
    #[inline(always)]
    fn get(self, x: &[f32], at: usize, fill: f32) -> Self::F {
        let rest = &x[at..];
        if rest.len() >= LANES {
            // SAFETY: 16 floats remain in the slice.
            unsafe { self.load(rest.as_ptr()) }
        } else {
            self.load_part(rest, fill)
        }
    }

    /// Writes 16 lanes to `out` from `at` on, less those past its end.
    #[inline(always)]
    fn put(self, out: &mut [f32], at: usize, x: Self::F) {
        let rest = &mut out[at..];
        if rest.len() >= LANES {
            // SAFETY: 16 floats remain in the slice.
            unsafe { self.store(rest.as_mut_ptr(), x) }
        } else {
            self.store_part(rest, x)
        }
    }

    /// `e^x` to about two units in the last place; zero below about -87.7, NaN for NaN.
    #[inline(always)]
    fn exp(self, x: Self::F) -> Self::F {
        // x = n·ln 2 + r with |r| ≤ ln 2 / 2; ln 2 in two parts, so that n·ln 2 is taken off without rounding.
        let x = self.min(self.splat(88.3), self.max(self.splat(-88.0), x));
        let n = self.round(self.mul(x, self.splat(std::f32::consts::LOG2_E)));
        let r = self.fma(n, self.splat(-0.693_359_4), x);
        let r = self.fma(n, self.splat(2.121_944_4e-4), r);
        // Taylor's series: at |r| ≤ 0.347 the first term left out, r^8 / 8!, is below 2^-26.
        let mut e = self.splat(1.0 / 5040.0);
        for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            e = self.fma(e, r, self.splat(c));
        }
        self.scale2(e, n)
    }
}
