//! ST-LPIPS (Ghildyal and Liu, "Shift-tolerant perceptual similarity metric", 2022) measures how different
//! two pictures look. An AlexNet that blurs before it downsamples computes five feature maps f_l. The
//! distance between two pictures of the same size is
//!
//! ```text
//! d(x, y) = Σ_l mean over positions of Σ_c w_lc (f_lc(x) - f_lc(y))²,   f_l of unit length over c at every position
//! ```
//!
//! which is 0 for equal pictures. The inputs are 8-bit pictures scaled to [-1, 1], in red, green and blue, at
//! their own size.

use super::layers::{Activation, Conv, Kernel, Padding, max_pool, mean_of_planes};
use super::network::{FeatureNetwork, Scores, host};
use super::source::{Source, from_file};
use super::weights::WeightFile;
use crate::data::pixels::Bytes;
use anyhow::{Result, bail};
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Device, Tensor, TensorData};
use diffem::image::ImageShape;
use rayon::prelude::*;
use std::path::Path;

/// Minimum side of an image: the network reflects two pixels at the borders, which smaller maps do not have.
pub const MIN_SIDE: usize = 21;
/// Number of pairs per network call.
const BATCH: usize = 4;
/// Mean and standard deviation of red, green and blue in [-1, 1].
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Constant added to lengths before the division by them.
const EPSILON: f64 = 1e-10;

/// Convolutions: name and [input, output, side]. Each produces one feature map.
const CONVS: [(&str, [usize; 3]); 5] = [
    ("net.slice1.0", [3, 64, 11]),
    ("net.slice2.5", [64, 192, 5]),
    ("net.slice3.9", [192, 384, 3]),
    ("net.slice4.11", [384, 256, 3]),
    ("net.slice5.13", [256, 256, 3]),
];

/// Registered in [`features`](super).
pub static NETWORK: FeatureNetwork = FeatureNetwork {
    name: "st-lpips",
    about: "ST-LPIPS (AlexNet): perceptual distance of estimates to the truth of the test observations",
    weights: WeightFile {
        file: "alex_shift_tolerant.pth",
        package: "stlpips-pytorch 0.0.2 (Python package)",
        command: "pip download --no-deps stlpips-pytorch==0.0.2",
        inside: "stlpips_pytorch/weights/vST0.0/ (a wheel is a zip archive)",
        license: "BSD-2-Clause",
        sha256: "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    },
    scores: Scores::Distance,
};

/// The network with its weights.
pub struct StLpips {
    convs: Vec<Conv>,
    /// Weights w_l, `[1, channels, 1, 1]` each.
    weights: Vec<Tensor<4>>,
    device: Device,
}

impl StLpips {
    /// Reads the weights from the directory `dir` after checking their digest.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        from_file(&NETWORK.weights.require(dir)?, device, Self::assemble)
    }

    fn assemble(source: &Source<'_>) -> Result<Self> {
        let conv = |(i, (name, [input, output, side])): (usize, (&str, [usize; 3]))| {
            let kernel = Kernel::new([input, output], [side; 2]);
            // The first map is blurred before its ReLU.
            let first = Kernel { padding: Padding::Fixed(2), activation: Activation::None, ..kernel };
            source.conv(name, if i == 0 { first } else { kernel })
        };
        let weights = |(i, (_, [_, output, _])): (usize, (&str, [usize; 3]))| {
            source.tensor(&format!("lin{i}.model.1.weight"), [1, output, 1, 1])
        };
        Ok(Self {
            convs: CONVS.into_iter().enumerate().map(conv).collect::<Result<_>>()?,
            weights: CONVS.into_iter().enumerate().map(weights).collect::<Result<_>>()?,
            device: source.device.clone(),
        })
    }

    /// Returns whether images of this shape are large enough.
    pub fn takes(shape: ImageShape) -> bool {
        shape.height.min(shape.width) >= MIN_SIDE
    }

    /// Distances d(x_i, y_i) of n pairs of images of one shape.
    ///
    /// # Errors
    /// Fails for images with a side below 21 pixels.
    pub fn distances(&self, x: &[Bytes], y: &[Bytes]) -> Result<Vec<f64>> {
        assert_eq!(x.len(), y.len(), "pairs");
        if let Some(ImageShape { height, width, .. }) = x.iter().map(|image| image.shape).find(|s| !Self::takes(*s)) {
            bail!("ST-LPIPS: images of {width} x {height} pixels; expected sides of {MIN_SIDE} or more");
        }
        let batch = |(x, y): (&[Bytes], &[Bytes])| host(self.distance(self.maps(x), self.maps(y)));
        let parts: Vec<Vec<f32>> = x.par_chunks(BATCH).zip(y.par_chunks(BATCH)).map(batch).collect::<Result<_>>()?;
        Ok(parts.into_iter().flatten().map(f64::from).collect())
    }

    /// Distances `[n]` between two lists of feature maps.
    fn distance(&self, x: Vec<Tensor<4>>, y: Vec<Tensor<4>>) -> Tensor<1> {
        let level = |((x, y), w): ((Tensor<4>, Tensor<4>), &Tensor<4>)| {
            let weighted = (x - y).square() * w.clone();
            mean_of_planes(weighted).sum_dim(1).flatten::<1>(0, 1)
        };
        let levels = x.into_iter().zip(y).zip(&self.weights).map(level);
        levels.reduce(|sum, level| sum + level).expect("the network has maps")
    }

    /// Computes the five feature maps of `images`, normalized to unit length at every position.
    fn maps(&self, images: &[Bytes]) -> Vec<Tensor<4>> {
        let shape = images[0].shape;
        let pixels: Vec<f32> = images.iter().flat_map(prepared).collect();
        let shape = [images.len(), 3, shape.height, shape.width];
        let mut x: Tensor<4> = Tensor::from_data(TensorData::new(pixels, shape), &self.device);
        let mut maps = Vec::with_capacity(self.convs.len());
        for (i, conv) in self.convs.iter().enumerate() {
            x = match i {
                0 => relu(halved(conv.forward(x))),
                1 | 2 => conv.forward(halved(max_pool(x, 1, 0))),
                _ => conv.forward(x),
            };
            let length = x.clone().square().sum_dim(1).sqrt();
            maps.push(x.clone() / (length + EPSILON));
        }
        maps
    }
}

/// Standardizes an image by the mean and standard deviation of the training images: `[3, height, width]`. A
/// gray image is repeated three times.
fn prepared(image: &Bytes) -> Vec<f32> {
    let value = |c: usize, v: u8| (f32::from(v) / 127.5 - 1.0 - SHIFT[c]) / SCALE[c];
    (0..3).flat_map(|c| image.plane(c % image.shape.channels).iter().map(move |v| value(c, *v))).collect()
}

/// Blurs each plane by [1, 2, 1]ᵀ [1, 2, 1] / 16 and keeps every other value; two pixels are reflected at the
/// borders.
fn halved(x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    let blur = [1.0f32, 2.0, 1.0].iter().flat_map(|a| [1.0, 2.0, 1.0].map(|b| a * b / 16.0)).collect::<Vec<_>>();
    let weight = Tensor::<4>::from_data(TensorData::new(blur, [1, 1, 3, 3]), &x.device()).repeat_dim(0, channels);
    let x = x.pad([(2, 2), (2, 2)], PadMode::Reflect);
    conv2d(x, weight, None, ConvOptions::new([2, 2], [0, 0], [1, 1], channels))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{Formula, assert_close, given, picture};
    use super::*;
    use serde::Deserialize;
    use std::slice::from_ref;

    #[derive(Deserialize)]
    struct Golden {
        height: usize,
        width: usize,
        channels: usize,
        /// Distances between the picture and its transformed copies, with weights by formula and trained
        /// ones.
        formula: Vec<f32>,
        trained: Vec<f32>,
    }

    fn golden() -> Vec<Golden> {
        serde_json::from_str(include_str!("../../../tests/golden/st_lpips.json")).unwrap()
    }

    fn device() -> Device {
        crate::device::open("auto").unwrap().1
    }

    /// The same copies as in st_lpips.py: inverted, darker, and shifted one column to the right.
    fn changed(image: &Bytes) -> [Bytes; 3] {
        let (shape, width) = (image.shape, image.shape.width);
        let of = |planes: Vec<u8>| Bytes { planes, shape };
        let shifted = |(i, _): (usize, &u8)| image.planes[i - i % width + (i % width + width - 1) % width];
        [
            of(image.planes.iter().map(|v| 255 - v).collect()),
            of(image.planes.iter().map(|v| v / 2).collect()),
            of(image.planes.iter().enumerate().map(shifted).collect()),
        ]
    }

    fn compare(network: &StLpips, expected: impl Fn(&Golden) -> &[f32]) {
        for case in &golden() {
            let image = picture(ImageShape { channels: case.channels, height: case.height, width: case.width });
            let found = network.distances(&vec![image.clone(); 3], &changed(&image)).unwrap();
            let found: Vec<f32> = found.iter().map(|v| *v as f32).collect();
            found.iter().zip(expected(case)).for_each(|(a, b)| assert_close(&[*a], &[*b], 1e-4));
            assert_eq!(network.distances(from_ref(&image), from_ref(&image)).unwrap(), [0.0]);
        }
    }

    #[test]
    fn distances_are_those_of_its_package() {
        let source = Source { tensors: &Formula, device: &device() };
        compare(&StLpips::assemble(&source).unwrap(), |case| &case.formula);
        assert!(golden().iter().any(|case| case.channels == 1 && case.width == MIN_SIDE));
    }

    #[test]
    #[ignore = "needs the weight file: DIFFEM_WEIGHTS=DIR"]
    fn trained_distances_are_those_of_its_package() {
        let Some(dir) = given("DIFFEM_WEIGHTS") else { return };
        compare(&StLpips::load(&dir, &device()).unwrap(), |case| &case.trained);
    }

    #[test]
    fn small_images_are_told() {
        let network = StLpips::assemble(&Source { tensors: &Formula, device: &device() }).unwrap();
        let image = picture(ImageShape { channels: 1, height: 32, width: 20 });
        let error = network.distances(from_ref(&image), from_ref(&image)).unwrap_err().to_string();
        assert_eq!(error, "ST-LPIPS: images of 20 x 32 pixels; expected sides of 21 or more");
    }
}
