//! Learning a curve from corrupted points, a piece of work at a time: some optimizer steps of an M-step, or one sampler step
//! of an E-step for all observations at once. The reconstructions are those of `diffem train` with the same settings.

mod config;
mod drawing;

pub use config::LiveConfig;
use config::{RunData, Settings};

use crate::options::SampleOptions;
use crate::sampling::Sampling;
use burn::tensor::Device;
use diffem::channel::Channel;
use diffem::denoiser::to_samples;
use diffem::em::{self, Event, MStepConfig, State, Trainer};
use diffem::metric::TruthScorer;
use diffem::posterior::Draws;
use diffem::synthetic::{self, Counts, Curve, Drawn, Law};
use diffem::{Em, Error, Observations, Result, Samples};
use serde::Serialize;
use std::ops::ControlFlow;

/// Points of each truth sample.
const TRUTH: usize = 2048;
/// Most points a side of the divergence.
const SCORED: usize = 512;
/// Laps before `later_learning_rate` holds.
const EARLY: usize = 3;
/// Entropic regularization of the divergence, the command line's.
const REGULARIZATION: f64 = 1e-3;

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
    /// Sinkhorn divergence of the reconstructions to the truth (at a lap's end).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<f64>,
    /// The same of a truth sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// The points on their way, `[n, d]` (reconstructing, and the start).
    #[serde(skip)]
    pub cloud: Option<Samples>,
}

impl LiveProgress {
    fn new(phase: Phase, lap: usize, fraction: f64) -> Self {
        Self { phase, lap, fraction, loss: None, sigma: None, divergence: None, floor: None, cloud: None }
    }
}

/// A run of a few laps on a curve.
pub struct LiveTraining {
    settings: Settings,
    trainer: Trainer,
    /// Trainer of the laps after [`EARLY`], where these have a learning rate of their own.
    later: Option<Trainer>,
    u: [Samples; 3],
    /// Made when it is first needed: its floor takes as long as a score.
    scorer: Option<TruthScorer>,
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
        let (law, d): (Box<Law<'_>>, usize) = match &settings.data {
            RunData::Curve { shape, .. } => along(Curve::outline(*shape)),
            RunData::Manifold { d, alpha, .. } => along(synthetic::manifold(*d, *alpha, seed)),
            RunData::Drawn { drawing, .. } => (Box::new(|count, key, set| drawing.draw_points(count, key, set)), 2),
        };
        let channel = settings.channel.build(d)?;
        let counts = Counts { observed: config.observations, truth: TRUTH, test: 0 };
        let Drawn { observations, u, .. } = synthetic::draw(&law, counts, &channel, seed);
        drop(law);
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
            m_step.validate().and_then(|()| trainer(&m_step))
        });
        let (later, trainer) = (later.transpose()?, trainer(&settings.m_step)?);
        Ok(Self { settings, trainer, later, u, scorer: None, state: None, draws: None })
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
        &self.u[0]
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
    /// A loss or a reconstruction that is not finite.
    pub fn step(&mut self) -> Result<LiveProgress> {
        let Some(mut state) = self.state.take() else {
            return self.start();
        };
        if state.lap > EARLY
            && let Some(later) = self.later.take()
        {
            self.trainer = later;
        }
        let done = self.work(&mut state);
        self.state = Some(state);
        let mut progress = done?;
        if progress.phase == Phase::EStep && progress.fraction == 1.0 {
            self.score(&mut progress)?;
        }
        Ok(progress)
    }

    fn work(&mut self, state: &mut State) -> Result<LiveProgress> {
        match state.phase {
            _ if self.trainer.finished(state) => Ok(LiveProgress::new(Phase::Done, state.lap - 1, 1.0)),
            em::Phase::MStep => self.train(state),
            em::Phase::EStep => self.reconstruct(state),
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
        self.score(&mut progress)?;
        Ok(progress)
    }

    /// Steps of the M-step up to the next event.
    fn train(&self, state: &mut State) -> Result<LiveProgress> {
        let steps = self.settings.m_step.steps as f64;
        let mut progress = None;
        let outcome = self.trainer.run(state, &mut |event: Event<'_>, _: &State| {
            if let Event::MStep { lap, step, loss, .. } = event {
                let trained = LiveProgress::new(Phase::MStep, lap - 1, step as f64 / steps);
                progress = Some(LiveProgress { loss: Some(loss), ..trained });
            }
            ControlFlow::Break(())
        });
        until_stopped(outcome)?;
        progress.ok_or_else(not_begun)
    }

    /// A step of the sampler for all observations, or what ends the lap.
    fn reconstruct(&mut self, state: &mut State) -> Result<LiveProgress> {
        let (draws, lap) = (self.draws.take(), state.lap);
        let posterior = self.trainer.e_step_posterior(state);
        let draws = draws.unwrap_or_else(|| {
            let (seen, e_step) = (self.observations(), self.trainer.e_step(&posterior, lap));
            posterior.begin(seen, (0..seen.n()).map(|i| e_step.row(i)).collect())
        });
        let n = draws.n();
        if draws.is_done() {
            let x = posterior.restore(&to_samples(posterior.last(draws))?, n);
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
            progress.cloud = Some(posterior.restore(&to_samples(at.x.clone())?, n));
        }
        self.draws = Some(draws);
        Ok(progress)
    }

    /// Adds the divergence to the truth.
    fn score(&mut self, progress: &mut LiveProgress) -> Result<()> {
        let points = self.observations().n().min(SCORED);
        let scorer = match self.scorer.take() {
            Some(scorer) => scorer,
            None => TruthScorer::new(&self.u, points, REGULARIZATION)?,
        };
        progress.divergence = Some(scorer.score(self.cloud()?)?);
        progress.floor = Some(scorer.floor());
        self.scorer = Some(scorer);
        Ok(())
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

/// The distribution of points along `curve`, and the length of a point.
fn along(curve: Curve) -> (Box<Law<'static>>, usize) {
    let d = curve.d();
    (Box::new(move |count, key, set| curve.draw_points(count, key, set)), d)
}

fn not_begun() -> Error {
    Error::config("live training", "nothing has been reconstructed yet: take the first step()")
}

/// A run that an observer ended is no failure here.
fn until_stopped(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(Error::Stopped) => Ok(()),
        other => other,
    }
}
