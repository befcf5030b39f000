//! Attention against 64-bit arithmetic over keys and values rounded to half floats.

use half::f16;

use super::{Random, pools};
use crate::kernels::{KvCache, Mask, Path, attention};

/// Keys or values of all positions, as the cache holds them.
fn rounded(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f16::from_f32(*x).to_f64()).collect()
}

fn expected(k: &[f64], v: &[f64], q: &[f32], heads: usize, kv: usize, dim: usize, scale: f32, mask: Mask) -> Vec<f64> {
    let (len, m) = (k.len() / (kv * dim), q.len() / (heads * dim));
    let mut out = Vec::new();
    for row in 0..m {
        for head in 0..heads {
            let q = &q[(row * heads + head) * dim..][..dim];
            let end = if mask == Mask::Causal { len - m + row + 1 } else { len };
            let at = |p: usize| (p * kv + head / (heads / kv)) * dim;
            let score = |p: usize| q.iter().zip(&k[at(p)..]).map(|(q, k)| f64::from(*q) * k).sum::<f64>();
            let scores: Vec<f64> = (0..end).map(|p| score(p) * f64::from(scale)).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..dim).map(|d| (0..end).map(|p| weights[p] * v[at(p) + d]).sum::<f64>() / total));
        }
    }
    out
}

fn check(got: &[f32], expected: &[f64], what: &str) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(*got) - expected).abs() <= 1e-5, "{what} {i}: {got} for {expected}");
    }
}

#[test]
fn attention_is_right() {
    let mut random = Random::new(30);
    for (heads, kv, dim) in [(14, 2, 64), (9, 3, 64), (4, 4, 20), (1, 1, 256), (5, 1, 1)] {
        for (past, m) in [(0, 1), (0, 5), (1, 1), (63, 1), (64, 1), (200, 1), (60, 9), (130, 70)] {
            let len = past + m;
            let (k, v) = (random.floats(len * kv * dim), random.floats(len * kv * dim));
            // Large scores now and then, so that the greatest one moves.
            let k: Vec<f32> = k.iter().map(|x| x * if random.below(50) == 0 { 20.0 } else { 1.0 }).collect();
            let q = random.floats(m * heads * dim);
            let scale = 1.0 / (dim as f32).sqrt();
            for mask in [Mask::Causal, Mask::None] {
                let expected = expected(&rounded(&k), &rounded(&v), &q, heads, kv, dim, scale, mask);
                for pool in pools() {
                    let mut cache = KvCache::new(kv, dim);
                    let cut = past * kv * dim;
                    cache.append(pool.path(), &k[..cut], &v[..cut]);
                    cache.append(pool.path(), &k[cut..], &v[cut..]);
                    assert_eq!(cache.len(), len);
                    let mut out = vec![f32::NAN; q.len()];
                    attention(&pool, &cache, heads, scale, mask, &q, &mut out);
                    let what = format!("{heads}/{kv} × {dim}, {past} + {m}, {mask:?}, {}", pool.path().name());
                    check(&out, &expected, &what);
                }
            }
        }
    }
}

#[test]
fn what_was_cut_off_or_copied_does_not_matter() {
    let (mut random, path) = (Random::new(31), Path::best());
    let (heads, kv, dim) = (6, 2, 32);
    let row = kv * dim;
    let (k, v) = (random.floats(300 * row), random.floats(300 * row));
    let q = random.floats(heads * dim);
    let mut long = KvCache::new(kv, dim);
    long.append(path, &k, &v);
    // What is cut off is replaced by what was there before, once in place and once in a copy.
    let mut copy = long.clone_prefix(100);
    assert_eq!((copy.len(), long.len()), (100, 300));
    assert!(copy.bytes() < long.bytes());
    copy.append(path, &random.floats(90 * row), &random.floats(90 * row));
    copy.truncate(70);
    copy.append(path, &k[70 * row..130 * row], &v[70 * row..130 * row]);
    long.truncate(130);
    long.truncate(1000);
    assert_eq!((copy.len(), long.len()), (130, 130));
    let expected =
        expected(&rounded(&k[..130 * row]), &rounded(&v[..130 * row]), &q, heads, kv, dim, 0.2, Mask::Causal);
    for pool in pools() {
        for cache in [&copy, &long] {
            let mut out = vec![0.0; q.len()];
            attention(&pool, cache, heads, 0.2, Mask::Causal, &q, &mut out);
            check(&out, &expected, "cut");
        }
    }
    let mut empty = KvCache::new(kv, dim);
    assert!(empty.is_empty() && empty.clone_prefix(5).is_empty());
    empty.reserve(65);
    let bytes = empty.bytes();
    empty.append(path, &k[..128 * row], &v[..128 * row]);
    assert_eq!(empty.bytes(), bytes);
}

#[test]
fn what_is_not_a_number_is_safe() {
    for pool in pools() {
        let mut cache = KvCache::new(1, 16);
        let mut k = [1.0; 48];
        (k[0], k[17], k[40]) = (f32::NAN, f32::INFINITY, f32::MAX);
        cache.append(pool.path(), &k, &[1.0; 48]);
        let mut out = [0.0; 16];
        attention(&pool, &cache, 1, 1.0, Mask::None, &[-1.0; 16], &mut out);
        assert!(out.iter().all(|x| x.is_nan()), "{out:?}");
    }
}
