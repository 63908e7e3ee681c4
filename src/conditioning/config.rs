//! Settings for how observations enter the denoiser.

use super::standardizer::{Standardize, Standardizer};
use crate::basis::Basis;
use crate::channel::{Channel, LinearChannel};
use crate::error::{Error, Result};
use crate::gaussian::SolverConfig;
use crate::samples::Samples;
use serde::{Deserialize, Serialize};

/// Minimum power of a coefficient relative to the largest: coefficients that no reconstruction
/// contains stay usable.
const MIN_POWER: f64 = 1e-9;

/// Features of an observation that the network receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Features {
    /// The observation y and its operator parameters a, unchanged.
    Observation,
    /// For dense linear channels, the information about x in (y, A) that does not depend on the order, sign
    /// and scale of A's rows: the least-norm solution A⁺ y and the projector A⁺ A. For channels that are
    /// diagonal in a basis of images (blur, frequencies), the image P Aᵀ (A P Aᵀ + Σ_y)⁻¹ y, where P is the covariance with
    /// the spectrum of the first reconstructions. For longer signals of other linear channels, the same image
    /// with P = I in the standardizer's coordinates, and a. For all other channels, y and a.
    #[default]
    Geometry,
}

/// How an observation enters the denoiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ConditioningConfig {
    /// Features that the network receives.
    pub features: Features,
    /// Coordinates in which the diffusion runs, from the moments of the first reconstructions.
    pub standardize: Standardize,
    /// Whether the observation updates the network's estimate (linear channels with Gaussian noise).
    pub measurement_update: bool,
    /// When the update of a channel that is not diagonal in any basis stops, for signals of more than 256 values and
    /// operators that differ between observations (or more than 1024 values of an observation).
    #[serde(skip_serializing_if = "is_default")]
    pub solver: SolverConfig,
    /// Smallest and largest value that a signal can have, such as [-2, 2] for images. The first
    /// reconstructions and the sampler's estimates are clipped to this range (a mean of such signals lies
    /// within it). It cannot be combined with standardized directions. Off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
}

/// Settings that most channels never use are left out of files.
fn is_default(solver: &SolverConfig) -> bool {
    *solver == SolverConfig::default()
}

impl Default for ConditioningConfig {
    fn default() -> Self {
        Self {
            features: Features::Geometry,
            standardize: Standardize::Auto,
            measurement_update: true,
            solver: SolverConfig::default(),
            range: None,
        }
    }
}

impl ConditioningConfig {
    /// Checks the settings for `channel`.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        self.solver.validate("conditioning.solver")?;
        let Some([low, high]) = self.range else {
            return Ok(());
        };
        let refuse = |message: String| Err(Error::config("conditioning.range", message));
        if !(low < high && low.is_finite() && high.is_finite()) {
            return refuse(format!("expected [least, greatest], two finite numbers, found [{low}, {high}]"));
        }
        if self.standardize.is_full(channel.signal_len(), is_diagonal(channel)) {
            return refuse("needs conditioning.standardize = \"coordinates\", \"scale\" or \"none\"".into());
        }
        Ok(())
    }

    /// Standardizer for `channel`, from the moments of the first reconstructions `x [n, d]`.
    pub fn standardizer(&self, channel: &dyn Channel, x: &Samples) -> Standardizer {
        let spectral = channel.as_linear().and_then(LinearChannel::as_spectral);
        let standardize = match self.standardize {
            Standardize::Auto if spectral.is_some() => Standardize::Scale,
            other => other,
        };
        let mut standardizer = Standardizer::of(x, standardize, is_diagonal(channel));
        let spectral = spectral.filter(|_| standardizer.uniform().is_some());
        standardizer.power = spectral.map(|s| power(s.basis(), &standardizer, x));
        standardizer
    }
}

/// True when the channel acts on each coordinate separately or has no linear form.
fn is_diagonal(channel: &dyn Channel) -> bool {
    channel.as_linear().is_none_or(|linear| linear.is_diagonal())
}

/// Mean square of every coefficient of the rows of `x` in the standardizer's coordinates.
fn power(basis: &Basis, standardizer: &Standardizer, x: &Samples) -> Vec<f64> {
    let mut sums = vec![0.0; x.d()];
    for row in 0..x.n() {
        let row: Vec<f64> =
            standardizer.standardize(&x.slice(row..row + 1)).as_slice().iter().map(|&v| v as f64).collect();
        sums.iter_mut().zip(basis.forward(&row)).for_each(|(sum, c)| *sum += c * c);
    }
    let least = sums.iter().fold(0.0f64, |most, v| most.max(*v)) * MIN_POWER;
    // Signals that do not vary have no spectrum.
    sums.into_iter().map(|v| if least > 0.0 { v.max(least) / x.n() as f64 } else { 1.0 }).collect()
}
