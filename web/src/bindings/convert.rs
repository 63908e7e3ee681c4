//! Conversion of values between Rust and JavaScript.

use diffem::{Observations, Samples};
use js_sys::{Float32Array, JSON, Object, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;

/// A JavaScript error with the core's message.
pub fn error(e: impl std::fmt::Display) -> JsError {
    JsError::new(&e.to_string())
}

/// A `Float32Array` of the values, row-major.
pub fn array(samples: &Samples) -> JsValue {
    Float32Array::from(samples.as_slice()).into()
}

/// A plain object with these fields.
pub fn object(fields: &[(&str, JsValue)]) -> Result<JsValue, JsError> {
    let object = Object::new();
    for (name, value) in fields {
        set(&object, name, value)?;
    }
    Ok(object.into())
}

/// Sets a field of an object.
pub fn set(object: &JsValue, name: &str, value: &JsValue) -> Result<(), JsError> {
    Reflect::set(object, &name.into(), value).map(drop).map_err(|_| JsError::new("cannot set a field of an object"))
}

/// A JavaScript value with the fields of `value`.
pub fn plain(value: &impl Serialize) -> Result<JsValue, JsError> {
    let text = serde_json::to_string(value).map_err(error)?;
    JSON::parse(&text).map_err(|_| JsError::new("cannot pass a value to JavaScript"))
}

/// `{y, a}` of all observations, without `a` where the operator has no parameters.
pub fn observations(seen: &Observations) -> Result<JsValue, JsError> {
    let out = object(&[("y", array(&seen.y))])?;
    if let Some(a) = &seen.a {
        set(&out, "a", &array(a))?;
    }
    Ok(out)
}

/// JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// Converts a whole number from 0; the error calls it `name`.
pub fn whole(name: &str, value: f64) -> Result<u64, JsError> {
    match (0.0..=MAX_EXACT).contains(&value) && value.fract() == 0.0 {
        true => Ok(value as u64),
        false => Err(JsError::new(&format!("{name}: expected a whole number from 0 to {MAX_EXACT}, found {value}"))),
    }
}

/// Converts a length or an index; the error calls it `name`.
pub fn count(name: &str, value: f64) -> Result<usize, JsError> {
    usize::try_from(whole(name, value)?)
        .map_err(|_| JsError::new(&format!("{name}: {value} is more than memory can hold")))
}
