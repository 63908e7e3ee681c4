//! The command line; help, man page and completions all come from these definitions.

use crate::device;
use crate::report::progress::ProgressMode;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// Train diffusion models from corrupted observations only (DiffEM).
///
/// A conditional diffusion model is trained as the posterior p(x | y) by expectation-maximization: reconstruct every
/// observation, train on the reconstructions corrupted afresh, repeat. No clean signal is ever needed.
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
    /// Continue a run that was stopped or killed
    Resume(Resume),
    /// Draw from the posterior of observations with a trained run, or from its prior
    Sample(Sample),
    /// Train the prior: an unconditional model of a run's reconstructions
    Prior(Prior),
    /// Score a run against the truth and write evaluation.json
    Evaluate(Evaluate),
    /// Test whether the posteriors are as wide as their errors and write calibration.json
    Calibrate(Calibrate),
    /// Train several methods on the same observations and compare them, over seeds
    Compare(Compare),
    /// Draw the figures of a run (SVG and PNG)
    Plot(Plot),
    /// Make observations from clean signals with a channel
    Corrupt(Corrupt),
    /// Write a run's images as folders of PNG files, for tools that score pictures
    ExportImages(ExportImages),
    /// Write a run's posterior as one file for the browser
    Export(Export),
    /// Serve the interactive page, with a run's posterior, to this machine only
    Serve(Serve),
    /// Say where the weights of feature networks come from, and check those present
    FetchWeights(FetchWeights),
    /// List the presets
    Presets,
    /// Show a resolved configuration or the configuration's schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// List the devices that this build and machine have
    Devices,
    /// Hold every backend to one golden file and print the table of differences
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

/// Where and how to compute.
#[derive(Args, Debug)]
pub struct Compute {
    /// Where to compute; its help lists the backends
    #[arg(long, default_value = "auto", value_name = "DEVICE", help = device::choices())]
    pub device: String,
    /// Worker threads; the result does not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Settings on top of a configuration.
#[derive(Args, Debug)]
pub struct Settings {
    /// Change one setting, such as em.laps=32; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `diffem train`
#[derive(Args, Debug)]
pub struct Train {
    /// A preset (see `diffem presets`) or a TOML file
    #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
    pub config: String,
    #[command(flatten)]
    pub settings: Settings,
    /// Seed of everything random
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Run directory [default: runs/out/NAME-seedS]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Your own observations (.safetensors or .npz) with y [n, m] and, where the channel has parameters, a [n, ...]
    #[arg(long, value_name = "FILE")]
    pub observations: Option<PathBuf>,
    /// Say what the run will take in operations, memory, disk and time (some steps are timed), and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem resume`
#[derive(Args, Debug)]
pub struct Resume {
    /// Run directory
    pub run: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem sample`
#[derive(Args, Debug)]
pub struct Sample {
    /// Run directory
    pub run: PathBuf,
    /// Observations (.safetensors or .npz) [default: the run's own]
    #[arg(long, value_name = "FILE")]
    pub observations: Option<PathBuf>,
    /// Posterior draws for each observation
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub draws: usize,
    /// The channel that the observations came through, where it is not the run's: its stages as TOML, such as
    /// '[{ kind = "mask", rate = 0.9 }]'
    #[arg(long, value_name = "STAGES")]
    pub channel: Option<String>,
    /// Lap whose posterior is used [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Draw from the prior that `diffem prior` trained, without any observation
    #[arg(long, conflicts_with_all = ["observations", "channel", "lap"])]
    pub prior: bool,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Output (.safetensors or .npz) with x [n, draws, d], or [draws, d] of the prior
    #[arg(long, default_value = "draws.safetensors", value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem prior`
///
/// The weights are kept in DIR/prior; `diffem sample DIR --prior` draws from it. A training that was stopped or killed goes
/// on when the same command is given again.
#[derive(Args, Debug)]
pub struct Prior {
    /// Run directory
    pub run: PathBuf,
    /// Lap whose reconstructions are learned, 0 for the start [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Optimizer steps [default: as many as the laps until then have taken]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Seed of everything random [default: the run's]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub settings: Settings,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem evaluate`
#[derive(Args, Debug)]
pub struct Evaluate {
    /// Run directory
    pub run: PathBuf,
    /// Clean signals x [n, d] to compare with, three equal parts of which are used [default: the run's own truth]
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// A file of samples x [n, d] or [n, draws, d] to score instead of the run's laps, as `sample` writes them
    #[arg(long, value_name = "FILE", conflicts_with = "laps")]
    pub samples: Option<PathBuf>,
    /// Laps to score, or all; two or more draw curves into the run's figures [default: the start, the best and the last]
    #[arg(long, value_delimiter = ',', value_name = "LAP,...|all")]
    pub laps: Vec<LapChoice>,
    /// Most points a side of the Sinkhorn divergence
    #[arg(long, default_value_t = 16_384, value_name = "N")]
    pub points: usize,
    /// Posterior draws for each test observation
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub draws: usize,
    /// Observe the test signals through this channel instead of the run's (stages as TOML, such as
    /// '[{ kind = "mask", rate = 0.9 }]'), and write evaluation-channel.json
    #[arg(long, value_name = "STAGES", conflicts_with_all = ["samples", "truth", "features"])]
    pub channel: Option<String>,
    /// Also compare images with these networks
    #[arg(long, value_delimiter = ',', value_name = "NETWORK,...")]
    pub features: Vec<String>,
    /// Directory of their weights [default: diffem/weights in the user's data directory; see `diffem fetch-weights`]
    #[arg(long, value_name = "DIR", requires = "features")]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub compute: Compute,
}

/// Laps that `evaluate` scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LapChoice {
    /// All that are finished.
    All,
    /// One; 0 is the start.
    Lap(usize),
}

impl FromStr for LapChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::Lap).map_err(|_| "expected the number of a lap, or all"),
        }
    }
}

/// `diffem export-images`
#[derive(Args, Debug)]
pub struct ExportImages {
    /// Run directory
    pub run: PathBuf,
    /// Lap whose reconstructions are written, 0 for the start [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Directory to make, with the folders reconstructions and, where the truth is known, truth
    /// [default: images-lap-NNN in the run directory]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `diffem export`
#[derive(Args, Debug)]
pub struct Export {
    /// Run directory
    pub run: PathBuf,
    /// For the browser: weights, settings and a few observations in one .safetensors file
    #[arg(long, required = true)]
    pub web: bool,
    /// Lap whose posterior is written [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Keep all 32 bits of the weights instead of 16
    #[arg(long = "f32")]
    pub full: bool,
    /// Observations that travel along, with the truth where it is known
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub examples: usize,
    /// The file [default: checkpoint.safetensors in the run directory]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `diffem serve`
#[derive(Args, Debug)]
pub struct Serve {
    /// Run directory [default: none; the page shows the models that it ships]
    pub run: Option<PathBuf>,
    /// Lap whose posterior is served [default: the best]
    #[arg(long, requires = "run")]
    pub lap: Option<usize>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Directory of the built page
    #[arg(long, default_value = "web/site/dist", value_name = "DIR")]
    pub site: PathBuf,
}

/// `diffem fetch-weights`
///
/// diffem itself downloads nothing: this lists what to get and where to put it.
#[derive(Args, Debug)]
pub struct FetchWeights {
    /// Directory of the weights [default: diffem/weights in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `diffem calibrate`
///
/// Ranks of the truth among the posterior draws, coverage of central intervals and of balls (TARP), proper scores, spread
/// beside skill: for the clean test signals of the run, if it has any, and for its own reconstructions corrupted afresh.
#[derive(Args, Debug)]
pub struct Calibrate {
    /// Run directory
    pub run: PathBuf,
    /// Most signals of a set
    #[arg(long, default_value_t = 512, value_name = "N")]
    pub signals: usize,
    /// Posterior draws for each observation
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub draws: usize,
    /// Lap whose posterior is tested [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem compare`
///
/// Each contender is trained for each seed in its own run directory, or gone on with where that exists; then a table, figures
/// against laps and against seconds, and compare.json.
#[derive(Args, Debug)]
pub struct Compare {
    /// A preset (see `diffem presets`) or a TOML file that all contenders start from
    #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
    pub config: String,
    /// A name and the settings that make this contender, such as "em-mmps conditioning.method=em-mmps"; may be repeated.
    /// {out} and {seed} stand for the directory and the seed: "warm em.start.kind=reconstructions
    /// em.start.path={out}/em-mmps-seed{seed}" goes on from another contender
    #[arg(long = "contender", value_name = "NAME KEY=VALUE ...", default_values = ["diffem", "em-mmps conditioning.method=em-mmps"])]
    pub contenders: Vec<String>,
    /// Seeds
    #[arg(long, value_delimiter = ',', default_value = "0", value_name = "SEED,...")]
    pub seeds: Vec<u64>,
    /// A second table: how close the last lap's posteriors come to signals not trained on, by means of so many draws and by
    /// one; 0 for none
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub draws: usize,
    /// Directory of the runs [default: runs/out/compare-NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem plot`
#[derive(Args, Debug)]
pub struct Plot {
    /// Run directory
    pub run: PathBuf,
    /// Observations whose posterior is drawn
    #[arg(long, value_delimiter = ',', default_value = "0,1,2,3,4,5", value_name = "INDEX,...")]
    pub observations: Vec<usize>,
    /// Posterior draws for each of them
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub draws: usize,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem corrupt`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("stages").required(true).args(["config", "channel"]))]
pub struct Corrupt {
    /// Clean signals (.safetensors, .npz or .npy) with x [n, d], or images as the [data] of --config describes them
    pub clean: PathBuf,
    /// A preset or TOML file whose channel is used
    #[arg(long, value_name = "PRESET|FILE")]
    pub config: Option<String>,
    /// The channel's stages as TOML, such as '[{ kind = "mask", rate = 0.5 }, { kind = "noise", std = 0.1 }]'
    #[arg(long, value_name = "STAGES")]
    pub channel: Option<String>,
    /// Seed
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Output (.safetensors or .npz) with y [n, m] and a [n, ...]
    #[arg(long, default_value = "observations.safetensors", value_name = "FILE")]
    pub out: PathBuf,
}

/// `diffem check-backends`
///
/// Network, loss, gradients, training steps, posterior draws and the optimizer, on every backend of this build, against what
/// flex made of the same weights, inputs and noise. A backend that is not there is named and left out; one that disagrees
/// fails the command.
#[derive(Args, Debug)]
pub struct CheckBackends {
    /// Golden file [default: the one in this build]
    #[arg(long, value_name = "FILE")]
    pub golden: Option<PathBuf>,
    /// Only make a golden file, on flex
    #[arg(long, value_name = "FILE", conflicts_with_all = ["golden", "with", "out"])]
    pub write_golden: Option<PathBuf>,
    /// The report of another backend, as the browser tests write them; may be repeated
    #[arg(long, value_name = "JSON")]
    pub with: Vec<PathBuf>,
    /// Also write what is printed here
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `diffem config`
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Show a preset or file with every default
    Show {
        /// A preset or a TOML file
        #[arg(default_value = "manifold", value_name = "PRESET|FILE")]
        config: String,
        #[command(flatten)]
        settings: Settings,
        /// Format
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the JSON schema of configuration files
    Schema,
}

/// Formats of `config show`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// As in a configuration file
    #[default]
    Toml,
    /// The same as JSON
    Json,
}
