//! Makes or loads the observations that a configuration describes, and the truth if there is one. Corruption
//! is applied once, and training reads only the observations.

use crate::config::stages::check_known;
use crate::config::{Config, DataConfig};
use crate::data::digits::digits;
use crate::data::image_set::{ImageSet, ObservedSet, Opened, Sources};
use crate::data::layout::Rows;
use crate::data::mapped::scratch;
use crate::data::observations::{Expect, load_observations};
use crate::data::parts::Parts;
use crate::data::tensor_file::TensorFile;
use crate::resources::check_memory;
use anyhow::{Context, Result, bail, ensure};
use diffem::channel::Channel;
use diffem::gaussian::Gaussian;
use diffem::image::ImageShape;
use diffem::noise::{Key, Purpose};
use diffem::synthetic::{self, Counts, Curve, Law, Set};
use diffem::{Inspection, Observations, Samples};
use nalgebra::{DMatrix, DVector};
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

/// Clean signals that are kept for evaluation and never used in training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// The signals behind the observations, `[n, d]`.
    pub x: Option<Samples>,
    /// Three further independent samples of the signal's distribution: u1 and u2 of the Sinkhorn divergence,
    /// and a third one for its floor.
    pub u: Option<[Samples; 3]>,
    /// Signals and observations that are never trained on.
    pub test: Option<(Samples, Observations)>,
}

/// The observations of a run and its truth.
pub struct Dataset {
    /// Observations that the run trains on.
    pub observations: Observations,
    /// Truth for evaluation.
    pub truth: Truth,
    /// What is odd about observations that were just read.
    pub warnings: Vec<String>,
    /// True for observations that were read and inspected, not made here.
    pub read: bool,
    /// Name of the file of each observation, if each has a file of its own.
    pub names: Option<Vec<String>>,
}

impl Dataset {
    /// How many numbers a run of this dataset writes before its second lap: observations, truth, and the
    /// reconstructions of the start, of a lap and of a state within a lap.
    pub fn values_on_disk(&self, d: usize) -> usize {
        let values = |x: &Samples| x.n() * x.d();
        let seen = |o: &Observations| values(&o.y) + o.a.as_ref().map_or(0, values);
        let truth = self.truth.x.iter().chain(self.truth.u.iter().flatten()).map(values).sum::<usize>();
        let test = self.truth.test.iter().map(|(x, o)| values(x) + seen(o)).sum::<usize>();
        seen(&self.observations) + truth + test + 3 * self.observations.n() * d
    }
}

/// Number of points in each truth sample drawn for evaluation.
pub const TRUTH_POINTS: usize = 16_384;
/// Number of observations in the test set drawn for evaluation.
pub const TEST_POINTS: usize = 1024;

/// Bytes of signals that are corrupted in one piece.
const PIECE: usize = 32 << 20;

/// Makes or loads the observations. Observations of images are made piece by piece, and large tables are kept
/// in unnamed files in the directory `dir`.
pub fn make(config: &Config, channel: &dyn Channel, dir: &Path) -> Result<Dataset> {
    if !matches!(config.data, DataConfig::File { .. } | DataConfig::MaskedImages(_)) {
        check_known(&config.channel, "channel")?;
    }
    match &config.data {
        DataConfig::File { path, .. } => from_file(path, config, channel),
        DataConfig::Digits { n } => Ok(of_digits(*n, config, channel)),
        DataConfig::Gaussian { n, std, correlation } => {
            check_memory("data.n", *n, channel)?;
            let law = equicorrelated(std, *correlation)?;
            let root = law.root();
            Ok(drawn(*n, config, channel, &|count, key, set| {
                let rows = (0..count).flat_map(|i| {
                    law.draw(&root, &mut key.stream(i, set)).iter().map(|&v| v as f32).collect::<Vec<_>>()
                });
                Samples::new(rows.collect(), law.d())
            }))
        }
        DataConfig::Manifold { n, d, alpha } => {
            check_memory("data.n", *n, channel)?;
            Ok(on_curve(*n, &synthetic::manifold(*d, *alpha, config.seed), config, channel))
        }
        DataConfig::Curve { n, shape } => {
            check_memory("data.n", *n, channel)?;
            Ok(on_curve(*n, &Curve::outline(*shape), config, channel))
        }
        data => {
            let images = data.images().context("data: expected images")?;
            images.check_channel(channel)?;
            let (n, test) = (images.n(), images.test().unwrap_or(0));
            match images.open(test > 0)? {
                Opened::Clean(sources) => of_images(&sources, n, test, config, channel, dir),
                Opened::Observed(set) => of_observed(&*set, n, config, channel, dir),
            }
        }
    }
}

/// Number of observations that [`make`] returns. Image data that are not there are no error if the
/// configuration says how many of them it uses.
pub fn count(config: &Config) -> Result<usize> {
    match &config.data {
        DataConfig::File { path, .. } => Ok(TensorFile::open(path, "y")?.rows_of("y")?.0),
        DataConfig::Digits { n }
        | DataConfig::Gaussian { n, .. }
        | DataConfig::Manifold { n, .. }
        | DataConfig::Curve { n, .. } => Ok(*n),
        data => {
            let images = data.images().context("data: expected images")?;
            let (n, test) = (images.n(), images.test().unwrap_or(0));
            if n > 0 && !images.path().exists() {
                return Ok(n);
            }
            match images.open(test > 0)? {
                Opened::Clean(sources) => counted(n, if sources.test.is_some() { 0 } else { test }, &*sources.train),
                Opened::Observed(set) => counted_observed(n, &*set),
            }
        }
    }
}

/// The Gaussian N(0, S) with S_ij = ρ s_i s_j off the diagonal and S_ii = s_i².
pub fn equicorrelated(std: &[f64], correlation: f64) -> Result<Gaussian> {
    let d = std.len();
    let entry = |i: usize, j: usize| std[i] * std[j] * if i == j { 1.0 } else { correlation };
    Ok(Gaussian::new(DVector::zeros(d), DMatrix::from_fn(d, d, entry))?)
}

/// Signals drawn from a distribution, and their observations.
fn drawn(n: usize, config: &Config, channel: &dyn Channel, law: &Law<'_>) -> Dataset {
    let counts = Counts { observed: n, truth: TRUTH_POINTS, test: TEST_POINTS };
    let drawn = synthetic::draw(law, counts, channel, config.seed);
    Dataset {
        observations: drawn.observations,
        truth: Truth { x: Some(drawn.x), u: Some(drawn.u), test: Some(drawn.test) },
        warnings: Vec::new(),
        read: false,
        names: None,
    }
}

fn on_curve(n: usize, curve: &Curve, config: &Config, channel: &dyn Channel) -> Dataset {
    drawn(n, config, channel, &|count, key, set| curve.draw_points(count, key, set))
}

/// The first `n` digits in a shuffled order are observed, and the others are kept for testing.
fn of_digits(n: usize, config: &Config, channel: &dyn Channel) -> Dataset {
    let pixels = digits();
    let order = Key::new(config.seed, Purpose::Truth, 0).stream(0, 0).permutation(pixels.n());
    let (x, test) = (pixels.select(&order[..n]), pixels.select(&order[n..]));
    let observe = Key::new(config.seed, Purpose::Observe, 0);
    let observations = Observations::simulate(channel, &x, observe, Set::Train as usize);
    let seen = Observations::simulate(channel, &test, observe, Set::Test as usize);
    let truth = Truth { x: Some(x), u: None, test: Some((test, seen)) };
    Dataset { observations, truth, warnings: Vec::new(), read: false, names: None }
}

/// Simulates the observations of the test signals `x`.
pub fn observe_test(config: &Config, channel: &dyn Channel, x: &Samples) -> Observations {
    Observations::simulate(channel, x, Key::new(config.seed, Purpose::Observe, 0), Set::Test as usize)
}

/// The first images in a shuffled order are observed. Others are kept for testing, from the test set if there
/// is one.
fn of_images(
    sources: &Sources,
    n: usize,
    test: usize,
    config: &Config,
    channel: &dyn Channel,
    dir: &Path,
) -> Result<Dataset> {
    let truth = Key::new(config.seed, Purpose::Truth, 0);
    let order = |set: &dyn ImageSet, step: Set| truth.stream(0, step as usize).permutation(set.len());
    let train = &*sources.train;
    let kept = if sources.test.is_some() { 0 } else { test };
    let n = counted(n, kept, train)?;
    let places = order(train, Set::Train);
    let held = match &sources.test {
        _ if test == 0 => None,
        None => Some(train.read(&places[n..n + test])?),
        Some(set) => {
            let (all, origin) = (set.len(), set.origin());
            ensure!(test <= all, "data.test: expected at most the {all} images of {origin}, found {test}");
            Some(set.read(&order(&**set, Set::Test)[..test])?)
        }
    };
    let observe = Key::new(config.seed, Purpose::Observe, 0);
    let mut x = scratch(dir, n, channel.signal_len())?;
    let observations = pieces(channel, dir, n, &mut |rows| {
        let part = train.read(&places[rows.clone()])?;
        x.put(rows.start, &part);
        Ok(Observations::simulate_from(channel, &part, rows.start, observe, Set::Train as usize))
    })?;
    let seen = |x| {
        let seen = Observations::simulate(channel, &x, observe, Set::Test as usize);
        (x, seen)
    };
    let names = train.names().map(|names| places[..n].iter().map(|place| names[*place].clone()).collect());
    let truth = Truth { x: Some(x), u: None, test: held.map(seen) };
    Ok(Dataset { observations, truth, warnings: Vec::new(), read: false, names })
}

/// Makes `n` observations piece by piece; `part` makes those of a range of rows.
fn pieces(
    channel: &dyn Channel,
    dir: &Path,
    n: usize,
    part: &mut dyn FnMut(Range<usize>) -> Result<Observations>,
) -> Result<Observations> {
    let (m, k) = (channel.observation_len(), channel.operator_len());
    let mut y = scratch(dir, n, m)?;
    let mut a = (k > 0).then(|| scratch(dir, n, k)).transpose()?;
    let size = (PIECE / size_of::<f32>() / channel.signal_len()).max(1);
    for start in (0..n).step_by(size) {
        let seen = part(start..n.min(start + size))?;
        y.put(start, &seen.y);
        a.iter_mut().zip(&seen.a).for_each(|(a, part)| a.put(start, part));
    }
    Ok(Observations { y, a })
}

/// Number of images in a set that are observed if `kept` of them are held back; `n = 0` takes all others.
fn counted(n: usize, kept: usize, set: &dyn ImageSet) -> Result<usize> {
    let (all, origin) = (set.len(), set.origin());
    let most = all.saturating_sub(kept);
    let held = if kept > 0 { format!(" less data.test = {kept}") } else { String::new() };
    ensure!(most >= 2, "{origin}: expected 2 or more images to observe, found {all}{held}");
    ensure!(n <= most, "data.n: expected at most {most} (the {all} images of {origin}{held}), found {n}");
    Ok(if n == 0 { most } else { n })
}

/// Number of pictures that are used; `n = 0` takes all.
fn counted_observed(n: usize, set: &dyn ObservedSet) -> Result<usize> {
    let all = set.len();
    ensure!(all >= 2, "data.path: expected 2 or more pictures to train on, found {all}");
    ensure!(n <= all, "data.n: expected at most the {all} pictures in the folder, found {n}");
    Ok(if n == 0 { all } else { n })
}

/// Reads images that are observations already, in the order of their names.
fn of_observed(set: &dyn ObservedSet, n: usize, config: &Config, channel: &dyn Channel, dir: &Path) -> Result<Dataset> {
    let n = counted_observed(n, set)?;
    let order = Key::new(config.seed, Purpose::Truth, 0).stream(0, Set::Train as usize).permutation(set.len());
    let mut places = order[..n].to_vec();
    places.sort_unstable();
    let seen = pieces(channel, dir, n, &mut |rows| set.read(&places[rows]))?;
    let names = set.names();
    let names = places.iter().map(|place| names[*place].clone()).collect();
    let dataset = inspected(seen, Truth::default(), config, channel, &"data.path")?;
    Ok(Dataset { names: Some(names), ..dataset })
}

/// The rows that a file of observations must have for this channel and for signals of this `image` shape.
pub fn expected(channel: &dyn Channel, image: Option<ImageShape>) -> Expect {
    let (d, m, k) = (channel.signal_len(), channel.observation_len(), channel.operator_len());
    let seen = channel.observation_image().or_else(|| image.and_then(|shape| shape_of_seen(shape, m)));
    let a = Rows { len: Some(k), shape: channel.operator_shape(), image };
    let a = if k == d { image.map_or(a, Rows::image) } else { a };
    let y = seen.map_or(Rows::of(Some(m)), Rows::image);
    // One mask, of all values or of the pixels that several colors share.
    let masked = k > 0 && matches!(&channel.masks()[..], [mask] if *mask == (0..k)) && m.is_multiple_of(k);
    let parts = parts(channel, image);
    Expect { y, a: (k > 0).then_some(a), x: signals(d, image), parts, masked }
}

/// The parts of the parameters with names of their own, and the rows of the others: a mask where they are as many as pixels.
fn parts(channel: &dyn Channel, image: Option<ImageShape>) -> Parts {
    let named = channel.operator_parts();
    let len = channel.operator_len() - named.iter().map(|part| part.range.len()).sum::<usize>();
    let plane = image.filter(|image| image.pixels() == len).map(|image| vec![image.height, image.width]);
    Parts { named, rest: Rows { len: Some(len), shape: plane.unwrap_or_else(|| vec![len]), image } }
}

/// The rows of signals of length `d`.
pub fn signals(d: usize, image: Option<ImageShape>) -> Rows {
    image.map_or(Rows::of(Some(d)), Rows::image)
}

/// What observations and signals of this configuration are checked for.
pub fn inspection(config: &Config, training: bool) -> Inspection {
    Inspection { training, image: config.image_shape(), range: config.conditioning.range }
}

/// Shape of an observation of `m` values of images of this `shape`: the same, or smaller by a whole factor.
fn shape_of_seen(shape: ImageShape, m: usize) -> Option<ImageShape> {
    let ImageShape { channels, height, width } = shape;
    let smaller = |factor: usize| ImageShape { channels, height: height / factor, width: width / factor };
    let whole = |factor: &usize| height.is_multiple_of(*factor) && width.is_multiple_of(*factor);
    (1..=height.min(width)).filter(whole).map(smaller).find(|seen| seen.len() == m)
}

/// Reads your own observations, and returns what is odd about them.
fn from_file(path: &Path, config: &Config, channel: &dyn Channel) -> Result<Dataset> {
    let loaded = load_observations(path, &expected(channel, config.image_shape()))?;
    if loaded.y.n() < 2 {
        bail!("{}: expected 2 or more observations, found {}", path.display(), loaded.y.n());
    }
    let truth = Truth { x: loaded.truth, u: None, test: None };
    inspected(Observations { y: loaded.y, a: loaded.a }, truth, config, channel, &path.display())
}

/// Reads and checks your own observations before any work; returns what is odd about them.
pub fn check_file(config: &Config, channel: &dyn Channel) -> Result<Vec<String>> {
    match &config.data {
        DataConfig::File { path, .. } => Ok(from_file(path, config, channel)?.warnings),
        _ => Ok(Vec::new()),
    }
}

/// Checks observations that were not made here but come from `origin`.
fn inspected(
    observations: Observations,
    truth: Truth,
    config: &Config,
    channel: &dyn Channel,
    origin: &dyn Display,
) -> Result<Dataset> {
    let inspection = inspection(config, true);
    let (observations, mut warnings) =
        observations.inspected(channel, &inspection).with_context(|| origin.to_string())?;
    warnings.extend(truth.x.as_ref().and_then(|x| inspection.of_signals(x)));
    let warnings = warnings.iter().map(|w| format!("{origin}: {w}")).collect();
    Ok(Dataset { observations, truth, warnings, read: true, names: None })
}
