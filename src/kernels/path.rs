//! The choice of instructions, made when the program runs.

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::portable::Portable;
use super::simd::Kernel;

/// A set of instructions that this machine has and the kernels can use.
#[derive(Clone, Copy, Debug)]
pub struct Path(Choice);

#[derive(Clone, Copy, Debug)]
enum Choice {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(Avx2<true>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2<false>),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable,
}

impl Path {
    /// All that this machine can run, the fastest first and the portable one last.
    pub fn all() -> Vec<Self> {
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            paths.extend(Avx512::detect().map(Choice::Avx512));
            paths.extend(Avx2::<true>::detect().map(Choice::AvxVnni));
            paths.extend(Avx2::<false>::detect().map(Choice::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        paths.extend(Neon::detect().map(Choice::Neon));
        paths.push(Choice::Portable);
        paths.into_iter().map(Self).collect()
    }

    /// The fastest that this machine can run.
    pub fn best() -> Self {
        Self::all()[0]
    }

    /// Its name, for logs: `avx512-vnni`, `avx-vnni`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(_) => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Choice::AvxVnni(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Choice::Neon(_) => "neon",
            Choice::Portable => "portable",
        }
    }

    /// Runs a kernel with these instructions.
    pub(super) fn run(self, kernel: impl Kernel) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(simd) => simd.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Choice::AvxVnni(simd) => simd.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(simd) => simd.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Choice::Neon(simd) => simd.run(kernel),
            Choice::Portable => kernel.run(Portable),
        }
    }
}
