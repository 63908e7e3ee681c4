//! The paper's network for images: a U-Net of residual blocks modulated by the noise level (Rozet et al.
//! 2024, arXiv 2405.13712; Dhariwal & Nichol 2021), on images stored pixel by pixel.

mod config;
mod dropout;
mod parts;
mod planes;

pub use config::UnetConfig;

use super::layers::{Initializer, bias};
use super::{InParts, Network};
use crate::error::Result;
use crate::image::ImageShape;
use crate::kernels::{self, BlockParameters, MatmulPrecision};
use crate::noise::{Key, Purpose, RowStreams};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use dropout::{Dropout, Layer};

/// A U-Net on images of one shape.
#[derive(Module, Debug)]
pub struct Unet {
    input: Linear,
    levels: Vec<Level>,
    output: Linear,
    #[module(skip)]
    shape: ImageShape,
    #[module(skip)]
    config: UnetConfig,
    /// What the layers of the stages are multiplied in on this device.
    #[module(skip)]
    precision: MatmulPrecision,
}

/// One resolution level.
#[derive(Module, Debug)]
struct Level {
    /// Layer from the finer level, which halves the image.
    down: Option<Linear>,
    descent: Vec<Stage>,
    /// Layer from this level's skip connection and the coarser level, side by side.
    merge: Option<Linear>,
    ascent: Vec<Stage>,
}

/// A residual block and, at levels with attention, the attention that follows it.
#[derive(Module, Debug)]
struct Stage {
    modulation: Modulation,
    first: Linear,
    second: Linear,
    attention: Option<Attention>,
}

/// Computes (a, b, c) of a block from the noise embedding.
#[derive(Module, Debug)]
struct Modulation {
    hidden: Linear,
    output: Linear,
}

/// Residual self-attention over an image's pixels.
#[derive(Module, Debug)]
struct Attention {
    modulation: Modulation,
    /// Queries, keys and values side by side, without bias.
    input: Linear,
    output: Linear,
}

/// What the stages of one level share.
#[derive(Clone, Copy)]
struct Scale {
    size: [usize; 2],
    heads: usize,
    precision: MatmulPrecision,
}

impl UnetConfig {
    /// Builds the network for images of `shape` with `condition` features, which must form whole planes of
    /// the image's size; its weights are a function of `seed` alone.
    pub fn init(&self, shape: ImageShape, condition: usize, seed: u64, device: &Device) -> Result<Unet> {
        self.validate(shape, condition)?;
        let mut layers = Initializer { key: Key::new(seed, Purpose::Weights, 0), layer: 0, device };
        let planes = (shape.channels + condition / shape.pixels()) * self.patch * self.patch;
        let input = layers.linear(9 * planes, self.channels[0], 1.0);
        let levels = (0..self.channels.len()).map(|i| self.level(i, &mut layers)).collect();
        let output = layers.linear(self.channels[0], shape.channels * self.patch * self.patch, 1.0);
        let precision = self.precision.on(device);
        Ok(Unet { input, levels, output, shape, config: self.clone(), precision })
    }

    fn level(&self, i: usize, layers: &mut Initializer) -> Level {
        let c = self.channels[i];
        let down = (i > 0).then(|| layers.linear(9 * self.channels[i - 1], c, 1.0));
        let descent = (0..self.blocks[i]).map(|_| self.stage(i, layers)).collect();
        let merge = self.channels.get(i + 1).map(|coarser| layers.linear(9 * (c + coarser), c, 1.0));
        let ascent = (0..self.blocks[i]).map(|_| self.stage(i, layers)).collect();
        Level { down, descent, merge, ascent }
    }

    fn stage(&self, i: usize, layers: &mut Initializer) -> Stage {
        let c = self.channels[i];
        let modulation = self.modulation(c, layers);
        let (first, second) = (layers.linear(9 * c, c, 1.0), layers.linear(9 * c, c, 1.0));
        let attention = (self.heads[i] > 0).then(|| Attention {
            modulation: self.modulation(c, layers),
            input: Linear { bias: None, ..layers.linear(c, 3 * c, 1.0) },
            output: Linear { bias: None, ..layers.linear(c, c, 1.0) },
        });
        Stage { modulation, first, second, attention }
    }

    /// The last layer starts small, so that blocks start close to the identity.
    fn modulation(&self, c: usize, layers: &mut Initializer) -> Modulation {
        Modulation {
            hidden: layers.linear(self.embedding, self.embedding, 1.0),
            output: layers.linear(self.embedding, 3 * c, 0.1),
        }
    }
}

fn dense(x: Tensor<2>, layer: &Linear) -> Tensor<2> {
    kernels::dense(x, layer.weight.val(), bias(layer))
}

fn conv(x: Tensor<2>, layer: &Linear, size: [usize; 2], stride: usize, precision: MatmulPrecision) -> Tensor<2> {
    kernels::conv3(x, layer.weight.val(), bias(layer), size, stride, precision)
}

impl Modulation {
    fn forward(&self, embedding: &Tensor<2>) -> Tensor<2> {
        dense(kernels::silu(dense(embedding.clone(), &self.hidden)), &self.output)
    }
}

impl Stage {
    fn forward(&self, x: Tensor<2>, embedding: &Tensor<2>, scale: Scale, dropout: Option<Layer<'_>>) -> Tensor<2> {
        let Scale { size, precision, .. } = scale;
        let modulation = self.modulation.forward(embedding);
        let x = match dropout {
            None => {
                let p = BlockParameters {
                    w1: self.first.weight.val(),
                    b1: bias(&self.first),
                    w2: self.second.weight.val(),
                    b2: bias(&self.second),
                };
                kernels::block(x, modulation, p, size, precision)
            }
            Some(dropout) => kernels::gated(x, modulation, size, |v| {
                let h = kernels::silu(conv(v, &self.first, size, 1, precision));
                conv(dropout.apply(h), &self.second, size, 1, precision)
            }),
        };
        match &self.attention {
            Some(attention) => attention.forward(x, embedding, scale),
            None => x,
        }
    }
}

impl Attention {
    fn forward(&self, x: Tensor<2>, embedding: &Tensor<2>, scale: Scale) -> Tensor<2> {
        let Scale { size, heads, precision, .. } = scale;
        let heads = kernels::Heads { pixels: size[0] * size[1], heads, precision };
        kernels::gated(x, self.modulation.forward(embedding), size, |v| {
            kernels::attention(v, self.input.weight.val(), self.output.weight.val(), heads)
        })
    }
}

impl Unet {
    fn scale(&self, level: usize) -> Scale {
        Scale { size: self.size(level), heads: self.config.heads[level], precision: self.precision }
    }

    /// Signals and features as pixels of the finest level.
    fn pixels_of(&self, x: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        let (n, pixels) = (x.dims()[0], self.shape.pixels());
        let planes = |t: Tensor<2>| {
            let k = t.dims()[1] / pixels;
            t.reshape([n, k, pixels])
        };
        // An unconditional network has no planes of features.
        let mut input = vec![planes(x)];
        input.extend((condition.dims()[1] > 0).then(|| planes(condition)));
        self.to_pixels(Tensor::cat(input, 1))
    }

    fn run(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>, dropout: Option<&Dropout>) -> Tensor<2> {
        let n = x.dims()[0];
        let h = self.through(self.pixels_of(x, condition), &embedding, dropout, |_, _, _| ());
        self.to_planes(h, n)
    }
}

impl Network for Unet {
    fn forward(&self, x: Tensor<2>, embedding: Tensor<2>, condition: Tensor<2>) -> Tensor<2> {
        self.run(x, embedding, condition, None)
    }

    fn forward_training(
        &self,
        x: Tensor<2>,
        embedding: Tensor<2>,
        condition: Tensor<2>,
        streams: RowStreams,
    ) -> Tensor<2> {
        let dropout = Dropout::new(&self.config, self.shape, (x.dims()[0], streams), &x.device());
        self.run(x, embedding, condition, dropout.as_ref())
    }

    fn in_parts(&self) -> Option<&dyn InParts> {
        Some(self)
    }

    fn embedding_len(&self) -> usize {
        self.config.embedding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "flex")]
    use burn::tensor::TensorData;

    const PAPER: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

    #[test]
    #[cfg(feature = "flex")]
    fn images_do_not_depend_on_the_batch_they_are_in() {
        let shape = ImageShape { channels: 2, height: 8, width: 12 };
        let config = UnetConfig { channels: vec![6, 8], heads: vec![0, 2], blocks: vec![1, 1], ..Default::default() };
        let device = Device::flex();
        let unet = config.init(shape, 3 * shape.pixels(), 3, &device).unwrap();
        let normal = |index: usize, n: usize, d: usize| {
            let mut values = vec![0.0; n * d];
            for (i, row) in values.chunks_exact_mut(d).enumerate() {
                Key::new(1, Purpose::Loss, index).stream(i, 0).fill_normal(row);
            }
            Tensor::<2>::from_data(TensorData::new(values, [n, d]), &device)
        };
        let run = |n: usize| {
            let (x, e, c) = (normal(0, n, shape.len()), normal(1, n, 64), normal(2, n, 3 * shape.pixels()));
            unet.forward(x, e, c).into_data().try_to_vec::<f32>().unwrap()
        };
        let (few, many) = (run(9), run(41));
        assert!(few.iter().all(|v| v.is_finite()) && few.iter().any(|v| v.abs() > 1e-3));
        assert_eq!(few, many[..few.len()]);
    }

    #[test]
    #[cfg(feature = "flex")]
    fn dropout_does_not_depend_on_the_batch_an_image_is_in() {
        let (shape, device) = (ImageShape { channels: 1, height: 8, width: 8 }, Device::flex());
        let config = UnetConfig { channels: vec![4, 6], blocks: vec![1, 1], dropout: 0.3, ..Default::default() };
        let unet = config.init(shape, 0, 3, &device).unwrap();
        let run = |first: usize, n: usize, step: usize| {
            let x = Tensor::<2>::ones([n, shape.len()], &device);
            let (e, c) = (Tensor::ones([n, 64], &device), Tensor::zeros([n, 0], &device));
            let streams = Key::new(1, Purpose::Dropout, 1).rows(first, step);
            unet.forward_training(x, e, c, streams).into_data().try_to_vec::<f32>().unwrap()
        };
        let (all, part, d) = (run(0, 20, 5), run(9, 8, 5), shape.len());
        assert_eq!(all[9 * d..17 * d], part);
        let rows: Vec<&[f32]> = all.chunks_exact(d).collect();
        assert!((1..20).all(|i| rows[0] != rows[i]) && run(0, 1, 6) != rows[0]);
    }

    #[test]
    fn bad_sizes_are_named() {
        let message = |config: UnetConfig| {
            config.validate(PAPER, 4 * PAPER.pixels()).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(message(UnetConfig { blocks: vec![1], ..Default::default() }).contains("network.blocks"));
        assert!(message(UnetConfig { heads: vec![0, 5], ..Default::default() }).contains("network.heads"));
        for patch in [0, 33, usize::MAX] {
            let found = message(UnetConfig { patch, ..Default::default() });
            assert!(
                found.contains("with 2 levels, images of 32 x 32 pixels allow patches of 1 to 32 pixels"),
                "{found}"
            );
        }
        assert!(message(UnetConfig { dropout: 1.0, ..Default::default() }).contains("network.dropout"));
        assert!(message(UnetConfig { channels: vec![], ..Default::default() }).contains("network.channels"));
    }
}
