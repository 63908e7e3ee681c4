//! A trained posterior and its draws.

use super::convert::{array, count, error, object, observations, plain, set};
use crate::options::parse;
use burn::tensor::Device;
use diffem::Samples;
use diffem::channel::Channel;
use diffem::conditioning::{OperatorStructure, structure_for};
use diffem::posterior::Bundle;
use serde_json::json;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Device of this module.
#[cfg(feature = "cpu")]
pub async fn device() -> Result<Device, JsError> {
    Ok(Device::flex())
}

/// Device of this module, which the first call opens.
#[cfg(all(feature = "gpu", not(feature = "cpu")))]
pub async fn device() -> Result<Device, JsError> {
    thread_local!(static DEVICE: std::cell::RefCell<Option<Device>> = const { std::cell::RefCell::new(None) });
    if let Some(device) = DEVICE.with_borrow(Clone::clone) {
        return Ok(device);
    }
    let device = Device::wgpu_options().init_async().await.map_err(|e| error(format!("WebGPU: {e:?}")))?;
    DEVICE.with_borrow_mut(|kept| *kept = Some(device.clone()));
    Ok(device)
}

/// A trained posterior.
#[wasm_bindgen]
pub struct Posterior(Rc<Bundle>);

#[wasm_bindgen]
impl Posterior {
    /// Opens the bytes of a checkpoint.
    pub async fn open(bytes: Vec<u8>) -> Result<Posterior, JsError> {
        let device = device().await?;
        let bundle = Bundle::open(&bytes, &device).map_err(error)?;
        let model = bundle.posterior.model();
        let structure = structure_for(model.channel.as_ref(), &model.conditioning);
        // Conjugate gradient runs on the host, where a page cannot wait for a GPU.
        if structure == OperatorStructure::MatrixFree && cfg!(not(feature = "cpu")) {
            return Err(JsError::new(
                "this channel needs conjugate gradient, which does not run on WebGPU; take the CPU",
            ));
        }
        Ok(Self(Rc::new(bundle)))
    }

    /// Description of the checkpoint: `{d, m, k, parameters, image, channel, sampler, sigmaMax, examples,
    /// name, lap}`.
    pub fn info(&self) -> Result<JsValue, JsError> {
        let (bundle, recipe) = (&self.0, &self.0.recipe);
        let channel = &bundle.posterior.model().channel;
        let mut info = json!({
            "name": recipe.name,
            "lap": recipe.lap,
            "d": channel.signal_len(),
            "m": channel.observation_len(),
            "k": channel.operator_len(),
            "parameters": bundle.parameters,
            "channel": recipe.channel,
            "sampler": recipe.sampler,
            "sigmaMax": recipe.schedule.sigma_max,
            "examples": bundle.examples.observations.n(),
        });
        if let (Some(image), Some(fields)) = (recipe.image, info.as_object_mut()) {
            fields.insert("image".into(), json!(image));
        }
        plain(&info)
    }

    /// Example `i` as `{x, y, a}`, with `x` where the signal is known and `a` where the operator has
    /// parameters.
    pub fn example(&self, i: f64) -> Result<JsValue, JsError> {
        let (i, examples) = (count("example", i)?, &self.0.examples);
        let n = examples.observations.n();
        if i >= n {
            return Err(JsError::new(&format!("example {i}: this checkpoint carries {n}, from 0")));
        }
        let out = observations(&examples.observations.select(&[i]))?;
        if let Some(x) = &examples.x {
            set(&out, "x", &array(&x.select(&[i])))?;
        }
        Ok(out)
    }

    /// Corrupts `x [d]` and returns `{y, a}`. `a` fixes the operator; `options` is JSON with `seed` and
    /// `channel`.
    pub fn observe(&self, x: Vec<f32>, a: Option<Vec<f32>>, options: &str) -> Result<JsValue, JsError> {
        let options = parse("options", options).map_err(error)?;
        observations(&crate::observe(&self.0.posterior, x, a, &options).map_err(error)?)
    }

    /// Posterior draws of x given `y` and `a`, before the first step; `options` is JSON with `draws`,
    /// `steps`, `sampler`, `seed` and `index`.
    pub fn sample(&self, y: Vec<f32>, a: Option<Vec<f32>>, options: &str) -> Result<Sampling, JsError> {
        let options = parse("options", options).map_err(error)?;
        let sampling = crate::Sampling::new(&self.0.posterior, y, a.unwrap_or_default(), &options);
        Ok(Sampling(sampling.map_err(error)?))
    }
}

/// Posterior draws in progress.
#[wasm_bindgen]
pub struct Sampling(pub(super) crate::Sampling);

#[wasm_bindgen]
impl Sampling {
    /// Takes one sampler step and returns `{step, steps, sigma}`, or `undefined` if none is left.
    pub fn advance(&mut self) -> Result<JsValue, JsError> {
        match self.0.advance() {
            Some(s) => {
                let number = |n: usize| JsValue::from_f64(n as f64);
                object(&[("step", number(s.step)), ("steps", number(s.steps)), ("sigma", s.sigma.into())])
            }
            None => Ok(JsValue::UNDEFINED),
        }
    }

    /// `{state, mean}` after the last step, each `[draws * d]`, or `undefined` before the first step.
    pub async fn state(&self) -> Result<JsValue, JsError> {
        match self.0.state().await.map_err(error)? {
            Some((x, mean)) => object(&[("state", array(&x)), ("mean", array(&mean))]),
            None => Ok(JsValue::UNDEFINED),
        }
    }

    /// Takes the remaining steps and returns the draws, `[draws * d]`.
    pub async fn finish(self) -> Result<JsValue, JsError> {
        let x: Samples = self.0.finish().await.map_err(error)?;
        Ok(array(&x))
    }
}
