//! The first reconstructions X⁰.

use crate::basis::{Basis, Dct, MAX_SIDE};
use crate::channel::{Channel, LinearChannel, narrow, wide};
use crate::conditioning::MAX_DENSE;
use crate::error::{Error, Result};
use crate::gaussian::{Covariance, Gaussian, LinearGaussian, LowRankGaussian, SpectralGaussian, Stop, System};
use crate::image::ImageShape;
use crate::observations::Observations;
use crate::parallel;
use crate::samples::Samples;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// Where the first reconstructions X⁰ come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InitConfig {
    /// Posterior draws under a Gaussian prior fitted by exact EM, for linear channels with Gaussian noise.
    Gaussian(GaussianInit),
    /// The pseudo-inverse applied to the observation (or the observation itself, for other channels whose
    /// observations are as long as their signals).
    Corrupted {},
}

/// A Gaussian prior fitted by exact EM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GaussianInit {
    /// Number of EM iterations; 0 uses the initial prior as it is.
    pub iterations: usize,
    /// Standard deviation of the initial prior N(0, std² I), > 0; a prior that is too wide is safe, one that
    /// is too narrow barely moves. Images that a channel does not merely mask have another initial prior: smooth ones,
    /// whose level and power are fitted to the observations.
    pub std: f64,
    /// Rank of the covariance besides a diagonal, for masks and noise; 0 selects a full covariance for
    /// signals of up to 512 values (1024 where all observations share their operator, as under a blur, and 256 where
    /// every observation has an operator of its own that mixes values); for longer signals it selects rank 64 for
    /// masks and noise, and independent coefficients in a basis of images for all other channels.
    pub rank: usize,
}

impl Default for GaussianInit {
    fn default() -> Self {
        Self { iterations: 16, std: 1.0, rank: 0 }
    }
}

impl Default for InitConfig {
    fn default() -> Self {
        Self::Gaussian(GaussianInit::default())
    }
}

impl InitConfig {
    /// Checks the ranges, and that this start suits `channel`; the error names the field.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        match self {
            Self::Gaussian(gaussian) => gaussian.validate(channel),
            Self::Corrupted {} => Ok(()),
        }
    }
}

impl GaussianInit {
    /// Checks the ranges: a full covariance is for short signals, a low rank for channels of masks and noise.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        let (d, most) = (channel.signal_len(), most_covariance(channel));
        if !(self.std > 0.0 && self.std.is_finite()) {
            return Err(Error::config("init.std", format!("expected a number > 0, found {}", self.std)));
        }
        let Some(linear) = channel.as_linear() else {
            let message = "\"gaussian\" needs a linear channel; set init.kind=\"corrupted\"";
            return Err(Error::config("init", message));
        };
        let refuse = |field: &str, message: String| Err(Error::config(field, message));
        match self.rank {
            0 if d > most && !linear.is_diagonal() && basis(linear).is_none() => refuse(
                "init",
                format!(
                    "a Gaussian start takes images with sides up to {MAX_SIDE} and other signals of at most {MAX_SIDE} \
                     values here, found {d} values; set init.kind=\"corrupted\""
                ),
            ),
            rank if rank > d => refuse("init.rank", format!("expected 0 to {d} (the signal's length), found {rank}")),
            rank if rank > 0 && !linear.is_diagonal() => refuse(
                "init.rank",
                "a low rank needs a channel of masks and noise; set init.rank=0 or init.kind=\"corrupted\"".into(),
            ),
            _ => Ok(()),
        }
    }
}

/// Maximum number of observations that a low-rank prior is fitted to (the published number).
const MAX_FITTED: usize = 16_384;

/// Longest signal that gets a full covariance unless a rank is set, where every observation has a mask of its own.
pub const MAX_COVARIANCE: usize = 512;
/// The same limit where all observations share their operator, as under a blur: a single inversion then
/// serves all posteriors.
pub const MAX_SHARED: usize = 1024;
/// Minimum number of observations per loading.
const MIN_PER_LOADING: usize = 4;
/// Observations that a worker takes at a time.
const SHARD: usize = 64;
/// Rank for longer signals (the published one).
const RANK: usize = 64;

/// The basis in which the coefficients of the signals of `channel` are taken as independent: its own, otherwise that of
/// cosines for images, and for vectors as images of one line. `None` where a side is too long.
fn basis(linear: &dyn LinearChannel) -> Option<Basis> {
    if let Some(spectral) = linear.as_spectral() {
        return Some(spectral.basis().clone());
    }
    let line = ImageShape { channels: 1, height: 1, width: linear.signal_len() };
    let shape = linear.signal_image().unwrap_or(line);
    (shape.height.max(shape.width) <= MAX_SIDE).then(|| Basis::Cosine(Dct::new(shape)))
}

/// The Gaussian prior of a start.
pub enum InitialPrior {
    /// Full covariance, for short signals.
    Full(Gaussian),
    /// Low rank plus a diagonal, for images.
    LowRank(LowRankGaussian),
    /// A diagonal in the basis of a channel that is diagonal there, for images.
    Spectral(SpectralGaussian),
}

/// Longest signal of `channel` that gets a full covariance unless a rank is set. Operators that differ take one inversion
/// per observation, which a diagonal in their basis spares, and so do products alone for channels that mix values.
pub fn most_covariance(channel: &dyn Channel) -> usize {
    match channel.as_linear() {
        _ if channel.operator_len() == 0 => MAX_SHARED,
        Some(linear) if linear.as_spectral().is_some() => 0,
        Some(linear) if !linear.is_diagonal() => MAX_DENSE,
        _ => MAX_COVARIANCE,
    }
}

/// The distribution that EM starts from where a channel mixes values: smooth images, or N(0, `std`² I) for vectors. `None`
/// for channels of masks and noise.
fn first(channel: &dyn Channel, observations: &Observations, std: f64) -> Result<Option<SpectralGaussian>> {
    let Some(linear) = channel.as_linear().filter(|linear| !linear.is_diagonal()) else { return Ok(None) };
    let Some(basis) = basis(linear) else { return Ok(None) };
    if linear.signal_image().is_none() && linear.as_spectral().is_none() {
        return Ok(Some(SpectralGaussian::centered(basis, vec![std * std; linear.signal_len()])?));
    }
    Ok(Some(SpectralGaussian::smooth(linear, basis, observations)))
}

impl InitialPrior {
    /// Fits the prior that `config` describes by EM, starting from smooth images where the channel mixes their values;
    /// rank 0 selects a full covariance up to [`most_covariance`] values, beyond that rank 64 for masks and noise and
    /// independent coefficients in a basis of images for all others. A low-rank prior is fitted to at most 16 384
    /// observations, with at most one loading per four of them.
    pub fn fit(channel: &dyn Channel, observations: &Observations, config: &GaussianInit, seed: u64) -> Result<Self> {
        let GaussianInit { iterations, std, rank } = *config;
        let d = channel.signal_len();
        let first = if rank == 0 { first(channel, observations, std)? } else { None };
        if rank == 0 && d <= most_covariance(channel) {
            let first = first.map_or_else(|| Gaussian::isotropic(d, std), |first| Gaussian::stationary(&first));
            return Ok(Self::Full(first.fitted(channel, observations, iterations)?));
        }
        if let Some(first) = first {
            let spectral = channel.as_linear().is_some_and(|linear| linear.as_spectral().is_some());
            // Operators that differ take a pass over all observations per iteration.
            let few = (channel.operator_len() > 0).then(|| observations.first(observations.n().min(MAX_FITTED)));
            return Ok(Self::Spectral(match spectral {
                true => first.fitted(channel, few.as_ref().unwrap_or(observations), iterations)?,
                false => first.fitted_to_draws(channel, observations, iterations, seed)?,
            }));
        }
        let rank = if rank == 0 { RANK } else { rank };
        // More loadings than observations would fit each of them exactly.
        let rank = rank.min((observations.n() / MIN_PER_LOADING).max(1));
        let seen = observations.first(observations.n().min(MAX_FITTED));
        Ok(Self::LowRank(LowRankGaussian::fit(channel, &seen, rank, std, iterations, seed)?.0))
    }

    /// One posterior draw per observation, `[n, d]`.
    pub fn reconstruct(&self, channel: &dyn Channel, observations: &Observations, seed: u64) -> Result<Samples> {
        let fill = |out: &mut Samples| self.reconstruct_into(channel, observations, seed, out);
        Samples::filled(observations.n(), channel.signal_len(), fill)
    }

    /// Writes the draws of [`InitialPrior::reconstruct`] into the table `out [n, d]`.
    pub fn reconstruct_into(
        &self,
        channel: &dyn Channel,
        observations: &Observations,
        seed: u64,
        out: &mut Samples,
    ) -> Result<()> {
        match self {
            Self::Full(prior) => prior.reconstruct_into(channel, observations, seed, out),
            Self::LowRank(prior) => prior.reconstruct_into(channel, observations, seed, out),
            Self::Spectral(prior) => prior.reconstruct_into(channel, observations, seed, out),
        }
    }

    /// The exact posterior mean for every observation, `[n, d]`.
    pub fn means(&self, channel: &dyn Channel, observations: &Observations) -> Result<Samples> {
        match self {
            Self::Full(prior) => prior.means(channel, observations),
            Self::LowRank(prior) => prior.means(channel, observations),
            Self::Spectral(prior) => prior.means(channel, observations),
        }
    }
}

/// The least-norm solution of A x = y (ridge 1e-6) for linear channels of up to [`MAX_DENSE`] coordinates;
/// for longer signals and for other channels, y at the resolution of the signal ([`Channel::lift`]), or the same
/// solution by conjugate gradient where a linear channel cannot lift. Returns `[n, d]`.
pub fn corrupted_init(channel: &dyn Channel, observations: &Observations) -> Result<Samples> {
    Samples::filled(observations.n(), channel.signal_len(), |out| corrupted_init_into(channel, observations, out))
}

/// Writes the reconstructions of [`corrupted_init`] into the table `out [n, d]`.
pub fn corrupted_init_into(channel: &dyn Channel, observations: &Observations, out: &mut Samples) -> Result<()> {
    let (d, m) = (channel.signal_len(), channel.observation_len());
    let linear = channel.as_linear().is_some();
    if channel.lifts() && (!linear || d > MAX_DENSE) {
        (0..out.n()).for_each(|i| channel.lift(observations.y.row(i), out.row_mut(i)));
        return Ok(());
    }
    if !linear {
        if d != m {
            let what = "a corrupted start with observations of another length than the signal's";
            return Err(Error::NotLinear(what));
        }
        (0..out.n()).for_each(|i| out.row_mut(i).copy_from_slice(observations.y.row(i)));
        return Ok(());
    }
    if let Some(linear) = channel.as_linear().filter(|_| d > MAX_DENSE) {
        let unit = vec![1.0; d];
        return parallel::fill_each_row(out, SHARD, |i| {
            let (a, y) = (observations.operator(i), wide(observations.y.row(i)));
            let covariance = Covariance::Diagonal(&unit);
            let stop = Stop::residual(100, 1e-6);
            let system = System { linear, a, covariance, scale: 1.0, floor: 1e-6, stop };
            Ok(narrow(&system.correction(&y)))
        });
    }
    let prior = Gaussian::isotropic(d, 1.0);
    let solution = |i| -> Result<Vec<f32>> {
        let matrix = channel.linear_gaussian(observations.operator(i)).ok_or(Error::NotLinear("a start"))?.matrix;
        let ridge = DMatrix::from_fn(m, m, |r, c| if r == c && matrix.row(r).amax() > 0.0 { 1e-6 } else { 0.0 });
        let y: Vec<f64> = observations.y.row(i).iter().map(|&v| v as f64).collect();
        let x = prior.posterior(&LinearGaussian { matrix, covariance: ridge }, &y)?.mean;
        Ok(x.iter().map(|&v| v as f32).collect())
    };
    parallel::fill_each_row(out, SHARD, solution)
}
