//! evaluation.json: the results of `evaluate`, lap by lap, with floors.

use crate::eval::features::scores::{self, FeatureScores};
use crate::eval::restoration::{self, Restoration};
use crate::files;
use crate::report::units::divergence;
use crate::run::clean::CleanUse;
use crate::run::dir::RunDir;
use anyhow::{Context, Result};
use diffem::channel::ChannelConfig;
use serde::{Deserialize, Serialize};

/// Name of the report in the run directory.
const FILE: &str = "evaluation.json";
/// Name of the report on observations through another channel.
const FILE_OF_CHANNEL: &str = "evaluation-channel.json";

/// Distances between one sample and the truth.
#[derive(Debug, Serialize, Deserialize)]
pub struct Distances {
    pub sample: String,
    /// Lap of the reconstructions; null for floors and files.
    #[serde(default)]
    pub lap: Option<usize>,
    pub sinkhorn_divergence: f64,
    pub sliced_wasserstein: f64,
    pub energy_distance: f64,
    pub points: usize,
}

/// All scores.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Channel of the test observations, if it is not that of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelConfig>,
    /// Clean signals that the run was trained with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean: Option<CleanUse>,
    #[serde(default)]
    pub distances: Vec<Distances>,
    #[serde(default)]
    pub test: Vec<Restoration>,
    /// Scores of images against the truth; no image occurs in both sets.
    #[serde(default)]
    pub features: Vec<FeatureScores>,
    /// Scores of re-corrupted reconstructions against the observations, both as images; they need no truth.
    #[serde(default)]
    pub proximal: Vec<FeatureScores>,
    /// What these numbers cannot tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Report {
    /// Reads the last report written in `run`, if there is one.
    pub fn read(run: &RunDir) -> Result<Option<Self>> {
        let path = run.file(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let report = serde_json::from_slice(&files::read(&path)?);
        let advice = || format!("{}: not a report of `diffem evaluate`; run it again", path.display());
        report.map(Some).with_context(advice)
    }

    /// Writes the report to the directory of `run`.
    pub fn write(&self, run: &RunDir) -> Result<()> {
        let name = if self.channel.is_some() { FILE_OF_CHANNEL } else { FILE };
        files::write_atomic(&run.file(name), (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }

    /// Returns whether the report has no scores.
    pub fn is_empty(&self) -> bool {
        [self.distances.len(), self.test.len(), self.features.len(), self.proximal.len()] == [0; 4]
    }

    /// Formats the report as tables.
    pub fn table(&self) -> String {
        let mut out = self.clean.as_ref().map_or(String::new(), |clean| format!("{clean}\n"));
        if !self.distances.is_empty() {
            out += &format!(
                "{:22} {:>19} {:>18} {:>15} {:>7}\n",
                "sample", "Sinkhorn divergence", "sliced Wasserstein", "energy distance", "points"
            );
        }
        for d in &self.distances {
            let (s, w, e) = (divergence(d.sinkhorn_divergence), d.sliced_wasserstein, d.energy_distance);
            out += &format!("{:22} {s:>19} {w:>18.4e} {e:>15.4e} {:>7}\n", d.sample, d.points);
        }
        if !self.test.is_empty() {
            out += &restoration::table(&self.test);
        }
        for (what, rows) in [("images", &self.features), ("re-corrupted", &self.proximal)] {
            if !rows.is_empty() {
                out += &scores::table(what, rows);
            }
        }
        self.notes.iter().for_each(|note| out += &format!("note: {note}\n"));
        out
    }
}
