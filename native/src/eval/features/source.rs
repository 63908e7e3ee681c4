//! Builds the layers of a network from named tensors.

use super::layers::{Conv, Kernel, Linear, Norm};
use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::{Device, Tensor, TensorData};
use pytorch_reader::{DType, PytorchReader};
use std::path::Path;

/// Named tensors, from a weight file or a test.
pub trait Tensors {
    /// Values of the tensor `name` in row-major order.
    ///
    /// # Errors
    /// Fails if there is no tensor of that name or if its shape is not `shape`.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;
}

impl Tensors for PytorchReader {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.get(name).with_context(|| format!("it has no {name}"))?;
        if (tensor.dtype(), tensor.shape()) != (DType::F32, shape) {
            bail!("{name} holds {:?} {:?}, expected F32 {shape:?}", tensor.dtype(), tensor.shape());
        }
        let bytes = tensor.read().with_context(|| format!("cannot read {name}"))?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

/// Passes the PyTorch file `path` to `assemble` and returns its result; errors name the file.
pub fn from_file<T>(path: &Path, device: &Device, assemble: impl FnOnce(&Source<'_>) -> Result<T>) -> Result<T> {
    let file = PytorchReader::new(path).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    assemble(&Source { tensors: &file, device }).with_context(|| path.display().to_string())
}

/// Source of the layers of a network.
pub struct Source<'a> {
    /// Parameters of the layers.
    pub tensors: &'a dyn Tensors,
    /// Device on which the layers compute.
    pub device: &'a Device,
}

impl Source<'_> {
    /// Loads the tensor `name`, which must have this shape.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>> {
        Ok(self.upload(self.tensors.values(name, &shape)?, shape))
    }

    /// Loads a linear layer from `name.weight [output, input]` and `name.bias [output]`.
    pub fn linear(&self, name: &str, [input, output]: [usize; 2]) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), [output, input])?.transpose();
        Ok(Linear { weight, bias: self.tensor(&format!("{name}.bias"), [output])? })
    }

    /// Loads a layer normalization with this ε from `name.weight` and `name.bias`, both `[features]`.
    pub fn norm(&self, name: &str, features: usize, epsilon: f64) -> Result<Norm> {
        let part = |part: &str| self.tensor(&format!("{name}.{part}"), [features]);
        Ok(Norm { gamma: part("weight")?, beta: part("bias")?, epsilon })
    }

    /// Loads a convolution from `name.weight [output, input / groups, height, width]` and `name.bias
    /// [output]`.
    pub fn conv(&self, name: &str, kernel: Kernel) -> Result<Conv> {
        let weight = self.tensor(&format!("{name}.weight"), kernel.shape())?;
        Ok(Conv { weight, bias: self.tensor(&format!("{name}.bias"), [kernel.output])?, kernel })
    }

    /// Loads a convolution from `name.weight` and folds in the batch normalization `norm` that follows it,
    /// with this ε: the weight is w γ / s and the bias β - m γ / s with s = sqrt(v + ε), for each output
    /// channel.
    pub fn conv_norm(&self, name: &str, norm: &str, epsilon: f64, kernel: Kernel) -> Result<Conv> {
        let part = |part: &str| self.tensors.values(&format!("{norm}.{part}"), &[kernel.output]);
        let (gamma, beta, mean, variance) =
            (part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?);
        let gain: Vec<f64> =
            gamma.iter().zip(&variance).map(|(&g, &v)| f64::from(g) / (f64::from(v) + epsilon).sqrt()).collect();
        let mut weight = self.tensors.values(&format!("{name}.weight"), &kernel.shape())?;
        let row = weight.len() / kernel.output;
        weight.iter_mut().enumerate().for_each(|(i, w)| *w = (f64::from(*w) * gain[i / row]) as f32);
        let shift = |c: usize| (f64::from(beta[c]) - f64::from(mean[c]) * gain[c]) as f32;
        let bias = self.upload((0..kernel.output).map(shift).collect(), [kernel.output]);
        Ok(Conv { weight: self.upload(weight, kernel.shape()), bias, kernel })
    }

    fn upload<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }
}
