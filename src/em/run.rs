//! A run in memory.

use super::init::InitialPrior;
use super::state::{Event, LapRecord, Observer, State};
use super::trainer::Trainer;
use crate::error::{Error, Result, Warning};
use crate::network::{NetworkConfig, NetworkSpec};
use crate::posterior::Posterior;
use crate::samples::Samples;
use std::ops::ControlFlow;

/// A run with its state, in memory.
pub struct Run<S: NetworkSpec = NetworkConfig> {
    pub(super) trainer: Trainer<S>,
    pub(super) state: State,
    pub(super) prior: Option<InitialPrior>,
    pub(super) warnings: Vec<Warning>,
}

impl<S: NetworkSpec> Run<S> {
    /// What is odd about the observations.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Runs the remaining laps and calls `on_event` with every event.
    ///
    /// # Errors
    /// A loss or a reconstruction that is not finite; a device that fails.
    pub fn run(&mut self, mut on_event: impl FnMut(&Event<'_>)) -> Result<()> {
        self.observe(&mut |event: Event<'_>, _: &State| {
            on_event(&event);
            ControlFlow::Continue(())
        })
    }

    /// Runs the remaining laps under an observer, which may stop the run; a later call continues from there.
    ///
    /// # Errors
    /// As [`Run::run`], and [`Error::Stopped`] where the observer stopped it.
    pub fn observe(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.trainer.run(&mut self.state, observer)
    }

    /// The posterior with the current weights.
    ///
    /// # Errors
    /// Nothing is trained yet.
    pub fn posterior(&self) -> Result<Posterior<S>> {
        if self.state.optim.updates == 0 && self.state.lap == 1 {
            return Err(Error::config("posterior", "nothing is trained yet; call `run` first"));
        }
        Ok(self.trainer.posterior(&self.state))
    }

    /// Reconstructions after the last finished lap, or those of the start, `[n, d]`.
    pub fn reconstructions(&self) -> &Samples {
        &self.state.x
    }

    /// Records of the finished laps; the first one is the start.
    pub fn history(&self) -> &[LapRecord] {
        &self.state.history
    }

    /// The Gaussian prior of the start; `None` where there is none.
    pub fn initial_prior(&self) -> Option<&InitialPrior> {
        self.prior.as_ref()
    }

    /// Current state of the run.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The run without its state.
    pub fn trainer(&self) -> &Trainer<S> {
        &self.trainer
    }

    /// The trainer and the state, for callers that take the steps themselves.
    pub fn parts(&mut self) -> (&Trainer<S>, &mut State) {
        (&self.trainer, &mut self.state)
    }
}
