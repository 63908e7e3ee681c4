//! Distances between two sets of samples, and the other scores that judge a run.
//!
//! Each score takes [`Samples`] (`[n, d]`, one point per row, uniform weights) and computes in f64 from the
//! f32 rows. Results do not depend on the number of threads.
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

pub use crate::error::MetricError;
pub(crate) use calibration::energy_score;
pub use calibration::{Calibration, Curve, LEVELS};
pub use energy::energy_distance;
pub use frechet::{Frechet, Moments, frechet_distance};
pub use image::{SSIM_WINDOW, psnr, ssim};
pub use inception::inception_score;
pub use kid::{Kid, KidEstimate};
pub use measurement::MeasurementFit;
pub use sinkhorn::{MIN_DIVERGENCE, Sinkhorn, Transport};
pub use sliced::sliced_wasserstein;
pub use truth::TruthScorer;

use crate::Samples;
use diffem_kernels::clouds::Tiles;

/// The points of `samples`, with all values multiplied by `scale`, as tiles for sums over pairs.
fn tiles(samples: &Samples, scale: f64) -> Tiles {
    Tiles::new(samples.as_slice(), samples.d(), scale)
}

/// Checks that `u` and `v` each hold at least `needed` finite rows, all of the same length.
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
