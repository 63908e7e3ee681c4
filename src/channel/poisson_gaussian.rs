//! Noise of two sources, photons and electronics: y = x + n with n ~ N(0, s² + g f) and f = max(x - offset, 0), the usual
//! Gaussian approximation of counts plus read noise (Foi et al. 2008, "Practical Poissonian-Gaussian noise modeling and
//! fitting for single-image raw-data"). The channel is not linear-Gaussian: the noise depends on the signal.
//!
//! With `plug_in`, an observation has a level a, a² = s² + g max(mean(y) - offset, 0), its mean variance as y itself tells
//! it, and a linear view takes a² for the variance of every value. That is an approximation, good enough for a start and
//! for an update of a network that is trained with it.

use super::noise::{named_gain, named_std};
use super::{Channel, Level, LinearChannel, NoiseLevel, Signal, Stage};
use crate::error::{Error, Result};
use crate::image::PIXEL_MIN;
use crate::noise::Stream;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Noise of variance std² + gain max(x - offset, 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PoissonGaussianConfig {
    /// Standard deviation of the noise in the dark, >= 0, in units of the scaled signal; "unknown" estimates it.
    #[serde(deserialize_with = "named_std")]
    pub std: Level,
    /// Variance per unit of the signal above `offset`, >= 0: what one photon adds to the scaled signal; "unknown" estimates
    /// it.
    #[serde(deserialize_with = "named_gain")]
    pub gain: Level,
    /// Value of the scaled signal without light; for images that of black.
    #[serde(default = "black")]
    pub offset: f64,
    /// Whether the mean variance of each observation, std² + gain max(mean(y) - offset, 0), stands for the variance of
    /// all its values in the measurement update, the Gaussian start and χ², which are approximate then; otherwise there
    /// are none. Its root is the parameter `a` of an observation, and the network is told its logarithm.
    #[serde(default)]
    pub plug_in: bool,
}

fn black() -> f64 {
    f64::from(PIXEL_MIN)
}

impl Stage for PoissonGaussianConfig {
    fn build(&self, signal: Signal) -> Result<Box<dyn Channel>> {
        let [std, gain] = [self.std, self.gain].map(|level| level.known().unwrap_or(1.0));
        let unknown = [self.std, self.gain].map(|level| level.known().is_none());
        let noise = PoissonGaussian { unknown, ..PoissonGaussian::new(signal.d(), std, gain, self.offset)? };
        if self.plug_in && unknown.contains(&true) {
            let message =
                "\"unknown\" is not for plug_in = true, where `a` holds the level of every observation; give a number";
            return Err(Error::config(if unknown[0] { "std" } else { "gain" }, message));
        }
        Ok(if self.plug_in { Box::new(noise.with_level(signal)?) } else { Box::new(noise) })
    }

    fn unknown_noise(&self) -> usize {
        [self.std, self.gain].iter().filter(|level| level.known().is_none()).count()
    }

    fn set_noise(&mut self, levels: &[f64]) {
        let mut levels = levels.iter();
        if let Some(std) = self.std.known().is_none().then(|| levels.next()).flatten() {
            self.std = Level::Known(*std);
        }
        if let Some(root) = self.gain.known().is_none().then(|| levels.next()).flatten() {
            self.gain = Level::Known(root * root);
        }
    }
}

/// Adds noise whose variance grows with the signal, independent at every value.
#[derive(Clone, Debug, PartialEq)]
pub struct PoissonGaussian {
    d: usize,
    std: f64,
    gain: f64,
    offset: f64,
    /// The linear view with a level of each observation.
    level: Option<NoiseLevel>,
    /// Whether std and gain are estimated.
    unknown: [bool; 2],
}

/// Light in units of the scaled signal up to which the network is told levels apart.
const BRIGHT: f64 = 4.0;

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
        Ok(Self { d, std, gain, offset, level: None, unknown: [false; 2] })
    }

    /// Gives every observation of signals like `signal` its level.
    fn with_level(self, signal: Signal) -> Result<Self> {
        if self.std == 0.0 {
            return Err(Error::config("std", "expected a number > 0 for plug_in = true, found 0"));
        }
        let bright = (self.std * self.std + self.gain * BRIGHT).sqrt();
        let level = NoiseLevel::new(self.d, self.std, bright)?.shown_to(signal);
        Ok(Self { level: Some(level), ..self })
    }

    fn variance(&self, x: f64) -> f64 {
        self.std * self.std + self.gain * (x - self.offset).max(0.0)
    }
}

impl Channel for PoissonGaussian {
    fn signal_len(&self) -> usize {
        self.d
    }

    fn observation_len(&self) -> usize {
        self.d
    }

    fn operator_len(&self) -> usize {
        usize::from(self.level.is_some())
    }

    /// The level of an observation without light.
    fn draw_operator(&self, _stream: &mut Stream, a: &mut [f32]) {
        a.fill(self.std as f32);
    }

    fn sees_signal(&self) -> bool {
        self.level.is_some()
    }

    fn corrupt(&self, x: &[f32], stream: &mut Stream, a: &mut [f32], y: &mut [f32]) {
        self.observe(x, a, stream, y);
        let mean = y.iter().map(|y| f64::from(*y)).sum::<f64>() / y.len().max(1) as f64;
        a.fill(self.variance(mean).sqrt() as f32);
    }

    fn observe(&self, x: &[f32], _a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x + self.variance(f64::from(x)).sqrt() as f32 * stream.normal();
        }
    }

    fn unknown_noise(&self) -> usize {
        self.unknown.iter().filter(|unknown| **unknown).count()
    }

    /// The levels are the standard deviation in the dark and the square root of the gain.
    fn with_noise(&self, levels: &[f64]) -> Option<Arc<dyn Channel>> {
        if levels.is_empty() || levels.len() != self.unknown_noise() {
            return None;
        }
        let std = if self.unknown[0] { levels[0] } else { self.std };
        let gain = if self.unknown[1] { levels[levels.len() - 1].powi(2) } else { self.gain };
        Some(Arc::new(Self { std, gain, unknown: [false; 2], ..self.clone() }))
    }

    fn noise_terms(&self, clean: &[f32]) -> Vec<Vec<f64>> {
        let mut terms = vec![vec![0.0; clean.len()]];
        let light = clean.iter().map(|x| (f64::from(*x) - self.offset).max(0.0)).collect::<Vec<_>>();
        for (unknown, square, factor) in
            [(self.unknown[0], self.std * self.std, vec![1.0; clean.len()]), (self.unknown[1], self.gain, light)]
        {
            match unknown {
                true => terms.push(factor),
                false => terms[0].iter_mut().zip(factor).for_each(|(known, factor)| *known += square * factor),
            }
        }
        if terms.len() > 1 { terms } else { Vec::new() }
    }

    fn operator_feature_len(&self) -> usize {
        self.level.as_ref().map_or(0, NoiseLevel::operator_feature_len)
    }

    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        if let Some(level) = &self.level {
            level.write_operator(a, out);
        }
    }

    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        self.level.is_some().then_some(self)
    }
}

impl LinearChannel for PoissonGaussian {
    fn apply(&self, _a: &[f32], x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(x);
    }

    fn adjoint(&self, _a: &[f32], y: &[f32], x: &mut [f32]) {
        x.copy_from_slice(y);
    }

    fn write_noise_variance(&self, a: &[f32], out: &mut [f64]) {
        out.fill(a.first().map_or(0.0, |a| f64::from(*a).powi(2)));
    }

    fn is_noiseless(&self) -> bool {
        false
    }

    fn is_diagonal(&self) -> bool {
        true
    }

    fn is_isotropic(&self) -> bool {
        true
    }

    fn is_exact(&self) -> bool {
        false
    }
}
