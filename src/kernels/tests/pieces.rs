//! Norms, activation functions and rotation against 64-bit arithmetic.

use super::{Random, pools};
use crate::kernels::{Pairs, Rope, gelu, layer_norm, rms_norm, silu_mul, softmax};

fn close(got: &[f32], expected: &[f64], relative: f64, absolute: f64, what: &str) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let off = (f64::from(*got) - expected).abs();
        assert!(off <= relative * expected.abs() + absolute, "{what} {i}: {got} for {expected}");
    }
}

const SHAPES: [(usize, usize); 7] = [(1, 1), (1, 15), (3, 16), (2, 33), (1, 896), (33, 576), (20, 4864)];

#[test]
fn norms_are_right() {
    let mut random = Random::new(20);
    for (m, k) in SHAPES {
        let (x, weight, bias) = (random.floats(m * k), random.floats(k), random.floats(k));
        let x: Vec<f32> = x.iter().map(|x| x * 30.0 + 7.0).collect();
        let (mut rms, mut layer) = (Vec::new(), Vec::new());
        for row in x.chunks_exact(k) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / k as f64;
            let square = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / k as f64;
            let var = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / k as f64;
            for ((x, w), b) in row.iter().zip(&weight).zip(&bias) {
                let [x, w, b] = [*x, *w, *b].map(f64::from);
                rms.push(x / (square + 1e-6).sqrt() * w);
                layer.push((x - mean) / (var + 1e-5).sqrt() * w + b);
            }
        }
        for pool in pools() {
            let what = format!("{} {m} × {k}", pool.path().name());
            let mut out = vec![f32::NAN; m * k];
            rms_norm(&pool, &x, &weight, 1e-6, &mut out);
            close(&out, &rms, 1e-6, 1e-9, &what);
            layer_norm(&pool, &x, &weight, &bias, 1e-5, &mut out);
            close(&out, &layer, 2e-6, 4e-6, &what);
        }
    }
}

/// erf by its series, or beyond the series' reach by its continued fraction.
fn erf(x: f64) -> f64 {
    if x.abs() < 3.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..60).rev().fold(0.0, |f, n| f64::from(n) / 2.0 / (x.abs() + f));
        let erfc = (-x * x).exp() / (x.abs() + fraction) / std::f64::consts::PI.sqrt();
        (1.0 - erfc).copysign(x)
    }
}

#[test]
fn activation_functions_are_right() {
    let mut random = Random::new(21);
    for n in [0, 1, 15, 16, 17, 512, 513, 4864, 50_000] {
        let gate: Vec<f32> = random.floats(n).iter().map(|x| x * 20.0).collect();
        let up = random.floats(n);
        let silu = |(g, u): (&f32, &f32)| f64::from(*g) / (1.0 + (-f64::from(*g)).exp()) * f64::from(*u);
        let silu: Vec<f64> = gate.iter().zip(&up).map(silu).collect();
        let normal = |x: &f32| f64::from(*x) * 0.5 * (1.0 + erf(f64::from(*x) / 2f64.sqrt()));
        let normal: Vec<f64> = gate.iter().map(normal).collect();
        for pool in pools() {
            let mut out = gate.clone();
            silu_mul(&pool, &mut out, &up);
            close(&out, &silu, 1e-6, 1e-9, &format!("silu {}", pool.path().name()));
            let mut out = gate.clone();
            gelu(&pool, &mut out);
            close(&out, &normal, 1e-6, 5e-7, &format!("gelu {}", pool.path().name()));
        }
    }
}

#[test]
fn activation_functions_take_extremes() {
    for pool in pools() {
        let mut x = [0.0, -0.0, 1e-40, 200.0, -200.0, f32::MAX, f32::MIN, f32::NAN];
        silu_mul(&pool, &mut x, &[1.0; 8]);
        assert_eq!(x[..2], [0.0, 0.0]);
        assert!(x[2].abs() < 1e-39 && x[3] == 200.0 && x[5] == f32::MAX && x[7].is_nan(), "{x:?}");
        // The exponential is held at the greatest that fits, so that far below zero a trace remains.
        assert!(x[4].abs() < 1e-30 && x[6].is_finite(), "{x:?}");
        let mut x = [0.0, 1e-40, 200.0, -200.0, f32::NAN];
        gelu(&pool, &mut x);
        assert!(x[0] == 0.0 && x[1].abs() < 1e-39 && x[2] == 200.0 && x[3].abs() < 1e-30 && x[4].is_nan(), "{x:?}");
    }
}

#[test]
fn softmax_is_right() {
    let mut random = Random::new(22);
    for (m, k) in SHAPES {
        let mut x: Vec<f32> = random.floats(m * k).iter().map(|x| x * 40.0).collect();
        if k > 4 {
            (x[1], x[3]) = (f32::NEG_INFINITY, f32::MIN);
        }
        let mut expected = Vec::new();
        for row in x.chunks_exact(k) {
            let most = row.iter().fold(f64::NEG_INFINITY, |m, x| m.max(f64::from(*x)));
            let total: f64 = row.iter().map(|x| (f64::from(*x) - most).exp()).sum();
            expected.extend(row.iter().map(|x| (f64::from(*x) - most).exp() / total));
        }
        for pool in pools() {
            let mut out = x.clone();
            softmax(&pool, k, &mut out);
            close(&out, &expected, 1e-5, 1e-37, pool.path().name());
            assert!(k <= 4 || (out[1] == 0.0 && out[3] == 0.0), "{}", pool.path().name());
        }
    }
}

#[test]
fn rotation_is_right() {
    let mut random = Random::new(23);
    for (pairs, heads, head_dim, dims) in
        [(Pairs::Halves, 14, 64, 64), (Pairs::Neighbours, 9, 64, 64), (Pairs::Halves, 3, 80, 20)]
    {
        let factors: Vec<f32> = (0..dims / 2).map(|_| 1.5 + random.float()).collect();
        let rope = Rope::with_factors(pairs, dims, 10_000.0, 40, &factors);
        let (m, start) = (7, 31);
        let x = random.floats(m * heads * head_dim);
        let mut expected: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        for (n, head) in expected.chunks_exact_mut(head_dim).enumerate() {
            for (i, factor) in factors.iter().enumerate() {
                let angle = 10_000f64.powf(-2.0 * i as f64 / dims as f64) / f64::from(*factor);
                let (sin, cos) = (angle * (start + n / heads) as f64).sin_cos();
                let (a, b) = if pairs == Pairs::Halves { (i, i + dims / 2) } else { (2 * i, 2 * i + 1) };
                (head[a], head[b]) = (head[a] * cos - head[b] * sin, head[a] * sin + head[b] * cos);
            }
        }
        for pool in pools() {
            let mut out = x.clone();
            rope.apply(&pool, &mut out, heads, head_dim, start);
            close(&out, &expected, 1e-6, 3e-7, pool.path().name());
        }
    }
}
