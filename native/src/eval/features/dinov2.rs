//! DINOv2 (Oquab et al., "DINOv2: learning robust visual features without supervision", 2023): the vision
//! transformer ViT-L/14 without registers at 224 x 224. dgm-eval uses its class token for FD-DINOv2 (Stein et
//! al., "Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion
//! models", 2023).
//!
//! ```text
//! x = [class token, patches] + positions;  24 times: x += s1 attention(norm(x)), x += s2 mlp(norm(x));  norm(x) of the class
//! ```
//!
//! Images are resized as by Pillow (bicubic, 8 bits), then standardized by ImageNet's means and standard
//! deviations. Positions were learned for 37 x 37 patches and are interpolated to 16 x 16 as in the published
//! code.

use super::bicubic;
use super::layers::{Activation, Conv, Kernel, Linear, Norm, Padding};
use super::network::{FeatureNetwork, Names, Network, Outputs, Scores};
use super::source::{Source, from_file};
use super::weights::WeightFile;
use crate::data::pixels::Bytes;
use anyhow::Result;
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

const EPSILON: f64 = 1e-6;
/// Means and standard deviations of red, green and blue in [0, 1].
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Number of features per token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Number of attention heads, which divides the width.
    pub heads: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Number of patches per side for which the positions were learned.
    pub learned: usize,
    /// Side of the images in pixels, a multiple of the side of a patch.
    pub side: usize,
}

/// The published network.
pub const VIT_L14: Config = Config { width: 1024, depth: 24, heads: 16, patch: 14, learned: 37, side: 224 };

impl Config {
    /// Number of patches per side.
    fn grid(&self) -> usize {
        self.side / self.patch
    }
}

/// Names of the network's scores.
pub const NAMES: Names = Names {
    network: "dinov2-vitl14",
    frechet: ["FD-DINOv2", "fd_dinov2"],
    kernel: ["KID-DINOv2", "kid_dinov2"],
    inception: None,
};

/// Registered in [`features`](super).
pub static NETWORK: FeatureNetwork = FeatureNetwork {
    name: NAMES.network,
    about: "DINOv2 ViT-L/14 as in dgm-eval: FD-DINOv2; about one second per image on two cores",
    weights: WeightFile {
        file: "dinov2_vitl14_pretrain.pth",
        package: "PyTorch Hub downloads it (1.2 GB)",
        command: "pip install torch; python -c 'import torch; torch.hub.load(\"facebookresearch/dinov2\", \"dinov2_vitl14\")'",
        inside: "~/.cache/torch/hub/checkpoints/",
        license: "Apache-2.0",
        sha256: "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    },
    scores: Scores::Features(NAMES, |dir, device| Ok(Box::new(DinoV2::load(dir, device)?))),
};

/// The network with its weights.
pub struct DinoV2 {
    config: Config,
    patches: Conv,
    /// Class token plus its position, `[1, 1, width]`.
    class: Tensor<3>,
    /// Positions of the patches, `[1, patches, width]`.
    positions: Tensor<3>,
    blocks: Vec<Block>,
    norm: Norm,
    device: Device,
}

struct Block {
    heads: usize,
    norms: [Norm; 2],
    /// Projections to queries, keys and values, one after another.
    qkv: Linear,
    project: Linear,
    mlp: [Linear; 2],
    /// Scales s1 and s2, `[1, 1, width]` each.
    scales: [Tensor<3>; 2],
}

impl DinoV2 {
    /// Reads the weights of ViT-L/14 from the directory `dir` after checking their digest.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        from_file(&NETWORK.weights.require(dir)?, device, |source| Self::assemble(source, VIT_L14))
    }

    fn assemble(source: &Source<'_>, config: Config) -> Result<Self> {
        let Config { width, patch, learned, .. } = config;
        let embed = Kernel::new([3, width], [patch, patch]);
        let embed = Kernel { stride: patch, padding: Padding::Fixed(0), activation: Activation::None, ..embed };
        let class = source.tensor("cls_token", [1, 1, width])?;
        let learnt_positions: Tensor<3> = source.tensor("pos_embed", [1, 1 + learned * learned, width])?;
        Ok(Self {
            config,
            patches: source.conv("patch_embed.proj", embed)?,
            class: class + learnt_positions.clone().narrow(1, 0, 1),
            positions: interpolated(learnt_positions.narrow(1, 1, learned * learned), learned, config.grid()),
            blocks: (0..config.depth).map(|i| Block::assemble(source, i, &config)).collect::<Result<_>>()?,
            norm: source.norm("norm", width, EPSILON)?,
            device: source.device.clone(),
        })
    }
}

impl Network for DinoV2 {
    fn names(&self) -> Names {
        NAMES
    }

    fn outputs(&self, images: &[Bytes]) -> Outputs {
        let (n, Config { side, width, .. }) = (images.len(), self.config);
        let value = |c: usize, v: u8| (f32::from(v) / 255.0 - MEAN[c]) / DEVIATION[c];
        let pixels: Vec<f32> = images.iter().flat_map(|image| bicubic::planes(image, side, value)).collect();
        let x: Tensor<4> = Tensor::from_data(TensorData::new(pixels, [n, 3, side, side]), &self.device);
        let patches: Tensor<3> = self.patches.forward(x).flatten::<3>(2, 3).swap_dims(1, 2) + self.positions.clone();
        let mut x = Tensor::cat(vec![self.class.clone().repeat_dim(0, n), patches], 1);
        for block in &self.blocks {
            x = block.forward(x);
        }
        Outputs { features: self.norm.forward(x.narrow(1, 0, 1)).reshape([n, width]), logits: None }
    }
}

impl Block {
    fn assemble(source: &Source<'_>, i: usize, config: &Config) -> Result<Self> {
        let (width, at) = (config.width, |name: &str| format!("blocks.{i}.{name}"));
        let norm = |name: &str| source.norm(&at(name), width, EPSILON);
        let linear = |name: &str, sizes| source.linear(&at(name), sizes);
        let scale = |name: &str| Ok::<_, anyhow::Error>(source.tensor::<1>(&at(name), [width])?.reshape([1, 1, width]));
        Ok(Self {
            heads: config.heads,
            norms: [norm("norm1")?, norm("norm2")?],
            qkv: linear("attn.qkv", [width, 3 * width])?,
            project: linear("attn.proj", [width, width])?,
            mlp: [linear("mlp.fc1", [width, 4 * width])?, linear("mlp.fc2", [4 * width, width])?],
            scales: [scale("ls1.gamma")?, scale("ls2.gamma")?],
        })
    }

    /// Applies the block to `x [n, tokens, width]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [s1, s2] = &self.scales;
        let x = x.clone() + self.attention(self.norms[0].forward(x)) * s1.clone();
        let inside = gelu(self.mlp[0].forward(self.norms[1].forward(x.clone())));
        x + self.mlp[1].forward(inside) * s2.clone()
    }

    fn attention(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, tokens, width] = x.dims();
        let qkv = self.qkv.forward(x);
        let part = |i: usize| {
            let part = qkv.clone().narrow(2, i * width, width);
            part.reshape([n, tokens, self.heads, width / self.heads]).swap_dims(1, 2)
        };
        let mixed = attention(part(0), part(1), part(2), None, None, AttentionModuleOptions::default());
        self.project.forward(mixed.swap_dims(1, 2).reshape([n, tokens, width]))
    }
}

/// Interpolates positions `[1, from², width]` to a coarser or finer grid, `[1, to², width]`.
fn interpolated(positions: Tensor<3>, from: usize, to: usize) -> Tensor<3> {
    if from == to {
        return positions;
    }
    let (width, device) = (positions.dims()[2], positions.device());
    let weights: Tensor<2> = Tensor::from_data(TensorData::new(cubic_weights(from, to), [to, from]), &device);
    let rows = weights.clone().matmul(positions.reshape([from, from * width]));
    let columns = rows.reshape([to, from, width]).swap_dims(0, 1).reshape([from, to * width]);
    weights.matmul(columns).reshape([to, to, width]).swap_dims(0, 1).reshape([1, to * to, width])
}

/// Interpolation weights `[to, from]` along one axis: cubic convolution with a = -3/4 and without smoothing,
/// where the end values extend beyond the ends. The scale is (to + 0.1) / from, with the same extra tenth as
/// in the published features.
fn cubic_weights(from: usize, to: usize) -> Vec<f32> {
    const KEYS: f64 = -0.75;
    let scale = from as f64 / (to as f64 + 0.1);
    let mut weights = vec![0.0f32; to * from];
    for (i, row) in weights.chunks_exact_mut(from).enumerate() {
        let center = (i as f64 + 0.5) * scale - 0.5;
        for tap in -1..=2 {
            let place = center.floor() + f64::from(tap);
            let value = bicubic::cubic(place - center, KEYS);
            row[place.clamp(0.0, (from - 1) as f64) as usize] += value as f32;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Formula, assert_close, given, picture};
    use super::super::network::Features;
    use super::*;
    use diffem::image::ImageShape;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        height: usize,
        width: usize,
        channels: usize,
        /// All features of the small network, or every 16th feature of ViT-L/14.
        small: Vec<f32>,
        large: Vec<f32>,
    }

    /// ViT-L/14's geometry with fewer and narrower blocks.
    const SMALL: Config = Config { width: 24, depth: 3, heads: 3, ..VIT_L14 };

    fn compare(network: &DinoV2, step: usize, expected: impl Fn(&Golden) -> &[f32]) {
        let golden: Vec<Golden> = serde_json::from_str(include_str!("../../../tests/golden/dinov2.json")).unwrap();
        for case in &golden {
            let image = picture(ImageShape { channels: case.channels, height: case.height, width: case.width });
            let found = Features::of(network, &[image]).unwrap();
            let found: Vec<f32> = found.features.row(0).iter().step_by(step).copied().collect();
            assert_close(&found, expected(case), 1e-4);
        }
        assert!(golden.iter().any(|case| case.channels == 1) && golden.iter().any(|case| case.width != case.height));
    }

    #[test]
    fn features_are_those_of_the_published_code() {
        let device = crate::device::open("auto").unwrap().1;
        let source = Source { tensors: &Formula, device: &device };
        compare(&DinoV2::assemble(&source, SMALL).unwrap(), 1, |case| &case.small);
    }

    /// `dinov2.py CODE FILE` writes the file, with weights by formula in the layout of the published file.
    #[test]
    #[ignore = "needs a file: DIFFEM_DINOV2=FILE"]
    fn features_from_a_file_are_those_of_the_published_code() {
        let Some(file) = given("DIFFEM_DINOV2") else { return };
        let device = crate::device::open("auto").unwrap().1;
        let network = from_file(&file, &device, |source| DinoV2::assemble(source, VIT_L14)).unwrap();
        compare(&network, 16, |case| &case.large);
    }
}
