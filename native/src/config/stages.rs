//! A channel given on the command line.

use super::plain;
use anyhow::{Result, anyhow, ensure};
use diffem::channel::ChannelConfig;
use std::collections::BTreeMap;

/// Parses the stages of `--channel`, given as TOML.
pub fn stages(text: &str) -> Result<ChannelConfig> {
    let mut table: BTreeMap<String, ChannelConfig> =
        toml::from_str(&format!("channel = {text}")).map_err(|e| anyhow!("--channel: {}", plain(&e.to_string())))?;
    table.remove("channel").ok_or_else(|| anyhow!("--channel is empty"))
}

/// Returns an error if signals are to be observed through `channel`, which `place` gives, and its noise is left open.
pub fn check_known(channel: &ChannelConfig, place: &str) -> Result<()> {
    ensure!(
        channel.unknown_noise() == 0,
        "{place}: noise that is added here needs a number; \"unknown\" is for observations that are read from files"
    );
    Ok(())
}
