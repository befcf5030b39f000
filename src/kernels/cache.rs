//! The keys and values of past positions.

use super::lines::Lines;
use super::path::Path;
use super::simd::{Kernel, LANES, Simd};

/// Positions in a page.
pub(super) const PAGE: usize = 64;
/// The largest head there may be.
pub(super) const HEAD: usize = 256;

/// The keys and values of one layer as half floats, for heads of equal size.
///
/// They lie in pages of 64 positions, head by head within a page, so that growing moves nothing, dropping the last
/// positions is a change of length and copying the first ones copies memory straight. Within a page and head, values
/// lie position by position but keys number by number (all positions' first numbers, then their second ones): that
/// way both the scores of 16 positions and 16 numbers of an output are a vector that needs no adding up across.
#[derive(Clone)]
pub struct KvCache {
    heads: usize,
    dim: usize,
    len: usize,
    keys: Lines,
    values: Lines,
}

impl KvCache {
    /// An empty cache for `heads` key-value heads of `dim` numbers.
    ///
    /// # Panics
    /// If `dim` is zero or above 256.
    pub fn new(heads: usize, dim: usize) -> Self {
        assert!((1..=HEAD).contains(&dim), "heads of {dim} numbers");
        Self { heads, dim, len: 0, keys: Lines::default(), values: Lines::default() }
    }

    /// The number of positions.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Key-value heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Numbers in a head.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.keys.len() + self.values.len()
    }

    /// Forgets all but the first `len` positions; the memory is kept.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// A cache of its own with the first `len` positions (or all, if fewer).
    pub fn clone_prefix(&self, len: usize) -> Self {
        let len = len.min(self.len);
        let pages = len.div_ceil(PAGE);
        let (keys, values) = (self.keys.prefix(pages * self.key_page()), self.values.prefix(pages * self.value_page()));
        Self { len, keys, values, ..*self }
    }

    /// Makes room for `positions` in all, so that appending up to there allocates nothing.
    pub fn reserve(&mut self, positions: usize) {
        let pages = positions.div_ceil(PAGE);
        self.keys.grow(pages * self.key_page());
        self.values.grow(pages * self.value_page());
    }

    /// Appends positions: for each, the keys of all heads one after the other, and likewise the values.
    ///
    /// # Panics
    /// If they are not equally many whole positions.
    pub fn append(&mut self, path: Path, keys: &[f32], values: &[f32]) {
        let row = self.heads * self.dim;
        assert_eq!(keys.len(), values.len(), "a value for each key");
        assert!(keys.len().is_multiple_of(row.max(1)), "{} numbers are not positions of {row}", keys.len());
        let positions = keys.len() / row.max(1);
        if self.capacity() < self.len + positions {
            // Twice what there was, so that a long text is not copied for every page.
            self.reserve((self.len + positions).max(self.capacity() * 2));
        }
        path.run(Append { cache: self, keys, values });
        self.len += positions;
    }

    fn capacity(&self) -> usize {
        self.values.len() / self.value_page().max(1) * PAGE
    }

    /// The numbers between the values of two positions: whole vectors.
    pub(super) fn stride(&self) -> usize {
        self.dim.next_multiple_of(LANES)
    }

    fn key_page(&self) -> usize {
        self.heads * self.dim * PAGE * 2
    }

    fn value_page(&self) -> usize {
        self.heads * self.stride() * PAGE * 2
    }

    /// The keys of a page and head: `dim` × 64 half floats.
    pub(super) fn keys(&self, page: usize, head: usize) -> *const u16 {
        let size = self.dim * PAGE * 2;
        self.keys.bytes()[page * self.key_page() + head * size..][..size].as_ptr().cast()
    }

    /// The values of a page and head: 64 × [`KvCache::stride`] half floats.
    pub(super) fn values(&self, page: usize, head: usize) -> *const u16 {
        let size = self.stride() * PAGE * 2;
        self.values.bytes()[page * self.value_page() + head * size..][..size].as_ptr().cast()
    }
}

impl std::fmt::Debug for KvCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KvCache({} positions, {} heads of {})", self.len, self.heads, self.dim)
    }
}

struct Append<'a> {
    cache: &'a mut KvCache,
    keys: &'a [f32],
    values: &'a [f32],
}

impl Kernel for Append<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let cache = self.cache;
        let (heads, dim, stride) = (cache.heads, cache.dim, cache.stride());
        let mut half = [0u16; HEAD];
        for (n, (keys, values)) in self.keys.chunks_exact(dim).zip(self.values.chunks_exact(dim)).enumerate() {
            let (position, head) = (cache.len + n / heads, n % heads);
            let (page, slot) = (position / PAGE, position % PAGE);
            to_half(s, keys, &mut half);
            let at = page * cache.key_page() + head * dim * PAGE * 2 + slot * 2;
            let page_keys = &mut cache.keys.bytes_mut()[at..][..((dim - 1) * PAGE + 1) * 2];
            for (d, bits) in half[..dim].iter().enumerate() {
                page_keys[d * PAGE * 2..][..2].copy_from_slice(&bits.to_ne_bytes());
            }
            to_half(s, values, &mut half);
            let at = page * cache.value_page() + (head * PAGE + slot) * stride * 2;
            let row = &mut cache.values.bytes_mut()[at..][..stride * 2];
            for (to, bits) in row.chunks_exact_mut(2).zip(&half[..stride]) {
                to.copy_from_slice(&bits.to_ne_bytes());
            }
        }
    }
}

/// The numbers of a head as half floats, with zeros up to whole vectors.
#[inline(always)]
fn to_half<S: Simd>(s: S, x: &[f32], half: &mut [u16; HEAD]) {
    let mut i = 0;
    while i < x.len() {
        let v = s.get(x, i, 0.0);
        // SAFETY: a head is at most as long as the array, which is whole vectors.
        unsafe { s.store_f16(half[i..i + LANES].as_mut_ptr(), v) };
        i += LANES;
    }
}
