//! The corruption: y ~ Q(. | x, a). One [`Channel`] generates the data, re-corrupts the reconstructions and
//! conditions the network, so these three uses cannot disagree.
//!
//! A channel separates the operator's parameters `a` (drawn once per observation, known) from the noise
//! (unknown). Linear channels also have an adjoint, and with Gaussian noise a closed-form posterior under a
//! Gaussian prior.

mod black_box;
mod block_mask;
mod blur;
mod compose;
mod config;
mod downsample;
mod fourier_mask;
mod jpeg;
mod kernel;
mod linear;
mod linear_gaussian;
mod mask;
mod multicoil;
mod noise;
mod noise_level;
mod normal;
mod pixel_mask;
mod poisson;
mod poisson_gaussian;
mod preconditioner;
mod projection;
mod quantization;
mod radon;
mod rotate;
mod saturation;
mod self_mask;
mod shared;
mod spectrum;
mod stage;
mod unobserved;

pub use black_box::BlackBox;
pub use compose::Compose;
pub use config::*;
pub use linear_gaussian::LinearGaussian;
pub(crate) use mask::{is_mask, write_seen};
pub use normal::{Normal, NormalBack, NormalProduct, Rough};
pub use preconditioner::{Modes, Preconditioner};
pub use spectrum::{SpectralChannel, Spectrum};
pub use stage::{Signal, Stage};
pub use unobserved::Unobserved;

use crate::image::ImageShape;
use crate::noise::Stream;
use nalgebra::{DMatrix, DVector};
use std::ops::Range;
use std::sync::Arc;

/// A part of an operator's parameters with a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorPart {
    /// Its name in files.
    pub name: &'static str,
    /// Its place among the parameters.
    pub range: Range<usize>,
    /// Its natural shape.
    pub shape: Vec<usize>,
}

/// A corruption that can be simulated. Signals and observations are flattened rows.
pub trait Channel: Send + Sync {
    /// Length d of a signal.
    fn signal_len(&self) -> usize;

    /// Length m of an observation.
    fn observation_len(&self) -> usize;

    /// Length k of the operator's parameters; 0 for a channel that is the same for all observations.
    fn operator_len(&self) -> usize {
        0
    }

    /// Natural shape of the parameters, `[k]` unless they form a matrix; its product is k.
    fn operator_shape(&self) -> Vec<usize> {
        vec![self.operator_len()]
    }

    /// Parts of the parameters that files may hold under names of their own, such as the sensitivities of coils.
    fn operator_parts(&self) -> Vec<OperatorPart> {
        Vec::new()
    }

    /// Shape of the signals, if they are images.
    fn signal_image(&self) -> Option<ImageShape> {
        None
    }

    /// Shape of the observations, if they are images or planes of something else, such as frequencies or a sinogram: by
    /// default that of the signals, where both are as long.
    fn observation_image(&self) -> Option<ImageShape> {
        self.signal_image().filter(|shape| shape.len() == self.observation_len())
    }

    /// Draws the operator's parameters into `a` (length k), for no signal in particular.
    fn draw_operator(&self, _stream: &mut Stream, _a: &mut [f32]) {}

    /// Draws y ~ Q(. | x, a) into `y` (length m).
    fn observe(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]);

    /// Draws y ~ Q(. | x, a) for many signals `x [n, d]` with one operator into `y [n, m]`, one after another.
    fn observe_all(&self, x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
        observe_each(self, x, a, stream, y);
    }

    /// True where the operator's parameters depend on the signal, as flags of saturated values do: then only
    /// [`Channel::corrupt`] draws them as they are drawn in truth.
    fn sees_signal(&self) -> bool {
        false
    }

    /// Draws the operator's parameters into `a` (length k) and y ~ Q(. | x, a) into `y` (length m). This is how signals
    /// become observations; by default the parameters do not depend on x.
    fn corrupt(&self, x: &[f32], stream: &mut Stream, a: &mut [f32], y: &mut [f32]) {
        self.draw_operator(stream, a);
        self.observe(x, a, stream, y);
    }

    /// Number of levels of the noise that are unknown, and which [`crate::em::estimate_noise`] estimates.
    fn unknown_noise(&self) -> usize {
        0
    }

    /// The same channel with `levels` in place of those that are unknown: standard deviations, or square roots of other
    /// factors of the variance. `None` where nothing is unknown, or where there are more or fewer of them.
    fn with_noise(&self, _levels: &[f64]) -> Option<Arc<dyn Channel>> {
        None
    }

    /// The variance of the noise of observations without it, `clean`, of any length: one table of the length of `clean` for
    /// what is known, and one for each unknown level, by whose square it is multiplied. Empty where nothing is unknown.
    fn noise_terms(&self, _clean: &[f32]) -> Vec<Vec<f64>> {
        Vec::new()
    }

    /// The linear view, if the channel's mean is linear in x and its noise Gaussian and independent of x, given a.
    fn as_linear(&self) -> Option<&dyn LinearChannel> {
        None
    }

    /// A and Σ_y for one operator, if the channel is linear with Gaussian noise.
    fn linear_gaussian(&self, a: &[f32]) -> Option<LinearGaussian> {
        let linear = self.as_linear()?;
        let matrix = linear.matrix(a);
        let covariance = linear.noise_covariance(a);
        Some(LinearGaussian { matrix, covariance })
    }

    /// True when [`Channel::lift`] maps an observation back to the signal's layout.
    fn lifts(&self) -> bool {
        self.observation_len() == self.signal_len()
    }

    /// Writes an observation at the resolution of the signal into `out`, without inverting the channel; by
    /// default a copy. Image channels accept any number of whole planes, so that masks are lifted like
    /// images. This is called only if [`Channel::lifts`] is true.
    fn lift(&self, y: &[f32], out: &mut [f32]) {
        out.copy_from_slice(y);
    }

    /// True when the operator's parameters are laid out like (planes of) the signal, as masks are, and may be
    /// lifted.
    fn operator_lifts(&self) -> bool {
        false
    }

    /// Ranges of the operator's parameters that form masks: 0 for a value that is missing, 1 for one that is seen.
    /// What is read as a mask may hold nothing else.
    fn masks(&self) -> Vec<Range<usize>> {
        Vec::new()
    }

    /// Writes into `hidden [m]` how far the values of y can lie from 0 under the operator `a` although they do
    /// not depend on x: the standard deviation of their noise, 0 where nothing is left, and infinity where they do
    /// depend on x. `signal [d]` says the same of x. By default only diagonal linear channels hide values.
    fn write_hidden(&self, a: &[f32], signal: &[f64], hidden: &mut [f64]) {
        hidden.fill(f64::INFINITY);
        let Some(linear) = self.as_linear().filter(|linear| linear.is_diagonal()) else { return };
        let mut gain = vec![0.0f32; signal.len()];
        linear.apply(a, &vec![1.0; signal.len()], &mut gain);
        if gain.iter().zip(signal).all(|(gain, signal)| *gain != 0.0 && signal.is_infinite()) {
            // The noise matters only where something is hidden, and may cost d² to ask for.
            return;
        }
        let (mut matrix, mut variance) = (vec![0.0; signal.len()], vec![0.0; signal.len()]);
        linear.write_diagonal(a, &mut matrix, &mut variance);
        for (j, hidden) in hidden.iter_mut().enumerate() {
            let carried = if matrix[j] == 0.0 { 0.0 } else { matrix[j].abs() * signal[j] };
            *hidden = carried.hypot(variance[j].sqrt());
        }
    }

    /// Number of features that tell the network the operator's parameters.
    fn operator_feature_len(&self) -> usize {
        self.operator_len()
    }

    /// Writes the features of the operator's parameters `a` into `out`: by default the parameters as they are.
    fn write_operator(&self, a: &[f32], out: &mut [f32]) {
        out.copy_from_slice(a);
    }

    /// Length of the condition features c(y, a) that the network receives.
    fn condition_len(&self) -> usize {
        let y = if self.lifts() { self.signal_len() } else { self.observation_len() };
        y + self.operator_feature_len()
    }

    /// Writes the condition features c(y, a) into `c`: by default y (lifted to the signal's length where the
    /// channel can lift), then a, which distinguishes a masked coordinate from a dark one.
    fn condition(&self, y: &[f32], a: &[f32], c: &mut [f32]) {
        let (seen, operator) = c.split_at_mut(c.len() - self.operator_feature_len());
        if self.lifts() {
            self.lift(y, seen);
        } else {
            seen.copy_from_slice(y);
        }
        self.write_operator(a, operator);
    }
}

/// The values in 64 bits.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// The values in 32 bits.
pub(crate) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// [`Channel::observe_all`], a signal at a time.
fn observe_each(channel: &(impl Channel + ?Sized), x: &[f32], a: &[f32], stream: &mut Stream, y: &mut [f32]) {
    let signals = x.chunks_exact(channel.signal_len());
    signals.zip(y.chunks_exact_mut(channel.observation_len())).for_each(|(x, y)| channel.observe(x, a, stream, y));
}

/// Writes a matrix row by row into `out`.
fn write_rows(matrix: &DMatrix<f64>, out: &mut [f64]) {
    let columns = matrix.ncols();
    out.iter_mut().enumerate().for_each(|(i, v)| *v = matrix[(i / columns, i % columns)]);
}

/// A linear channel: E[y | x, a] = A x, with Gaussian noise.
pub trait LinearChannel: Channel {
    /// Writes A x into `y` (length m), without noise.
    fn apply(&self, a: &[f32], x: &[f32], y: &mut [f32]);

    /// Writes Aᵀ y into `x` (length d).
    fn adjoint(&self, a: &[f32], y: &[f32], x: &mut [f32]);

    /// Writes the variance of the noise of every value of y into `out [m]`; 0 by default.
    fn write_noise_variance(&self, _a: &[f32], out: &mut [f64]) {
        out.fill(0.0);
    }

    /// Writes Σ_y v into `out`, both of length m. A channel whose noise is correlated between the values of y overrides
    /// this and [`LinearChannel::noise_covariance`].
    fn apply_noise(&self, a: &[f32], v: &[f32], out: &mut [f32]) {
        let mut variance = vec![0.0; out.len()];
        self.write_noise_variance(a, &mut variance);
        out.iter_mut().zip(v).zip(variance).for_each(|((out, v), s)| *out = (f64::from(*v) * s) as f32);
    }

    /// Σ_y, m x m.
    fn noise_covariance(&self, a: &[f32]) -> DMatrix<f64> {
        let mut variance = vec![0.0; self.observation_len()];
        self.write_noise_variance(a, &mut variance);
        DMatrix::from_diagonal(&DVector::from_vec(variance))
    }

    /// True when Σ_y = 0 for every a.
    fn is_noiseless(&self) -> bool {
        true
    }

    /// False where this view is an approximation, since the noise depends on the signal in truth.
    fn is_exact(&self) -> bool {
        true
    }

    /// True when A is diagonal and the noise is independent across coordinates, for every a.
    fn is_diagonal(&self) -> bool {
        false
    }

    /// True when A = g I and Σ_y = v I for every a, where g and v may differ between operators.
    fn is_isotropic(&self) -> bool {
        false
    }

    /// Writes the diagonals of A and Σ_y of a diagonal channel, each `[d]`.
    fn write_diagonal(&self, a: &[f32], matrix: &mut [f64], variance: &mut [f64]) {
        let ones = vec![1.0f32; matrix.len()];
        let mut diagonal = vec![0.0f32; matrix.len()];
        self.apply(a, &ones, &mut diagonal);
        matrix.iter_mut().zip(&diagonal).for_each(|(m, &v)| *m = v as f64);
        self.write_noise_variance(a, variance);
    }

    /// The spectral view, if all operators of the channel are diagonal in one basis of images.
    fn as_spectral(&self) -> Option<&dyn SpectralChannel> {
        None
    }

    /// The channel with the operator `a` as a map with white noise after it, if the map has fast products with AᵀA of its own.
    fn as_normal<'a>(&'a self, _a: &'a [f32]) -> Option<Normal<'a>> {
        None
    }

    /// What solves systems of y = A x + n with white noise nearly, if the channel knows coordinates of y for it: conjugate
    /// gradient starts from there.
    fn preconditioner<'a>(&'a self, _a: &'a [f32]) -> Option<Preconditioner<'a>> {
        None
    }

    /// Writes A row by row into `out`, `[m, d]`.
    fn write_matrix(&self, a: &[f32], out: &mut [f64]) {
        write_rows(&self.matrix(a), out);
    }

    /// Writes Σ_y row by row into `out`, `[m, m]`.
    fn write_noise(&self, a: &[f32], out: &mut [f64]) {
        write_rows(&self.noise_covariance(a), out);
    }

    /// A, m x d, computed column by column with [`LinearChannel::apply`].
    fn matrix(&self, a: &[f32]) -> DMatrix<f64> {
        let (d, m) = (self.signal_len(), self.observation_len());
        let (mut basis, mut column) = (vec![0.0f32; d], vec![0.0f32; m]);
        let mut matrix = DMatrix::zeros(m, d);
        for j in 0..d {
            basis[j] = 1.0;
            self.apply(a, &basis, &mut column);
            basis[j] = 0.0;
            matrix.column_mut(j).iter_mut().zip(&column).for_each(|(e, &v)| *e = v as f64);
        }
        matrix
    }
}
