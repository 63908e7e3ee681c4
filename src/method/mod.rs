//! Learning methods: DiffEM and the methods that it is compared with, which share denoisers, samplers and
//! channels.
//!
//! A method defines what the network is trained on and how its estimates are conditioned on observations.
//! Each method has its own file and one line in the list below; nothing else in the crate distinguishes
//! methods.

mod ambient;
mod clean;
mod diffem;
mod em_mmps;
mod learning;
mod training;

pub use clean::{Clean, check_weight};
pub(crate) use learning::{Conditions, Context, LearningMethod};
pub use training::{Operators, Recorruption};
pub(crate) use training::{TrainingBatch, TrainingSource};

use crate::channel::Channel;
use crate::conditioning::ConditioningConfig;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Generates [`Method`] from its list; adding a line registers a method.
macro_rules! methods {
    ($($name:ident($settings:ident) = $module:ident,)*) => {
        $(pub use $module::*;)*

        /// How the posterior is learned, with the settings of the method.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[non_exhaustive]
        #[allow(missing_docs)] // The settings of each method carry its description.
        pub enum Method {
            $($name($settings),)*
        }

        $(impl From<$settings> for Method {
            fn from(settings: $settings) -> Self {
                Self::$name(settings)
            }
        })*

        impl Method {
            /// The settings as their trait.
            pub(crate) fn learning(&self) -> &dyn LearningMethod {
                match self {
                    $(Self::$name(method) => method,)*
                }
            }
        }
    };
}

methods! {
    Diffem(Diffem) = diffem,
    EmMmps(EmMmps) = em_mmps,
    Ambient(Ambient) = ambient,
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

    /// Number of features of an observation that the network receives.
    pub fn feature_len(&self, channel: &dyn Channel, config: &ConditioningConfig) -> usize {
        self.learning().feature_len(channel, config)
    }

    /// First factor ω of over-relaxation of the E-steps, 1 or more; 1 is plain EM.
    pub fn relaxation(&self) -> f64 {
        self.learning().relaxation()
    }

    /// Backward passes of the network per call of its denoiser while sampling; 0 where sampling needs no gradient.
    pub fn jacobians_per_call(&self) -> usize {
        self.learning().jacobians_per_call()
    }

    /// Refuses methods whose training takes no clean signals, see [`crate::Em::clean`].
    pub fn check_clean(&self) -> Result<()> {
        let message = "this method trains on the observations themselves and takes no clean signals; choose another";
        self.learning().takes_clean().then_some(()).ok_or_else(|| Error::config("method.kind", message))
    }

    /// True where the network is an unconditional denoiser, a prior that can be guided to observations of any channel.
    pub fn learns_prior(&self) -> bool {
        self.learning().learns_prior()
    }
}
