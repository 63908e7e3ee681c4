//! A channel given on the command line.

use super::plain;
use anyhow::{Result, anyhow};
use diffem::channel::ChannelConfig;
use std::collections::BTreeMap;

/// Parses the stages of `--channel`, given as TOML.
pub fn stages(text: &str) -> Result<ChannelConfig> {
    let mut table: BTreeMap<String, ChannelConfig> =
        toml::from_str(&format!("channel = {text}")).map_err(|e| anyhow!("--channel: {}", plain(&e.to_string())))?;
    table.remove("channel").ok_or_else(|| anyhow!("--channel is empty"))
}
