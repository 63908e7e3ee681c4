//! The workloads that the benchmarks time, each as a closure that runs it once.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::conditioning::{ConditioningConfig, Features, Standardize, Standardizer};
use diffem::em::{EStep, EStepConfig, MStep, MStepConfig};
use diffem::method::Method;
use diffem::network::{Mlp, MlpConfig, Network, flatten, flatten_gradients, unflatten};
use diffem::noise::{Key, Purpose};
use diffem::optim::{OptimState, Update};
use diffem::posterior::{Model, Posterior};
use diffem::sampler::SamplerConfig;
use diffem::schedule::Schedule;
use diffem::{Observations, Samples};
use rayon::prelude::*;
use std::sync::Arc;

/// Rows that a worker takes at a time.
pub const SHARD: usize = 256;

/// The paper's network and channel, conditioned as published so that both sides of a comparison do the same work.
pub struct Workload {
    pub device: Device,
    pub network: Mlp,
    posterior: Posterior<MlpConfig>,
    m_step: MStepConfig,
    x: Samples,
    observations: Observations,
}

/// Draws standard normals `[n, d]`, a different set for each `index`.
pub fn normal(n: usize, d: usize, index: usize) -> Samples {
    let mut x = Samples::zeros(n, d);
    Key::new(1, Purpose::Truth, 0).stream(index, 0).fill_normal(x.as_mut_slice());
    x
}

fn tensor(x: &Samples, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.as_slice().to_vec(), [x.n(), x.d()]), device)
}

impl Workload {
    pub fn new() -> Self {
        let device = Device::flex();
        let stages = vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.01.into() }.into()];
        let channel = ChannelConfig(stages).build(5).expect("valid stages");
        let config = ConditioningConfig {
            features: Features::Observation,
            standardize: Standardize::None,
            measurement_update: false,
            ..ConditioningConfig::default()
        };
        let observe = Key::new(1, Purpose::Observe, 0);
        let observations = Observations::simulate(&channel, &normal(16_384, 5, 3), observe, 0);
        let model = Model {
            channel: Arc::new(channel),
            image: None,
            schedule: Schedule::default(),
            conditioning: config,
            method: Method::default(),
            network: MlpConfig::default(),
            sampler: EStepConfig::default().sampler,
            shard: SHARD,
        };
        let network = model.build_network(1, &device).expect("a network");
        let posterior = Posterior::new(model, network.clone(), Standardizer::identity(5), device.clone());
        let m_step = MStepConfig { steps: 1000, batch: 1024, micro_batch: SHARD, ema: 0.0, ..Default::default() };
        Self { device, network, posterior, m_step, x: normal(16_384, 5, 2), observations }
    }

    /// Forward, mean-square loss, backward and Adam on fixed inputs, batch 1024, split into shards as in the
    /// M-step.
    pub fn train(&self) -> impl FnMut() + '_ {
        let (x, y) = (normal(1024, 17, 0), normal(1024, 5, 1));
        let mut state = OptimState::new(flatten(&self.network));
        move || {
            let network = unflatten(self.network.clone(), &state.weights);
            let shard = |i: usize| {
                let network = network.clone().train();
                let device = self.device.clone().autodiff();
                let rows = i * SHARD..(i + 1) * SHARD;
                let (x, y) = (tensor(&x.slice(rows.clone()), &device), tensor(&y.slice(rows), &device));
                let (signal, features) = (x.clone().narrow(1, 0, 5), x.narrow(1, 5, 12));
                let embedding = Tensor::ones([SHARD, 64], &device);
                let loss = (network.forward(signal, embedding, features) - y).square().sum() / (1024.0 * 5.0);
                flatten_gradients(&network, GradientsParams::from_grads(loss.backward(), &network))
            };
            let gradients = (0..1024 / SHARD).into_par_iter().map(shard).collect();
            state.update(gradients, Update { learning_rate: 1e-3, clip_norm: 0.0, average_decay: 0.0 });
        }
    }

    /// A step of the M-step itself: fresh corruption, noise, loss, backward, clipping, Adam, batch 1024.
    pub fn full_step(&self) -> impl FnMut() + '_ {
        let mut m_step = MStep::new(&self.posterior, (&self.x, &self.observations), &self.m_step, 1, 1);
        let (mut state, mut step) = (OptimState::new(flatten(&self.network)), 0);
        move || {
            m_step.step(&mut state, step);
            step += 1;
        }
    }

    /// One pass of 4096 rows through the bare network.
    pub fn forward(&self) -> impl FnMut() + '_ {
        let inputs = |i| [5, 64, 12].map(|d| tensor(&normal(SHARD, d, i), &self.device));
        let shards: Vec<[Tensor<2>; 3]> = (0..4096 / SHARD).map(inputs).collect();
        move || {
            let pass = |[x, e, c]: &[Tensor<2>; 3]| self.network.forward(x.clone(), e.clone(), c.clone());
            std::hint::black_box(shards.par_iter().map(pass).collect::<Vec<_>>());
        }
    }

    /// One draw from the posterior of each of 16 384 observations.
    pub fn e_step<'a>(&'a self, sampler: &'a SamplerConfig) -> impl FnMut() + 'a {
        let posterior = self.posterior.clone().with_sampler(sampler.clone()).expect("a valid sampler");
        let key = Key::new(1, Purpose::Sample, 0);
        move || drop(EStep { posterior: &posterior, observations: &self.observations, key }.all())
    }
}
