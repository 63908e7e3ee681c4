//! Samplers by name, for configuration files. A sampler is registered in the list at the end of this file.

use super::{Sampler, SamplerSettings, Spacing};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Maximum number of steps per draw, far above any practical use.
const MAX_STEPS: usize = 1_000_000;

/// The registry: the enum of all samplers, tagged by `kind`, and the public items of their files.
macro_rules! samplers {
    ($($module:ident: $($kind:ident($config:ident)),+;)+) => {
        $(pub use super::$module::*;)+

        /// A sampler with its number of steps and its grid.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[non_exhaustive]
        #[allow(missing_docs)] // The settings of each sampler carry its description.
        pub enum SamplerConfig {
            $($($kind($config),)+)+
        }

        impl SamplerConfig {
            fn settings(&self) -> &dyn SamplerSettings {
                match self {
                    $($(Self::$kind(config) => config,)+)+
                }
            }

            /// Number of steps.
            pub fn steps(&self) -> usize {
                match self {
                    $($(Self::$kind(config) => config.steps,)+)+
                }
            }

            /// Spacing of the noise levels.
            pub fn spacing(&self) -> Spacing {
                match self {
                    $($(Self::$kind(config) => config.spacing,)+)+
                }
            }

            /// The same sampler with another number of steps.
            pub fn with_steps(mut self, steps: usize) -> Self {
                match &mut self {
                    $($(Self::$kind(config) => config.steps = steps,)+)+
                }
                self
            }
        }

        $($(impl From<$config> for SamplerConfig {
            fn from(config: $config) -> Self {
                Self::$kind(config)
            }
        })+)+
    };
}

impl FromStr for SamplerConfig {
    type Err = serde_json::Error;

    /// Parses a sampler from JSON, with the same keys as in configuration files.
    fn from_str(json: &str) -> std::result::Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

impl SamplerConfig {
    /// Builds the sampler.
    pub fn build(&self) -> Box<dyn Sampler> {
        self.settings().build()
    }

    /// Decreasing noise levels, `steps + 1` of them from σ_max to σ_min.
    pub fn grid(&self, schedule: &Schedule) -> Vec<f64> {
        let (steps, spacing) = (self.steps(), self.spacing());
        let (low, high) = (schedule.sigma_min, schedule.sigma_max);
        let level = |i: usize| {
            let t = 1.0 - i as f64 / steps as f64;
            match spacing {
                Spacing::Geometric => schedule.sigma(t),
                Spacing::Edm => (low.powf(1.0 / 7.0) + t * (high.powf(1.0 / 7.0) - low.powf(1.0 / 7.0))).powi(7),
            }
        };
        (0..=steps).map(level).collect()
    }

    /// Network calls per draw.
    pub fn calls(&self) -> usize {
        self.steps().saturating_mul(self.build().calls_per_step()).saturating_add(1)
    }

    /// The same sampler with the largest number of steps that takes at most `calls` network calls (at least
    /// one step).
    pub fn with_calls(&self, calls: usize) -> Self {
        let steps = (calls.saturating_sub(1) / self.build().calls_per_step()).max(1);
        self.clone().with_steps(steps)
    }

    /// Checks the ranges; `field` names the sampler in messages.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn validate(&self, field: &str) -> Result<()> {
        let steps = self.steps();
        if !(1..=MAX_STEPS).contains(&steps) {
            return Err(Error::config(format!("{field}.steps"), format!("expected 1 to {MAX_STEPS}, found {steps}")));
        }
        self.settings().validate().map_err(|e| match e {
            Error::Config { field: own, message } => Error::config(format!("{field}.{own}"), message),
            other => other,
        })
    }
}

samplers! {
    ddpm: Ddpm(DdpmConfig);
    ddim: Ddim(DdimConfig);
    heun: Heun(HeunConfig);
    dpmpp2m: Dpmpp2m(Dpmpp2mConfig), Dpmpp2mSde(Dpmpp2mSdeConfig);
    predictor_corrector: Pc(PredictorCorrectorConfig);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(corrections: usize, tau: f64) -> SamplerConfig {
        PredictorCorrectorConfig { steps: 3, spacing: Spacing::Geometric, corrections, tau }.into()
    }

    fn message(sampler: &SamplerConfig) -> String {
        sampler.validate("sampler").err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn any_number_of_corrections_can_be_counted() {
        let endless = corrected(usize::MAX, 0.1);
        assert_eq!(endless.with_calls(100).steps(), 1);
        assert_eq!(endless.calls(), usize::MAX);
        assert_eq!(corrected(2, 0.1).with_calls(100).steps(), 33);
        assert_eq!(corrected(2, 0.1).calls(), 10);
    }

    #[test]
    fn settings_outside_their_ranges_are_named() {
        assert_eq!(message(&corrected(1000, 0.1)), "");
        assert_eq!(message(&corrected(1001, 0.1)), "sampler.corrections: expected at most 1000, found 1001");
        assert_eq!(message(&corrected(1, 1.0)), "sampler.tau: expected a number in (0, 1), found 1");
        assert_eq!(message(&corrected(1, 0.1).with_steps(0)), "sampler.steps: expected 1 to 1000000, found 0");
        let heun = HeunConfig { steps: 3, spacing: Spacing::Edm, churn: f64::NAN }.into();
        assert_eq!(message(&heun), "sampler.churn: expected a number in [0, 1], found NaN");
    }

    #[test]
    fn a_sampler_is_read_by_its_kind() {
        let sampler: SamplerConfig = r#"{"kind":"pc","steps":3}"#.parse().unwrap();
        assert_eq!(sampler, corrected(1, 0.1));
        let text = r#"{"kind":"dpmpp2m-sde","steps":4,"spacing":"edm"}"#;
        let sampler: SamplerConfig = text.parse().unwrap();
        assert_eq!(sampler, Dpmpp2mSdeConfig { steps: 4, spacing: Spacing::Edm }.into());
        assert_eq!(serde_json::to_string(&sampler).unwrap(), text);
        let unknown = r#"{"kind":"ddim","steps":3,"churn":1.0}"#.parse::<SamplerConfig>().unwrap_err().to_string();
        assert!(unknown.contains("unknown field `churn`, expected `steps` or `spacing`"), "{unknown}");
    }
}
