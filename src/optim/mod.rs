//! The optimizers on the flat parameter vector: Adam and Muon, and learning-rate schedules.

mod adam;
mod muon;

pub use adam::{OptimState, Update};

use crate::error::{Error, Result};
use crate::network::Layout;
use burn::tensor::Tensor;
use muon::Muon;
use serde::{Deserialize, Serialize};

/// How weights follow their gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OptimizerKind {
    /// Adam: a step for every weight by itself.
    #[default]
    Adam,
    /// Muon for matrices, Adam for the other parameters. A step costs more and gains more; learning rates are Adam's.
    Muon,
}

/// An optimizer for the parameters of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer(Option<Muon>);

impl OptimizerKind {
    /// The optimizer for parameters of this layout.
    pub fn build(self, layout: &Layout) -> Optimizer {
        Optimizer((self == Self::Muon).then(|| Muon::new(layout)))
    }
}

impl Optimizer {
    /// Takes one update with the sum of the `gradients` (each `[P]`), added in the order given. It does not wait for the
    /// device.
    pub fn update(&self, state: &mut OptimState, gradients: Vec<Tensor<1>>, update: Update) {
        match &self.0 {
            Some(muon) => muon.update(state, gradients, update),
            None => state.update(gradients, update),
        }
    }
}

/// Schedule of the learning rate over the M-step of a lap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Decay {
    /// Stays at `learning_rate`.
    Constant,
    /// Straight line to `final_learning_rate`.
    Linear,
    /// Half a cosine to `final_learning_rate`.
    #[default]
    Cosine,
}

impl Decay {
    /// Learning rate at `step` of `steps`.
    pub fn rate(self, start: f64, end: f64, step: usize, steps: usize) -> f64 {
        let t = (step as f64 / steps.max(1) as f64).min(1.0);
        match self {
            Self::Constant => start,
            Self::Linear => start + (end - start) * t,
            Self::Cosine => end + 0.5 * (start - end) * (1.0 + (std::f64::consts::PI * t).cos()),
        }
    }
}

/// Checks a learning rate; `field` names it in messages.
pub(crate) fn check_rate(field: &str, rate: f64) -> Result<()> {
    let good = (0.0..=10.0).contains(&rate);
    good.then_some(()).ok_or_else(|| Error::config(field, format!("expected a number in [0, 10], found {rate}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_and_end_where_they_should() {
        for decay in [Decay::Linear, Decay::Cosine] {
            assert!((decay.rate(1.0, 0.1, 0, 10) - 1.0).abs() < 1e-12);
            assert!((decay.rate(1.0, 0.1, 10, 10) - 0.1).abs() < 1e-12);
            assert!((decay.rate(1.0, 0.1, 5, 10) - 0.55).abs() < 1e-12);
        }
        assert_eq!(Decay::Constant.rate(1.0, 0.1, 7, 10), 1.0);
    }
}
