//! The linear-Gaussian model of one observation.

use nalgebra::DMatrix;

/// y = A x + n with n ~ N(0, Σ_y): a linear channel with a fixed operator.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearGaussian {
    /// A, m x d.
    pub matrix: DMatrix<f64>,
    /// Σ_y, m x m.
    pub covariance: DMatrix<f64>,
}

impl LinearGaussian {
    /// Drops the rows that say nothing about x, such as masked coordinates: those that are zero in A and whose noise, if
    /// any, is independent of the other rows'. Also returns the indices of the rows that it keeps. The result has an
    /// invertible A Σ Aᵀ + Σ_y for invertible Σ and independent rows.
    pub(crate) fn informative(&self) -> (Self, Vec<usize>) {
        let alone = |i: usize| self.covariance.row(i).iter().enumerate().all(|(j, &c)| j == i || c == 0.0);
        let kept: Vec<usize> =
            (0..self.matrix.nrows()).filter(|&i| self.matrix.row(i).amax() > 0.0 || !alone(i)).collect();
        let covariance = self.covariance.select_rows(&kept).select_columns(&kept);
        (Self { matrix: self.matrix.select_rows(&kept), covariance }, kept)
    }
}
