//! The command line; help, man page and completions all come from these definitions.

mod configuration;
mod judging;
mod output;
mod shared;
mod slurm;
mod training;

pub use configuration::{ConfigCommand, Format};
pub use judging::{Calibrate, CheckBackends, Evaluate, FetchWeights, LapChoice};
pub use output::{Corrupt, Export, ExportImages, Plot, Sample, Serve};
pub use shared::{Compute, Settings, at_least};
pub use slurm::{Launcher, Slurm};
pub use training::{Check, Compare, Prior, Resume, Train};

use clap::{Parser, Subcommand};

/// Train diffusion models from corrupted observations only (DiffEM).
///
/// A conditional diffusion model is trained as the posterior p(x | y) by expectation-maximization:
/// reconstruct every observation, train on the reconstructions corrupted afresh, repeat. No clean signal is
/// ever needed.
#[derive(Parser, Debug)]
#[command(name = "diffem", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train a posterior model from a preset, a config file, or your own observations
    Train(Train),
    /// Say what the observations hold and whether it makes sense, before training
    Check(Check),
    /// Continue a run that was stopped or killed
    Resume(Resume),
    /// Print a job script that trains a run on a cluster with Slurm
    Slurm(Slurm),
    /// Draw from a trained run's posterior given observations, or from its prior
    Sample(Sample),
    /// Train the prior: an unconditional model of a run's reconstructions
    Prior(Prior),
    /// Score a run against the truth, and write evaluation.json
    Evaluate(Evaluate),
    /// Test whether the posteriors are as wide as their errors, and write calibration.json
    Calibrate(Calibrate),
    /// Train several methods on the same observations over seeds, and compare them
    Compare(Compare),
    /// Draw the figures of a run (SVG and PNG)
    Plot(Plot),
    /// Make observations from clean signals with a channel
    Corrupt(Corrupt),
    /// Write a run's images as folders of PNG files, for tools that score images
    ExportImages(ExportImages),
    /// Write a run's posterior as one file for the browser
    Export(Export),
    /// Serve the interactive page, with a run's posterior, to this machine only
    Serve(Serve),
    /// List where to get the weights of feature networks, and check those present
    FetchWeights(FetchWeights),
    /// List the presets
    Presets,
    /// Show a resolved configuration or the configuration's schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List the devices that this build finds on this machine
    Devices,
    /// Compare every backend with one golden file, and print a table of differences
    CheckBackends(CheckBackends),
    /// Print how to cite the method and this software
    Cite,
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    #[command(hide = true)]
    Man,
}
