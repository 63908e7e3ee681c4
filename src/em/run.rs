//! The laps.

use super::config::{EStepConfig, EmConfig, MStepConfig, MonitorConfig};
use super::e_step::EStep;
use super::m_step::MStep;
use super::monitor::{Monitor, MonitorRecord};
use crate::channel::Channel;
use crate::conditioning::Standardizer;
use crate::conditioning::{Conditioning, ConditioningConfig, Method};
use crate::error::{Error, Result};
use crate::image::ImageShape;
use crate::network::{Network, unflatten};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::optim::OptimState;
use crate::samples::{Samples, Store};
use crate::schedule::Schedule;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Steps of the M-step between two events; the loss is read from the device only then.
const LOG_EVERY: usize = 25;

/// Everything a run is made of but its state.
pub struct Em<'a, N> {
    /// The architecture, outside autodiff.
    pub network: &'a N,
    /// Noise levels.
    pub schedule: &'a Schedule,
    /// The channel.
    pub channel: &'a dyn Channel,
    /// OperatorStructure of the signals, if they are images.
    pub image: Option<ImageShape>,
    /// How its observations enter the denoiser.
    pub conditioning: &'a ConditioningConfig,
    /// All observations.
    pub observations: &'a Observations,
    /// Laps and stopping.
    pub em: &'a EmConfig,
    /// Training.
    pub m_step: &'a MStepConfig,
    /// Sampling.
    pub e_step: &'a EStepConfig,
    /// Held-out comparison.
    pub monitor: &'a MonitorConfig,
    /// Seed of everything random.
    pub seed: u64,
    /// Where to compute.
    pub device: &'a Device,
    /// Where reconstructions are kept.
    pub tables: &'a dyn Store,
}

/// What a lap is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Training.
    MStep,
    /// Reconstructing.
    EStep,
}

/// Figures of a finished lap; lap 0 is the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LapRecord {
    /// Lap, from 0.
    pub lap: usize,
    /// Mean training loss over the last tenth of the M-step; none for lap 0.
    pub loss: Option<f64>,
    /// Held-out comparison, if it is on.
    pub monitor: Option<MonitorRecord>,
}

/// Standard errors by which a lap may be worse than the best mean and still be chosen.
const TOLERANCE: f64 = 2.0;

impl LapRecord {
    /// The last lap whose held-out energy score is not significantly worse than the best one before it (laps only improve
    /// in theory); the last lap where nothing is held out. `None` without a lap after the start.
    pub fn best(history: &[Self]) -> Option<usize> {
        let good = |r: &&Self| r.monitor.is_none_or(|m| m.excess <= TOLERANCE);
        let laps = || history.iter().filter(|r| r.lap > 0);
        laps().rfind(good).or(laps().next()).map(|r| r.lap)
    }
}

/// Where a run stands; all that is needed to go on from there.
#[derive(Clone, Debug)]
pub struct State {
    /// Lap under way, from 1.
    pub lap: usize,
    /// Its phase.
    pub phase: Phase,
    /// M-step steps taken in this lap.
    pub step: usize,
    /// Weights and optimizer.
    pub optim: OptimState,
    /// Coordinates in which the diffusion runs.
    pub standardizer: Standardizer,
    /// Reconstructions of all observations after the last lap, `[n, d]`.
    pub x: Samples,
    /// This lap's new reconstructions, `[n, d]`, of which the first `done` are made; empty before the first.
    pub partial: Samples,
    /// Observations reconstructed in this lap.
    pub done: usize,
    /// Losses of this lap's last steps, for its record: sum and count.
    pub tail_loss: (f64, usize),
    /// Scores of the held-out observations in the lap with the best mean.
    pub best_scores: Vec<f32>,
    /// Finished laps.
    pub history: Vec<LapRecord>,
}

impl State {
    /// The lap that the held-out observations choose, see [`LapRecord::best`]; `None` before lap 1.
    pub fn best_lap(&self) -> Option<usize> {
        LapRecord::best(&self.history)
    }
}

/// What happened. The state passed along is consistent and may be saved.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Some optimizer steps were taken.
    MStep {
        /// Lap, from 1.
        lap: usize,
        /// Steps taken in this lap.
        step: usize,
        /// Mean loss since the last event.
        loss: f64,
        /// Learning rate of the last step.
        learning_rate: f64,
    },
    /// Some observations were reconstructed.
    EStep {
        /// Lap, from 1.
        lap: usize,
        /// Observations reconstructed in this lap.
        done: usize,
    },
    /// A lap is finished: the state holds its weights and reconstructions and already points at the next lap.
    Lap(&'a LapRecord),
}

/// Is told what happens; may stop the run by breaking.
pub trait Observer {
    /// Called after every event. [`ControlFlow::Break`] ends the run with [`Error::Stopped`], leaving the state whole.
    fn on_event(&mut self, event: Event<'_>, state: &State) -> ControlFlow<()>;
}

impl<F: FnMut(Event<'_>, &State) -> ControlFlow<()>> Observer for F {
    fn on_event(&mut self, event: Event<'_>, state: &State) -> ControlFlow<()> {
        self(event, state)
    }
}

impl<N: Network> Em<'_, N> {
    /// State before lap 1, from the first reconstructions `x [n, d]` and weights `[P]`; `standardizer` are the coordinates that
    /// trained weights work in, by default those of the moments of `x`.
    pub fn begin(&self, x: Samples, weights: Tensor<1>, standardizer: Option<Standardizer>) -> Result<State> {
        let expected = (self.observations.n(), self.channel.signal_len());
        if (x.n(), x.d()) != expected {
            return Err(Error::shape("start", format!("{expected:?}"), format!("({}, {})", x.n(), x.d())));
        }
        let x = match self.conditioning.range {
            Some(range) => x.clipped(range),
            None => x,
        };
        let mut best_scores = Vec::new();
        let monitor = self.comparison()?.score(&x, 0, &mut best_scores)?;
        let moments = || self.conditioning.standardizer(self.channel, &x);
        Ok(State {
            lap: 1,
            phase: Phase::MStep,
            step: 0,
            optim: OptimState::new(weights),
            standardizer: standardizer.unwrap_or_else(moments),
            x,
            partial: Samples::default(),
            done: 0,
            tail_loss: (0.0, 0),
            best_scores,
            history: vec![LapRecord { lap: 0, loss: None, monitor }],
        })
    }

    /// Runs the laps that are left.
    pub fn run(&self, state: &mut State, observer: &mut dyn Observer) -> Result<()> {
        if self.finished(state) {
            return Ok(());
        }
        let monitor = self.comparison()?;
        while !self.finished(state) {
            match state.phase {
                Phase::MStep => self.train(state, observer)?,
                Phase::EStep => self.e_step(state, &monitor, observer)?,
            }
        }
        Ok(())
    }

    /// True when all laps are done or patience has run out.
    pub fn finished(&self, state: &State) -> bool {
        let out_of_patience = self.em.patience > 0
            && state.phase == Phase::MStep
            && state.step == 0
            && state.best_lap().is_some_and(|best| state.lap - 1 - best >= self.em.patience);
        state.lap > self.em.laps || out_of_patience
    }

    /// Indices of the training and of the held-out observations, each ascending; a function of the seed and n alone.
    pub fn split(&self) -> (Vec<usize>, Vec<usize>) {
        let n = self.observations.n();
        let held_out = (n as f64 * self.monitor.holdout) as usize;
        let mut order = Key::new(self.seed, Purpose::Split, 0).stream(0, 0).permutation(n);
        let mut train = order.split_off(held_out);
        order.sort_unstable();
        train.sort_unstable();
        (train, order)
    }

    /// The network with the weights that sample: the average where one is kept.
    pub fn posterior(&self, state: &State) -> N {
        unflatten(self.network.clone(), &state.optim.average)
    }

    /// The E-step of `lap` with the network of [`Em::posterior`] and the state's standardizer. Whoever drives it himself ends the lap
    /// by putting all draws into [`State::partial`], their number into [`State::done`], and going on with [`Em::run`].
    pub fn sampling<'f>(&'f self, network: &'f N, standardizer: &'f Standardizer, lap: usize) -> EStep<'f, N> {
        EStep {
            network,
            schedule: self.schedule,
            conditioning: self.conditioned(standardizer),
            observations: self.observations,
            sampler: &self.e_step.sampler,
            key: Key::new(self.seed, Purpose::Sample, lap),
            device: self.device,
        }
    }

    fn conditioned<'f>(&'f self, standardizer: &'f Standardizer) -> Conditioning<'f> {
        Conditioning { channel: self.channel, config: self.conditioning, standardizer }
    }

    /// Takes the steps that are left of the M-step under way, and nothing after it. Alone, with [`crate::channel::Unobserved`], it
    /// trains the prior: an unconditional denoiser of the reconstructions in `state`.
    pub fn train(&self, state: &mut State, observer: &mut dyn Observer) -> Result<()> {
        let (lap, steps) = (state.lap, self.m_step.steps);
        if state.step >= steps {
            // A state from elsewhere: there is nothing to train.
            state.phase = Phase::EStep;
            return Ok(());
        }
        if state.step == 0 && state.lap > 1 && self.m_step.restart_optimizer {
            state.optim = state.optim.clone().restart();
        }
        let (mut rows, standardizer) = (self.split().0, state.standardizer.clone());
        if self.conditioning.method == Method::EmMmps {
            rows = self.conditioning.mmps.within(&state.x, rows);
        }
        let seen = (self.conditioning.method == Method::Ambient).then_some(self.observations);
        let x = state.x.clone();
        let mut m_step = MStep::new(
            self.network,
            self.schedule,
            self.conditioned(&standardizer),
            &x,
            self.m_step,
            self.seed,
            lap,
            self.device,
        )
        .flipping(self.image.filter(|_| self.m_step.flip))
        .on_rows(rows)
        .on_observations(seen);
        let mut losses = Vec::new();
        while state.step < steps {
            losses.push(m_step.step(&mut state.optim, state.step));
            state.step += 1;
            if state.step.is_multiple_of(LOG_EVERY) || state.step == steps {
                let loss = self.read_losses(&mut losses, state)?;
                let learning_rate = m_step.learning_rate(state.optim.updates - 1);
                let event = Event::MStep { lap, step: state.step, loss, learning_rate };
                if state.step == steps {
                    state.phase = Phase::EStep;
                }
                stop_on(observer.on_event(event, state))?;
            }
        }
        Ok(())
    }

    /// Mean of the losses since the last event; keeps the last tenth of the lap for its record.
    fn read_losses(&self, losses: &mut Vec<Tensor<1>>, state: &mut State) -> Result<f64> {
        let (steps, count) = (self.m_step.steps, losses.len());
        let first = state.step - count;
        let mut sum = 0.0;
        for (i, loss) in losses.drain(..).enumerate() {
            let loss: f32 = loss.into_scalar();
            if !loss.is_finite() {
                return Err(Error::Diverged { lap: state.lap, step: first + i, loss });
            }
            sum += loss as f64;
            if (first + i + 1) * 10 > steps * 9 {
                state.tail_loss = (state.tail_loss.0 + loss as f64, state.tail_loss.1 + 1);
            }
        }
        Ok(sum / count as f64)
    }

    fn e_step(&self, state: &mut State, monitor: &Comparison<'_>, observer: &mut dyn Observer) -> Result<()> {
        let (lap, n, d) = (state.lap, self.observations.n(), self.channel.signal_len());
        let (network, standardizer) = (self.posterior(state), state.standardizer.clone());
        if state.partial.n() != n {
            state.partial = self.tables.reconstructions(lap, n, d, state.done)?;
        }
        self.sampling(&network, &standardizer, lap).run(state.done, self.e_step.shard, &mut |rows| {
            state.partial.put(state.done, rows);
            state.done += rows.n();
            observer.on_event(Event::EStep { lap, done: state.done }, state)
        })?;
        let x = std::mem::take(&mut state.partial);
        state.done = 0;
        if let Some(i) = x.rows().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::shape(
                format!("reconstruction of observation {i}"),
                "finite numbers",
                "NaN or infinity",
            ));
        }
        let (sum, count) = std::mem::take(&mut state.tail_loss);
        let record = LapRecord {
            lap,
            loss: Some(sum / count.max(1) as f64),
            monitor: monitor.score(&x, lap, &mut state.best_scores)?,
        };
        state.history.push(record.clone());
        (state.x, state.lap, state.phase, state.step) = (x, lap + 1, Phase::MStep, 0);
        stop_on(observer.on_event(Event::Lap(&record), state))
    }

    fn comparison(&self) -> Result<Comparison<'_>> {
        let (train, others) = self.split();
        if others.is_empty() {
            return Ok(Comparison { monitor: None, train });
        }
        let (seen, held_out) = (self.observations.select(&train), self.observations.select(&others));
        Ok(Comparison { monitor: Monitor::new(self.channel, held_out, &seen, self.monitor, self.seed)?, train })
    }
}

/// The held-out comparison, where it is on, and the rows that it scores.
struct Comparison<'a> {
    monitor: Option<Monitor<'a>>,
    train: Vec<usize>,
}

impl Comparison<'_> {
    fn score(&self, x: &Samples, lap: usize, best: &mut Vec<f32>) -> Result<Option<MonitorRecord>> {
        let score = |monitor: &Monitor<'_>| monitor.score(&x.select(&self.train), lap, best);
        self.monitor.as_ref().map(score).transpose()
    }
}

fn stop_on(flow: ControlFlow<()>) -> Result<()> {
    if flow.is_break() { Err(Error::Stopped) } else { Ok(()) }
}
