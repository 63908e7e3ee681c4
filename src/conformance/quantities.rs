//! Every quantity of the method on a device. Nothing here reads from the device: in a browser a read cannot block.

use super::problem::{Batch, Problem, Settings, names};
use crate::denoiser::{Gain, Preconditioned, to_tensor};
use crate::em::{EStepConfig, MStep, MStepConfig};
use crate::error::Result;
use crate::method::Diffem;
use crate::network::{AnyNetwork, Layout, flatten, flatten_gradients, from_host, unflatten};
use crate::noise::{Key, Purpose};
use crate::optim::{OptimState, OptimizerKind, Update};
use crate::posterior::{Earlier, Posterior, Row};
use crate::sampler::{DdpmConfig, Dpmpp2mSdeConfig, HeunConfig, PredictorCorrectorConfig, SamplerConfig, Spacing};
use crate::transfer::to_device;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

/// Quantities of a problem in the order in which they are computed, each with the tolerance of its greatest
/// difference relative to its greatest value. In 32 bits, sums taken in another order differ by about 1e-6;
/// training and sampling apply the network many times.
const OF_A_PROBLEM: [(&str, f64); 13] = [
    ("denoiser without gain", 1e-5),
    ("denoiser with gain", 1e-5),
    ("loss", 1e-5),
    ("gradient", 2e-5),
    ("M-step, gradient of 3 pieces", 2e-5),
    ("M-step, 3 losses", 1e-4),
    ("M-step, denoiser after", 1e-4),
    ("M-step, weighted, 3 losses", 1e-4),
    ("E-step, ddpm", 1e-4),
    ("E-step, heun", 1e-4),
    ("E-step, dpmpp-2m-sde", 1e-4),
    ("E-step, pc", 1e-4),
    ("E-step, over-relaxed", 1e-4),
];

/// Quantities of the images besides, where the network drops values in training.
const OF_DROPOUT: [(&str, f64); 2] = [("M-step, dropout, gradient", 2e-5), ("M-step, dropout, 3 losses", 1e-4)];

/// Probability with which it drops them.
const DROPOUT: f64 = 0.25;

const OF_THE_OPTIMIZER: [(&str, f64); 4] =
    [("weights", 1e-5), ("average", 1e-5), ("first moment", 1e-5), ("second moment", 1e-5)];

const OF_MUON: [(&str, f64); 2] = [("weights", 1e-5), ("average", 1e-5)];

/// Name and tolerance of every quantity, in the order of `compute`.
pub fn quantities() -> Vec<(String, f64)> {
    let of = |name: &'static str, all: &'static [(&str, f64)]| {
        all.iter().map(move |(quantity, tolerance)| (format!("{name}: {quantity}"), *tolerance))
    };
    let problems = names().into_iter().flat_map(|name| of(name, &OF_A_PROBLEM));
    problems
        .chain(of("images", &OF_DROPOUT))
        .chain(of("optimizer", &OF_THE_OPTIMIZER))
        .chain(of("muon", &OF_MUON))
        .collect()
}

/// Computes every quantity on `device`, each as a flat vector.
pub(super) fn compute(problems: &[Problem], settings: &Settings, device: &Device) -> Result<Vec<Tensor<1>>> {
    let mut all = Vec::new();
    for problem in problems {
        all.extend(problem.compute(device)?);
    }
    for problem in problems.iter().filter(|problem| problem.name == "images") {
        let network = problem.network_with(DROPOUT, device)?;
        let (losses, gradient, _) = problem.train(&network, Diffem::default(), device);
        all.extend([gradient, losses]);
    }
    let OptimState { weights, average, first, second, .. } = updated(OptimizerKind::Adam, settings, device);
    all.extend([weights, average, first, second]);
    let OptimState { weights, average, .. } = updated(OptimizerKind::Muon, settings, device);
    all.extend([weights, average]);
    Ok(all)
}

fn flat(tensor: Tensor<2>) -> Tensor<1> {
    let [n, d] = tensor.dims();
    tensor.reshape([n * d])
}

impl Problem {
    fn compute(&self, device: &Device) -> Result<Vec<Tensor<1>>> {
        let (network, batch) = (self.network(device)?, self.batch());
        let (loss, gradient) = self.loss(&network, &batch, device);
        let plain = Diffem { imputed_weight: 1.0, relaxation: 1.0 };
        let (losses, first_gradient, trained) = self.train(&network, plain.clone(), device);
        let (weighted, _, _) = self.train(&network, Diffem { imputed_weight: 0.1, ..plain.clone() }, device);
        let trained = unflatten(network.clone(), &trained);
        let mut all = vec![
            flat(self.denoise(&network, &batch, false, device)),
            flat(self.denoise(&network, &batch, true, device)),
            loss,
            gradient,
            first_gradient,
            losses,
            flat(self.denoise(&trained, &batch, true, device)),
            weighted,
        ];
        let posterior = |sampler: &SamplerConfig| self.posterior(network.clone(), Diffem::default(), sampler, device);
        all.extend(samplers().iter().map(|sampler| flat(self.sample(&posterior(sampler)))));
        let relaxed = self
            .posterior(trained, Diffem::default(), &samplers()[0], device)
            .relaxed(Earlier::Lap(network.clone()), 1.5);
        all.push(flat(self.sample(&relaxed)));
        Ok(all)
    }

    /// D of the batch.
    fn denoise(&self, network: &AnyNetwork, batch: &Batch, gain: bool, device: &Device) -> Tensor<2> {
        let arrays = [&self.inputs.x_t, &batch.features, &batch.ka, &batch.ky];
        let [x_t, features, ka, ky] = arrays.map(|s| to_tensor(s, device));
        let denoiser = Preconditioned { network, schedule: &self.schedule };
        denoiser.forward(x_t, &batch.sigma, features, gain.then_some(&Gain { ka, ky, basis: None, skip: None }))
    }

    /// Σ w (D - x)² and its gradient with respect to the weights.
    fn loss(&self, network: &AnyNetwork, batch: &Batch, device: &Device) -> (Tensor<1>, Tensor<1>) {
        let network = network.clone().train();
        let device = device.clone().autodiff();
        let weight: Vec<f32> = batch.weight.iter().map(|&w| w as f32).collect();
        let weight = to_device(weight, [batch.weight.len(), 1], &device);
        let error = self.denoise(&network, batch, true, &device) - to_tensor(&batch.x, &device);
        let loss = (error.square() * weight).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        (loss.inner(), flatten_gradients(&network, gradients))
    }

    /// Takes three training steps; returns the losses, the first step's gradient (first moment / (1 - β₁)) and
    /// the trained weights.
    fn train(&self, network: &AnyNetwork, method: Diffem, device: &Device) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
        let config =
            MStepConfig { steps: 3, batch: 40, micro_batch: 16, clip_norm: 0.0, ema: 0.5, ..Default::default() };
        let (x, &Settings { seed, lap, .. }) = (&self.inputs.x, &self.settings);
        let posterior = self.posterior(network.clone(), method, &EStepConfig::default().sampler, device);
        let mut m_step = MStep::new(&posterior, (x, self.observations()), &config, seed, lap);
        let mut state = OptimState::new(flatten(network));
        let mut losses = vec![m_step.step(&mut state, 0)];
        let gradient = state.first.clone() / 0.1;
        losses.extend((1..3).map(|step| m_step.step(&mut state, step)));
        (Tensor::cat(losses, 0), gradient, state.average)
    }

    /// One posterior draw per observation, in the standardizer's coordinates.
    fn sample(&self, posterior: &Posterior) -> Tensor<2> {
        let key = Key::new(self.settings.seed, Purpose::Sample, self.settings.lap);
        let observations = self.observations();
        let rows = (0..observations.n()).map(|i| Row { observation: i, key, index: i }).collect();
        let mut draws = posterior.begin(observations, rows);
        while !draws.is_done() {
            draws = posterior.advance(draws);
        }
        posterior.last(draws).narrow(0, 0, observations.n())
    }
}

/// Every sampler with few steps: software adapters take a second for a call of the network.
fn samplers() -> [SamplerConfig; 4] {
    let spacing = Spacing::Geometric;
    [
        DdpmConfig { steps: 4, spacing }.into(),
        HeunConfig { steps: 3, spacing, churn: 0.1 }.into(),
        Dpmpp2mSdeConfig { steps: 4, spacing }.into(),
        PredictorCorrectorConfig { steps: 3, spacing, corrections: 1, tau: 0.1 }.into(),
    ]
}

/// Shapes of a matrix, of a vector, of the kernels of a convolution and of another vector.
const SHAPES: [&[usize]; 4] = [&[24, 18], &[18], &[12, 5, 3, 3], &[19]];

/// Takes three clipped updates with random gradients in two pieces.
fn updated(optimizer: OptimizerKind, settings: &Settings, device: &Device) -> OptimState {
    let layout = Layout { entries: SHAPES.iter().map(|shape| (String::new(), shape.to_vec())).collect() };
    let optimizer = optimizer.build(&layout);
    let random = |index: usize| {
        let mut values = vec![0.0; layout.len()];
        Key::new(settings.seed, Purpose::Directions, 0).stream(index, 0).fill_normal(&mut values);
        from_host(values, device)
    };
    let mut state = OptimState::new(random(0));
    for t in 0..3 {
        let update = Update { learning_rate: 1e-2, clip_norm: 1.0, average_decay: 0.9 };
        optimizer.update(&mut state, vec![random(2 * t + 1), random(2 * t + 2)], update);
    }
    state
}
