//! Rows that occur more than once.

use super::told::Y;
use crate::error::Warning;
use crate::parallel;
use crate::samples::Samples;
use std::ops::Range;

/// Rows that one worker hashes at a time.
const ROWS: usize = 256;
/// Share of the rows up to which repeated ones change little.
const FEW: f64 = 1e-3;
/// Factor by which chance may be underestimated, because the values of a row depend on each other.
const DEPENDENT: f64 = 4.0;

/// Rows (y, a) that are equal to an earlier one, number by number. Rows of zeros do not count.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Repeated {
    /// Number of rows that repeat an earlier one.
    pub count: usize,
    /// The first of them, after the row that it repeats.
    pub first: (usize, usize),
    /// Number of equal pairs that independent values would have by chance, as where they are whole numbers.
    pub chance: f64,
    /// Number of equal pairs.
    pairs: f64,
    n: usize,
}

impl Repeated {
    /// Finds the repeated rows of `y [n, m]` and `a [n, k]`; `None` where there are none.
    pub(super) fn find(y: &Samples, a: Option<&Samples>) -> Option<Self> {
        let mut order: Vec<(u64, usize)> = hashes(y, a).into_iter().zip(0..).collect();
        order.retain(|(_, i)| y.row(*i).iter().any(|v| *v != 0.0));
        order.sort_unstable();
        let same = |i: usize, j: usize| y.row(i) == y.row(j) && a.is_none_or(|a| a.row(i) == a.row(j));
        let (mut count, mut pairs, mut first) = (0, 0.0, None);
        for group in order.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
            let begin = group[0].1;
            let others: Vec<usize> = group[1..].iter().map(|(_, i)| *i).filter(|i| same(begin, *i)).collect();
            let Some(second) = others.first() else { continue };
            count += others.len();
            pairs += (others.len() * (others.len() + 1)) as f64 / 2.0;
            first = first.filter(|(_, j)| j < second).or(Some((begin, *second)));
        }
        let n = y.n();
        first.map(|first| Self { count, first, chance: chance(y), pairs, n })
    }

    /// Warns where there are more equal rows than by chance, and enough of them to matter.
    pub(super) fn warning(&self) -> Option<Warning> {
        let (Self { count, n, .. }, (i, j)) = (self, self.first);
        (self.pairs > DEPENDENT * self.chance + FEW * *n as f64).then(|| {
            let message = format!(
                "row {j} repeats row {i}, number by number, as {count} of {n} rows repeat an earlier one. They count more than \
                 the others, and some may be held out: leave them out"
            );
            Warning { what: Y, message }
        })
    }
}

/// A hash of every row.
fn hashes(y: &Samples, a: Option<&Samples>) -> Vec<u64> {
    let of = |range: Range<usize>| -> Vec<u64> {
        let row = |i: usize| y.row(i).iter().chain(a.map_or(&[][..], |a| a.row(i)));
        // FNV-1a over whole numbers; adding 0 makes -0 the same as 0.
        let mixed = |hash: u64, v: &f32| (hash ^ u64::from((v + 0.0).to_bits())).wrapping_mul(0x0100_0000_01b3);
        range.map(|i| row(i).fold(0xcbf2_9ce4_8422_2325, mixed)).collect()
    };
    let parts = parallel::map(y.n().div_ceil(ROWS), |part| of(part * ROWS..y.n().min((part + 1) * ROWS)));
    parts.concat()
}

/// Expected number of equal pairs of rows if the columns of y were independent of each other.
fn chance(y: &Samples) -> f64 {
    let n = y.n() as f64;
    let mut pairs = n * (n - 1.0) / 2.0;
    let mut column = Vec::with_capacity(y.n());
    for j in 0..y.d() {
        column.clear();
        column.extend(y.rows().map(|row| row[j] + 0.0));
        column.sort_unstable_by(f32::total_cmp);
        pairs *= column.chunk_by(|a, b| a == b).map(|equal| (equal.len() as f64 / n).powi(2)).sum::<f64>();
        // Further columns only make it smaller.
        if pairs < 0.01 * FEW {
            break;
        }
    }
    pairs
}
