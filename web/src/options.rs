//! Options as JavaScript gives them.

use diffem::channel::ChannelConfig;
use diffem::sampler::SamplerConfig;
use diffem::{Error, Result};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// Most draws at a time.
const MAX_DRAWS: usize = 1 << 16;

/// How the posterior of an observation is sampled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleOptions {
    /// Number of draws, 1 to 65536.
    pub draws: usize,
    /// Sampler steps; by default the run's.
    pub steps: Option<usize>,
    /// Kind of sampler, by default the run's; with another kind its own settings take their defaults.
    pub sampler: Option<String>,
    /// Seed of the draws: those of `diffem sample --seed`.
    pub seed: u64,
    /// Place of the observation in a file given to `diffem sample`: each place has its own noise.
    pub index: usize,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { draws: 1, steps: None, sampler: None, seed: 0, index: 0 }
    }
}

/// How a signal is corrupted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObserveOptions {
    /// Seed of operator and noise: that of `diffem corrupt --seed`.
    pub seed: u64,
    /// Stages in place of the run's channel, such as one with another rate; lengths must stay.
    #[serde(deserialize_with = "stages")]
    pub channel: Option<ChannelConfig>,
}

/// Read by the core: its configurations' readers are large, and a second copy here would be downloaded too.
fn stages<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<ChannelConfig>, D::Error> {
    let json = Option::<Value>::deserialize(deserializer)?;
    json.map(|stages| stages.to_string().parse().map_err(|e| D::Error::custom(without_place(e)))).transpose()
}

/// The message of `e` without the place in a text that nobody wrote.
fn without_place(e: serde_json::Error) -> String {
    e.to_string().split(" at line ").next().unwrap_or_default().to_string()
}

/// Reads options from JSON.
///
/// # Errors
/// Text that is no JSON, an unknown field, a value of another type.
pub fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::config(what, without_place(e)))
}

impl SampleOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// No draws or too many.
    pub fn validate(&self) -> Result<()> {
        match (1..=MAX_DRAWS).contains(&self.draws) {
            true => Ok(()),
            false => Err(Error::config("draws", format!("expected 1 to {MAX_DRAWS}, found {}", self.draws))),
        }
    }

    /// The sampler asked for, on top of the run's.
    ///
    /// # Errors
    /// An unknown kind, steps outside their range.
    pub fn sampler(&self, default: &SamplerConfig) -> Result<SamplerConfig> {
        sampler(default, self.sampler.as_deref(), self.steps)
    }
}

/// `default` with another kind or number of steps; its grid stays.
///
/// # Errors
/// An unknown kind, steps outside their range.
pub fn sampler(default: &SamplerConfig, kind: Option<&str>, steps: Option<usize>) -> Result<SamplerConfig> {
    let bad = |e| Error::config("sampler", without_place(e));
    let Value::Object(mut fields) = serde_json::to_value(default).map_err(bad)? else {
        return Err(Error::config("sampler", "expected a table of settings"));
    };
    if let Some(kind) = kind.filter(|&kind| fields.get("kind") != Some(&json!(kind))) {
        let kept = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let same = Map::from_iter([("steps".to_string(), kept("steps")), ("spacing".to_string(), kept("spacing"))]);
        fields = same;
        fields.insert("kind".into(), json!(kind));
    }
    if let Some(steps) = steps {
        fields.insert("steps".into(), json!(steps));
    }
    let sampler: SamplerConfig = Value::Object(fields).to_string().parse().map_err(bad)?;
    sampler.validate("sampler")?;
    Ok(sampler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffem::sampler::{DdimConfig, Dpmpp2mSdeConfig, PredictorCorrectorConfig, Spacing};

    #[test]
    fn the_run_s_sampler_is_the_default() {
        let run = PredictorCorrectorConfig { steps: 30, spacing: Spacing::Edm, corrections: 2, tau: 0.2 }.into();
        let none = SampleOptions::default();
        assert_eq!(none.sampler(&run).unwrap(), run);
        let fewer = SampleOptions { steps: Some(8), ..none.clone() };
        let expected = PredictorCorrectorConfig { steps: 8, spacing: Spacing::Edm, corrections: 2, tau: 0.2 }.into();
        assert_eq!(fewer.sampler(&run).unwrap(), expected);
        let other = SampleOptions { sampler: Some("dpmpp2m-sde".into()), ..none };
        assert_eq!(other.sampler(&run).unwrap(), Dpmpp2mSdeConfig { steps: 30, spacing: Spacing::Edm }.into());
    }

    #[test]
    fn bad_options_are_named() {
        let run = DdimConfig { steps: 4, spacing: Spacing::Geometric }.into();
        let message = |json: &str| {
            let options = parse::<SampleOptions>("options", json).and_then(|o| o.sampler(&run).map(|_| o));
            options.and_then(|o| o.validate()).unwrap_err().to_string()
        };
        assert!(message(r#"{"draw": 3}"#).starts_with("options: unknown field `draw`"));
        assert!(message(r#"{"seed": 1.5}"#).contains("invalid type: floating point `1.5`"));
        assert!(message(r#"{"sampler": "euler"}"#).starts_with("sampler: unknown variant `euler`"));
        assert_eq!(message(r#"{"steps": 0}"#), "sampler.steps: expected 1 to 1000000, found 0");
        assert_eq!(message(r#"{"draws": 0}"#), "draws: expected 1 to 65536, found 0");
    }
}
