//! The E-step of a run, and the end of its lap.

use super::relaxation::Relaxation;
use super::state::{Event, LapRecord, Observer, Phase, State};
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::network::NetworkSpec;
use crate::observations::Observations;
use crate::samples::Samples;
use std::ops::ControlFlow;

impl<S: NetworkSpec> Trainer<S> {
    /// Takes the E-step of the current lap and finishes the lap.
    pub(super) fn reconstruct(&self, state: &mut State, observer: &mut dyn Observer) -> Result<()> {
        let (lap, n, d) = (state.lap, self.observations.n(), self.model.channel.signal_len());
        self.share(state)?;
        if state.partial.n() != n {
            state.partial = self.table(state, n, d)?;
        }
        let (posterior, ranks) = (self.e_step_posterior(state).over(self.ranks.clone()), self.ranks.as_ref());
        self.e_step(&posterior, lap).run(state.done, &mut |rows| {
            state.partial.put(state.done, rows);
            state.done += rows.n();
            let flow = observer.on_event(Event::EStep { lap, done: state.done }, state);
            if ranks.any(flow.is_break()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
        let judged =
            |observations: &Observations, draws: usize| posterior.sample_seeded(observations, draws, self.seed);
        let mut monitor = self.comparison()?.score(&x, lap, &mut state.best_scores, Some(&judged))?;
        // What the run goes by is the same number on all ranks.
        monitor.iter_mut().for_each(|m| m.excess = ranks.first(m.excess));
        let relaxation = Some(posterior.relaxation()).filter(|factor| *factor > 1.0);
        // Lap 1 has nothing to be compared with.
        if let Some(factor) = relaxation.filter(|_| lap > 1) {
            let verdict = Relaxation::judge(factor, monitor.map_or(0.0, |m| m.excess));
            state.relaxation = verdict.next;
            if !verdict.keep {
                // The state still stands before the E-step, which is now taken plainly.
                return Ok(());
            }
        }
        let (sum, count) = std::mem::take(&mut state.tail_loss);
        let record = LapRecord { lap, loss: Some(sum / count.max(1) as f64), monitor, relaxation };
        state.history.push(record.clone());
        state.previous = (state.relaxation > 1.0).then(|| state.optim.average.clone());
        (state.x, state.lap, state.phase, state.step) = (x, lap + 1, Phase::MStep, 0);
        self.stop_on(observer.on_event(Event::Lap(&record), state))
    }

    /// Returns the table of this lap's reconstructions. Where the store keeps nothing, those that an earlier
    /// process made are lost; the E-step then starts again, with the same noise and hence the same result. Ranks receive
    /// those that rank 0 kept.
    fn table(&self, state: &mut State, n: usize, d: usize) -> Result<Samples> {
        let ranks = self.ranks.as_ref();
        let kept = match (state.done, ranks.rank()) {
            (1.., 0) => self.store.resumed(state.lap, n, d),
            _ => Ok(None),
        };
        let kept = ranks.agree(kept)?;
        if !ranks.any(kept.is_some()) {
            state.done = 0;
        }
        let table = kept.map_or_else(|| self.store.reconstructions(state.lap, n, d), Ok);
        let mut table = ranks.agree(table)?;
        ranks.share_rows(&mut table, 0..state.done);
        Ok(table)
    }
}
