//! History of a run: its loss, and its scores lap by lap.

use super::curves::{Best, Curve, Floor, metric};
use super::loss::loss;
use super::save::save;
use super::style::{OBSERVATIONS, RECONSTRUCTIONS, RoleColor};
use crate::run::metrics::{Line, with_total_steps};
use anyhow::Result;
use std::path::Path;

/// One score over the laps.
#[derive(Default)]
struct Score {
    /// Points (lap, value).
    points: Vec<(f64, f64)>,
    floor: Option<f64>,
}

/// The lines of metrics.jsonl as curves.
#[derive(Default)]
pub struct History {
    /// Points (step counted over all laps, loss).
    losses: Vec<(f64, f64)>,
    /// Steps at which a lap begins.
    begins: Vec<f64>,
    truth: Score,
    energy_score: Score,
    hidden_score: Score,
    log_likelihood: Score,
    energy: Score,
    sinkhorn: Score,
}

impl Score {
    fn add(&mut self, lap: f64, value: f64, floor: Option<f64>) {
        self.points.push((lap, value));
        self.floor = floor.or(self.floor);
    }

    /// Draws the score if it has a value.
    fn draw(&self, label: &str, color: RoleColor, floor: &str, axis: &str, place: (&Path, &str)) -> Result<()> {
        if self.points.is_empty() {
            return Ok(());
        }
        let floor = self.floor.map(|value| Floor { value, label: floor.to_string() });
        let (points, band): (_, &[_]) = (&self.points, &[]);
        let curve = Curve { label: label.to_string(), color, points, band, floor, best: Best::Lowest };
        save(&metric(&[curve], axis)?, place.0, place.1)
    }
}

impl History {
    /// Collects the history from the lines of a run.
    pub fn of(lines: &[Line]) -> Self {
        let (mut history, mut current) = (Self::default(), 0);
        for (total, line) in with_total_steps(lines) {
            match line {
                Line::MStep { lap, step, loss, .. } => {
                    if *lap != current {
                        history.begins.push((total - step) as f64);
                        current = *lap;
                    }
                    history.losses.push((total as f64, *loss));
                }
                Line::Lap { lap, monitor, truth, .. } => {
                    let lap = *lap as f64;
                    if let Some(t) = truth {
                        history.truth.add(lap, t.sinkhorn, Some(t.sinkhorn_floor));
                    }
                    if let Some(m) = monitor {
                        history.energy_score.add(lap, m.energy_score, None);
                        m.log_likelihood.into_iter().for_each(|l| history.log_likelihood.add(lap, -l, None));
                        m.hidden_score.into_iter().for_each(|score| history.hidden_score.add(lap, score, None));
                        history.energy.add(lap, m.energy, Some(m.energy_floor));
                        history.sinkhorn.add(lap, m.sinkhorn, Some(m.sinkhorn_floor));
                    }
                }
            }
        }
        history
    }

    /// Writes figures of the loss, the divergence to the truth and the held-out scores, if any, to `dir`.
    pub fn draw(&self, dir: &Path) -> Result<()> {
        if !self.losses.is_empty() {
            save(&loss(&self.losses, &self.begins, "denoising loss")?, dir, "loss")?;
        }
        let axis = "Sinkhorn divergence to the truth";
        self.truth.draw("reconstructions", RECONSTRUCTIONS, "truth against truth", axis, (dir, "divergence"))?;
        for (score, name, axis) in [
            (&self.energy_score, "held-out-score", "held-out energy score"),
            (&self.log_likelihood, "held-out-likelihood", "held-out negative log-likelihood, nats"),
            (&self.hidden_score, "hidden-values-score", "energy score of hidden values"),
            (&self.energy, "held-out-energy", "held-out energy distance"),
            (&self.sinkhorn, "held-out-sinkhorn", "held-out Sinkhorn divergence"),
        ] {
            score.draw("re-corrupted reconstructions", OBSERVATIONS, "real observations", axis, (dir, name))?;
        }
        Ok(())
    }
}
