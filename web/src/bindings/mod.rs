//! The interface to JavaScript, which `web/js` wraps. Arrays are row-major `Float32Array`s, options are JSON,
//! and every failure is an `Error` with the core's message.

#[cfg(feature = "check")]
mod check;
mod convert;
mod live;
mod posterior;

use convert::{error, object};
use js_sys::{Float64Array, Reflect};
use wasm_bindgen::prelude::*;

unsafe extern "C" {
    /// Runs what dependencies have registered to run first. The linker defines it.
    fn __wasm_call_ctors();
}

/// Runs the constructors of dependencies once: unless a module does so itself, the linker makes every call from JavaScript run
/// all of them, which took four fifths of the time of a launch on WebGPU. It also makes a panic, which ends the module, leave its
/// message in the global `diffemPanic`, so that the worker can report it.
#[wasm_bindgen(start)]
pub fn start() {
    // SAFETY: this is the first call of the module, and the only one of that function.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|info| {
        // The module ends here, so nothing can handle a failure of this assignment.
        let _ = Reflect::set(&js_sys::global(), &"diffemPanic".into(), &info.to_string().into());
    }));
}

/// Closed-form EM for a scalar Gaussian, `{variance, kl, bound}`; see `gaussian_run`.
#[wasm_bindgen(js_name = gaussianRun)]
pub fn gaussian_run(truth: f64, noise: f64, start: f64, laps: f64) -> Result<JsValue, JsError> {
    let laps = convert::count("laps", laps)?;
    let run = crate::gaussian_run(truth, noise, start, laps).map_err(error)?;
    let array = |values: &[f64]| JsValue::from(Float64Array::from(values));
    object(&[("variance", array(&run.variance)), ("kl", array(&run.kl)), ("bound", array(&run.bound))])
}
