//! Quantised activations.

use super::Random;
use crate::kernels::{Activations, Path};

#[test]
fn rows_come_back_within_half_a_step() {
    let mut random = Random::new(4);
    for path in Path::all() {
        let mut activations = Activations::new();
        for (m, k) in [(1, 32), (3, 64), (8, 96), (33, 896), (2, 4864)] {
            let x = random.floats(m * k);
            activations.quantise(path, k, &x);
            let mut row = vec![0.0; k];
            for (r, x) in x.chunks_exact(k).enumerate() {
                activations.dequantise_row(r, &mut row);
                for (block, (got, x)) in row.chunks_exact(32).zip(x.chunks_exact(32)).enumerate() {
                    let most = x.iter().fold(0f32, |m, x| m.max(x.abs()));
                    for (got, x) in got.iter().zip(x) {
                        assert!((got - x).abs() <= most * 0.501 / 127.0, "{} {r} {block}", path.name());
                    }
                }
            }
        }
    }
}

#[test]
fn extremes_are_safe() {
    for path in Path::all() {
        let mut activations = Activations::new();
        let mut row = vec![0.0; 32];
        let mut quantised = |x: [f32; 32]| {
            activations.quantise(path, 32, &x);
            activations.dequantise_row(0, &mut row);
            row.clone()
        };
        assert_eq!(quantised([0.0; 32]), [0.0; 32]);
        assert_eq!(quantised([1e-40; 32]), [0.0; 32]);
        let large = quantised(std::array::from_fn(|k| if k % 2 == 0 { f32::MAX } else { f32::MIN }));
        assert!(large.iter().all(|x| x.abs() > 3.4e38), "{large:?}");
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 7, 16, 31] {
                let mut x = [1.0; 32];
                x[at] = bad;
                assert!(quantised(x).iter().all(|x| x.is_nan()), "{} {bad} {at}", path.name());
            }
        }
    }
}
