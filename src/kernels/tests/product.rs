//! Products against 64-bit arithmetic on the same quantised numbers, for every path, type and a range of shapes.

use super::reference::tensor;
use super::{Random, pools};
use crate::kernels::{Activations, GgmlType, Matrix, Pool, Product, multiply, multiply_rows};

/// The products of a matrix with activations, and what rounding may be off: the sum of the products' magnitudes.
fn expected(matrix: &Matrix, activations: &Activations) -> Vec<(f64, f64)> {
    let k = matrix.columns();
    let mut row = vec![0.0; k];
    let weights: Vec<Vec<f32>> = (0..matrix.rows())
        .map(|n| {
            matrix.dequantise_row(n, &mut row);
            row.clone()
        })
        .collect();
    let mut out = Vec::new();
    for m in 0..activations.rows() {
        activations.dequantise_row(m, &mut row);
        for w in &weights {
            let products = w.iter().zip(&row).map(|(w, a)| f64::from(*w) * f64::from(*a));
            out.push(products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs())));
        }
    }
    out
}

fn check(out: &[f32], expected: &[(f64, f64)], what: &str) {
    assert_eq!(out.len(), expected.len());
    for (i, (got, (sum, size))) in out.iter().zip(expected).enumerate() {
        let off = (f64::from(*got) - sum).abs();
        // With a minimum, `s·u` and `m` are summed apart, and each may be some times larger than their difference.
        assert!(off <= 4e-6 * size + 1e-6 * sum.abs() + 1e-30, "{what}, output {i}: {got} for {sum} ± {size}");
    }
}

/// Whole products with bias and residual, and chosen rows, with every pool.
fn compare(pools: &[Pool], random: &mut Random, matrix: &Matrix, x: &[f32], what: &str) {
    let (n, k) = (matrix.rows(), matrix.columns());
    let m = x.len() / k;
    let mut activations = Activations::new();
    for (p, pool) in pools.iter().enumerate() {
        let what = format!("{what} M = {m} {matrix:?} {} × {}", pool.path().name(), pool.threads());
        activations.quantise(pool.path(), k, x);
        let expected = expected(matrix, &activations);
        let mut out = vec![f32::NAN; m * n];
        multiply(pool, &activations, &mut [Product::new(matrix, &mut out)]);
        check(&out, &expected, &what);
        if p % 2 == 0 && m * n > 20_000 {
            continue;
        }
        let (bias, before) = (random.floats(n), random.floats(m * n));
        let mut out = before.clone();
        multiply(pool, &activations, &mut [Product::new(matrix, &mut out).bias(&bias).add()]);
        let more = |(i, (sum, size)): (usize, &(f64, f64))| {
            let more = [before[i], bias[i % n]].map(f64::from);
            (sum + more[0] + more[1], size + more[0].abs() + more[1].abs())
        };
        check(&out, &expected.iter().enumerate().map(more).collect::<Vec<_>>(), &what);
        if m == 1 {
            let mut rows: Vec<u32> = (0..random.below(40)).map(|_| random.below(n) as u32).collect();
            for sorted in [false, true] {
                let mut out = vec![f32::NAN; rows.len()];
                multiply_rows(pool, &activations, matrix, &rows, &mut out);
                let chosen: Vec<_> = rows.iter().map(|row| expected[*row as usize]).collect();
                check(&out, &chosen, &format!("{what} chosen {sorted}"));
                rows.sort_unstable();
            }
        }
    }
}

#[test]
fn products_of_every_type_are_right() {
    let (mut random, pools) = (Random::new(5), pools());
    for kind in GgmlType::ALL {
        let (weights, _) = kind.block();
        for k in [32, 64, 896, 1280, 4864].into_iter().filter(|k| k % weights == 0) {
            for (n, m) in [(1, 1), (15, 7), (16, 8), (17, 1), (17, 33), (33, 2), (48, 3), (200, 1)] {
                let bytes = tensor(&mut random, kind, n, k);
                let matrix = Matrix::from_ggml(kind, n, k, &bytes).unwrap();
                let x = random.floats(m * k);
                compare(&pools, &mut random, &matrix, &x, &format!("{kind:?}"));
            }
        }
    }
}

#[test]
fn large_products_are_right() {
    let (mut random, pools) = (Random::new(6), pools());
    for (kind, k, m) in [(GgmlType::Q8_0, 896, 1), (GgmlType::Q4_K, 4864, 3), (GgmlType::Q5_0, 64, 33)] {
        let bytes = tensor(&mut random, kind, 4864, k);
        let matrix = Matrix::from_ggml(kind, 4864, k, &bytes).unwrap();
        let x = random.floats(m * k);
        compare(&pools, &mut random, &matrix, &x, &format!("{kind:?}"));
    }
}

#[test]
fn random_shapes_are_right() {
    let (mut random, pools) = (Random::new(7), pools());
    for _ in 0..40 {
        let kind = GgmlType::ALL[random.below(GgmlType::ALL.len())];
        let (weights, _) = kind.block();
        let (n, k, m) = (1 + random.below(70), (1 + random.below(5)) * weights.max(32), 1 + random.below(20));
        let bytes = tensor(&mut random, kind, n, k);
        let matrix = Matrix::from_ggml(kind, n, k, &bytes).unwrap();
        let x = random.floats(m * k);
        compare(&pools, &mut random, &matrix, &x, &format!("{kind:?}"));
    }
}

#[test]
fn the_greatest_numbers_do_not_overflow() {
    let (mut random, pools) = (Random::new(8), pools());
    for kind in GgmlType::ALL {
        // All bits set, or none, with scales of one: the largest quants of either sign, in every sub-block.
        for fill in [0x00, 0xff, 0x7f, 0x80, 0x81] {
            let (weights, size) = kind.block();
            if weights == 1 {
                continue;
            }
            let mut block = vec![fill; size];
            let scales: &[usize] = match kind {
                GgmlType::Q6_K => &[208],
                GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q8_0 => &[0],
                _ => &[0, 2],
            };
            for at in scales {
                block[*at..at + 2].copy_from_slice(&half::f16::ONE.to_le_bytes());
            }
            let bytes = block.repeat(17 * 512 / weights);
            let matrix = Matrix::from_ggml(kind, 17, 512, &bytes).unwrap();
            for m in [1, 2, 8] {
                for x in [vec![1.0; m * 512], vec![-1.0; m * 512], (0..m * 512).map(|i| [1.0, -1.0][i % 2]).collect()] {
                    compare(&pools, &mut random, &matrix, &x, &format!("{kind:?} {fill}"));
                }
            }
        }
    }
}

#[test]
fn several_matrices_share_a_call() {
    let mut random = Random::new(9);
    let k = 768;
    let make = |random: &mut Random, kind, n| Matrix::from_ggml(kind, n, k, &tensor(random, kind, n, k)).unwrap();
    let matrices = [(GgmlType::Q5_0, 100), (GgmlType::Q8_0, 16), (GgmlType::Q6_K, 1), (GgmlType::Q4_K, 40)];
    let matrices = matrices.map(|(kind, n)| make(&mut random, kind, n));
    for pool in pools() {
        for m in [1, 9] {
            let mut activations = Activations::new();
            activations.quantise(pool.path(), k, &random.floats(m * k));
            let mut outs: Vec<Vec<f32>> = matrices.iter().map(|matrix| vec![f32::NAN; m * matrix.rows()]).collect();
            let mut products: Vec<Product> =
                matrices.iter().zip(&mut outs).map(|(matrix, out)| Product::new(matrix, out)).collect();
            multiply(&pool, &activations, &mut products);
            for (matrix, out) in matrices.iter().zip(&outs) {
                check(out, &expected(matrix, &activations), &format!("{matrix:?}"));
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_row() {
    let mut random = Random::new(10);
    for kind in GgmlType::ALL {
        let matrix = Matrix::from_ggml(kind, 20, 512, &tensor(&mut random, kind, 20, 512)).unwrap();
        for pool in pools() {
            let mut x = random.floats(3 * 512);
            x[512 + 100] = f32::NAN;
            let mut activations = Activations::new();
            activations.quantise(pool.path(), 512, &x);
            let mut out = vec![0.0; 3 * 20];
            multiply(&pool, &activations, &mut [Product::new(&matrix, &mut out)]);
            assert!(out[20..40].iter().all(|x| x.is_nan()), "{kind:?}");
            assert!(out[..20].iter().chain(&out[40..]).all(|x| x.is_finite()), "{kind:?}");
        }
    }
}

#[test]
fn no_rows_give_no_outputs() {
    let matrix = Matrix::quantise(3, 32, &[1.0; 96]);
    let (pool, mut activations) = (Pool::new(2), Activations::new());
    activations.quantise(pool.path(), 32, &[]);
    multiply(&pool, &activations, &mut [Product::new(&matrix, &mut [])]);
    activations.quantise(pool.path(), 32, &[1.0; 32]);
    multiply_rows(&pool, &activations, &matrix, &[], &mut []);
}
