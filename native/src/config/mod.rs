//! The whole configuration of a run: a preset or a TOML file, overridden by `--set`.

mod clean;
pub mod compatible;
mod data;
mod init;
mod presets;
mod renamed;
mod setting;
pub mod stages;
mod words;

use clean::CleanConfig;
pub use data::DataConfig;
pub use init::InitConfig;
#[cfg(test)]
pub use init::{Nothing, Place};
pub use presets::PRESETS;
pub use words::plain;

use anyhow::{Context, Result, anyhow, bail};
use diffem::channel::{Channel, ChannelConfig, Compose};
use diffem::conditioning::ConditioningConfig;
use diffem::em::{EStepConfig, EmConfig, MStepConfig, MonitorConfig, Operators};
use diffem::image::ImageShape;
use diffem::method::Method;
use diffem::network::NetworkConfig;
use diffem::posterior::Model;
use diffem::schedule::Schedule;
use diffem::{Em, Observations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All settings that determine a run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the run, from which the default of `--out` is derived.
    pub name: String,
    /// Seed of all random numbers.
    #[serde(default)]
    pub seed: u64,
    /// Noise levels of the diffusion.
    #[serde(default)]
    pub schedule: Schedule,
    /// How an observation enters the denoiser.
    #[serde(default)]
    pub conditioning: ConditioningConfig,
    /// How the posterior is learned.
    #[serde(default)]
    pub method: Method,
    /// The denoiser's network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// M-step: training of the posterior.
    #[serde(default)]
    pub m_step: MStepConfig,
    /// E-step: sampling of the reconstructions.
    #[serde(default)]
    pub e_step: EStepConfig,
    /// Held-out comparison without clean data.
    #[serde(default)]
    pub monitor: MonitorConfig,
    /// Comparison with the truth, where there is one.
    #[serde(default)]
    pub report: ReportConfig,
    /// Number of laps and early stopping.
    #[serde(default)]
    pub em: EmConfig,
    /// The first reconstructions.
    #[serde(default)]
    pub init: InitConfig,
    /// A few clean signals that are trained on as well; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean: Option<CleanConfig>,
    /// The observations.
    pub data: DataConfig,
    /// How signals become observations: the stages in the order in which they act.
    pub channel: ChannelConfig,
}

/// Comparison with the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Points per side of the Sinkhorn divergence to the truth, computed after every lap; 0 turns it off.
    pub points: usize,
    /// Entropic regularization of the Sinkhorn divergence, > 0, in squared units of the signal.
    pub regularization: f64,
    /// Minimum number of seconds between two saved states within a lap.
    pub save_every: f64,
    /// Posterior draws per observation in the figures drawn at the end of training, 2 or more.
    pub draws: usize,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { points: 4096, regularization: 1e-3, save_every: 15.0, draws: 256 }
    }
}

/// Maximum number of rows in a batch or a shard.
const MAX_ROWS: u64 = 1 << 24;
/// Maximum number of rows of a random projection.
const MAX_PROJECTIONS: u64 = 1 << 16;

/// Reads a preset by name or a file by path, applies `key=value` settings, and checks all ranges.
pub fn load(source: impl AsRef<Path>, settings: &[String]) -> Result<Config> {
    let path = source.as_ref();
    let source = path.display().to_string();
    let preset = PRESETS.iter().find(|preset| preset.name == source);
    let (text, origin) = match preset {
        Some(preset) => (preset.toml.to_string(), format!("preset {source}")),
        None => {
            if !path.exists() {
                let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
                bail!("`{source}` is neither a preset ({}) nor a file", names.join(", "));
            }
            (String::from_utf8(crate::files::read(path)?).with_context(|| format!("{source}: not UTF-8 text"))?, source)
        }
    };
    parse(&text, &origin, settings)
}

/// [`load`] for the file `observations` in place of the data, where one is given.
pub fn load_for(source: &Path, settings: &[String], observations: Option<&Path>) -> Result<Config> {
    let config = load(source, settings)?;
    let data = observations.map_or(config.data.clone(), |path| config.data.in_file(path));
    Ok(Config { data, ..config })
}

/// Parses TOML `text` and applies `key=value` settings; errors name `origin`.
pub fn parse(text: &str, origin: &str, settings: &[String]) -> Result<Config> {
    let mut origin = origin.to_string();
    if let Ok(table) = toml::from_str(text) {
        renamed::refuse(&table).with_context(|| origin.clone())?;
    }
    let mut config: Config = toml::from_str(text).map_err(|e| anyhow!("{origin}: {}", plain(&e.to_string())))?;
    if !settings.is_empty() {
        // The table holds every default, so that a setting can change a single field of a default.
        let mut table = toml::Table::try_from(&config)?;
        let mut renewed = None;
        for setting in settings {
            if setting::apply(&mut table, setting)? {
                renewed = Some(setting.as_str());
            }
        }
        origin += &format!(" with --set {}", settings.join(" --set "));
        // The table is parsed as text so that the message can quote the line. Its number would not help,
        // because the user never sees this text.
        let text = toml::to_string(&table)?;
        config = toml::from_str(&text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].lines().count().saturating_sub(usize::from(!text[..at].ends_with('\n')));
            let line = text.lines().nth(line).unwrap_or_default();
            anyhow!("{origin}: {}", setting::explain(&plain(e.message()), &setting::place(&table, line), renewed))
        })?;
    }
    config.data = config.data.expanded().context(origin.clone())?;
    config.init = config.init.expanded();
    config.validate().context(origin)?;
    config.clean = config.clean.map(CleanConfig::resolved);
    Ok(config)
}

fn at_most(field: &str, value: u64, most: u64) -> Result<()> {
    match value <= most {
        true => Ok(()),
        false => bail!("{field}: expected at most {most}, found {value}"),
    }
}

impl Config {
    /// Directory of the run if none is given.
    pub fn default_out(&self) -> PathBuf {
        PathBuf::from(format!("runs/out/{}-seed{}", self.name, self.seed))
    }

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

    /// Checks every range; the error names the field.
    pub fn validate(&self) -> Result<()> {
        let path_like = |c: char| c == '/' || c == '\\' || c.is_control();
        if self.name.is_empty() || self.name.contains(path_like) {
            bail!("name: expected a word that can be part of a file name, found {:?}", self.name);
        }
        // TOML integers are signed.
        at_most("seed", self.seed, i64::MAX as u64)?;
        self.check_sizes()?;
        self.schedule.validate()?;
        self.m_step.validate()?;
        self.monitor.validate()?;
        self.monitor.check_method(&self.method)?;
        self.e_step.validate()?;
        self.em.validate()?;
        self.data.validate()?;
        let r = &self.report;
        if !(r.regularization > 0.0 && r.regularization.is_finite()) {
            bail!("report.regularization: expected a number > 0, found {}", r.regularization);
        }
        if r.draws < 2 {
            bail!("report.draws: expected 2 or more, found {}", r.draws);
        }
        if !(r.save_every >= 0.0 && r.save_every.is_finite()) {
            bail!("report.save_every: expected seconds >= 0, found {}", r.save_every);
        }
        if self.m_step.flip && self.image_shape().is_none() {
            bail!("m_step.flip: only images can be flipped; set it to false, or give the data a shape");
        }
        let channel = Arc::new(self.build_channel()?);
        self.model(channel.clone()).validate()?;
        self.m_step.check_operators(channel.as_ref())?;
        self.clean.as_ref().map_or(Ok(()), |clean| clean.validate(channel.as_ref(), &self.method))?;
        self.init.validate(channel.as_ref())
    }

    /// Channel, network and settings of the posterior.
    pub fn model(&self, channel: Arc<dyn Channel>) -> Model {
        Model {
            channel,
            image: self.image_shape(),
            schedule: self.schedule.clone(),
            conditioning: self.conditioning.clone(),
            method: self.method.clone(),
            network: self.network.clone(),
            sampler: self.e_step.sampler.clone(),
            shard: self.e_step.shard,
        }
    }

    /// A run of this configuration on `observations` through `channel`.
    pub fn em(&self, channel: Arc<Compose>, observations: Observations) -> Em {
        let own = self.data.has_operators() && !channel.sees_signal();
        let operators = match self.m_step.operators {
            Operators::Auto if own => Operators::Observed,
            set => set,
        };
        Em::of(self.model(channel), observations)
            .em(self.em.clone())
            .m_step(MStepConfig { operators, ..self.m_step.clone() })
            .e_step(self.e_step.clone())
            .monitor(self.monitor.clone())
            .seed(self.seed)
    }

    /// Checks bounds that lie far above any use and below which no product of sizes overflows.
    fn check_sizes(&self) -> Result<()> {
        at_most("m_step.batch", self.m_step.batch as u64, MAX_ROWS)?;
        at_most("m_step.micro_batch", self.m_step.micro_batch as u64, MAX_ROWS)?;
        at_most("e_step.shard", self.e_step.shard as u64, MAX_ROWS)?;
        for (i, stage) in self.channel.0.iter().enumerate() {
            if let Some((name, factor)) = stage.as_stage().multiplier() {
                at_most(&format!("channel[{i}].{name}"), factor as u64, MAX_PROJECTIONS)?;
            }
        }
        Ok(())
    }

    /// The resolved configuration as TOML, with every default written out.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("the configuration cannot be written as TOML")
    }
}

#[cfg(test)]
mod tests;
