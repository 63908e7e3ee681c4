//! The held-out comparison of a run's laps.

use super::hidden::Sample;
use super::monitor::{Monitor, MonitorRecord};
use crate::error::Result;
use crate::samples::Samples;

/// The held-out comparison, where it is on, and the rows that it scores.
pub(super) struct Comparison {
    pub monitor: Option<Monitor>,
    pub train: Vec<usize>,
}

impl Comparison {
    pub fn score(
        &self,
        x: &Samples,
        lap: usize,
        best: &mut Vec<f32>,
        sample: Option<&Sample<'_>>,
    ) -> Result<Option<MonitorRecord>> {
        let score = |monitor: &Monitor| monitor.score(&x.select(&self.train), lap, best, sample);
        self.monitor.as_ref().map(score).transpose()
    }
}
