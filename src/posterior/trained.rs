//! The posterior: a model, a network with its weights, and their coordinates.

use super::model::Model;
use crate::conditioning::Standardizer;
use crate::error::Result;
use crate::method::Context;
use crate::network::{Network, NetworkConfig, NetworkSpec, Silent};
use crate::observations::Observations;
use crate::ranks::{Alone, Ranks};
use crate::sampler::SamplerConfig;
use burn::tensor::Device;
use std::sync::Arc;

/// The denoiser D' that an over-relaxed E-step moves away from.
#[derive(Clone)]
pub(crate) enum Earlier<N> {
    /// That of the Gaussian prior of the start.
    Start,
    /// That of the previous lap's network.
    Lap(N),
}

/// A posterior ready to sample. A clone shares the channel and the weights.
pub struct Posterior<S: NetworkSpec = NetworkConfig> {
    pub(super) model: Model<S>,
    pub(super) network: S::Network,
    pub(super) standardizer: Standardizer,
    pub(super) device: Device,
    /// The ranks that its draws are dealt to.
    pub(super) ranks: Arc<dyn Ranks>,
    /// Where the E-step is over-relaxed: what it starts from, and ω.
    previous: Option<(Earlier<S::Network>, f64)>,
}

impl<S: NetworkSpec> Clone for Posterior<S> {
    fn clone(&self) -> Self {
        Self {
            model: self.model.clone(),
            network: self.network.clone(),
            standardizer: self.standardizer.clone(),
            device: self.device.clone(),
            ranks: self.ranks.clone(),
            previous: self.previous.clone(),
        }
    }
}

impl<S: NetworkSpec> Posterior<S> {
    /// The posterior of `model` with `network`, outside autodiff, in the coordinates of `standardizer`.
    pub fn new(model: Model<S>, network: S::Network, standardizer: Standardizer, device: Device) -> Self {
        let standardizer = standardizer.of_channel(&model.channel);
        Self { model, network, standardizer, device, ranks: Arc::new(Alone), previous: None }
    }

    /// The same posterior with its draws dealt to `ranks`: each draws its share, and all receive all. They must make the
    /// same calls in the same order, with the same weights and observations.
    pub fn over(mut self, ranks: Arc<dyn Ranks>) -> Self {
        self.ranks = ranks;
        self
    }

    /// The channel, the network configuration and the settings of the posterior.
    pub fn model(&self) -> &Model<S> {
        &self.model
    }

    /// The network with its weights.
    pub fn network(&self) -> &S::Network {
        &self.network
    }

    /// The coordinates in which it diffuses.
    pub fn standardizer(&self) -> &Standardizer {
        &self.standardizer
    }

    /// The device that holds the network.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same posterior with another sampler.
    ///
    /// # Errors
    /// A setting of the sampler outside its range.
    pub fn with_sampler(mut self, sampler: SamplerConfig) -> Result<Self> {
        sampler.validate("sampler")?;
        self.model.sampler = sampler;
        Ok(self)
    }

    /// Share of the variance of measured values that draws keep, s²/(s² + σ_min²) with the noise s of the most
    /// precise value of the first observation, in standardized coordinates. `None` where draws keep all of it, or
    /// where the channel is not linear with Gaussian noise.
    pub fn measured_share(&self, observations: &Observations) -> Option<f64> {
        let (conditioning, method) = (self.context().conditioning, self.model.method.learning());
        if observations.n() == 0 || !method.ends_with_the_mean(conditioning.config) {
            return None;
        }
        let precision = conditioning.measurement(observations.y.row(0), observations.operator(0))?.precision();
        (precision > 0.0).then(|| 1.0 / (1.0 + precision * self.model.schedule.sigma_min.powi(2)))
    }

    /// The posterior of an over-relaxed E-step, whose denoiser is D + (ω - 1) (D - D'): D belongs to this
    /// posterior, D' to what came before it, and ω = `relaxation` is 1 or more.
    pub(crate) fn relaxed(mut self, previous: Earlier<S::Network>, relaxation: f64) -> Self {
        self.previous = Some((previous, relaxation));
        self
    }

    /// ω; 1 where nothing is over-relaxed.
    pub(crate) fn relaxation(&self) -> f64 {
        self.previous.as_ref().map_or(1.0, |(_, relaxation)| *relaxation)
    }

    pub(crate) fn context(&self) -> Context<'_> {
        self.context_of(&self.network)
    }

    pub(super) fn previous_context(&self) -> Option<Context<'_>> {
        self.previous.as_ref().map(|(previous, _)| match previous {
            Earlier::Start => self.context_of(&Silent),
            Earlier::Lap(network) => self.context_of(network),
        })
    }

    fn context_of<'a>(&'a self, network: &'a dyn Network) -> Context<'a> {
        Context {
            network,
            schedule: &self.model.schedule,
            conditioning: self.model.conditioned(&self.standardizer),
            device: &self.device,
        }
    }
}
