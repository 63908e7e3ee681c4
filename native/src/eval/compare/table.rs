//! Output of a comparison: compare.json and the tables.

use super::outcome::{Outcome, Score, Spread};
use crate::files;
use crate::report::units::divergence;
use anyhow::Result;
use std::path::Path;

/// Writes compare.json to `out` and returns the tables.
pub fn write(outcomes: &[Outcome], score: Score, out: &Path) -> Result<String> {
    let text = serde_json::to_string_pretty(outcomes)? + "\n";
    files::write_atomic(&out.join("compare.json"), text.as_bytes())?;
    Ok(table(outcomes, score) + &unseen_table(outcomes))
}

fn table(outcomes: &[Outcome], score: Score) -> String {
    let heads = format!("{:>12} {:>11} {:>10} {:>9} {:>9}", "mean", "std. dev.", "seconds", "forward", "backward");
    let mut out = format!("{}\n{:20} {:>4} {heads}\n", score.name(), "contender", "lap");
    for o in outcomes {
        for row in &o.laps {
            let mean = match score {
                Score::Psnr => format!("{:.3}", row.spread.mean),
                Score::Sinkhorn => divergence(row.spread.mean),
                Score::Energy => format!("{:.4e}", row.spread.mean),
            };
            out += &format!(
                "{:20} {:>4} {mean:>12} {:>11.1e} {:>10.1} {:>9.2e} {:>9.2e}\n",
                o.contender, row.lap, row.spread.deviation, row.seconds, row.forward, row.backward
            );
        }
    }
    if let Some(floor) = outcomes[0].laps.last().and_then(|row| row.floor) {
        out += &format!("{:20} {:>4} {:>12}\n", "truth (floor)", "", divergence(floor));
    }
    for (o, clean) in outcomes.iter().filter_map(|o| Some((o, o.clean.as_ref()?))) {
        out += &format!("{}: {clean}\n", o.contender);
    }
    out
}

/// Formats the scores of the last posteriors on unseen signals; empty if they were not requested.
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
                // A single run has no standard deviation.
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
