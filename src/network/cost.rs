//! Computes what a network costs from its sizes alone, without allocating or running the network.

use super::{MlpConfig, NetworkConfig, UnetConfig};
use crate::error::Result;
use crate::image::ImageShape;
use std::ops::AddAssign;

/// What a device reserves for training, as a multiple of the values that it keeps for the backward pass, with a margin: wgpu
/// takes 1.2 to 1.7 times as much (`tests/backends/memory.rs`).
pub const RESERVE: u64 = 2;

/// Costs of one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Number of parameters P.
    pub parameters: u64,
    /// Floating-point operations per call and signal, where an addition and a multiplication count as two.
    /// Only matrix products and convolutions are counted, which are nearly all operations. The backward pass
    /// takes twice as many.
    pub flops: u64,
    /// Approximate number of values that training keeps per signal until the backward pass, with flex's fused
    /// layers.
    pub kept: u64,
    /// Number of values per signal that the parts of the network begin with.
    pub begun: u64,
    /// The most values per signal that one part keeps.
    pub largest: u64,
}

impl Cost {
    /// Values that training keeps per signal, where its parts are computed again for their gradients or not.
    pub fn kept_by(&self, gradient_checkpointing: bool) -> u64 {
        if gradient_checkpointing { self.begun + self.largest } else { self.kept }
    }

    /// The same as a part that begins with `begun` values.
    fn part(self, begun: usize) -> Self {
        Self { begun: begun as u64, largest: self.kept, ..self }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.parameters += other.parameters;
        self.flops += other.flops;
        self.kept += other.kept;
        self.begun += other.begun;
        self.largest = self.largest.max(other.largest);
    }
}

impl std::ops::Mul<u64> for Cost {
    type Output = Self;

    fn mul(self, n: u64) -> Self {
        Self {
            parameters: self.parameters * n,
            flops: self.flops * n,
            kept: self.kept * n,
            begun: self.begun * n,
            largest: self.largest,
        }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |mut sum, cost| {
            sum += cost;
            sum
        })
    }
}

/// Cost of a matrix `[inputs, outputs]` with a bias that is applied to `rows` vectors per signal and keeps
/// `kept` values per row.
fn linear(inputs: usize, outputs: usize, rows: usize, kept: usize) -> Cost {
    let [inputs, outputs, rows, kept] = [inputs, outputs, rows, kept].map(|n| n as u64);
    Cost {
        parameters: inputs * outputs + outputs,
        flops: 2 * rows * inputs * outputs,
        kept: rows * kept,
        ..Cost::default()
    }
}

/// [`linear`] without a bias.
fn matrix(inputs: usize, outputs: usize, rows: usize) -> Cost {
    let cost = linear(inputs, outputs, rows, 0);
    Cost { parameters: cost.parameters - outputs as u64, ..cost }
}

impl NetworkConfig {
    /// Costs for signals of length `d` with `condition` features; `image` is their shape if they are images.
    pub fn cost(&self, d: usize, image: Option<ImageShape>, condition: usize) -> Result<Cost> {
        self.validate(image, condition)?;
        Ok(match (self, image) {
            (Self::Mlp(config), _) => config.cost(d, condition),
            (Self::Unet(config), Some(shape)) => config.cost(shape, condition),
            // Validation has refused this above.
            (Self::Unet(_), None) => Cost::default(),
        })
    }
}

impl MlpConfig {
    /// Costs for signals of length `d` with `condition` features.
    pub fn cost(&self, d: usize, condition: usize) -> Cost {
        let (w, input) = (self.width, d + condition + self.embedding);
        // Values are kept before and after the norm, which has a scale and a shift.
        let hidden = |inputs: usize| {
            let layer = linear(inputs, w, 1, 2 * w);
            Cost { parameters: layer.parameters + 2 * w as u64, ..layer }
        };
        let mut cost = hidden(input);
        cost += hidden(w) * (self.depth - 1) as u64;
        cost += linear(w, d, 1, d);
        Cost { kept: cost.kept + input as u64, ..cost }
    }
}

impl UnetConfig {
    /// Costs for images of `shape` with `condition` features, which must form whole planes.
    pub fn cost(&self, shape: ImageShape, condition: usize) -> Cost {
        let square = self.patch * self.patch;
        let planes = (shape.channels + condition / shape.pixels()) * square;
        let [height, width] = self.padded(shape);
        let pixels = height * width / square;
        let mut cost = linear(9 * planes, self.channels[0], pixels, planes + self.channels[0]).part(planes * pixels);
        cost += (0..self.channels.len()).map(|i| self.level_cost(i, shape)).sum();
        let output = linear(self.channels[0], shape.channels * square, pixels, shape.channels * square);
        cost += output.part(self.channels[0] * pixels);
        cost
    }

    fn level_cost(&self, i: usize, shape: ImageShape) -> Cost {
        let (c, unit) = (self.channels[i], self.patch << i);
        let pixels: usize = self.padded(shape).iter().map(|side| side / unit).product();
        let mut cost = self.stage_cost(i, pixels) * (2 * self.blocks[i] as u64);
        if i > 0 {
            // Values are kept before and after the norm.
            let finer = self.channels[i - 1];
            cost += linear(9 * finer, c, pixels, 2 * c).part(4 * finer * pixels);
        }
        if let Some(coarser) = self.channels.get(i + 1) {
            // The skip connection and the coarser level side by side are kept, and the result.
            cost += linear(9 * (c + coarser), c, pixels, 2 * c + coarser).part((c + coarser) * pixels);
        }
        cost
    }

    /// Cost of a residual block and its attention at level `i`.
    fn stage_cost(&self, i: usize, pixels: usize) -> Cost {
        let c = self.channels[i];
        // x and the values before and after the second convolution are kept; with dropout the block is not
        // fused.
        let kept = if self.dropout > 0.0 { 11 } else { 3 };
        let mut cost = self.modulation_cost(c);
        cost += linear(9 * c, c, pixels, kept * c);
        cost += linear(9 * c, c, pixels, 0);
        if self.heads[i] > 0 {
            cost += self.attention_cost(c, self.heads[i], pixels);
        }
        cost.part(c * pixels)
    }

    fn attention_cost(&self, c: usize, heads: usize, pixels: usize) -> Cost {
        let mut cost = self.modulation_cost(c);
        cost += matrix(c, 3 * c, pixels);
        cost += matrix(c, c, pixels);
        // Scores and weighted sums are computed for every pair of pixels; queries, keys, values, their input
        // and the attention weights are kept.
        cost.flops += 4 * (pixels * pixels * c) as u64;
        cost.kept += (pixels * 13 * c + 2 * heads * pixels * pixels) as u64;
        cost
    }

    fn modulation_cost(&self, c: usize) -> Cost {
        let e = self.embedding;
        let mut cost = linear(e, e, 1, 2 * e);
        cost += linear(e, 3 * c, 1, 3 * c);
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(channels: &[usize], blocks: usize, attention: usize) -> UnetConfig {
        let heads = (0..channels.len()).map(|i| if i == attention { 4 } else { 0 }).collect();
        let (channels, blocks) = (channels.to_vec(), vec![blocks; channels.len()]);
        UnetConfig { channels, blocks, heads, embedding: 256, patch: 1, dropout: 0.1, ..Default::default() }
    }

    fn square(side: usize) -> ImageShape {
        ImageShape { channels: 3, height: side, width: side }
    }

    #[test]
    fn published_sizes_have_the_published_number_of_parameters() {
        // The paper has 57.6 M (CIFAR-10) and 77.6 M (CelebA) parameters; x, y and the mask go in, x comes
        // out.
        let (cifar, celeba) = (paper(&[128, 256, 384], 5, 1), paper(&[128, 256, 384, 512], 3, 3));
        assert_eq!(cifar.cost(square(32), 4 * 32 * 32).parameters, 57_557_379);
        assert_eq!(celeba.cost(square(64), 4 * 64 * 64).parameters, 77_627_651);
    }

    #[cfg(feature = "flex")]
    mod of_networks {
        use super::*;
        use crate::network::Layout;
        use burn::tensor::Device;

        fn layouts() -> Vec<(Cost, Layout)> {
            let (device, image) = (Device::flex(), Some(square(8)));
            let unets = [paper(&[8, 16, 24], 2, 1), UnetConfig { patch: 2, ..paper(&[4, 12], 1, 1) }];
            let networks = unets.map(NetworkConfig::Unet).into_iter().chain([
                NetworkConfig::Mlp(MlpConfig { width: 7, depth: 1, embedding: 4 }),
                NetworkConfig::Mlp(MlpConfig { width: 6, depth: 4, embedding: 8 }),
            ]);
            let cost = |config: NetworkConfig| {
                let layout = Layout::of(&config.init(192, image, 256, 0, &device).unwrap());
                (config.cost(192, image, 256).unwrap(), layout)
            };
            networks.map(cost).collect()
        }

        #[test]
        fn parameters_are_those_of_the_networks() {
            for (cost, layout) in layouts() {
                assert_eq!(cost.parameters as usize, layout.len());
            }
        }

        /// Every weight of a matrix takes part in one multiplication and one addition per pixel that it is
        /// applied to: one for the modulation, all pixels of its level otherwise.
        #[test]
        fn operations_are_those_of_the_weights() {
            let config = UnetConfig { heads: vec![0, 0], ..paper(&[4, 12], 1, 9) };
            let unet = config.init(square(8), 4 * 64, 0, &Device::flex()).unwrap();
            let meets = |name: &str| match name {
                _ if name.contains("modulation") => 1,
                _ if name.contains("levels.1") => 16,
                _ => 64,
            };
            let weights = Layout::of(&unet).entries.into_iter().filter(|(_, shape)| shape.len() == 2);
            let flops: usize = weights.map(|(name, shape)| 2 * meets(&name) * shape[0] * shape[1]).sum();
            assert_eq!(config.cost(square(8), 4 * 64).flops as usize, flops);
            let [.., (mlp, layout)] = &layouts()[..] else { panic!("an MLP") };
            let weights = layout.entries.iter().filter(|(_, shape)| shape.len() == 2);
            assert_eq!(mlp.flops as usize, weights.map(|(_, shape)| 2 * shape[0] * shape[1]).sum::<usize>());
        }
    }
}
