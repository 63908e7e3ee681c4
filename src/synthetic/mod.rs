//! Synthetic data with a known distribution: signals on the paper's manifold or from another distribution,
//! their observations, and the clean signals that only the evaluation uses.
//!
//! Every signal is keyed by (seed, set, index), so the first rows do not depend on how many are drawn.

mod curve;

pub use curve::{Curve, Outline};

use crate::channel::Channel;
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::samples::Samples;

/// Which set is drawn; it is the step of the [`Purpose::Truth`] and [`Purpose::Observe`] streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Signals that are observed and trained on.
    Train = 0,
    /// First sample of the distribution for evaluation.
    First = 1,
    /// Second sample.
    Second = 2,
    /// Signals whose observations are never trained on.
    Test = 3,
    /// Third sample.
    Third = 4,
}

/// Distribution of signals: `draw(count, key, set)` returns `[count, d]`, with row i from the stream (i, set)
/// of `key`.
pub type Law<'a> = dyn Fn(usize, Key, usize) -> Samples + 'a;

/// Numbers of signals of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Signals that are observed and trained on.
    pub observed: usize,
    /// Signals in each of the three samples of the distribution.
    pub truth: usize,
    /// Signals that are observed but never trained on; 0 for none.
    pub test: usize,
}

/// Signals of a distribution, some of them observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The signals behind the observations, `[n, d]`.
    pub x: Samples,
    /// Observations to train on.
    pub observations: Observations,
    /// Three further independent samples of the distribution.
    pub u: [Samples; 3],
    /// Signals and observations that are never trained on.
    pub test: (Samples, Observations),
}

/// Draws signals from the distribution `law` and their observations through `channel`.
pub fn draw(law: &Law<'_>, counts: Counts, channel: &dyn Channel, seed: u64) -> Drawn {
    let (truth, observe) = (Key::new(seed, Purpose::Truth, 0), Key::new(seed, Purpose::Observe, 0));
    let x = law(counts.observed, truth, Set::Train as usize);
    let test = law(counts.test, truth, Set::Test as usize);
    let u = [Set::First, Set::Second, Set::Third].map(|set| law(counts.truth, truth, set as usize));
    let observations = Observations::simulate(channel, &x, observe, Set::Train as usize);
    let seen = Observations::simulate(channel, &test, observe, Set::Test as usize);
    Drawn { x, observations, u, test: (test, seen) }
}

/// The paper's manifold in R^`d`; the curve is a function of the seed.
pub fn manifold(d: usize, alpha: f64, seed: u64) -> Curve {
    let mut stream = Key::new(seed, Purpose::Truth, 1).stream(0, 0);
    Curve::draw(d, alpha, &mut || stream.uniform())
}

impl Curve {
    /// Draws `count` scaled points of the curve at z ~ U(0, 1), `[count, d]`.
    pub fn draw_points(&self, count: usize, key: Key, set: usize) -> Samples {
        let z: Vec<f64> = (0..count).map(|i| key.stream(i, set).uniform()).collect();
        self.samples(&z)
    }
}
