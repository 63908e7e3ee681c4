//! The state of a run and the events that it reports.

use super::monitor::MonitorRecord;
use crate::conditioning::Standardizer;
use crate::optim::OptimState;
use crate::samples::Samples;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::ControlFlow;

/// Phase of a lap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Training.
    MStep,
    /// Reconstructing.
    EStep,
}

/// Record of a finished lap; lap 0 is the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LapRecord {
    /// Lap, from 0.
    pub lap: usize,
    /// Mean training loss over the last tenth of the M-step; `None` for lap 0.
    pub loss: Option<f64>,
    /// Held-out comparison, if it is on.
    pub monitor: Option<MonitorRecord>,
    /// Factor ω of an over-relaxed E-step; `None` for a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relaxation: Option<f64>,
}

/// Number of standard errors by which a lap may be worse than the best mean and still be chosen.
const TOLERANCE: f64 = 2.0;

impl LapRecord {
    /// The last lap whose held-out energy score is not significantly worse than the best one before it (in
    /// theory laps only improve), or the last lap where nothing is held out. Where E-steps were over-relaxed,
    /// theory promises nothing, and the lap with the best score counts. `None` without a lap after the start.
    pub fn best(history: &[Self]) -> Option<usize> {
        let excess = |r: &Self| r.monitor.map_or(0.0, |m| m.excess);
        let laps = || history.iter().filter(|r| r.lap > 0);
        let relaxed = history.iter().any(|r| r.relaxation.is_some());
        let tolerance = if relaxed { 0.0 } else { TOLERANCE };
        let good = laps().rfind(|r| excess(r) <= tolerance);
        // Where every lap is significantly worse than an earlier one, take the one with the smallest excess.
        good.or_else(|| laps().min_by(|a, b| excess(a).total_cmp(&excess(b)))).map(|r| r.lap)
    }
}

/// The state of a run: all that is needed to continue from there.
#[derive(Clone, Debug)]
pub struct State {
    /// Current lap, from 1.
    pub lap: usize,
    /// Phase of the current lap.
    pub phase: Phase,
    /// Number of M-step steps taken in this lap.
    pub step: usize,
    /// Weights and optimizer.
    pub optim: OptimState,
    /// Factor ω of over-relaxation of the coming E-steps; 1 is plain EM.
    pub relaxation: f64,
    /// Whether a Gaussian prior whose moments are those of `standardizer` made the first reconstructions, so that
    /// lap 1 can be over-relaxed.
    pub fitted: bool,
    /// The previous lap's weights `[P]`, where E-steps are over-relaxed.
    pub previous: Option<Tensor<1>>,
    /// Coordinates in which the diffusion runs.
    pub standardizer: Standardizer,
    /// Reconstructions of all observations after the last lap, `[n, d]`.
    pub x: Samples,
    /// New reconstructions of this lap, `[n, d]`, the first `done` of which are complete; empty before the
    /// first.
    pub partial: Samples,
    /// Number of observations reconstructed in this lap.
    pub done: usize,
    /// Losses of this lap's last steps, for its record: sum and count.
    pub tail_loss: (f64, usize),
    /// Scores of the held-out observations in the lap with the best mean.
    pub best_scores: Vec<f32>,
    /// Records of the finished laps.
    pub history: Vec<LapRecord>,
}

impl State {
    /// The lap chosen by the held-out observations, see [`LapRecord::best`]; `None` before lap 1.
    pub fn best_lap(&self) -> Option<usize> {
        LapRecord::best(&self.history)
    }
}

/// An event of a run. The state passed along with it is consistent and may be saved.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Some optimizer steps were taken.
    MStep {
        /// Lap, from 1.
        lap: usize,
        /// Number of steps taken in this lap.
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
        /// Number of observations reconstructed in this lap.
        done: usize,
    },
    /// A lap is finished: the state holds its weights and reconstructions and already points at the next lap.
    Lap(&'a LapRecord),
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MStep { lap, step, loss, .. } => write!(f, "lap {lap}: M-step, step {step}, loss {loss:.4}"),
            Self::EStep { lap, done } => write!(f, "lap {lap}: E-step, {done} observations reconstructed"),
            Self::Lap(record) => write!(f, "{record}"),
        }
    }
}

impl fmt::Display for LapRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lap {}: done", self.lap)?;
        self.loss.map_or(Ok(()), |loss| write!(f, ", loss {loss:.4}"))?;
        self.monitor.map_or(Ok(()), |m| write!(f, ", {m}"))
    }
}

/// Receives the events of a run, and may stop it by breaking.
pub trait Observer {
    /// Called after every event. [`ControlFlow::Break`] ends the run with [`crate::Error::Stopped`], leaving
    /// the state consistent.
    fn on_event(&mut self, event: Event<'_>, state: &State) -> ControlFlow<()>;
}

impl<F: FnMut(Event<'_>, &State) -> ControlFlow<()>> Observer for F {
    fn on_event(&mut self, event: Event<'_>, state: &State) -> ControlFlow<()> {
        self(event, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(lap: usize, excess: f64) -> LapRecord {
        let monitor = MonitorRecord {
            energy_score: 1.0,
            hidden_score: None,
            log_likelihood: None,
            excess,
            energy: 0.0,
            energy_floor: 0.0,
            sinkhorn: 0.0,
            sinkhorn_floor: 0.0,
            points: 2,
        };
        LapRecord { lap, loss: None, monitor: Some(monitor), relaxation: None }
    }

    #[test]
    fn the_last_lap_within_the_tolerance_is_best() {
        assert_eq!(LapRecord::best(&[record(0, 0.0), record(1, -3.0), record(2, 1.9), record(3, 2.1)]), Some(2));
    }

    #[test]
    fn after_over_relaxation_the_lap_with_the_best_score_is_best() {
        let mut history = [record(0, 0.0), record(1, 0.0), record(2, -3.0), record(3, 0.9)];
        assert_eq!(LapRecord::best(&history), Some(3));
        history[2].relaxation = Some(2.0);
        assert_eq!(LapRecord::best(&history), Some(2));
    }

    #[test]
    fn where_all_laps_are_worse_the_one_of_least_excess_is_best() {
        let worse = [record(0, 0.0), record(1, 9.0), record(2, 5.0), record(3, 2.5)];
        assert_eq!(LapRecord::best(&worse), Some(3));
        assert_eq!(LapRecord::best(&worse[..1]), None);
    }
}
