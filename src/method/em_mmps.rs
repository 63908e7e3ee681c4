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
    ConditioningConfig, MAX_DENSE, Measurement, OperatorStructure, Standardizer, Whitened, operator_structure,
};
use crate::denoiser::{Denoiser, Preconditioned, to_tensor};
use crate::error::{Error, Result};
use crate::noise::Stream;
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
        match operator_structure(channel, &Standardizer::identity(channel.signal_len())) {
            OperatorStructure::None | OperatorStructure::MatrixFree => Err(Error::config(
                "method.kind",
                format!(
                    "\"em-mmps\" needs masks, blurs, kernels, frequencies, or another linear channel of at most {MAX_DENSE} values, with Gaussian noise"
                ),
            )),
            _ => Ok(()),
        }
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

    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, stream: Stream) -> Tensor<2> {
        let [x_t, features] = [&batch.x_t, &batch.features].map(|s| to_tensor(s, context.device));
        let denoiser = Preconditioned { network: context.network, schedule: context.schedule };
        denoiser.forward_training(x_t, &batch.sigma, features, None, stream)
    }

    fn condition(&self, context: Context<'_>, observations: &Observations, rows: &[usize]) -> Box<dyn Conditions> {
        let Context { network, conditioning, device, .. } = context;
        let measure = |&i: &usize| conditioning.measurement(observations.y.row(i), observations.operator(i));
        let measurements: Vec<Measurement> = rows.iter().filter_map(measure).collect();
        let nothing = network.prepare(to_tensor(&Samples::zeros(rows.len(), 0), device));
        let observations = Whitened::new(&measurements, conditioning, device);
        Box::new(Guided { nothing, observations, iterations: self.iterations })
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
    observations: Whitened,
    iterations: usize,
}

impl Conditions for Guided {
    fn denoiser<'d>(&'d self, context: Context<'d>) -> Box<dyn Denoiser + 'd> {
        let preconditioned = Preconditioned { network: context.network, schedule: context.schedule };
        let prior =
            move |x_t: Tensor<2>, sigma: f64| preconditioned.forward_prepared(x_t, sigma, self.nothing.clone(), None);
        Box::new(Mmps { prior, observations: self.observations.clone(), iterations: self.iterations })
    }
}

/// The moment-matched posterior of a batch of observations, as a denoiser.
pub struct Mmps<D> {
    /// D(x_t, σ); must be differentiable in x_t and treat rows independently.
    pub prior: D,
    /// The observations, one per row of x_t.
    pub observations: Whitened,
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

impl<D: Denoiser> Denoiser for Mmps<D> {
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
            let image = direction.clone() + seen.apply(moved.clone());
            let curvature = dot(&direction, &image);
            // With J positive, as for a covariance, the whitened system is never below the identity. The J of
            // a network need not be positive: there a step of this length would diverge, so the row keeps its
            // current value.
            let sound = curvature.clone().greater(dot(&direction, &direction)).float();
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
mod tests {
    use super::*;
    use crate::Observations;
    use crate::channel::{
        ChannelConfig, Compose, LinearConfig, MaskConfig, NoiseConfig, ProjectionConfig, StageConfig,
    };
    use crate::conditioning::Conditioning;
    use crate::conditioning::Standardizer;
    use crate::denoiser::{GaussianDenoiser, to_samples, to_tensor};
    use crate::gaussian::Gaussian;
    use crate::noise::{Key, Purpose};
    use burn::tensor::Device;
    use burn::tensor::activation::softmax;
    use nalgebra::{DMatrix, DVector};

    fn prior(d: usize) -> Gaussian {
        let root = DMatrix::from_fn(d, d, |i, j| ((i * 7 + j * 3) % 5) as f64 / 4.0 + f64::from(i == j));
        Gaussian::new(DVector::from_fn(d, |i, _| 0.3 * i as f64 - 0.5), &root * root.transpose()).unwrap()
    }

    fn signals(n: usize, d: usize) -> Samples {
        let mut x = Samples::zeros(n, d);
        Key::new(3, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
        x
    }

    /// Returns the channel, the observations of `x` and their whitened form.
    fn whitened(stages: Vec<StageConfig>, x: &Samples, device: &Device) -> (Compose, Observations, Whitened) {
        let channel = ChannelConfig(stages).build(x.d()).unwrap();
        let seen = Observations::simulate(&channel, x, Key::new(1, Purpose::Observe, 0), 0);
        let (standardizer, config) = (Standardizer::identity(x.d()), ConditioningConfig::default());
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        let measurements: Vec<Measurement> =
            (0..x.n()).filter_map(|i| conditioning.measurement(seen.y.row(i), seen.operator(i))).collect();
        let whitened = Whitened::new(&measurements, conditioning, device);
        (channel, seen, whitened)
    }

    /// Largest distance to the exact E[x | x_t, y], which conditions the prior on x_t and then on y.
    fn worst(stages: Vec<StageConfig>, d: usize, sigma: f64, iterations: usize) -> f64 {
        let (device, x) = (Device::flex(), signals(6, d));
        let (channel, seen, observations) = whitened(stages, &x, &device);
        let law = prior(d);
        let x_t = Samples::new(x.as_slice().iter().map(|v| 1.5 * v + 0.2).collect(), d);
        let mmps = Mmps { prior: GaussianDenoiser::new(&law, &device), observations, iterations };
        let found = to_samples(mmps.denoise(to_tensor(&x_t, &device), sigma)).unwrap();
        let noise = DMatrix::identity(d, d) * (sigma * sigma);
        let direct = crate::gaussian::LinearGaussian { matrix: DMatrix::identity(d, d), covariance: noise };
        let mut worst = 0.0f64;
        for i in 0..x.n() {
            let at: Vec<f64> = x_t.row(i).iter().map(|&v| v as f64).collect();
            let given = law.posterior(&direct, &at).unwrap();
            let exact = given.posterior_of(&channel, &seen, i).unwrap().mean;
            let distance = found.row(i).iter().zip(exact.iter()).map(|(a, b)| (*a as f64 - b).abs());
            worst = distance.fold(worst, f64::max);
        }
        worst
    }

    #[test]
    fn moment_matching_is_exact_for_gaussians() {
        let projection = || vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1 }.into()];
        let mask = || vec![MaskConfig { rate: 0.4 }.into(), NoiseConfig { std: 0.2 }.into()];
        for sigma in [0.05, 0.5, 5.0] {
            // With f32 rounding the five directions of a mask take a few more than five iterations.
            let (few, all) = (worst(projection(), 5, sigma, 2), worst(mask(), 5, sigma, 12));
            assert!(few < 2e-4 && all < 2e-4, "sigma {sigma}: {few} {all}");
        }
        assert!(worst(mask(), 5, 5.0, 1) > 1e-2, "one iteration of five cannot be exact");
    }

    #[derive(serde::Deserialize)]
    struct Golden {
        grid: f32,
        d: usize,
        m: usize,
        variance: f64,
        std: f64,
        centers: Vec<i32>,
        a: Vec<i32>,
        x_t: Vec<i32>,
        y: Vec<i32>,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        sigma: f64,
        iterations: usize,
        mean: Vec<f32>,
    }

    /// Denoiser of ½ N(c₁, v I) + ½ N(c₂, v I).
    fn mixture(centers: Tensor<2>, v: f64) -> impl Denoiser {
        move |x_t: Tensor<2>, sigma: f64| {
            let ([n, d], total) = (x_t.dims(), v + sigma * sigma);
            let offset = x_t.reshape([n, 1, d]) - centers.clone().reshape([1, 2, d]);
            let weight = softmax(offset.clone().square().sum_dim(2) * (-0.5 / total), 1);
            let mean = offset * (v / total) + centers.clone().reshape([1, 2, d]);
            (mean * weight).sum_dim(1).reshape([n, d])
        }
    }

    /// The golden values come from tests/golden/mmps.py.
    #[test]
    fn moment_matching_agrees_with_azula() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/mmps.json")).unwrap();
        let (device, d) = (Device::flex(), golden.d);
        let values = |v: &[i32]| v.iter().map(|&v| v as f32 / golden.grid).collect::<Vec<_>>();
        let matrix = values(&golden.a).chunks_exact(d).map(<[f32]>::to_vec).collect();
        let stages = vec![LinearConfig { matrix }.into(), NoiseConfig { std: golden.std }.into()];
        let channel = ChannelConfig(stages).build(d).unwrap();
        let (standardizer, config) = (Standardizer::identity(d), ConditioningConfig::default());
        let conditioning = Conditioning { channel: &channel, config: &config, standardizer: &standardizer };
        let y = values(&golden.y);
        let measurements: Vec<Measurement> =
            y.chunks_exact(golden.m).filter_map(|y| conditioning.measurement(y, &[])).collect();
        let x_t = to_tensor(&Samples::new(values(&golden.x_t), d), &device);
        for case in &golden.cases {
            let prior = mixture(to_tensor(&Samples::new(values(&golden.centers), d), &device), golden.variance);
            let observations = Whitened::new(&measurements, conditioning, &device);
            let found = Mmps { prior, observations, iterations: case.iterations }.denoise(x_t.clone(), case.sigma);
            let found = to_samples(found).unwrap();
            let worst = found.as_slice().iter().zip(&case.mean).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "sigma {}, {} iterations: {worst}", case.sigma, case.iterations);
        }
    }

    #[test]
    fn the_adjoint_is_the_transpose() {
        let device = Device::flex();
        for stages in [
            vec![ProjectionConfig { rows: 3 }.into(), NoiseConfig { std: 0.1 }.into()],
            vec![MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: 0.1 }.into()],
        ] {
            let (_, seen, whitened) = whitened(stages, &signals(4, 6), &device);
            let (x, v) = (to_tensor(&signals(4, 6), &device), whitened.y() * 0.5 + 1.0);
            let (left, right) = (dot(&whitened.apply(x.clone()), &v), dot(&x, &whitened.adjoint(v.clone())));
            let scale: f32 = left.clone().abs().max().into_scalar();
            let difference: f32 = (left - right).abs().max().into_scalar();
            assert!(difference <= 1e-5 * scale, "{difference} of {scale} for {} observations", seen.n());
        }
    }
}
