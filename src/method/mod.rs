//! Learning methods: DiffEM, and the methods that it is compared with, on the same denoisers, samplers and channels.
//!
//! A method says what the network is trained on and how its estimates are conditioned on observations. Each has a file
//! of its own and one line in the list below; nothing else in the crate tells methods apart.

mod ambient;
mod diffem;
mod em_mmps;
mod training;

pub use ambient::Ambient;
pub use diffem::Diffem;
pub use em_mmps::{EmMmps, Mmps};
pub use training::Recorruption;
pub(crate) use training::{TrainingBatch, TrainingSource};

use crate::channel::Channel;
use crate::conditioning::{Conditioning, ConditioningConfig};
use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::network::Network;
use crate::noise::Stream;
use crate::observations::Observations;
use crate::samples::Samples;
use crate::schedule::Schedule;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Generates [`Method`] from its list: to register a method is to add its line.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($settings:ty),)*) => {
        /// How the posterior is learned, with the settings of the method.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Method {
            $($(#[$doc])* $name($settings),)*
        }

        $(impl From<$settings> for Method {
            fn from(settings: $settings) -> Self {
                Self::$name(settings)
            }
        })*

        impl Method {
            /// The settings behind the trait.
            pub(crate) fn learning(&self) -> &dyn LearningMethod {
                match self {
                    $(Self::$name(method) => method,)*
                }
            }
        }
    };
}

methods! {
    /// The network is trained as the posterior.
    Diffem(Diffem),
    /// The network is trained as the prior, and guided to the observation when it samples.
    EmMmps(EmMmps),
    /// The network is trained on masked observations, without reconstructions.
    Ambient(Ambient),
}

impl Default for Method {
    fn default() -> Self {
        Self::Diffem(Diffem::default())
    }
}

impl Method {
    /// Checks the settings, and that the method suits `channel`; the error names the field below `method`.
    pub fn validate(&self, channel: &dyn Channel) -> Result<()> {
        self.learning().validate(channel)
    }

    /// Number of features that the network sees of an observation.
    pub fn feature_len(&self, channel: &dyn Channel, config: &ConditioningConfig) -> usize {
        self.learning().feature_len(channel, config)
    }

    /// Backward passes of the network per call of its denoiser while sampling; 0 where sampling needs no gradient.
    pub fn jacobians_per_call(&self) -> usize {
        self.learning().jacobians_per_call()
    }

    /// True where the network is an unconditional denoiser, a prior that can be guided to observations of any channel.
    pub fn learns_prior(&self) -> bool {
        self.learning().learns_prior()
    }
}

/// A network on its device, with what its denoiser is made of.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub network: &'a dyn Network,
    pub schedule: &'a Schedule,
    pub conditioning: Conditioning<'a>,
    pub device: &'a Device,
}

/// What distinguishes one learning method from another.
pub(crate) trait LearningMethod: Sync {
    /// Checks the settings, and that the method suits `channel`.
    fn validate(&self, channel: &dyn Channel) -> Result<()>;

    /// Number of features that the network sees of an observation.
    fn feature_len(&self, channel: &dyn Channel, config: &ConditioningConfig) -> usize;

    /// Those of `rows` whose reconstructions in `x [n, d]` are fit to be trained on; never empty.
    fn training_rows(&self, _x: &Samples, rows: Vec<usize>) -> Vec<usize> {
        rows
    }

    /// The host side of the micro-batch of `rows`, the first of which has place `first` in mini-batch `step`.
    fn training_batch(&self, source: &TrainingSource<'_>, rows: &[usize], step: usize, first: usize) -> TrainingBatch;

    /// D of a micro-batch `[n, d]` in training, on the autodiff device of `context`.
    fn denoise_training(&self, context: Context<'_>, batch: &TrainingBatch, stream: Stream) -> Tensor<2>;

    /// What sampling needs of the observations at `rows`, one row per draw.
    fn condition(&self, context: Context<'_>, observations: &Observations, rows: &[usize]) -> Box<dyn Conditions>;

    /// See [`Method::jacobians_per_call`].
    fn jacobians_per_call(&self) -> usize {
        0
    }

    /// See [`Method::learns_prior`].
    fn learns_prior(&self) -> bool {
        false
    }
}

/// Observations on the device, ready for a sampler that calls the denoiser many times.
pub(crate) trait Conditions {
    /// E[x | x_t, y], one observation per row.
    fn denoiser<'d>(&'d self, context: Context<'d>) -> Box<dyn Denoiser + 'd>;
}
