//! The measurement update of channels without a matrix, on the host: D = D₀ + K (y - A D₀) for every row of a batch, each
//! by one conjugate-gradient solution, and the same map for gradients, since I - K A is symmetric.

use super::measurement::{MIN_STD, Measurement};
use super::standardizer::Standardizer;
use crate::channel::{LinearChannel, narrow, wide};
use crate::gaussian::{Covariance, History, SolverConfig, Stop, System};
use crate::image::ImageShape;
use crate::noise::Stream;
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
    /// D = D₀ + K (y - A D₀) of every row of `estimate [n, d]`, whose variance is `variance(row)`. The solution for a row
    /// begins at those for the same measurement before, so that a row depends on the updates of that row alone.
    pub fn update(&self, estimate: &Samples, variance: impl Fn(usize) -> f64 + Sync + Send) -> Samples {
        self.rows(estimate, |i, x| {
            let (measurement, v) = (&self.measurements[i], variance(i));
            let mut history = measurement.history.lock().expect("no worker fails while it updates a row");
            let squares = self.squares();
            let system = self.system(i, &squares, v, v * x.len() as f64);
            let correction = match system.in_signal_space() {
                Some(space) => {
                    let back = measurement.back.get_or_init(|| space.back(&narrow(measurement.observed())));
                    let seen = space.seen(&self.scaled(x));
                    let residual: Vec<f64> = back.iter().zip(seen).map(|(back, seen)| back - seen).collect();
                    space.solve(&residual, &mut history)
                }
                None => {
                    let seen = self.seen(i, x);
                    let residual: Vec<f64> =
                        measurement.observed().iter().zip(seen).map(|(y, seen)| y - seen).collect();
                    system.continued(&residual, &mut history)
                }
            };
            let correction = self.unscaled(correction);
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

    /// P e of every row, e ~ N(0, v (I - K A)): `[n, d]`. P is K A of an estimate with the variance `prior`. By Matheron's
    /// rule e = x - K (A x + n) with x ~ N(0, v I) and n ~ N(0, Σ_y), the noise of an observation of nothing. The normal
    /// numbers of row i come from `stream(i)`.
    pub fn remainder(&self, v: f64, prior: f64, stream: &(dyn Fn(usize) -> Stream + Sync)) -> Samples {
        let d = self.standardizer.mean.len();
        self.rows(&Samples::zeros(self.measurements.len(), d), |i, nothing| {
            let (mut stream, mut x) = (stream(i), vec![0.0f32; d]);
            stream.fill_normal(&mut x);
            x.iter_mut().for_each(|x| *x *= v.sqrt() as f32);
            let mut seen = self.seen(i, &x);
            let noise = self.drawn(i, nothing, &mut stream);
            let floor = |stream: &mut Stream| MIN_STD * f64::from(stream.normal());
            seen.iter_mut().zip(noise).for_each(|(seen, n)| *seen += f64::from(n) + floor(&mut stream));
            let squares = self.squares();
            let correction = self.unscaled(self.system(i, &squares, v, v * d as f64).correction(&seen));
            let e: Vec<f32> = x.iter().zip(correction).map(|(x, c)| (f64::from(*x) - c) as f32).collect();
            narrow(&self.measured_part(i, &e, prior))
        })
    }

    /// n ~ N(0, Σ_y) of row i: what an observation of `nothing` shows, or, where its noise is not that of the linear form,
    /// independent values of its variance.
    fn drawn(&self, i: usize, nothing: &[f32], stream: &mut Stream) -> Vec<f32> {
        let (a, m) = (self.measurements[i].operator(), self.linear.observation_len());
        let mut noise = vec![0.0f32; m];
        if self.linear.is_exact() {
            self.linear.observe(nothing, a, stream, &mut noise);
            return noise;
        }
        let mut variance = vec![0.0; m];
        self.linear.write_noise_variance(a, &mut variance);
        noise.iter_mut().zip(variance).for_each(|(n, v)| *n = v.sqrt() as f32 * stream.normal());
        noise
    }

    /// y - A μ of every row, `[n, m]`.
    pub fn observed(&self) -> Samples {
        let rows = self.measurements.iter().flat_map(|measurement| narrow(measurement.observed()));
        Samples::new(rows.collect(), self.linear.observation_len())
    }

    /// A L x of every row: `x [n, d]` -> `[n, m]`.
    pub fn apply(&self, x: &Samples) -> Samples {
        self.rows(x, |i, x| narrow(&self.seen(i, x)))
    }

    /// Lᵀ Aᵀ v of every row: `v [n, m]` -> `[n, d]`.
    pub fn adjoint(&self, v: &Samples) -> Samples {
        self.rows(v, |i, v| {
            let mut x = vec![0.0f32; self.linear.signal_len()];
            self.linear.adjoint(self.measurements[i].operator(), v, &mut x);
            x.iter_mut().zip(&self.standardizer.root).for_each(|(x, l)| *x = (f64::from(*x) * l) as f32);
            x
        })
    }

    /// Σ_y v of every row `[m]`.
    pub fn noise(&self, v: &Samples) -> Samples {
        self.rows(v, |i, v| {
            let mut out = vec![0.0f32; v.len()];
            self.linear.apply_noise(self.measurements[i].operator(), v, &mut out);
            out.iter_mut().zip(v).for_each(|(out, v)| *out += (MIN_STD * MIN_STD) as f32 * v);
            out
        })
    }

    fn rows(&self, x: &Samples, f: impl Fn(usize, &[f32]) -> Vec<f32> + Sync + Send) -> Samples {
        let rows = parallel::map(x.n(), |i| f(i, x.row(i)));
        let width = rows.first().map_or(x.d(), Vec::len);
        Samples::new(rows.concat(), width)
    }

    /// K A x.
    fn measured_part(&self, i: usize, x: &[f32], v: f64) -> Vec<f64> {
        let size = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let squares = self.squares();
        let system = self.system(i, &squares, v, size);
        let part = match system.in_signal_space() {
            Some(space) => space.solve(&space.seen(&self.scaled(x)), &mut History::default()),
            None => system.correction(&self.seen(i, x)),
        };
        self.unscaled(part)
    }

    /// L x.
    fn scaled(&self, x: &[f32]) -> Vec<f64> {
        x.iter().zip(&self.standardizer.root).map(|(x, l)| f64::from(*x) * l).collect()
    }

    /// L⁻¹ x.
    fn unscaled(&self, mut x: Vec<f64>) -> Vec<f64> {
        x.iter_mut().zip(&self.standardizer.root).for_each(|(x, l)| *x /= l);
        x
    }

    /// A L x.
    fn seen(&self, i: usize, x: &[f32]) -> Vec<f64> {
        let mut seen = vec![0.0f32; self.measurements[i].observed().len()];
        self.linear.apply(self.measurements[i].operator(), &narrow(&self.scaled(x)), &mut seen);
        wide(&seen)
    }

    /// The diagonal of L Lᵀ.
    fn squares(&self) -> Vec<f64> {
        self.standardizer.root.iter().map(|l| l * l).collect()
    }

    /// The system of row `i`, where the signal's covariance is v L Lᵀ with the diagonal `squares` of L Lᵀ. `size` is the
    /// squared norm that the tolerance refers to.
    fn system<'s>(&'s self, i: usize, squares: &'s [f64], v: f64, size: f64) -> System<'s> {
        let SolverConfig { iterations, tolerance } = self.solver;
        System {
            linear: self.linear,
            a: self.measurements[i].operator(),
            covariance: Covariance::Diagonal(squares),
            scale: v,
            floor: MIN_STD * MIN_STD,
            stop: Stop::error(iterations, tolerance * tolerance * size, v),
        }
    }
}

#[cfg(test)]
mod tests;
