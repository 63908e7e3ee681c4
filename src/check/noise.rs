//! Whether observations are as noisy as the channel says.
//!
//! Two things bound the noise without the truth. A value of y varies between rows at least as much as its noise does.
//! And in images of a channel of masks and noise, the diagonal detail of four neighbors (Haar's, of an orthonormal
//! basis) has the noise's standard deviation where the image is smooth, and a larger one elsewhere. Its quantiles
//! relative to those of a normal distribution therefore bound the noise from above, and are its standard deviation
//! where they agree, as those of images do not: their details are mostly small and sometimes large (Donoho &
//! Johnstone 1994 take the median).

use super::inspection::Inspection;
use super::tally::{Hidden, Span, Tally, operator};
use super::told::{Y, first_of};
use crate::channel::{Channel, LinearChannel};
use crate::error::Warning;
use crate::image::ImageShape;
use crate::samples::Samples;

/// Rows whose noise is asked for.
const ROWS: usize = 16;
/// Relative difference up to which the noise of all values is the same.
const EQUAL: f64 = 0.01;
/// Details that are enough for a quantile, and those that are more than enough.
const DETAILS: [usize; 2] = [1000, 200_000];
/// Quantiles of the absolute value of a standard normal: at a quarter, one half and three quarters.
const QUANTILES: [(f64, f64); 3] = [(0.25, 0.3186), (0.5, 0.6745), (0.75, 1.1503)];
/// Ratio of the outer two estimates up to which the details are normal. It is 1.33 for Laplace's distribution.
const NORMAL: f64 = 1.1;
/// Factor by which the noise must differ from the channel's.
const FACTOR: f64 = 2.0;
/// Standard deviation of noise, relative to that of the values, below which it hardly matters. Pictures that are
/// rounded to whole levels are often given such a noise instead of none.
const LITTLE: f64 = 0.05;
/// Rows that show a value from which its standard deviation is known well enough.
const MIN_SEEN: usize = 50;

/// The noise of observations of a linear channel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Noise {
    /// Standard deviation that the channel says, the same for all values; `None` where it differs between them.
    pub stated: Option<f64>,
    /// Standard deviations by the smaller, the middle and the larger differences of neighboring pixels: upper bounds of
    /// the noise, and the noise itself where they agree. `None` where the observations are no images or hide too much.
    pub details: Option<[f64; 3]>,
    /// The first value that varies less than half as much as its noise, though it varies, and how many do.
    pub still: Option<(usize, usize)>,
    /// Standard deviation of that value, and of all values.
    spread: [f64; 2],
}

impl Noise {
    /// Measures the noise of the observations (y, a) of a linear `channel`; `None` for others.
    pub(super) fn of(
        channel: &dyn Channel,
        tally: &Tally,
        (y, a): (&Samples, Option<&Samples>),
        inspection: &Inspection,
    ) -> Option<Self> {
        // What is seen of a signal that decides it varies less, and what is unknown is not stated.
        let linear = channel.as_linear().filter(|_| !channel.sees_signal() && channel.unknown_noise() == 0)?;
        let stated = stated(linear, (y, a));
        let image = inspection.image.or(channel.signal_image()).filter(|shape| shape.len() == y.d());
        let image = image.filter(|_| linear.is_diagonal() && keeps_values(linear, operator(a, 0)));
        let details = image.and_then(|shape| estimates(details(channel, (y, a), shape)));
        let limit = stated.map_or(0.0, |stated| stated / FACTOR);
        // Constant values are told as such.
        let is_still = |column: &Span| column.count >= MIN_SEEN && !column.is_constant() && column.std() < limit;
        let still: Vec<usize> = (0..y.d()).filter(|j| is_still(&tally.columns[*j])).collect();
        let least = still.first().map_or(0.0, |j| tally.columns[*j].std());
        let still = still.first().map(|j| (*j, still.len()));
        Some(Self { stated, details, still, spread: [least, tally.seen.std()] })
    }

    /// True where the noise that the channel says matters at the scale of the values.
    fn matters(&self, std: f64) -> bool {
        std > LITTLE * self.spread[1]
    }

    /// Warns where the noise is surely not that of the channel.
    pub(super) fn warning(&self) -> Option<Warning> {
        let stated = self.stated?;
        let message = match self.details {
            Some([low, middle, high]) if high <= NORMAL * low && middle > FACTOR * stated && self.matters(middle) => {
                format!(
                    "neighboring pixels differ as if by noise of {middle:.2e}, and the channel says {stated:.2e}: raise std \
                     of its stage \"noise\""
                )
            }
            Some([_, _, high]) if FACTOR * high < stated && self.matters(stated) => format!(
                "neighboring pixels differ by too little for the noise of {stated:.2e} that the channel says, at most \
                 {high:.2e}: lower std of its stage \"noise\", or scale the pixels"
            ),
            _ => {
                let (j, count) = self.still.filter(|_| self.matters(stated))?;
                format!(
                    "value {j}{} varies by {:.2e}, less than the noise of {stated:.2e} that the channel adds to it: lower std \
                     of its stage \"noise\", or scale the values",
                    first_of(count),
                    self.spread[0]
                )
            }
        };
        Some(Warning { what: Y, message })
    }
}

/// Places of at most `count` rows of n, spread over all.
fn spread(n: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(n.div_ceil(count).max(1))
}

/// The standard deviation of the noise of the values that are seen, if it is the same for all.
fn stated(linear: &dyn LinearChannel, (y, a): (&Samples, Option<&Samples>)) -> Option<f64> {
    // Only a diagonal channel tells its noise at once.
    let rows = if linear.is_diagonal() { ROWS } else { 1 };
    let (mut least, mut most) = (f64::INFINITY, 0.0f64);
    let (mut matrix, mut variance) = (vec![0.0; linear.signal_len()], vec![0.0; y.d()]);
    let mut hidden = vec![0.0; y.d()];
    for i in spread(y.n(), rows) {
        let a = operator(a, i);
        match linear.is_diagonal() {
            true => linear.write_diagonal(a, &mut matrix, &mut variance),
            false => linear.write_noise_variance(a, &mut variance),
        }
        linear.write_hidden(a, &vec![f64::INFINITY; linear.signal_len()], &mut hidden);
        for (v, _) in variance.iter().zip(&hidden).filter(|(_, hidden)| hidden.is_infinite()) {
            (least, most) = (least.min(*v), most.max(*v));
        }
    }
    (least <= most && most - least <= EQUAL * most).then(|| most.sqrt())
}

/// True where A is 1 for every value that it shows.
fn keeps_values(linear: &dyn LinearChannel, a: &[f32]) -> bool {
    let d = linear.signal_len();
    let (mut matrix, mut variance) = (vec![0.0; d], vec![0.0; d]);
    linear.write_diagonal(a, &mut matrix, &mut variance);
    matrix.iter().all(|gain| *gain == 0.0 || (gain - 1.0).abs() < 1e-6)
}

/// Absolute diagonal details (p - q - r + s) / 2 of squares of pixels that are all seen.
fn details(channel: &dyn Channel, (y, a): (&Samples, Option<&Samples>), shape: ImageShape) -> Vec<f32> {
    let ImageShape { height, width, .. } = shape;
    let (mut hidden, mut found) = (Hidden::new(channel), Vec::new());
    // Rows from all over the file, since neighbors in it may be alike.
    let stride = (y.n() / ROWS).max(1);
    for i in (0..stride).flat_map(|from| (from..y.n()).step_by(stride)) {
        let (hidden, y) = (hidden.of(operator(a, i)), y.row(i));
        for plane in (0..y.len()).step_by(height * width) {
            for corner in (0..height.saturating_sub(1)).flat_map(|r| (1..width).map(move |c| plane + r * width + c - 1))
            {
                let square = [corner, corner + 1, corner + width, corner + width + 1];
                if square.iter().all(|at| hidden[*at].is_infinite()) {
                    let [p, q, r, s] = square.map(|at| y[at]);
                    found.push((0.5 * (p - q - r + s)).abs());
                }
            }
        }
        if found.len() >= DETAILS[1] {
            break;
        }
    }
    found
}

/// The noise by each of the [`QUANTILES`] of the details; `None` for too few.
fn estimates(mut details: Vec<f32>) -> Option<[f64; 3]> {
    if details.len() < DETAILS[0] {
        return None;
    }
    details.sort_unstable_by(f32::total_cmp);
    let last = (details.len() - 1) as f64;
    Some(QUANTILES.map(|(share, normal)| f64::from(details[(share * last) as usize]) / normal))
}
