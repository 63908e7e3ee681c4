//! Commands that show configurations.

use super::shared::Settings;
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// `diffem config`
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Show a preset or a file with every default filled in
    Show {
        /// A preset or a TOML file
        #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
        config: PathBuf,
        #[command(flatten)]
        settings: Settings,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the JSON schema of configuration files
    Schema,
}

/// Output formats of `config show`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// As in a configuration file
    #[default]
    Toml,
    /// The same settings as JSON
    Json,
}
