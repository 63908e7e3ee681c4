//! One core, several backends: every quantity of the method (network, loss, gradients, training steps, posterior draws,
//! optimizer) on a device, held to a golden file that another backend made.
//!
//! For a quantity with golden values g and found values f the difference is max |f - g| / max |g|.

mod golden;
mod problem;
mod quantities;
mod report;

pub use golden::{GOLDEN, Golden};
pub use problem::{Batch, Inputs, Problem, Settings};
pub use quantities::quantities;
pub use report::{Report, Row, table};

/// Names of the backends that run in a browser; a page makes their reports.
pub const BROWSER: [&str; 2] = ["wasm-cpu", "webgpu"];
