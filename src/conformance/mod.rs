//! Conformance of the backends: every quantity of the method (network, loss, gradients, training steps,
//! posterior draws, optimizer) is computed on a device and compared with a golden file that was made on
//! another backend.
//!
//! For a quantity with golden values g and computed values f, the difference is max |f - g| / max |g|.

mod golden;
mod problem;
mod quantities;
mod report;

pub use golden::{GOLDEN, Golden};
pub use problem::{Batch, Inputs, Problem, Settings};
pub use quantities::quantities;
pub use report::{Report, Row, table};

/// Names of the backends that run in a browser; a web page makes their reports.
pub const BROWSER: [&str; 2] = ["wasm-cpu", "webgpu"];
