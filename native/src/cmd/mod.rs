//! The commands: one verb per file.

pub mod about;
pub mod calibrate;
pub mod check;
pub mod check_backends;
pub mod compare;
pub mod config;
pub mod corrupt;
pub mod dry_run;
pub mod evaluate;
pub mod export;
pub mod export_images;
pub mod fetch_weights;
pub mod plot;
pub mod prior;
pub mod sample;
pub mod serve;
pub mod slurm;
pub mod train;

use crate::args::{Cli, Compute};
use crate::eval::features::NETWORKS;
use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Command, CommandFactory};
use std::io::{ErrorKind, Write};

/// Maximum number of worker threads.
const MAX_THREADS: usize = 1024;

/// The command line, completed with the names of the feature networks, which modules above `args` register.
/// Help, man page and completions come from it.
pub fn command() -> Command {
    let networks = NETWORKS.iter().map(|network| PossibleValue::new(network.name).help(network.about));
    let networks: PossibleValuesParser = networks.collect::<Vec<_>>().into();
    Cli::command().mut_subcommand("evaluate", |c| c.mut_arg("features", |arg| arg.value_parser(networks)))
}

/// Writes to standard output. A reader that closed the pipe (`diffem presets | head -1`) is not an error.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// Sets the number of worker threads, which is possible only once per process.
fn use_threads(compute: &Compute) -> Result<()> {
    match compute.threads {
        None => Ok(()),
        Some(n) if !(1..=MAX_THREADS).contains(&n) => bail!("--threads {n}: expected 1 to {MAX_THREADS}"),
        Some(n) => {
            rayon::ThreadPoolBuilder::new().num_threads(n).build_global().context("cannot start the worker threads")
        }
    }
}
