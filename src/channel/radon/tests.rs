//! The modes of sinograms.

use super::*;
use crate::channel::Modes;
use nalgebra::{DMatrix, DVector};

fn modes(height: usize, width: usize, angles: usize) -> (Radon, SinogramModes) {
    let radon = Radon::new(ImageShape { channels: 1, height, width }, angles, true).unwrap();
    let modes = radon.found_modes();
    (radon, modes)
}

/// Even and odd numbers of angles and detectors.
#[test]
fn the_coordinates_are_orthonormal() {
    for (height, width, angles) in [(8, 8, 4), (9, 7, 5), (7, 9, 1), (8, 6, 3)] {
        let (radon, modes) = modes(height, width, angles);
        let y: Vec<f64> = (0..radon.values()).map(|i| ((i * 7 % 11) as f64 - 5.0) / 4.0).collect();
        let (c, back) = (modes.forward(&y), modes.function(&|_| 1.0, &y));
        let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
        assert!((square(&c) / square(&y) - 1.0).abs() < 1e-12, "{height} x {width}, {angles} angles");
        assert!(back.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-12), "{height} x {width}, {angles} angles");
    }
}

/// Nearly all of A Aᵀ is on its diagonal, which the probes find.
#[test]
fn the_diagonal_is_that_of_the_matrix() {
    let (radon, modes) = modes(16, 16, 6);
    let a = radon.matrix(&[4.0]);
    let square = &a * a.transpose();
    let m = square.nrows();
    let coordinates = DMatrix::from_columns(
        &(0..m).map(|i| DVector::from_vec(modes.forward(square.column(i).as_slice()))).collect::<Vec<_>>(),
    );
    let diagonal: Vec<f64> =
        (0..m).map(|i| modes.forward(&coordinates.row(i).iter().copied().collect::<Vec<_>>())[i]).collect();
    let error = diagonal.iter().zip(&modes.powers).map(|(d, power)| (d / power).ln().powi(2)).sum::<f64>();
    let error = (error / m as f64).sqrt();
    assert!(error < 0.3, "{error}");
    let kept = diagonal.iter().map(|d| d * d).sum::<f64>() / square.norm_squared();
    assert!(kept > 0.8, "{kept}");
}
