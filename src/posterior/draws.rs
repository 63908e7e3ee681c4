//! Draws from a posterior, a sampler step at a time.

use super::trained::Posterior;
use crate::denoiser::{Denoiser, to_samples, to_samples_async, to_tensor};
use crate::error::{Error, Result};
use crate::method::Conditions;
use crate::network::NetworkSpec;
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::sampler::{Chain, Progress};
use crate::samples::Samples;
use burn::tensor::Tensor;
use std::ops::ControlFlow;

/// Fewest rows that a network call is given: a matrix with a single row takes another path in the multiplication, with
/// another order of summation.
const MIN_ROWS: usize = 8;

/// A row of a batch of draws: which observation, and which noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Place among the observations.
    pub observation: usize,
    /// Noise key of the draw.
    pub key: Key,
    /// Index of its stream: the step is added to it.
    pub index: usize,
}

impl Row {
    /// Draw `draw` of observation `observation` for a seed. This is the one convention of noise keys: the command line, its
    /// figures and the browser draw the same.
    pub fn of(seed: u64, observation: usize, draw: usize) -> Self {
        Self { observation, key: Key::new(seed, Purpose::Draw, draw), index: observation }
    }
}

/// Draws on their way from σ_max to σ_min, see [`Posterior::begin`].
pub struct Draws {
    /// How many were asked for.
    n: usize,
    /// These, and copies of the last one up to the fewest rows a network call takes.
    rows: Vec<Row>,
    conditions: Box<dyn Conditions>,
    /// Least and greatest value of each coordinate, `[1, d]`, where signals have a range.
    bounds: Option<[Tensor<2>; 2]>,
    chain: Chain,
}

impl Draws {
    /// Number of draws.
    pub fn n(&self) -> usize {
        self.n
    }

    /// True when only the last network call is left, see [`Posterior::last`].
    pub fn is_done(&self) -> bool {
        self.chain.is_done()
    }

    /// What the last step left, standardized and with rows beyond [`Draws::n`] to be dropped ([`Posterior::restore`] does
    /// both); `None` before the first.
    pub fn progress(&self) -> Option<Progress<'_>> {
        self.chain.progress()
    }
}

/// Stepwise sampling, for callers that do something else between two steps, such as a browser.
impl<S: NetworkSpec> Posterior<S> {
    /// Draws at σ_max for `rows` (one or more) of `observations`.
    ///
    /// A draw is a function of its row alone: neither the other rows nor their number change a bit.
    pub fn begin(&self, observations: &Observations, mut rows: Vec<Row>) -> Draws {
        let n = rows.len();
        rows.extend(rows.last().copied().into_iter().cycle().take(MIN_ROWS.saturating_sub(n)));
        let grid = self.model.sampler.grid(&self.model.schedule);
        let start = self.noise(&rows, 0) * grid[0];
        let context = self.context();
        let bounds = context.conditioning.bounds();
        let bounds = bounds.map(|bounds| bounds.map(|bound| to_tensor(&bound, &self.device)));
        let places: Vec<usize> = rows.iter().map(|row| row.observation).collect();
        let conditions = self.model.method.learning().condition(context, observations, &places);
        Draws { n, rows, conditions, bounds, chain: Chain::new(grid, start) }
    }

    /// Takes one sampler step; reads nothing from the device.
    pub fn advance(&self, draws: Draws) -> Draws {
        let Draws { n, rows, conditions, bounds, chain } = draws;
        let denoiser = self.denoiser(conditions.as_ref(), bounds.as_ref());
        let sampler = self.model.sampler.build();
        let chain = chain.step(sampler.as_ref(), denoiser.as_ref(), &mut |step| self.noise(&rows, step + 1));
        drop(denoiser);
        Draws { n, rows, conditions, bounds, chain }
    }

    /// D at the level reached, on the device; [`Posterior::restore`] makes signals of it.
    pub fn last(&self, draws: Draws) -> Tensor<2> {
        let Draws { conditions, bounds, chain, .. } = draws;
        chain.finish(self.denoiser(conditions.as_ref(), bounds.as_ref()).as_ref())
    }

    /// The first `n` rows of `x`, from standardized coordinates to the signal's.
    pub fn restore(&self, x: &Samples, n: usize) -> Samples {
        self.standardizer.restore(&x.slice(0..n))
    }

    /// [`Posterior::restore`] of a device tensor where reads cannot block, as in a browser.
    pub async fn read(&self, x: Tensor<2>, n: usize) -> Result<Samples> {
        Ok(self.restore(&to_samples_async(x).await?, n))
    }

    /// All steps of the draws of `rows`, `[len, d]`, with a callback after each step that may stop them.
    pub fn draw(
        &self,
        observations: &Observations,
        rows: Vec<Row>,
        on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Samples> {
        let mut draws = self.begin(observations, rows);
        while !draws.is_done() {
            draws = self.advance(draws);
            if draws.progress().is_some_and(|progress| on_step(progress).is_break()) {
                return Err(Error::Stopped);
            }
        }
        let n = draws.n();
        Ok(self.restore(&to_samples(self.last(draws))?, n))
    }

    fn noise(&self, rows: &[Row], step: usize) -> Tensor<2> {
        let mut noise = Samples::zeros(rows.len(), self.model.channel.signal_len());
        for (i, row) in rows.iter().enumerate() {
            row.key.stream(row.index, step).fill_normal(noise.row_mut(i));
        }
        to_tensor(&noise, &self.device)
    }

    /// The denoiser under `conditions`, one observation per row, clamped to the range of the signals.
    fn denoiser<'d>(
        &'d self,
        conditions: &'d dyn Conditions,
        bounds: Option<&'d [Tensor<2>; 2]>,
    ) -> Box<dyn Denoiser + 'd> {
        let denoiser = conditions.denoiser(self.context());
        let Some([low, high]) = bounds else {
            return denoiser;
        };
        Box::new(move |x_t: Tensor<2>, sigma: f64| {
            let shape = x_t.dims();
            denoiser.denoise(x_t, sigma).max_pair(low.clone().expand(shape)).min_pair(high.clone().expand(shape))
        })
    }
}
