//! The paper's network for vectors: a multilayer perceptron on [x, c, emb(ln σ)].

use super::Network;
use super::layers::{Initialiser, bias};
use crate::error::{Error, Result};
use crate::kernels;
use crate::noise::{Key, Purpose};
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Sizes of an [`Mlp`]; the defaults are the paper's (arXiv 2510.12691, manifold experiment).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Units of a hidden layer, 1 to 65536.
    pub width: usize,
    /// Number of hidden layers, 1 to 64.
    pub depth: usize,
    /// Length of the noise embedding, even, 2 to 4096.
    pub embedding: usize,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { width: 256, depth: 3, embedding: 64 }
    }
}

/// Hidden layers Linear -> LayerNorm -> SiLU, then Linear to `d`.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<Hidden>,
    output: Linear,
    embedding: usize,
}

#[derive(Module, Debug)]
struct Hidden {
    linear: Linear,
    norm: LayerNorm,
}

impl MlpConfig {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &str, value: usize, range: std::ops::RangeInclusive<usize>| {
            let message = format!("expected {} to {}, found {value}", range.start(), range.end());
            range.contains(&value).then_some(()).ok_or(Error::config(format!("network.{name}"), message))
        };
        check("width", self.width, 1..=65536)?;
        check("depth", self.depth, 1..=64)?;
        check("embedding", self.embedding, 2..=4096)?;
        if !self.embedding.is_multiple_of(2) {
            return Err(Error::config(
                "network.embedding",
                format!("expected an even number, found {}", self.embedding),
            ));
        }
        Ok(())
    }

    /// Network for signals of length `d` with `condition` features; weights are a function of `seed` alone.
    pub fn init(&self, d: usize, condition: usize, seed: u64, device: &Device) -> Mlp {
        let mut layers = Initialiser { key: Key::new(seed, Purpose::Weights, 0), layer: 0, device };
        let input = d + condition + self.embedding;
        let hidden = (0..self.depth)
            .map(|layer| Hidden {
                linear: layers.linear(if layer == 0 { input } else { self.width }, self.width, 1.0),
                norm: LayerNormConfig::new(self.width).with_epsilon(kernels::NORM_EPSILON as f64).init(device),
            })
            .collect();
        Mlp { hidden, output: layers.linear(self.width, d, 1.0), embedding: self.embedding }
    }
}

impl Network for Mlp {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let mut h = Tensor::cat(vec![x, condition, embedding], 1);
        for layer in &self.hidden {
            let gamma = layer.norm.gamma.val();
            let beta = layer.norm.beta.as_ref().map(|b| b.val()).unwrap_or_else(|| gamma.zeros_like());
            h = kernels::dense_norm_silu(h, layer.linear.weight.val(), bias(&layer.linear), gamma, beta);
        }
        kernels::dense(h, self.output.weight.val(), bias(&self.output))
    }

    fn embedding_len(&self) -> usize {
        self.embedding
    }
}
