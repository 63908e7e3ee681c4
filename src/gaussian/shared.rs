//! Observations that share one operator: their posteriors share gain and covariance, and exact EM needs only
//! the moments m_y and S_y of y:
//!
//! ```text
//! m⁺ = m + K (m_y - A m),  S⁺ = K S_y Kᵀ + (I - K A) S
//! ```
//!
//! An iteration costs a few products of d x d matrices, regardless of the number of observations.

use super::closed_form::Gaussian;
use crate::channel::Channel;
use crate::channel::LinearGaussian;
use crate::error::{Error, Result};
use crate::noise::Key;
use crate::parallel;
use crate::samples::Samples;
use nalgebra::{DMatrix, DVector};

/// Number of rows that one worker processes at a time.
const SHARD: usize = 256;
/// Maximum length of signals whose observations are processed one by one even if they share their operator.
const MAX_SINGLE: usize = 64;

/// The operator that all observations of `channel` share, if it is worthwhile to treat them together.
pub(super) fn shared_model(channel: &dyn Channel) -> Result<Option<LinearGaussian>> {
    if channel.operator_len() > 0 || channel.signal_len() <= MAX_SINGLE {
        return Ok(None);
    }
    let model = channel.linear_gaussian(&[]).ok_or(Error::NotLinear("a Gaussian posterior"))?;
    let silent = |i: usize| model.matrix.row(i).amax() == 0.0 && model.covariance[(i, i)] == 0.0;
    Ok((!(0..model.matrix.nrows()).any(silent)).then_some(model))
}

/// Rows `range` of `y`, as columns.
fn columns(y: &Samples, range: std::ops::Range<usize>) -> DMatrix<f64> {
    let values = y.as_slice()[range.start * y.d()..range.end * y.d()].iter().map(|&v| v as f64);
    DMatrix::from_iterator(y.d(), range.len(), values)
}

/// Results of `f` for the index range of every shard, in order.
fn shards<T: Send>(n: usize, f: impl Fn(std::ops::Range<usize>) -> T + Sync + Send) -> Vec<T> {
    parallel::map(n.div_ceil(SHARD), |shard| f(shard * SHARD..n.min((shard + 1) * SHARD)))
}

/// Mean and covariance of the rows of `y`.
pub(crate) fn moments(y: &Samples) -> Gaussian {
    let (n, m) = (y.n() as f64, y.d());
    let sums = shards(y.n(), |range| columns(y, range).column_sum());
    let mean = sums.into_iter().sum::<DVector<f64>>() / n;
    // One shard's product at a time: all of them at once would need n / 256 matrices.
    let mut covariance = DMatrix::zeros(m, m);
    for start in (0..y.n()).step_by(SHARD) {
        let mut centered = columns(y, start..y.n().min(start + SHARD));
        centered.column_iter_mut().for_each(|mut column| column -= &mean);
        covariance.gemm(1.0 / n, &centered, &centered.transpose(), 1.0);
    }
    Gaussian { mean, covariance }
}

/// Runs `iterations` iterations of exact EM from `prior` on the observations `y [n, m]`.
pub(super) fn fit(mut prior: Gaussian, model: &LinearGaussian, y: &Samples, iterations: usize) -> Result<Gaussian> {
    let observed = moments(y);
    for _ in 0..iterations {
        prior = prior.em_update(model, &observed)?;
        // Symmetrizing keeps the rounding errors of the products from accumulating.
        prior.covariance = (&prior.covariance + prior.covariance.transpose()) * 0.5;
    }
    Ok(prior)
}

/// Writes the posterior means of `y [n, m]` into `out [n, d]` or, with `key`, one posterior draw per
/// observation, keyed by its index.
pub(super) fn posteriors(
    prior: &Gaussian,
    model: &LinearGaussian,
    y: &Samples,
    key: Option<Key>,
    out: &mut Samples,
) -> Result<()> {
    let (gain, covariance) = prior.gain(model)?;
    let root = key.map(|key| (key, Gaussian { mean: prior.mean.clone(), covariance }.root()));
    let offset = &prior.mean - &gain * (&model.matrix * &prior.mean);
    let d = prior.d();
    parallel::fill_rows(out, SHARD, |range| {
        let mut x = &gain * columns(y, range.clone());
        if let Some((key, root)) = &root {
            let mut noise = DMatrix::zeros(d, range.len());
            for (i, mut column) in range.zip(noise.column_iter_mut()) {
                let mut stream = key.stream(i, 0);
                column.iter_mut().for_each(|v| *v = stream.normal() as f64);
            }
            x += root * noise;
        }
        x.column_iter_mut().for_each(|mut column| column += &offset);
        Ok(x.iter().map(|&v| v as f32).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{BlurConfig, ChannelConfig, Compose, NoiseConfig};
    use crate::image::ImageShape;
    use crate::noise::Purpose;
    use crate::observations::Observations;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 9, width: 8 };

    /// Signals of three directions plus noise, blurred.
    fn setup(n: usize) -> (Compose, Observations) {
        let channel = ChannelConfig(vec![BlurConfig { sigma: 1.0 }.into(), NoiseConfig { std: 0.1.into() }.into()]);
        let channel = channel.build_image(SHAPE).unwrap();
        let mut x = Samples::zeros(n, SHAPE.len());
        for i in 0..n {
            let mut stream = Key::new(1, Purpose::Truth, 0).stream(i, 0);
            let z: [f32; 3] = std::array::from_fn(|_| stream.normal());
            let wave =
                |j: usize| z.iter().enumerate().map(|(p, z)| z * (0.3 * (j * (p + 1)) as f32).sin()).sum::<f32>();
            x.row_mut(i).iter_mut().enumerate().for_each(|(j, v)| *v = 0.5 + wave(j) + 0.2 * stream.normal());
        }
        let seen = Observations::simulate(&channel, &x, Key::new(1, Purpose::Observe, 0), 0);
        (channel, seen)
    }

    #[test]
    fn together_is_what_one_by_one_gives() {
        let (channel, seen) = setup(300);
        let model = shared_model(&channel).unwrap().expect("one operator for all");
        let start = Gaussian::isotropic(SHAPE.len(), 1.0);
        let (mut one_by_one, together) = (start.clone(), fit(start, &model, &seen.y, 2).unwrap());
        for _ in 0..2 {
            one_by_one = one_by_one.em_iteration(&channel, &seen).unwrap();
        }
        assert!((&one_by_one.mean - &together.mean).amax() < 1e-9);
        assert!((&one_by_one.covariance - &together.covariance).amax() < 1e-9);
        let mut means = Samples::zeros(seen.n(), SHAPE.len());
        posteriors(&together, &model, &seen.y, None, &mut means).unwrap();
        for i in [0, 255, 256, 299] {
            let exact = together.posterior_of(&channel, &seen, i).unwrap().mean;
            assert!(means.row(i).iter().zip(&exact).all(|(a, b)| (*a as f64 - b).abs() < 1e-6), "observation {i}");
        }
    }

    #[test]
    fn draws_have_the_posterior_s_moments() {
        let (channel, seen) = setup(40);
        let model = shared_model(&channel).unwrap().expect("one operator for all");
        let prior = fit(Gaussian::isotropic(SHAPE.len(), 1.0), &model, &seen.y, 4).unwrap();
        let n = 4000;
        let repeated = seen.y.select(&vec![7; n]);
        let (mut draws, key) = (Samples::zeros(repeated.n(), SHAPE.len()), Key::new(3, Purpose::Start, 0));
        posteriors(&prior, &model, &repeated, Some(key), &mut draws).unwrap();
        let (found, exact) = (moments(&draws), prior.posterior_of(&channel, &seen, 7).unwrap());
        let most = exact.covariance.amax();
        // Five standard errors: √(v / n) of a mean, at most √2 v / √n of a covariance.
        assert!((&found.mean - &exact.mean).amax() < 5.0 * (most / n as f64).sqrt());
        assert!((&found.covariance - &exact.covariance).amax() < 5.0 * 1.5 * most / (n as f64).sqrt());
    }
}
