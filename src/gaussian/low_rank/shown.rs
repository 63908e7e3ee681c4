//! What the observations of a diagonal channel show about each coordinate.

use crate::channel::{Channel, LinearChannel};
use crate::error::{Error, Result};
use crate::observations::Observations;

/// Number of observations that one worker processes at a time.
pub(super) const SHARD: usize = 256;

/// What observation i shows: ỹ and its noise variance for each coordinate, `None` where it shows nothing.
pub(super) type Shown = Vec<Option<(f64, f64)>>;

/// The diagonal view of a channel.
pub(super) fn diagonal(channel: &dyn Channel) -> Result<&dyn LinearChannel> {
    channel
        .as_linear()
        .filter(|linear| linear.is_diagonal())
        .ok_or(Error::NotLinear("a low-rank Gaussian start (for masks and noise)"))
}

pub(super) fn shown(linear: &dyn LinearChannel, observations: &Observations, i: usize) -> Shown {
    let d = linear.signal_len();
    let (mut a, mut noise) = (vec![0.0; d], vec![0.0; d]);
    linear.write_diagonal(observations.operator(i), &mut a, &mut noise);
    let see = |j: usize| (a[j] != 0.0).then(|| (observations.y.row(i)[j] as f64 / a[j], noise[j] / (a[j] * a[j])));
    (0..d).map(see).collect()
}

/// Mean of the observed values of each coordinate; 0 where there are none.
pub(super) fn observed_means(linear: &dyn LinearChannel, observations: &Observations) -> Vec<f64> {
    let mut sums = vec![(0.0, 0usize); linear.signal_len()];
    for i in 0..observations.n() {
        for (sum, (y, _)) in
            sums.iter_mut().zip(shown(linear, observations, i)).filter_map(|(sum, s)| s.map(|s| (sum, s)))
        {
            *sum = (sum.0 + y, sum.1 + 1);
        }
    }
    sums.into_iter().map(|(sum, n)| sum / n.max(1) as f64).collect()
}
