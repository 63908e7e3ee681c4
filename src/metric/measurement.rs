//! How well signals explain their observations, without the truth: for a linear channel y = A x + n, n ~ N(0,
//! Σ_y),
//!
//! ```text
//! χ² = Σ_i (y_i - A_i x_i)ᵀ Σ_y⁻¹ (y_i - A_i x_i) / M
//! ```
//!
//! Here M is the number of measurements, over all observations, that are informative about x and noisy:
//! neither their row of A is zero (as it is for masked coordinates) nor their variance. The truth has χ² = 1
//! up to sqrt(2 / M); a smaller value fits the noise, and a larger one contradicts the measurements.

use crate::channel::{Channel, LinearChannel, SpectralChannel, Spectrum, narrow, wide};
use crate::conditioning::MAX_DENSE;
use crate::error::{Error, Result};
use crate::gaussian::{Stop, conjugate_gradient};
use crate::{Observations, Samples, parallel};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// χ² of a set of signals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasurementFit {
    /// χ² per measurement; 1 for the truth.
    pub chi2: f64,
    /// Number of measurements M.
    pub measurements: usize,
}

impl MeasurementFit {
    /// χ² of `x [n, d]` for the n observations `seen` of `channel`; `None` for a channel that is not linear
    /// or has no noise. The cost is n d for a diagonal channel, two transforms
    /// per observation for a spectral one, conjugate gradient beyond 256 values, otherwise n m³, or n m² + m³ if the noise is
    /// the same for all observations.
    ///
    /// # Errors
    /// Arrays that do not fit, a noise covariance without an inverse.
    pub fn of(channel: &dyn Channel, seen: &Observations, x: &Samples) -> Result<Option<Self>> {
        let Some(linear) = channel.as_linear().filter(|linear| !linear.is_noiseless()) else {
            return Ok(None);
        };
        if (x.n(), x.d()) != (seen.n(), channel.signal_len()) {
            let expected = format!("[{}, {}]", seen.n(), channel.signal_len());
            return Err(Error::shape("signals x", expected, format!("[{}, {}]", x.n(), x.d())));
        }
        let parts = if linear.is_diagonal() {
            parallel::map(x.n(), |i| Ok(diagonal(linear, seen.operator(i), seen.y.row(i), x.row(i))))
        } else if let Some(spectral) = linear.as_spectral() {
            parallel::map(x.n(), |i| Ok(coefficients(spectral, seen.operator(i), seen.y.row(i), x.row(i))))
        } else if channel.observation_len() > MAX_DENSE {
            parallel::map(x.n(), |i| Ok(solved(linear, seen.operator(i), seen.y.row(i), x.row(i))))
        } else {
            let shared = (channel.operator_len() == 0).then(|| Whitener::of(linear, &[])).transpose()?;
            parallel::map(x.n(), |i| {
                let a = seen.operator(i);
                let own = if shared.is_none() { Some(Whitener::of(linear, a)?) } else { None };
                let whitener = own.as_ref().or(shared.as_ref());
                Ok(whitener.map_or((0.0, 0), |w| w.square(&residual(linear, a, seen.y.row(i), x.row(i)))))
            })
        };
        let parts = parts.into_iter().collect::<Result<Vec<(f64, usize)>>>()?;
        let (sum, measurements) = parts.iter().fold((0.0, 0), |(s, m), (square, count)| (s + square, m + count));
        Ok((measurements > 0).then(|| Self { chi2: sum / measurements as f64, measurements }))
    }
}

/// Σ_j (y_j - A_jj x_j)² / Σ_jj over the coordinates that are observed with noise, and their number.
fn diagonal(linear: &dyn LinearChannel, a: &[f32], y: &[f32], x: &[f32]) -> (f64, usize) {
    let (mut matrix, mut variance) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    linear.write_diagonal(a, &mut matrix, &mut variance);
    let noisy = (0..x.len()).filter(|&j| matrix[j] != 0.0 && variance[j] > 0.0);
    let square = |j: usize| (f64::from(y[j]) - matrix[j] * f64::from(x[j])).powi(2) / variance[j];
    noisy.map(square).fold((0.0, 0), |(sum, count), square| (sum + square, count + 1))
}

/// Σ_j (u_j - g_j (U x)_j)² / v_j over the coefficients that are observed with noise, and their number.
fn coefficients(spectral: &dyn SpectralChannel, a: &[f32], y: &[f32], x: &[f32]) -> (f64, usize) {
    let (Spectrum { gain, variance }, u) = (Spectrum::of(spectral, a), spectral.coefficients(a, y));
    let x = spectral.basis().forward(&wide(x));
    let noisy = (0..x.len()).filter(|&j| gain[j] != 0.0 && variance[j] > 0.0);
    let square = |j: usize| (u[j] - gain[j] * x[j]).powi(2) / variance[j];
    noisy.map(square).fold((0.0, 0), |(sum, count), square| (sum + square, count + 1))
}

/// rᵀ Σ_y⁻¹ r of the values of y that are noisy and not hidden, by conjugate gradient, and their number.
fn solved(linear: &dyn LinearChannel, a: &[f32], y: &[f32], x: &[f32]) -> (f64, usize) {
    let (mut variance, mut hidden) = (vec![0.0; y.len()], vec![0.0; y.len()]);
    linear.write_noise_variance(a, &mut variance);
    linear.write_hidden(a, &vec![f64::INFINITY; x.len()], &mut hidden);
    let counts: Vec<f64> =
        variance.iter().zip(&hidden).map(|(v, h)| f64::from(u8::from(*v > 0.0 && h.is_infinite()))).collect();
    let keep = |v: &[f64]| -> Vec<f64> { v.iter().zip(&counts).map(|(v, count)| v * count).collect() };
    let r = keep(&residual(linear, a, y, x));
    let noise = |v: &[f64]| {
        let mut out = vec![0.0f32; v.len()];
        linear.apply_noise(a, &narrow(v), &mut out);
        keep(&wide(&out))
    };
    let z = conjugate_gradient(&noise, &r, Stop::residual(100, 1e-6));
    (r.iter().zip(&z).map(|(r, z)| r * z).sum(), counts.iter().filter(|count| **count > 0.0).count())
}

/// y - A x.
fn residual(linear: &dyn LinearChannel, a: &[f32], y: &[f32], x: &[f32]) -> Vec<f64> {
    let mut fitted = vec![0.0f32; y.len()];
    linear.apply(a, x, &mut fitted);
    y.iter().zip(&fitted).map(|(&y, &fitted)| f64::from(y) - f64::from(fitted)).collect()
}

/// Factored Σ_y of the measurements that count.
struct Whitener {
    kept: Vec<usize>,
    factor: Cholesky<f64, Dyn>,
}

impl Whitener {
    fn of(linear: &dyn LinearChannel, a: &[f32]) -> Result<Self> {
        let (m, d) = (linear.observation_len(), linear.signal_len());
        let (mut noise, mut matrix) = (vec![0.0; m * m], vec![0.0; m * d]);
        linear.write_noise(a, &mut noise);
        linear.write_matrix(a, &mut matrix);
        let counts = |i: usize| noise[i * m + i] > 0.0 && matrix[i * d..][..d].iter().any(|v| *v != 0.0);
        let kept: Vec<usize> = (0..m).filter(|&i| counts(i)).collect();
        let covariance = DMatrix::from_fn(kept.len(), kept.len(), |i, j| noise[kept[i] * m + kept[j]]);
        let factor = Cholesky::new(covariance).ok_or_else(|| {
            Error::config("channel", "its noise covariance has no inverse; add noise after the last map")
        })?;
        Ok(Self { kept, factor })
    }

    /// rᵀ Σ_y⁻¹ r, and the number of coordinates.
    fn square(&self, residual: &[f64]) -> (f64, usize) {
        let r = DVector::from_iterator(self.kept.len(), self.kept.iter().map(|&i| residual[i]));
        (r.dot(&self.factor.solve(&r)), self.kept.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{
        ChannelConfig, Compose, Level, LinearConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig,
    };
    use crate::noise::{Key, Purpose};

    const NOISE: StageConfig = StageConfig::Noise(NoiseConfig { std: Level::Known(0.3) });

    fn simulated(stages: Vec<StageConfig>) -> (Compose, Samples, Observations) {
        let channel = ChannelConfig(stages).build(6).unwrap();
        let mut x = Samples::zeros(2000, 6);
        Key::new(1, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        (channel, x, seen)
    }

    #[test]
    fn the_truth_has_one_and_another_signal_more() {
        let channels = [
            vec![NOISE, MaskConfig { rate: 0.5 }.into()],
            vec![MaskConfig { rate: 0.5 }.into(), NOISE],
            vec![ProjectionConfig { rows: 2 }.into(), NOISE],
            vec![NOISE, LinearConfig { matrix: vec![vec![1.0, 2.0, 0.0, 0.0, 0.0, 0.5]; 1] }.into()],
        ];
        for stages in channels {
            let (channel, x, seen) = simulated(stages.clone());
            let fit = MeasurementFit::of(&channel, &seen, &x).unwrap().unwrap();
            let bound = 5.0 * (2.0 / fit.measurements as f64).sqrt();
            assert!((fit.chi2 - 1.0).abs() < bound, "{stages:?}: {fit:?}");
            let zero = MeasurementFit::of(&channel, &seen, &Samples::zeros(2000, 6)).unwrap().unwrap();
            assert!(zero.chi2 > 2.0 && zero.measurements == fit.measurements, "{stages:?}: {zero:?}");
        }
    }

    #[test]
    fn masked_coordinates_do_not_count() {
        let mask = || StageConfig::from(MaskConfig { rate: 0.5 });
        for stages in [vec![NOISE, mask()], vec![mask(), NOISE]] {
            let (channel, x, seen) = simulated(stages);
            let visible = seen.a.as_ref().unwrap().as_slice().iter().filter(|a| **a != 0.0).count();
            assert_eq!(MeasurementFit::of(&channel, &seen, &x).unwrap().unwrap().measurements, visible);
        }
    }

    /// The residual of x = 0 is y: E[y²] / Σ_y = 1 + 1 / .3² for observed coordinates, 1 for missing ones.
    #[test]
    fn the_noise_of_masked_coordinates_does_not_hide_a_wrong_signal() {
        let (channel, _, seen) = simulated(vec![MaskConfig { rate: 0.5 }.into(), NOISE]);
        let zero = MeasurementFit::of(&channel, &seen, &Samples::zeros(2000, 6)).unwrap().unwrap();
        assert!((zero.chi2 / (1.0 + 1.0 / 0.09) - 1.0).abs() < 0.1, "{zero:?}");
    }

    /// One of the two rows reads a single coordinate, which is often masked, and the other reads
    /// coordinates 1 and 2.
    #[test]
    fn rows_that_see_masked_coordinates_only_do_not_count() {
        let matrix = vec![vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0], vec![0.0, 1.0, 1.0, 0.0, 0.0, 0.0]];
        let (channel, x, seen) =
            simulated(vec![MaskConfig { rate: 0.5 }.into(), LinearConfig { matrix }.into(), NOISE]);
        let rows = |a: &[f32]| usize::from(a[0] != 0.0) + usize::from(a[1] != 0.0 || a[2] != 0.0);
        let visible: usize = seen.a.as_ref().unwrap().rows().map(rows).sum();
        let fit = MeasurementFit::of(&channel, &seen, &x).unwrap().unwrap();
        assert_eq!(fit.measurements, visible);
        assert!((fit.chi2 - 1.0).abs() < 5.0 * (2.0 / visible as f64).sqrt(), "{fit:?}");
    }

    #[test]
    fn without_noise_there_is_none() {
        let (channel, x, seen) = simulated(vec![MaskConfig { rate: 0.5 }.into()]);
        assert_eq!(MeasurementFit::of(&channel, &seen, &x).unwrap(), None);
        let (channel, x, seen) = simulated(vec![NOISE]);
        assert!(MeasurementFit::of(&channel, &seen, &x.slice(0..3)).is_err());
    }
}
