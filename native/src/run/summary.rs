//! Files that are rebuilt from metrics.jsonl: summary.json and the event file for TensorBoard.

use crate::files;
use crate::report::tensorboard::{Scalar, file_name, write_events as write_scalars};
use crate::resources::peak_memory;
use crate::run::dir::RunDir;
use crate::run::laps::best_lap;
use crate::run::metrics::{self, Line, with_total_steps};
use crate::run::session::Session;
use anyhow::Result;
use serde_json::json;

/// Writes summary.json of a finished run.
pub fn write(session: &Session) -> Result<()> {
    let run = &session.run;
    let lines = metrics::read(&run.file("metrics.jsonl"))?;
    let laps: Vec<&Line> = lines.iter().filter(|line| matches!(line, Line::Lap { .. })).collect();
    let summary = json!({
        "name": session.config.name,
        "seed": session.config.seed,
        "version": env!("CARGO_PKG_VERSION"),
        "device": session.device_name,
        "workers": rayon::current_num_threads(),
        "observations": session.dataset.observations.n(),
        // null where no clean signal was used.
        "clean": session.clean_use(),
        "parameters": session.layout.len(),
        "network_calls_per_draw": session.config.e_step.sampler.calls(),
        // Peak memory of the process that finished the run; null where the system does not report it.
        "peak_memory_bytes": peak_memory(),
        "best_lap": best_lap(run)?.or_else(|| laps.len().checked_sub(1)),
        "laps": laps,
    });
    files::write_atomic(&run.file("summary.json"), (serde_json::to_string_pretty(&summary)? + "\n").as_bytes())
}

/// Rebuilds the event file from metrics.jsonl.
pub fn write_events(run: &RunDir) -> Result<()> {
    let lines = metrics::read(&run.file("metrics.jsonl"))?;
    let began = lines.first().map_or(0.0, |line| match line {
        Line::MStep { time, .. } | Line::Lap { time, .. } => *time,
    });
    let path = run.file(&file_name(began as u64));
    write_scalars(&path, scalars(&lines))
}

/// All curves: the loss and learning rate over the total number of steps, everything else over laps.
fn scalars(lines: &[Line]) -> Vec<Scalar> {
    let mut out = Vec::new();
    let mut push = |tag: &str, step: usize, wall_time: f64, value: f64| {
        out.push(Scalar { tag: tag.to_string(), step: step as i64, wall_time, value: value as f32 });
    };
    for (total, line) in with_total_steps(lines) {
        match line {
            Line::MStep { loss, learning_rate, time, .. } => {
                push("m-step/loss", total, *time, *loss);
                push("m-step/learning-rate", total, *time, *learning_rate);
            }
            Line::Lap { lap, monitor, truth, time, .. } => {
                if let Some(m) = monitor {
                    push("held-out/energy-score", *lap, *time, m.energy_score);
                    m.log_likelihood.into_iter().for_each(|l| push("held-out/log-likelihood", *lap, *time, l));
                    m.hidden_score.into_iter().for_each(|score| push("held-out/hidden-values", *lap, *time, score));
                    push("held-out/energy-distance", *lap, *time, m.energy);
                    push("held-out/sinkhorn-divergence", *lap, *time, m.sinkhorn);
                }
                if let Some(t) = truth {
                    push("truth/sinkhorn-divergence", *lap, *time, t.sinkhorn);
                }
            }
        }
    }
    out
}
