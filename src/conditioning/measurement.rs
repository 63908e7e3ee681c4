//! Linear-Gaussian form of one observation, and how it updates an estimate.

use crate::basis::Basis;
use crate::gaussian::History;
use crate::scratch::with_scratch;
use std::sync::{Mutex, OnceLock};

/// Maximum length of signals for which linear channels get their measurement update, geometry features and standardized
/// directions from matrices, each of which needs d x d numbers per observation. For longer signals conjugate gradient
/// takes their place. Channels that are diagonal, in their coordinates or in a basis of images, need neither.
pub const MAX_DENSE: usize = 256;

/// Minimum noise standard deviation of an observation, in units of the scaled signal: keeps noiseless
/// channels invertible.
pub(super) const MIN_STD: f64 = 1e-4;

/// Layout of the matrix K A of a measurement update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorStructure {
    /// No update.
    None,
    /// K A is diagonal: d values.
    Diagonal,
    /// K A is diagonal in the basis of [`super::Conditioning::basis`]: d values, and K y is
    /// given in that basis.
    Spectral,
    /// K A is full: d x d values.
    Dense,
    /// K A is diagonal along the singular vectors of an operator that all observations share: a value per vector, in
    /// which K y is given.
    Shared,
    /// K A is applied by conjugate gradient: no values.
    MatrixFree,
}

/// Linear-Gaussian form of one observation, ready for updates at any noise level. A single allocation holds
/// all of it, because an M-step creates one per example.
pub struct Measurement {
    /// A, then Σ_y, then y - A μ.
    values: Vec<f64>,
    /// Length m of an observation.
    m: usize,
    pub(super) structure: OperatorStructure,
    /// Parameters of the operator; empty unless it is matrix-free.
    operator: Vec<f32>,
    /// Where the next update of a matrix-free measurement begins. One worker at a time updates a row.
    pub(super) history: Mutex<History>,
    /// Aᵀ (y - A μ) of a matrix-free measurement, once it was needed.
    pub(super) back: OnceLock<Vec<f64>>,
}

/// References to the parts of a measurement. Diagonal, spectral and shared: the diagonal of A and the variances,
/// `[d]` each. Dense: A, `[m, d]`, and Σ_y, `[m, m]`, row by row. In all cases y - A μ, `[m]` (its
/// coefficients if spectral).
pub(super) struct Parts<'a> {
    pub(super) matrix: &'a mut [f64],
    pub(super) noise: &'a mut [f64],
    pub(super) y: &'a mut [f64],
}

/// Replaces `b [m, d]` and `z [m]` by L⁻¹ b and L⁻¹ z, by Cholesky and forward substitution, row by row.
/// `e [m, m]` = L Lᵀ, of which only the lower triangle is read, becomes L.
fn forward_substitute(e: &mut [f64], b: &mut [f64], z: &mut [f64]) {
    let m = z.len();
    let d = b.len() / m.max(1);
    for i in 0..m {
        for j in 0..i {
            let dot: f64 = (0..j).map(|k| e[i * m + k] * e[j * m + k]).sum();
            let l = (e[i * m + j] - dot) / e[j * m + j];
            e[i * m + j] = l;
            z[i] -= l * z[j];
            let (done, row) = b.split_at_mut(i * d);
            row[..d].iter_mut().zip(&done[j * d..(j + 1) * d]).for_each(|(x, y)| *x -= l * y);
        }
        let dot: f64 = (0..i).map(|k| e[i * m + k] * e[i * m + k]).sum();
        let pivot = (e[i * m + i] - dot).max(f64::MIN_POSITIVE).sqrt();
        e[i * m + i] = pivot;
        z[i] /= pivot;
        b[i * d..(i + 1) * d].iter_mut().for_each(|x| *x /= pivot);
    }
}

impl Measurement {
    /// A measurement of zeros, to be filled through [`Measurement::parts`].
    pub(super) fn zeros(structure: OperatorStructure, m: usize, d: usize) -> Self {
        let (matrix, noise) = if structure == OperatorStructure::Dense { (m * d, m * m) } else { (d, d) };
        Self {
            values: vec![0.0; matrix + noise + m],
            m,
            structure,
            operator: Vec::new(),
            history: Mutex::default(),
            back: OnceLock::new(),
        }
    }

    /// A matrix-free measurement: the parameters of its operator and y - A μ.
    pub(super) fn matrix_free(operator: Vec<f32>, y: Vec<f64>) -> Self {
        let (structure, history, back) = (OperatorStructure::MatrixFree, Mutex::default(), OnceLock::new());
        Self { m: y.len(), values: y, structure, operator, history, back }
    }

    /// Parameters of a matrix-free operator.
    pub(super) fn operator(&self) -> &[f32] {
        &self.operator
    }

    /// y - A μ of a matrix-free measurement.
    pub(super) fn observed(&self) -> &[f64] {
        &self.values
    }

    /// Offsets of Σ_y and y.
    fn starts(&self) -> (usize, usize) {
        let noise = if self.structure == OperatorStructure::Dense { self.m * self.m } else { self.m };
        let y = self.values.len() - self.m;
        (y - noise, y)
    }

    fn split(&self) -> (&[f64], &[f64], &[f64]) {
        if self.structure == OperatorStructure::MatrixFree {
            return (&[], &[], &self.values);
        }
        let (noise, y) = self.starts();
        (&self.values[..noise], &self.values[noise..y], &self.values[y..])
    }

    pub(super) fn parts(&mut self) -> Parts<'_> {
        let (noise, y) = self.starts();
        let (rest, y) = self.values.split_at_mut(y);
        let (matrix, noise) = rest.split_at_mut(noise);
        Parts { matrix, noise, y }
    }

    fn matrix(&self) -> &[f64] {
        self.split().0
    }

    fn noise(&self) -> &[f64] {
        self.split().1
    }

    fn y(&self) -> &[f64] {
        self.split().2
    }

    /// Drops the rows of a dense measurement that are zero in A, such as masked coordinates.
    pub(super) fn drop_silent_rows(&mut self, d: usize) {
        let (m, (matrix, noise, y)) = (self.m, self.split());
        let seen = |i: &usize| matrix[i * d..(i + 1) * d].iter().any(|v| *v != 0.0);
        if (0..m).all(|i| seen(&i)) {
            return;
        }
        let kept: Vec<usize> = (0..m).filter(seen).collect();
        let rows = kept.iter().flat_map(|&i| &matrix[i * d..(i + 1) * d]);
        let pairs = kept.iter().flat_map(|&i| kept.iter().map(move |&j| &noise[i * m + j]));
        self.values = rows.chain(pairs).chain(kept.iter().map(|&i| &y[i])).copied().collect();
        self.m = kept.len();
    }

    /// Layout of K A.
    pub fn structure(&self) -> OperatorStructure {
        self.structure
    }

    /// The measurement with unit noise: L⁻¹ A (laid out like A) and L⁻¹ y, with Σ_y = L Lᵀ.
    pub(crate) fn whitened(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut matrix, mut y) = (self.matrix().to_vec(), self.y().to_vec());
        match self.structure {
            OperatorStructure::None | OperatorStructure::MatrixFree => {}
            OperatorStructure::Diagonal | OperatorStructure::Spectral | OperatorStructure::Shared => {
                for ((a, y), variance) in matrix.iter_mut().zip(&mut y).zip(self.noise()) {
                    let scale = 1.0 / variance.sqrt();
                    (*a, *y) = (*a * scale, *y * scale);
                }
            }
            OperatorStructure::Dense => forward_substitute(&mut self.noise().to_vec(), &mut matrix, &mut y),
        }
        (matrix, y)
    }

    /// Largest squared gain per variance of the noise, |a|²/s² over the rows a of A: 1/s² of the most precise
    /// measurement.
    pub(crate) fn precision(&self) -> f64 {
        let (matrix, y) = self.whitened();
        let width = matrix.len() / y.len().max(1);
        let squares = matrix.chunks_exact(width.max(1)).map(|row| row.iter().map(|v| v * v).sum::<f64>());
        squares.fold(0.0, f64::max)
    }

    /// Writes the least-norm solution A⁺ y `[d]`, then the upper triangle of the projector A⁺ A, as
    /// the update of an estimate that is much less certain than the observation (variance 1 in
    /// standardized coordinates).
    pub(super) fn write_geometry(&self, d: usize, out: &mut [f32]) {
        let (solution, upper) = out.split_at_mut(d);
        with_scratch(d * d, |projector| {
            self.update(1.0, projector, solution);
            let places = (0..d).flat_map(|i| (i..d).map(move |j| i * d + j));
            upper.iter_mut().zip(places).for_each(|(out, place)| *out = projector[place]);
        });
    }

    /// Writes the update of the estimate 0 into `out [d]`. Its variance is 1 or, in the basis of a spectral
    /// measurement, the spectrum `power`.
    pub(super) fn write_solution(&self, basis: Option<&Basis>, power: Option<&[f64]>, out: &mut [f32]) {
        let len = if self.structure == OperatorStructure::Dense { out.len() * out.len() } else { out.len() };
        with_scratch(len, |ka| match power {
            Some(power) => self.update_each(power, ka, out),
            None => self.update(1.0, ka, out),
        });
        if let Some(basis) = basis {
            let image = basis.inverse(&out.iter().map(|&v| v as f64).collect::<Vec<_>>());
            out.iter_mut().zip(image).for_each(|(out, v)| *out = v as f32);
        }
    }

    /// Writes y / a for each coordinate of a diagonal measurement, and 0 for missing coordinates.
    pub(super) fn write_estimates(&self, out: &mut [f32]) {
        for ((out, &a), &y) in out.iter_mut().zip(self.matrix()).zip(self.y()) {
            *out = if a == 0.0 { 0.0 } else { (y / a) as f32 };
        }
    }

    /// Writes K A (laid out as in [`OperatorStructure`]) and K y `[d]` for an estimate of variance `v`; a
    /// spectral measurement writes their coefficients.
    pub fn update(&self, v: f64, ka: &mut [f32], ky: &mut [f32]) {
        match self.structure {
            OperatorStructure::None | OperatorStructure::MatrixFree => {}
            OperatorStructure::Diagonal | OperatorStructure::Spectral | OperatorStructure::Shared => {
                self.diagonal_update(|_| v, ka, ky);
            }
            OperatorStructure::Dense => self.dense_update(v, ka, ky),
        }
    }

    /// [`Measurement::update`] of a diagonal, spectral or shared measurement for an estimate with variances `v`, `[d]`.
    pub fn update_each(&self, v: &[f64], ka: &mut [f32], ky: &mut [f32]) {
        debug_assert!(!matches!(self.structure, OperatorStructure::Dense | OperatorStructure::MatrixFree));
        self.diagonal_update(|j| v[j], ka, ky);
    }

    fn diagonal_update(&self, v: impl Fn(usize) -> f64, ka: &mut [f32], ky: &mut [f32]) {
        let (matrix, noise, y) = self.split();
        for (j, (ka, ky)) in ka.iter_mut().zip(ky).enumerate() {
            let (a, v) = (matrix[j], v(j));
            let k = v * a / (v * a * a + noise[j]);
            (*ka, *ky) = ((k * a) as f32, (k * y[j]) as f32);
        }
    }

    /// K A = v Aᵀ E⁻¹ A and K y = v Aᵀ E⁻¹ y with E = v A Aᵀ + Σ_y = L Lᵀ: with B = L⁻¹ A and z = L⁻¹ y they
    /// are v Bᵀ B and v Bᵀ z.
    fn dense_update(&self, v: f64, ka: &mut [f32], ky: &mut [f32]) {
        let (m, d) = (self.m, ky.len());
        // An M-step runs this twice per example.
        with_scratch(m * m + m * d + m + d, |scratch| self.dense_update_in(scratch, v, ka, ky));
    }

    fn dense_update_in(&self, scratch: &mut [f64], v: f64, ka: &mut [f32], ky: &mut [f32]) {
        let (m, d) = (self.m, ky.len());
        let (matrix, noise, y) = self.split();
        let (e, rest) = scratch.split_at_mut(m * m);
        let (b, rest) = rest.split_at_mut(m * d);
        let (z, sums) = rest.split_at_mut(m);
        e.copy_from_slice(noise);
        b.copy_from_slice(matrix);
        z.copy_from_slice(y);
        for i in 0..m {
            for j in 0..=i {
                let (ri, rj) = (&matrix[i * d..(i + 1) * d], &matrix[j * d..(j + 1) * d]);
                e[i * m + j] += v * ri.iter().zip(rj).map(|(x, y)| x * y).sum::<f64>();
            }
        }
        forward_substitute(e, b, z);
        // v Σ_r w_r B_r: a row of v Bᵀ B for a column w of B, v Bᵀ z for w = z.
        let mut combine = |weight: &dyn Fn(usize) -> f64, out: &mut [f32]| {
            sums.fill(0.0);
            for (r, row) in b.chunks_exact(d).enumerate() {
                let weight = weight(r);
                sums.iter_mut().zip(row).for_each(|(sum, b)| *sum += weight * b);
            }
            out.iter_mut().zip(sums.iter()).for_each(|(out, sum)| *out = (v * sum) as f32);
        };
        ka.chunks_exact_mut(d).enumerate().for_each(|(p, row)| combine(&|r| b[r * d + p], row));
        combine(&|r| z[r], ky);
    }
}
