//! diffem in the browser: posterior sampling of trained checkpoints, and learning a curve from corrupted points live.
//!
//! The core does the work, with the noise keys of the command line, so that a figure's numbers are those of `diffem` for the
//! same seed. This package only cuts the work into pieces short enough for a worker that also answers messages
//! ([`Sampling`], [`Lab`]) and hands arrays to JavaScript (`boundary`, in WebAssembly only). `web/js` is what pages import.
//!
//! Nothing here panics on bad input: a panic in WebAssembly ends the module.
#![warn(missing_docs)]

mod gaussian;
#[cfg(feature = "cpu")]
mod lab;
mod options;
mod sampling;

#[cfg(target_arch = "wasm32")]
mod boundary;

pub use gaussian::{GaussianRun, gaussian_run};
#[cfg(feature = "cpu")]
pub use lab::{Lab, LabConfig, LabProgress, Phase};
pub use options::{ObserveOptions, SampleOptions, parse};
pub use sampling::{Sampling, StepInfo, observe};
