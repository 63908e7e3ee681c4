//! A network chosen by a configuration.

use super::{InParts, Mlp, MlpConfig, Network, Unet, UnetConfig};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::noise::RowStreams;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// The denoiser's network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NetworkConfig {
    /// A multilayer perceptron, for vectors.
    Mlp(MlpConfig),
    /// A U-Net, for images.
    Unet(UnetConfig),
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self::Mlp(MlpConfig::default())
    }
}

/// A network of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // a handful exist at a time, and burn's modules cannot be boxed
pub enum AnyNetwork {
    /// For vectors.
    Mlp(Mlp),
    /// For images.
    Unet(Unet),
}

impl NetworkConfig {
    /// Checks the ranges for signals with `condition` features; `image` is their shape if they are images.
    pub fn validate(&self, image: Option<ImageShape>, condition: usize) -> Result<()> {
        match self {
            Self::Mlp(config) => config.validate(),
            Self::Unet(config) => config.validate(need(image)?, condition),
        }
    }

    /// Builds the network for signals of length `d` with `condition` features; its weights are a function of
    /// `seed` alone.
    pub fn init(
        &self,
        d: usize,
        image: Option<ImageShape>,
        condition: usize,
        seed: u64,
        device: &Device,
    ) -> Result<AnyNetwork> {
        Ok(match self {
            Self::Mlp(config) => AnyNetwork::Mlp(config.init(d, condition, seed, device)),
            Self::Unet(config) => AnyNetwork::Unet(config.init(need(image)?, condition, seed, device)?),
        })
    }
}

pub(super) fn need(image: Option<ImageShape>) -> Result<ImageShape> {
    image.ok_or_else(|| {
        Error::config("network.kind", "\"unet\" needs images: give the data a shape, or use kind = \"mlp\"")
    })
}

impl Network for AnyNetwork {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(mlp) => mlp.forward(x, embedding, condition),
            Self::Unet(unet) => unet.forward(x, embedding, condition),
        }
    }

    fn forward_training(
        &self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        condition: Tensor<2>,
        streams: RowStreams,
    ) -> Tensor<2> {
        match self {
            Self::Mlp(mlp) => mlp.forward_training(x, embedding, condition, streams),
            Self::Unet(unet) => unet.forward_training(x, embedding, condition, streams),
        }
    }

    fn prepare(&self, condition: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(mlp) => mlp.prepare(condition),
            Self::Unet(unet) => unet.prepare(condition),
        }
    }

    fn forward_prepared(&self, x: Tensor<2>, embedding: Tensor<2>, prepared: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Mlp(mlp) => mlp.forward_prepared(x, embedding, prepared),
            Self::Unet(unet) => unet.forward_prepared(x, embedding, prepared),
        }
    }

    fn in_parts(&self) -> Option<&dyn InParts> {
        match self {
            Self::Mlp(mlp) => mlp.in_parts(),
            Self::Unet(unet) => unet.in_parts(),
        }
    }

    fn embedding_len(&self) -> usize {
        match self {
            Self::Mlp(mlp) => mlp.embedding_len(),
            Self::Unet(unet) => unet.embedding_len(),
        }
    }
}
