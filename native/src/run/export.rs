//! A run's posterior as the one file that the browser loads.

use crate::run::session::Session;
use anyhow::Result;
use diffem::checkpoint::Precision;
use diffem::network::{flatten, to_host};
use diffem::posterior::{self, Examples, Recipe};

/// What was written.
pub struct Bundle {
    /// The file.
    pub bytes: Vec<u8>,
    /// The lap whose posterior it is.
    pub lap: usize,
    /// Number of weights.
    pub weights: usize,
    /// Observations that travel along.
    pub examples: usize,
}

impl Bundle {
    /// The posterior of lap `lap`, or of the best one, with at most `examples` observations.
    pub fn of(session: &Session, lap: Option<usize>, examples: usize, precision: Precision) -> Result<Self> {
        let config = &session.config;
        config.channel.check_browser()?;
        let (lap, (network, standardizer)) = session.posterior(lap)?;
        let recipe = Recipe {
            name: config.name.clone(),
            lap,
            signal: config.signal_len(),
            image: config.image_shape(),
            channel: config.channel.clone(),
            schedule: config.schedule.clone(),
            conditioning: config.conditioning.clone(),
            network: config.network.clone(),
            sampler: config.e_step.sampler.clone(),
        };
        let examples = chosen(session, examples);
        let (layout, weights) = (&session.layout, to_host(&flatten(&network))?);
        let bytes = posterior::encode(&recipe, &standardizer, (layout, &weights), &examples, precision)?;
        Ok(Self { bytes, lap, weights: weights.len(), examples: examples.observations.n() })
    }
}

/// The first observations that nothing was trained on, else the first of the run's own.
fn chosen(session: &Session, most: usize) -> Examples {
    let dataset = &session.dataset;
    let (observations, x) = match &dataset.truth.test {
        Some((x, observations)) if observations.n() > 0 => (observations, Some(x)),
        _ => (&dataset.observations, dataset.truth.x.as_ref()),
    };
    let first: Vec<usize> = (0..observations.n().min(most)).collect();
    Examples { observations: observations.select(&first), x: x.map(|x| x.select(&first)) }
}
