//! EfficientNet-Lite0 (Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019; the Lite
//! variant without squeeze-and-excitation, with ReLU6), as trained on ImageNet: 224 x 224 pixels in, 1280 features and 1000
//! logits out.
//!
//! ```text
//! stem 3x3/2 -> 16 blocks (1x1 expand, kxk depthwise, 1x1 project, + x where shapes agree) -> head 1x1 -> mean -> linear
//! ```
//!
//! Batch normalisations (ε = 1e-3) are folded into the convolutions before them; padding is TensorFlow's "SAME", whose odd
//! pixel comes last. Pixels enter as (v - 127) / 128.

use super::bicubic;
use super::weights::EFFICIENTNET_LITE0;
use crate::images::Bytes;
use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use diffem::Samples;
use pytorch_reader::{DType, PytorchReader};
use rayon::prelude::*;
use std::path::Path;

/// Features of an image.
pub const FEATURES: usize = 1280;
/// Sides of the network's images.
const SIDE: usize = 224;
/// Images of a network call.
const BATCH: usize = 4;
const EPSILON: f64 = 1e-3;

/// Stages: (repeats, kernel, stride of the first, expansion).
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6)];

/// A convolution with its normalisation folded in.
struct Conv {
    /// `[out, in / groups, k, k]`
    weight: Tensor<4>,
    /// `[out]`
    bias: Tensor<1>,
    stride: usize,
    groups: usize,
    relu6: bool,
}

struct Block {
    expand: Option<Conv>,
    depthwise: Conv,
    project: Conv,
}

/// The network with its weights.
pub struct EfficientNetLite0 {
    stem: Conv,
    blocks: Vec<Block>,
    head: Conv,
    /// `[1280, 1000]`
    weight: Tensor<2>,
    /// `[1000]`
    bias: Tensor<1>,
    device: Device,
}

/// What the network says of n images.
pub struct Features {
    /// `[n, 1280]`
    pub pooled: Samples,
    /// `[n, 1000]`
    pub logits: Samples,
}

impl EfficientNetLite0 {
    /// Reads the weights from the directory `dir` after checking their digest.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        let path = EFFICIENTNET_LITE0.require(dir)?;
        let file = PytorchReader::new(&path).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        Self::assemble(&Source { file, device }).with_context(|| path.display().to_string())
    }

    fn assemble(source: &Source<'_>) -> Result<Self> {
        let strides = STAGES.iter().flat_map(|&(repeats, kernel, stride, expansion)| {
            (0..repeats).map(move |i| (kernel, if i == 0 { stride } else { 1 }, expansion))
        });
        let blocks = strides.enumerate().map(|(i, (kernel, stride, expansion))| {
            let at = |name: &str| format!("_blocks.{i}.{name}");
            let conv = |name: &str, norm: &str, shape| source.conv(&at(name), &at(norm), shape);
            let expand = match expansion {
                1 => None,
                _ => Some(conv("_expand_conv", "_bn0", Kernel { side: 1, stride: 1, depthwise: false, relu6: true })?),
            };
            let depthwise =
                conv("_depthwise_conv", "_bn1", Kernel { side: kernel, stride, depthwise: true, relu6: true })?;
            let project = conv("_project_conv", "_bn2", Kernel { side: 1, stride: 1, depthwise: false, relu6: false })?;
            Ok(Block { expand, depthwise, project })
        });
        let bias = source.vector("_fc.bias")?;
        let (classes, weight) = (bias.len(), source.vector("_fc.weight")?);
        if weight.len() != classes * FEATURES {
            bail!("_fc.weight has {} values, expected {classes} x {FEATURES}", weight.len());
        }
        let weight: Tensor<2> = Tensor::from_data(TensorData::new(weight, [classes, FEATURES]), source.device);
        let whole = |side, stride| Kernel { side, stride, depthwise: false, relu6: true };
        Ok(Self {
            stem: source.conv("_conv_stem", "_bn0", whole(3, 2))?,
            blocks: blocks.collect::<Result<_>>()?,
            head: source.conv("_conv_head", "_bn1", whole(1, 1))?,
            weight: weight.transpose(),
            bias: Tensor::from_data(TensorData::new(bias, [classes]), source.device),
            device: source.device.clone(),
        })
    }

    /// Features and logits of `images`, which are resized; batches run side by side, and none depends on another.
    pub fn features(&self, images: &[Bytes]) -> Result<Features> {
        let parts: Vec<[Vec<f32>; 2]> =
            images.par_chunks(BATCH).map(|batch| self.batch(batch)).collect::<Result<_>>()?;
        let column = |i: usize, d: usize| Samples::new(parts.iter().flat_map(|part| part[i].clone()).collect(), d);
        Ok(Features { pooled: column(0, FEATURES), logits: column(1, self.bias.dims()[0]) })
    }

    fn batch(&self, images: &[Bytes]) -> Result<[Vec<f32>; 2]> {
        let pixels: Vec<f32> = images.iter().flat_map(prepared).collect();
        let mut x: Tensor<4> = Tensor::from_data(TensorData::new(pixels, [images.len(), 3, SIDE, SIDE]), &self.device);
        x = self.stem.forward(x);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let pooled: Tensor<2> = self.head.forward(x).flatten::<3>(2, 3).mean_dim(2).flatten(1, 2);
        let logits = pooled.clone().matmul(self.weight.clone()) + self.bias.clone().unsqueeze();
        let host = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().map_err(|e| anyhow!("{e:?}"));
        Ok([host(pooled)?, host(logits)?])
    }
}

/// `[3, 224, 224]` as the network takes it; grey images three times.
fn prepared(image: &Bytes) -> Vec<f32> {
    let (shape, channels) = (image.shape, image.shape.channels);
    let plane = |c: usize| &image.planes[c * shape.pixels()..(c + 1) * shape.pixels()];
    let resized: Vec<Vec<u8>> =
        (0..channels).map(|c| bicubic::resize(plane(c), (shape.height, shape.width), SIDE)).collect();
    (0..3).flat_map(|c| resized[c % channels].iter().map(|&v| (f32::from(v) - 127.0) / 128.0)).collect()
}

impl Conv {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let ([_, _, height, width], side) = (x.dims(), self.weight.dims()[2]);
        let padding = [same(height, side, self.stride), same(width, side, self.stride)];
        let options = ConvOptions::new_with_padding([self.stride; 2], padding, [1, 1], self.groups);
        let x = conv2d(x, self.weight.clone(), Some(self.bias.clone()), options);
        if self.relu6 { x.clamp(0.0, 6.0) } else { x }
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let expanded = match &self.expand {
            Some(expand) => expand.forward(x.clone()),
            None => x.clone(),
        };
        let y = self.project.forward(self.depthwise.forward(expanded));
        if x.dims() == y.dims() { x + y } else { y }
    }
}

/// Padding before and after, so that ceil(size / stride) values come out.
fn same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let total = ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// What the architecture says of a convolution.
struct Kernel {
    side: usize,
    stride: usize,
    depthwise: bool,
    relu6: bool,
}

/// The opened weights.
struct Source<'a> {
    file: PytorchReader,
    device: &'a Device,
}

impl Source<'_> {
    fn vector(&self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.file.get(name).with_context(|| format!("it has no {name}"))?;
        if tensor.dtype() != DType::F32 {
            bail!("{name} holds {:?}, expected F32", tensor.dtype());
        }
        let bytes = tensor.read().with_context(|| format!("cannot read {name}"))?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// w γ / s and β - m γ / s with s = sqrt(v + ε), for each output channel.
    fn conv(&self, name: &str, norm: &str, kernel: Kernel) -> Result<Conv> {
        let part = |part: &str| self.vector(&format!("{norm}.{part}"));
        let (gamma, beta, mean, variance) =
            (part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?);
        let mut weight = self.vector(&format!("{name}.weight"))?;
        let (out, area) = (gamma.len(), kernel.side * kernel.side);
        if out == 0
            || !weight.len().is_multiple_of(out * area)
            || [&beta, &mean, &variance].iter().any(|v| v.len() != out)
        {
            bail!("{name} and {norm} do not fit together");
        }
        let row = weight.len() / out;
        if kernel.depthwise && row != area {
            bail!("{name} is no depthwise convolution");
        }
        let gain: Vec<f64> =
            (0..out).map(|c| f64::from(gamma[c]) / (f64::from(variance[c]) + EPSILON).sqrt()).collect();
        weight.iter_mut().enumerate().for_each(|(i, w)| *w = (f64::from(*w) * gain[i / row]) as f32);
        let bias = (0..out).map(|c| (f64::from(beta[c]) - f64::from(mean[c]) * gain[c]) as f32).collect::<Vec<f32>>();
        Ok(Conv {
            weight: Tensor::from_data(
                TensorData::new(weight, [out, row / area, kernel.side, kernel.side]),
                self.device,
            ),
            bias: Tensor::from_data(TensorData::new(bias, [out]), self.device),
            stride: kernel.stride,
            groups: if kernel.depthwise { out } else { 1 },
            relu6: kernel.relu6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::image::ImageShape;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        /// Every 10th of the 1280 features.
        features: Vec<f32>,
        /// Every 10th of the 1000 logits.
        logits: Vec<f32>,
        height: usize,
        width: usize,
        channels: usize,
    }

    /// What a variable names; says on the terminal that the test is skipped where it is not set.
    fn given(variable: &str) -> Option<std::path::PathBuf> {
        let value = std::env::var_os(variable).map(Into::into);
        if value.is_none() {
            eprintln!("SKIPPED: {variable} is not set");
        }
        value
    }

    fn network() -> Option<EfficientNetLite0> {
        let dir = given("DIFFEM_WEIGHTS")?;
        Some(EfficientNetLite0::load(&dir, &crate::device::open("auto").unwrap().1).unwrap())
    }

    /// The same picture as in features.py.
    fn picture(shape: ImageShape) -> Bytes {
        let value = |c: usize, i: usize, j: usize| ((i * i + 3 * i * j + 7 * j + 50 * c) % 256) as u8;
        let planes = (0..shape.channels)
            .flat_map(|c| (0..shape.height).flat_map(move |i| (0..shape.width).map(move |j| value(c, i, j))));
        Bytes { planes: planes.collect(), shape }
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-4 * scale, "{worst} of {scale}");
    }

    #[test]
    #[ignore = "needs the weight file: DIFFEM_WEIGHTS=DIR"]
    fn features_are_those_of_pytorch() {
        let golden: Vec<Golden> = serde_json::from_str(include_str!("../../tests/golden/features.json")).unwrap();
        let Some(network) = network() else { return };
        for case in &golden {
            let shape = ImageShape { channels: case.channels, height: case.height, width: case.width };
            let found = network.features(&[picture(shape)]).unwrap();
            let tenth = |row: &[f32]| row.iter().step_by(10).copied().collect::<Vec<_>>();
            assert_close(&tenth(found.pooled.row(0)), &case.features);
            assert_close(&tenth(found.logits.row(0)), &case.logits);
        }
        assert!(golden.iter().any(|case| case.channels == 3));
    }

    /// DIFFEM_IMAGENET holds PNG files named `*_CLASS.png`; 17 of foolbox 3.3.4's 20 samples are named right.
    #[test]
    #[ignore = "needs the weight file and images: DIFFEM_WEIGHTS=DIR DIFFEM_IMAGENET=DIR"]
    fn most_photographs_are_named_right() {
        let (Some(network), Some(dir)) = (network(), given("DIFFEM_IMAGENET")) else { return };
        let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "png")).collect();
        let images: Vec<Bytes> = paths.iter().map(|path| Bytes::read(path).unwrap()).collect();
        let logits = network.features(&images).unwrap().logits;
        let right = |(path, row): &(&std::path::PathBuf, &[f32])| {
            let label: usize = path.file_stem().unwrap().to_str().unwrap().rsplit('_').next().unwrap().parse().unwrap();
            row.iter().all(|v| *v <= row[label])
        };
        let right = paths.iter().zip(logits.rows()).filter(right).count();
        assert!(right * 20 >= 17 * paths.len(), "{right} of {}", paths.len());
    }

    #[test]
    fn padding_is_that_of_tensorflow() {
        assert_eq!(same(224, 3, 2), (0, 1));
        assert_eq!(same(112, 3, 1), (1, 1));
        assert_eq!(same(56, 5, 2), (1, 2));
        assert_eq!(same(7, 1, 1), (0, 0));
    }
}
