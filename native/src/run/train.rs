//! Drives a run from its last saved state to its end: saves, reports, and stops cleanly.

use crate::ranks::world;
use crate::report::progress::{Progress, ProgressMode};
use crate::report::units::divergence;
use crate::run::dir::progress_of;
use crate::run::follower::Follower;
use crate::run::metrics::{Line, MetricsFile, RanksRecord, TruthRecord};
use crate::run::session::Session;
use crate::signals::{Ended, catch_signals};
use anyhow::{Result, bail};
use diffem::Error;
use diffem::em::{Event, LapRecord, Observer, State};
use diffem::metric::TruthScorer;
use diffem::network::NetworkConfig;
use std::ops::ControlFlow;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Runs the remaining laps of `session` on all ranks, of which rank 0 writes and speaks.
pub fn run(session: &Session, mode: ProgressMode) -> Result<Ended> {
    catch_signals()?;
    let (world, em) = (world(), session.em());
    let _lock = world.by_first(|| {
        let lock = session.run.lock()?;
        session.run.clear_leftovers()?;
        Ok(lock)
    })?;
    let saved = session.run.latest_state(&session.config, session.layout.len(), &session.device);
    let saved = world.agree(saved)?;
    world.same("the state that they read", &format!("{:?}", saved.as_ref().map(progress_of)))?;
    if let Some(state) = saved.as_ref().filter(|state| em.finished(state)) {
        // summary.json is kept: its numbers, such as peak memory, are those of the process that did the work.
        let over = world.by_first(|| {
            // The process that finished the last lap may have been killed before it deleted the states within it.
            session.run.clear_lap(state.lap - 1)?;
            Ok(session.run.file("summary.json").exists())
        })?;
        if world.ranks().any(over == Some(true)) {
            return Ok(Ended::Finished);
        }
    }
    let begun = saved.is_some();
    let mut progress = Progress::new(if world.leads() { mode } else { ProgressMode::Quiet });
    let mut state = match saved {
        Some(state) => state,
        None => {
            session.dataset.warnings.iter().for_each(|warning| progress.message(&format!("warning: {warning}")));
            progress.message("making the first reconstructions");
            session.start()?
        }
    };
    idle_ranks(session).iter().for_each(|warning| progress.message(warning));
    let mut reporter = world.by_first(|| {
        let mut reporter = Reporter::new(session, progress, &state)?;
        if !begun {
            reporter.lap(&state.history[0].clone(), &state)?;
            warn_of_narrow_draws(session, &state, &mut reporter.progress);
        }
        // A resumed run may be on another device.
        single_precision(session).iter().for_each(|warning| reporter.progress.message(warning));
        Ok(reporter)
    })?;
    let outcome = match &mut reporter {
        Some(reporter) => em.run(&mut state, reporter),
        None => em.run(&mut state, &mut Follower),
    };
    world.agree(ended(session, outcome, reporter))
}

/// What became of the run, and its summary.
fn ended(session: &Session, outcome: diffem::Result<()>, reporter: Option<Reporter<'_>>) -> Result<Ended> {
    let error = reporter.and_then(|mut reporter| {
        reporter.progress.finish();
        reporter.error.take()
    });
    match (outcome, error) {
        (_, Some(error)) => Err(error),
        (Ok(()), None) => {
            if world().leads() {
                crate::run::summary::write(session)?;
            }
            Ok(Ended::Finished)
        }
        (Err(Error::Stopped), None) => Ok(Ended::Stopped),
        (Err(error @ (Error::Rank(_) | Error::OtherRank(_))), None) => Err(error.into()),
        (Err(error), None) => {
            let run = session.run.path().display();
            match session.run.laps()?.last() {
                Some(lap) => bail!("{error}\nThe last good lap is {run}/lap-{lap:03}."),
                None => Err(error.into()),
            }
        }
    }
}

/// Says so where there are more ranks than micro-batches.
fn idle_ranks(session: &Session) -> Option<String> {
    let m_step = &session.config.m_step;
    let (pieces, count) = (m_step.batch.div_ceil(m_step.micro_batch), world().count());
    (count > pieces).then(|| {
        format!(
            "warning: a mini-batch has {pieces} micro-batches, so {} of {count} ranks wait in the M-step; a lower \
             m_step.micro_batch gives them work",
            count - pieces
        )
    })
}

/// A warning where the network is to multiply in a format that the device does not have.
fn single_precision(session: &Session) -> Option<String> {
    let NetworkConfig::Unet(unet) = &session.config.network else { return None };
    (unet.precision.on(&session.device) != unet.precision).then(|| {
        "warning: network.precision: this device does not multiply in the format that is set, so the run computes in single \
         precision; see `diffem devices` for others"
            .into()
    })
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
    work: Work,
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
            work: Work { begun: seconds, trained: seconds, ..Work::default() },
            error: None,
        })
    }

    fn clock(&self) -> f64 {
        self.seconds + self.since.elapsed().as_secs_f64()
    }

    /// Writes and shows `event`.
    fn record(&mut self, event: &Event<'_>, state: &State) -> Result<()> {
        match *event {
            Event::MStep { lap, step, loss, learning_rate } => {
                let (seconds, time) = (self.clock(), now());
                self.metrics.append(&Line::MStep { lap, step, loss, learning_rate, seconds, time })?;
                self.show(lap, false, step, &format!("loss {loss:.4}"));
                self.work.trained = seconds;
            }
            Event::EStep { lap, done } => self.show(lap, true, done, ""),
            Event::Lap(record) => {
                self.progress.finish();
                self.lap(record, state)?;
            }
        }
        Ok(())
    }

    /// Saves a state within a lap when the last one is old enough, or when the run is about to end.
    fn save(&mut self, event: &Event<'_>, state: &State, stopping: bool) -> Result<()> {
        let due = self.saved.elapsed().as_secs_f64() >= self.session.config.report.save_every;
        if !matches!(event, Event::Lap(_)) && (due || stopping) {
            self.session.run.write_state(state, &self.session.config)?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// Ends the run if a signal asked for it, with a message that says how to continue.
    fn break_if(&mut self, stopping: bool, state: &State) -> ControlFlow<()> {
        if !stopping {
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
        let ranks = self.work.of_lap(seconds);
        self.metrics.append(&Line::Lap { lap, loss, monitor, relaxation, truth, ranks, seconds, time: now() })?;
        run.write_lap(lap, &self.session.layout, state, &self.session.config)?;
        run.clear_lap(lap)?;
        crate::run::summary::write_events(run)?;
        self.progress.message(&describe(record, truth));
        self.since += evaluation.elapsed();
        self.saved = Instant::now();
        Ok(())
    }
}

/// Where the time of a lap goes on ranks.
#[derive(Default)]
struct Work {
    /// Seconds of work at the beginning of the lap, and at the last event of its M-step.
    begun: f64,
    trained: f64,
    /// Bytes and seconds of communication before the lap.
    before: (u64, f64),
}

impl Work {
    /// The record of a lap that ends after `seconds` of work; `None` where a process works alone.
    fn of_lap(&mut self, seconds: f64) -> Option<RanksRecord> {
        let (bytes, waited) = world().traffic();
        let record = RanksRecord {
            count: world().count(),
            m_step: self.trained - self.begun,
            e_step: seconds - self.trained,
            communication: waited - self.before.1,
            bytes_sent: bytes - self.before.0,
        };
        (self.begun, self.trained, self.before) = (seconds, seconds, (bytes, waited));
        (record.count > 1).then_some(record)
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
        let recorded = self.record(&event, state);
        // All ranks ask each other here, whatever this one met.
        let stopping = world().stopping();
        match recorded.and_then(|()| self.save(&event, state, stopping)) {
            Ok(()) => self.break_if(stopping, state),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
