//! Everything that a posterior consists of, except its weights.

use crate::channel::Channel;
use crate::check::Inspection;
use crate::conditioning::{Conditioning, ConditioningConfig, Standardizer};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::method::Method;
use crate::network::{NetworkConfig, NetworkShape, NetworkSpec};
use crate::sampler::SamplerConfig;
use crate::schedule::Schedule;
use burn::tensor::Device;
use std::sync::Arc;

/// Channel, network and settings of a posterior. A clone shares the channel.
#[derive(Clone)]
pub struct Model<S = NetworkConfig> {
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// Shape of the signals, if they are images.
    pub image: Option<ImageShape>,
    /// Noise levels.
    pub schedule: Schedule,
    /// How observations enter the denoiser.
    pub conditioning: ConditioningConfig,
    /// How the posterior is learned.
    pub method: Method,
    /// The network.
    pub network: S,
    /// The sampler.
    pub sampler: SamplerConfig,
    /// Number of draws that a worker takes at a time, 1 or more; it does not change the result.
    pub shard: usize,
}

impl<S: NetworkSpec> Model<S> {
    /// The sizes that the network is built for.
    pub fn shape(&self) -> NetworkShape {
        let channel = self.channel.as_ref();
        let features = self.method.feature_len(channel, &self.conditioning);
        NetworkShape { signal: channel.signal_len(), image: self.image, features }
    }

    /// Checks every setting against its range and against the channel; the error names the field.
    pub fn validate(&self) -> Result<()> {
        let channel = self.channel.as_ref();
        self.schedule.validate()?;
        self.sampler.validate("e_step.sampler")?;
        if self.shard == 0 {
            return Err(Error::config("e_step.shard", "expected 1 or more, found 0"));
        }
        if let Some(image) = self.image {
            image.validate("image")?;
            if image.len() != channel.signal_len() {
                return Err(Error::shape("signals of the channel", image.len(), channel.signal_len()));
            }
        }
        self.conditioning.validate(channel)?;
        self.method.validate(channel)?;
        self.network.validate(&self.shape())
    }

    /// What observations that this model is trained on are checked for.
    pub fn inspection(&self) -> Inspection {
        Inspection { training: true, image: self.image, range: self.conditioning.range }
    }

    /// Builds the network with its initial weights, which are a function of `seed` alone.
    pub fn build_network(&self, seed: u64, device: &Device) -> Result<S::Network> {
        self.network.build(&self.shape(), seed, device)
    }

    /// How observations enter the denoiser in the coordinates of `standardizer`.
    pub fn conditioned<'a>(&'a self, standardizer: &'a Standardizer) -> Conditioning<'a> {
        Conditioning { channel: self.channel.as_ref(), config: &self.conditioning, standardizer }
    }
}
