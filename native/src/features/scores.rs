//! Distances between sets of images in the features of EfficientNet-Lite0. They are named after that network: its numbers are
//! not comparable with those of Inception or DINOv2.

use super::efficientnet_lite0::{EfficientNetLite0, Features};
use crate::images::Bytes;
use anyhow::{Result, bail};
use diffem::Samples;
use diffem::image::ImageShape;
use diffem::metric::{Frechet, Kid, Moments, inception_score};
use serde::{Deserialize, Serialize};

/// Most parts of the inception score, as usual.
const SPLITS: usize = 10;

/// Scores of one set of images.
#[derive(Debug, Serialize, Deserialize)]
pub struct FeatureScores {
    pub sample: String,
    /// Lap of the reconstructions; null for floors and files.
    #[serde(default)]
    pub lap: Option<usize>,
    /// Fréchet distance to the reference set.
    pub fd_efflite0: f64,
    /// Kernel distance (unbiased MMD²) to the reference set: mean over subsets, and their deviation.
    pub kid_efflite0: f64,
    pub kid_deviation: f64,
    /// Inception score with the network's 1000 classes: mean over parts, and their deviation.
    pub is_efflite0: f64,
    pub is_deviation: f64,
    /// Images a side.
    pub images: usize,
}

/// A reference set, and how images are scored against it.
pub struct FeatureScorer<'a> {
    network: &'a EfficientNetLite0,
    shape: ImageShape,
    reference: Samples,
    frechet: Frechet,
    kid: Kid,
}

impl<'a> FeatureScorer<'a> {
    /// Scorer against the images `reference [n, d]` in [-2, 2], n >= 4.
    pub fn new(network: &'a EfficientNetLite0, shape: ImageShape, reference: &Samples) -> Result<Self> {
        if reference.n() < 4 {
            bail!("feature distances need 4 or more images a side, found {}", reference.n());
        }
        let reference = features(network, shape, reference)?.pooled;
        let frechet = Frechet::new(&Moments::of(&reference)?.gaussian()?);
        // Subsets of half of a small set, so that they differ.
        let kid = Kid { subset_size: Kid::default().subset_size.min(reference.n() / 2), ..Kid::default() };
        Ok(Self { network, shape, reference, frechet, kid })
    }

    /// Scores `images [n, d]`, best of the reference's size: the Fréchet distance depends on it.
    pub fn score(&self, sample: String, lap: Option<usize>, images: &Samples) -> Result<FeatureScores> {
        let found = features(self.network, self.shape, images)?;
        let kid = self.kid.estimate(&self.reference, &found.pooled)?;
        let (is_efflite0, is_deviation) = inception_score(&found.logits, SPLITS.min(images.n()))?;
        Ok(FeatureScores {
            sample,
            lap,
            fd_efflite0: self.frechet.distance(&Moments::of(&found.pooled)?.gaussian()?)?,
            kid_efflite0: kid.mean,
            kid_deviation: kid.std,
            is_efflite0,
            is_deviation,
            images: images.n(),
        })
    }
}

fn features(network: &EfficientNetLite0, shape: ImageShape, images: &Samples) -> Result<Features> {
    let bytes = images.rows().map(|row| Bytes::of(row, shape)).collect::<Result<Vec<_>>>()?;
    network.features(&bytes)
}

/// `n` rows of `x` at even (0) or odd (1) places, so that two sets with other rows come of one; the first `n` rows of a set
/// that is too small to be parted.
pub fn half(x: &Samples, parity: usize, n: usize) -> Samples {
    match x.n() >= 2 * n {
        true => x.select(&(0..n).map(|i| 2 * i + parity).collect::<Vec<_>>()),
        false => x.slice(0..n.min(x.n())),
    }
}

/// The scores for reading; `what` says what the images are.
pub fn table(what: &str, rows: &[FeatureScores]) -> String {
    let heads = ["FD-EffLite0", "KID-EffLite0", "+-", "IS-EffLite0", "+-"].map(|head| format!(" {head:>12}")).concat();
    let mut out = format!("{what:24}{heads} {:>7}\n", "images");
    for r in rows {
        out += &format!(
            "{:24} {:>12.4} {:>12.4e} {:>12.1e} {:>12.4} {:>12.4} {:>7}\n",
            r.sample, r.fd_efflite0, r.kid_efflite0, r.kid_deviation, r.is_efflite0, r.is_deviation, r.images
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_share_no_row() {
        let x = Samples::new((0..10).map(|i| i as f32).collect(), 1);
        assert_eq!(half(&x, 0, 4).as_slice(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(half(&x, 1, 5).as_slice(), [1.0, 3.0, 5.0, 7.0, 9.0]);
        assert_eq!(half(&x, 1, 6).as_slice(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
