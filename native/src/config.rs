//! The whole configuration of a run: a TOML file, a preset, and `--set` on top.

use anyhow::{Context, Result, anyhow, bail};
use diffem::channel::{Channel, ChannelConfig, Compose, StageConfig};
use diffem::conditioning::{ConditioningConfig, feature_len};
use diffem::em::{EStepConfig, EmConfig, MStepConfig, MonitorConfig, StartConfig, most_covariance};
use diffem::image::ImageShape;
use diffem::network::NetworkConfig;
use diffem::schedule::Schedule;
use diffem::synthetic::Outline;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything that decides a run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the run; the default of `--out` is made from it.
    pub name: String,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Noise levels of the diffusion.
    #[serde(default)]
    pub schedule: Schedule,
    /// How an observation enters the denoiser.
    #[serde(default)]
    pub conditioning: ConditioningConfig,
    /// The denoiser's network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// M-step: training.
    #[serde(default)]
    pub m_step: MStepConfig,
    /// E-step: sampling.
    #[serde(default)]
    pub e_step: EStepConfig,
    /// Held-out comparison without clean data.
    #[serde(default)]
    pub monitor: MonitorConfig,
    /// Comparison with the truth, where there is one.
    #[serde(default)]
    pub report: ReportConfig,
    /// Laps, start and stopping.
    #[serde(default)]
    pub em: EmConfig,
    /// The observations.
    pub data: DataConfig,
    /// How signals become observations: the stages in the order in which they act.
    pub channel: ChannelConfig,
}

/// Where the observations come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DataConfig {
    /// Your own observations: a .safetensors or .npz file with `y [n, m]`, `a [n, ...]` where the channel has parameters,
    /// and, for evaluation only, `x [n, d]`.
    File {
        /// The file, relative to where the command runs.
        path: String,
        /// Length d of a signal; with `shape` it may be left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<usize>,
        /// Shape of the image that a signal is, flattened channel by channel, row by row.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shape: Option<ImageShape>,
    },
    /// Gaussian signals N(0, S), S with the given standard deviations and one correlation.
    Gaussian {
        /// Number of observations.
        n: usize,
        /// Standard deviation of each coordinate, > 0.
        std: Vec<f64>,
        /// Correlation of every pair of coordinates, in (-1/(d-1), 1).
        #[serde(default)]
        correlation: f64,
    },
    /// Random smooth curves (the paper's manifold), scaled to [-2, 2].
    Manifold {
        /// Number of observations.
        n: usize,
        /// Length d of a signal.
        d: usize,
        /// Smoothness: amplitudes fall as k^-alpha, alpha >= 1.
        alpha: f64,
    },
    /// A closed curve in the plane (the browser's), scaled to [-2, 2].
    Curve {
        /// Number of observations.
        n: usize,
        /// Which curve.
        #[serde(default)]
        shape: Outline,
    },
    /// The 8x8 handwritten digits of UCI and scikit-learn, in [-2, 2].
    Digits {
        /// Digits trained on, 1 to 1796; the others are for `evaluate`.
        n: usize,
    },
    /// MNIST, Fashion-MNIST: grey images in IDX files, raw or in gzip, in [-2, 2].
    Idx {
        /// A directory with the names of MNIST, or one file of images.
        #[serde(default = "fashion_mnist")]
        path: String,
        /// Rows of an image.
        #[serde(default = "mnist_side")]
        height: usize,
        /// Columns of an image.
        #[serde(default = "mnist_side")]
        width: usize,
        /// Images that are observed, chosen by the seed; 0: all.
        #[serde(default)]
        n: usize,
        /// Images of the test file, or of those left over, for `evaluate`.
        #[serde(default = "test_images")]
        test: usize,
    },
    /// CIFAR-10: 3x32x32 images in binary batches or Parquet files, in [-2, 2].
    Cifar10 {
        /// The directory of the files.
        path: String,
        /// Images that are observed, chosen by the seed; 0: all.
        #[serde(default)]
        n: usize,
        /// Images of the test batch for `evaluate`.
        #[serde(default = "test_images")]
        test: usize,
    },
    /// A folder of clean PNG and JPEG pictures, cut at the centre and resized, in [-2, 2].
    Images {
        /// The folder; folders inside it count.
        path: String,
        /// 1 (grey) or 3 (red, green, blue).
        #[serde(default = "colours")]
        channels: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
        /// Side of the square that is cut from the centre first, in pixels of the picture; without it as much as fits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crop: Option<usize>,
        /// Grey level under transparent pixels, 0 to 255.
        #[serde(default = "white")]
        background: u8,
        /// Leave out pictures that cannot be used, instead of stopping.
        #[serde(default)]
        skip_broken: bool,
        /// Images that are observed, chosen by the seed; 0: all that are not for `evaluate`.
        #[serde(default)]
        n: usize,
        /// Images that are not observed, for `evaluate`.
        #[serde(default = "test_images")]
        test: usize,
    },
    /// Your own corrupted pictures: a folder of PNGs whose transparent pixels (alpha < 128) are missing. No truth.
    MaskedImages {
        /// The folder; folders inside it count.
        path: String,
        /// 1 (grey) or 3 (red, green, blue).
        #[serde(default = "colours")]
        channels: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
        /// Cut pictures of other sizes at the centre and resize them (nearest pixel), instead of stopping.
        #[serde(default)]
        resize: bool,
        /// Pictures that are used, chosen by the seed; 0: all.
        #[serde(default)]
        n: usize,
    },
}

fn fashion_mnist() -> String {
    crate::data::FASHION_MNIST.to_string()
}

fn mnist_side() -> usize {
    28
}

fn test_images() -> usize {
    1024
}

fn colours() -> usize {
    3
}

fn white() -> u8 {
    255
}

/// Comparison with the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Points a side of the Sinkhorn divergence to the truth that is computed after every lap; 0 turns it off.
    pub points: usize,
    /// Its entropic regularisation, > 0, in squared units of the signal.
    pub regularisation: f64,
    /// Least seconds between two saved points inside a lap.
    pub save_every: f64,
    /// Posterior draws of each observation in the figures that end a training, 2 or more.
    pub draws: usize,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { points: 4096, regularisation: 1e-3, save_every: 15.0, draws: 256 }
    }
}

/// Most rows of a batch or a shard.
const MOST_ROWS: u64 = 1 << 24;
/// Most pixels of an image's side.
const MOST_SIDE: usize = 4096;
/// Most rows of a random projection.
const MOST_PROJECTIONS: u64 = 1 << 16;

/// A preset's name, its TOML and one line about it.
pub const PRESETS: [(&str, &str, &str); 14] = [
    (
        "manifold",
        include_str!("presets/manifold.toml"),
        "smooth curve in R^5 seen through 2-D projections; minutes on 2 cores (the default)",
    ),
    (
        "manifold-paper",
        include_str!("presets/manifold-paper.toml"),
        "the same at the paper's sizes and with its settings; days on 2 cores",
    ),
    (
        "digits",
        include_str!("presets/digits.toml"),
        "8x8 handwritten digits, half the pixels missing; minutes on 2 cores",
    ),
    (
        "fashion-mask75",
        include_str!("presets/fashion-mask75.toml"),
        "Fashion-MNIST, three quarters of the pixels missing; under an hour on 2 cores",
    ),
    (
        "fashion-mask50",
        include_str!("presets/fashion-mask50.toml"),
        "Fashion-MNIST, half of the pixels missing; under an hour on 2 cores",
    ),
    ("fashion-blur", include_str!("presets/fashion-blur.toml"), "Fashion-MNIST, blurred; under an hour on 2 cores"),
    (
        "emoji-mask75",
        include_str!("presets/emoji-mask75.toml"),
        "colour emoji at 32x32, three quarters of the pixels missing; under an hour on 2 cores",
    ),
    (
        "cifar10-mask75",
        include_str!("presets/cifar10-mask75.toml"),
        "CIFAR-10, three quarters of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "cifar10-mask90",
        include_str!("presets/cifar10-mask90.toml"),
        "CIFAR-10, nine tenths of the pixels missing, at the paper's sizes; a large GPU",
    ),
    ("cifar10-blur", include_str!("presets/cifar10-blur.toml"), "CIFAR-10, blurred, at the paper's sizes; a large GPU"),
    (
        "celeba-mask50",
        include_str!("presets/celeba-mask50.toml"),
        "CelebA at 64x64, half of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "celeba-mask75",
        include_str!("presets/celeba-mask75.toml"),
        "CelebA at 64x64, three quarters of the pixels missing, at the paper's sizes; a large GPU",
    ),
    (
        "gaussian",
        include_str!("presets/gaussian.toml"),
        "1-D Gaussian with noise, where every lap has a closed form; a minute on 2 cores",
    ),
    (
        "gaussian-5d",
        include_str!("presets/gaussian-5d.toml"),
        "correlated 5-D Gaussian seen through 2-D projections; minutes on 2 cores",
    ),
];

/// Reads a preset by name or a file by path, then applies `key=value` settings, then checks all ranges.
pub fn load(source: &str, settings: &[String]) -> Result<Config> {
    let preset = PRESETS.iter().find(|(name, _, _)| *name == source);
    let (text, origin) = match preset {
        Some((name, text, _)) => (text.to_string(), format!("preset {name}")),
        None => {
            let path = Path::new(source);
            if !path.exists() {
                let names: Vec<&str> = PRESETS.iter().map(|(name, _, _)| *name).collect();
                bail!("`{source}` is neither a preset ({}) nor a file", names.join(", "));
            }
            (
                String::from_utf8(crate::files::read(path)?).with_context(|| format!("{source}: not UTF-8 text"))?,
                source.to_string(),
            )
        }
    };
    parse(&text, &origin, settings)
}

/// Parses TOML `text` from `origin` with `key=value` settings on top.
pub fn parse(text: &str, origin: &str, settings: &[String]) -> Result<Config> {
    let mut origin = origin.to_string();
    let mut config: Config = toml::from_str(text).map_err(|e| anyhow!("{origin}: {}", plain(&e.to_string())))?;
    if !settings.is_empty() {
        // On top of every default, so that a setting can change one field of a default.
        let mut table = toml::Table::try_from(&config)?;
        for setting in settings {
            apply(&mut table, setting)?;
        }
        origin += &format!(" with --set {}", settings.join(" --set "));
        // Through text, so that the message shows the line (not its number: nobody has that text before him).
        let text = toml::to_string(&table)?;
        config = toml::from_str(&text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].lines().count().saturating_sub(usize::from(!text[..at].ends_with('\n')));
            let line = text.lines().nth(line).unwrap_or_default();
            anyhow!("{origin}: {}, at `{line}`", plain(e.message()))
        })?;
    }
    config.validate().context(origin)?;
    Ok(config)
}

/// A parser's message with the names of Rust's types in words.
pub fn plain(message: &str) -> String {
    let words = [
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected u32", "expected a whole number, 0 or more"),
        ("expected f64", "expected a number"),
        ("expected f32", "expected a number"),
        ("expected a sequence", "expected a list, [...]"),
        ("expected struct", "expected a table of settings,"),
    ];
    let replace = |text: String, (from, to): (&str, &str)| text.replace(from, to);
    words.into_iter().fold(message.trim_end().to_string(), replace)
}

/// `a.b.c=value`: the value is TOML where it parses as such, a string otherwise. Another `kind` empties its table: the
/// fields of the old one do not belong to the new one.
fn apply(table: &mut toml::Table, setting: &str) -> Result<()> {
    let (key, value) =
        setting.split_once('=').ok_or_else(|| anyhow!("--set {setting}: expected key=value, such as em.laps=32"))?;
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("v = {value}"));
    let value = parsed.ok().and_then(|mut t| t.remove("v")).unwrap_or_else(|| toml::Value::String(value.to_string()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts
        .pop()
        .filter(|p| !p.is_empty())
        .ok_or_else(|| anyhow!("--set {setting}: expected key=value, such as em.laps=32"))?;
    let mut at = table;
    for part in parts {
        let entry = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = entry
            .as_table_mut()
            .ok_or_else(|| anyhow!("--set {setting}: `{part}` has no fields; set all of it, `{part}=...`"))?;
    }
    if last == "kind" && at.get(last) != Some(&value) {
        at.clear();
    }
    at.insert(last.to_string(), value);
    Ok(())
}

fn at_most(field: &str, value: u64, most: u64) -> Result<()> {
    match value <= most {
        true => Ok(()),
        false => bail!("{field}: expected at most {most}, found {value}"),
    }
}

impl Config {
    /// Length d of a signal.
    pub fn signal_len(&self) -> usize {
        self.data.signal_len()
    }

    /// Shape of the signals, if they are images.
    pub fn image_shape(&self) -> Option<ImageShape> {
        self.data.image_shape()
    }

    /// The channel for this configuration's signals.
    pub fn build_channel(&self) -> Result<Compose> {
        Ok(match self.image_shape() {
            Some(shape) => self.channel.build_image(shape)?,
            None => self.channel.build(self.signal_len())?,
        })
    }

    /// Checks every range; messages name the field.
    pub fn validate(&self) -> Result<()> {
        let path_like = |c: char| c == '/' || c == '\\' || c.is_control();
        if self.name.is_empty() || self.name.contains(path_like) {
            bail!("name: expected a word that can be part of a file name, found {:?}", self.name);
        }
        // TOML's integers are signed.
        at_most("seed", self.seed, i64::MAX as u64)?;
        self.check_sizes()?;
        self.schedule.validate()?;
        self.m_step.validate()?;
        self.e_step.validate()?;
        self.monitor.validate()?;
        self.em.validate()?;
        self.data.validate()?;
        let r = &self.report;
        if !(r.regularisation > 0.0 && r.regularisation.is_finite()) {
            bail!("report.regularisation: expected a number > 0, found {}", r.regularisation);
        }
        if r.draws < 2 {
            bail!("report.draws: expected 2 or more, found {}", r.draws);
        }
        if !(r.save_every >= 0.0 && r.save_every.is_finite()) {
            bail!("report.save_every: expected seconds >= 0, found {}", r.save_every);
        }
        let channel = self.build_channel()?;
        if self.m_step.flip && self.image_shape().is_none() {
            bail!("m_step.flip: only images can be flipped; set it to false, or give the data a shape");
        }
        self.conditioning.validate(&channel)?;
        self.network.validate(self.image_shape(), feature_len(&channel, &self.conditioning))?;
        if matches!(self.em.start, StartConfig::Gaussian { .. }) {
            channel.as_linear().ok_or_else(|| {
                anyhow!("em.start: \"gaussian\" needs a linear channel; set em.start.kind=\"corrupted\"")
            })?;
            self.check_rank(&channel)?;
        }
        Ok(())
    }

    /// A full covariance is for short signals, a low rank for diagonal channels.
    fn check_rank(&self, channel: &Compose) -> Result<()> {
        let (d, StartConfig::Gaussian { rank, .. }) = (self.signal_len(), &self.em.start) else {
            return Ok(());
        };
        let diagonal = channel.as_linear().is_some_and(|linear| linear.is_diagonal());
        match *rank {
            0 if d > most_covariance(channel) && !diagonal => {
                let most = most_covariance(channel);
                bail!(
                    "em.start: a Gaussian start takes signals of at most {most} values here, found {d}; set em.start.kind=\"corrupted\""
                )
            }
            rank if rank > d => bail!("em.start.rank: expected 0 to {d} (the signal's length), found {rank}"),
            rank if rank > 0 && !diagonal => {
                bail!(
                    "em.start.rank: a low rank needs a channel of masks and noise; set em.start.rank=0 or em.start.kind=\"corrupted\""
                )
            }
            _ => Ok(()),
        }
    }

    /// Bounds far above any use, below which no product of sizes overflows.
    fn check_sizes(&self) -> Result<()> {
        at_most("m_step.batch", self.m_step.batch as u64, MOST_ROWS)?;
        at_most("m_step.micro_batch", self.m_step.micro_batch as u64, MOST_ROWS)?;
        at_most("e_step.shard", self.e_step.shard as u64, MOST_ROWS)?;
        for (i, stage) in self.channel.0.iter().enumerate() {
            if let StageConfig::Projection { rows } = stage {
                at_most(&format!("channel[{i}].rows"), *rows as u64, MOST_PROJECTIONS)?;
            }
        }
        Ok(())
    }

    /// The resolved configuration as TOML, every default visible.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("the configuration cannot be written as TOML")
    }
}

impl DataConfig {
    fn signal_len(&self) -> usize {
        match self {
            Self::File { signal: Some(signal), .. } => *signal,
            Self::Gaussian { std, .. } => std.len(),
            Self::Manifold { d, .. } => *d,
            Self::Curve { .. } => 2,
            _ => self.image_shape().map_or(0, |shape| shape.len()),
        }
    }

    /// The same data in the file or directory `place`.
    pub fn at(mut self, place: &str) -> Self {
        if let Self::File { path, .. }
        | Self::Idx { path, .. }
        | Self::Cifar10 { path, .. }
        | Self::Images { path, .. }
        | Self::MaskedImages { path, .. } = &mut self
        {
            *path = place.to_string();
        }
        self
    }

    /// Shape of the images that the signals are, if they are images.
    pub fn image_shape(&self) -> Option<ImageShape> {
        let (channels, height, width) = match self {
            Self::File { shape, .. } => return *shape,
            Self::Gaussian { .. } | Self::Manifold { .. } | Self::Curve { .. } => return None,
            Self::Digits { .. } => (1, 8, 8),
            Self::Idx { height, width, .. } => (1, *height, *width),
            Self::Cifar10 { .. } => return Some(crate::data::CIFAR10),
            Self::Images { channels, height, width, .. } | Self::MaskedImages { channels, height, width, .. } => {
                (*channels, *height, *width)
            }
        };
        Some(ImageShape { channels, height, width })
    }

    fn validate(&self) -> Result<()> {
        let count = |n: usize, most: usize| match (2..=most).contains(&n) {
            true => Ok(()),
            false => bail!("data.n: expected 2 to {most} observations, found {n}"),
        };
        match self {
            Self::File { signal, shape, .. } => file_shape(*signal, *shape),
            Self::Gaussian { n, std, correlation } => {
                count(*n, 1 << 30)?;
                if std.is_empty() || std.iter().any(|s| !(*s > 0.0 && s.is_finite())) {
                    bail!("data.std: expected one number > 0 for each coordinate, found {std:?}");
                }
                let least = if std.len() > 1 { -1.0 / (std.len() - 1) as f64 } else { -1.0 };
                if !(*correlation > least && *correlation < 1.0) {
                    bail!("data.correlation: expected a number in ({least}, 1), found {correlation}");
                }
                Ok(())
            }
            Self::Manifold { n, d, alpha } => {
                count(*n, 1 << 30)?;
                if !(1..=4096).contains(d) {
                    bail!("data.d: expected 1 to 4096, found {d}");
                }
                if !(1.0..=64.0).contains(alpha) {
                    bail!("data.alpha: expected a number in [1, 64], found {alpha}");
                }
                Ok(())
            }
            Self::Curve { n, .. } => count(*n, 1 << 30),
            Self::Digits { n } => count(*n, 1796),
            Self::Idx { n, .. } | Self::Cifar10 { n, .. } => self.check_images(*n, 1, None),
            Self::MaskedImages { n, channels, .. } => self.check_images(*n, *channels, None),
            Self::Images { n, channels, crop, .. } => self.check_images(*n, *channels, *crop),
        }
    }

    fn check_images(&self, n: usize, channels: usize, crop: Option<usize>) -> Result<()> {
        if n == 1 {
            bail!("data.n: expected 0 (all) or 2 or more images, found 1");
        }
        if !matches!(channels, 1 | 3) {
            bail!("data.channels: expected 1 (grey) or 3 (red, green, blue), found {channels}");
        }
        if crop == Some(0) {
            bail!("data.crop: expected 1 or more pixels, found 0");
        }
        let shape = self.image_shape().unwrap_or(ImageShape { channels: 1, height: 1, width: 1 });
        for (field, side) in [("height", shape.height), ("width", shape.width)] {
            if !(1..=MOST_SIDE).contains(&side) {
                bail!("data.{field}: expected 1 to {MOST_SIDE} pixels, found {side}");
            }
        }
        Ok(())
    }
}

fn file_shape(signal: Option<usize>, shape: Option<ImageShape>) -> Result<()> {
    if let Some(shape) = shape {
        shape.validate("data.shape")?;
        if let Some(signal) = signal.filter(|signal| *signal != shape.len()) {
            bail!(
                "data.signal: expected channels x height x width of data.shape = {}, found {signal}; leave it out",
                shape.len()
            );
        }
    }
    match (signal, shape) {
        (Some(0), _) => bail!("data.signal: expected the length of a signal, 1 or more, found 0"),
        (None, None) => bail!("data.signal: expected the length of a signal, or data.shape for images"),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
