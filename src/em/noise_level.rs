//! Levels of the noise that are unknown, estimated from the observations before training.
//!
//! Noise and signal cannot always be told apart: a signal may have white noise of its own, and then the likelihood does not
//! change while one takes over what the other gives up. What the observations do say is the largest noise that they allow:
//! in directions in which the signal does not vary, all that is seen is noise. For additive noise that is the smallest
//! eigenvalue of a covariance, up to chance, and the level is the mean of as many eigenvalues from below as may be equal
//! (after Chen, Zhu & Heng 2015, "An efficient statistical method for image noise level estimation"). Noise that depends on
//! the signal is fitted by maximum likelihood to the squares of what is seen in those directions.
//!
//! The covariance is that of patches of the observations where they are images, of those in one place and of all, where
//! the smallest counts, and of whole observations where they are short.

use crate::channel::{Channel, ChannelConfig, MaskConfig, NoiseConfig, wide};
use crate::error::{Error, Result};
use crate::gaussian::{Gaussian, moments};
use crate::image::ImageShape;
use crate::observations::Observations;
use crate::samples::Samples;
use nalgebra::{DMatrix, DVector};

/// Side of the patches of images.
const SIDE: usize = 8;
/// Most values of a piece.
const MAX_LEN: usize = 512;
/// Most pieces, and most of those of which some values are missing.
const MAX_PIECES: usize = 16_384;
const MAX_MASKED: usize = 2048;
/// Pieces per value of a piece that a covariance needs.
const PER_VALUE: usize = 4;
/// What else than chance may tell variances at the bottom apart, as a factor.
const SLACK: f64 = 1.1;
/// Least share of directions in which the signal must not vary for noise that depends on it.
const STILL: f64 = 0.25;
/// Gain, relative to the greatest, of a coefficient that still counts as seen.
const LEAST_GAIN: f64 = 1e-6;
/// Least number of values that say again what others say: a relative standard error of 2 %.
const ENOUGH: f64 = 1000.0;
/// Iterations of EM for the covariance of what is partly missing.
const ITERATIONS: usize = 24;
/// The noise with which a prior takes all other noise for signal, as a share of the deviation of what is seen.
const QUIET: f64 = 1e-2;
/// Iterations of the maximum-likelihood fit, the relative change that ends them, and its smallest variance.
const FITS: usize = 100;
const PRECISION: f64 = 1e-9;
const FLOOR: f64 = 1e-12;

/// The unknown levels of the noise of `channel`, as [`Channel::with_noise`] takes them; empty where all are known.
///
/// What is found is the largest noise that the observations allow. It is right where the signals do not vary in all
/// directions: pictures whose patches are smooth, signals near a subspace, blurs that leave no fine detail. Elsewhere it is
/// an upper bound.
///
/// `image` is the shape of the signals, if they are images.
///
/// # Errors
/// A channel with other noise besides, or through which the noise cannot be told (see the message); too few observations.
pub fn estimate_noise(
    channel: &dyn Channel,
    image: Option<ImageShape>,
    observations: &Observations,
) -> Result<Vec<f64>> {
    let unknown = channel.unknown_noise();
    if unknown == 0 {
        return Ok(Vec::new());
    }
    let terms = channel.noise_terms(&[-1e3, 1e3]);
    if terms.is_empty() {
        return Err(refuse("is estimated only where it is the only noise, after linear stages; give a number"));
    }
    let white = unknown == 1 && terms[0] == [0.0; 2] && terms[1] == [1.0; 2];
    if white && let Some(level) = redundant(channel, observations) {
        return Ok(vec![level]);
    }
    let diagonal = channel.as_linear().is_some_and(|linear| linear.is_diagonal());
    let shape = channel.observation_image().or(image.filter(|shape| shape.len() == channel.observation_len()));
    // Whole observations through different operators have no directions in common, and what a mask of frequencies hides is
    // not known.
    let alike = diagonal || channel.operator_len() == 0 || (shape.is_some() && channel.masks().is_empty());
    match Pieces::of(channel, shape, observations).filter(|_| alike) {
        Some(pieces) if white && (diagonal || pieces.whole) => Ok(vec![pieces.level()?]),
        Some(pieces) if pieces.whole => pieces.levels(channel),
        _ => Err(refuse(
            "cannot be estimated here: values are missing, or observations are too long and no images, or their operators \
             differ and no value says again what others say (as opposite frequencies of real images do); give a number",
        )),
    }
}

fn refuse(message: &str) -> Error {
    Error::config("std", format!("\"unknown\" {message}"))
}

/// The level of white noise after a channel that is diagonal in a basis, from what observations say more than once: an
/// observation has more values than the coefficients of the signal that it shows, as real images have conjugate coefficients at
/// opposite frequencies, and noise alone is beyond what these explain:
///
/// ```text
/// s² = Σ (|y|² - |u|²) / Σ (number of seen values - number of seen coefficients)
/// ```
///
/// That is the estimate of greatest likelihood from these values, whatever the signals are; its relative standard error is one over
/// the root of twice the denominator. `None` for other channels, and where the denominator is small.
fn redundant(channel: &dyn Channel, observations: &Observations) -> Option<f64> {
    let unit = channel.with_noise(&[1.0])?;
    let spectral = unit.as_linear().filter(|linear| !linear.is_diagonal())?.as_spectral()?;
    let (d, m) = (channel.signal_len(), channel.observation_len());
    let (mut hidden, anything) = (vec![0.0; m], vec![f64::INFINITY; d]);
    let (mut left, mut count, mut power) = (0.0, 0.0, 0.0);
    for i in 0..observations.n() {
        let (a, y) = (observations.operator(i), observations.y.row(i));
        let crate::channel::Spectrum { gain, variance } = crate::channel::Spectrum::of(spectral, a);
        // Noise before the map lies within what it explains.
        if variance.iter().any(|v| (v - 1.0).abs() > PRECISION) {
            return None;
        }
        channel.write_hidden(a, &anything, &mut hidden);
        let least = LEAST_GAIN * gain.iter().fold(0.0f64, |most, g| most.max(*g));
        let square: f64 =
            y.iter().zip(&hidden).filter(|(_, h)| h.is_infinite()).map(|(y, _)| f64::from(*y).powi(2)).sum();
        let seen = spectral.coefficients(a, y).into_iter().zip(&gain).filter(|(_, g)| **g > least);
        let (coefficients, explained) = seen.fold((0.0, 0.0), |sum, (u, _)| (sum.0 + 1.0, sum.1 + u * u));
        count += hidden.iter().filter(|h| h.is_infinite()).count() as f64 - coefficients;
        (left, power) = (left + square - explained, power + square);
    }
    // Rounding of 32 bits alone leaves less than this.
    (count >= ENOUGH && left > PRECISION * power).then(|| (left / count).sqrt())
}

/// Parts of observations, all of one length.
struct Pieces {
    /// Number of places that the pieces come from, in turn.
    places: usize,
    values: Samples,
    /// 1 where a value is seen, 0 elsewhere.
    seen: Samples,
    /// Whether all are seen.
    whole: bool,
}

/// Mean, eigenvalues in ascending order and eigenvectors of pieces.
struct Spectrum {
    mean: DVector<f64>,
    values: Vec<f64>,
    vectors: DMatrix<f64>,
    /// Number of pieces that show a pair of values.
    count: f64,
    /// The variance at the bottom, and the number of eigenvalues there.
    bottom: (f64, usize),
}

impl Pieces {
    /// Patches of images, or whole observations of at most 512 values; `None` where they are neither.
    fn of(channel: &dyn Channel, shape: Option<ImageShape>, observations: &Observations) -> Option<Self> {
        let m = channel.observation_len();
        let shape = shape.filter(|shape| shape.height >= SIDE && shape.width >= SIDE);
        let places = match shape {
            Some(shape) => patches(shape),
            None if m <= MAX_LEN => vec![(0..m).collect()],
            None => return None,
        };
        let rows = observations.n().min((MAX_PIECES / places.len()).max(1));
        let (len, anything) = (places[0].len(), vec![f64::INFINITY; channel.signal_len()]);
        let (mut values, mut seen, mut hidden) = (Vec::new(), Vec::new(), vec![0.0; m]);
        for i in 0..rows {
            channel.write_hidden(observations.operator(i), &anything, &mut hidden);
            for place in &places {
                values.extend(place.iter().map(|j| observations.y.row(i)[*j]));
                seen.extend(place.iter().map(|j| f32::from(u8::from(hidden[*j].is_infinite()))));
            }
        }
        Some(Self::new(places.len(), Samples::new(values, len), Samples::new(seen, len)))
    }

    fn new(places: usize, values: Samples, seen: Samples) -> Self {
        let whole = seen.as_slice().iter().all(|seen| *seen == 1.0);
        Self { places, values, seen, whole }
    }

    /// The level of white noise: the least of what all pieces say and of what those of every place say, where they are
    /// enough.
    ///
    /// # Errors
    /// As [`Pieces::spectrum`].
    fn level(&self) -> Result<f64> {
        let mut least = self.spectrum()?.level();
        for place in (0..self.places).filter(|_| self.places > 1) {
            let rows: Vec<usize> = (place..self.values.n()).step_by(self.places).collect();
            let own = Self::new(1, self.values.select(&rows), self.seen.select(&rows));
            if let Ok(spectrum) = own.spectrum() {
                least = least.min(spectrum.level());
            }
        }
        Ok(least)
    }

    /// # Errors
    /// Fewer pieces than a covariance needs.
    fn spectrum(&self) -> Result<Spectrum> {
        let d = self.values.d();
        let share = f64::from(self.seen.as_slice().iter().sum::<f32>() / self.seen.as_slice().len() as f32);
        let n = if self.whole { self.values.n() } else { self.values.n().min(MAX_MASKED) } as f64;
        if n * share < (PER_VALUE * d) as f64 {
            let message =
                format!("needs at least {} observations of {d} values each, found {:.0}", PER_VALUE * d, n * share);
            return Err(refuse(&message));
        }
        // A pair of values is seen as often as both are.
        let count = n * share * share;
        let Gaussian { mean, covariance } = if self.whole { moments(&self.values) } else { self.fitted()? };
        let eigen = covariance.symmetric_eigen();
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_unstable_by(|i, j| eigen.eigenvalues[*i].total_cmp(&eigen.eigenvalues[*j]));
        let values: Vec<f64> = order.iter().map(|i| eigen.eigenvalues[*i]).collect();
        let bottom = bottom(&values, count);
        Ok(Spectrum { mean, values, vectors: eigen.eigenvectors.select_columns(&order), count, bottom })
    }

    /// By EM, with the values that are missing integrated out.
    fn fitted(&self) -> Result<Gaussian> {
        let n = self.values.n().min(MAX_MASKED);
        let (y, a) = (self.values.first(n), self.seen.first(n));
        let d = y.d();
        let seen = a.as_slice().iter().filter(|seen| **seen == 1.0).count().max(1) as f64;
        let square: f64 = y.as_slice().iter().map(|v| f64::from(*v).powi(2)).sum();
        let std = (square / seen).sqrt().max(f64::MIN_POSITIVE);
        let stages = [MaskConfig { rate: 0.5 }.into(), NoiseConfig { std: (QUIET * std).into() }.into()];
        let channel = ChannelConfig::from(stages).build(d)?;
        let fitted = Gaussian::isotropic(d, std).fitted(&channel, &Observations { y, a: Some(a) }, ITERATIONS)?;
        Ok(fitted)
    }

    /// The levels, where nothing is missing.
    fn levels(&self, channel: &dyn Channel) -> Result<Vec<f64>> {
        let spectrum = self.spectrum()?;
        let count = spectrum.bottom.1;
        if (count as f64) < STILL * self.values.d() as f64 {
            return Err(refuse("cannot be estimated here: the signals vary in all directions; give a number"));
        }
        let quiet = spectrum.vectors.columns(0, count);
        let projection = quiet * quiet.transpose();
        let squared = projection.component_mul(&projection);
        let mut fit = Fit { squares: Vec::new(), terms: vec![Vec::new(); channel.unknown_noise() + 1] };
        for row in self.values.rows() {
            let y = DVector::from_vec(wide(row));
            let residual = &projection * (&y - &spectrum.mean);
            let clean: Vec<f32> = (y - &residual).iter().map(|v| *v as f32).collect();
            fit.squares.extend(residual.iter().map(|r| r * r));
            for (terms, own) in fit.terms.iter_mut().zip(channel.noise_terms(&clean)) {
                terms.extend((&squared * DVector::from_vec(own)).iter());
            }
        }
        let correction = spectrum.correction();
        Ok(fit.solve().into_iter().map(|square| (square * correction).sqrt()).collect())
    }
}

/// The values of every patch of side 8 that fits into a plane of `shape`, side by side.
fn patches(shape: ImageShape) -> Vec<Vec<usize>> {
    let mut places = Vec::new();
    for plane in 0..shape.channels {
        for top in (0..=shape.height - SIDE).step_by(SIDE) {
            for left in (0..=shape.width - SIDE).step_by(SIDE) {
                let at = |k: usize| (plane * shape.height + top + k / SIDE) * shape.width + left + k % SIDE;
                places.push((0..SIDE * SIDE).map(at).collect());
            }
        }
    }
    places
}

impl Spectrum {
    /// Eigenvalues at the bottom of a sample are too small: the directions above are fitted to its noise.
    fn correction(&self) -> f64 {
        let above = (self.values.len() - self.bottom.1) as f64;
        self.count / (self.count - above).max(1.0)
    }

    fn level(&self) -> f64 {
        (self.bottom.0 * self.correction()).max(0.0).sqrt()
    }
}

/// The mean of as many of the ascending `variances` as may be equal but for chance, and their number: eigenvalues of a
/// sample of `n` where all are 1 lie within (1 ± sqrt(count / n))² (Marchenko & Pastur 1967).
fn bottom(variances: &[f64], n: f64) -> (f64, usize) {
    let may_be_equal = |count: &usize| {
        let root = (*count as f64 / n).sqrt().min(0.9);
        variances[count - 1] <= variances[0] * SLACK * ((1.0 + root) / (1.0 - root)).powi(2)
    };
    let count = (1..=variances.len()).rev().find(may_be_equal).unwrap_or(1);
    (variances[..count].iter().sum::<f64>() / count.max(1) as f64, count)
}

/// Squares of normal values whose variance is a sum of terms.
struct Fit {
    squares: Vec<f64>,
    /// The known part of the variance, then the factors of the unknown squares.
    terms: Vec<Vec<f64>>,
}

impl Fit {
    /// The unknown squares of maximum likelihood, >= 0, by Fisher scoring.
    fn solve(&self) -> Vec<f64> {
        let count = self.terms.len() - 1;
        let scale = self.squares.iter().sum::<f64>() / self.squares.len().max(1) as f64;
        let floor = (FLOOR * scale).max(f64::MIN_POSITIVE);
        let mut found = vec![scale / count as f64; count];
        for _ in 0..FITS {
            let (mut matrix, mut right) = (DMatrix::zeros(count, count), DVector::zeros(count));
            for (i, square) in self.squares.iter().enumerate() {
                let term = DVector::from_fn(count, |p, _| self.terms[p + 1][i]);
                let variance = self.terms[0][i] + term.dot(&DVector::from_column_slice(&found));
                let weight = variance.max(floor).powi(-2);
                right.axpy(weight * (square - self.terms[0][i]), &term, 1.0);
                matrix.ger(weight, &term, &term, 1.0);
            }
            let before = found.clone();
            descend(&matrix, &right, &mut found);
            let close = |(now, before): (&f64, &f64)| (now - before).abs() <= PRECISION * before.max(floor);
            if found.iter().zip(&before).all(close) {
                break;
            }
        }
        found
    }
}

/// Minimizes xᵀ M x / 2 - bᵀ x over x >= 0 by coordinate descent.
fn descend(matrix: &DMatrix<f64>, right: &DVector<f64>, x: &mut [f64]) {
    for _ in 0..FITS {
        for p in 0..x.len() {
            let others: f64 = (0..x.len()).filter(|q| *q != p).map(|q| matrix[(p, q)] * x[q]).sum();
            let diagonal = matrix[(p, p)];
            x[p] = if diagonal > 0.0 { ((right[p] - others) / diagonal).max(0.0) } else { 0.0 };
        }
    }
}
