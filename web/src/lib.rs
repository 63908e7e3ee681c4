//! diffem in the browser: posterior sampling of trained checkpoints, and live training on corrupted points of
//! a curve.
//!
//! The core does the work with the noise keys of the command line, so that for a seed the numbers of a figure
//! are those of `diffem`. This crate divides the work into units short enough for a worker that also answers
//! messages ([`Sampling`], [`LiveTraining`]) and passes arrays to JavaScript (`bindings`, in WebAssembly
//! only). Pages import the package in `web/js`.
//!
//! Nothing here panics on bad input, because a panic in WebAssembly ends the module.
#![warn(missing_docs)]

mod gaussian;
mod live;
mod options;
mod sampling;

#[cfg(target_arch = "wasm32")]
mod bindings;

pub use gaussian::{GaussianRun, gaussian_run};
pub use live::{LiveConfig, LiveProgress, LiveScore, LiveScorer, LiveTraining, Phase};
pub use options::{ObserveOptions, SampleOptions, parse};
pub use sampling::{Sampling, StepInfo, observe};
