//! metrics.jsonl: one line per event. On resume it is cut back to the events up to the saved state.

use crate::files;
use anyhow::{Context, Result};
use diffem::Samples;
use diffem::em::{MonitorRecord, Phase, State};
use diffem::metric::TruthScorer;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Scores against the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthRecord {
    /// Sinkhorn divergence max(OT(u1, v) - OT(u1, u2), 1e-6) of the reconstructions v.
    pub sinkhorn: f64,
    /// The same divergence for a third truth sample, which is the score of perfect reconstructions.
    pub sinkhorn_floor: f64,
    /// Number of points per side.
    pub points: usize,
}

impl TruthRecord {
    /// Scores the first rows of `x`.
    pub fn of(scorer: &TruthScorer, x: &Samples) -> Result<Self> {
        Ok(Self { sinkhorn: scorer.score(x)?, sinkhorn_floor: scorer.floor(), points: scorer.points() })
    }
}

/// Time and bytes of rank 0 per lap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RanksRecord {
    /// Number of ranks.
    pub count: usize,
    /// Seconds of the M-step.
    pub m_step: f64,
    /// Seconds of the E-step and of the comparison after it.
    pub e_step: f64,
    /// Seconds of these that it sent, received or waited for other ranks.
    pub communication: f64,
    /// Bytes that it sent.
    pub bytes_sent: u64,
}

/// One line of metrics.jsonl.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// Progress of an M-step.
    MStep {
        /// Lap, from 1.
        lap: usize,
        /// Steps taken in this lap.
        step: usize,
        /// Mean loss since the last line.
        loss: f64,
        /// Learning rate.
        learning_rate: f64,
        /// Seconds of training and sampling so far, evaluation not counted.
        seconds: f64,
        /// Seconds since 1970.
        time: f64,
    },
    /// A finished lap; lap 0 is the start.
    Lap {
        /// Lap, from 0.
        lap: usize,
        /// Mean loss over the last tenth of the M-step.
        loss: Option<f64>,
        /// Held-out comparison.
        monitor: Option<MonitorRecord>,
        /// Factor of an over-relaxed E-step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relaxation: Option<f64>,
        /// Comparison with the truth.
        truth: Option<TruthRecord>,
        /// Where the time went, if the lap was made by several ranks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ranks: Option<RanksRecord>,
        /// Seconds of training and sampling so far, evaluation not counted.
        seconds: f64,
        /// Seconds since 1970.
        time: f64,
    },
}

impl Line {
    fn seconds(&self) -> f64 {
        match self {
            Self::MStep { seconds, .. } | Self::Lap { seconds, .. } => *seconds,
        }
    }

    fn is_start(&self) -> bool {
        matches!(self, Self::Lap { lap: 0, .. })
    }

    /// Whether this line was written before or at `state`.
    fn precedes(&self, state: &State) -> bool {
        match *self {
            Self::Lap { lap, .. } => lap < state.lap,
            Self::MStep { lap, step, .. } => {
                lap < state.lap || (lap == state.lap && (state.phase == Phase::EStep || step <= state.step))
            }
        }
    }
}

/// metrics.jsonl, open for appending.
pub struct MetricsFile {
    path: PathBuf,
    file: File,
    /// Whether the file holds the line of lap 0 already. A run that was killed before its first saved state
    /// makes its start again.
    begun: bool,
}

impl MetricsFile {
    /// Cuts `path` back to the lines that precede `state`, opens it, and returns the seconds of work so far.
    pub fn open(path: &Path, state: &State) -> Result<(Self, f64)> {
        let lines: Vec<Line> = if path.exists() { read(path)? } else { Vec::new() };
        let kept: Vec<&Line> = lines.iter().filter(|line| line.precedes(state)).collect();
        let text = kept.iter().map(|line| Ok(serde_json::to_string(line)? + "\n")).collect::<Result<String>>()?;
        files::write_atomic(path, text.as_bytes())?;
        let file =
            OpenOptions::new().append(true).open(path).with_context(|| format!("cannot write {}", path.display()))?;
        let seconds = kept.last().map_or(0.0, |line| line.seconds());
        let (path, begun) = (path.to_path_buf(), kept.iter().any(|line| line.is_start()));
        Ok((Self { path, file, begun }, seconds))
    }

    /// Appends a line. The line of lap 0 is appended only once.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        if line.is_start() && std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let text = serde_json::to_string(line)? + "\n";
        self.file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Pairs each line with the total number of optimizer steps taken in all laps up to it.
pub fn with_total_steps(lines: &[Line]) -> impl Iterator<Item = (usize, &Line)> {
    let (mut before, mut last) = (0, (0, 0));
    lines.iter().map(move |line| {
        if let Line::MStep { lap, step, .. } = *line {
            if lap != last.0 {
                before += last.1;
            }
            last = (lap, step);
        }
        (before + last.1, line)
    })
}

/// Reads all complete lines. An incomplete last line, which a killed process leaves, is skipped.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = String::from_utf8_lossy(&files::read(path)?).into_owned();
    let whole: Vec<&str> = text.lines().collect();
    let mut lines = Vec::with_capacity(whole.len());
    for (i, line) in whole.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(line) => lines.push(line),
            Err(_) if i + 1 == whole.len() && !text.ends_with('\n') => {}
            Err(e) => anyhow::bail!(
                "{}: line {} is not one that diffem wrote ({}); restore or delete that line",
                path.display(),
                i + 1,
                // The rest names a type of this program.
                e.to_string().split(", expected internally").next().unwrap_or_default()
            ),
        }
    }
    Ok(lines)
}
