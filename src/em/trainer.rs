//! Training alternates M-step and E-step, lap by lap.

use super::comparison::Comparison;
use super::config::{EmConfig, MStepConfig, MonitorConfig};
use super::e_step::EStep;
use super::init::{InitConfig, InitialPrior};
use super::m_step::MStep;
use super::monitor::Monitor;
use super::state::{Event, LapRecord, Observer, Phase, State};
use crate::conditioning::Standardizer;
use crate::error::{Error, Result};
use crate::method::Clean;
use crate::network::{NetworkConfig, NetworkSpec, flatten, from_host, to_host, unflatten};
use crate::noise::{Key, Purpose};
use crate::observations::Observations;
use crate::optim::OptimState;
use crate::posterior::{Earlier, Model, Posterior};
use crate::ranks::Ranks;
use crate::samples::{Samples, Store};
use burn::tensor::{Device, Tensor};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// Number of M-step steps between two events; the loss is read from the device only then.
const LOG_EVERY: usize = 25;

/// A run without its state: it begins, continues and finishes states that the caller keeps. [`super::Em`]
/// builds one.
pub struct Trainer<S: NetworkSpec = NetworkConfig> {
    pub(super) model: Model<S>,
    /// The architecture with its initial weights, outside autodiff.
    pub(super) network: S::Network,
    pub(super) observations: Arc<Observations>,
    pub(super) em: EmConfig,
    pub(super) m_step: MStepConfig,
    pub(super) monitor: MonitorConfig,
    pub(super) clean: Option<Arc<Clean>>,
    pub(super) seed: u64,
    pub(super) device: Device,
    pub(super) store: Arc<dyn Store>,
    pub(super) ranks: Arc<dyn Ranks>,
    pub(super) comparison: OnceLock<Comparison>,
}

impl<S: NetworkSpec> Trainer<S> {
    /// Channel, network and settings of the posterior.
    pub fn model(&self) -> &Model<S> {
        &self.model
    }

    /// The network with its initial weights.
    pub fn network(&self) -> &S::Network {
        &self.network
    }

    /// The observations.
    pub fn observations(&self) -> &Observations {
        &self.observations
    }

    /// The device on which it trains.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The Gaussian prior that `init` fits to the observations; `None` where it fits none.
    ///
    /// # Errors
    /// A channel that such a prior cannot be fitted through.
    pub fn fit_prior(&self, init: &InitConfig) -> Result<Option<InitialPrior>> {
        let InitConfig::Gaussian(gaussian) = init else { return Ok(None) };
        InitialPrior::fit(self.model.channel.as_ref(), &self.observations, gaussian, self.seed).map(Some)
    }

    /// State before lap 1 with the initial weights, from the first reconstructions `x [n, d]`.
    ///
    /// # Errors
    /// Reconstructions whose shape does not fit the observations.
    pub fn begin(&self, x: Samples) -> Result<State> {
        self.begin_with(x, flatten(&self.network), None)
    }

    /// [`Trainer::begin`] from reconstructions that [`InitialPrior`] made. Where its Gaussian is that of the
    /// standardizer, over-relaxed runs begin with lap 1.
    ///
    /// # Errors
    /// As [`Trainer::begin`].
    pub fn begin_fitted(&self, x: Samples) -> Result<State> {
        let state = self.begin(x)?;
        let fitted = self.model.conditioning.measurement_update && !state.standardizer.is_diagonal();
        Ok(State { fitted, ..state })
    }

    /// [`Trainer::begin`] from the first reconstructions `x [n, d]` and weights `[P]`; `standardizer` gives
    /// the coordinates that trained weights work in; by default they come from the moments of `x`.
    pub fn begin_with(&self, x: Samples, weights: Tensor<1>, standardizer: Option<Standardizer>) -> Result<State> {
        let expected = (self.observations.n(), self.model.channel.signal_len());
        if (x.n(), x.d()) != expected {
            return Err(Error::shape("start", format!("{expected:?}"), format!("({}, {})", x.n(), x.d())));
        }
        let x = match self.model.conditioning.range {
            Some(range) => x.clipped(range),
            None => x,
        };
        let mut x = x;
        self.ranks.share_rows(&mut x, 0..expected.0);
        // The start is not a reference for the laps: its prior is fitted to the held-out observations as
        // well.
        let monitor = self.comparison()?.score(&x, 0, &mut Vec::new(), None)?;
        let moments = || self.model.conditioning.standardizer(self.model.channel.as_ref(), &x);
        Ok(State {
            lap: 1,
            phase: Phase::MStep,
            step: 0,
            optim: OptimState::new(weights),
            relaxation: self.model.method.relaxation(),
            fitted: false,
            previous: None,
            standardizer: standardizer.unwrap_or_else(moments),
            x,
            partial: Samples::default(),
            done: 0,
            tail_loss: (0.0, 0),
            best_scores: Vec::new(),
            history: vec![LapRecord { lap: 0, loss: None, monitor, relaxation: None }],
        })
    }

    /// Runs the remaining laps.
    pub fn run(&self, state: &mut State, observer: &mut dyn Observer) -> Result<()> {
        while !self.finished(state) {
            match state.phase {
                Phase::MStep => self.train(state, observer)?,
                Phase::EStep => self.reconstruct(state, observer)?,
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

    /// The posterior with the weights used for sampling: the average where one is kept.
    pub fn posterior(&self, state: &State) -> Posterior<S> {
        self.posterior_in(&state.optim.average, state.standardizer.clone())
    }

    /// The posterior with the flat `weights [P]` in the coordinates of `standardizer`.
    pub fn posterior_in(&self, weights: &Tensor<1>, standardizer: Standardizer) -> Posterior<S> {
        let network = unflatten(self.network.clone(), weights);
        Posterior::new(self.model.clone(), network, standardizer, self.device.clone())
    }

    /// The posterior that the E-step samples: [`Trainer::posterior`], over-relaxed where the state says so.
    pub fn e_step_posterior(&self, state: &State) -> Posterior<S> {
        let posterior = self.posterior(state);
        let earlier = match &state.previous {
            Some(weights) => Earlier::Lap(unflatten(self.network.clone(), weights)),
            None if state.fitted && state.lap == 1 => Earlier::Start,
            None => return posterior,
        };
        if state.relaxation > 1.0 { posterior.relaxed(earlier, state.relaxation) } else { posterior }
    }

    /// The E-step of `lap` with the posterior of [`Trainer::e_step_posterior`]. A caller that drives it ends the lap
    /// by putting all draws into [`State::partial`], their number into [`State::done`], and continuing with
    /// [`Trainer::run`].
    pub fn e_step<'p>(&'p self, posterior: &'p Posterior<S>, lap: usize) -> EStep<'p, S> {
        let key = Key::new(self.seed, Purpose::Sample, lap);
        EStep { posterior, observations: &self.observations, key }
    }

    /// Takes the remaining steps of the current M-step, and stops there. On its own, with
    /// [`crate::channel::Unobserved`], it trains the prior: an unconditional denoiser of the reconstructions
    /// in `state`.
    pub fn train(&self, state: &mut State, observer: &mut dyn Observer) -> Result<()> {
        let (lap, steps) = (state.lap, self.m_step.steps);
        if state.step >= steps {
            // A state from elsewhere may have no steps left to train.
            state.phase = Phase::EStep;
            return Ok(());
        }
        if state.step == 0 && state.lap > 1 && self.m_step.restart_optimizer {
            state.optim = state.optim.clone().restart();
        }
        self.share(state)?;
        let (x, posterior) = (state.x.clone(), self.posterior(state));
        let mut m_step = MStep::new(&posterior, (&x, &self.observations), &self.m_step, self.seed, lap);
        m_step = m_step.on_rows(self.split().0).with_clean(self.clean.as_deref()).over(self.ranks.as_ref());
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
                self.stop_on(observer.on_event(event, state))?;
            }
        }
        Ok(())
    }

    /// Returns the mean loss since the last event, and keeps the losses of the last tenth of the lap for its
    /// record.
    fn read_losses(&self, losses: &mut Vec<Tensor<1>>, state: &mut State) -> Result<f64> {
        let (steps, count) = (self.m_step.steps, losses.len());
        let first = state.step - count;
        let mut sum = 0.0;
        // One read for all of them.
        let losses = to_host(&Tensor::cat(std::mem::take(losses), 0))?;
        for (i, loss) in losses.into_iter().enumerate() {
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

    /// What laps are compared with. It is made once: callers that drive a run in pieces enter it many times a lap.
    pub(super) fn comparison(&self) -> Result<&Comparison> {
        if let Some(made) = self.comparison.get() {
            return Ok(made);
        }
        let (train, others) = self.split();
        let monitor = if others.is_empty() {
            None
        } else {
            let (seen, held_out) = (self.observations.select(&train), self.observations.select(&others));
            Monitor::new(self.model.channel.clone(), held_out, &seen, &self.monitor, self.seed)?
        };
        Ok(self.comparison.get_or_init(|| Comparison { monitor, train }))
    }

    /// Replaces weights and optimizer by those of rank 0, from which machines of another kind drift in the last bits.
    ///
    /// # Errors
    /// Ranks that stand at different points of the run.
    pub(super) fn share(&self, state: &mut State) -> Result<()> {
        let ranks = self.ranks.as_ref();
        if ranks.count() == 1 {
            return Ok(());
        }
        let at = [state.lap, state.step, state.done, usize::from(state.phase == Phase::EStep)];
        let of_first = at.map(|number| ranks.first(number as f64) as usize);
        ranks.agree(if at == of_first { Ok(()) } else { Err(elsewhere(ranks.rank(), at, of_first)) })?;
        let OptimState { weights, average, first, second, .. } = &mut state.optim;
        for vector in [weights, average, first, second] {
            let mut values = ranks.agree(to_host(vector))?;
            ranks.broadcast(&mut values);
            *vector = from_host(values, &self.device);
        }
        Ok(())
    }

    /// Ends the run where the observer of any rank has asked for it.
    pub(super) fn stop_on(&self, flow: ControlFlow<()>) -> Result<()> {
        if self.ranks.any(flow.is_break()) { Err(Error::Stopped) } else { Ok(()) }
    }
}

/// The error of a rank that stands elsewhere in the run than rank 0.
fn elsewhere(rank: usize, at: [usize; 4], first: [usize; 4]) -> Error {
    let place = |[lap, step, done, _]: [usize; 4]| format!("lap {lap}, step {step}, with {done} reconstructions");
    Error::Rank(format!(
        "rank {rank} read a state at {} and rank 0 one at {}: put the run on a file system that all ranks share, and resume",
        place(at),
        place(first)
    ))
}

#[cfg(test)]
mod tests {
    use crate::channel::{ChannelConfig, NoiseConfig};
    use crate::{Em, Observations, Samples};

    /// A browser enters a run once for every few optimizer steps, and two optimal transports each time would take
    /// ten times as long as those.
    #[test]
    fn the_held_out_comparison_is_made_once() {
        let channel = ChannelConfig(vec![NoiseConfig { std: 0.5.into() }.into()]).build(1).unwrap();
        let observations = Observations::observe(&channel, &Samples::zeros(64, 1), 0);
        let trainer = Em::new(channel, observations).trainer(&Default::default()).unwrap();
        let first = trainer.comparison().unwrap();
        assert!(first.monitor.is_some() && std::ptr::eq(first, trainer.comparison().unwrap()));
    }
}
