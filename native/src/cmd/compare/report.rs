//! The comparison for reading: tables, figures against laps and against seconds, compare.json.

use super::outcome::{Outcome, Row, Score, Spread};
use crate::figures::chart::canvas::{BLUE, GRAY, GREEN, ORANGE, PURPLE, SeriesColor, VERMILLION};
use crate::figures::curves::{Best, Curve, Floor, metric_over};
use crate::figures::save::save;
use crate::files;
use anyhow::Result;
use std::path::Path;

/// One a contender.
pub const COLORS: [SeriesColor; 6] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, GRAY];

/// Writes compare.json and the figures into `out`; gives the tables.
pub fn write(outcomes: &[Outcome], score: Score, out: &Path) -> Result<String> {
    let text = serde_json::to_string_pretty(outcomes)? + "\n";
    files::write_atomic(&out.join("compare.json"), text.as_bytes())?;
    for (x, name, file) in [
        (&(|row: &Row| row.lap as f64) as &dyn Fn(&Row) -> f64, "lap", "laps"),
        (&|row: &Row| row.seconds, "seconds of training and sampling", "seconds"),
    ] {
        figure(outcomes, score, x, name, &out.join("figures"), file)?;
    }
    Ok(table(outcomes, score) + &unseen_table(outcomes))
}

/// Mean over the seeds with a band of one standard deviation, against `x`.
fn figure(
    outcomes: &[Outcome],
    score: Score,
    x: &dyn Fn(&Row) -> f64,
    x_name: &str,
    dir: &Path,
    file: &str,
) -> Result<()> {
    files::ensure_writable_dir(dir)?;
    let points: Vec<Vec<(f64, f64)>> =
        outcomes.iter().map(|o| o.laps.iter().map(|row| (x(row), row.spread.mean)).collect()).collect();
    // A band that reaches below the best seed would leave a logarithmic axis.
    let low =
        |row: &Row| (row.spread.mean - row.spread.deviation).max(row.scores.iter().copied().fold(f64::MAX, f64::min));
    let band = |row: &Row| (low(row), row.spread.mean + row.spread.deviation);
    let bands: Vec<Vec<(f64, f64)>> = outcomes.iter().map(|o| o.laps.iter().map(band).collect()).collect();
    let floor = |o: &Outcome| o.laps.last().and_then(|row| row.floor);
    let curves: Vec<Curve<'_>> = outcomes
        .iter()
        .enumerate()
        .map(|(i, o)| Curve {
            label: o.contender.clone(),
            color: COLORS[i],
            points: &points[i],
            band: if o.seeds.len() > 1 { &bands[i] } else { &[] },
            floor: floor(o).filter(|_| i == 0).map(|value| Floor { value, label: "truth against truth".into() }),
            best: Best::Unmarked,
        })
        .collect();
    save(&metric_over(&curves, x_name, score.name())?, dir, file)
}

fn table(outcomes: &[Outcome], score: Score) -> String {
    let heads = format!("{:>12} {:>11} {:>10} {:>9} {:>9}", "mean", "deviation", "seconds", "forward", "backward");
    let mut out = format!("{}\n{:20} {:>4} {heads}\n", score.name(), "contender", "lap");
    for o in outcomes {
        for row in &o.laps {
            let mean = match score {
                Score::Psnr => format!("{:.3}", row.spread.mean),
                Score::Sinkhorn | Score::Energy => format!("{:.4e}", row.spread.mean),
            };
            out += &format!(
                "{:20} {:>4} {mean:>12} {:>11.1e} {:>10.1} {:>9.2e} {:>9.2e}\n",
                o.contender, row.lap, row.spread.deviation, row.seconds, row.forward, row.backward
            );
        }
    }
    if let Some(floor) = outcomes[0].laps.last().and_then(|row| row.floor) {
        out += &format!("{:20} {:>4} {floor:>12.4e}\n", "truth (floor)", "");
    }
    out
}

/// The last posteriors of unseen signals; empty where they were not asked for.
fn unseen_table(outcomes: &[Outcome]) -> String {
    if outcomes.iter().all(|o| o.test.is_empty()) {
        return String::new();
    }
    let heads: String = ["PSNR (dB)", "missing", "SSIM", "χ²"].iter().map(|head| format!(" {head:>16}")).collect();
    let mut out = format!("\nUnseen signals, last lap\n{:20} {:9}{heads}\n", "contender", "estimate");
    for (o, row) in outcomes.iter().flat_map(|o| o.test.iter().map(move |row| (o, row))) {
        let cell = |value: Option<Spread>, places: usize| {
            let text = match value {
                None => "-".to_string(),
                // One run has no deviation.
                Some(v) if o.seeds.len() == 1 => format!("{:.places$}", v.mean),
                Some(v) => format!("{:.places$} ± {:.places$}", v.mean, v.deviation),
            };
            format!(" {text:>16}")
        };
        let cells = [cell(row.psnr, 2), cell(row.psnr_missing, 2), cell(row.ssim, 3), cell(row.chi2, 3)].concat();
        let estimate = format!("{:?}", row.estimate).to_lowercase();
        out += &format!("{:20} {estimate:9}{cells}\n", o.contender);
    }
    out
}
