//! Sliced Wasserstein distance of order 2 (Bonneel et al., "Sliced and Radon Wasserstein barycenters
//! of measures", 2015).
//!
//! ```text
//! SW2(u, v)² = 1/k Σ_θ ∫_0^1 (F_u^-1(q) - F_v^-1(q))² dq
//! ```
//!
//! with F_u^-1, F_v^-1 the quantile functions of the projections u·θ and v·θ on k directions.

use super::{MetricError, check_dimension, check_pair, check_rows};
use crate::{Samples, parallel};

/// Tolerance for the norm of a direction, which should be 1.
const UNIT: f64 = 1e-3;

/// SW2(u, v) for `u [n, d]`, `v [m, d]` and `directions [k, d]`, in units of the samples, >= 0. Directions
/// are unit vectors that the caller draws uniformly on the sphere; they are the only source of randomness.
///
/// # Errors
/// An empty set, rows of different lengths, a value that is not finite, a direction that is
/// not a unit vector.
pub fn sliced_wasserstein(u: &Samples, v: &Samples, directions: &Samples) -> Result<f64, MetricError> {
    check_pair(u, v, 1)?;
    check_directions(directions, u.d())?;
    let mut squares = vec![0.0; directions.n()];
    parallel::for_each_chunk_mut(&mut squares, 1, |k, square| {
        let direction = directions.row(k);
        square[0] = transport(&projected(u, direction), &projected(v, direction));
    });
    Ok((squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
}

fn check_directions(directions: &Samples, d: usize) -> Result<(), MetricError> {
    check_rows("directions", directions, 1)?;
    check_dimension("directions", directions, d)?;
    let norms = directions.rows().map(|row| row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt());
    match norms.enumerate().find(|(_, norm)| (norm - 1.0).abs() > UNIT) {
        Some((row, norm)) => Err(MetricError::NotUnit { row, norm }),
        None => Ok(()),
    }
}

/// The inner products of all rows with `direction`, ascending.
fn projected(samples: &Samples, direction: &[f32]) -> Vec<f64> {
    let inner = |row: &[f32]| row.iter().zip(direction).map(|(&x, &t)| f64::from(x) * f64::from(t)).sum();
    let mut values: Vec<f64> = samples.rows().map(inner).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// ∫ (F_u^-1 - F_v^-1)² dq for ascending `u [n]` and `v [m]`. Both quantile functions are step functions;
/// positions are counted in units of 1/(n m), in which every step begins at an integer.
fn transport(u: &[f64], v: &[f64]) -> f64 {
    let (n, m) = (u.len() as u64, v.len() as u64);
    let (mut i, mut j, mut done, mut total) = (0, 0, 0, 0.0);
    while i < n && j < m {
        let (end_u, end_v) = ((i + 1) * m, (j + 1) * n);
        let end = end_u.min(end_v);
        total += (end - done) as f64 * (u[i as usize] - v[j as usize]).powi(2);
        done = end;
        i += u64::from(end == end_u);
        j += u64::from(end == end_v);
    }
    total / (n * m) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(n: usize, d: usize) -> Samples {
        Samples::new((0..n * d).map(|i| ((i * i) as f32 * 0.37).sin()).collect(), d)
    }

    fn mapped(samples: &Samples, map: impl Fn(usize, f32) -> f32) -> Samples {
        let d = samples.d();
        Samples::new(samples.as_slice().iter().enumerate().map(|(i, &x)| map(i % d, x)).collect(), d)
    }

    #[test]
    fn a_translation_costs_its_length_along_each_direction() {
        let u = spread(300, 2);
        let v = mapped(&u, |k, x| x + [0.5, -1.0][k]);
        let directions = Samples::new(vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8], 2);
        let expected: f64 = (0.25 + 1.0 + f64::powi(0.3 - 0.8, 2)) / 3.0;
        let found = sliced_wasserstein(&u, &v, &directions).unwrap();
        assert!((found - expected.sqrt()).abs() < 1e-6, "{found}");
    }

    /// For one shape at two means and scales (for example two Gaussians), W2² = (m - m')² +
    /// (s - s')² in one dimension.
    #[test]
    fn two_scales_of_one_shape_have_a_closed_form() {
        let n = 1000;
        let u = mapped(&spread(n, 1), |_, x| x);
        let mean = u.rows().map(|x| f64::from(x[0])).sum::<f64>() / n as f64;
        let variance = u.rows().map(|x| (f64::from(x[0]) - mean).powi(2)).sum::<f64>() / n as f64;
        let v = mapped(&u, |_, x| 3.0 * x + 0.5);
        let expected = (mean - 3.0 * mean - 0.5).powi(2) + 4.0 * variance;
        let found = sliced_wasserstein(&u, &v, &Samples::new(vec![1.0], 1)).unwrap();
        assert!((found - expected.sqrt()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn repeating_a_set_does_not_move_it() {
        let u = spread(7, 3);
        let thrice = u.select(&(0..21).map(|i| i % 7).collect::<Vec<_>>());
        let directions = Samples::new(vec![0.6, 0.0, 0.8], 3);
        assert!(sliced_wasserstein(&u, &thrice, &directions).unwrap() < 1e-12);
        assert!(sliced_wasserstein(&u, &spread(8, 3), &directions).unwrap() > 1e-3);
    }

    #[test]
    fn a_direction_must_be_a_unit_vector() {
        let u = spread(4, 2);
        let directions = Samples::new(vec![1.0, 0.0, 1.0, 1.0], 2);
        let error = sliced_wasserstein(&u, &u, &directions).unwrap_err();
        assert!(matches!(error, MetricError::NotUnit { row: 1, .. }), "{error}");
        let error = sliced_wasserstein(&u, &u, &spread(1, 3)).unwrap_err();
        assert_eq!(error, MetricError::Dimension { set: "directions", expected: 2, found: 3 });
    }
}
