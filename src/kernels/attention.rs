//! Attention over a cache of keys and values, in one pass.
//!
//! The scores of a page of 64 positions are made, turned into weights relative to the greatest score so far, and
//! used; when a page has a greater one, what was summed before is scaled down. So the scores of the whole context
//! never exist at once. The query heads that share a key-value head are done together, and several positions of a
//! prompt besides, so that keys and values are read and widened once for up to 8 of them.

use super::cache::{HEAD, KvCache, PAGE};
use super::pool::Pool;
use super::product::Shared;
use super::simd::{Kernel, LANES, Simd};

/// Query rows that are done together.
const ROWS: usize = 8;

/// Which positions a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Those up to its own: the queries belong to the last positions of the cache.
    Causal,
    /// All.
    None,
}

/// `out = softmax(scale · q · keysᵀ) · values`, for M positions of `heads` query heads each.
///
/// `q` and `out` have M rows of `heads` × `cache.dim()` floats. Query head `h` uses key-value head
/// `h / (heads / cache.heads())`. The queries' own keys and values are in the cache already; scores are times
/// `scale`, as a rule 1/√dim.
///
/// # Panics
/// If the heads do not go into groups, `q` and `out` are not equally many whole rows, the cache is empty, or more
/// queries than positions are to be masked.
pub fn attention(pool: &Pool, cache: &KvCache, heads: usize, scale: f32, mask: Mask, q: &[f32], out: &mut [f32]) {
    let (dim, kv_heads) = (cache.dim(), cache.heads());
    assert!(heads > 0 && kv_heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads for {kv_heads}");
    assert_eq!(q.len(), out.len(), "an output for each query");
    assert!(q.len().is_multiple_of(heads * dim), "{} floats are not rows of {heads} heads of {dim}", q.len());
    let (m, group) = (q.len() / (heads * dim), heads / kv_heads);
    if m == 0 {
        return;
    }
    assert!(!cache.is_empty() && (mask == Mask::None || m <= cache.len()), "{m} queries of {cache:?}");
    // Query rows of a key-value head: for each position, the heads of the group. With few of them, tiles are made
    // smaller, so that every thread has some.
    let rows = m * group;
    let tiles = rows.div_ceil(ROWS).max(pool.threads().div_ceil(kv_heads).min(rows));
    let height = rows.div_ceil(tiles).min(ROWS);
    let tiles = rows.div_ceil(height);
    let out = Shared(out.as_mut_ptr());
    let out = &out;
    pool.run(kv_heads * tiles, |part| {
        let (kv_head, first) = (part % kv_heads, part / kv_heads * height);
        let rows = first..rows.min(first + height);
        pool.path().run(Attend { cache, q, out: out.0, group, m, kv_head, rows, scale, mask });
    });
}

/// Some query rows of a key-value head.
struct Attend<'a> {
    cache: &'a KvCache,
    q: &'a [f32],
    out: *mut f32,
    group: usize,
    m: usize,
    kv_head: usize,
    rows: std::ops::Range<usize>,
    scale: f32,
    mask: Mask,
}

impl Kernel for Attend<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.rows.len() {
            1 => attend::<S, 1>(s, &self),
            2 => attend::<S, 2>(s, &self),
            3 => attend::<S, 3>(s, &self),
            4 => attend::<S, 4>(s, &self),
            5 => attend::<S, 5>(s, &self),
            6 => attend::<S, 6>(s, &self),
            7 => attend::<S, 7>(s, &self),
            _ => attend::<S, ROWS>(s, &self),
        }
    }
}

impl Attend<'_> {
    /// Where query row `row` is in `q` and `out`.
    #[inline(always)]
    fn at(&self, row: usize) -> usize {
        let heads = self.group * self.cache.heads();
        let head = self.kv_head * self.group + row % self.group;
        (row / self.group * heads + head) * self.cache.dim()
    }

    /// How many positions query row `row` sees.
    #[inline(always)]
    fn sees(&self, row: usize) -> usize {
        match self.mask {
            Mask::Causal => self.cache.len() - self.m + row / self.group + 1,
            Mask::None => self.cache.len(),
        }
    }
}

#[inline(always)]
fn attend<S: Simd, const R: usize>(s: S, job: &Attend<'_>) {
    let (dim, stride) = (job.cache.dim(), job.cache.stride());
    // The queries times the scale, number by number, so that those of all rows lie together.
    let mut q = [[0.0f32; R]; HEAD];
    let mut sum = [[0.0f32; HEAD]; R];
    let mut most = [f32::NEG_INFINITY; R];
    let mut total = [0.0f32; R];
    let mut sees = [0; R];
    for r in 0..R {
        let row = job.rows.start + r;
        let at = job.at(row);
        for (q, x) in q.iter_mut().zip(&job.q[at..at + dim]) {
            q[r] = x * job.scale;
        }
        sees[r] = job.sees(row);
    }
    // Rows come in the order of positions: the last one sees furthest.
    let end = sees[R - 1];
    let mut weights = [[0.0f32; PAGE]; R];
    let mut page = 0;
    while page * PAGE < end {
        let positions = PAGE.min(end - page * PAGE);
        let (keys, values) = (job.cache.keys(page, job.kv_head), job.cache.values(page, job.kv_head));
        // SAFETY: keys of `dim` numbers for 64 positions are there.
        unsafe { scores::<S, R>(s, keys, &q[..dim], positions, &mut weights) };
        for r in 0..R {
            let seen = sees[r].saturating_sub(page * PAGE).min(positions);
            weights[r][seen..].fill(f32::NEG_INFINITY);
            if seen == 0 {
                weights[r].fill(0.0);
                continue;
            }
            let shrink = weigh(s, &mut weights[r], &mut most[r], &mut total[r]);
            if shrink != 1.0 {
                let mut d = 0;
                while d < stride {
                    let smaller = s.mul(s.get(&sum[r], d, 0.0), s.splat(shrink));
                    s.put(&mut sum[r], d, smaller);
                    d += LANES;
                }
            }
        }
        // SAFETY: values of `stride` numbers for 64 positions are there.
        unsafe { add_values::<S, R>(s, values, stride, positions, &weights, &mut sum) };
        page += 1;
    }
    for r in 0..R {
        // SAFETY: the outputs are as long as the queries, and no other job has this row.
        let out = unsafe { std::slice::from_raw_parts_mut(job.out.add(job.at(job.rows.start + r)), dim) };
        let scale = s.splat(1.0 / total[r]);
        let mut d = 0;
        while d < dim {
            s.put(out, d, s.mul(s.get(&sum[r], d, 0.0), scale));
            d += LANES;
        }
    }
}

/// The scores of a page's positions.
///
/// # Safety
/// As many rows of 64 half floats as `q` has numbers are at `keys`.
#[inline(always)]
unsafe fn scores<S: Simd, const R: usize>(
    s: S,
    keys: *const u16,
    q: &[[f32; R]],
    positions: usize,
    scores: &mut [[f32; PAGE]; R],
) {
    let mut at = 0;
    while at < positions {
        let mut sum = [s.splat(0.0); R];
        for (d, q) in q.iter().enumerate() {
            // SAFETY: the caller vouches for it.
            let key = unsafe { s.load_f16(keys.add(d * PAGE + at)) };
            for r in 0..R {
                sum[r] = s.fma(key, s.splat(q[r]), sum[r]);
            }
        }
        for r in 0..R {
            s.put(&mut scores[r], at, sum[r]);
        }
        at += LANES;
    }
}

/// Turns a page's scores into weights relative to the greatest score so far, and says what earlier sums are times.
#[inline(always)]
fn weigh<S: Simd>(s: S, scores: &mut [f32; PAGE], most: &mut f32, total: &mut f32) -> f32 {
    let mut greatest = s.splat(*most);
    let mut at = 0;
    while at < PAGE {
        greatest = s.max(s.get(scores, at, 0.0), greatest);
        at += LANES;
    }
    let before = *most;
    *most = s.greatest(greatest);
    let mut sum = s.splat(0.0);
    let mut at = 0;
    while at < PAGE {
        let weight = s.exp(s.sub(s.get(scores, at, 0.0), s.splat(*most)));
        sum = s.add(sum, weight);
        s.put(scores, at, weight);
        at += LANES;
    }
    let shrink = if before == *most { 1.0 } else { (before - *most).exp() };
    *total = *total * shrink + s.sum(sum);
    shrink
}

/// Adds a page's values, each times its weight.
///
/// # Safety
/// At `values` are 64 rows of `stride` half floats, `stride` being whole vectors and at most 256.
#[inline(always)]
unsafe fn add_values<S: Simd, const R: usize>(
    s: S,
    values: *const u16,
    stride: usize,
    positions: usize,
    weights: &[[f32; PAGE]; R],
    sum: &mut [[f32; HEAD]; R],
) {
    let mut d = 0;
    while d < stride {
        let mut part = [s.splat(0.0); R];
        for r in 0..R {
            part[r] = s.get(&sum[r], d, 0.0);
        }
        #[allow(clippy::needless_range_loop)] // of an array of arrays, the inner one's index
        for position in 0..positions {
            // SAFETY: the caller vouches for it.
            let value = unsafe { s.load_f16(values.add(position * stride + d)) };
            for r in 0..R {
                part[r] = s.fma(value, s.splat(weights[r][position]), part[r]);
            }
        }
        for r in 0..R {
            s.put(&mut sum[r], d, part[r]);
        }
        d += LANES;
    }
}
