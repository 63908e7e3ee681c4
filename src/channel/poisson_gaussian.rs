//! Noise of two sources, photons and electronics: y = x + n with n ~ N(0, s² + g f) and f = max(x - offset, 0), the usual
//! Gaussian approximation of counts plus read noise (Foi et al. 2008, "Practical Poissonian-Gaussian noise modeling and
//! fitting for single-image raw-data"). The channel is not linear-Gaussian: the noise depends on the signal.

use super::{Channel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::PIXEL_MIN;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};

/// Noise of variance std² + gain max(x - offset, 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PoissonGaussianConfig {
    /// Standard deviation of the noise in the dark, >= 0, in units of the scaled signal.
    pub std: f64,
    /// Variance per unit of the signal above `offset`, >= 0: what one photon adds to the scaled signal.
    pub gain: f64,
    /// Value of the scaled signal without light; for images that of black.
    #[serde(default = "black")]
    pub offset: f64,
}

fn black() -> f64 {
    f64::from(PIXEL_MIN)
}

impl Stage for PoissonGaussianConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        Ok(Box::new(PoissonGaussian::new(signal.d(), self.std, self.gain, self.offset)?))
    }
}

/// Adds noise whose variance grows with the signal, independent at every value.
#[derive(Clone, Debug, PartialEq)]
pub struct PoissonGaussian {
    d: usize,
    std: f64,
    gain: f64,
    offset: f64,
}

impl PoissonGaussian {
    /// Creates noise of variance `std`² + `gain` max(x - `offset`, 0) for signals of length `d`.
    ///
    /// # Errors
    /// `std` or `gain` below 0, or a setting that is not finite.
    pub fn new(d: usize, std: f64, gain: f64, offset: f64) -> Result<Self> {
        for (field, value) in [("std", std), ("gain", gain)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("expected a number >= 0, found {value}")));
            }
        }
        if !offset.is_finite() {
            return Err(Error::config("offset", format!("expected a finite number, found {offset}")));
        }
        Ok(Self { d, std, gain, offset })
    }
}

impl Channel for PoissonGaussian {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn observe(&self, x: &[f32], _a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            let light = (f64::from(x) - self.offset).max(0.0);
            let std = (self.std * self.std + self.gain * light).sqrt();
            *y = x + std as f32 * stream.normal();
        }
    }
}
