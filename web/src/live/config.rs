//! Settings of a [`super::LiveTraining`], and the settings of the run that follow from them.

use super::drawing::Drawing;
use crate::options;
use diffem::channel::{ChannelConfig, NoiseConfig, ProjectionConfig};
use diffem::conditioning::ConditioningConfig;
use diffem::em::{EStepConfig, EmConfig, GaussianInit, InitConfig, MStepConfig, MonitorConfig};
use diffem::method::{Diffem, Method};
use diffem::network::{MlpConfig, NetworkConfig};
use diffem::optim::OptimizerKind;
use diffem::sampler::{DdpmConfig, Spacing};
use diffem::schedule::Schedule;
use diffem::synthetic::Outline;
use diffem::{Error, Result};
use serde::{Deserialize, Serialize};

const MAX_OBSERVATIONS: usize = 1 << 16;
const MAX_WIDTH: usize = 1024;

/// Settings of live training, as JavaScript passes them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LiveConfig {
    /// Distribution of the signals.
    pub data: Data,
    /// Number of observations, 2 to 65536.
    pub observations: usize,
    /// Standard deviation of the noise, >= 0.
    pub noise: f64,
    /// Prior of the first reconstructions.
    #[serde(default)]
    pub init: Init,
    /// Number of laps, 1 or more.
    pub laps: usize,
    /// Gradient steps per lap, 1 or more.
    pub steps: usize,
    /// Observations per gradient step, 1 or more.
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
    /// Smallest and largest noise level, in units of the standardized signal; a narrower range is learned in
    /// fewer steps.
    #[serde(default = "sigma")]
    pub sigma: [f64; 2],
    /// Learning rate at the beginning of a lap.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// Learning rate at the beginning of the laps after the third, by default that of all. Of symmetric signals there is
    /// little to learn at first, and large steps then end units of the network; later they sharpen the draws.
    #[serde(default)]
    pub later_learning_rate: Option<f64>,
    /// How weights follow their gradients.
    #[serde(default)]
    pub optimizer: OptimizerKind,
    /// Sampler of the E-step.
    #[serde(default)]
    pub sampler: Option<Kind>,
    /// First factor of over-relaxation of the E-step, 1 to 4. A factor above 1 holds out a tenth of the
    /// observations, whose score lowers it.
    #[serde(default = "plain")]
    pub relaxation: f64,
    /// Weight of imputed values as training targets, in (0, 1].
    #[serde(default = "plain")]
    pub imputed_weight: f64,
}

fn plain() -> f64 {
    1.0
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

/// Distribution of the signals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// A heart in the plane, where each observation is one random projection.
    Heart,
    /// A trefoil in the plane, observed likewise; its loops take many more laps.
    Curve,
    /// The paper's curve in R^5, where each observation is two random projections.
    Manifold,
    /// What the reader has drawn in the plane, observed as the heart.
    Drawn(Drawing),
}

/// Prior of the first reconstructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Init {
    /// A Gaussian fitted to the observations.
    #[default]
    Gaussian,
    /// N(0, std² I), which is not fitted.
    Isotropic {
        /// Standard deviation, > 0.
        std: f64,
    },
}

/// Sampler of the E-step.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Kind of sampler, as in configuration files.
    pub kind: String,
    /// Number of steps, 1 or more.
    pub steps: usize,
}

/// Settings of the run, as in configuration files of the command line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    pub data: RunData,
    pub channel: ChannelConfig,
    pub method: Method,
    pub em: EmConfig,
    pub init: InitConfig,
    pub m_step: MStepConfig,
    pub e_step: EStepConfig,
    pub monitor: MonitorConfig,
    pub network: NetworkConfig,
    pub schedule: Schedule,
    pub conditioning: ConditioningConfig,
}

/// `[data]` of a configuration file, which can name all but a drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunData {
    Curve { n: usize, shape: Outline },
    Manifold { n: usize, d: usize, alpha: f64 },
    Drawn { n: usize, drawing: Drawing },
}

impl Settings {
    /// Settings of the run that follow from `config` and `seed`.
    ///
    /// # Errors
    /// Fails if a setting is outside its range.
    pub fn new(config: &LiveConfig, seed: u64) -> Result<Self> {
        let n = config.observations;
        if !(2..=MAX_OBSERVATIONS).contains(&n) {
            return Err(Error::config("observations", format!("expected 2 to {MAX_OBSERVATIONS}, found {n}")));
        }
        if config.width > MAX_WIDTH {
            return Err(Error::config("width", format!("expected 1 to {MAX_WIDTH}, found {}", config.width)));
        }
        let (data, rows) = match &config.data {
            Data::Heart => (RunData::Curve { n, shape: Outline::Heart }, 1),
            Data::Curve => (RunData::Curve { n, shape: Outline::Trefoil }, 1),
            Data::Manifold => (RunData::Manifold { n, d: 5, alpha: 3.0 }, 2),
            Data::Drawn(drawing) => {
                drawing.validate()?;
                (RunData::Drawn { n, drawing: drawing.clone() }, 1)
            }
        };
        let settings = Self {
            seed,
            data,
            channel: ChannelConfig(vec![
                ProjectionConfig { rows }.into(),
                NoiseConfig { std: config.noise.into() }.into(),
            ]),
            method: Diffem { imputed_weight: config.imputed_weight, relaxation: config.relaxation }.into(),
            em: EmConfig { laps: config.laps, patience: 0 },
            init: config.init.settings(),
            m_step: m_step(config),
            e_step: e_step(config)?,
            monitor: monitor(config),
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

impl Init {
    fn settings(self) -> InitConfig {
        match self {
            Self::Gaussian => InitConfig::default(),
            Self::Isotropic { std } => InitConfig::Gaussian(GaussianInit { iterations: 0, std, rank: 0 }),
        }
    }
}

fn m_step(config: &LiveConfig) -> MStepConfig {
    MStepConfig {
        steps: config.steps,
        batch: config.batch.min(1 << 16),
        optimizer: config.optimizer,
        learning_rate: config.learning_rate,
        // Laps are short here, so the average must not include weights from the beginning of the lap.
        ema: 0.99,
        ..MStepConfig::default()
    }
}

/// Only over-relaxation needs held-out observations; the figures know the truth. Laps are judged by all of these
/// observations. The distances that `points` are for are not shown, so they get the fewest.
fn monitor(config: &LiveConfig) -> MonitorConfig {
    let default = MonitorConfig::default();
    MonitorConfig { holdout: if config.relaxation > 1.0 { default.holdout } else { 0.0 }, points: 2, ..default }
}

fn e_step(config: &LiveConfig) -> Result<EStepConfig> {
    let default = EStepConfig::default();
    let sampler = match &config.sampler {
        Some(Kind { kind, steps }) => options::sampler(&default.sampler, Some(kind), Some(*steps))?,
        // Too narrow draws help on thin curves.
        None => DdpmConfig { steps: 30, spacing: Spacing::Geometric }.into(),
    };
    Ok(EStepConfig { sampler, ..default })
}
