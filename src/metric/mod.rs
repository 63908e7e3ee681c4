//! Distances between two sets of samples, the scores a run is judged by.
//!
//! Every one takes [`Samples`] (`[n, d]`, one point a row, uniform weights) and works in f64 from the f32 rows on. Results
//! are the same on any number of threads.
//!
//! | score | cost | unequal n |
//! |---|---|---|
//! | [`Sinkhorn`] (entropic optimal transport) | iterations x the pairs that matter | yes |
//! | [`sliced_wasserstein`] | k n log n | yes |
//! | [`energy_distance`] | n² | yes |
//! | [`frechet_distance`] of features | n d² + d³ | yes |
//! | [`Kid`], kernel distance of features | subsets x size² d | yes |
//! | [`psnr`], [`ssim`] of images, pair by pair | n d | no |
//! | [`MeasurementFit`], of signals to their observations | n d | no |
//! | [`Calibration`] of posterior draws | n L² d | no |

mod calibration;
mod energy;
mod frechet;
mod image;
mod inception;
mod kid;
mod measurement;
mod sinkhorn;
mod sliced;
mod truth;

pub use calibration::{Calibration, Curve, LEVELS};
pub use energy::energy_distance;
pub use frechet::{Frechet, Moments, frechet_distance};
pub use image::{SSIM_WINDOW, psnr, ssim};
pub use inception::inception_score;
pub use kid::{Kid, KidEstimate};
pub use measurement::MeasurementFit;
pub use sinkhorn::{Sinkhorn, Transport};
pub use sliced::sliced_wasserstein;
pub use truth::TruthScorer;

use crate::Samples;
use diffem_kernels::clouds::Tiles;

/// Why a score could not be computed. `set` is the name of the argument at fault.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum MetricError {
    /// A set has too few rows.
    #[error("`{set}` has {found} rows, at least {needed} are needed: pass more samples")]
    TooFew { set: &'static str, found: usize, needed: usize },
    /// Rows of different lengths.
    #[error("rows of `{set}` have {found} values, those of `u` {expected}: compare points of one space")]
    Dimension { set: &'static str, expected: usize, found: usize },
    /// A NaN or an infinity among the values.
    #[error("row {row} of `{set}` holds a NaN or an infinity: drop it or find where it comes from")]
    NonFinite { set: &'static str, row: usize },
    /// A direction that is not a unit vector.
    #[error("row {row} of `directions` has norm {norm}, expected 1: normalize it")]
    NotUnit { row: usize, norm: f64 },
    /// A setting outside its range.
    #[error("`{name}` is {value}, expected {expected}")]
    Setting { name: &'static str, value: f64, expected: &'static str },
    /// Images that no window fits into.
    #[error(
        "images of {height} x {width} pixels are smaller than the window of {window} x {window}: SSIM is not defined for them"
    )]
    SmallImage { height: usize, width: usize, window: usize },
    /// The observer asked to stop.
    #[error("stopped by the caller after {iteration} iterations")]
    Stopped { iteration: usize },
}

/// The points of `samples`, all values multiplied by `scale`, as sums over pairs take them.
fn tiles(samples: &Samples, scale: f64) -> Tiles {
    Tiles::new(samples.as_slice(), samples.d(), scale)
}

/// Checks that `u` and `v` hold at least `needed` finite rows of one length each.
fn check_pair(u: &Samples, v: &Samples, needed: usize) -> Result<(), MetricError> {
    check_rows("u", u, needed)?;
    check_rows("v", v, needed)?;
    check_dimension("v", v, u.d())
}

fn check_rows(set: &'static str, samples: &Samples, needed: usize) -> Result<(), MetricError> {
    if samples.n() < needed {
        return Err(MetricError::TooFew { set, found: samples.n(), needed });
    }
    match samples.rows().position(|row| row.iter().any(|x| !x.is_finite())) {
        Some(row) => Err(MetricError::NonFinite { set, row }),
        None => Ok(()),
    }
}

fn check_dimension(set: &'static str, samples: &Samples, expected: usize) -> Result<(), MetricError> {
    match samples.d() {
        found if found == expected => Ok(()),
        found => Err(MetricError::Dimension { set, expected, found }),
    }
}
