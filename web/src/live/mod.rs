//! Learning a curve from corrupted points, a piece of work at a time: some optimizer steps of an M-step, or one sampler step
//! of an E-step for all observations at once. The reconstructions are those of `diffem train` with the same settings. What a device
//! has computed is awaited, because WebGPU in a browser cannot be read at once; on the CPU nothing ever waits.

mod config;
mod drawing;
mod score;

pub use config::LiveConfig;
use config::{RunData, Settings};
pub use score::{LiveScore, LiveScorer};

use crate::options::SampleOptions;
use crate::sampling::Sampling;
use burn::tensor::{Device, Tensor};
use diffem::channel::{Channel, Compose};
use diffem::em::{self, Event, MStep, MStepConfig, State, Trainer};
use diffem::posterior::Draws;
use diffem::synthetic::{self, Counts, Curve, Drawn, Law};
use diffem::{Em, Error, Observations, Result, Samples};
use serde::Serialize;
use std::ops::ControlFlow;

/// Points of each truth sample.
const TRUTH: usize = 2048;
/// Laps before `later_learning_rate` holds.
const EARLY: usize = 3;
/// Optimizer steps between two reads of their losses, as in a run of the core.
const LOG_EVERY: usize = 25;

/// What a piece of work belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The first reconstructions.
    Start,
    /// Training.
    MStep,
    /// Reconstructing.
    EStep,
    /// All laps are over.
    Done,
}

/// What a piece of work did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LiveProgress {
    /// The phase it belonged to.
    pub phase: Phase,
    /// Laps finished.
    pub lap: usize,
    /// Of the phase, in [0, 1].
    pub fraction: f64,
    /// Mean loss (training).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// σ reached (reconstructing).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// The points on their way, `[n, d]` (reconstructing, and the start).
    #[serde(skip)]
    pub cloud: Option<Samples>,
}

impl LiveProgress {
    fn new(phase: Phase, lap: usize, fraction: f64) -> Self {
        Self { phase, lap, fraction, loss: None, sigma: None, cloud: None }
    }
}

/// A run of a few laps on a curve.
pub struct LiveTraining {
    settings: Settings,
    trainer: Trainer,
    m_step: MStepConfig,
    /// Trainer and settings of the laps after [`EARLY`], where these have a learning rate of their own.
    later: Option<(Trainer, MStepConfig)>,
    truth: Samples,
    state: Option<State>,
    /// The E-step under way.
    draws: Option<Draws>,
}

impl LiveTraining {
    /// Draws signals and observations; nothing is learned yet.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn new(config: &LiveConfig, seed: u64, device: Device) -> Result<Self> {
        let settings = Settings::new(config, seed)?;
        let (channel, Drawn { observations, u: [truth, ..], .. }) = drawn(&settings, config.observations, seed)?;
        let d = channel.signal_len();
        settings.init.validate(&channel)?;
        let trainer = |m_step: &MStepConfig| {
            Em::new(settings.channel.build(d)?, observations.clone())
                .network(settings.network.clone())
                .schedule(settings.schedule.clone())
                .conditioning(settings.conditioning.clone())
                .method(settings.method.clone())
                .em(settings.em.clone())
                .m_step(m_step.clone())
                .e_step(settings.e_step.clone())
                .monitor(settings.monitor.clone())
                .seed(seed)
                .trainer(&device)
        };
        let later = config.later_learning_rate.map(|rate| {
            let m_step = MStepConfig { learning_rate: rate, ..settings.m_step.clone() };
            m_step.validate().and_then(|()| Ok((trainer(&m_step)?, m_step)))
        });
        let (later, trainer, m_step) = (later.transpose()?, trainer(&settings.m_step)?, settings.m_step.clone());
        Ok(Self { settings, trainer, m_step, later, truth, state: None, draws: None })
    }

    /// The run's settings, in the words of the command line's configuration files.
    pub fn settings(&self) -> &impl Serialize {
        &self.settings
    }

    /// What is seen.
    pub fn observations(&self) -> &Observations {
        self.trainer.observations()
    }

    /// Length d of a signal.
    pub fn d(&self) -> usize {
        self.trainer.model().channel.signal_len()
    }

    /// Clean points nobody trained on, `[k, d]`.
    pub fn truth(&self) -> &Samples {
        &self.truth
    }

    /// Reconstructions after the last finished lap, `[n, d]`.
    ///
    /// # Errors
    /// Before the first [`LiveTraining::step`] there are none.
    pub fn cloud(&self) -> Result<&Samples> {
        self.state.as_ref().map(|state| &state.x).ok_or_else(not_begun)
    }

    /// Does one piece of work.
    ///
    /// # Errors
    /// A loss or a reconstruction that is not finite; a device that fails.
    pub async fn step(&mut self) -> Result<LiveProgress> {
        let Some(mut state) = self.state.take() else {
            return self.start();
        };
        if state.lap > EARLY
            && let Some(later) = self.later.take()
        {
            (self.trainer, self.m_step) = later;
        }
        let done = self.work(&mut state).await;
        self.state = Some(state);
        done
    }

    async fn work(&mut self, state: &mut State) -> Result<LiveProgress> {
        match state.phase {
            _ if self.trainer.finished(state) => Ok(LiveProgress::new(Phase::Done, state.lap - 1, 1.0)),
            em::Phase::MStep => self.train(state).await,
            em::Phase::EStep => self.reconstruct(state).await,
        }
    }

    /// The first reconstructions.
    fn start(&mut self) -> Result<LiveProgress> {
        let prior = self.trainer.fit_prior(&self.settings.init)?;
        let prior = prior.ok_or_else(|| Error::config("start", "expected \"gaussian\" or \"isotropic\""))?;
        let (channel, seed) = (&self.trainer.model().channel, self.settings.seed);
        let state = self.trainer.begin_fitted(prior.reconstruct(channel.as_ref(), self.observations(), seed)?)?;
        let mut progress = LiveProgress::new(Phase::Start, 0, 1.0);
        progress.cloud = Some(state.x.clone());
        self.state = Some(state);
        Ok(progress)
    }

    /// Steps of the M-step up to the next read of their losses.
    async fn train(&self, state: &mut State) -> Result<LiveProgress> {
        let (lap, steps, first) = (state.lap, self.m_step.steps, state.step);
        if first == 0 && lap > 1 && self.m_step.restart_optimizer {
            state.optim = state.optim.clone().restart();
        }
        let (x, posterior) = (state.x.clone(), self.trainer.posterior(state));
        let m_step = MStep::new(&posterior, (&x, self.observations()), &self.m_step, self.settings.seed, lap);
        let mut m_step = m_step.on_rows(self.trainer.split().0);
        let mut losses = Vec::new();
        while losses.is_empty() || !(state.step.is_multiple_of(LOG_EVERY) || state.step >= steps) {
            losses.push(m_step.step(&mut state.optim, state.step));
            state.step += 1;
        }
        if state.step >= steps {
            state.phase = em::Phase::EStep;
        }
        let losses = read(Tensor::cat(losses, 0)).await?;
        if let Some(i) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(Error::Diverged { lap, step: first + i, loss: losses[i] });
        }
        let mean = losses.iter().copied().map(f64::from).sum::<f64>() / losses.len() as f64;
        let trained = LiveProgress::new(Phase::MStep, lap - 1, state.step as f64 / steps as f64);
        Ok(LiveProgress { loss: Some(mean), ..trained })
    }

    /// A step of the sampler for all observations, or what ends the lap.
    async fn reconstruct(&mut self, state: &mut State) -> Result<LiveProgress> {
        let (draws, lap) = (self.draws.take(), state.lap);
        let posterior = self.trainer.e_step_posterior(state);
        let draws = draws.unwrap_or_else(|| {
            let (seen, e_step) = (self.observations(), self.trainer.e_step(&posterior, lap));
            posterior.begin(seen, (0..seen.n()).map(|i| e_step.row(i)).collect())
        });
        let n = draws.n();
        if draws.is_done() {
            let x = posterior.read(posterior.last(draws), n).await?;
            (state.partial, state.done) = (x, n);
            until_stopped(self.trainer.run(state, &mut |_: Event<'_>, _: &State| ControlFlow::Break(())))?;
            if state.lap == lap {
                // An over-relaxed E-step that is not kept is taken again, step by step.
                (state.partial, state.done) = (Samples::default(), 0);
                return Ok(LiveProgress::new(Phase::EStep, lap - 1, 0.0));
            }
            let progress = LiveProgress::new(Phase::EStep, lap, 1.0);
            return Ok(LiveProgress { cloud: Some(state.x.clone()), sigma: Some(0.0), ..progress });
        }
        let draws = posterior.advance(draws);
        let mut progress = LiveProgress::new(Phase::EStep, lap - 1, 0.0);
        if let Some(at) = draws.progress() {
            progress.fraction = (at.index + 1) as f64 / (at.steps + 1) as f64;
            progress.sigma = Some(at.sigma);
            progress.cloud = Some(posterior.read(at.x.clone(), n).await?);
        }
        self.draws = Some(draws);
        Ok(progress)
    }

    /// Draws of the posterior of observation `i` under the network as it is now; with `options.index` left out of account,
    /// since the observation has a place of its own.
    ///
    /// # Errors
    /// No such observation; no network before the first [`LiveTraining::step`]; options outside their ranges.
    pub fn posterior(&self, i: usize, options: &SampleOptions) -> Result<Sampling> {
        let state = self.state.as_ref().ok_or_else(not_begun)?;
        let seen = self.observations();
        let n = seen.n();
        if i >= n {
            return Err(Error::config("observation", format!("expected 0 to {}, found {i}", n - 1)));
        }
        let (y, a) = (seen.y.row(i).to_vec(), seen.operator(i).to_vec());
        Sampling::new(&self.trainer.posterior(state), y, a, &SampleOptions { index: i, ..options.clone() })
    }
}

/// The channel of a run, and what it draws: `observed` observations and samples of the truth.
fn drawn(settings: &Settings, observed: usize, seed: u64) -> Result<(Compose, Drawn)> {
    let (law, d): (Box<Law<'_>>, usize) = match &settings.data {
        RunData::Curve { shape, .. } => along(Curve::outline(*shape)),
        RunData::Manifold { d, alpha, .. } => along(synthetic::manifold(*d, *alpha, seed)),
        RunData::Drawn { drawing, .. } => (Box::new(|count, key, set| drawing.draw_points(count, key, set)), 2),
    };
    let channel = settings.channel.build(d)?;
    let counts = Counts { observed, truth: TRUTH, test: 0 };
    let drawn = synthetic::draw(&law, counts, &channel, seed);
    Ok((channel, drawn))
}

/// The distribution of points along `curve`, and the length of a point.
fn along(curve: Curve) -> (Box<Law<'static>>, usize) {
    let d = curve.d();
    (Box::new(move |count, key, set| curve.draw_points(count, key, set)), d)
}

fn not_begun() -> Error {
    Error::config("live training", "nothing has been reconstructed yet: take the first step()")
}

/// The values of a tensor on any device.
async fn read(tensor: Tensor<1>) -> Result<Vec<f32>> {
    let failed = |e: String| Error::Device(e);
    let data = tensor.into_data_async().await.map_err(|e| failed(format!("{e:?}")))?;
    data.try_to_vec().map_err(|e| failed(format!("{e:?}")))
}

/// A run that an observer ended is no failure here.
fn until_stopped(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(Error::Stopped) => Ok(()),
        other => other,
    }
}
