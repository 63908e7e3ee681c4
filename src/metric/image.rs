//! Fidelity of images: peak signal-to-noise ratio and structural similarity (Wang, Bovik, Sheikh and
//! Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004).
//!
//! ```text
//! PSNR = 10 log10(L² / mean (x - y)²)
//! SSIM = mean over windows of (2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2))
//! ```
//!
//! Here L is the width of the data's range (4 for images in [-2, 2]), C1 = (0.01 L)², C2 = (0.03 L)², and
//! means, variances and the covariance are weighted by a Gaussian of standard deviation 1.5 on a window of
//! 11 x 11 pixels. Only windows that lie within the image count. This matches scikit-image's
//! `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.

use super::{MetricError, check_dimension, check_rows};
use crate::image::ImageShape;
use crate::{Samples, parallel};

/// Side length of SSIM's window, in pixels.
pub const SSIM_WINDOW: usize = 11;
/// Standard deviation of the window's weights, in pixels.
const SIGMA: f64 = 1.5;
/// The constants K1 and K2 of SSIM.
const STABILISERS: [f64; 2] = [0.01, 0.03];

/// PSNR in dB of `v` against `u`, `[n, d]` each, from the squared error averaged over the whole set: over all
/// values, or over those where `keep` (`[n d]`, row by row) is true. `range` > 0 is the width of the data's
/// range; equal sets give infinity.
///
/// # Errors
/// Sets of different sizes, nothing to average, a value that is not finite, a range that is not positive.
pub fn psnr(u: &Samples, v: &Samples, range: f64, keep: Option<&[bool]>) -> Result<f64, MetricError> {
    check_images(u, v, range, keep)?;
    let kept = |i: usize| keep.is_none_or(|keep| keep[i]);
    let pairs = u.as_slice().iter().zip(v.as_slice()).enumerate().filter(|(i, _)| kept(*i));
    let square = |(_, (&x, &y)): (usize, (&f32, &f32))| (f64::from(x) - f64::from(y)).powi(2);
    let (sum, count) = pairs.map(square).fold((0.0, 0usize), |(sum, count), square| (sum + square, count + 1));
    if count == 0 {
        return Err(MetricError::TooFew { set: "keep", found: 0, needed: 1 });
    }
    Ok(10.0 * (range * range / (sum / count as f64)).log10())
}

/// Mean SSIM of the images `v` against `u`, `[n, d]` each with d = `shape.len()`, over all windows of all
/// channels and images, or over those whose center pixel has a true `keep` (`[n d]`, row by row); in [-1, 1],
/// 1 for equal images. `range` > 0 is the width of the data's range.
///
/// # Errors
/// Sets of different sizes, images smaller than the window, nothing to average, a value that is not finite, a
/// range that is not positive.
pub fn ssim(
    u: &Samples,
    v: &Samples,
    shape: ImageShape,
    range: f64,
    keep: Option<&[bool]>,
) -> Result<f64, MetricError> {
    check_images(u, v, range, keep)?;
    check_dimension("u", u, shape.len())?;
    if shape.height < SSIM_WINDOW || shape.width < SSIM_WINDOW {
        let (height, width) = (shape.height, shape.width);
        return Err(MetricError::SmallImage { height, width, window: SSIM_WINDOW });
    }
    let weights = weights();
    // For one of the n · channels planes: the sum of its similarities, and the number of its windows.
    let score = |i: usize| {
        let plane = i * shape.pixels()..(i + 1) * shape.pixels();
        let map = similarities(&u.as_slice()[plane.clone()], &v.as_slice()[plane.clone()], shape, range, &weights);
        let kept = |window: &usize| keep.is_none_or(|keep| keep[plane.start + middle(*window, shape)]);
        (0..map.len()).filter(kept).fold((0.0, 0usize), |(sum, count), window| (sum + map[window], count + 1))
    };
    let parts = parallel::map(u.n() * shape.channels, score);
    match parts.iter().fold((0.0, 0), |(sum, count), part| (sum + part.0, count + part.1)) {
        (_, 0) => Err(MetricError::TooFew { set: "keep", found: 0, needed: 1 }),
        (sum, count) => Ok(sum / count as f64),
    }
}

/// Index of the center pixel of a window within its plane.
fn middle(window: usize, shape: ImageShape) -> usize {
    let (width, margin) = (shape.width + 1 - SSIM_WINDOW, SSIM_WINDOW / 2);
    (window / width + margin) * shape.width + window % width + margin
}

fn check_images(u: &Samples, v: &Samples, range: f64, keep: Option<&[bool]>) -> Result<(), MetricError> {
    check_rows("u", u, 1)?;
    check_rows("v", v, u.n())?;
    check_rows("u", u, v.n())?;
    check_dimension("v", v, u.d())?;
    if let Some(keep) = keep.filter(|keep| keep.len() != u.as_slice().len()) {
        return Err(MetricError::Dimension { set: "keep", expected: u.as_slice().len(), found: keep.len() });
    }
    match range > 0.0 && range.is_finite() {
        true => Ok(()),
        false => Err(MetricError::Setting { name: "range", value: range, expected: "a number > 0" }),
    }
}

/// The window's weights along one axis, which sum to 1.
fn weights() -> [f64; SSIM_WINDOW] {
    let middle = (SSIM_WINDOW / 2) as f64;
    let bell: [f64; SSIM_WINDOW] = std::array::from_fn(|i| (-0.5 * ((i as f64 - middle) / SIGMA).powi(2)).exp());
    let sum: f64 = bell.iter().sum();
    bell.map(|w| w / sum)
}

/// SSIM of every window of one channel `[height, width]`: `[height - 10, width - 10]`.
fn similarities(x: &[f32], y: &[f32], shape: ImageShape, range: f64, weights: &[f64; SSIM_WINDOW]) -> Vec<f64> {
    let moment = |f: &dyn Fn(f64, f64) -> f64| {
        let field: Vec<f64> = x.iter().zip(y).map(|(&x, &y)| f(f64::from(x), f64::from(y))).collect();
        smooth(&field, shape, weights)
    };
    let (mx, my) = (moment(&|x, _| x), moment(&|_, y| y));
    let (xx, yy, xy) = (moment(&|x, _| x * x), moment(&|_, y| y * y), moment(&|x, y| x * y));
    let [c1, c2] = STABILISERS.map(|k| (k * range).powi(2));
    let similarity = |i: usize| {
        let (mx, my) = (mx[i], my[i]);
        let (vx, vy, cov) = (xx[i] - mx * mx, yy[i] - my * my, xy[i] - mx * my);
        (2.0 * mx * my + c1) * (2.0 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    };
    (0..mx.len()).map(similarity).collect()
}

/// Weighted means of every window within the image, `[height - 10, width - 10]`: along rows,
/// then along columns.
fn smooth(field: &[f64], shape: ImageShape, weights: &[f64; SSIM_WINDOW]) -> Vec<f64> {
    let dot = |values: &mut dyn Iterator<Item = f64>| values.zip(weights).map(|(v, w)| v * w).sum::<f64>();
    let width = shape.width + 1 - SSIM_WINDOW;
    let along = field.chunks_exact(shape.width).flat_map(|row| row.windows(SSIM_WINDOW));
    let rows: Vec<f64> = along.map(|window| dot(&mut window.iter().copied())).collect();
    let last = rows.len() - (SSIM_WINDOW - 1) * width;
    (0..last).map(|i| dot(&mut rows[i..].iter().step_by(width).copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(n: usize, shape: ImageShape) -> Samples {
        let value = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
        Samples::new((0..n * shape.len()).map(value).collect(), shape.len())
    }

    const SHAPE: ImageShape = ImageShape { channels: 3, height: 12, width: 14 };

    #[test]
    fn psnr_counts_what_is_kept() {
        let u = Samples::new(vec![0.0, 0.0, 1.0, 1.0], 2);
        let v = Samples::new(vec![1.0, 0.0, 1.0, 1.0], 2);
        // Squared errors 1, 0, 0, 0.
        assert!((psnr(&u, &v, 4.0, None).unwrap() - 10.0 * 64f64.log10()).abs() < 1e-12);
        assert!((psnr(&u, &v, 4.0, Some(&[true, true, false, false])).unwrap() - 10.0 * 32f64.log10()).abs() < 1e-12);
        assert_eq!(psnr(&u, &v, 4.0, Some(&[false, true, true, true])), Ok(f64::INFINITY));
        assert_eq!(psnr(&u, &v, 4.0, Some(&[false; 4])).unwrap_err().to_string().find("`keep`"), Some(0));
    }

    #[test]
    fn equal_images_and_constant_ones_have_their_closed_form() {
        let x = ramp(2, SHAPE);
        assert!((ssim(&x, &x, SHAPE, 4.0, None).unwrap() - 1.0).abs() < 1e-12);
        // Without contrast only the first factor is left: (2 a b + C1) / (a² + b² + C1).
        let flat = |value: f32| Samples::new(vec![value; SHAPE.len()], SHAPE.len());
        let expected = (2.0 * 0.5 * -1.5 + 0.0016) / (0.25 + 2.25 + 0.0016);
        assert!((ssim(&flat(0.5), &flat(-1.5), SHAPE, 4.0, None).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let small = ImageShape { channels: 1, height: 8, width: 8 };
        let x = ramp(3, small);
        let error = ssim(&x, &x, small, 4.0, None).unwrap_err().to_string();
        assert!(error.contains("8 x 8") && error.contains("11 x 11"), "{error}");
        assert!(psnr(&x, &x.slice(0..2), 4.0, None).is_err() && psnr(&x.slice(0..2), &x, 4.0, None).is_err());
        assert!(psnr(&x, &x, 4.0, Some(&[true; 3])).is_err());
        assert!(psnr(&x, &x, 0.0, None).is_err() && psnr(&x, &x, f64::NAN, None).is_err());
        let y = ramp(3, SHAPE);
        assert!(psnr(&x, &y, 4.0, None).is_err() && ssim(&y, &y, small, 4.0, None).is_err());
        let nan = Samples::new(vec![f32::NAN; 3 * 64], 64);
        assert!(psnr(&x, &nan, 4.0, None).is_err());
    }
}
