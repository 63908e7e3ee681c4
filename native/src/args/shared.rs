//! Options shared by several commands.

use crate::device;
use anyhow::{Result, ensure};
use clap::Args;

/// Where and how to compute.
#[derive(Args, Debug)]
pub struct Compute {
    /// Where to compute; the help text lists the backends
    #[arg(long, default_value = "auto", value_name = "DEVICE", help = device::choices())]
    pub device: String,
    /// Worker threads; the result does not depend on their number [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Settings that override a configuration.
#[derive(Args, Debug)]
pub struct Settings {
    /// Change one setting, such as em.laps=32; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Checks that the number given for the flag `name` is `least` or more.
pub fn at_least(name: &str, value: usize, least: usize) -> Result<()> {
    ensure!(value >= least, "{name} {value}: expected {least} or more");
    Ok(())
}
