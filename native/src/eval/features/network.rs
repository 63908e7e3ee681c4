//! Interface of a feature network, which maps images to vectors.

use super::weights::WeightFile;
use crate::data::pixels::Bytes;
use anyhow::{Result, anyhow};
use burn::tensor::{Device, Tensor};
use diffem::Samples;
use rayon::prelude::*;
use std::path::Path;

/// Number of images per network call.
const BATCH: usize = 4;

/// Names of the scores in a network's features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Name of the network on the command line.
    pub network: &'static str,
    /// Name of the Fréchet distance in tables and in evaluation.json.
    pub frechet: [&'static str; 2],
    /// Name of the kernel distance in tables and in evaluation.json.
    pub kernel: [&'static str; 2],
    /// Name of the inception score in tables and in evaluation.json, for a network with classes.
    pub inception: Option<[&'static str; 2]>,
}

/// A network with which `evaluate` can compare images.
pub struct FeatureNetwork {
    /// Name on the command line.
    pub name: &'static str,
    /// Description of the network in the help of `evaluate`.
    pub about: &'static str,
    /// Weight file, which the user provides.
    pub weights: WeightFile,
    /// Scores that the network can compute.
    pub scores: Scores,
}

/// Scores that a network computes.
#[derive(Clone, Copy)]
pub enum Scores {
    /// Distances between sets of images in their features: names of the scores and loader of the network.
    Features(Names, Load),
    /// A distance between pairs of images.
    Distance,
}

/// Reads a network's weights from a directory.
pub type Load = fn(&Path, &Device) -> Result<Box<dyn Network>>;

/// Outputs of a network for n images, on the device.
pub struct Outputs {
    /// Features `[n, features]`.
    pub features: Tensor<2>,
    /// Logits `[n, classes]` of a network with classes.
    pub logits: Option<Tensor<2>>,
}

/// A network with its weights.
pub trait Network: Sync {
    /// Names of the network's scores.
    fn names(&self) -> Names;

    /// Outputs for one or more `images` of any size, which the network resizes itself.
    fn outputs(&self, images: &[Bytes]) -> Outputs;
}

/// Outputs of a network for n images, on the host.
pub struct Features {
    /// Features `[n, features]`.
    pub features: Samples,
    /// Logits `[n, classes]` of a network with classes.
    pub logits: Option<Samples>,
}

impl Features {
    /// Outputs of `network` for one or more `images`; batches are independent and run in parallel.
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

/// Returns the values of a tensor in row-major order.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_to_vec::<f32>().map_err(|e| anyhow!("{e:?}"))
}
