//! Dropout of a training pass.

use super::UnetConfig;
use crate::image::ImageShape;
use crate::kernels;
use crate::noise::RowStreams;
use burn::tensor::{Device, Tensor};

/// The bits of every level's blocks.
pub(super) struct Dropout {
    levels: Vec<kernels::Dropout>,
}

/// The bits of one block.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    bits: &'a kernels::Dropout,
    layer: usize,
}

impl Dropout {
    /// Bits for `n` images of `shape`, one stream for each; `None` for a network without dropout.
    pub fn new(
        config: &UnetConfig,
        shape: ImageShape,
        (n, streams): (usize, RowStreams),
        device: &Device,
    ) -> Option<Self> {
        if config.dropout == 0.0 {
            return None;
        }
        let blocks: Vec<usize> = config.blocks.iter().map(|blocks| 2 * blocks).collect();
        // Every image draws one word for each block.
        let mut words = vec![Vec::with_capacity(n); blocks.iter().sum()];
        for row in 0..n {
            let mut stream = streams.row(row);
            words.iter_mut().for_each(|layer| layer.push(stream.bits()));
        }
        let mut words = words.into_iter();
        let [height, width] = config.padded(shape);
        let level = |(i, blocks): (usize, &usize)| {
            let side = config.patch << i;
            let size = [(height / side) * (width / side), config.channels[i]];
            kernels::Dropout::new(config.dropout, words.by_ref().take(*blocks).collect(), size, device)
        };
        Some(Self { levels: blocks.iter().enumerate().map(level).collect() })
    }

    /// The bits of block `layer` of `level`, first those on the way down.
    pub fn layer(&self, level: usize, layer: usize) -> Layer<'_> {
        Layer { bits: &self.levels[level], layer }
    }
}

impl Layer<'_> {
    /// Zeroes values of `x`.
    pub fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        self.bits.apply(x, self.layer)
    }
}
