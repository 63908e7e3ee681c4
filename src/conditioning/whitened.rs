//! A batch of linear-Gaussian observations as products on a device: with unit noise, L⁻¹ y = L⁻¹ A x + N(0, I), Σ_y = L Lᵀ,
//! where there is a matrix, and as they are where there is none.

use super::{Conditioning, MatrixFree, Measurement, OperatorStructure};
use crate::basis::DeviceBasis;
use crate::denoiser::{to_samples, to_tensor};
use crate::samples::Samples;
use crate::transfer::to_device;
use burn::tensor::{Device, Tensor};

/// A batch of observations y = A x + n with n ~ N(0, Σ), one per row.
pub trait LinearBatch {
    /// y, `[n, m]`.
    fn y(&self) -> Tensor<2>;
    /// A x: `x [n, d]` -> `[n, m]`.
    fn apply(&self, x: Tensor<2>) -> Tensor<2>;
    /// Aᵀ v: `v [n, m]` -> `[n, d]`.
    fn adjoint(&self, v: Tensor<2>) -> Tensor<2>;
    /// Σ v: `[n, m]` -> `[n, m]`.
    fn noise(&self, v: Tensor<2>) -> Tensor<2>;
}

/// L⁻¹ A and L⁻¹ y of one observation.
type Row = (Vec<f64>, Vec<f64>);

/// Whitened observations, one per row, each with its own operator; shorter ones are padded with zeros.
#[derive(Clone, Debug)]
pub struct Whitened {
    /// L⁻¹ A: diagonals `[n, d]`, or rows `[n, m, d]` flattened to `[n, m · d]`.
    matrix: Tensor<2>,
    /// L⁻¹ y, `[n, m]`.
    y: Tensor<2>,
    diagonal: bool,
    /// The basis in which the operators are diagonal, if it is not the coordinate basis.
    basis: Option<DeviceBasis>,
}

impl Whitened {
    /// Whitens `measurements`, which `conditioning` created; all have the same layout.
    pub fn new(measurements: &[Measurement], conditioning: Conditioning<'_>, device: &Device) -> Self {
        let (d, basis) = (conditioning.coefficients(), conditioning.basis_on(device));
        let rows: Vec<Row> = measurements.iter().map(Measurement::whitened).collect();
        let diagonal = measurements.first().is_some_and(|m| m.structure() != OperatorStructure::Dense);
        let m = rows.iter().map(|(_, y)| y.len()).max().unwrap_or(0).max(1);
        let width = if diagonal { d } else { m * d };
        let tensor = |part: &dyn Fn(&Row) -> &[f64], width: usize| {
            let values = rows.iter().flat_map(|row| {
                let mut values: Vec<f32> = part(row).iter().map(|&v| v as f32).collect();
                values.resize(width, 0.0);
                values
            });
            to_device(values.collect(), [rows.len(), width], device)
        };
        Self { matrix: tensor(&|row| &row.0, width), y: tensor(&|row| &row.1, m), diagonal, basis }
    }
}

impl LinearBatch for Whitened {
    /// L⁻¹ y, `[n, m]`.
    fn y(&self) -> Tensor<2> {
        self.y.clone()
    }

    /// L⁻¹ A x: `x [n, d]` -> `[n, m]`.
    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let x = match &self.basis {
            Some(basis) => basis.forward(x),
            None => x,
        };
        if self.diagonal {
            return x * self.matrix.clone();
        }
        let ([n, m], d) = (self.y.dims(), x.dims()[1]);
        (self.matrix.clone().reshape([n, m, d]) * x.reshape([n, 1, d])).sum_dim(2).reshape([n, m])
    }

    /// Aᵀ L⁻ᵀ v: `v [n, m]` -> `[n, d]`.
    fn adjoint(&self, v: Tensor<2>) -> Tensor<2> {
        if self.diagonal {
            let x = v * self.matrix.clone();
            return match &self.basis {
                Some(basis) => basis.inverse(x),
                None => x,
            };
        }
        let ([n, m], width) = (self.y.dims(), self.matrix.dims()[1]);
        let d = width / m;
        (self.matrix.clone().reshape([n, m, d]) * v.reshape([n, m, 1])).sum_dim(1).reshape([n, d])
    }
    /// v: the noise is white.
    fn noise(&self, v: Tensor<2>) -> Tensor<2> {
        v
    }
}

/// Observations without a matrix, whose products are made on the host.
pub(crate) struct OnHost<'a> {
    pub free: MatrixFree<'a>,
    pub device: &'a Device,
}

impl OnHost<'_> {
    fn on_host(&self, x: Tensor<2>, f: impl Fn(&Samples) -> Samples) -> Tensor<2> {
        let x = to_samples(x).expect("a device whose tensors can be read, as every native one's can");
        to_tensor(&f(&x), self.device)
    }
}

impl LinearBatch for OnHost<'_> {
    fn y(&self) -> Tensor<2> {
        to_tensor(&self.free.observed(), self.device)
    }

    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        self.on_host(x, |x| self.free.apply(x))
    }

    fn adjoint(&self, v: Tensor<2>) -> Tensor<2> {
        self.on_host(v, |v| self.free.adjoint(v))
    }

    fn noise(&self, v: Tensor<2>) -> Tensor<2> {
        self.on_host(v, |v| self.free.noise(v))
    }
}
