//! What observations hold, in numbers.

use super::inspection::Inspection;
use super::noise::Noise;
use super::repeated::Repeated;
use super::tally::Tally;
use super::told::{Y, first_of};
use crate::channel::Channel;
use crate::error::Warning;
use crate::samples::Samples;

/// Rows that show a value from which it is no chance that it never changes.
const MIN_ROWS: usize = 8;

/// What observations hold, in numbers. A value is a column of y.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Survey {
    /// Number of numbers in y that are seen.
    pub seen: usize,
    /// Share of the numbers in y that are missing, in [0, 1].
    pub missing: f64,
    /// The values that are missing in the fewest and in the most rows, each with the share of these rows.
    pub missing_by_value: [(usize, f64); 2],
    /// Least and greatest number of values that a row shows.
    pub shown: [usize; 2],
    /// Mean of what is seen.
    pub mean: f64,
    /// Standard deviation of what is seen.
    pub std: f64,
    /// Least and greatest of what is seen.
    pub range: [f32; 2],
    /// The first value that is the same in all rows that show it, at least 8, and how many there are.
    pub constant: Option<(usize, usize)>,
    /// Rows that occur more than once.
    pub repeated: Option<Repeated>,
    /// The noise, where the channel is linear.
    pub noise: Option<Noise>,
    /// What the first constant value is, where constant values are odd.
    constant_at: Option<f32>,
}

impl Survey {
    /// The survey of observations (y, a) that `tally` counted.
    pub(super) fn of_tally(
        channel: &dyn Channel,
        tally: &Tally,
        (y, a): (&Samples, Option<&Samples>),
        inspection: &Inspection,
    ) -> Self {
        let (n, columns) = (y.n(), &tally.columns);
        let share = |j: usize| (j, 1.0 - columns[j].count as f64 / n as f64);
        let fewest = (0..y.d()).rev().max_by_key(|j| columns[*j].count).unwrap_or(0);
        let most = (0..y.d()).min_by_key(|j| columns[*j].count).unwrap_or(0);
        let is_constant = |j: &usize| columns[*j].count >= MIN_ROWS && columns[*j].is_constant();
        let constant: Vec<usize> = (0..y.d()).filter(is_constant).collect();
        let first = constant.first().copied();
        // The margins of images and of what is measured of them are often empty.
        let odd = inspection.image.is_none() && channel.as_linear().is_none_or(|linear| linear.is_diagonal());
        Self {
            seen: tally.seen.count,
            missing: 1.0 - tally.seen.count as f64 / (n * y.d()) as f64,
            missing_by_value: [share(fewest), share(most)],
            shown: tally.shown,
            mean: tally.seen.mean(),
            std: tally.seen.std(),
            range: [tally.seen.least, tally.seen.greatest],
            constant: first.map(|first| (first, constant.len())),
            repeated: Repeated::find(y, a),
            noise: Noise::of(channel, tally, (y, a), inspection),
            constant_at: first.filter(|_| odd).map(|first| columns[first].least + 0.0), // Not -0.
        }
    }

    /// What is odd about these numbers, although it may be right.
    pub fn warnings(&self) -> Vec<Warning> {
        let constant = self.constant.zip(self.constant_at).map(|((j, count), v)| {
            let others = first_of(count);
            let message =
                format!("value {j}{others} is {v} in every row that shows it: it has nothing to learn, leave it out");
            Warning { what: Y, message }
        });
        let repeated = self.repeated.as_ref().and_then(Repeated::warning);
        let noise = self.noise.as_ref().and_then(Noise::warning);
        [noise, constant, repeated].into_iter().flatten().collect()
    }
}
