//! Live training.

use super::convert::{array, count, error, object, observations, plain, set, whole};
use super::posterior::{Sampling, device};
use crate::options::parse;
use wasm_bindgen::prelude::*;

/// A run of a few laps on corrupted points of a curve.
#[wasm_bindgen]
pub struct LiveTraining(crate::LiveTraining);

#[wasm_bindgen]
impl LiveTraining {
    /// Draws signals and observations; `config` is JSON.
    pub async fn create(config: &str, seed: f64) -> Result<LiveTraining, JsError> {
        let (config, seed) = (parse("config", config).map_err(error)?, whole("seed", seed)?);
        Ok(Self(crate::LiveTraining::new(&config, seed, device().await?).map_err(error)?))
    }

    /// Description of the run: `{d, m, observations, config}`, where `config` is as in configuration files.
    pub fn info(&self) -> Result<JsValue, JsError> {
        let number = |n: usize| JsValue::from_f64(n as f64);
        object(&[
            ("d", number(self.0.d())),
            ("m", number(self.0.observations().y.d())),
            ("observations", number(self.0.observations().n())),
            ("config", plain(self.0.settings())?),
        ])
    }

    /// Does one unit of work and returns its `LiveProgress`.
    pub async fn step(&mut self) -> Result<JsValue, JsError> {
        let progress = self.0.step().await.map_err(error)?;
        let out = plain(&progress)?;
        if let Some(cloud) = &progress.cloud {
            set(&out, "cloud", &array(cloud))?;
        }
        Ok(out)
    }

    /// Reconstructions after the last finished lap, `[n * d]`.
    pub fn cloud(&self) -> Result<JsValue, JsError> {
        Ok(array(self.0.cloud().map_err(error)?))
    }

    /// Clean points that training never sees, `[k * d]`.
    pub fn truth(&self) -> JsValue {
        array(self.0.truth())
    }

    /// The observations, `{y, a}`.
    pub fn observations(&self) -> Result<JsValue, JsError> {
        observations(self.0.observations())
    }

    /// Posterior draws of observation `i` under the current network, before the first sampler step.
    pub fn sample(&self, i: f64, options: &str) -> Result<Sampling, JsError> {
        let options = parse("options", options).map_err(error)?;
        Ok(Sampling(self.0.posterior(count("observation", i)?, &options).map_err(error)?))
    }
}

/// Scores of the reconstructions of a live run.
#[wasm_bindgen]
pub struct LiveScorer(crate::LiveScorer);

#[wasm_bindgen]
impl LiveScorer {
    /// Draws the truth of the run; `config` is JSON.
    pub fn create(config: &str, seed: f64) -> Result<LiveScorer, JsError> {
        let (config, seed) = (parse("config", config).map_err(error)?, whole("seed", seed)?);
        Ok(Self(crate::LiveScorer::new(&config, seed).map_err(error)?))
    }

    /// The `LiveScore` of reconstructions, `[n * d]`.
    pub fn score(&self, cloud: Vec<f32>) -> Result<JsValue, JsError> {
        plain(&self.0.score(cloud).map_err(error)?)
    }
}
