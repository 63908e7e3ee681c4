//! Feature networks, which map images to feature vectors and class logits with pretrained weights that the
//! user provides.

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

use network::{FeatureNetwork, Load, Names, Scores};

/// All networks, one line each; options, scores and the list of weights are derived from this array.
pub static NETWORKS: [&FeatureNetwork; 4] =
    [&efficientnet_lite0::NETWORK, &inception_v3::NETWORK, &dinov2::NETWORK, &st_lpips::NETWORK];

/// Names of the scores of the networks that compute features of single images.
pub fn names() -> impl Iterator<Item = Names> {
    NETWORKS.iter().filter_map(|network| match network.scores {
        Scores::Features(names, _) => Some(names),
        Scores::Distance => None,
    })
}

/// Loaders of the `chosen` networks that compute features of single images.
pub fn describing(chosen: &[String]) -> Vec<Load> {
    let load = |name: &String| match NETWORKS.iter().find(|network| network.name == name)?.scores {
        Scores::Features(_, load) => Some(load),
        Scores::Distance => None,
    };
    chosen.iter().filter_map(load).collect()
}
