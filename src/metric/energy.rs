//! Energy distance (Székely and Rizzo, "Energy statistics", 2013).
//!
//! ```text
//! ED(u, v) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|,   X, X' ~ u,   Y, Y' ~ v
//! ```
//!
//! It is estimated by its U-statistic: a point is never paired with itself, so the estimate is unbiased (and
//! can be slightly below zero where the two distributions agree).

use std::ops::Range;

use super::{MetricError, check_pair, tiles};
use crate::{Samples, parallel};
use diffem_kernels::clouds::{TILE, Tiles, sum_of_distances};

/// The U-statistic of ED between `u [n, d]` and `v [m, d]`, n, m >= 2, in units of the samples. It takes time
/// (n + m)² / 2 and memory n + m.
///
/// # Errors
/// Fewer than two rows, rows of different lengths, a value that is not finite.
pub fn energy_distance(u: &Samples, v: &Samples) -> Result<f64, MetricError> {
    check_pair(u, v, 2)?;
    let (u, v) = (tiles(u, 1.0), tiles(v, 1.0));
    let across = total(&u, &v, |_| 0..v.count()) / (u.n() as f64 * v.n() as f64);
    Ok(2.0 * across - mean_within(&u) - mean_within(&v))
}

/// The mean distance between two different points of `u`. Pairs of tiles are symmetric: those on and above
/// the diagonal count twice, minus those on it once.
fn mean_within(u: &Tiles) -> f64 {
    let upper = total(u, u, |block| block..u.count());
    let diagonal = total(u, u, |block| block..block + 1);
    (2.0 * upper - diagonal) / (u.n() as f64 * (u.n() - 1) as f64)
}

/// Σ |x - y| over the points x of every tile `block` of `rows` and y of the tiles
/// `partners(block)` of `columns`.
fn total(rows: &Tiles, columns: &Tiles, partners: impl Fn(usize) -> Range<usize> + Sync) -> f64 {
    let weights = columns.padded(|_| 1.0, 0.0);
    let mut sums = vec![0.0; rows.count()];
    parallel::for_each_chunk_mut(&mut sums, 1, |block, sum| {
        let points = block * TILE..rows.n().min((block + 1) * TILE);
        sum[0] = sum_of_distances(rows, points, columns, partners(block), &weights);
    });
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, at: impl Fn(usize) -> f32) -> Samples {
        Samples::new((0..n).map(at).collect(), 1)
    }

    /// Pseudo-random numbers in [0, 1), from a multiplicative hash.
    fn uniform(i: usize) -> f64 {
        let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn gaussian(i: usize) -> f64 {
        let (radius, angle) = (1.0 - uniform(2 * i), uniform(2 * i + 1));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    #[test]
    fn point_masses_are_twice_their_distance_apart() {
        assert_eq!(energy_distance(&line(3, |_| 1.0), &line(5, |_| -2.5)).unwrap(), 7.0);
    }

    /// For the midpoints of n equal intervals and the same shifted by c >= 1, ED is 2 c - 2 (n + 1) / 3n.
    #[test]
    fn two_grids_have_a_closed_form() {
        let n = 512;
        let grid = |start: f32| line(n, move |i| start + (i as f32 + 0.5) / n as f32);
        let expected = 2.0 * 1.25 - 2.0 * (n as f64 + 1.0) / (3.0 * n as f64);
        let found = energy_distance(&grid(0.0), &grid(1.25)).unwrap();
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    /// N(0, 1) against N(1, 1): 2 E|N(1, 2)| - 2 E|N(0, 2)| = 2 (2 e^(-1/4) / √π + erf(1/2)) - 4 / √π.
    #[test]
    fn a_gaussian_shift_has_a_closed_form() {
        let n = 4096;
        let found =
            energy_distance(&line(n, |i| gaussian(i) as f32), &line(n, |i| 1.0 + gaussian(n + i) as f32)).unwrap();
        let erf_half = 0.520_499_877_813_046_5;
        let root_pi = std::f64::consts::PI.sqrt();
        let expected = 2.0 * (2.0 * (-0.25_f64).exp() / root_pi + erf_half) - 4.0 / root_pi;
        assert!((found / expected - 1.0).abs() < 0.1, "{found} {expected}");
    }

    /// The V-statistic would be 4 / (√π n) = 0.28 too large on average here.
    #[test]
    fn the_estimate_is_unbiased() {
        let (n, draws) = (8, 2000);
        let draw = |k: usize| line(n, move |i| gaussian(k * n + i) as f32);
        let total: f64 = (0..draws).map(|k| energy_distance(&draw(2 * k), &draw(2 * k + 1)).unwrap()).sum();
        assert!((total / draws as f64).abs() < 0.03, "{}", total / draws as f64);
    }

    #[test]
    fn tiles_and_padding_change_nothing() {
        let cloud = |n: usize, seed: usize| Samples::new((0..n * 3).map(|i| gaussian(seed + i) as f32).collect(), 3);
        let (u, v) = (cloud(200, 0), cloud(77, 1000));
        let distance = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum::<f64>().sqrt()
        };
        let total =
            |a: &Samples, b: &Samples| a.rows().flat_map(|x| b.rows().map(move |y| distance(x, y))).sum::<f64>();
        let expected =
            2.0 * total(&u, &v) / (200.0 * 77.0) - total(&u, &u) / (200.0 * 199.0) - total(&v, &v) / (77.0 * 76.0);
        assert!((energy_distance(&u, &v).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn one_row_is_not_enough() {
        let error = energy_distance(&line(2, |_| 0.0), &line(1, |_| 0.0)).unwrap_err();
        assert_eq!(error, MetricError::TooFew { set: "v", found: 1, needed: 2 });
    }
}
