//! The matrix nearest to another one among those whose singular values are all alike, approximately.
//!
//! ```text
//! X ← M / ‖M‖, then  X ← (a I + b S + c S²) X,  S = X Xᵀ,  for every (a, b, c)
//! ```
//!
//! Each iteration's coefficients are the best for what the ones before it leave (Amsel et al., arXiv 2505.16932), so that
//! four lift small singular values as far as five with the same coefficients do.

use crate::Matrix;

/// a, b and c of each iteration.
pub const ORTHOGONAL_ITERATIONS: [[f32; 3]; 4] = [
    [8.287_212, -23.595_886, 17.300_387],
    [4.107_059, -2.947_85, 0.544_843_1],
    [3.948_691, -2.908_902, 0.551_819_14],
    [3.318_419_7, -2.488_488, 0.510_048_9],
];

/// Added to the norm of the matrix, which may be zero.
pub const ORTHOGONAL_TINY: f32 = 1e-20;

/// About U Vᵀ of the singular value decomposition U S Vᵀ of `m`, row-major like it: singular values of a thousandth of the
/// norm or more become .44 to 1.56, and smaller ones grow by up to 446.
pub fn orthogonal(m: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let norm = m.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32 + ORTHOGONAL_TINY;
    // The products are those of the shorter side.
    let turned = rows > columns;
    let [n, k] = if turned { [columns, rows] } else { [rows, columns] };
    let mut x = if turned { transposed(m, columns) } else { m.to_vec() };
    x.iter_mut().for_each(|v| *v /= norm);
    let [mut gram, mut polynomial] = [vec![0.0; n * n], vec![0.0; n * n]];
    let mut next = vec![0.0; n * k];
    for [a, b, c] in ORTHOGONAL_ITERATIONS {
        Matrix::new(&x, n, k).times_symmetric_into(Matrix::new(&transposed(&x, k), k, n), &mut gram);
        let s = Matrix::new(&gram, n, n);
        s.times_symmetric_into(s, &mut polynomial);
        polynomial.iter_mut().zip(&gram).for_each(|(p, s)| *p = b * s + c * *p);
        polynomial.iter_mut().step_by(n + 1).for_each(|p| *p += a);
        Matrix::new(&polynomial, n, n).times_into(Matrix::new(&x, n, k), &mut next, false);
        std::mem::swap(&mut x, &mut next);
    }
    if turned { transposed(&x, k) } else { x }
}

/// The transpose of `x [n, columns]`.
fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    let mut out = vec![0.0; x.len()];
    for (i, row) in x.chunks_exact(columns).enumerate() {
        row.iter().enumerate().for_each(|(j, v)| out[j * rows + i] = *v);
    }
    out
}
