//! Noise whose level the configuration leaves open.

use crate::config::Config;
use crate::run::dataset::Dataset;
use anyhow::{Context, Result};
use diffem::channel::Compose;
use diffem::em::estimate_noise;
use std::sync::Arc;

/// The configuration and its channel with the levels that the observations of `dataset` show, in place of those that are
/// unknown. What was found is told among the warnings.
pub fn known(config: Config, channel: Arc<Compose>, dataset: &mut Dataset) -> Result<(Config, Arc<Compose>)> {
    if config.channel.unknown_noise() == 0 {
        return Ok((config, channel));
    }
    let levels = estimate_noise(channel.as_ref(), config.image_shape(), &dataset.observations).context("channel")?;
    let config = Config { channel: config.channel.with_noise(&levels), ..config };
    let channel = Arc::new(config.build_channel()?);
    dataset.warnings.push(format!(
        "the noise was unknown, and the largest that the observations allow is taken: channel = {}",
        serde_json::to_string(&config.channel)?
    ));
    Ok((config, channel))
}
