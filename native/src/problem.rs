//! From a configuration to the observations, and the truth where there is one. Corruption is applied once; training
//! reads the observations only.

use crate::config::{Config, DataConfig};
use crate::data::digits::digits;
use crate::data::manifold::Curve;
use crate::data::observations::{Expect, load_observations};
use anyhow::{Context, Result};
use diffem::channel::Channel;
use diffem::gaussian::Gaussian;
use diffem::noise::{Key, Purpose};
use diffem::{Observations, Samples};
use nalgebra::{DMatrix, DVector};
use std::path::Path;

/// Steps of [`Purpose::Truth`] and [`Purpose::Observe`] streams: which set is drawn.
#[derive(Clone, Copy)]
enum Set {
    Train = 0,
    First = 1,
    Second = 2,
    Test = 3,
    Third = 4,
}

/// Clean signals kept for evaluation; never shown to training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// The signals behind the observations, `[n, d]`.
    pub x: Option<Samples>,
    /// Two further independent samples of the signal's law (u1, u2 of the Sinkhorn divergence), and a third for floors.
    pub u: Option<[Samples; 3]>,
    /// Signals and observations that are never trained on.
    pub test: Option<(Samples, Observations)>,
}

/// The observations of a run and its truth.
pub struct Problem {
    /// What is trained on.
    pub observations: Observations,
    /// For evaluation.
    pub truth: Truth,
}

/// Points of each truth sample that is drawn for evaluation.
pub const TRUTH_POINTS: usize = 16_384;
/// Observations of the test set that is drawn for evaluation.
const TEST_POINTS: usize = 1024;

/// Makes or loads the observations.
pub fn make(config: &Config, channel: &dyn Channel) -> Result<Problem> {
    match &config.data {
        DataConfig::File { path, .. } => from_file(Path::new(path), channel),
        DataConfig::Digits { n } => Ok(of_digits(*n, config, channel)),
        DataConfig::Gaussian { n, std, correlation } => {
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
            let mut stream = Key::new(config.seed, Purpose::Truth, 1).stream(0, 0);
            let curve = Curve::draw(*d, *alpha, &mut || stream.uniform());
            Ok(drawn(*n, config, channel, &|count, key, set| {
                let z: Vec<f64> = (0..count).map(|i| key.stream(i, set).uniform()).collect();
                curve.samples(&z)
            }))
        }
    }
}

/// N(0, S), S_ij = ρ s_i s_j off the diagonal.
pub fn equicorrelated(std: &[f64], correlation: f64) -> Result<Gaussian> {
    let d = std.len();
    let entry = |i: usize, j: usize| std[i] * std[j] * if i == j { 1.0 } else { correlation };
    Ok(Gaussian::new(DVector::zeros(d), DMatrix::from_fn(d, d, entry))?)
}

/// Signals from `draw(count, key, set)`, and their observations.
fn drawn(n: usize, config: &Config, channel: &dyn Channel, draw: &dyn Fn(usize, Key, usize) -> Samples) -> Problem {
    let (truth, observe) = (Key::new(config.seed, Purpose::Truth, 0), Key::new(config.seed, Purpose::Observe, 0));
    let x = draw(n, truth, Set::Train as usize);
    let test = draw(TEST_POINTS, truth, Set::Test as usize);
    let u = [Set::First, Set::Second, Set::Third].map(|set| draw(TRUTH_POINTS, truth, set as usize));
    let observations = Observations::simulate(channel, &x, observe, Set::Train as usize);
    let seen = Observations::simulate(channel, &test, observe, Set::Test as usize);
    Problem { observations, truth: Truth { x: Some(x), u: Some(u), test: Some((test, seen)) } }
}

/// The first `n` digits of a shuffled order are observed, the others kept for testing.
fn of_digits(n: usize, config: &Config, channel: &dyn Channel) -> Problem {
    let pixels = digits();
    let order = Key::new(config.seed, Purpose::Truth, 0).stream(0, 0).permutation(pixels.n());
    let (x, test) = (pixels.select(&order[..n]), pixels.select(&order[n..]));
    let observe = Key::new(config.seed, Purpose::Observe, 0);
    let observations = Observations::simulate(channel, &x, observe, Set::Train as usize);
    let seen = Observations::simulate(channel, &test, observe, Set::Test as usize);
    Problem { observations, truth: Truth { x: Some(x), u: None, test: Some((test, seen)) } }
}

/// What a file of observations must look like for this channel.
pub fn expected(channel: &dyn Channel) -> Expect {
    let k = channel.operator_len();
    Expect {
        m: Some(channel.observation_len()),
        a_shape: (k > 0).then(|| channel.operator_shape()),
        d: Some(channel.signal_len()),
    }
}

fn from_file(path: &Path, channel: &dyn Channel) -> Result<Problem> {
    let loaded = load_observations(path, &expected(channel))?;
    if loaded.y.n() < 2 {
        anyhow::bail!("{}: expected 2 or more observations, found {}", path.display(), loaded.y.n());
    }
    let observations = Observations::new(channel, loaded.y, loaded.a).with_context(|| path.display().to_string())?;
    Ok(Problem { observations, truth: Truth { x: loaded.truth, u: None, test: None } })
}
