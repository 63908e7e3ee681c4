//! What a feature network is: images in, vectors out.

use super::weights::WeightFile;
use crate::data::pixels::Bytes;
use anyhow::{Result, anyhow};
use burn::tensor::{Device, Tensor};
use diffem::Samples;
use rayon::prelude::*;
use std::path::Path;

/// Images of a network call.
const BATCH: usize = 4;

/// How the scores in a network's features are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// The network, as on the command line.
    pub network: &'static str,
    /// Fréchet distance: in tables and in evaluation.json.
    pub frechet: [&'static str; 2],
    /// Kernel distance, likewise.
    pub kernel: [&'static str; 2],
    /// Inception score, for a network with classes.
    pub inception: Option<[&'static str; 2]>,
}

/// A network that `evaluate` can compare images with.
pub struct FeatureNetwork {
    /// Name on the command line.
    pub name: &'static str,
    /// Its entry in the help of `evaluate`.
    pub about: &'static str,
    /// Its weights, which the user brings.
    pub weights: WeightFile,
    /// What it is good for.
    pub scores: Scores,
}

/// What a network scores.
#[derive(Clone, Copy)]
pub enum Scores {
    /// Sets of images by the features of each: names of the scores, and how the network is loaded.
    Features(Names, Load),
    /// Pairs of images by a distance.
    Distance,
}

/// Reads a network's weights from a directory.
pub type Load = fn(&Path, &Device) -> Result<Box<dyn Network>>;

/// What a network says of n images.
pub struct Outputs {
    /// `[n, features]`
    pub features: Tensor<2>,
    /// `[n, classes]`, of a network with classes.
    pub logits: Option<Tensor<2>>,
}

/// A network with its weights.
pub trait Network: Sync {
    /// What its scores are called.
    fn names(&self) -> Names;

    /// Outputs for 1 or more `images`, of any size: it resizes them itself.
    fn outputs(&self, images: &[Bytes]) -> Outputs;
}

/// What a network says of n images, on the host.
pub struct Features {
    /// `[n, features]`
    pub features: Samples,
    /// `[n, classes]`, of a network with classes.
    pub logits: Option<Samples>,
}

impl Features {
    /// Outputs of `network` for 1 or more `images`; batches run side by side, and none depends on another.
    pub fn of(network: &dyn Network, images: &[Bytes]) -> Result<Self> {
        let batch = |batch: &[Bytes]| {
            let Outputs { features, logits } = network.outputs(batch);
            Ok([Some(host(features)?), logits.map(host).transpose()?])
        };
        let parts: Vec<[Option<Vec<f32>>; 2]> = images.par_chunks(BATCH).map(batch).collect::<Result<_>>()?;
        let column =
            |i: usize| -> Vec<f32> { parts.iter().flat_map(|part| part[i].iter().flatten()).copied().collect() };
        let samples = |values: Vec<f32>| {
            let d = values.len() / images.len();
            Samples::new(values, d)
        };
        Ok(Self { features: samples(column(0)), logits: Some(column(1)).filter(|v| !v.is_empty()).map(samples) })
    }
}

/// The values of a tensor, row by row.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_to_vec::<f32>().map_err(|e| anyhow!("{e:?}"))
}
