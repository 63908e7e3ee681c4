//! The posterior: a model, a network with its weights, and their coordinates.

use super::model::Model;
use crate::conditioning::Standardizer;
use crate::error::Result;
use crate::method::Context;
use crate::network::{NetworkConfig, NetworkSpec};
use crate::sampler::SamplerConfig;
use burn::tensor::Device;

/// A posterior ready to sample. A clone shares the channel and the weights.
pub struct Posterior<S: NetworkSpec = NetworkConfig> {
    pub(super) model: Model<S>,
    pub(super) network: S::Network,
    pub(super) standardizer: Standardizer,
    pub(super) device: Device,
}

impl<S: NetworkSpec> Clone for Posterior<S> {
    fn clone(&self) -> Self {
        Self {
            model: self.model.clone(),
            network: self.network.clone(),
            standardizer: self.standardizer.clone(),
            device: self.device.clone(),
        }
    }
}

impl<S: NetworkSpec> Posterior<S> {
    /// The posterior of `model` with `network`, outside autodiff, in the coordinates of `standardizer`.
    pub fn new(model: Model<S>, network: S::Network, standardizer: Standardizer, device: Device) -> Self {
        Self { model, network, standardizer, device }
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

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            network: &self.network,
            schedule: &self.model.schedule,
            conditioning: self.model.conditioned(&self.standardizer),
            device: &self.device,
        }
    }
}
