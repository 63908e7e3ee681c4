//! Compares this module's device with the golden file; only tests use it, behind the feature `check`.

use super::convert::{error, plain};
use super::posterior::device;
use diffem::conformance::Golden;
use wasm_bindgen::prelude::*;

/// Name of this module in reports.
#[cfg(feature = "cpu")]
const BACKEND: &str = "wasm-cpu";
#[cfg(all(feature = "gpu", not(feature = "cpu")))]
const BACKEND: &str = "webgpu";

/// Computes every quantity of the golden file `bytes` and returns a `Report` for `diffem check-backends`.
#[wasm_bindgen(js_name = checkBackend)]
pub async fn check_backend(bytes: Vec<u8>) -> Result<JsValue, JsError> {
    let golden = Golden::decode(&bytes).map_err(error)?;
    plain(&golden.check_async(BACKEND, &device().await?).await.map_err(error)?)
}
