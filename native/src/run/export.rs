//! Packs a run's posterior into the one file that the browser loads.

use crate::run::session::Session;
use anyhow::Result;
use diffem::checkpoint::Precision;
use diffem::posterior::{Examples, Export, Posterior};

/// Observations whose draws tell what the rounding of the weights changes.
const COMPARED: usize = 2;

/// An exported posterior.
pub struct Bundle {
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// Lap whose posterior was exported.
    pub lap: usize,
    /// Number of weights.
    pub weights: usize,
    /// Number of observations in the file.
    pub examples: usize,
    /// What was exported.
    posterior: Posterior,
}

impl Bundle {
    /// Exports the posterior of lap `lap`, or of the best lap, with at most `examples` observations.
    pub fn of(session: &Session, lap: Option<usize>, examples: usize, precision: Precision) -> Result<Self> {
        let config = &session.config;
        config.channel.check_browser()?;
        let (lap, posterior) = session.posterior(lap)?;
        let examples = chosen(session, examples);
        let export = Export { name: &config.name, lap, channel: &config.channel, examples: &examples, precision };
        let (bytes, weights) = (posterior.encode(&export)?, session.layout.len());
        Ok(Self { bytes, lap, weights, examples: examples.observations.n(), posterior })
    }

    /// The root mean square and the greatest difference between draws of the posterior in the file and of the run's own, for
    /// the same noise.
    pub fn rounding(&self, session: &Session) -> Result<(f64, f64)> {
        let observations = chosen(session, COMPARED).observations;
        let own = self.posterior.sample(&observations, 1)?;
        let posterior: Posterior = Posterior::open(&self.bytes, &session.device)?;
        let rounded = posterior.sample(&observations, 1)?;
        let differences = own.as_slice().iter().zip(rounded.as_slice()).map(|(a, b)| f64::from(a - b).abs());
        let (sum, greatest) = differences.fold((0.0, 0.0), |(sum, most): (f64, f64), d| (sum + d * d, most.max(d)));
        Ok(((sum / own.as_slice().len().max(1) as f64).sqrt(), greatest))
    }
}

/// The first test observations, which were never trained on, or else the first of the run's own.
fn chosen(session: &Session, most: usize) -> Examples {
    let dataset = &session.dataset;
    let (observations, x) = match &dataset.truth.test {
        Some((x, observations)) if observations.n() > 0 => (observations, Some(x)),
        _ => (&dataset.observations, dataset.truth.x.as_ref()),
    };
    let first: Vec<usize> = (0..observations.n().min(most)).collect();
    Examples { observations: observations.select(&first), x: x.map(|x| x.select(&first)) }
}
