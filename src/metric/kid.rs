//! Kernel distance between two sets of features (Bińkowski et al., "Demystifying MMD GANs", 2018): the
//! unbiased estimate of
//!
//! ```text
//! MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (xᵀ y / d + 1)³
//! ```
//!
//! on random subsets, as in torch-fidelity and clean-fid. Unlike the Fréchet distance, its expectation is 0
//! for equal distributions at every n, so that single values can be negative.

use super::{MetricError, check_pair};
use crate::noise::{Key, Purpose};
use crate::{Samples, parallel};
use nalgebra::DMatrix;

/// Maximum number of kernel values between two whole sets that are kept in memory (128 MiB); for larger sets,
/// each subset computes its own.
const MAX_KERNELS: usize = 1 << 24;

/// Settings of the estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kid {
    /// Number of subsets, 1 or more.
    pub subsets: usize,
    /// Number of rows per subset, drawn without replacement, 2 or more; at most all rows of the
    /// smaller set are used.
    pub subset_size: usize,
    /// Seed for drawing the subsets.
    pub seed: u64,
}

impl Default for Kid {
    /// 100 subsets of 1000 rows, as in the reference tools.
    fn default() -> Self {
        Self { subsets: 100, subset_size: 1000, seed: 0 }
    }
}

/// An estimate from subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KidEstimate {
    /// Mean over the subsets.
    pub mean: f64,
    /// Standard deviation over the subsets (divided by their number).
    pub std: f64,
}

impl Kid {
    /// MMD² between `u [n, d]` and `v [m, d]`.
    ///
    /// # Errors
    /// Fewer than two rows, rows of different lengths, a value that is not finite, a setting out of range.
    pub fn estimate(&self, u: &Samples, v: &Samples) -> Result<KidEstimate, MetricError> {
        self.within(u, v, MAX_KERNELS)
    }

    /// The estimate; kernels between all rows of two sets are computed once if there are at
    /// most `most` of them.
    fn within(&self, u: &Samples, v: &Samples, most: usize) -> Result<KidEstimate, MetricError> {
        check_pair(u, v, 2)?;
        self.check()?;
        let size = self.subset_size.min(u.n()).min(v.n());
        // Subsets that contain the whole sets are all the same.
        let subsets = if size == u.n().max(v.n()) { 1 } else { self.subsets };
        let draws: Vec<[Vec<usize>; 2]> = parallel::map(subsets, |i| {
            let key = Key::new(self.seed, Purpose::Split, 0);
            [(u, 0), (v, 1)].map(|(x, set)| key.stream(i, set).permutation(x.n())[..size].to_vec())
        });
        let sums = |x: &Samples, y: &Samples, [i, j]: [usize; 2]| {
            let pairs: Vec<_> = draws.iter().map(|draw| [&draw[i][..], &draw[j][..]]).collect();
            sums_of_kernels(x, y, &pairs, i != j, most)
        };
        let (uu, vv, uv) = (sums(u, u, [0, 0]), sums(v, v, [1, 1]), sums(u, v, [0, 1]));
        let m = size as f64;
        let values: Vec<f64> =
            (0..subsets).map(|k| (uu[k] + vv[k]) / (m * (m - 1.0)) - 2.0 * uv[k] / (m * m)).collect();
        let mean = values.iter().sum::<f64>() / subsets as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / subsets as f64;
        Ok(KidEstimate { mean, std: variance.sqrt() })
    }

    fn check(&self) -> Result<(), MetricError> {
        for (name, value, least, expected) in
            [("subsets", self.subsets, 1, "1 or more"), ("subset_size", self.subset_size, 2, "2 or more")]
        {
            if value < least {
                return Err(MetricError::Setting { name, value: value as f64, expected });
            }
        }
        Ok(())
    }
}

/// Σ_ij k(u_i, v_j) for each pair of row subsets of u and v; terms at equal positions count only if `equal`.
fn sums_of_kernels(u: &Samples, v: &Samples, pairs: &[[&[usize]; 2]], equal: bool, most: usize) -> Vec<f64> {
    let whole = (u.n() * v.n() <= most).then(|| kernels(u, v));
    parallel::map(pairs.len(), |k| {
        let [rows, columns] = pairs[k];
        let places: Vec<usize> = (0..rows.len()).collect();
        match &whole {
            Some(whole) => sum_of(whole, rows, columns, equal),
            None => sum_of(&kernels(&u.select(rows), &v.select(columns)), &places, &places, equal),
        }
    })
}

/// k(u_i, v_j), `[n, m]`.
fn kernels(u: &Samples, v: &Samples) -> DMatrix<f64> {
    let columns = |x: &Samples| DMatrix::from_iterator(x.d(), x.n(), x.as_slice().iter().map(|&v| f64::from(v)));
    let d = u.d() as f64;
    (columns(u).transpose() * columns(v)).map(|product| (product / d + 1.0).powi(3))
}

/// Sum over `rows` and equally many `columns`, column by column.
fn sum_of(kernels: &DMatrix<f64>, rows: &[usize], columns: &[usize], equal: bool) -> f64 {
    let all = columns.iter().flat_map(|&j| rows.iter().map(move |&i| kernels[(i, j)])).fold(0.0, |sum, k| sum + k);
    let same = rows.iter().zip(columns).map(|(&i, &j)| kernels[(i, j)]).fold(0.0, |sum, k| sum + k);
    all - if equal { 0.0 } else { same }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(n: usize, index: usize, shift: f32) -> Samples {
        let mut x = Samples::zeros(n, 6);
        Key::new(5, Purpose::Truth, 0).stream(index, 0).fill_normal(x.as_mut_slice());
        x.as_mut_slice().iter_mut().for_each(|v| *v += shift);
        x
    }

    #[test]
    fn equal_laws_score_zero_and_shifted_ones_do_not() {
        let kid = Kid { subsets: 50, subset_size: 100, seed: 1 };
        let near = kid.estimate(&normals(800, 0, 0.0), &normals(900, 1, 0.0)).unwrap();
        let far = kid.estimate(&normals(800, 0, 0.0), &normals(900, 1, 0.5)).unwrap();
        assert!(near.mean.abs() < 0.02 && far.mean > 0.2 && far.std > 0.0, "{near:?} {far:?}");
    }

    #[test]
    fn subsets_follow_the_seed() {
        let (u, v) = (normals(60, 0, 0.0), normals(50, 1, 0.2));
        let at = |seed| Kid { subsets: 4, subset_size: 20, seed }.estimate(&u, &v).unwrap();
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
    }

    #[test]
    fn whole_sets_and_subsets_give_the_same_bits() {
        // Rows are long enough that the inner loops of a matrix product are split into blocks.
        let long = |n: usize, index| Samples::new(normals(100 * n, index, 0.1).as_slice().to_vec(), 600);
        let (u, v) = (long(90, 0), long(70, 1));
        let kid = Kid { subsets: 9, subset_size: 40, seed: 2 };
        let [whole, single] = [MAX_KERNELS, 0].map(|most| kid.within(&u, &v, most).unwrap());
        assert_eq!(whole, single);
    }

    #[test]
    fn settings_are_checked() {
        let u = normals(5, 0, 0.0);
        let estimate = |subsets, subset_size| Kid { subsets, subset_size, seed: 0 }.estimate(&u, &u);
        assert!(estimate(0, 3).is_err() && estimate(3, 1).is_err() && estimate(3, 3).is_ok());
    }
}
