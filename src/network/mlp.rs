//! The paper's network for vectors: a multilayer perceptron on [x, c, emb(ln σ)].

use super::Network;
use super::layers::{Initializer, bias};
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
    /// Number of units per hidden layer, 1 to 65536.
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

    /// Builds the network for signals of length `d` with `condition` features; its weights are a function of
    /// `seed` alone.
    pub fn init(&self, d: usize, condition: usize, seed: u64, device: &Device) -> Mlp {
        let mut layers = Initializer { key: Key::new(seed, Purpose::Weights, 0), layer: 0, device };
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

impl Hidden {
    /// Scale γ and shift β.
    fn norm(&self) -> (Tensor<1>, Tensor<1>) {
        let gamma = self.norm.gamma.val();
        let beta = self.norm.beta.as_ref().map(|b| b.val()).unwrap_or_else(|| gamma.zeros_like());
        (gamma, beta)
    }
}

impl Mlp {
    /// Applies the hidden layers from `layer` on, and the last layer, to `h`.
    fn forward_from(&self, layer: usize, mut h: Tensor<2>) -> Tensor<2> {
        for layer in &self.hidden[layer..] {
            let (gamma, beta) = layer.norm();
            h = kernels::dense_norm_silu(h, layer.linear.weight.val(), bias(&layer.linear), gamma, beta);
        }
        kernels::dense(h, self.output.weight.val(), bias(&self.output))
    }

    /// The first layer's weights for x `[d, m]`, the condition `[c, m]` and the embedding `[e, m]`.
    fn first_weights(&self) -> [Tensor<2>; 3] {
        let weight = self.hidden[0].linear.weight.val();
        let (d, inputs) = (self.output.weight.dims()[1], weight.dims()[0]);
        let parts = [0..d, d..inputs - self.embedding, inputs - self.embedding..inputs];
        parts.map(|rows| weight.clone().slice(rows))
    }
}

impl Network for Mlp {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.forward_from(0, Tensor::cat(vec![x, condition, embedding], 1))
    }

    /// The condition's part of the first layer, with the bias.
    fn prepare(&self, condition: Tensor<2>) -> Tensor<2> {
        let (bias, rows) = (bias(&self.hidden[0].linear), condition.dims()[0]);
        if condition.dims()[1] == 0 {
            let units = bias.dims()[0];
            return bias.reshape([1, units]).expand([rows, units]);
        }
        let [_, weight, _] = self.first_weights();
        kernels::dense(condition, weight, bias)
    }

    fn forward_prepared(&self, x: Tensor<2>, embedding: Tensor<2>, prepared: Tensor<2>) -> Tensor<2> {
        let ([w_x, _, w_e], (gamma, beta)) = (self.first_weights(), self.hidden[0].norm());
        let base = prepared + kernels::matmul(embedding, w_e);
        self.forward_from(1, kernels::dense_norm_silu_onto(x, w_x, base, gamma, beta))
    }

    fn embedding_len(&self) -> usize {
        self.embedding
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::network::embedding;
    use burn::tensor::TensorData;

    fn normal(index: usize, shape: [usize; 2], device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; shape[0] * shape[1]];
        Key::new(5, Purpose::Truth, 0).stream(index, 0).fill_normal(&mut values);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// Covers networks with and without features.
    #[test]
    fn a_prepared_condition_changes_nothing_but_rounding() {
        let (device, n, d) = (Device::flex(), 9, 5);
        for condition in [0, 7] {
            let network = MlpConfig { width: 24, depth: 2, embedding: 8 }.init(d, condition, 0, &device);
            let (x, c) = (normal(0, [n, d], &device), normal(1, [n, condition], &device));
            let noise = embedding(&[0.3], 8, &device);
            let direct = network.forward(x.clone(), noise.clone().expand([n, 8]), c.clone());
            let prepared = network.forward_prepared(x, noise, network.prepare(c));
            let worst: f32 = (direct - prepared).abs().max().into_scalar();
            assert!(worst < 2e-6, "{condition} features: {worst}");
        }
    }
}
