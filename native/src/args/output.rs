//! Commands that write files from a run or from clean signals.

use super::shared::{Compute, Settings};
use crate::data::pixels::Bits;
use clap::Args;
use std::path::PathBuf;

/// `diffem sample`
#[derive(Args, Debug)]
pub struct Sample {
    /// Run directory
    pub run: PathBuf,
    /// Observations (.safetensors, .npz, .fits, .tif or .h5), or a folder of pictures for a run of images,
    /// where transparent pixels are missing [default: the run's own]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub observations: Option<PathBuf>,
    /// Posterior draws per observation
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub draws: usize,
    /// Channel of the observations, if it is not the run's: its stages as TOML, such as
    /// '[{ kind = "mask", rate = 0.9 }]'
    #[arg(long, value_name = "STAGES")]
    pub channel: Option<String>,
    /// Lap whose posterior is used [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Draw from the prior that `diffem prior` trained, without observations
    #[arg(long, conflicts_with_all = ["observations", "channel", "lap"])]
    pub prior: bool,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Output (.safetensors, .npz, .fits, .tif or .h5) with x [n, draws, d], or [draws, d] with --prior; a
    /// name without extension makes a folder of PNG files named like the pictures
    #[arg(long, default_value = "draws.safetensors", value_name = "FILE|FOLDER")]
    pub out: PathBuf,
    /// Bits per value of PNG files
    #[arg(long, value_enum, default_value_t, value_name = "BITS")]
    pub bits: Bits,
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
    /// Directory to create, with the folder reconstructions and, where the truth is known, the folder truth
    /// [default: images-lap-NNN in the run directory]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Bits per value of the PNG files
    #[arg(long, value_enum, default_value_t, value_name = "BITS")]
    pub bits: Bits,
}

/// `diffem export`
#[derive(Args, Debug)]
pub struct Export {
    /// Run directory
    pub run: PathBuf,
    /// Write weights, settings and a few observations to one .safetensors file for the browser
    #[arg(long, required = true)]
    pub web: bool,
    /// Lap whose posterior is written [default: the best]
    #[arg(long)]
    pub lap: Option<usize>,
    /// Keep all 32 bits of the weights instead of 16
    #[arg(long = "f32")]
    pub full: bool,
    /// Number of observations to include, with the truth where it is known
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub examples: usize,
    /// Output (.safetensors) [default: checkpoint.safetensors in the run directory]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `diffem serve`
#[derive(Args, Debug)]
pub struct Serve {
    /// Run directory [default: none; the page shows the models that come with it]
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
    /// Observations whose posteriors are plotted
    #[arg(long, value_delimiter = ',', default_value = "0,1,2,3,4,5", value_name = "INDEX,...")]
    pub observations: Vec<usize>,
    /// Posterior draws per plotted observation
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub draws: usize,
    #[command(flatten)]
    pub compute: Compute,
}

/// `diffem corrupt`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("stages").required(true).args(["config", "channel"]))]
pub struct Corrupt {
    /// Clean signals (.safetensors, .npz, .npy, .fits, .tif or .h5) with x [n, d], or images as the data of
    /// --config describes them
    pub clean: PathBuf,
    /// A preset or TOML file whose channel is used
    #[arg(long, value_name = "PRESET|FILE")]
    pub config: Option<PathBuf>,
    /// The channel's stages as TOML, such as '[{ kind = "mask", rate = 0.5 }, { kind = "noise", std = 0.1 }]'
    #[arg(long, value_name = "STAGES")]
    pub channel: Option<String>,
    /// Seed of the operators and the noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Output (.safetensors, .npz, .fits or .h5) with y [n, m] and a [n, ...]
    #[arg(long, default_value = "observations.safetensors", value_name = "FILE")]
    pub out: PathBuf,
}
