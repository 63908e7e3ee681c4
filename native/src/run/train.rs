//! Drives a run from its last saved state to its end: saves, reports, and stops cleanly.

use crate::report::progress::{Progress, ProgressMode};
use crate::report::units::divergence;
use crate::run::metrics::{Line, MetricsFile, TruthRecord};
use crate::run::session::Session;
use crate::signals::{Ended, catch_signals, stopping};
use anyhow::{Result, bail};
use diffem::Error;
use diffem::em::{Event, LapRecord, Observer, State};
use diffem::metric::TruthScorer;
use std::ops::ControlFlow;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Runs the remaining laps of `session`.
pub fn run(session: &Session, mode: ProgressMode) -> Result<Ended> {
    catch_signals()?;
    let _lock = session.run.lock()?;
    session.run.clear_leftovers()?;
    let em = session.em();
    let saved = session.run.latest_state(&session.config, session.layout.len(), &session.device)?;
    if let Some(state) = saved.as_ref().filter(|state| em.finished(state)) {
        // The process that finished the last lap may have been killed before it deleted the states within it.
        session.run.clear_lap(state.lap - 1)?;
        if session.run.file("summary.json").exists() {
            // summary.json is kept: its numbers, such as peak memory, are those of the process that did the work.
            return Ok(Ended::Finished);
        }
    }
    let begun = saved.is_some();
    let mut progress = Progress::new(mode);
    let mut state = match saved {
        Some(state) => state,
        None => {
            session.dataset.warnings.iter().for_each(|warning| progress.message(&format!("warning: {warning}")));
            progress.message("making the first reconstructions");
            session.start()?
        }
    };
    let mut reporter = Reporter::new(session, progress, &state)?;
    if !begun {
        reporter.lap(&state.history[0].clone(), &state)?;
        warn_of_narrow_draws(session, &state, &mut reporter.progress);
    }
    let outcome = em.run(&mut state, &mut reporter);
    reporter.progress.finish();
    match (outcome, reporter.error.take()) {
        (_, Some(error)) => Err(error),
        (Ok(()), None) => {
            crate::run::summary::write(session)?;
            Ok(Ended::Finished)
        }
        (Err(Error::Stopped), None) => Ok(Ended::Stopped),
        (Err(error), None) => {
            let run = session.run.path().display();
            match session.run.laps()?.last() {
                Some(lap) => bail!("{error}\nThe last good lap is {run}/lap-{lap:03}."),
                None => Err(error.into()),
            }
        }
    }
}

/// Share of the variance of measured values below which draws deserve a warning: σ_min is a fifth of the noise.
const FAITHFUL: f64 = 1.0 / (1.0 + 0.2 * 0.2);

/// Says so where the smallest noise level of the diffusion hides the noise of the observations.
fn warn_of_narrow_draws(session: &Session, state: &State, progress: &mut Progress) {
    let posterior = session.em().posterior(state);
    let Some(share) = posterior.measured_share(session.em().observations()).filter(|share| *share < FAITHFUL) else {
        return;
    };
    let (sigma, percent) = (session.config.schedule.sigma_min, 100.0 * share);
    progress.message(&format!(
        "warning: schedule.sigma_min = {sigma} is above a fifth of the noise, so draws keep {percent:.0} % of the variance of \
         measured values; lower it, or let the observation update the estimate (conditioning.measurement_update)"
    ));
}

struct Reporter<'a> {
    session: &'a Session,
    progress: Progress,
    metrics: MetricsFile,
    truth: Option<TruthScorer>,
    /// Seconds of work before this process.
    seconds: f64,
    /// When this process began to work, moved forward by the time spent on evaluation.
    since: Instant,
    saved: Instant,
    shown: Option<(usize, bool)>,
    done: usize,
    error: Option<anyhow::Error>,
}

impl<'a> Reporter<'a> {
    fn new(session: &'a Session, progress: Progress, state: &State) -> Result<Self> {
        let report = &session.config.report;
        let truth = match &session.dataset.truth.u {
            Some(u) if report.points >= 2 => {
                Some(TruthScorer::new(u, report.points.min(state.x.n()), report.regularization)?)
            }
            _ => None,
        };
        let (metrics, seconds) = MetricsFile::open(&session.run.file("metrics.jsonl"), state)?;
        let now = Instant::now();
        Ok(Self {
            session,
            progress,
            metrics,
            truth,
            seconds,
            since: now,
            saved: now,
            shown: None,
            done: 0,
            error: None,
        })
    }

    fn clock(&self) -> f64 {
        self.seconds + self.since.elapsed().as_secs_f64()
    }

    fn handle(&mut self, event: Event<'_>, state: &State) -> Result<ControlFlow<()>> {
        match event {
            Event::MStep { lap, step, loss, learning_rate } => {
                let (seconds, time) = (self.clock(), now());
                self.metrics.append(&Line::MStep { lap, step, loss, learning_rate, seconds, time })?;
                self.show(lap, false, step, &format!("loss {loss:.4}"));
            }
            Event::EStep { lap, done } => self.show(lap, true, done, ""),
            Event::Lap(record) => {
                self.progress.finish();
                self.lap(record, state)?;
                return Ok(self.break_if_stopping(state));
            }
        }
        let due = self.saved.elapsed().as_secs_f64() >= self.session.config.report.save_every;
        if due || stopping() {
            self.session.run.write_state(state, &self.session.config)?;
            self.saved = Instant::now();
        }
        Ok(self.break_if_stopping(state))
    }

    /// Ends the run if a signal asked for it, with a message that says how to continue.
    fn break_if_stopping(&mut self, state: &State) -> ControlFlow<()> {
        if !stopping() {
            return ControlFlow::Continue(());
        }
        let run = self.session.run.path().display();
        self.progress.finish();
        self.progress.message(&format!("stopped in lap {}; continue with `diffem resume {run}`", state.lap));
        ControlFlow::Break(())
    }

    /// Moves the progress of a phase to `done`.
    fn show(&mut self, lap: usize, e_step: bool, done: usize, message: &str) {
        // An over-relaxed E-step that is not kept is followed by another one of the same lap.
        if self.shown != Some((lap, e_step)) || done < self.done {
            if self.shown.is_none_or(|(shown, _)| shown != lap) {
                self.progress.lap(lap, self.session.config.em.laps);
            }
            match e_step {
                true => self.progress.start("E-step", self.session.dataset.observations.n() as u64, "observations"),
                false => self.progress.start("M-step", self.session.config.m_step.steps as u64, "steps"),
            }
            (self.shown, self.done) = (Some((lap, e_step)), 0);
        }
        self.progress.advance((done - self.done) as u64, message);
        self.done = done;
    }

    /// Scores and writes a finished lap, and rebuilds the event file.
    fn lap(&mut self, record: &LapRecord, state: &State) -> Result<()> {
        let (seconds, evaluation) = (self.clock(), Instant::now());
        let run = &self.session.run;
        let truth = self.truth.as_ref().map(|t| TruthRecord::of(t, &state.x)).transpose()?;
        let &LapRecord { lap, loss, monitor, relaxation } = record;
        // The line is written first: a lap that is DONE must have its line, while a line without its lap is
        // cut off on resume.
        self.metrics.append(&Line::Lap { lap, loss, monitor, relaxation, truth, seconds, time: now() })?;
        run.write_lap(lap, &self.session.layout, state, &self.session.config)?;
        run.clear_lap(lap)?;
        crate::run::summary::write_events(run)?;
        self.progress.message(&describe(record, truth));
        self.since += evaluation.elapsed();
        self.saved = Instant::now();
        Ok(())
    }
}

/// One line about a finished lap.
fn describe(record: &LapRecord, truth: Option<TruthRecord>) -> String {
    let title = match record.lap {
        0 => "start".to_string(),
        lap => format!("lap {lap}"),
    };
    let truth = truth.map(|t| {
        let [found, floor] = [t.sinkhorn, t.sinkhorn_floor].map(divergence);
        format!("Sinkhorn divergence to the truth {found} (floor {floor})")
    });
    let monitor = record.monitor.map(|m| m.to_string());
    let loss = record.loss.map(|loss| format!("loss {loss:.4}"));
    let relaxed = record.relaxation.map(|factor| format!("over-relaxed by {factor}"));
    let scores: Vec<String> = [truth, monitor, loss, relaxed].into_iter().flatten().collect();
    if scores.is_empty() { title } else { format!("{title}: {}", scores.join("; ")) }
}

impl Observer for Reporter<'_> {
    fn on_event(&mut self, event: Event<'_>, state: &State) -> ControlFlow<()> {
        self.handle(event, state).unwrap_or_else(|error| {
            self.error = Some(error);
            ControlFlow::Break(())
        })
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
