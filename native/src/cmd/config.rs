//! `diffem config show` and `diffem config schema`: print a configuration or its schema.

use crate::args::{Format, Settings};
use crate::config::{Config, load};
use anyhow::Result;
use std::path::Path;

/// Prints the resolved configuration.
pub fn show(source: &Path, settings: &Settings, format: Format) -> Result<()> {
    let config = load(source, &settings.set)?;
    super::print(&match format {
        Format::Toml => config.to_toml()?,
        Format::Json => serde_json::to_string_pretty(&config)? + "\n",
    })
}

/// Prints the JSON schema.
pub fn schema() -> Result<()> {
    super::print(&(serde_json::to_string_pretty(&schemars::schema_for!(Config))? + "\n"))
}
