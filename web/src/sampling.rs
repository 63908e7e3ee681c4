//! Posterior draws of one observation, a sampler step at a time, and corruption of one signal.

use crate::options::{ObserveOptions, SampleOptions};
use diffem::channel::Channel;
use diffem::noise::{Key, Purpose};
use diffem::posterior::{Draws, Row};
use diffem::{Error, Observations, Posterior, Result, Samples};

/// Most values of all draws together.
const MAX_VALUES: usize = 1 << 26;

/// Draws under way. Draw k has the noise of draw k of `diffem sample`.
pub struct Sampling {
    posterior: Posterior,
    draws: Option<Draws>,
    n: usize,
}

/// Where a chain stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo {
    /// Steps taken.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// σ reached.
    pub sigma: f64,
}

/// One row of `values`, which must be `d` finite numbers.
pub(crate) fn row(name: &str, values: Vec<f32>, d: usize) -> Result<Samples> {
    if values.len() != d {
        return Err(Error::shape(name, format!("{d} numbers"), values.len()));
    }
    if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::shape(format!("{name}[{i}]"), "a finite number", values[i]));
    }
    Ok(Samples::new(values, d))
}

/// The operator's parameters, which a channel without parameters has none of.
fn operator(channel: &dyn Channel, a: Vec<f32>) -> Result<Option<Samples>> {
    match channel.operator_len() {
        0 if a.is_empty() => Ok(None),
        k => row("a", a, k.max(1)).map(Some),
    }
}

impl Sampling {
    /// Draws of x given `y [m]` and `a [k]` (empty for channels without parameters), before the first step.
    ///
    /// # Errors
    /// Arrays of another length, numbers that are not finite, options outside their ranges.
    pub fn new(posterior: &Posterior, y: Vec<f32>, a: Vec<f32>, options: &SampleOptions) -> Result<Self> {
        options.validate()?;
        let channel = posterior.model().channel.as_ref();
        let n = options.draws;
        if n * channel.signal_len() > MAX_VALUES {
            let most = MAX_VALUES / channel.signal_len();
            return Err(Error::config("draws", format!("expected at most {most} of this signal, found {n}")));
        }
        let sampler = options.sampler(&posterior.model().sampler)?;
        let posterior = posterior.clone().with_sampler(sampler)?;
        let seen = Observations::new(channel, row("y", y, channel.observation_len())?, operator(channel, a)?)?;
        let rows = (0..n)
            .map(|draw| Row { observation: 0, ..Row::of(options.seed, options.index, options.first + draw) })
            .collect();
        let draws = posterior.begin(&seen, rows);
        Ok(Self { posterior, draws: Some(draws), n })
    }

    /// Takes one sampler step; `None` when all are taken.
    pub fn advance(&mut self) -> Option<StepInfo> {
        let draws = self.draws.take_if(|draws| !draws.is_done())?;
        let draws = self.posterior.advance(draws);
        let info = draws.progress().map(|p| StepInfo { step: p.index + 1, steps: p.steps, sigma: p.sigma });
        self.draws = Some(draws);
        info
    }

    /// x at the σ reached and the denoiser's mean at the level before, each `[draws, d]`; `None` before the first step.
    ///
    /// # Errors
    /// A device that fails.
    pub async fn state(&self) -> Result<Option<(Samples, Samples)>> {
        let Some(progress) = self.draws.as_ref().and_then(Draws::progress) else {
            return Ok(None);
        };
        let (x, mean) = (progress.x.clone(), progress.denoised.clone());
        Ok(Some((self.posterior.read(x, self.n).await?, self.posterior.read(mean, self.n).await?)))
    }

    /// Takes the steps that are left and the last network call: the draws, `[draws, d]`.
    ///
    /// # Errors
    /// A device that fails; draws that are not finite.
    pub async fn finish(mut self) -> Result<Samples> {
        while self.advance().is_some() {}
        let Some(draws) = self.draws.take() else {
            return Err(Error::Stopped);
        };
        let x = self.posterior.read(self.posterior.last(draws), self.n).await?;
        match x.as_slice().iter().all(|v| v.is_finite()) {
            true => Ok(x),
            false => Err(Error::shape("draws", "finite numbers", "NaN or infinity")),
        }
    }
}

/// Corrupts `x [d]` as `diffem corrupt` does the first row of a file; `a` fixes the operator and leaves the noise as it is.
///
/// # Errors
/// Arrays of another length, numbers that are not finite, a channel of other lengths than the posterior's.
pub fn observe(
    posterior: &Posterior,
    x: Vec<f32>,
    a: Option<Vec<f32>>,
    options: &ObserveOptions,
) -> Result<Observations> {
    let own = posterior.model().channel.as_ref();
    let other = options.channel.as_ref().map(|stages| match posterior.model().image {
        Some(shape) => stages.build_image(shape),
        None => stages.build(own.signal_len()),
    });
    let other = other.transpose()?;
    let channel = other.as_ref().map_or(own, |other| other);
    let lengths = |c: &dyn Channel| (c.observation_len(), c.operator_len());
    if lengths(channel) != lengths(own) {
        let show = |(m, k): (usize, usize)| format!("observations of length {m} with {k} parameters");
        return Err(Error::shape("channel", show(lengths(own)), show(lengths(channel))));
    }
    let x = row("x", x, own.signal_len())?;
    let mut stream = Key::new(options.seed, Purpose::Observe, 0).stream(0, 0);
    let (mut y, mut drawn) = (vec![0.0; channel.observation_len()], vec![0.0; channel.operator_len()]);
    let a = match a {
        Some(a) => {
            channel.draw_operator(&mut stream, &mut drawn);
            let a = operator(channel, a)?;
            channel.observe(x.row(0), a.as_ref().map_or(&[], |a| a.row(0)), &mut stream, &mut y);
            a
        }
        None => {
            channel.corrupt(x.row(0), &mut stream, &mut drawn, &mut y);
            operator(channel, drawn)?
        }
    };
    Observations::new(channel, Samples::new(y, channel.observation_len()), a)
}
