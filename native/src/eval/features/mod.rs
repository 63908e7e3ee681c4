//! Feature networks: pretrained weights that the user brings, images in, feature vectors and class logits out.

pub mod bicubic;
pub mod dinov2;
pub mod efficientnet_lite0;
#[cfg(test)]
mod fixtures;
pub mod inception_v3;
mod layers;
pub mod network;
pub mod scores;
mod source;
pub mod st_lpips;
pub mod weights;

use crate::args::FeatureNetwork;
use anyhow::Result;
use burn::tensor::Device;
use dinov2::DinoV2;
use efficientnet_lite0::EfficientNetLite0;
use inception_v3::InceptionV3;
use network::{Names, Network};
use std::path::Path;

/// What the scores of each network are called.
pub const NAMES: [Names; 3] = [efficientnet_lite0::NAMES, inception_v3::NAMES, dinov2::NAMES];

/// Those of `chosen` that describe single images, with their weights from the directory `dir`.
pub fn networks(chosen: &[FeatureNetwork], dir: &Path, device: &Device) -> Result<Vec<Box<dyn Network>>> {
    let load = |network: &FeatureNetwork| -> Option<Result<Box<dyn Network>>> {
        match network {
            FeatureNetwork::EfficientNetLite0 => Some(EfficientNetLite0::load(dir, device).map(boxed)),
            FeatureNetwork::InceptionV3 => Some(InceptionV3::load(dir, device).map(boxed)),
            FeatureNetwork::DinoV2 => Some(DinoV2::load(dir, device).map(boxed)),
            FeatureNetwork::StLpips => None,
        }
    };
    chosen.iter().filter_map(load).collect()
}

fn boxed(network: impl Network + 'static) -> Box<dyn Network> {
    Box::new(network)
}
