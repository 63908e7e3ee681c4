//! Initial weights come from a keyed generator, because burn's own initialization depends on a global seed
//! and the order of first use.

use crate::noise::Key;
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};

/// Creates the layers of a network one after another, each with its own random stream.
pub(super) struct Initializer<'a> {
    pub key: Key,
    pub layer: usize,
    pub device: &'a Device,
}

impl Initializer<'_> {
    /// Creates a layer with weights `[inputs, outputs]` and bias drawn uniformly on ±scale/√inputs (PyTorch's
    /// default for scale 1).
    pub fn linear(&mut self, inputs: usize, outputs: usize, scale: f64) -> Linear {
        let bound = scale / (inputs as f64).sqrt();
        let mut stream = self.key.stream(self.layer, 0);
        self.layer += 1;
        let mut uniform =
            |n: usize| -> Vec<f32> { (0..n).map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32).collect() };
        let weight = TensorData::new(uniform(inputs * outputs), [inputs, outputs]);
        let bias = TensorData::new(uniform(outputs), [outputs]);
        Linear { weight: Param::from_data(weight, self.device), bias: Some(Param::from_data(bias, self.device)) }
    }
}

/// The bias of a layer; zeros where there is none.
pub(super) fn bias(linear: &Linear) -> Tensor<1> {
    linear
        .bias
        .as_ref()
        .map(|b| b.val())
        .unwrap_or_else(|| Tensor::zeros([linear.weight.dims()[1]], &linear.weight.device()))
}
