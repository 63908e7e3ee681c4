//! Dense layers and normalization of rows.

use super::math::{sigmoid, simd, sum_lanes};
use super::matrix::Matrix;

/// Epsilon of LayerNorm, added to the variance.
pub const NORM_EPSILON: f32 = 1e-5;

/// x W + b for `x [n, k]`, `w [k, m]`, and `b [m]` or, for a separate bias per row, `[n, m]`.
pub fn affine(x: Matrix, w: Matrix, b: &[f32]) -> Vec<f32> {
    let mut z = x.times(w);
    // `b` is one row for all rows of z, or all rows at once.
    simd(|| z.chunks_exact_mut(b.len()).for_each(|rows| rows.iter_mut().zip(b).for_each(|(z, b)| *z += b)));
    z
}

/// Mean and 1 / sqrt(variance + epsilon) of a row.
#[inline(always)]
pub(crate) fn row_statistics(z: &[f32]) -> (f32, f32) {
    let n = z.len() as f32;
    let mean = sum_lanes([z], |[z]| z) / n;
    let variance = sum_lanes([z], |[z]| (z - mean) * (z - mean)) / n;
    (mean, 1.0 / (variance + NORM_EPSILON).sqrt())
}

#[inline(always)]
fn norm_silu_row(z: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
    let (mean, rstd) = row_statistics(z);
    for (((y, &z), &g), &b) in y.iter_mut().zip(z).zip(gamma).zip(beta) {
        let v = (z - mean) * rstd * g + b;
        *y = v * sigmoid(v);
    }
}

/// SiLU(LayerNorm(z) γ + β) of each row of `z [n, m]`; `gamma`, `beta [m]`.
pub fn norm_silu(z: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f32> {
    let m = gamma.len();
    let mut y = vec![0.0; z.len()];
    simd(|| y.chunks_exact_mut(m).zip(z.chunks_exact(m)).for_each(|(y, z)| norm_silu_row(z, gamma, beta, y)));
    y
}

/// Gradients of [`norm_silu`]: with respect to z, γ and β.
pub struct NormGradients {
    /// `[n, m]`.
    pub z: Vec<f32>,
    /// `[m]`.
    pub gamma: Vec<f32>,
    /// `[m]`.
    pub beta: Vec<f32>,
}

/// Backward of y = v σ(v), v = h γ + β, h = (z - mean) rstd, for one row:
/// dv = dy σ(v) (1 + v (1 - σ(v))), dh = dv γ, dz = rstd (dh - mean(dh) - h mean(dh h)).
#[inline(always)]
fn norm_silu_row_backward(
    z: &[f32],
    dy: &[f32],
    gamma: &[f32],
    beta: &[f32],
    dz: &mut [f32],
    dg: &mut [f32],
    db: &mut [f32],
) {
    let m = dz.len();
    let (z, dy, gamma, beta, dg, db) = (&z[..m], &dy[..m], &gamma[..m], &beta[..m], &mut dg[..m], &mut db[..m]);
    let (mean, rstd) = row_statistics(z);
    for i in 0..m {
        let h = (z[i] - mean) * rstd;
        let v = h * gamma[i] + beta[i];
        let s = sigmoid(v);
        let dv = dy[i] * s * (1.0 + v * (1.0 - s));
        db[i] += dv;
        dg[i] += dv * h;
        dz[i] = dv * gamma[i];
    }
    let mean_d = sum_lanes([dz], |[d]| d) / m as f32;
    let mean_dh = sum_lanes([dz, z], |[d, z]| d * ((z - mean) * rstd)) / m as f32;
    for (d, &z) in dz.iter_mut().zip(z) {
        *d = rstd * (*d - mean_d - (z - mean) * rstd * mean_dh);
    }
}

/// Backward of [`norm_silu`].
pub fn norm_silu_backward(z: &[f32], dy: &[f32], gamma: &[f32], beta: &[f32]) -> NormGradients {
    let m = gamma.len();
    let mut out = NormGradients { z: vec![0.0; z.len()], gamma: vec![0.0; m], beta: vec![0.0; m] };
    simd(|| {
        for ((dz, z), dy) in out.z.chunks_exact_mut(m).zip(z.chunks_exact(m)).zip(dy.chunks_exact(m)) {
            norm_silu_row_backward(z, dy, gamma, beta, dz, &mut out.gamma, &mut out.beta);
        }
    });
    out
}

/// (x - mean) / std of each row of `x [n, c]`.
pub fn norm_rows(x: &[f32], c: usize) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    simd(|| {
        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            let (mean, rstd) = row_statistics(x);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * rstd);
        }
    });
    y
}

/// Backward of [`norm_rows`]: dx = rstd (dy - mean(dy) - y mean(dy y)).
pub fn norm_rows_backward(x: &[f32], dy: &[f32], c: usize) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    simd(|| {
        for ((dx, x), dy) in dx.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(dy.chunks_exact(c)) {
            let (mean, rstd) = row_statistics(x);
            let along = sum_lanes([dy, x], |[dy, x]| dy * (x - mean)) * rstd / c as f32;
            let mean_dy = sum_lanes([dy], |[dy]| dy) / c as f32;
            for i in 0..c {
                dx[i] = rstd * (dy[i] - mean_dy - (x[i] - mean) * rstd * along);
            }
        }
    });
    dx
}
