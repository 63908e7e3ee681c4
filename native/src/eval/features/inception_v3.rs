//! Inception-v3 as used by the Fréchet Inception distance (Szegedy et al., "Rethinking the Inception
//! architecture for computer vision", 2016; Heusel et al., "GANs trained by a two time-scale update rule",
//! 2017): TensorFlow's network of 2015-12-05 with the weights and conventions of the pytorch-fid port.
//!
//! * Pixels are scaled to [-1, 1] and resized to 299 x 299 by bilinear interpolation between pixel centers,
//!   without smoothing.
//! * Average pooling over 3x3 windows excludes the padding, and the last block uses max pooling instead.
//! * Features are the 2048 means before the classifier. Logits are those of the 1008 classes without bias, as
//!   in torch-fidelity.

use super::layers::{Conv, Kernel, Padding, average_around, max_pool, mean_of_planes};
use super::network::{FeatureNetwork, Names, Network, Outputs, Scores};
use super::source::{Source, from_file};
use super::weights::WeightFile;
use crate::data::pixels::Bytes;
use anyhow::Result;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;

const FEATURES: usize = 2048;
const CLASSES: usize = 1008;
/// Side of the network's input images.
const SIDE: usize = 299;
const EPSILON: f64 = 1e-3;

/// Names of the network's scores.
pub const NAMES: Names =
    Names { network: "inception-v3", frechet: ["FID", "fid"], kernel: ["KID", "kid"], inception: Some(["IS", "is"]) };

/// Registered in [`features`](super).
pub static NETWORK: FeatureNetwork = FeatureNetwork {
    name: NAMES.network,
    about: "Inception-v3 in pytorch-fid's port: FID, KID and IS",
    weights: WeightFile {
        file: "pt_inception-2015-12-05-6726825d.pth",
        package: "pytorch-fid 0.3.0 (Python package) downloads it",
        command: "pip install pytorch-fid==0.3.0; python -c 'from pytorch_fid.inception import *; InceptionV3()'",
        inside: "~/.cache/torch/hub/checkpoints/",
        license: "Apache-2.0",
        sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    },
    scores: Scores::Features(NAMES, |dir, device| Ok(Box::new(InceptionV3::load(dir, device)?))),
};

/// The network with its weights.
pub struct InceptionV3 {
    stem: Vec<Conv>,
    blocks: Vec<Vec<Branch>>,
    /// Weights of the classifier, `[2048, 1008]`.
    classes: Tensor<2>,
    device: Device,
}

/// Pooling of a branch before its convolutions.
#[derive(Clone, Copy)]
enum Pool {
    None,
    /// Average over the window around every value.
    Average,
    /// Maximum over the window around every value.
    Maximum,
    /// Maximum over every other window, without padding.
    Halve,
}

/// One of the branches whose outputs are concatenated.
struct Branch {
    pool: Pool,
    convs: Vec<Conv>,
    /// Parallel convolutions of the output of `convs`, whose outputs are concatenated; may be empty.
    split: Vec<Conv>,
}

/// A convolution of a branch: name, output channels, height and width. A name that ends with `/2` marks a
/// stride of 2.
type Step<'a> = (&'a str, usize, [usize; 2]);

impl InceptionV3 {
    /// Reads the weights from the directory `dir` after checking their digest.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        from_file(&NETWORK.weights.require(dir)?, device, Self::assemble)
    }

    fn assemble(source: &Source<'_>) -> Result<Self> {
        let wide =
            |input, output, side| Kernel { padding: Padding::Fixed(0), ..Kernel::new([input, output], [side; 2]) };
        let stem = [
            ("Conv2d_1a_3x3", Kernel { stride: 2, ..wide(3, 32, 3) }),
            ("Conv2d_2a_3x3", wide(32, 32, 3)),
            ("Conv2d_2b_3x3", Kernel::new([32, 64], [3, 3])),
            ("Conv2d_3b_1x1", wide(64, 80, 1)),
            ("Conv2d_4a_3x3", wide(80, 192, 3)),
        ];
        let stem = stem.into_iter().map(|(name, kernel)| conv(source, name, kernel));
        let block = |name, input| Block { source, name, input };
        let blocks = vec![
            block("Mixed_5b", 192).five(32),
            block("Mixed_5c", 256).five(64),
            block("Mixed_5d", 288).five(64),
            block("Mixed_6a", 288).to_six(),
            block("Mixed_6b", 768).six(128),
            block("Mixed_6c", 768).six(160),
            block("Mixed_6d", 768).six(160),
            block("Mixed_6e", 768).six(192),
            block("Mixed_7a", 768).to_seven(),
            block("Mixed_7b", 1280).seven(Pool::Average),
            block("Mixed_7c", FEATURES).seven(Pool::Maximum),
        ];
        Ok(Self {
            stem: stem.collect::<Result<_>>()?,
            blocks: blocks.into_iter().collect::<Result<_>>()?,
            classes: source.tensor("fc.weight", [CLASSES, FEATURES])?.transpose(),
            device: source.device.clone(),
        })
    }
}

fn conv(source: &Source<'_>, name: &str, kernel: Kernel) -> Result<Conv> {
    source.conv_norm(&format!("{name}.conv"), &format!("{name}.bn"), EPSILON, kernel)
}

/// A block whose weights are to be loaded.
struct Block<'a> {
    source: &'a Source<'a>,
    name: &'a str,
    /// Number of input channels.
    input: usize,
}

impl Block<'_> {
    /// Block with 35 x 35 values per channel.
    fn five(&self, pooled: usize) -> Result<Vec<Branch>> {
        Ok(vec![
            self.branch(Pool::None, &[("branch1x1", 64, [1, 1])], &[])?,
            self.branch(Pool::None, &[("branch5x5_1", 48, [1, 1]), ("branch5x5_2", 64, [5, 5])], &[])?,
            self.branch(Pool::None, &[TRIPLE[0], TRIPLE[1], ("branch3x3dbl_3", 96, [3, 3])], &[])?,
            self.branch(Pool::Average, &[("branch_pool", pooled, [1, 1])], &[])?,
        ])
    }

    /// Block that reduces 35 x 35 to 17 x 17.
    fn to_six(&self) -> Result<Vec<Branch>> {
        Ok(vec![
            self.branch(Pool::None, &[("branch3x3/2", 384, [3, 3])], &[])?,
            self.branch(Pool::None, &[TRIPLE[0], TRIPLE[1], ("branch3x3dbl_3/2", 96, [3, 3])], &[])?,
            self.branch(Pool::Halve, &[], &[])?,
        ])
    }

    /// Block with 17 x 17 values and `c` inner channels.
    fn six(&self, c: usize) -> Result<Vec<Branch>> {
        let once = [("branch7x7_1", c, [1, 1]), ("branch7x7_2", c, [1, 7]), ("branch7x7_3", 192, [7, 1])];
        let twice = [
            ("branch7x7dbl_1", c, [1, 1]),
            ("branch7x7dbl_2", c, [7, 1]),
            ("branch7x7dbl_3", c, [1, 7]),
            ("branch7x7dbl_4", c, [7, 1]),
            ("branch7x7dbl_5", 192, [1, 7]),
        ];
        Ok(vec![
            self.branch(Pool::None, &[("branch1x1", 192, [1, 1])], &[])?,
            self.branch(Pool::None, &once, &[])?,
            self.branch(Pool::None, &twice, &[])?,
            self.branch(Pool::Average, &[("branch_pool", 192, [1, 1])], &[])?,
        ])
    }

    /// Block that reduces 17 x 17 to 8 x 8.
    fn to_seven(&self) -> Result<Vec<Branch>> {
        let long = [
            ("branch7x7x3_1", 192, [1, 1]),
            ("branch7x7x3_2", 192, [1, 7]),
            ("branch7x7x3_3", 192, [7, 1]),
            ("branch7x7x3_4/2", 192, [3, 3]),
        ];
        Ok(vec![
            self.branch(Pool::None, &[("branch3x3_1", 192, [1, 1]), ("branch3x3_2/2", 320, [3, 3])], &[])?,
            self.branch(Pool::None, &long, &[])?,
            self.branch(Pool::Halve, &[], &[])?,
        ])
    }

    /// Block with 8 x 8 values.
    fn seven(&self, pool: Pool) -> Result<Vec<Branch>> {
        let long = [("branch3x3dbl_1", 448, [1, 1]), ("branch3x3dbl_2", 384, [3, 3])];
        let [short_split, long_split] = [["branch3x3_2a", "branch3x3_2b"], ["branch3x3dbl_3a", "branch3x3dbl_3b"]]
            .map(|[a, b]| [(a, 384, [1, 3]), (b, 384, [3, 1])]);
        Ok(vec![
            self.branch(Pool::None, &[("branch1x1", 320, [1, 1])], &[])?,
            self.branch(Pool::None, &[("branch3x3_1", 384, [1, 1])], &short_split)?,
            self.branch(Pool::None, &long, &long_split)?,
            self.branch(pool, &[("branch_pool", 192, [1, 1])], &[])?,
        ])
    }

    fn branch(&self, pool: Pool, steps: &[Step<'_>], split: &[Step<'_>]) -> Result<Branch> {
        let mut channels = self.input;
        let mut convs = Vec::with_capacity(steps.len());
        for step in steps {
            convs.push(self.conv(channels, *step)?);
            channels = step.1;
        }
        let split = split.iter().map(|step| self.conv(channels, *step)).collect::<Result<_>>()?;
        Ok(Branch { pool, convs, split })
    }

    fn conv(&self, input: usize, (name, output, size): Step<'_>) -> Result<Conv> {
        let plain = Kernel::new([input, output], size);
        let (name, kernel) = match name.strip_suffix("/2") {
            Some(name) => (name, Kernel { stride: 2, padding: Padding::Fixed(0), ..plain }),
            None => (name, plain),
        };
        conv(self.source, &format!("{}.{name}", self.name), kernel)
    }
}

/// First two steps of a branch of three convolutions.
const TRIPLE: [Step<'static>; 2] = [("branch3x3dbl_1", 64, [1, 1]), ("branch3x3dbl_2", 96, [3, 3])];

impl Branch {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let pooled = match self.pool {
            Pool::None => x,
            Pool::Average => average_around(x),
            Pool::Maximum => max_pool(x, 1, 1),
            Pool::Halve => max_pool(x, 2, 0),
        };
        let x = self.convs.iter().fold(pooled, |x, conv| conv.forward(x));
        match self.split.is_empty() {
            true => x,
            false => Tensor::cat(self.split.iter().map(|conv| conv.forward(x.clone())).collect(), 1),
        }
    }
}

impl Network for InceptionV3 {
    fn names(&self) -> Names {
        NAMES
    }

    fn outputs(&self, images: &[Bytes]) -> Outputs {
        let enlarged = images.iter().map(|image| enlarged(image, &self.device)).collect();
        let mut x = Tensor::cat(enlarged, 0) * 2.0 - 1.0;
        for (i, conv) in self.stem.iter().enumerate() {
            x = conv.forward(x);
            if i == 2 || i == 4 {
                x = max_pool(x, 2, 0);
            }
        }
        for block in &self.blocks {
            x = Tensor::cat(block.iter().map(|branch| branch.forward(x.clone())).collect(), 1);
        }
        let features = mean_of_planes(x);
        Outputs { logits: Some(features.clone().matmul(self.classes.clone())), features }
    }
}

/// Resizes an image to `[1, 3, 299, 299]` in [0, 1]; a gray image is repeated three times.
fn enlarged(image: &Bytes, device: &Device) -> Tensor<4> {
    let (shape, value) = (image.shape, |v: &u8| f32::from(*v) / 255.0);
    let pixels: Vec<f32> = (0..3).flat_map(|c| image.plane(c % shape.channels).iter().map(value)).collect();
    let x = Tensor::from_data(TensorData::new(pixels, [1, 3, shape.height, shape.width]), device);
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    interpolate(x, options.with_output_size([SIDE, SIDE]))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Formula, assert_close, given, picture};
    use super::super::network::Features;
    use super::*;
    use diffem::image::ImageShape;
    use diffem::metric::frechet_distance;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        height: usize,
        width: usize,
        channels: usize,
        /// Every 16th of the 2048 features.
        features: Vec<f32>,
        /// Every 16th of the 1008 logits.
        logits: Vec<f32>,
    }

    fn compare(network: &InceptionV3) {
        let golden: Vec<Golden> =
            serde_json::from_str(include_str!("../../../tests/golden/inception_v3.json")).unwrap();
        for case in &golden {
            let image = picture(ImageShape { channels: case.channels, height: case.height, width: case.width });
            let found = Features::of(network, &[image]).unwrap();
            let some = |row: &[f32]| row.iter().step_by(16).copied().collect::<Vec<_>>();
            assert_close(&some(found.features.row(0)), &case.features, 1e-4);
            assert_close(&some(found.logits.unwrap().row(0)), &case.logits, 1e-4);
        }
        assert!(golden.iter().any(|case| case.channels == 1) && golden.iter().any(|case| case.width > SIDE));
    }

    #[test]
    fn features_are_those_of_pytorch_fid() {
        let device = crate::device::open("auto").unwrap().1;
        compare(&InceptionV3::assemble(&Source { tensors: &Formula, device: &device }).unwrap());
    }

    /// `inception_v3.py FILE` writes the file, with the same weights in the layout of the published file.
    #[test]
    #[ignore = "needs a file: DIFFEM_INCEPTION=FILE"]
    fn features_from_a_file_are_those_of_pytorch_fid() {
        let Some(file) = given("DIFFEM_INCEPTION") else { return };
        compare(&from_file(&file, &crate::device::open("auto").unwrap().1, InceptionV3::assemble).unwrap());
    }

    /// DIFFEM_FOLDERS holds folders `truth` and `reconstructions` written by `export-images`; DIFFEM_FID is
    /// the distance that pytorch-fid computes for them with the weights DIFFEM_INCEPTION.
    #[test]
    #[ignore = "needs files: DIFFEM_INCEPTION=FILE DIFFEM_FOLDERS=DIR DIFFEM_FID=NUMBER"]
    fn distances_of_folders_are_those_of_pytorch_fid() {
        let (Some(file), Some(dir)) = (given("DIFFEM_INCEPTION"), given("DIFFEM_FOLDERS")) else { return };
        let expected: f64 = given("DIFFEM_FID").unwrap().to_str().unwrap().parse().unwrap();
        let network = from_file(&file, &crate::device::open("auto").unwrap().1, InceptionV3::assemble).unwrap();
        let features = |name: &str| {
            let paths = std::fs::read_dir(dir.join(name)).unwrap().map(|entry| entry.unwrap().path());
            let images: Vec<Bytes> = paths.map(|path| Bytes::read(&path).unwrap()).collect();
            Features::of(&network, &images).unwrap().features
        };
        let found = frechet_distance(&features("truth"), &features("reconstructions")).unwrap();
        assert!((found / expected - 1.0).abs() < 1e-3, "{found}, expected {expected}");
    }
}
