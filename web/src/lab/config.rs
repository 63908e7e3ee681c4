//! Settings of a [`super::Lab`], and the settings of a run that they stand for.

use crate::options;
use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::conditioning::ConditioningConfig;
use diffem::em::{EStepConfig, EmConfig, InitConfig, MStepConfig, MonitorConfig};
use diffem::network::{MlpConfig, NetworkConfig};
use diffem::schedule::Schedule;
use diffem::synthetic::Outline;
use diffem::{Error, Result};
use serde::{Deserialize, Serialize};

/// Most observations.
const MAX_OBSERVATIONS: usize = 1 << 16;
/// Most units of a hidden layer.
const MAX_WIDTH: usize = 1024;

/// What is learned, from how many observations, for how long.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabConfig {
    /// The signals.
    pub data: Data,
    /// Number of observations, 2 to 65536.
    pub observations: usize,
    /// Standard deviation of the noise, >= 0.
    pub noise: f64,
    /// The first reconstructions.
    #[serde(default)]
    pub start: Start,
    /// Laps in all, 1 or more.
    pub laps: usize,
    /// Optimizer steps a lap, 1 or more.
    pub steps: usize,
    /// Observations a step, 1 or more.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Units of a hidden layer, 1 to 1024.
    #[serde(default = "width")]
    pub width: usize,
    /// Number of hidden layers, 1 to 64.
    #[serde(default = "depth")]
    pub depth: usize,
    /// Length of the network's noise embedding, even.
    #[serde(default = "embedding")]
    pub embedding: usize,
    /// Least and greatest noise level, in units of the standardized signal: a narrower range is learned in fewer steps.
    #[serde(default = "sigma")]
    pub sigma: [f64; 2],
    /// First learning rate of a lap.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// Sampler of the E-step.
    #[serde(default)]
    pub sampler: Option<Kind>,
}

fn batch() -> usize {
    256
}

fn width() -> usize {
    128
}

fn depth() -> usize {
    3
}

fn embedding() -> usize {
    32
}

fn sigma() -> [f64; 2] {
    let Schedule { sigma_min, sigma_max, .. } = Schedule::default();
    [sigma_min, sigma_max]
}

fn learning_rate() -> f64 {
    2e-3
}

/// Signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// A heart in the plane, seen through one random projection each.
    Heart,
    /// The trefoil in the plane, seen likewise: its loops take many more laps.
    Curve,
    /// The paper's curve in R^5, seen through two.
    Manifold,
}

/// The first reconstructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Start {
    /// Draws under a Gaussian prior fitted to the observations.
    #[default]
    Gaussian,
    /// Draws under N(0, std² I) as it is.
    Isotropic {
        /// Standard deviation, > 0.
        std: f64,
    },
}

/// A sampler by name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// As in configuration files.
    pub kind: String,
    /// Steps, 1 or more.
    pub steps: usize,
}

/// The settings of the run, in the words of the command line's configuration files.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    pub data: RunData,
    pub channel: ChannelConfig,
    pub em: EmConfig,
    pub m_step: MStepConfig,
    pub e_step: EStepConfig,
    pub monitor: MonitorConfig,
    pub network: NetworkConfig,
    pub schedule: Schedule,
    pub conditioning: ConditioningConfig,
}

/// `[data]` of a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunData {
    Curve { n: usize, shape: Outline },
    Manifold { n: usize, d: usize, alpha: f64 },
}

impl Settings {
    /// The settings that `config` and `seed` stand for.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn new(config: &LabConfig, seed: u64) -> Result<Self> {
        let n = config.observations;
        if !(2..=MAX_OBSERVATIONS).contains(&n) {
            return Err(Error::config("observations", format!("expected 2 to {MAX_OBSERVATIONS}, found {n}")));
        }
        if config.width > MAX_WIDTH {
            return Err(Error::config("width", format!("expected 1 to {MAX_WIDTH}, found {}", config.width)));
        }
        let (data, rows) = match config.data {
            Data::Heart => (RunData::Curve { n, shape: Outline::Heart }, 1),
            Data::Curve => (RunData::Curve { n, shape: Outline::Trefoil }, 1),
            Data::Manifold => (RunData::Manifold { n, d: 5, alpha: 3.0 }, 2),
        };
        let settings = Self {
            seed,
            data,
            channel: ChannelConfig(vec![ProjectionConfig { rows }.into(), NoiseConfig { std: config.noise }.into()]),
            em: EmConfig { laps: config.laps, patience: 0, start: config.start.settings() },
            m_step: m_step(config),
            e_step: e_step(config)?,
            monitor: MonitorConfig { holdout: 0.0, ..MonitorConfig::default() },
            network: NetworkConfig::Mlp(MlpConfig {
                width: config.width,
                depth: config.depth,
                embedding: config.embedding,
            }),
            schedule: Schedule { sigma_min: config.sigma[0], sigma_max: config.sigma[1], ..Schedule::default() },
            conditioning: ConditioningConfig::default(),
        };
        settings.validate()?;
        Ok(settings)
    }

    fn validate(&self) -> Result<()> {
        self.em.validate()?;
        self.m_step.validate()?;
        self.e_step.validate()?;
        self.schedule.validate()?;
        self.network.validate(None, 0)
    }
}

impl Start {
    fn settings(self) -> InitConfig {
        match self {
            Self::Gaussian => InitConfig::default(),
            Self::Isotropic { std } => InitConfig::Gaussian { iterations: 0, std, rank: 0 },
        }
    }
}

fn m_step(config: &LabConfig) -> MStepConfig {
    MStepConfig {
        steps: config.steps,
        batch: config.batch.min(1 << 16),
        learning_rate: config.learning_rate,
        // Laps are short here: the average must not reach back to where the lap began.
        ema: 0.99,
        ..MStepConfig::default()
    }
}

fn e_step(config: &LabConfig) -> Result<EStepConfig> {
    let default = EStepConfig::default();
    let sampler = match &config.sampler {
        Some(Kind { kind, steps }) => options::sampler(&default.sampler, Some(kind), Some(*steps))?,
        None => default.sampler.clone(),
    };
    Ok(EStepConfig { sampler, ..default })
}
