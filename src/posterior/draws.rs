//! Draws from a posterior, one sampler step at a time.

use super::trained::Posterior;
use crate::denoiser::{Denoiser, to_samples, to_samples_async, to_tensor};
use crate::error::{Error, Result};
use crate::kernels;
use crate::method::{Conditions, Context};
use crate::network::NetworkSpec;
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::sampler::{Chain, Progress};
use crate::samples::Samples;
use burn::tensor::Tensor;
use std::ops::ControlFlow;

/// Minimum number of rows per network call: the product with a single-row matrix takes a different code path,
/// with a different order of summation.
const MIN_ROWS: usize = 8;

/// Step of the noise that the draw at the last level adds; no sampler takes that many.
const LAST: usize = u32::MAX as usize;

/// One row of a batch of draws: its observation and its noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Place among the observations.
    pub observation: usize,
    /// Noise key of the draw.
    pub key: Key,
    /// Index of its stream, to which the step is added.
    pub index: usize,
}

impl Row {
    /// Draw `draw` of observation `observation` for a seed. This is the only convention for noise keys, so
    /// the command line, its figures and the browser produce the same draws.
    pub fn of(seed: u64, observation: usize, draw: usize) -> Self {
        Self { observation, key: Key::new(seed, Purpose::Draw, draw), index: observation }
    }
}

/// Draws in progress from σ_max to σ_min, see [`Posterior::begin`].
pub struct Draws {
    /// Number of draws requested.
    n: usize,
    /// The rows of these draws, and copies of the last one up to the minimum number of rows per network call.
    rows: Vec<Row>,
    prepared: Prepared,
    chain: Chain,
}

/// What the denoiser of a batch needs besides the network.
struct Prepared {
    conditions: Box<dyn Conditions>,
    /// The same observations for the network of the previous lap, in an over-relaxed E-step.
    previous: Option<Box<dyn Conditions>>,
    /// Smallest and largest value of each coordinate, `[1, d]`, where signals have a range.
    bounds: Option<[Tensor<2>; 2]>,
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

    /// State after the last step; `None` before the first step. It is standardized and may have rows beyond
    /// [`Draws::n`]; [`Posterior::restore`] converts it to signals and drops them.
    pub fn progress(&self) -> Option<Progress<'_>> {
        self.chain.progress()
    }
}

/// Stepwise sampling for callers that do something else between two steps, such as a browser.
impl<S: NetworkSpec> Posterior<S> {
    /// Begins draws at σ_max for `rows` (one or more) of `observations`.
    ///
    /// A draw is a function of its row alone: neither the other rows nor their number change a bit of it.
    pub fn begin(&self, observations: &Observations, mut rows: Vec<Row>) -> Draws {
        let n = rows.len();
        rows.extend(rows.last().copied().into_iter().cycle().take(MIN_ROWS.saturating_sub(n)));
        let grid = self.model.sampler.grid(&self.model.schedule);
        let start = self.noise(&rows, 0) * grid[0];
        let context = self.context();
        let bounds = context.conditioning.bounds();
        let bounds = bounds.map(|bounds| bounds.map(|bound| to_tensor(&bound, &self.device)));
        let places: Vec<usize> = rows.iter().map(|row| row.observation).collect();
        let condition = |context: Context<'_>| self.model.method.learning().condition(context, observations, &places);
        let (conditions, previous) = (condition(context), self.previous_context().map(condition));
        Draws { n, rows, prepared: Prepared { conditions, previous, bounds }, chain: Chain::new(grid, start) }
    }

    /// Takes one sampler step; reads nothing from the device.
    pub fn advance(&self, draws: Draws) -> Draws {
        let Draws { n, rows, prepared, chain } = draws;
        let sampler = self.model.sampler.build();
        let noise = &mut |step| self.noise(&rows, step + 1);
        let chain = chain.step(sampler.as_ref(), self.denoiser(&prepared).as_ref(), noise);
        Draws { n, rows, prepared, chain }
    }

    /// The draws themselves once [`Draws::is_done`], on the device; [`Posterior::restore`] converts them to
    /// signals.
    pub fn last(&self, draws: Draws) -> Tensor<2> {
        let Draws { rows, prepared, chain, .. } = draws;
        let stream = |i: usize| rows[i].key.stream(rows[i].index, LAST);
        let remainder = prepared.conditions.remainder(self.context(), chain.sigma(), &stream);
        let mean = chain.finish(self.denoiser(&prepared).as_ref());
        match remainder {
            Some(remainder) => within(mean + remainder, prepared.bounds.as_ref()),
            None => mean,
        }
    }

    /// Returns the first `n` rows of `x`, converted from standardized coordinates to those of the signal.
    pub fn restore(&self, x: &Samples, n: usize) -> Samples {
        self.standardizer.restore(&x.slice(0..n))
    }

    /// [`Posterior::restore`] of a device tensor, for platforms where reads cannot block, such as a browser.
    pub async fn read(&self, x: Tensor<2>, n: usize) -> Result<Samples> {
        Ok(self.restore(&to_samples_async(x).await?, n))
    }

    /// Takes all steps of the draws of `rows`, `[len, d]`; a callback after each step may stop them.
    pub fn draw(
        &self,
        observations: &Observations,
        rows: Vec<Row>,
        on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Samples> {
        let n = rows.len();
        Ok(self.restore(&to_samples(self.drawn(observations, rows, on_step)?)?, n))
    }

    /// What [`Posterior::draw`] reads: standardized, on the device, and with rows beyond those of `rows`.
    pub(super) fn drawn(
        &self,
        observations: &Observations,
        rows: Vec<Row>,
        on_step: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Tensor<2>> {
        let mut draws = self.begin(observations, rows);
        while !draws.is_done() {
            draws = self.advance(draws);
            if draws.progress().is_some_and(|progress| on_step(progress).is_break()) {
                return Err(Error::Stopped);
            }
        }
        Ok(self.last(draws))
    }

    fn noise(&self, rows: &[Row], step: usize) -> Tensor<2> {
        let mut noise = Samples::zeros(rows.len(), self.model.channel.signal_len());
        for (i, row) in rows.iter().enumerate() {
            row.key.stream(row.index, step).fill_normal(noise.row_mut(i));
        }
        to_tensor(&noise, &self.device)
    }

    /// The denoiser of a batch, one observation per row, clamped to the range of the signals.
    fn denoiser<'d>(&'d self, prepared: &'d Prepared) -> Box<dyn Denoiser + 'd> {
        let newest = prepared.conditions.denoiser(self.context());
        let older = prepared.previous.as_ref().zip(self.previous_context()).map(|(c, context)| c.denoiser(context));
        Box::new(move |x_t: Tensor<2>, sigma: f64| {
            let mut mean = newest.denoise(x_t.clone(), sigma);
            if let Some(older) = &older {
                let change = mean.clone() - older.denoise(x_t, sigma);
                mean = mean + change * (self.relaxation() - 1.0);
            }
            within(mean, prepared.bounds.as_ref())
        })
    }
}

/// Clamps every row of `x` to the range of the signals, where they have one.
fn within(x: Tensor<2>, bounds: Option<&[Tensor<2>; 2]>) -> Tensor<2> {
    match bounds {
        Some([low, high]) => kernels::clip(x, low, high),
        None => x,
    }
}
