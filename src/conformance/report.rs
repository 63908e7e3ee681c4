//! Differences of one backend from the golden file, and the table of several backends.

use super::quantities::quantities;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Tolerances of a device that multiplies in TF32, relative to those of single precision: a factor keeps ten bits of its
/// fraction and is off by up to 5e-4, where sums in another order differ by about 1e-6.
pub(super) const TF32_SLACK: f64 = 500.0;

/// Comparison of one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name, such as "mask: gradient".
    pub quantity: String,
    /// Greatest difference divided by the golden file's greatest value; `None` where a value is not a finite
    /// number.
    pub difference: Option<f64>,
    /// Maximum difference allowed.
    pub tolerance: f64,
}

impl Row {
    /// True where the difference is within the tolerance.
    pub fn agrees(&self) -> bool {
        self.difference.is_some_and(|difference| difference <= self.tolerance)
    }
}

/// Comparison of one backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`Golden::fingerprint`](super::Golden::fingerprint) of the golden file that it was compared with.
    pub golden: String,
    /// Name of the backend.
    pub backend: String,
    /// Every quantity, in the order of [`quantities`].
    pub rows: Vec<Row>,
}

impl Report {
    /// What the tolerances of single precision were multiplied by for this backend.
    pub(super) fn slack(&self) -> f64 {
        let wider = self.rows.first().zip(quantities().first()).is_some_and(|(row, (_, t))| row.tolerance > *t);
        if wider { TF32_SLACK } else { 1.0 }
    }

    /// Describes the quantities out of tolerance in words; `None` where all agree.
    pub fn beyond(&self) -> Option<String> {
        let beyond = self.rows.iter().filter(|row| !row.agrees());
        let words: Vec<String> = beyond.map(|row| format!("{} {}", row.quantity, number(row.difference))).collect();
        (!words.is_empty()).then(|| format!("{} differs beyond tolerance: {}", self.backend, words.join("; ")))
    }
}

/// Greatest difference of two vectors of equal length in units of the greatest value of `expected`; `None`
/// where that is zero or a value is not finite.
pub(super) fn difference(found: &[f32], expected: &[f32]) -> Option<f64> {
    let wide = |v: &f32| *v as f64;
    let scale = expected.iter().map(wide).fold(0.0, |max: f64, v| max.max(v.abs()));
    let pairs = found.iter().map(wide).zip(expected.iter().map(wide));
    // A maximum ignores NaN.
    let finite = found.iter().chain(expected).all(|v| v.is_finite());
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    (finite && scale > 0.0).then(|| worst / scale)
}

fn number(difference: Option<f64>) -> String {
    difference.map_or("not finite".to_string(), |d| format!("{d:.1e}"))
}

/// Formats a table with one line per quantity and one column per backend; an exclamation mark marks a
/// difference out of tolerance.
pub fn table(reports: &[Report]) -> String {
    let mut out = String::from("greatest difference from the golden file, over its greatest value\n");
    let cells = |first: &str, second: &str, more: Vec<String>| {
        let more: String = more.iter().map(|cell| format!(" {cell:>11}")).collect();
        format!("{first:40} {second:>9}{more}\n")
    };
    out += &cells("quantity", "tolerance", reports.iter().map(|report| report.backend.clone()).collect());
    for (i, (quantity, tolerance)) in quantities().iter().enumerate() {
        let cell = |row: &Row| format!("{}{}", number(row.difference), if row.agrees() { "" } else { "!" });
        let row = |report: &Report| report.rows.get(i).map(cell).unwrap_or_default();
        out += &cells(quantity, &format!("{tolerance:.0e}"), reports.iter().map(row).collect());
    }
    for report in reports {
        let agree = report.rows.iter().filter(|row| row.agrees()).count();
        let wide =
            if report.slack() > 1.0 { ", with the tolerances of TF32, 500 times those of the table" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}: {agree} of {} quantities agree{wide}", report.backend, report.rows.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_relative_to_the_greatest_value() {
        assert_eq!(difference(&[1.0, -4.0], &[1.5, -4.0]), Some(0.125));
        assert_eq!(difference(&[0.0], &[0.0]), None);
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(difference(&[1.0, bad], &[1.0, 2.0]), None);
            assert_eq!(difference(&[1.0, 2.0], &[bad, 2.0]), None);
        }
    }

    #[test]
    fn what_is_out_of_tolerance_is_marked_and_named() {
        let row = |(i, (quantity, tolerance)): (usize, (String, f64))| {
            let difference = [Some(tolerance), Some(2.0 * tolerance), None][i.min(2) * usize::from(i < 3)];
            Row { quantity, difference, tolerance }
        };
        let rows = quantities().into_iter().enumerate().map(row).collect();
        let report = Report { golden: String::new(), backend: "flex".into(), rows };
        let beyond = report.beyond().expect("two are out");
        assert_eq!(
            beyond,
            "flex differs beyond tolerance: projection: denoiser with gain 2.0e-5; projection: loss not finite"
        );
        let table = table(&[report]);
        assert!(table.contains(" 2.0e-5!\n") && table.contains(" not finite!\n"), "{table}");
        assert!(table.ends_with("flex: 45 of 47 quantities agree\n"), "{table}");
    }
}
