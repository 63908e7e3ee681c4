//! Two small problems and every quantity of the method on them, on a given device: a projection (dense gain, directions
//! standardised) and a mask (diagonal gain, coordinates standardised), both with the paper's network.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use diffem::channel::{ChannelConfig, Compose, StageConfig};
use diffem::conditioning::{Conditioning, ConditioningConfig};
use diffem::denoiser::{Gain, Preconditioned, to_samples, to_tensor};
use diffem::em::{EStep, MStep, MStepConfig};
use diffem::frame::{Frame, Standardise};
use diffem::network::{Mlp, MlpConfig, flatten, flatten_gradients, from_host, to_host, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::optim::{OptimState, Update};
use diffem::sampler::{SamplerConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};

/// Observations of a problem; no multiple of a power of two, so that edges of tiles are met.
const N: usize = 45;

/// Values of one quantity, and by how much the greatest difference from the reference may exceed zero, in units of the
/// reference's greatest value.
pub struct Quantity {
    pub name: String,
    pub tolerance: f64,
    pub values: Vec<f64>,
}

fn quantity(name: String, tolerance: f64, values: &[f32]) -> Quantity {
    Quantity { name, tolerance, values: values.iter().map(|&v| v as f64).collect() }
}

pub struct Problem {
    pub name: &'static str,
    pub schedule: Schedule,
    channel: Compose,
    config: ConditioningConfig,
    frame: Frame,
    x: Samples,
    observations: Observations,
}

/// A micro-batch on the host, at noise levels spread over the whole schedule.
pub struct Batch {
    pub x: Samples,
    pub x_t: Samples,
    pub features: Samples,
    pub sigma: Vec<f64>,
    /// K A and K y of each row.
    pub ka: Samples,
    pub ky: Samples,
    /// Weight of each row in the loss.
    pub weight: Vec<f64>,
}

pub fn problems() -> [Problem; 2] {
    let noise = StageConfig::Noise { std: 0.05 };
    [
        Problem::new("projection", 5, false, vec![StageConfig::Projection { rows: 2 }, noise.clone()]),
        Problem::new("mask", 16, true, vec![StageConfig::Mask { rate: 0.5 }, noise]),
    ]
}

impl Problem {
    fn new(name: &'static str, d: usize, diagonal: bool, stages: Vec<StageConfig>) -> Self {
        let channel = ChannelConfig(stages).build(d).unwrap();
        let mut x = Samples::zeros(N, d);
        for i in 0..N {
            let mut stream = Key::new(3, Purpose::Truth, 0).stream(i, 0);
            let common = stream.normal();
            x.row_mut(i).iter_mut().for_each(|v| *v = 0.5 + 0.6 * common + 0.8 * stream.normal());
        }
        let observations = Observations::simulate(&channel, &x, Key::new(3, Purpose::Observe, 0), 0);
        let frame = Frame::of(&x, Standardise::Auto, diagonal);
        let schedule = Schedule { sigma_min: 0.01, sigma_max: 40.0, ..Default::default() };
        Self { name, schedule, channel, config: ConditioningConfig::default(), frame, x, observations }
    }

    fn conditioning(&self) -> Conditioning<'_> {
        Conditioning { channel: &self.channel, config: &self.config, frame: &self.frame }
    }

    /// The paper's network; weights, scales and shifts all away from what initialisation gives.
    pub fn network(&self, device: &Device) -> Mlp {
        let network = MlpConfig::default().init(self.x.d(), self.conditioning().feature_len(), 1, device);
        let mut weights = to_host(&flatten(&network));
        let mut stream = Key::new(3, Purpose::Weights, 1).stream(0, 0);
        weights.iter_mut().for_each(|w| *w += 0.02 * stream.normal());
        unflatten(network, &from_host(weights, device))
    }

    pub fn batch(&self) -> Batch {
        let (conditioning, d) = (self.conditioning(), self.x.d());
        let x = self.frame.standardise(&self.x);
        let sigma: Vec<f64> = (0..N).map(|i| self.schedule.sigma((i as f64 + 0.5) / N as f64)).collect();
        let weight = sigma.iter().map(|&s| self.schedule.loss_weight(s) / (N * d) as f64).collect();
        let mut features = Samples::zeros(N, conditioning.feature_len());
        let width = if self.frame.is_diagonal() { d } else { d * d };
        let (mut ka, mut ky, mut x_t) = (Samples::zeros(N, width), Samples::zeros(N, d), x.clone());
        for (i, &s) in sigma.iter().enumerate() {
            let (y, a) = (self.observations.y.row(i), self.observations.operator(i));
            let measurement = conditioning.condition(y, a, features.row_mut(i)).expect("a linear channel");
            measurement.update(self.schedule.posterior_variance(s), ka.row_mut(i), ky.row_mut(i));
            let mut stream = Key::new(3, Purpose::Loss, 0).stream(i, 0);
            x_t.row_mut(i).iter_mut().for_each(|v| *v += s as f32 * stream.normal());
        }
        Batch { x, x_t, features, sigma, ka, ky, weight }
    }

    /// D of the batch.
    fn denoise(&self, network: &Mlp, batch: &Batch, gain: bool, device: &Device) -> Tensor<2> {
        let [x_t, features, ka, ky] = [&batch.x_t, &batch.features, &batch.ka, &batch.ky].map(|s| to_tensor(s, device));
        let denoiser = Preconditioned { network, schedule: &self.schedule };
        denoiser.forward(x_t, &batch.sigma, features, gain.then_some(&Gain { ka, ky, basis: None, skip: None }))
    }

    /// Σ w (D - x)² and its gradient with respect to the weights.
    fn loss(&self, network: &Mlp, batch: &Batch, device: &Device) -> (Vec<f32>, Vec<f32>) {
        let network = network.clone().train();
        let device = device.clone().autodiff();
        let weight: Vec<f32> = batch.weight.iter().map(|&w| w as f32).collect();
        let weight = Tensor::<2>::from_data(TensorData::new(weight, [N, 1]), &device);
        let error = self.denoise(&network, batch, true, &device) - to_tensor(&batch.x, &device);
        let loss = (error.square() * weight).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        (to_host(&loss.inner()), to_host(&flatten_gradients(&network, gradients)))
    }

    /// Five steps of training: the losses, the first step's gradient (first moment / (1 - β₁)), the trained weights.
    fn train(&self, network: &Mlp, device: &Device) -> (Vec<f32>, Vec<f32>, Tensor<1>) {
        let config =
            MStepConfig { steps: 5, batch: 40, micro_batch: 16, clip_norm: 0.0, ema: 0.5, ..Default::default() };
        let mut m_step = MStep::new(network, &self.schedule, self.conditioning(), &self.x, &config, 4, 1, device);
        let mut state = OptimState::new(flatten(network));
        let mut losses = to_host(&m_step.step(&mut state, 0));
        let gradient = to_host(&(state.first.clone() / 0.1));
        (1..5).for_each(|step| losses.extend(to_host(&m_step.step(&mut state, step))));
        (losses, gradient, state.average)
    }

    /// Posterior draws of all observations, in three shards.
    fn sample(&self, network: &Mlp, sampler: &SamplerConfig, device: &Device) -> Samples {
        let e_step = EStep {
            network,
            schedule: &self.schedule,
            conditioning: self.conditioning(),
            observations: &self.observations,
            sampler,
            key: Key::new(4, Purpose::Sample, 1),
            device,
        };
        e_step.all(16).unwrap()
    }

    fn quantities(&self, device: &Device) -> Vec<Quantity> {
        let (network, batch) = (self.network(device), self.batch());
        let host = |t: Tensor<2>| to_samples(t).unwrap().into_vec();
        let (loss, gradient) = self.loss(&network, &batch, device);
        let (losses, first_gradient, trained) = self.train(&network, device);
        let trained = unflatten(network.clone(), &trained);
        let mut all = vec![
            ("denoiser without gain".into(), 1e-5, host(self.denoise(&network, &batch, false, device))),
            ("denoiser with gain".into(), 1e-5, host(self.denoise(&network, &batch, true, device))),
            ("loss".into(), 1e-5, loss),
            ("gradient".into(), 2e-5, gradient),
            ("M-step, gradient of 3 pieces".into(), 2e-5, first_gradient),
            ("M-step, 5 losses".into(), 1e-4, losses),
            ("M-step, denoiser after".into(), 1e-4, host(self.denoise(&trained, &batch, true, device))),
        ];
        for (name, sampler) in samplers() {
            all.push((format!("E-step, {name}"), 1e-4, self.sample(&network, &sampler, device).into_vec()));
        }
        let named = |(name, tolerance, values): (String, f64, Vec<f32>)| {
            quantity(format!("{}: {name}", self.name), tolerance, &values)
        };
        all.into_iter().map(named).collect()
    }
}

fn samplers() -> [(&'static str, SamplerConfig); 4] {
    let spacing = Spacing::Geometric;
    [
        ("ddpm", SamplerConfig::Ddpm { steps: 12, spacing }),
        ("heun", SamplerConfig::Heun { steps: 6, spacing, churn: 0.1 }),
        ("dpmpp-2m-sde", SamplerConfig::Dpmpp2mSde { steps: 12, spacing }),
        ("pc", SamplerConfig::Pc { steps: 6, spacing, corrections: 1, tau: 0.1 }),
    ]
}

/// Three updates with given gradients in two pieces, clipped: weights, average and moments.
fn optimiser(device: &Device) -> Vec<Quantity> {
    let wave = |a: f32| from_host((0..10_007).map(|i| (i as f32 * a).sin()).collect(), device);
    let mut state = OptimState::new(wave(0.1));
    for t in 0..3 {
        let update = Update { learning_rate: 1e-2, clip_norm: 1.0, average_decay: 0.9 };
        state.update(vec![wave(0.3 + t as f32), wave(0.7)], update);
    }
    let parts = [
        ("weights", 1e-5, &state.weights),
        ("average", 1e-5, &state.average),
        ("first moment", 1e-5, &state.first),
        ("second moment", 1e-5, &state.second),
    ];
    parts.map(|(name, tolerance, t)| quantity(format!("optimiser: {name}"), tolerance, &to_host(t))).into()
}

/// Everything on `device`.
pub fn quantities(device: &Device) -> Vec<Quantity> {
    problems().iter().flat_map(|problem| problem.quantities(device)).chain(optimiser(device)).collect()
}
