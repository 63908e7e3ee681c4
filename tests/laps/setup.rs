//! A small run with everything it borrows.

use burn::tensor::Device;
use diffem::channel::{ChannelConfig, Compose, NoiseConfig, ProjectionConfig, StageConfig};
use diffem::conditioning::{ConditioningConfig, feature_len};
use diffem::em::*;
use diffem::gaussian::Gaussian;
use diffem::network::{Mlp, MlpConfig, flatten};
use diffem::noise::{Key, Purpose};
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::{InMemory, Observations, Samples};
use std::ops::ControlFlow;

/// A problem small enough for a test, with everything a run borrows.
pub struct Setup {
    pub channel: Compose,
    pub conditioning: ConditioningConfig,
    pub observations: Observations,
    pub network: Mlp,
    pub schedule: Schedule,
    pub em: EmConfig,
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
        let conditioning = ConditioningConfig::default();
        let features = feature_len(&channel, &conditioning);
        let network = network.init(law.d(), features, 1, &device);
        let (schedule, em) = (
            Schedule { sigma_max: 40.0, sigma_min: 0.01, ..Default::default() },
            EmConfig { laps: 2, ..Default::default() },
        );
        let m_step = MStepConfig { steps: 60, batch: 64, micro_batch: 16, ..Default::default() };
        let sampler = DdpmConfig { steps: 12, spacing: Spacing::Geometric }.into();
        let e_step = EStepConfig { sampler, shard: 32 };
        Self {
            channel,
            conditioning,
            observations,
            network,
            schedule,
            em,
            m_step,
            e_step,
            monitor: MonitorConfig::default(),
            device,
        }
    }

    /// 3-D, two random projections of every signal.
    pub fn tiny() -> Self {
        let stages = vec![ProjectionConfig { rows: 2 }.into(), NoiseConfig { std: 0.1 }.into()];
        Self::new(&Gaussian::isotropic(3, 1.0), stages, 203, MlpConfig { width: 16, depth: 2, embedding: 8 })
    }

    pub fn run(&self) -> Em<'_, Mlp> {
        Em {
            network: &self.network,
            schedule: &self.schedule,
            channel: &self.channel,
            image: None,
            conditioning: &self.conditioning,
            observations: &self.observations,
            em: &self.em,
            m_step: &self.m_step,
            e_step: &self.e_step,
            monitor: &self.monitor,
            seed: 7,
            device: &self.device,
            tables: &InMemory,
        }
    }

    pub fn begin(&self) -> State {
        let InitConfig::Gaussian { std, iterations, .. } = self.em.start else { unreachable!("tests start Gaussian") };
        let (x, _) = gaussian_init(&self.channel, &self.observations, std, iterations, 7).unwrap();
        self.run().begin(x, flatten(&self.network), None).unwrap()
    }

    pub fn all_laps(&self) -> State {
        let mut state = self.begin();
        self.run().run(&mut state, &mut |_: Event<'_>, _: &State| ControlFlow::Continue(())).unwrap();
        state
    }
}
