//! Settings from which a network is built: the built-in configurations and the user's own.

use super::{AnyNetwork, Mlp, MlpConfig, Network, NetworkConfig, Unet, UnetConfig};
use crate::error::Result;
use crate::image::ImageShape;
use burn::module::Module;
use burn::tensor::Device;

/// The sizes that a network is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkShape {
    /// Length d of a signal.
    pub signal: usize,
    /// Shape of the signals, if they are images.
    pub image: Option<ImageShape>,
    /// Number of features c of an observation that the network receives.
    pub features: usize,
}

/// Settings from which a network is built: [`MlpConfig`], [`UnetConfig`], [`NetworkConfig`], or the user's
/// own type.
///
/// Training, sampling and export work with any implementation. A posterior can be written to a file if the
/// settings are `serde::Serialize`, and read back if they are `serde::de::DeserializeOwned`.
pub trait NetworkSpec: Clone + Send + Sync {
    /// The network.
    type Network: Network + Module;

    /// Checks the settings for signals of this shape; the error names the field.
    fn validate(&self, _shape: &NetworkShape) -> Result<()> {
        Ok(())
    }

    /// Builds the network, outside autodiff; its weights are a function of `seed` alone.
    fn build(&self, shape: &NetworkShape, seed: u64, device: &Device) -> Result<Self::Network>;

    /// Lower bound on the number of weights, so that a small file that announces a huge network is refused
    /// before memory is allocated.
    fn min_parameters(&self, _shape: &NetworkShape) -> u128 {
        0
    }
}

impl NetworkSpec for MlpConfig {
    type Network = Mlp;

    fn validate(&self, _shape: &NetworkShape) -> Result<()> {
        self.validate()
    }

    fn build(&self, shape: &NetworkShape, seed: u64, device: &Device) -> Result<Mlp> {
        Ok(self.init(shape.signal, shape.features, seed, device))
    }

    fn min_parameters(&self, shape: &NetworkShape) -> u128 {
        let input = (shape.signal + shape.features + self.embedding) as u128;
        let (width, depth) = (self.width as u128, self.depth as u128);
        width * input + width * width * depth.saturating_sub(1)
    }
}

impl NetworkSpec for UnetConfig {
    type Network = Unet;

    fn validate(&self, shape: &NetworkShape) -> Result<()> {
        self.validate(super::any::need(shape.image)?, shape.features)
    }

    fn build(&self, shape: &NetworkShape, seed: u64, device: &Device) -> Result<Unet> {
        self.init(super::any::need(shape.image)?, shape.features, seed, device)
    }

    fn min_parameters(&self, _shape: &NetworkShape) -> u128 {
        let blocks = self.channels.iter().zip(&self.blocks);
        blocks.map(|(&c, &n)| 2 * n as u128 * 18 * (c as u128).pow(2)).sum()
    }
}

impl NetworkSpec for NetworkConfig {
    type Network = AnyNetwork;

    fn validate(&self, shape: &NetworkShape) -> Result<()> {
        self.validate(shape.image, shape.features)
    }

    fn build(&self, shape: &NetworkShape, seed: u64, device: &Device) -> Result<AnyNetwork> {
        self.init(shape.signal, shape.image, shape.features, seed, device)
    }

    fn min_parameters(&self, shape: &NetworkShape) -> u128 {
        match self {
            Self::Mlp(config) => config.min_parameters(shape),
            Self::Unet(config) => config.min_parameters(shape),
        }
    }
}
