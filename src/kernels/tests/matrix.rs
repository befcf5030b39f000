//! Packing loses nothing.

use super::Random;
use super::reference::{dequantise, tensor};
use crate::kernels::{GgmlType, KernelError, Matrix};

#[test]
fn packed_rows_are_bit_for_bit_what_ggml_gives() {
    let mut random = Random::new(1);
    for kind in GgmlType::ALL {
        for (rows, columns) in [(1, 256), (15, 512), (16, 256), (17, 768), (40, 4864)] {
            let bytes = tensor(&mut random, kind, rows, columns);
            let expected = dequantise(kind, &bytes);
            let matrix = Matrix::from_ggml(kind, rows, columns, &bytes).unwrap();
            let mut row = vec![0.0; columns];
            for (r, expected) in expected.chunks_exact(columns).enumerate() {
                matrix.dequantise_row(r, &mut row);
                for (k, (got, expected)) in row.iter().zip(expected).enumerate() {
                    if matches!(kind, GgmlType::F32 | GgmlType::F16 | GgmlType::BF16) {
                        assert!((got - expected).abs() <= 0.51 / 127.0, "{kind:?} {r} {k}: {got} for {expected}");
                    } else {
                        assert_eq!(got.to_bits(), expected.to_bits(), "{kind:?} {r} {k}: {got} for {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn small_formats_take_any_multiple_of_32() {
    let mut random = Random::new(2);
    for kind in [GgmlType::Q4_0, GgmlType::Q4_1, GgmlType::Q5_0, GgmlType::Q5_1, GgmlType::Q8_0] {
        for columns in [32, 64, 96, 576, 896] {
            let bytes = tensor(&mut random, kind, 3, columns);
            let expected = dequantise(kind, &bytes);
            let matrix = Matrix::from_ggml(kind, 3, columns, &bytes).unwrap();
            let mut row = vec![0.0; columns];
            matrix.dequantise_row(2, &mut row);
            assert_eq!(row, expected[2 * columns..], "{kind:?} {columns}");
        }
    }
}

#[test]
fn quantising_is_within_half_a_step_at_any_magnitude() {
    let mut random = Random::new(3);
    for magnitude in [1e-30f32, 1e-6, 1.0, 1e6, 1e30] {
        let weights: Vec<f32> = random.floats(5 * 96).iter().map(|x| x * magnitude).collect();
        let matrix = Matrix::quantise(5, 96, &weights);
        let mut row = vec![0.0; 96];
        for (r, expected) in weights.chunks_exact(96).enumerate() {
            matrix.dequantise_row(r, &mut row);
            for (got, expected) in row.iter().zip(expected) {
                assert!((got - expected).abs() <= magnitude * 0.51 / 127.0, "{got} for {expected}");
            }
        }
    }
}

#[test]
fn quantising_takes_what_is_not_finite_for_zero() {
    let mut weights = vec![0.0; 64];
    (weights[0], weights[1], weights[2]) = (f32::NAN, f32::INFINITY, 1e-40);
    weights[33] = 2.0;
    let mut row = vec![1.0; 64];
    Matrix::quantise(1, 64, &weights).dequantise_row(0, &mut row);
    assert!(row[..33].iter().all(|x| *x == 0.0) && (row[33] - 2.0).abs() < 1e-3, "{row:?}");
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let columns = |kind, columns| Err(KernelError::Columns { kind, columns });
    let from = |kind, k, bytes: &[u8]| Matrix::from_ggml(kind, 1, k, bytes).map(|_| ());
    assert_eq!(from(GgmlType::Q4_K, 896, &[0; 504]), columns(GgmlType::Q4_K, 896));
    assert_eq!(from(GgmlType::Q8_0, 16, &[0; 17]), columns(GgmlType::Q8_0, 16));
    let error = from(GgmlType::Q8_0, 32, &[0; 33]).unwrap_err();
    assert_eq!(error, KernelError::Bytes { kind: GgmlType::Q8_0, rows: 1, columns: 32, bytes: 33 });
}
