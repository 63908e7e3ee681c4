//! What JavaScript sees of this module; `web/js` wraps it. Arrays are row-major `Float32Array`s, options are JSON, and every
//! failure is an `Error` with the core's message.

#[cfg(feature = "check")]
mod check;
mod convert;
#[cfg(feature = "cpu")]
mod lab;
mod posterior;

use convert::{error, object};
use js_sys::{Float64Array, Reflect};
use wasm_bindgen::prelude::*;

/// Leaves the message of a panic, which ends the module, in the global `diffemPanic`: the worker's error names it.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        // Nobody is left to be told of a failure here.
        let _ = Reflect::set(&js_sys::global(), &"diffemPanic".into(), &info.to_string().into());
    }));
}

/// Closed-form EM on a scalar Gaussian, see `gaussian_run`: `{variance, kl, bound}`.
#[wasm_bindgen(js_name = gaussianRun)]
pub fn gaussian_run(truth: f64, noise: f64, start: f64, laps: f64) -> Result<JsValue, JsError> {
    let laps = convert::count("laps", laps)?;
    let run = crate::gaussian_run(truth, noise, start, laps).map_err(error)?;
    let array = |values: &[f64]| JsValue::from(Float64Array::from(values));
    object(&[("variance", array(&run.variance)), ("kl", array(&run.kl)), ("bound", array(&run.bound))])
}
