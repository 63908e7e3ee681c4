//! Distances between sets of images in the features of networks. They are named after the network because the
//! numbers of one network are not comparable with those of another.

use super::names;
use super::network::{Features, Names, Network};
use crate::data::pixels::Bytes;
use anyhow::{Result, bail};
use diffem::Samples;
use diffem::image::ImageShape;
use diffem::metric::{Frechet, Kid, Moments, inception_score};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of splits in the inception score, which is the usual number.
const SPLITS: usize = 10;
/// Names of the standard deviations in evaluation.json.
const KERNEL: &str = "kid_deviation";
const INCEPTION: &str = "is_deviation";

/// Mean and standard deviation of a score over parts of a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub deviation: f64,
}

/// Scores of one set of images in the features of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Named", try_from = "Named")]
pub struct FeatureScores {
    pub sample: String,
    /// Lap of the reconstructions; `None` for floors and files.
    pub lap: Option<usize>,
    /// Names of the scores.
    pub names: Names,
    /// Fréchet distance to the reference set.
    pub frechet: f64,
    /// Kernel distance (unbiased MMD²) to the reference set.
    pub kernel: Spread,
    /// Inception score with the network's classes, if it has any.
    pub inception: Option<Spread>,
    /// Number of images in each of the two sets.
    pub images: usize,
}

/// [`FeatureScores`] in evaluation.json, where the scores are named after their network.
#[derive(Serialize, Deserialize)]
struct Named {
    sample: String,
    #[serde(default)]
    lap: Option<usize>,
    network: String,
    #[serde(flatten)]
    scores: BTreeMap<String, f64>,
    images: usize,
}

impl From<FeatureScores> for Named {
    fn from(scores: FeatureScores) -> Self {
        let FeatureScores { sample, lap, names, frechet, kernel, inception, images } = scores;
        let mut found = vec![(names.frechet[1], frechet), (names.kernel[1], kernel.mean), (KERNEL, kernel.deviation)];
        if let (Some([_, name]), Some(inception)) = (names.inception, inception) {
            found.extend([(name, inception.mean), (INCEPTION, inception.deviation)]);
        }
        let scores = found.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        Self { sample, lap, network: names.network.to_string(), scores, images }
    }
}

impl TryFrom<Named> for FeatureScores {
    type Error = String;

    fn try_from(named: Named) -> Result<Self, String> {
        let known = names().find(|names| names.network == named.network);
        let names = known.ok_or_else(|| format!("unknown network {}", named.network))?;
        let score = |name: &str| {
            let score = named.scores.get(name);
            score.copied().ok_or_else(|| format!("no {name} of {}", named.network))
        };
        let spread =
            |name: &str, deviation: &str| Ok::<_, String>(Spread { mean: score(name)?, deviation: score(deviation)? });
        Ok(Self {
            frechet: score(names.frechet[1])?,
            kernel: spread(names.kernel[1], KERNEL)?,
            inception: names.inception.map(|[_, name]| spread(name, INCEPTION)).transpose()?,
            sample: named.sample,
            lap: named.lap,
            names,
            images: named.images,
        })
    }
}

/// Scores images against a reference set in the features of several networks.
pub struct FeatureScorer<'a> {
    shape: ImageShape,
    kid: Kid,
    references: Vec<Reference<'a>>,
}

/// The reference set in the features of one network.
struct Reference<'a> {
    network: &'a dyn Network,
    features: Samples,
    frechet: Frechet,
}

impl<'a> FeatureScorer<'a> {
    /// Creates a scorer against the images `reference [n, d]` in [-2, 2], with n >= 4.
    pub fn new(networks: &'a [Box<dyn Network>], shape: ImageShape, reference: &Samples) -> Result<Self> {
        if reference.n() < 4 {
            bail!("feature distances need 4 or more images per set, found {}", reference.n());
        }
        let images = bytes(reference, shape)?;
        // Subsets have at most half of a small set, so that they differ.
        let kid = Kid { subset_size: Kid::default().subset_size.min(reference.n() / 2), ..Kid::default() };
        let references = networks.iter().map(|network| Reference::new(&**network, &images)).collect::<Result<_>>()?;
        Ok(Self { shape, kid, references })
    }

    /// Scores `images [n, d]` with each network. The set should be as large as the reference because the
    /// Fréchet distance depends on its size.
    pub fn score(&self, sample: &str, lap: Option<usize>, images: &Samples) -> Result<Vec<FeatureScores>> {
        let images = bytes(images, self.shape)?;
        self.references.iter().map(|reference| reference.score(sample, lap, &images, &self.kid)).collect()
    }
}

impl<'a> Reference<'a> {
    fn new(network: &'a dyn Network, images: &[Bytes]) -> Result<Self> {
        let features = Features::of(network, images)?.features;
        let frechet = Frechet::new(&Moments::of(&features)?.gaussian()?);
        Ok(Self { network, features, frechet })
    }

    fn score(&self, sample: &str, lap: Option<usize>, images: &[Bytes], kid: &Kid) -> Result<FeatureScores> {
        let Features { features, logits } = Features::of(self.network, images)?;
        let kid = kid.estimate(&self.features, &features)?;
        let inception = |logits: &Samples| {
            let (mean, deviation) = inception_score(logits, SPLITS.min(images.len()))?;
            Ok::<_, anyhow::Error>(Spread { mean, deviation })
        };
        Ok(FeatureScores {
            sample: sample.to_string(),
            lap,
            names: self.network.names(),
            frechet: self.frechet.distance(&Moments::of(&features)?.gaussian()?)?,
            kernel: Spread { mean: kid.mean, deviation: kid.std },
            inception: logits.as_ref().map(inception).transpose()?,
            images: images.len(),
        })
    }
}

/// Converts signals to 8-bit pictures.
pub fn bytes(signals: &Samples, shape: ImageShape) -> Result<Vec<Bytes>> {
    signals.rows().map(|row| Bytes::of(row, shape)).collect()
}

/// Returns `n` rows of `x` at even (0) or odd (1) indices, which splits one set into two disjoint sets. If
/// the set is too small to split, returns its first `n` rows.
pub fn half(x: &Samples, parity: usize, n: usize) -> Samples {
    match x.n() >= 2 * n {
        true => x.select(&(0..n).map(|i| 2 * i + parity).collect::<Vec<_>>()),
        false => x.slice(0..n.min(x.n())),
    }
}

/// Formats the scores as one table per network; `what` describes the images.
pub fn table(what: &str, rows: &[FeatureScores]) -> String {
    let mut networks: Vec<Names> = Vec::new();
    for row in rows {
        if !networks.contains(&row.names) {
            networks.push(row.names);
        }
    }
    networks.iter().map(|names| block(what, names, rows.iter().filter(|row| row.names == *names))).collect()
}

/// Formats the table of one network.
fn block<'a>(what: &str, names: &Names, rows: impl Iterator<Item = &'a FeatureScores>) -> String {
    let mut heads = vec![names.frechet[0], names.kernel[0], "+-"];
    heads.extend(names.inception.map(|[head, _]| [head, "+-"]).iter().flatten());
    let heads: String = heads.iter().map(|head| format!(" {head:>12}")).collect();
    let mut out = format!("{what:24}{heads} {:>7}\n", "images");
    for r in rows {
        let inception = r.inception.map(|s| format!(" {:>12.4} {:>12.4}", s.mean, s.deviation)).unwrap_or_default();
        let kernel = format!("{:>12.4e} {:>12.1e}", r.kernel.mean, r.kernel.deviation);
        out += &format!("{:24} {:>12.4} {kernel}{inception} {:>7}\n", r.sample, r.frechet, r.images);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::features::network::Outputs;
    use crate::eval::features::{dinov2, efficientnet_lite0};
    use burn::tensor::{Device, Tensor, TensorData};
    use diffem::metric::frechet_distance;

    #[test]
    fn halves_share_no_row() {
        let x = Samples::new((0..10).map(|i| i as f32).collect(), 1);
        assert_eq!(half(&x, 0, 4).as_slice(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(half(&x, 1, 5).as_slice(), [1.0, 3.0, 5.0, 7.0, 9.0]);
        assert_eq!(half(&x, 1, 6).as_slice(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    /// A network whose features, and logits if it has any, are the pixels.
    struct Pixels(Device, Names);

    impl Network for Pixels {
        fn names(&self) -> Names {
            self.1
        }

        fn outputs(&self, images: &[Bytes]) -> Outputs {
            let pixels: Vec<f32> = images.iter().flat_map(|image| image.planes.iter().map(|v| f32::from(*v))).collect();
            let shape = [images.len(), images[0].planes.len()];
            let features: Tensor<2> = Tensor::from_data(TensorData::new(pixels, shape), &self.0);
            Outputs { logits: self.1.inception.map(|_| features.clone()), features }
        }
    }

    /// Networks with the names of a network with classes and of one without.
    fn networks() -> Vec<Box<dyn Network>> {
        let device = crate::device::open("auto").unwrap().1;
        let network = |names| Box::new(Pixels(device.clone(), names)) as Box<dyn Network>;
        [efficientnet_lite0::NAMES, dinov2::NAMES].map(network).into()
    }

    /// n images of 2 x 2 pixels.
    fn images(n: usize, shift: f32) -> Samples {
        Samples::new((0..4 * n).map(|i| ((i * i) as f32 * 0.7).sin() + shift).collect(), 4)
    }

    #[test]
    fn every_network_scores_every_set_by_its_own_name() {
        let (networks, shape) = (networks(), ImageShape { channels: 1, height: 2, width: 2 });
        let scorer = FeatureScorer::new(&networks, shape, &images(9, 0.0)).unwrap();
        let [same, other] = [0.0, 0.5].map(|shift| scorer.score("s", None, &images(9, shift)).unwrap());
        let bytes = |x| {
            let pixels = bytes(&x, shape).unwrap().iter().flat_map(|b| b.planes.clone()).map(f32::from).collect();
            Samples::new(pixels, 4)
        };
        let expected = frechet_distance(&bytes(images(9, 0.0)), &bytes(images(9, 0.5))).unwrap();
        for i in 0..2 {
            assert!(same[i].frechet.abs() < 1e-6 * expected && (other[i].frechet / expected - 1.0).abs() < 1e-9);
            assert!(other[i].kernel.mean > same[i].kernel.mean);
        }
        let json = serde_json::to_value(&other).unwrap();
        assert_eq!(serde_json::from_value::<Vec<FeatureScores>>(json.clone()).unwrap(), other);
        assert_eq!(json[0]["fd_efflite0"], json[1]["fd_dinov2"]);
        assert_eq!((json[0]["fd_efflite0"].as_f64(), json[0]["images"].as_u64()), (Some(other[0].frechet), Some(9)));
        assert!(json[0]["is_efflite0"].is_f64() && json[1].get("is_deviation").is_none());
        let table = table("images", &[same, other].concat());
        assert_eq!(table.lines().filter(|line| line.starts_with("images")).count(), 2, "{table}");
        assert_eq!(table.lines().filter(|line| line.starts_with('s')).count(), 4, "{table}");
        assert!(FeatureScorer::new(&networks, shape, &images(3, 0.0)).is_err());
    }
}
