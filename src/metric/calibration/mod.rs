//! Is the posterior as wide as its errors? Draws x' ~ q(. | y_i) are scored against the
//! signal x_i behind y_i.
//!
//! | score | for a perfect posterior | source |
//! |---|---|---|
//! | [`Calibration::ranks`], of x among the draws | uniform | Talts et al. 2018, arXiv 1804.06788 |
//! | [`Calibration::coverage`] of central intervals | the level | |
//! | [`Calibration::tarp`], expected coverage of balls | the level | Lemos et al. 2023, arXiv 2302.03026 |
//! | [`Calibration::crps`], [`Calibration::energy_score`] | smallest | Gneiting and Raftery 2007; "fair": Ferro 2014 |
//! | [`Calibration::spread`] compared with [`Calibration::skill`] | equal | Fortin et al. 2014 |
//!
//! Ranks and intervals are computed value by value, balls in the whole space. A rank among L draws is an
//! integer; adding a uniform random number makes it continuous and the test exact for any L.

mod band;
mod scores;

pub(crate) use scores::energy_score;

pub use band::Curve;

use super::{MetricError, check_rows};
use crate::noise::{Key, Purpose};
use crate::{Samples, parallel};
use band::{Bands, curve, kolmogorov_smirnov};

/// Levels at which coverage is reported.
pub const LEVELS: [f64; 19] =
    [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
/// Maximum number of bars in the rank histogram.
const BARS: usize = 20;

/// Calibration scores of the draws for n signals of d values.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Relative frequency of the ranks in equal bars, over all values; 1 is uniform.
    pub ranks: Curve,
    /// Smallest p-value of Kolmogorov-Smirnov tests of the ranks of each value, times their number
    /// (Bonferroni), at most 1.
    pub ranks_p: f64,
    /// Fraction of the values inside their central interval of probability [`LEVELS`].
    pub coverage: Curve,
    /// Fraction of the signals inside a ball around a random point that holds [`LEVELS`] of the draws.
    pub tarp: Curve,
    /// Mean over values of E|x' - x| - E|x' - x''|/2, unbiased in the number of draws; units of the signal.
    pub crps: f64,
    /// The same with Euclidean distances between whole signals.
    pub energy_score: f64,
    /// Root mean square deviation of the draws from their mean, corrected for their number.
    pub spread: f64,
    /// Root mean square error of the mean of the draws, corrected for their number.
    pub skill: f64,
    /// (spread, skill) of tenths of all values in ascending order of spread.
    pub spread_skill: Vec<(f64, f64)>,
    /// Number of signals n.
    pub signals: usize,
    /// Number of draws per signal, L.
    pub draws: usize,
}

impl Calibration {
    /// Scores `draws [n L, d]` (rows i L to (i + 1) L belong to signal i) against the signals `x [n, d]`;
    /// L >= 2, n >= 2. The `seed` determines the randomness of ranks, reference points and bootstrap.
    ///
    /// # Errors
    /// Sizes that do not fit, a value that is not finite.
    pub fn of(x: &Samples, draws: &Samples, seed: u64) -> Result<Self, MetricError> {
        check_rows("x", x, 2)?;
        check_rows("draws", draws, 2 * x.n())?;
        if draws.d() != x.d() {
            return Err(MetricError::Dimension { set: "draws", expected: x.d(), found: draws.d() });
        }
        if !draws.n().is_multiple_of(x.n()) {
            let needed = draws.n().next_multiple_of(x.n());
            return Err(MetricError::TooFew { set: "draws", found: draws.n(), needed });
        }
        let (n, l) = (x.n(), draws.n() / x.n());
        let of = |i: usize| draws.as_slice()[i * l * x.d()..(i + 1) * l * x.d()].chunks_exact(x.d());
        let key = Key::new(seed, Purpose::Calibrate, 0);
        let ranks = parallel::map(n, |i| ranks(x.row(i), of(i), key, i));
        let balls = parallel::map(n, |i| ball(x.row(i), of(i), reference(draws, l, key, i), key, i));
        let rows = parallel::map(n, |i| scores::row(x.row(i), &of(i).collect::<Vec<_>>()));
        let bands = Bands::new(n, Key::new(seed, Purpose::Calibrate, 1));
        let bars = BARS.min(l + 1);
        let (spread, skill, spread_skill) = scores::spread_skill(&rows, l);
        Ok(Self {
            ranks: curve(
                &bands,
                &histograms(&ranks, bars),
                vec![1.0; bars],
                (0..bars).map(|b| middle(b, bars)).collect(),
            ),
            ranks_p: least_p(&ranks),
            coverage: curve(&bands, &inside(&ranks), LEVELS.to_vec(), LEVELS.to_vec()),
            tarp: curve(&bands, &below(&balls), LEVELS.to_vec(), LEVELS.to_vec()),
            crps: rows.iter().map(|row| row.crps).sum::<f64>() / n as f64,
            energy_score: rows.iter().map(|row| row.energy_score).sum::<f64>() / n as f64,
            spread,
            skill,
            spread_skill,
            signals: n,
            draws: l,
        })
    }

    /// True when ranks, coverage and balls all stay within their simultaneous 95 % bands.
    pub fn is_calibrated(&self) -> bool {
        [&self.ranks, &self.coverage, &self.tarp].iter().all(|curve| curve.within())
    }
}

fn middle(bar: usize, bars: usize) -> f64 {
    (bar as f64 + 0.5) / bars as f64
}

/// (rank + U)/(L + 1) of each value of `x` among its draws: uniform on [0, 1) if x is one more draw.
fn ranks<'a>(x: &[f32], draws: impl Iterator<Item = &'a [f32]>, key: Key, i: usize) -> Vec<f64> {
    let (mut stream, mut below, mut l) = (key.stream(i, 0), vec![0.0; x.len()], 0.0);
    for draw in draws {
        l += 1.0;
        below.iter_mut().zip(draw).zip(x).for_each(|((count, v), x)| *count += f64::from(u8::from(v < x)));
    }
    below.iter().map(|count| (count + stream.uniform()) / (l + 1.0)).collect()
}

/// A point that does not depend on x_i: a draw for another signal.
fn reference(draws: &Samples, l: usize, key: Key, i: usize) -> &[f32] {
    let (mut stream, n) = (key.stream(i, 1), draws.n() / l);
    let other = (i + 1 + stream.below(n - 1)) % n;
    draws.row(other * l + stream.below(l))
}

/// Randomized rank of the distance from the reference to `x` among those to the draws.
fn ball<'a>(x: &[f32], draws: impl Iterator<Item = &'a [f32]>, from: &[f32], key: Key, i: usize) -> f64 {
    let square = |v: &[f32]| v.iter().zip(from).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let (radius, mut nearer, mut l) = (square(x), 0.0, 0.0);
    for draw in draws {
        l += 1.0;
        nearer += f64::from(u8::from(square(draw) < radius));
    }
    (nearer + key.stream(i, 2).uniform()) / (l + 1.0)
}

/// For each signal: the relative frequency of its values in each bar.
fn histograms(ranks: &[Vec<f64>], bars: usize) -> Vec<Vec<f64>> {
    let histogram = |row: &Vec<f64>| {
        let mut counts = vec![0.0; bars];
        row.iter().for_each(|u| counts[((u * bars as f64) as usize).min(bars - 1)] += bars as f64 / row.len() as f64);
        counts
    };
    ranks.iter().map(histogram).collect()
}

/// For each signal: the fraction of its values inside the central interval of each level.
fn inside(ranks: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let share = |row: &Vec<f64>, level: f64| {
        row.iter().filter(|u| (*u - 0.5).abs() * 2.0 <= level).count() as f64 / row.len() as f64
    };
    ranks.iter().map(|row| LEVELS.iter().map(|level| share(row, *level)).collect()).collect()
}

/// For each signal: 1 at the levels whose ball contains it.
fn below(balls: &[f64]) -> Vec<Vec<f64>> {
    balls.iter().map(|u| LEVELS.iter().map(|level| f64::from(u8::from(u <= level))).collect()).collect()
}

fn least_p(ranks: &[Vec<f64>]) -> f64 {
    let d = ranks[0].len();
    let p = parallel::map(d, |j| kolmogorov_smirnov(ranks.iter().map(|row| row[j]).collect()));
    (p.into_iter().fold(1.0, f64::min) * d as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws from N(0, spread²) + shift for n signals N(0, 1) of d values.
    fn gaussian(n: usize, d: usize, l: usize, spread: f32, shift: f32) -> Calibration {
        let (mut x, mut draws) = (Samples::zeros(n, d), Samples::zeros(n * l, d));
        Key::new(1, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
        Key::new(2, Purpose::Truth, 0).stream(0, 0).fill_normal(draws.as_mut_slice());
        draws.as_mut_slice().iter_mut().for_each(|v| *v = spread * *v + shift);
        Calibration::of(&x, &draws, 0).unwrap()
    }

    #[test]
    fn exact_draws_are_calibrated() {
        let found = gaussian(1000, 3, 40, 1.0, 0.0);
        assert!(found.is_calibrated(), "{found:?}");
        assert!(found.ranks_p > 0.01);
        assert!((found.spread / found.skill - 1.0).abs() < 0.03, "{} {}", found.spread, found.skill);
        // E|x' - x| - E|x' - x''|/2 = 1/√π; in three dimensions E|x' - x''|/2 with |x' - x''| ~ √2 χ₃:
        // √2 √(8/π)/2 = 2/√π.
        let root = std::f64::consts::PI.sqrt();
        assert!((found.crps - 1.0 / root).abs() < 0.02, "{}", found.crps);
        assert!((found.energy_score - 2.0 / root).abs() < 0.03, "{}", found.energy_score);
    }

    #[test]
    fn overconfident_timid_and_biased_draws_are_caught() {
        for (spread, shift, what) in [(0.7, 0.0, "narrow"), (1.4, 0.0, "wide"), (1.0, 0.3, "biased")] {
            let found = gaussian(500, 3, 40, spread, shift);
            assert!(!found.is_calibrated(), "{what}");
            assert!(found.ranks_p < 0.01, "{what}: {}", found.ranks_p);
        }
        let narrow = gaussian(500, 3, 40, 0.7, 0.0);
        assert!(narrow.coverage.values[17] < 0.85 && narrow.spread < 0.8 * narrow.skill);
        assert!(gaussian(500, 3, 40, 1.4, 0.0).coverage.values[9] > 0.6);
    }

    #[test]
    fn scores_do_not_depend_on_the_number_of_draws() {
        let (few, many) = (gaussian(4000, 1, 3, 1.0, 0.0), gaussian(4000, 1, 100, 1.0, 0.0));
        assert!((few.crps - many.crps).abs() < 0.03 && (few.spread - many.spread).abs() < 0.03, "{few:?}");
        assert!((few.skill - many.skill).abs() < 0.03, "{} {}", few.skill, many.skill);
    }

    /// The band is a 95 % band: about one in twenty calibrated sets falls outside.
    #[test]
    fn the_band_holds_its_level() {
        let outside = parallel::map(200, |i| {
            let (mut x, mut draws) = (Samples::zeros(200, 2), Samples::zeros(200 * 9, 2));
            Key::new(i as u64, Purpose::Truth, 0).stream(0, 0).fill_normal(x.as_mut_slice());
            Key::new(i as u64, Purpose::Truth, 1).stream(0, 0).fill_normal(draws.as_mut_slice());
            !Calibration::of(&x, &draws, i as u64).unwrap().coverage.within()
        });
        let outside = outside.into_iter().filter(|o| *o).count();
        assert!((1..=24).contains(&outside), "{outside} of 200");
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let (x, draws) = (Samples::zeros(3, 2), Samples::zeros(7, 2));
        assert!(Calibration::of(&x, &draws, 0).unwrap_err().to_string().contains("at least 9"));
        assert!(Calibration::of(&x, &Samples::zeros(6, 3), 0).unwrap_err().to_string().contains("3 values"));
    }
}
