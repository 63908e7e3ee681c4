//! How an observation enters the denoiser: the features c(y, a) that the network sees, and, for linear channels with
//! Gaussian noise, a measurement update of its output.
//!
//! EDM's denoiser D₀ = c_skip x_t + c_out F leaves the network to learn A x = y from examples: for operators that differ from
//! observation to observation that takes most of its capacity. Here D₀ is taken for a Gaussian estimate of x with variance
//! v = c_out² (which it is for F = 0 under x ~ N(0, σ_d² I)) and updated by the observation, as in a Kalman filter:
//!
//! ```text
//! D = D₀ + K (y - A D₀),   K = v Aᵀ (v A Aᵀ + Σ_y)⁻¹,   v = σ² σ_d² / (σ² + σ_d²)
//! ```
//!
//! As σ falls below the noise, K vanishes and the network has the last word. The loss and the samplers stay as they are; a
//! channel without a linear-Gaussian form gets no update.

use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::frame::{Frame, Standardise};
use crate::rivals::{AmbientConfig, MmpsConfig};
use serde::{Deserialize, Serialize};

/// Least standard deviation ascribed to an observation, in units of the scaled signal: keeps noiseless channels invertible.
const LEAST_STD: f64 = 1e-4;

/// Longest signal for which dense linear channels get a measurement update, geometry features and standardised directions:
/// each needs d x d numbers an observation. Longer ones are shown y and a as they are; diagonal channels have no limit.
pub const MOST_DENSE: usize = 256;

/// What the network is shown of an observation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The observation y and its operator's parameters a, as they are.
    Observation,
    /// For dense linear channels what (y, A) say of x whatever the order, sign and scale of A's rows: the least-norm solution
    /// A⁺ y and the projector A⁺ A. For all others y and a.
    #[default]
    Geometry,
}

/// How the posterior comes about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The network is trained as the posterior: it is shown the observation.
    #[default]
    Diffem,
    /// The network is trained as the prior and guided to the observation when it samples, see [`crate::rivals::Mmps`]; `features`
    /// and `measurement_update` do not apply.
    EmMmps,
    /// For masks: the network is trained on the observations alone, hidden further, see [`crate::rivals::AmbientConfig`].
    /// Reconstructions are made, but not trained on.
    Ambient,
}

/// How an observation enters the denoiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConditioningConfig {
    /// DiffEM or a rival.
    pub method: Method,
    /// What the network is shown.
    pub features: Features,
    /// Coordinates in which the diffusion runs, from the moments of the first reconstructions.
    pub standardise: Standardise,
    /// Updates the network's estimate by the observation (linear channels with Gaussian noise).
    pub measurement_update: bool,
    /// Moment matching of `em-mmps`.
    pub mmps: MmpsConfig,
    /// Settings of `ambient`.
    pub ambient: AmbientConfig,
}

impl ConditioningConfig {
    /// Checks the ranges, and that the method suits `channel`.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        self.mmps.validate("conditioning.mmps")?;
        self.ambient.validate("conditioning.ambient")?;
        let refuse = |name: &str, needed: String| {
            Err(Error::config("conditioning.method", format!("\"{name}\" needs {needed}")))
        };
        let masks = channel.as_linear().is_some_and(|linear| linear.is_diagonal()) && channel.operator_len() > 0;
        match self.method {
            Method::EmMmps if form(channel, true) == Shape::None => {
                let needed =
                    format!("a linear channel with Gaussian noise, diagonal or of at most {MOST_DENSE} values");
                refuse("em-mmps", needed)
            }
            Method::Ambient if !masks => refuse("ambient", "a channel of masks, with or without noise".into()),
            _ => Ok(()),
        }
    }
}

impl Default for ConditioningConfig {
    fn default() -> Self {
        Self {
            method: Method::Diffem,
            features: Features::Geometry,
            standardise: Standardise::Auto,
            measurement_update: true,
            mmps: MmpsConfig::default(),
            ambient: AmbientConfig::default(),
        }
    }
}

/// A channel together with how its observations enter the denoiser.
#[derive(Clone, Copy)]
pub struct Conditioning<'a> {
    /// The channel.
    pub channel: &'a dyn Channel,
    /// Settings.
    pub config: &'a ConditioningConfig,
    /// Coordinates of the signal; A and y are taken to them as A L and y - A μ.
    pub frame: &'a Frame,
}

fn geometric(channel: &dyn Channel, config: &ConditioningConfig) -> bool {
    let dense = channel.as_linear().is_some_and(|linear| !linear.is_diagonal());
    dense && channel.signal_len() <= MOST_DENSE && config.features == Features::Geometry
}

/// Number of features that the network sees of an observation.
pub fn feature_len(channel: &dyn Channel, config: &ConditioningConfig) -> usize {
    let d = channel.signal_len();
    match config.method {
        Method::Diffem => {}
        Method::EmMmps => return 0,
        Method::Ambient => return d,
    }
    if geometric(channel, config) { d + d * (d + 1) / 2 } else { channel.condition_len() }
}

/// Layout of the matrix K A of a measurement update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No update.
    None,
    /// K A is diagonal: d values.
    Diagonal,
    /// K A is full: d x d values.
    Dense,
}

fn form(channel: &dyn Channel, diagonal_frame: bool) -> Shape {
    match channel.as_linear() {
        Some(linear) if linear.is_diagonal() && diagonal_frame => Shape::Diagonal,
        Some(linear) if linear.signal_len() <= MOST_DENSE => Shape::Dense,
        _ => Shape::None,
    }
}

/// Linear-Gaussian form of one observation, ready for updates at any noise level.
pub struct Measurement {
    /// Diagonal: A's diagonal `[d]`; dense: A row by row, `[m, d]`.
    matrix: Vec<f64>,
    /// Diagonal: variances `[d]`; dense: Σ_y row by row, `[m, m]`.
    noise: Vec<f64>,
    y: Vec<f64>,
    shape: Shape,
}

impl<'a> Conditioning<'a> {
    /// Shape of the linear-Gaussian form of an observation.
    fn form(&self) -> Shape {
        form(self.channel, self.frame.is_diagonal())
    }

    /// Number of features.
    pub fn feature_len(&self) -> usize {
        feature_len(self.channel, self.config)
    }

    /// Writes the features of (y, a) into `features` and returns the measurement for updates; `None` where there is no
    /// update.
    pub fn condition(&self, y: &[f32], a: &[f32], features: &mut [f32]) -> Option<Measurement> {
        if self.config.method != Method::Diffem {
            return None;
        }
        let needed = self.config.measurement_update || self.config.features == Features::Geometry;
        let measurement = needed.then(|| self.measurement(y, a)).flatten();
        match measurement.as_ref().filter(|_| self.config.features == Features::Geometry) {
            Some(measurement) if geometric(self.channel, self.config) => {
                measurement.write_geometry(self.channel.signal_len(), features);
            }
            Some(measurement) if measurement.shape == Shape::Diagonal => {
                self.channel.condition(y, a, features);
                measurement.write_estimates(&mut features[..y.len()]);
            }
            _ => self.channel.condition(y, a, features),
        }
        measurement.filter(|_| self.config.measurement_update)
    }

    /// The linear-Gaussian form of (y, a), if the channel has one.
    pub(crate) fn measurement(&self, y: &[f32], a: &[f32]) -> Option<Measurement> {
        let (linear, shape) = (self.channel.as_linear()?, self.form());
        let mut y: Vec<f64> = y.iter().map(|&v| v as f64).collect();
        let (m, d) = (y.len(), self.channel.signal_len());
        let floor = LEAST_STD * LEAST_STD;
        let (mut matrix, mut noise) = match shape {
            Shape::None => return None,
            Shape::Diagonal => (vec![0.0; d], vec![0.0; d]),
            Shape::Dense => (vec![0.0; m * d], vec![0.0; m * m]),
        };
        if shape == Shape::Diagonal {
            linear.write_diagonal(a, &mut matrix, &mut noise);
            y.iter_mut().zip(&matrix).zip(&self.frame.mean).for_each(|((y, a), mean)| *y -= a * mean);
            noise.iter_mut().for_each(|v| *v += floor);
        } else {
            linear.write_matrix(a, &mut matrix);
            let mean = &self.frame.mean;
            let shift = |row: &[f64]| row.iter().zip(mean).map(|(a, mean)| a * mean).sum::<f64>();
            y.iter_mut().zip(matrix.chunks_exact(d)).for_each(|(y, row)| *y -= shift(row));
            linear.write_noise(a, &mut noise);
            (0..m).for_each(|i| noise[i * m + i] += floor);
            drop_silent_rows(&mut matrix, &mut noise, &mut y, d);
        }
        self.frame.compose(&mut matrix, shape == Shape::Diagonal);
        Some(Measurement { matrix, noise, y, shape })
    }
}

/// Drops the measurements that see nothing, such as masked coordinates.
fn drop_silent_rows(matrix: &mut Vec<f64>, noise: &mut Vec<f64>, y: &mut Vec<f64>, d: usize) {
    let m = y.len();
    let kept: Vec<usize> = (0..m).filter(|&i| matrix[i * d..(i + 1) * d].iter().any(|v| *v != 0.0)).collect();
    if kept.len() == m {
        return;
    }
    *matrix = kept.iter().flat_map(|&i| matrix[i * d..(i + 1) * d].to_vec()).collect();
    *noise = kept.iter().flat_map(|&i| kept.iter().map(|&j| noise[i * m + j]).collect::<Vec<_>>()).collect();
    *y = kept.iter().map(|&i| y[i]).collect();
}

/// L⁻¹ b and L⁻¹ z in place of `b [m, d]` and `z [m]` by Cholesky and forward substitution, row by row; `e [m, m]` = L Lᵀ, of
/// which the lower triangle is read, becomes L.
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
    /// Layout of K A.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The measurement with unit noise: L⁻¹ A (laid out like A) and L⁻¹ y, with Σ_y = L Lᵀ.
    pub(crate) fn whitened(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut matrix, mut y) = (self.matrix.clone(), self.y.clone());
        match self.shape {
            Shape::None => {}
            Shape::Diagonal => {
                for ((a, y), variance) in matrix.iter_mut().zip(&mut y).zip(&self.noise) {
                    let scale = 1.0 / variance.sqrt();
                    (*a, *y) = (*a * scale, *y * scale);
                }
            }
            Shape::Dense => forward_substitute(&mut self.noise.clone(), &mut matrix, &mut y),
        }
        (matrix, y)
    }

    /// The least-norm solution A⁺ y `[d]`, then the upper triangle of the projector A⁺ A: the update of an estimate that is
    /// much less certain than the observation (variance 1 in standardised coordinates).
    fn write_geometry(&self, d: usize, out: &mut [f32]) {
        let (solution, upper) = out.split_at_mut(d);
        let mut projector = vec![0.0f32; d * d];
        self.update(1.0, &mut projector, solution);
        let places = (0..d).flat_map(|i| (i..d).map(move |j| i * d + j));
        upper.iter_mut().zip(places).for_each(|(out, place)| *out = projector[place]);
    }

    /// y / a of each coordinate of a diagonal measurement; 0 for what is missing.
    fn write_estimates(&self, out: &mut [f32]) {
        for ((out, &a), &y) in out.iter_mut().zip(&self.matrix).zip(&self.y) {
            *out = if a == 0.0 { 0.0 } else { (y / a) as f32 };
        }
    }

    /// Writes K A (shape as declared) and K y `[d]` for an estimate of variance `v`.
    pub fn update(&self, v: f64, ka: &mut [f32], ky: &mut [f32]) {
        match self.shape {
            Shape::None => {}
            Shape::Diagonal => {
                for (j, (ka, ky)) in ka.iter_mut().zip(ky).enumerate() {
                    let a = self.matrix[j];
                    let k = v * a / (v * a * a + self.noise[j]);
                    (*ka, *ky) = ((k * a) as f32, (k * self.y[j]) as f32);
                }
            }
            Shape::Dense => self.dense_update(v, ka, ky),
        }
    }

    /// K A = v Aᵀ E⁻¹ A and K y = v Aᵀ E⁻¹ y with E = v A Aᵀ + Σ_y = L Lᵀ: with B = L⁻¹ A and z = L⁻¹ y they are
    /// v Bᵀ B and v Bᵀ z.
    fn dense_update(&self, v: f64, ka: &mut [f32], ky: &mut [f32]) {
        let (m, d) = (self.y.len(), ky.len());
        let (mut b, mut z) = (self.matrix.clone(), self.y.clone());
        let mut e = self.noise.clone();
        for i in 0..m {
            for j in 0..=i {
                let (ri, rj) = (&self.matrix[i * d..(i + 1) * d], &self.matrix[j * d..(j + 1) * d]);
                e[i * m + j] += v * ri.iter().zip(rj).map(|(x, y)| x * y).sum::<f64>();
            }
        }
        forward_substitute(&mut e, &mut b, &mut z);
        let (mut ba, mut bz) = (vec![0.0; d * d], vec![0.0; d]);
        for (row, z) in b.chunks_exact(d).zip(&z) {
            bz.iter_mut().zip(row).for_each(|(sum, b)| *sum += b * z);
            for (sums, b) in ba.chunks_exact_mut(d).zip(row) {
                sums.iter_mut().zip(row).for_each(|(sum, c)| *sum += b * c);
            }
        }
        ka.iter_mut().zip(&ba).for_each(|(ka, sum)| *ka = (v * sum) as f32);
        ky.iter_mut().zip(&bz).for_each(|(ky, sum)| *ky = (v * sum) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{ChannelConfig, StageConfig};
    use crate::gaussian::Gaussian;
    use crate::noise::{Key, Purpose};
    use crate::{Observations, Samples};

    /// The update of an estimate with variance v is the exact Gaussian posterior mean.
    fn agrees(stages: Vec<StageConfig>, shape: Shape) {
        let (d, v) = (4, 0.7f64);
        let channel = ChannelConfig(stages).build(d).unwrap();
        let frame = Frame::identity(d);
        let conditioning = Conditioning { channel: &channel, config: &ConditioningConfig::default(), frame: &frame };
        assert_eq!(conditioning.form(), shape);
        let x = Samples::new(vec![0.3, -1.0, 0.8, 0.1], d);
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        let size = if shape == Shape::Dense { d * d } else { d };
        let (mut ka, mut ky) = (vec![0.0; size], vec![0.0; d]);
        let mut features = vec![0.0; conditioning.feature_len()];
        let measurement = conditioning.condition(seen.y.row(0), seen.operator(0), &mut features).unwrap();
        measurement.update(v, &mut ka, &mut ky);
        let estimate = [0.5f32, 0.2, -0.4, 1.0];
        let mean = nalgebra::DVector::from_iterator(d, estimate.iter().map(|&e| e as f64));
        let prior = Gaussian { mean, covariance: nalgebra::DMatrix::identity(d, d) * v };
        let exact = prior.posterior_of(&channel, &seen, 0).unwrap().mean;
        for p in 0..d {
            let kad: f32 = match shape {
                Shape::Dense => (0..d).map(|q| ka[p * d + q] * estimate[q]).sum(),
                _ => ka[p] * estimate[p],
            };
            let updated = estimate[p] + ky[p] - kad;
            assert!((updated as f64 - exact[p]).abs() < 1e-5, "{shape:?} coordinate {p}: {updated} {}", exact[p]);
        }
    }

    #[test]
    fn updates_are_the_exact_gaussian_posterior() {
        agrees(vec![StageConfig::Projection { rows: 2 }, StageConfig::Noise { std: 0.1 }], Shape::Dense);
        agrees(vec![StageConfig::Noise { std: 0.2 }, StageConfig::Projection { rows: 3 }], Shape::Dense);
        agrees(vec![StageConfig::Mask { rate: 0.5 }, StageConfig::Noise { std: 0.1 }], Shape::Diagonal);
        agrees(vec![StageConfig::Noise { std: 0.1 }, StageConfig::Mask { rate: 0.5 }], Shape::Diagonal);
    }

    #[test]
    fn geometry_does_not_depend_on_the_order_and_sign_of_the_rows() {
        let channel = ChannelConfig(vec![StageConfig::Projection { rows: 2 }]).build(3).unwrap();
        let frame = Frame::identity(3);
        let conditioning = Conditioning { channel: &channel, config: &ConditioningConfig::default(), frame: &frame };
        let features = |y: [f32; 2], a: [f32; 6]| {
            let mut out = vec![0.0; conditioning.feature_len()];
            conditioning.condition(&y, &a, &mut out);
            out
        };
        let one = features([0.5, -0.3], [1.0, 0.0, 0.0, 0.6, 0.8, 0.0]);
        let other = features([0.3, 0.5], [-0.6, -0.8, 0.0, 1.0, 0.0, 0.0]);
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-5), "{one:?} {other:?}");
        // The projector onto the first two axes.
        for (found, expected) in one[3..].iter().zip([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5);
        }
    }
}
