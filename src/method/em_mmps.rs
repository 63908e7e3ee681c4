//! EM-MMPS (Rozet et al. 2024, "Learning diffusion priors from observations by expectation maximization",
//! arXiv 2405.13712): an unconditional denoiser D(x_t, σ) = E[x | x_t] is the prior, and the posterior mean
//! that drives the sampler comes from it by moment matching. With Tweedie's covariance V[x | x_t] = σ² J, J =
//! ∂D/∂x_t, the distribution of y given x_t is approximated by N(A D, Σ_y + σ² A J Aᵀ):
//!
//! ```text
//! E[x | x_t, y] = D + σ² Jᵀ Aᵀ v,   (Σ_y + σ² A Jᵀ Aᵀ) v = y - A D
//! ```
//!
//! A fixed number of conjugate-gradient iterations from 0 computes v; products with Jᵀ use reverse-mode
//! differentiation. The method is exact for Gaussian x, where J is the same for every x_t.

use super::learning::{Conditions, Context, LearningMethod};
use super::training::{TrainingBatch, TrainingSource};
use crate::channel::Channel;
use crate::conditioning::{
    ConditioningConfig, LinearBatch, Measurement, OnHost, OperatorStructure, Standardizer, Whitened, operator_structure,
};
use crate::denoiser::{Denoiser, Preconditioned, to_tensor};
use crate::error::{Error, Result};
use crate::noise::RowStreams;
use crate::observations::Observations;
use crate::samples::Samples;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// EM-MMPS with the settings of its moment matching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct EmMmps {
    /// Number of conjugate-gradient iterations, 1 to 1000; each costs a forward and a backward pass of the
    /// network. As many iterations as an observation has values solve the system up to rounding.
    pub iterations: usize,
    /// Reconstructions with a value beyond this bound, in units of the signal, are not trained on, because
    /// few iterations may leave outliers; 0 trains on all of them.
    pub bound: f64,
}

impl Default for EmMmps {
    fn default() -> Self {
        Self { iterations: 3, bound: 0.0 }
    }
}

impl LearningMethod for EmMmps {
    fn validate(&self, channel: &dyn Channel) -> Result<()> {
        let message = format!("expected 1 to 1000, found {}", self.iterations);
        let right = (1..=1000).contains(&self.iterations);
        right.then_some(()).ok_or_else(|| Error::config("method.iterations", message))?;
        let message = format!("expected a number >= 0, found {}", self.bound);
        let right = self.bound >= 0.0 && self.bound.is_finite();
        right.then_some(()).ok_or_else(|| Error::config("method.bound", message))?;
        let message = "\"em-mmps\" needs a linear channel with Gaussian noise";
        let structure = operator_structure(channel, &Standardizer::identity(channel.signal_len()));
        (structure != OperatorStructure::None).then_some(()).ok_or_else(|| Error::config("method.kind", message))
    }

    fn feature_len(&self, _channel: &dyn Channel, _config: &ConditioningConfig) -> usize {
        0
    }

    /// Returns the rows within the bound, or all rows where none is.
    fn training_rows(&self, x: &Samples, rows: Vec<usize>) -> Vec<usize> {
        if self.bound == 0.0 {
            return rows;
        }
        let good = |i: &usize| x.row(*i).iter().all(|v| f64::from(v.abs()) <= self.bound);
        let kept: Vec<usize> = rows.iter().copied().filter(good).collect();
        if kept.is_empty() { rows } else { kept }
    }

    fn training_batch(&self, source: &TrainingSource<'_>, rows: &[usize], step: usize, first: usize) -> TrainingBatch {
        source.corrupted(rows, (step, first), 0, |_, _, _| None)
    }

    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, streams: RowStreams) -> Tensor<2> {
        let [x_t, features] = [&batch.x_t, &batch.features].map(|s| to_tensor(s, context.device));
        let denoiser = Preconditioned { network: context.network, schedule: context.schedule };
        denoiser.forward_training(x_t, &batch.sigma, features, None, streams)
    }

    fn condition(&self, context: Context<'_>, observations: &Observations, rows: &[usize]) -> Box<dyn Conditions> {
        let Context { network, conditioning, device, .. } = context;
        let measure = |&i: &usize| conditioning.measurement(observations.y.row(i), observations.operator(i));
        let measurements: Vec<Measurement> = rows.iter().filter_map(measure).collect();
        let nothing = network.prepare(to_tensor(&Samples::zeros(rows.len(), 0), device));
        let seen = match conditioning.is_matrix_free() {
            true => Seen::Measurements(measurements),
            false => Seen::Whitened(Box::new(Whitened::new(&measurements, conditioning, device))),
        };
        Box::new(Guided { nothing, seen, iterations: self.iterations })
    }

    fn jacobians_per_call(&self) -> usize {
        self.iterations
    }

    fn learns_prior(&self) -> bool {
        true
    }
}

/// Observations that the prior, a network without features, is guided to.
struct Guided {
    /// No features, prepared by the network.
    nothing: Tensor<2>,
    seen: Seen,
    iterations: usize,
}

/// Observations as products.
enum Seen {
    Whitened(Box<Whitened>),
    /// Those without a matrix.
    Measurements(Vec<Measurement>),
}

impl Conditions for Guided {
    fn denoiser<'d>(&'d self, context: Context<'d>) -> Box<dyn Denoiser + 'd> {
        let preconditioned = Preconditioned { network: context.network, schedule: context.schedule };
        let prior =
            move |x_t: Tensor<2>, sigma: f64| preconditioned.forward_prepared(x_t, sigma, self.nothing.clone(), None);
        let (iterations, device) = (self.iterations, context.device);
        match &self.seen {
            Seen::Whitened(seen) => Box::new(Mmps { prior, observations: seen.as_ref().clone(), iterations }),
            Seen::Measurements(measurements) => match context.conditioning.matrix_free(measurements) {
                Some(free) => Box::new(Mmps { prior, observations: OnHost { free, device }, iterations }),
                None => Box::new(prior),
            },
        }
    }
}

/// The moment-matched posterior of a batch of observations, as a denoiser.
pub struct Mmps<D, O> {
    /// D(x_t, σ); must be differentiable in x_t and treat rows independently.
    pub prior: D,
    /// The observations, one per row of x_t.
    pub observations: O,
    /// Number of conjugate-gradient iterations, 1 or more.
    pub iterations: usize,
}

/// Smallest denominator; below it a row has converged.
const TINY: f32 = 1e-20;

fn dot(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    (a.clone() * b.clone()).sum_dim(1)
}

/// D at a point, ready for one product with its transposed Jacobian.
struct Tangent {
    point: Tensor<2>,
    mean: Tensor<2>,
}

impl Tangent {
    fn at<D: Denoiser>(prior: &D, x_t: &Tensor<2>, sigma: f64) -> Self {
        let point = x_t.clone().inner().autodiff().require_grad();
        Self { mean: prior.denoise(point.clone(), sigma), point }
    }

    /// Returns Jᵀ w.
    fn transposed(self, w: Tensor<2>) -> Tensor<2> {
        let zero = w.zeros_like();
        let gradients = (self.mean * w.autodiff()).sum().backward();
        // A denoiser that ignores x_t has no gradient.
        self.point.grad(&gradients).unwrap_or(zero)
    }
}

impl<D: Denoiser, O: LinearBatch> Denoiser for Mmps<D, O> {
    fn denoise(&self, x_t: Tensor<2>, sigma: f64) -> Tensor<2> {
        let (seen, variance) = (&self.observations, sigma * sigma);
        let first = Tangent::at(&self.prior, &x_t, sigma);
        let mut mean = first.mean.clone().inner();
        let mut tangent = Some(first);
        let mut residual = seen.y() - seen.apply(mean.clone());
        let (mut direction, mut square) = (residual.clone(), dot(&residual, &residual));
        for _ in 0..self.iterations {
            let here = tangent.take().unwrap_or_else(|| Tangent::at(&self.prior, &x_t, sigma));
            let moved = here.transposed(seen.adjoint(direction.clone())) * variance;
            let noise = seen.noise(direction.clone());
            let least = dot(&direction, &noise);
            let image = noise + seen.apply(moved.clone());
            let curvature = dot(&direction, &image);
            // With J positive, as for a covariance, the system is never below the noise. The J of a network need not
            // be positive: there a step of this length would diverge, so the row keeps its current value.
            let sound = curvature.clone().greater(least).float();
            let length = square.clone() / curvature.clamp_min(TINY) * sound;
            mean = mean + moved * length.clone();
            residual = residual - image * length;
            let next = dot(&residual, &residual);
            direction = residual.clone() + direction * (next.clone() / square.clamp_min(TINY));
            square = next;
        }
        mean
    }
}

#[cfg(test)]
mod tests;
