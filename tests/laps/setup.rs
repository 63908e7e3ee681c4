//! A small run with all its settings.

use burn::tensor::Device;
use diffem::channel::{Channel, ChannelConfig, Compose, NoiseConfig, ProjectionConfig, StageConfig};
use diffem::conditioning::{ConditioningConfig, Standardizer};
use diffem::em::*;
use diffem::gaussian::Gaussian;
use diffem::method::{Diffem, Method};
use diffem::network::{Mlp, MlpConfig, NetworkShape, NetworkSpec, flatten};
use diffem::noise::{Key, Purpose};
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{Em, Observations, Posterior, Samples};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A problem small enough for a test.
pub struct Setup {
    pub channel: Arc<Compose>,
    pub conditioning: ConditioningConfig,
    pub method: Method,
    pub observations: Arc<Observations>,
    pub network: MlpConfig,
    pub schedule: Schedule,
    pub em: EmConfig,
    pub init: GaussianInit,
    pub m_step: MStepConfig,
    pub e_step: EStepConfig,
    pub monitor: MonitorConfig,
    pub device: Device,
}

pub fn gaussian_samples(law: &Gaussian, n: usize, seed: u64) -> Samples {
    let (root, key) = (law.root(), Key::new(seed, Purpose::Truth, 0));
    let row = |i| law.draw(&root, &mut key.stream(i, 0)).iter().map(|&v| v as f32).collect::<Vec<_>>();
    Samples::new((0..n).flat_map(row).collect(), law.d())
}

impl Setup {
    pub fn new(law: &Gaussian, stages: Vec<StageConfig>, n: usize, network: MlpConfig) -> Self {
        let (device, channel) = (Device::flex(), ChannelConfig(stages).build(law.d()).unwrap());
        let x = gaussian_samples(law, n, 1);
        let observations = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        let m_step = MStepConfig { steps: 60, batch: 64, micro_batch: 16, ..Default::default() };
        let sampler = DdpmConfig { steps: 12, spacing: Spacing::Geometric }.into();
        Self {
            channel: Arc::new(channel),
            conditioning: ConditioningConfig::default(),
            method: Method::default(),
            observations: Arc::new(observations),
            network,
            schedule: Schedule { sigma_max: 40.0, sigma_min: 0.01, ..Default::default() },
            em: EmConfig { laps: 2, ..Default::default() },
            init: GaussianInit::default(),
            m_step,
            e_step: EStepConfig { sampler, shard: 32 },
            monitor: MonitorConfig::default(),
            device,
        }
    }

    /// A 3-D problem with two random projections per signal.
    pub fn tiny() -> Self {
        let stages = vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1.into() }.into()];
        Self::new(&Gaussian::isotropic(3, 1.0), stages, 203, MlpConfig { width: 16, depth: 2, embedding: 8 })
    }

    /// [`Setup::tiny`] with over-relaxed E-steps and a lower weight of imputed values.
    pub fn tiny_with_levers() -> Self {
        let mut setup = Self::tiny();
        setup.em.laps = 4;
        setup.method = Diffem { imputed_weight: 0.1, relaxation: 2.0 }.into();
        setup
    }

    /// The run with these settings and seed 7; its initial weights are those of seed 1.
    pub fn run(&self) -> Trainer<Seeded> {
        Em::shared(self.channel.clone(), self.observations.clone())
            .network(Seeded(self.network.clone()))
            .schedule(self.schedule.clone())
            .conditioning(self.conditioning.clone())
            .method(self.method.clone())
            .em(self.em.clone())
            .m_step(self.m_step.clone())
            .e_step(self.e_step.clone())
            .monitor(self.monitor.clone())
            .seed(7)
            .trainer(&self.device)
            .unwrap()
    }

    pub fn begin(&self) -> State {
        let prior = InitialPrior::fit(self.channel.as_ref(), &self.observations, &self.init, 7).unwrap();
        let x = prior.reconstruct(self.channel.as_ref(), &self.observations, 7).unwrap();
        self.run().begin_fitted(x).unwrap()
    }

    pub fn all_laps(&self) -> State {
        let mut state = self.begin();
        self.run().run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
        state
    }

    /// The posterior before any training, in the coordinates of the signal.
    pub fn untrained(&self) -> Posterior<Seeded> {
        let run = self.run();
        let standardizer = Standardizer::identity(self.channel.signal_len());
        run.posterior_in(&flatten(run.network()), standardizer)
    }
}

/// A user's own network: an MLP whose initial weights do not depend on the seed of the run.
#[derive(Clone)]
pub struct Seeded(pub MlpConfig);

impl NetworkSpec for Seeded {
    type Network = Mlp;

    fn build(&self, shape: &NetworkShape, _seed: u64, device: &Device) -> diffem::Result<Mlp> {
        self.0.build(shape, 1, device)
    }
}
