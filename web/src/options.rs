//! Options that JavaScript passes as JSON.

use diffem::channel::ChannelConfig;
use diffem::sampler::SamplerConfig;
use diffem::{Error, Result};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

const MAX_DRAWS: usize = 1 << 16;

/// Options for sampling the posterior of an observation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleOptions {
    /// Number of draws, 1 to 65536.
    pub draws: usize,
    /// Number of sampler steps, by default that of the run.
    pub steps: Option<usize>,
    /// Kind of sampler, by default that of the run; the own settings of another kind have their defaults.
    pub sampler: Option<String>,
    /// Seed of the draws, as in `diffem sample --seed`.
    pub seed: u64,
    /// Index of the observation in a file given to `diffem sample`, because each index has its own noise.
    pub index: usize,
    /// Number of the first draw, because each has its own noise; `first` and `draws` are at most 65536 together.
    pub first: usize,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { draws: 1, steps: None, sampler: None, seed: 0, index: 0, first: 0 }
    }
}

/// Options for corrupting a signal.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObserveOptions {
    /// Seed of operator and noise, as in `diffem corrupt --seed`.
    pub seed: u64,
    /// Stages that replace the channel of the run, such as a mask with another rate; lengths must not change.
    #[serde(deserialize_with = "stages")]
    pub channel: Option<ChannelConfig>,
}

/// Lets the core read the stages, because readers of configurations are large and a page would download a
/// second copy too.
fn stages<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<ChannelConfig>, D::Error> {
    let json = Option::<Value>::deserialize(deserializer)?;
    json.map(|stages| stages.to_string().parse().map_err(|e| D::Error::custom(without_place(e)))).transpose()
}

/// The message of `e` without line and column, because the user has not written the JSON that they refer to.
fn without_place(e: serde_json::Error) -> String {
    e.to_string().split(" at line ").next().unwrap_or_default().to_string()
}

/// Reads options from JSON.
///
/// # Errors
/// Fails if the text is not JSON, has an unknown field or has a value of the wrong type; `what` names the
/// text.
pub fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::config(what, without_place(e)))
}

impl SampleOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Fails if there are no draws or more than 65536, or if the last has a greater number.
    pub fn validate(&self) -> Result<()> {
        if !(1..=MAX_DRAWS).contains(&self.draws) {
            return Err(Error::config("draws", format!("expected 1 to {MAX_DRAWS}, found {}", self.draws)));
        }
        let most = MAX_DRAWS - self.draws;
        match self.first <= most {
            true => Ok(()),
            false => Err(Error::config("first", format!("expected at most {most}, found {}", self.first))),
        }
    }

    /// Sampler of the run, with the kind and steps of these options where they are given.
    ///
    /// # Errors
    /// Fails if the kind is unknown or the number of steps is outside its range.
    pub fn sampler(&self, default: &SamplerConfig) -> Result<SamplerConfig> {
        sampler(default, self.sampler.as_deref(), self.steps)
    }
}

/// The `default` sampler with another kind or number of steps and the same grid.
///
/// # Errors
/// Fails if the kind is unknown or the number of steps is outside its range.
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
        assert_eq!(message(r#"{"draws": 6, "first": 65531}"#), "first: expected at most 65530, found 65531");
    }
}
