//! Builder of a run from a channel and its observations.

use super::config::{EStepConfig, EmConfig, MStepConfig, MonitorConfig};
use super::init::{InitConfig, corrupted_init};
use super::noise_level::estimate_noise;
use super::run::Run;
use super::trainer::Trainer;
use crate::channel::Channel;
use crate::conditioning::ConditioningConfig;
use crate::error::{Error, Result, Warning};
use crate::image::ImageShape;
use crate::method::{Clean, Method};
use crate::network::{Network, NetworkConfig, NetworkSpec};
use crate::observations::Observations;
use crate::posterior::Model;
use crate::ranks::{Alone, Ranks};
use crate::samples::{InMemory, Samples, Store};
use crate::schedule::Schedule;
use burn::tensor::Device;
use std::sync::{Arc, OnceLock};

/// Settings of a run; [`Em::build`] checks them and makes the first reconstructions. Every setting has a
/// default.
///
/// ```
/// # use diffem::{Em, Observations, Samples, channel::{AdditiveNoise, Compose}, noise::{Key, Purpose}, network::MlpConfig};
/// # use burn::tensor::Device;
/// # let channel = AdditiveNoise::new(2, 0.5)?;
/// # let x = Samples::new((0..128).map(|i| (i % 7) as f32).collect(), 2);
/// # let observations = Observations::simulate(&channel, &x, Key::new(0, Purpose::Observe, 0), 0);
/// # let network = MlpConfig { width: 16, depth: 2, embedding: 8 };
/// let mut run = Em::new(channel, observations).network(network).laps(1).steps(10).build(&Device::flex())?;
/// run.run(|event| println!("{event}"))?;
/// assert_eq!(run.reconstructions().n(), 64);
/// # Ok::<(), diffem::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a run is made by `build`"]
pub struct Em<S = NetworkConfig> {
    model: Model<S>,
    observations: Arc<Observations>,
    em: EmConfig,
    m_step: MStepConfig,
    monitor: MonitorConfig,
    init: InitConfig,
    /// First reconstructions, which replace `init`.
    x: Option<Samples>,
    clean: Option<Arc<Clean>>,
    store: Arc<dyn Store>,
    ranks: Arc<dyn Ranks>,
    seed: u64,
}

impl Em {
    /// A run on `observations` of `channel`, with default settings.
    pub fn new(channel: impl Channel + 'static, observations: impl Into<Arc<Observations>>) -> Self {
        Self::shared(Arc::new(channel), observations)
    }

    /// [`Em::new`] with a shared channel.
    pub fn shared(channel: Arc<dyn Channel>, observations: impl Into<Arc<Observations>>) -> Self {
        let EStepConfig { sampler, shard } = EStepConfig::default();
        let model = Model {
            channel,
            image: None,
            schedule: Schedule::default(),
            conditioning: ConditioningConfig::default(),
            method: Method::default(),
            network: NetworkConfig::default(),
            sampler,
            shard,
        };
        Self::of(model, observations)
    }
}

impl<S: NetworkSpec> Em<S> {
    /// A run that trains the posterior of `model`, with default settings otherwise.
    pub fn of(model: Model<S>, observations: impl Into<Arc<Observations>>) -> Self {
        Self {
            model,
            observations: observations.into(),
            em: EmConfig::default(),
            m_step: MStepConfig::default(),
            monitor: MonitorConfig::default(),
            init: InitConfig::default(),
            x: None,
            clean: None,
            store: Arc::new(InMemory),
            ranks: Arc::new(Alone),
            seed: 0,
        }
    }

    /// The network: [`crate::network::MlpConfig`], [`crate::network::UnetConfig`] or the user's own
    /// [`NetworkSpec`].
    pub fn network<T: NetworkSpec>(self, network: T) -> Em<T> {
        let Self { model, observations, em, m_step, monitor, init, x, clean, store, ranks, seed } = self;
        let Model { channel, image, schedule, conditioning, method, sampler, shard, .. } = model;
        let model = Model { channel, image, schedule, conditioning, method, network, sampler, shard };
        Em { model, observations, em, m_step, monitor, init, x, clean, store, ranks, seed }
    }

    /// Shape of the signals, where they are images.
    pub fn image(mut self, shape: ImageShape) -> Self {
        self.model.image = Some(shape);
        self
    }

    /// Noise levels.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.model.schedule = schedule;
        self
    }

    /// How observations enter the denoiser.
    pub fn conditioning(mut self, conditioning: ConditioningConfig) -> Self {
        self.model.conditioning = conditioning;
        self
    }

    /// The learning method, [`crate::method::Diffem`] by default.
    pub fn method(mut self, method: impl Into<Method>) -> Self {
        self.model.method = method.into();
        self
    }

    /// Sampling in the E-step; the posterior uses the same sampler.
    pub fn e_step(mut self, e_step: EStepConfig) -> Self {
        (self.model.sampler, self.model.shard) = (e_step.sampler, e_step.shard);
        self
    }

    /// Training.
    pub fn m_step(mut self, m_step: MStepConfig) -> Self {
        self.m_step = m_step;
        self
    }

    /// Laps and patience.
    pub fn em(mut self, em: EmConfig) -> Self {
        self.em = em;
        self
    }

    /// Held-out comparison.
    pub fn monitor(mut self, monitor: MonitorConfig) -> Self {
        self.monitor = monitor;
        self
    }

    /// Number of laps, 1 or more.
    pub fn laps(mut self, laps: usize) -> Self {
        self.em.laps = laps;
        self
    }

    /// Optimizer steps per lap, 1 or more.
    pub fn steps(mut self, steps: usize) -> Self {
        self.m_step.steps = steps;
        self
    }

    /// Seed of all random numbers.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Where the first reconstructions come from.
    pub fn init(mut self, init: InitConfig) -> Self {
        (self.init, self.x) = (init, None);
        self
    }

    /// The first reconstructions, `[n, d]`, if they are made elsewhere; they replace `init`.
    pub fn reconstructions(mut self, x: Samples) -> Self {
        self.x = Some(x);
        self
    }

    /// A few clean signals `x [h, d]`: every training signal is one of them with probability `weight`, in [0, 1), and a
    /// reconstruction otherwise. A weight of .2 is the published one (arXiv 2512.17051) where the channel does not
    /// identify the distribution of the signals; where it does, clean signals are not needed.
    pub fn clean(mut self, x: Samples, weight: f64) -> Self {
        self.clean = Some(Arc::new(Clean { x, weight }));
        self
    }

    /// Where reconstructions are stored; in memory by default.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// The ranks that the run is dealt to; this process alone by default.
    pub fn ranks(mut self, ranks: Arc<dyn Ranks>) -> Self {
        self.ranks = ranks;
        self
    }

    /// Checks every setting, estimates the noise where its level is unknown, and makes the first reconstructions.
    ///
    /// # Errors
    /// A setting outside its range, observations that do not fit the channel or that [`Observations::inspected`]
    /// refuses, a start that the channel does not allow; the error names the field.
    pub fn build(mut self, device: &Device) -> Result<Run<S>> {
        let warnings = self.inspect()?;
        let Model { channel, image, .. } = &self.model;
        let levels = estimate_noise(channel.as_ref(), *image, &self.observations)?;
        if let Some(known) = channel.with_noise(&levels) {
            self.model.channel = known;
        }
        let (init, x) = (self.init.clone(), self.x.take());
        if x.is_none() {
            init.validate(self.model.channel.as_ref())?;
        }
        let trainer = self.trainer(device)?;
        let prior = if x.is_none() { trainer.fit_prior(&init)? } else { None };
        let (channel, observations) = (trainer.model.channel.as_ref(), trainer.observations.as_ref());
        let x = match (x, &prior) {
            (Some(x), _) => x,
            (None, Some(prior)) => prior.reconstruct(channel, observations, trainer.seed)?,
            (None, None) => corrupted_init(channel, observations)?,
        };
        let state = if prior.is_some() { trainer.begin_fitted(x)? } else { trainer.begin(x)? };
        Ok(Run { trainer, state, prior, warnings })
    }

    /// Checks the observations' values and hides what their operators hide.
    fn inspect(&mut self) -> Result<Vec<Warning>> {
        let shared = std::mem::replace(&mut self.observations, Arc::new(Observations::nothing(0)));
        let channel = self.model.channel.as_ref();
        let (seen, warnings) = Arc::unwrap_or_clone(shared).inspected(channel, &self.model.inspection())?;
        self.observations = Arc::new(seen);
        Ok(warnings)
    }

    /// Checks the settings and leaves the state to the caller, who may read it from a file; `init` is not
    /// used, and only the shapes of the observations are checked (see [`Observations::inspected`]).
    ///
    /// # Errors
    /// A setting outside its range, observations that do not fit the channel; the error names the field.
    pub fn trainer(self, device: &Device) -> Result<Trainer<S>> {
        let Self { model, observations, em, m_step, monitor, clean, store, ranks, seed, .. } = self;
        model.validate()?;
        em.validate()?;
        m_step.validate()?;
        monitor.validate()?;
        if m_step.flip && model.image.is_none() {
            let message = "only images can be flipped; set it to false, or give the signals a shape";
            return Err(Error::config("m_step.flip", message));
        }
        m_step.check_operators(model.channel.as_ref())?;
        monitor.check_method(&model.method)?;
        if let Some(clean) = &clean {
            model.method.check_clean()?;
            clean.validate(model.channel.signal_len())?;
        }
        observations.check(model.channel.as_ref())?;
        let network = model.build_network(seed, device)?;
        if m_step.gradient_checkpointing && network.in_parts().is_none() {
            let message = "this network is not computed in parts; set it to false, or take network.kind = \"unet\"";
            return Err(Error::config("m_step.gradient_checkpointing", message));
        }
        let (device, comparison) = (device.clone(), OnceLock::new());
        Ok(Trainer { model, network, observations, em, m_step, monitor, clean, seed, device, store, ranks, comparison })
    }
}
