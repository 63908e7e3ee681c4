//! `diffem config show` and `diffem config schema`.

use crate::args::{Format, Settings};
use crate::config::{Config, load};
use anyhow::Result;

/// Prints the resolved configuration.
pub fn show(source: &str, settings: &Settings, format: Format) -> Result<()> {
    let config = load(source, &settings.set)?;
    match format {
        Format::Toml => print!("{}", config.to_toml()?),
        Format::Json => println!("{}", serde_json::to_string_pretty(&config)?),
    }
    Ok(())
}

/// Prints the JSON schema.
pub fn schema() -> Result<()> {
    println!("{}", serde_json::to_string_pretty(&schemars::schema_for!(Config))?);
    Ok(())
}
