//! The measurement update of channels without a matrix, on the host: D = D₀ + K (y - A D₀) for every row of a batch, each
//! by one conjugate-gradient solution, and the same map for gradients, since I - K A is symmetric.

use super::measurement::{MIN_STD, Measurement};
use super::standardizer::Standardizer;
use crate::channel::{LinearChannel, narrow, wide};
use crate::gaussian::{Covariance, SolverConfig, System};
use crate::image::ImageShape;
use crate::parallel;
use crate::samples::Samples;

/// The measurements of a batch, one per row.
#[derive(Clone, Copy)]
pub(crate) struct MatrixFree<'a> {
    pub(super) measurements: &'a [Measurement],
    pub(super) linear: &'a dyn LinearChannel,
    pub(super) standardizer: &'a Standardizer,
    pub(super) solver: SolverConfig,
}

impl MatrixFree<'_> {
    /// D = D₀ + K (y - A D₀) of every row of `estimate [n, d]`, whose variance is `variance(row)`.
    pub fn update(&self, estimate: &Samples, variance: impl Fn(usize) -> f64 + Sync + Send) -> Samples {
        self.rows(estimate, |i, x| {
            let seen = self.seen(i, x);
            let residual: Vec<f64> =
                self.measurements[i].observed().iter().zip(seen).map(|(y, seen)| y - seen).collect();
            let correction = self.correction(i, &residual, variance(i));
            x.iter().zip(correction).map(|(x, c)| (f64::from(*x) + c) as f32).collect()
        })
    }

    /// (I - K A) g of every row.
    pub fn pull_back(&self, g: &Samples, variance: impl Fn(usize) -> f64 + Sync + Send) -> Samples {
        self.rows(g, |i, g| {
            let measured = self.measured_part(i, g, variance(i));
            g.iter().zip(measured).map(|(g, m)| (f64::from(*g) - m) as f32).collect()
        })
    }

    /// K A e of every row of errors `e [n, d]`, with the variance `variance`: their part along what was measured. Rows
    /// of mirrored images are mirrored before and after.
    pub fn measured(&self, e: &Samples, variance: f64, mirrored: &[Option<ImageShape>]) -> Samples {
        self.rows(e, |i, e| {
            let mirror = |x: &mut [f32]| {
                if let Some(shape) = mirrored[i] {
                    shape.mirror(x);
                }
            };
            let mut e = e.to_vec();
            mirror(&mut e);
            let mut part = narrow(&self.measured_part(i, &e, variance));
            mirror(&mut part);
            part
        })
    }

    fn rows(&self, x: &Samples, f: impl Fn(usize, &[f32]) -> Vec<f32> + Sync + Send) -> Samples {
        let rows = parallel::map(x.n(), |i| f(i, x.row(i)));
        Samples::new(rows.concat(), x.d())
    }

    /// K A x.
    fn measured_part(&self, i: usize, x: &[f32], variance: f64) -> Vec<f64> {
        self.correction(i, &self.seen(i, x), variance)
    }

    /// A L x.
    fn seen(&self, i: usize, x: &[f32]) -> Vec<f64> {
        let root = &self.standardizer.root;
        let scaled: Vec<f32> = x.iter().zip(root).map(|(x, l)| (f64::from(*x) * l) as f32).collect();
        let mut seen = vec![0.0f32; self.measurements[i].observed().len()];
        self.linear.apply(self.measurements[i].operator(), &scaled, &mut seen);
        wide(&seen)
    }

    /// K r in the standardizer's coordinates, where the signal's covariance is v L Lᵀ in its own.
    fn correction(&self, i: usize, r: &[f64], variance: f64) -> Vec<f64> {
        let standardizer = self.standardizer;
        let spread: Vec<f64> = standardizer.root.iter().map(|l| variance * l * l).collect();
        let system = System {
            linear: self.linear,
            a: self.measurements[i].operator(),
            covariance: Covariance::Diagonal(&spread),
            floor: MIN_STD * MIN_STD,
            solver: self.solver,
        };
        system.correction(r).into_iter().zip(&standardizer.root).map(|(x, l)| x / l).collect()
    }
}
