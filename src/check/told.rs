//! How the checks name what they find.

use crate::samples::Samples;

/// Name of the observations in messages.
pub(super) const Y: &str = "observations y";
/// Name of the operators in messages.
pub(super) const A: &str = "operators a";

/// A value and its place, such as `the value at [3, 5] is NaN`.
pub(super) fn value_at(x: &Samples, (row, column): (usize, usize)) -> String {
    format!("the value at [{row}, {column}] is {}", x.row(row)[column])
}

/// Such as ` (the first of 12)`.
pub(super) fn first_of(count: usize) -> String {
    if count > 1 { format!(" (the first of {count})") } else { String::new() }
}
