//! How far reconstructions are from the truth. Training does not need the score, which takes a sixth of a lap's time, so
//! another worker can compute it while the run goes on.

use super::config::Settings;
use super::{LiveConfig, drawn};
use diffem::metric::TruthScorer;
use diffem::synthetic::Drawn;
use diffem::{Error, Result, Samples};
use serde::Serialize;

/// Most points a side of the divergence.
const SCORED: usize = 512;
/// Entropic regularization of the divergence, the command line's.
const REGULARIZATION: f64 = 1e-3;

/// A score of reconstructions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LiveScore {
    /// Sinkhorn divergence of the reconstructions from the truth, in squared units of the signal, at least 1e-6.
    pub divergence: f64,
    /// The same of a truth sample, which is the score of perfect reconstructions.
    pub floor: f64,
}

/// Scores the reconstructions of every lap of a run.
pub struct LiveScorer {
    truth: TruthScorer,
    d: usize,
}

impl LiveScorer {
    /// The scorer of the run with this configuration and seed.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn new(config: &LiveConfig, seed: u64) -> Result<Self> {
        let (_, Drawn { u, .. }) = drawn(&Settings::new(config, seed)?, config.observations, seed)?;
        let truth = TruthScorer::new(&u, config.observations.min(SCORED), REGULARIZATION)?;
        Ok(Self { truth, d: u[0].d() })
    }

    /// The score of the first rows of `cloud`, `[n * d]` with a row for every observation of the run.
    ///
    /// # Errors
    /// Too few values, a number of them that is no multiple of d, or one that is not finite.
    pub fn score(&self, cloud: Vec<f32>) -> Result<LiveScore> {
        let least = self.truth.points() * self.d;
        if cloud.len() < least || !cloud.len().is_multiple_of(self.d) {
            let expected =
                format!("expected a multiple of {} numbers, at least {least}, found {}", self.d, cloud.len());
            return Err(Error::config("cloud", expected));
        }
        let divergence = self.truth.score(&Samples::new(cloud, self.d))?;
        Ok(LiveScore { divergence, floor: self.truth.floor() })
    }
}
