//! Commands that make files of a run, or of clean signals.

use super::shared::{Compute, Settings};
use clap::Args;
use std::path::PathBuf;

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
    /// Clean signals (.safetensors, .npz or .npy) with x [n, d], or images as the [data] of --config
    /// describes them
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
